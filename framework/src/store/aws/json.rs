//! A service that is asked in the JSON 1.1 protocol without an SDK of its own, which would make a function larger by
//! more than a few questions are worth. Credentials, signatures, repeated attempts and time limits are the SDK's,
//! as is the HTTPS client that of every other service.

use std::fmt::Debug;

use aws_config::{BehaviorVersion, SdkConfig};
use aws_runtime::auth::SigV4OperationSigningConfig;
use aws_runtime::auth::sigv4::{SCHEME_ID, SigV4AuthScheme};
use aws_runtime::retries::classifiers::AwsErrorCodeClassifier;
use aws_sdk_sts::config::endpoint::{DefaultResolver, Params, ResolveEndpoint};
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime::client::retries::classifiers::{
    HttpStatusCodeClassifier, TransientErrorClassifier,
};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::auth::AuthSchemeOptionResolverParams;
use aws_smithy_runtime_api::client::auth::static_resolver::StaticAuthSchemeOptionResolver;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse, OrchestratorError};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponentsBuilder;
use aws_smithy_runtime_api::client::runtime_plugin::StaticRuntimePlugin;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::Layer;
use aws_smithy_types::error::ErrorMetadata;
use aws_types::SigningName;
use aws_types::region::SigningRegion;
use serde_json::Value;

use super::AwsCall;
use crate::error::{Error, ErrorKind, Result};
use crate::invocation::Invocation;

/// The most of an answer that is looked into, in bytes: many times what one resource takes.
const LONGEST: usize = 256 * 1024;

/// The most characters of a service's message that are told.
const LONGEST_MESSAGE: usize = 1000;

/// A service, as its API's model names it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct JsonService {
    /// For people.
    pub(crate) name: &'static str,
    /// In its hosts, in signatures and in policies: `endpointPrefix` and `signingName`.
    pub(crate) prefix: &'static str,
    /// Before the operation, in `X-Amz-Target`: `targetPrefix`.
    pub(crate) target: &'static str,
    /// As [`AwsCall::known`].
    pub(crate) known: &'static [&'static str],
}

/// Where a service without an SDK here is, by the name in its hosts. STS's rules know the partitions and their domains;
/// such a service's are the same but for its own names with FIPS, so that the rules are asked without. Secrets
/// Manager's would not do: its plain name is its dual-stack one, too. Source: the endpoint rule sets of botocore, in
/// which EventBridge's plain names, and the plain ones of CloudWatch Logs without dual-stack, are those with FIPS in
/// us-gov. What may not stand beside an endpoint of one's own is refused with the settings.
///
/// # Errors
/// Where the settings name no endpoint.
pub async fn service_url(settings: &SdkConfig, prefix: &str) -> Result<String, BoxError> {
    if let Some(own) = settings.endpoint_url() {
        return Ok(own.to_owned());
    }
    let dual_stack = settings.use_dual_stack().unwrap_or_default();
    let params = Params::builder()
        .set_region(settings.region().map(ToString::to_string))
        .use_dual_stack(dual_stack)
        .build()?;
    let found = ResolveEndpoint::resolve_endpoint(&DefaultResolver::new(), &params).await?;
    let region: &str = settings.region().map(AsRef::as_ref).unwrap_or_default();
    let plain =
        region.starts_with("us-gov-") && (prefix == "events" || (prefix == "logs" && !dual_stack));
    let fips = settings.use_fips().unwrap_or_default() && !plain;
    let fips = if fips { "-fips" } else { "" };
    match found.url().strip_prefix("https://sts.") {
        Some(rest) => Ok(format!("https://{prefix}{fips}.{rest}")),
        None => Ok(found.url().to_owned()),
    }
}

