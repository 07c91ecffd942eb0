//! Requests that are signed here (Signature Version 4): Lambda's and CloudWatch Logs'.

use std::io;
use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::http::{HttpConnector, SharedHttpConnector};
use aws_smithy_runtime_api::client::identity::Identity;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use fourstep::Environment;
use fourstep::store::aws::{http_connector, service_url};
use http_body_util::{BodyExt as _, Limited};
use serde_json::Value;

use super::{CallError, MOST_TRIES};

/// For name, address and TLS together.
const CONNECT: Duration = Duration::from_secs(5);

/// A function answers a question within its own time-out, which a template may set to minutes.
const READ: Duration = Duration::from_secs(300);

/// The most of an answer that is read, in bytes: Lambda's own limit is 6 MB.
const LONGEST: usize = 8 * 1024 * 1024;

/// The pause before the second try; it doubles for each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// A service that is asked by signed requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Service {
    Lambda,
    Logs,
}

impl Service {
    /// The name in the host and in the signature.
    fn name(self) -> &'static str {
        match self {
            Self::Lambda => "lambda",
            Self::Logs => "logs",
        }
    }

    /// As every AWS SDK names the endpoint of this service.
    fn variable(self) -> &'static str {
        match self {
            Self::Lambda => "AWS_ENDPOINT_URL_LAMBDA",
            Self::Logs => "AWS_ENDPOINT_URL_CLOUDWATCH_LOGS",
        }
    }
}

/// One request, without what signing adds.
pub(super) struct Call<'a> {
    pub(super) service: Service,
    /// As IAM names it.
    pub(super) operation: &'a str,
    pub(super) method: &'a str,
    pub(super) path: String,
    pub(super) headers: &'a [(&'static str, &'a str)],
    pub(super) body: String,
}

/// An answer with status 200.
pub(super) struct Answer {
    pub(super) body: Value,
    /// Lambda: that the function failed, and how (`X-Amz-Function-Error`).
    pub(super) failed: bool,
}

/// Signs requests and sends them.
pub(super) struct Signed {
    credentials: SharedCredentialsProvider,
    http: SharedHttpConnector,
    region: String,
    settings: SdkConfig,
}

impl Signed {
    pub(super) fn new(
        shared: &SdkConfig,
        environment: &Environment,
        region: &str,
        credentials: SharedCredentialsProvider,
    ) -> io::Result<Self> {
        let http = http_connector(environment, CONNECT, READ).map_err(io::Error::other)?;
        Ok(Self { credentials, http, region: region.to_owned(), settings: shared.clone() })
    }

    /// Where a service is: an address of one's own, or that of the Region, by FIPS and dual-stack where the
    /// environment or the profile says so.
    async fn endpoint(&self, service: Service) -> Result<String, String> {
        let own = std::env::var(service.variable()).ok().filter(|url| !url.is_empty());
        let url = match own {
            Some(url) => url,
            None => service_url(&self.settings, service.name()).await.map_err(|error| {
                let (why, variable) = (cause(&*error), service.variable());
                format!(
                    "the settings name no endpoint ({why}): look at the Region, AWS_USE_FIPS_ENDPOINT and \
                     AWS_USE_DUALSTACK_ENDPOINT, or set {variable}"
                )
            })?,
        };
        Ok(url.trim_end_matches('/').to_owned())
    }

    /// Makes a call, again after a growing pause while the service is throttling or does not answer.
    pub(super) async fn call(&self, call: &Call<'_>) -> Result<Answer, CallError> {
        let mut pause = FIRST_PAUSE;
        for _ in 1..MOST_TRIES {
            match self.attempt(call).await {
                Err((error, true)) => drop(error),
                ended => return ended.map_err(|(error, _)| error),
            }
            tokio::time::sleep(pause.mul_f64(0.5 + scatter())).await;
            pause *= 2;
        }
        self.attempt(call).await.map_err(|(error, _)| error)
    }

    /// One try; with its error, whether another may succeed.
    async fn attempt(&self, call: &Call<'_>) -> Result<Answer, (CallError, bool)> {
        let failed = |message: &str| CallError::new(call.operation, "", message);
        let request = self.request(call).await.map_err(|message| (failed(&message), false))?;
        let answered = self.http.call(request).await;
        let answer = answered.map_err(|error| (failed(&cause(&error)), !error.is_user()))?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = Limited::new(answer.into_body(), LONGEST).collect().await;
        let body = body.map_err(|_| (failed("the answer broke off, or is too long"), true))?;
        let body: Value = serde_json::from_slice(&body.to_bytes()).unwrap_or_default();
        if (200..300).contains(&status) {
            return Ok(Answer { body, failed: headers.get("x-amz-function-error").is_some() });
        }
        let text = |name: &str| body.get(name).and_then(Value::as_str);
        // REST-JSON has the code in a header, JSON 1.1 in `__type`, either with a name space.
        let code = headers.get("x-amzn-errortype").or_else(|| text("__type"));
        let code = code.unwrap_or_default().split(':').next().unwrap_or_default();
        let code = code.rsplit('#').next().unwrap_or_default();
        let code = if code.is_empty() { format!("HTTP {status}") } else { code.to_owned() };
        let message = text("message").or_else(|| text("Message")).unwrap_or_default();
        let busy = status == 429 || status >= 500 || code.contains("Throttl");
        Err((CallError::new(call.operation, &code, message), busy))
    }

    async fn request(&self, call: &Call<'_>) -> Result<HttpRequest, String> {
        let credentials = self.credentials.provide_credentials().await;
        let identity: Identity = credentials.map_err(|error| cause(&error))?.into();
        let url = format!("{}{}", self.endpoint(call.service).await?, call.path);
        let settings = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(call.service.name())
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| cause(&error))?;
        let headers = call.headers.iter().map(|(name, value)| (*name, *value));
        let body = SignableBody::Bytes(call.body.as_bytes());
        let signable = SignableRequest::new(call.method, &url, headers.clone(), body);
        let signable = signable.map_err(|error| cause(&error))?;
        let signed = sign(signable, &settings.into()).map_err(|error| cause(&error))?;
        let (instructions, _) = signed.into_parts();
        let mut request = HttpRequest::new(SdkBody::from(call.body.as_str()));
        request.set_method(call.method).map_err(|error| cause(&error))?;
        request.set_uri(url.as_str()).map_err(|error| cause(&error))?;
        for (name, value) in headers.chain(instructions.headers()) {
            request
                .headers_mut()
                .try_insert(name.to_owned(), value.to_owned())
                .map_err(|error| cause(&error))?;
        }
        Ok(request)
    }
}

/// From 0 to 1, another at each call: so that those who were refused together do not return together.
fn scatter() -> f64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    f64::from(now.subsec_micros() % 1_000) / 1_000.0
}

/// An error and its causes, outermost first.
pub(super) fn cause(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(inner) = next {
        let said = inner.to_string();
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        next = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use aws_config::Region;
    use aws_credential_types::Credentials;

    use super::*;

    /// Where Lambda and CloudWatch Logs are asked. Source: the endpoint rule sets of botocore.
    #[tokio::test]
    async fn each_service_is_asked_where_the_settings_say() {
        let of = async |region: &'static str, fips: bool, dual_stack: bool| {
            let shared = SdkConfig::builder()
                .region(Region::new(region))
                .use_fips(fips)
                .use_dual_stack(dual_stack)
                .build();
            let nobody =
                SharedCredentialsProvider::new(Credentials::new("a", "b", None, None, "test"));
            let signed = Signed::new(&shared, &Environment::default(), region, nobody).unwrap();
            let mut all = Vec::new();
            for service in [Service::Lambda, Service::Logs] {
                all.push(signed.endpoint(service).await.unwrap().replacen("https://", "", 1));
            }
            all.join(" ")
        };
        for (region, fips, dual_stack, expected) in [
            (
                "us-east-1",
                false,
                false,
                "lambda.us-east-1.amazonaws.com logs.us-east-1.amazonaws.com",
            ),
            (
                "us-east-1",
                true,
                false,
                "lambda-fips.us-east-1.amazonaws.com logs-fips.us-east-1.amazonaws.com",
            ),
            ("us-east-1", false, true, "lambda.us-east-1.api.aws logs.us-east-1.api.aws"),
            ("us-east-1", true, true, "lambda-fips.us-east-1.api.aws logs-fips.us-east-1.api.aws"),
            (
                "us-gov-west-1",
                true,
                false,
                "lambda-fips.us-gov-west-1.amazonaws.com logs.us-gov-west-1.amazonaws.com",
            ),
            (
                "cn-north-1",
                false,
                false,
                "lambda.cn-north-1.amazonaws.com.cn logs.cn-north-1.amazonaws.com.cn",
            ),
            (
                "cn-north-1",
                false,
                true,
                "lambda.cn-north-1.api.amazonwebservices.com.cn logs.cn-north-1.api.amazonwebservices.com.cn",
            ),
            (
                "us-iso-east-1",
                false,
                false,
                "lambda.us-iso-east-1.c2s.ic.gov logs.us-iso-east-1.c2s.ic.gov",
            ),
            (
                "eusc-de-east-1",
                false,
                false,
                "lambda.eusc-de-east-1.amazonaws.eu logs.eusc-de-east-1.amazonaws.eu",
            ),
        ] {
            let seen = of(region, fips, dual_stack).await;
            assert_eq!(seen, expected, "{region}, FIPS {fips}, dual-stack {dual_stack}");
        }
    }
}