impl JsonService {
    /// The answer to a question, an object; or the code of a refusal that is known.
    ///
    /// # Errors
    /// Those of [`AwsCall::answer`]; [`ErrorKind::Malformed`] where the settings name no endpoint.
    pub(crate) async fn ask(
        &self,
        settings: &SdkConfig,
        operation: &'static str,
        question: &Value,
        cx: &Invocation,
    ) -> Result<Result<Value, &'static str>> {
        let url = service_url(settings, self.prefix).await.map_err(|error| {
            let what = format!("{} has no endpoint by the settings", self.name);
            Error::new(ErrorKind::Malformed, what).caused_by(error).caused_by(
                "look at AWS_REGION, AWS_USE_FIPS_ENDPOINT, AWS_USE_DUALSTACK_ENDPOINT and the \
                 variables AWS_ENDPOINT_URL",
            )
        })?;
        let (name, service, known) = (self.name, Some(self.prefix), self.known);
        let call = AwsCall { name, service, operation, known, sends_secret: false };
        let asked = self.operation(settings, &url, operation);
        call.answer(asked.invoke(question.to_string()), cx).await
    }

    fn operation(
        &self,
        settings: &SdkConfig,
        url: &str,
        operation: &'static str,
    ) -> Operation<String, Value, ErrorMetadata> {
        let target = format!("{}.{operation}", self.target);
        let mut asked = Operation::builder()
            .service_name(self.prefix)
            .operation_name(operation)
            .behavior_version(BehaviorVersion::v2026_01_12())
            .endpoint_url(url)
            .runtime_plugin(self.signing(settings))
            .retry_classifier(TransientErrorClassifier::<ErrorMetadata>::new())
            .retry_classifier(HttpStatusCodeClassifier::default())
            .retry_classifier(AwsErrorCodeClassifier::<ErrorMetadata>::new())
            .with_connection_poisoning()
            .serializer(move |question: String| request(question, &target))
            .deserializer(answer);
        if let Some(http) = settings.http_client() {
            asked = asked.http_client(http);
        }
        if let Some(retries) = settings.retry_config() {
            asked = asked.standard_retry(retries);
        }
        if let Some(limits) = settings.timeout_config() {
            asked = asked.timeout_config(limits.clone());
        }
        asked.build()
    }

    fn signing(&self, settings: &SdkConfig) -> StaticRuntimePlugin {
        let mut layer = Layer::new("signing");
        layer.store_put(AuthSchemeOptionResolverParams::new(()));
        layer.store_put(SigV4OperationSigningConfig {
            region: settings.region().cloned().map(SigningRegion::from),
            name: Some(SigningName::from_static(self.prefix)),
            ..SigV4OperationSigningConfig::default()
        });
        let mut parts = RuntimeComponentsBuilder::new("signing")
            .with_auth_scheme_option_resolver(Some(StaticAuthSchemeOptionResolver::new(vec![
                SCHEME_ID,
            ])))
            .with_auth_scheme(SigV4AuthScheme::new());
        if let Some(credentials) = settings.credentials_provider() {
            parts.set_identity_resolver(SCHEME_ID, credentials);
        }
        StaticRuntimePlugin::new().with_config(layer.freeze()).with_runtime_components(parts)
    }
}

fn request(question: String, target: &str) -> Result<HttpRequest, BoxError> {
    let mut request = HttpRequest::new(SdkBody::from(question));
    request.set_method("POST")?;
    request.set_uri("/")?;
    request.headers_mut().try_insert("content-type", "application/x-amz-json-1.1")?;
    request.headers_mut().try_insert("x-amz-target", target.to_owned())?;
    Ok(request)
}

/// What an answer says. One without a code is not AWS's, whatever its status.
fn answer(response: &HttpResponse) -> Result<Value, OrchestratorError<ErrorMetadata>> {
    let bytes = response.body().bytes().filter(|bytes| bytes.len() <= LONGEST);
    let body: Value = serde_json::from_slice(bytes.unwrap_or_default()).unwrap_or_default();
    if response.status().is_success() && body.is_object() {
        return Ok(body);
    }
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    let code = response.headers().get("x-amzn-errortype").or_else(|| text("__type"));
    // With a name space before it, or an address behind it.
    let code = code.and_then(|code| code.split(':').next()).unwrap_or_default();
    let code = code.rsplit('#').next().filter(|code| !code.is_empty());
    let mut error = ErrorMetadata::builder();
    if let Some(code) = code.filter(|_| !response.status().is_success()) {
        error = error.code(code.chars().take(LONGEST_MESSAGE).collect::<String>());
    }
    if let Some(message) = text("message").or_else(|| text("Message")) {
        error = error.message(message.chars().take(LONGEST_MESSAGE).collect::<String>());
    }
    Err(OrchestratorError::operation(error.build()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Environment;
    use crate::store::aws::client_settings;

    async fn url(region: &'static str, variables: &[(&str, &str)]) -> Result<String, String> {
        let environment: Environment = variables.iter().copied().collect();
        let settings = client_settings(&environment, &[]).await;
        let settings = settings.map_err(|error| error.to_string())?;
        let region = (!region.is_empty()).then(|| aws_config::Region::from_static(region));
        let settings = settings.into_builder().region(region).build();
        service_url(&settings, "example").await.map_err(|error| error.to_string())
    }

    /// Source: the endpoint rule set of redshift-serverless in botocore.
    #[tokio::test]
    async fn each_partition_has_its_domain_and_each_kind_of_endpoint_its_name() {
        for (region, suffix, dual_suffix) in [
            ("us-east-1", "amazonaws.com", "api.aws"),
            ("us-gov-west-1", "amazonaws.com", "api.aws"),
            ("cn-north-1", "amazonaws.com.cn", "api.amazonwebservices.com.cn"),
        ] {
            for (fips, dual) in [(false, false), (true, false), (false, true), (true, true)] {
                let flag = |on: bool| if on { "true" } else { "false" };
                let variables = [
                    ("AWS_USE_FIPS_ENDPOINT", flag(fips)),
                    ("AWS_USE_DUALSTACK_ENDPOINT", flag(dual)),
                ];
                let suffix = if dual { dual_suffix } else { suffix };
                let name = if fips { "example-fips" } else { "example" };
                let expected = format!("https://{name}.{region}.{suffix}");
                assert_eq!(url(region, &variables).await, Ok(expected));
            }
        }
    }

    #[tokio::test]
    async fn eventbridge_and_logs_have_their_plain_names_with_fips_in_us_gov() {
        let fips: Environment = [("AWS_USE_FIPS_ENDPOINT", "true")].into_iter().collect();
        for (region, name) in [("us-gov-west-1", "events"), ("us-east-1", "events-fips")] {
            let settings = client_settings(&fips, &[]).await.unwrap().into_builder();
            let settings = settings.region(aws_config::Region::from_static(region)).build();
            let url = service_url(&settings, "events").await.unwrap();
            assert_eq!(url, format!("https://{name}.{region}.amazonaws.com"));
        }
        let logs = client_settings(&fips, &[]).await.unwrap().into_builder();
        let logs = logs.region(aws_config::Region::from_static("us-gov-west-1")).build();
        let url = service_url(&logs, "logs").await.unwrap();
        assert_eq!(url, "https://logs.us-gov-west-1.amazonaws.com");
    }

    #[tokio::test]
    async fn an_endpoint_of_ones_own_is_taken_as_it_is_and_with_nothing_that_contradicts_it() {
        for own in ["http://127.0.0.1:5000", "https://rds.us-east-1.amazonaws.com"] {
            let own = ("AWS_ENDPOINT_URL", own);
            assert_eq!(url("us-east-1", &[own]).await.as_deref(), Ok(own.1));
            for flag in ["AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT"] {
                let error = url("us-east-1", &[own, (flag, "true")]).await.unwrap_err();
                assert!(error.contains(flag) && error.contains(own.0), "{error}");
            }
        }
        let error = url("", &[]).await.unwrap_err();
        assert!(error.contains("Region"), "{error}");
    }
}
