//! Calls to other services of AWS's: counted, bounded by the deadline, and their errors named.

use std::fmt::Debug;
use std::sync::OnceLock;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};

use super::errors::store_error;
use super::settings::{chosen, endpoint, shared};
use crate::config::Environment;
use crate::error::{Error, ErrorKind, Result};
use crate::invocation::Invocation;
use crate::store::{OWN_ENDED, StoreErrorCode};

/// What a client of another service of AWS's is made of: Region, credentials, the HTTPS stack and the time
/// limits of [`AwsStore`](super::AwsStore); and the endpoint, where one of these variables or `AWS_ENDPOINT_URL`
/// names one.
///
/// # Errors
/// [`ErrorKind::Malformed`], naming a variable that cannot be read.
pub async fn client_settings(environment: &Environment, endpoints: &[&str]) -> Result<SdkConfig> {
    shared(environment, endpoint(environment, endpoints)?).await
}

/// A client of another service of AWS's, or what it is made of. Nothing is prepared before the first call: most
/// functions never make one.
#[derive(Clone)]
pub struct LazyClient<C> {
    environment: Environment,
    endpoint: &'static str,
    client: OnceLock<C>,
}

impl<C> LazyClient<C> {
    /// Refuses an endpoint that no client can use. `endpoint` is the variable that every AWS SDK reads for that
    /// of one service. What contradicts an endpoint is refused at the first call.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`], naming the variable.
    pub fn read(environment: &Environment, endpoint: &'static str) -> Result<Self> {
        chosen(environment, &[endpoint])?;
        Ok(Self { environment: environment.clone(), endpoint, client: OnceLock::new() })
    }

    /// The client, which is made once.
    ///
    /// # Errors
    /// Those of [`client_settings`].
    pub async fn get(&self, make: impl FnOnce(&SdkConfig) -> C) -> Result<&C> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let settings = client_settings(&self.environment, &[self.endpoint]).await?;
        Ok(self.client.get_or_init(|| make(&settings)))
    }
}

impl<C> Debug for LazyClient<C> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("LazyClient").field(&self.endpoint).finish()
    }
}

/// A call to another service of AWS's.
#[derive(Debug, Clone, Copy)]
pub struct AwsCall {
    /// The service, for people: `RDS`.
    pub name: &'static str,
    /// The service, as policies name its actions: `rds`; none where no permission of the role's is needed.
    pub service: Option<&'static str>,
    /// The operation: `DescribeDBInstances`.
    pub operation: &'static str,
    /// The codes of refusals that are an answer to the caller, without the `Fault` or `Exception` at their end
    /// that some have in one protocol and not in the other.
    pub known: &'static [&'static str],
    /// Whether a secret value is sent, which the service's messages might quote.
    pub sends_secret: bool,
}

impl AwsCall {
    /// The answer to `work`, which sends the request; or the code of a refusal that is known.
    ///
    /// # Errors
    /// Every other refusal, with the action that the role needs where that is missing; no answer within the
    /// function's time.
    pub async fn answer<T, E, R>(
        self,
        work: impl Future<Output = Result<T, SdkError<E, R>>>,
        cx: &Invocation,
    ) -> Result<Result<T, &'static str>>
    where
        E: std::error::Error + ProvideErrorMetadata + 'static,
        R: Debug + 'static,
    {
        let Self { name, service, operation, .. } = self;
        cx.count_call(operation);
        let way = format!(
            "look at the function's way to the {name} API (VPC endpoint or NAT gateway, security \
             groups, DNS)"
        );
        let bounded = cx.deadline().bound(operation, Duration::MAX, work).await;
        let error = match bounded.map_err(|error| error.caused_by(&way))? {
            Ok(answer) => return Ok(Ok(answer)),
            Err(error) => error,
        };
        let code = error.code().unwrap_or_default();
        let code = code.trim_end_matches("Fault").trim_end_matches("Exception");
        if let Some(known) = self.known.iter().find(|one| **one == code) {
            return Ok(Err(known));
        }
        let mut cause = store_error(&error);
        let answered = matches!(error, SdkError::ServiceError(_));
        if self.sends_secret && answered {
            cause.message = format!("{code:.60}; the message is withheld: it may quote the secret");
        }
        let kind = cause.code.kind();
        let error = Error::new(kind, format!("{operation} failed")).caused_by(&cause);
        Err(match (kind, service) {
            (ErrorKind::Forbidden, Some(service)) => {
                error.caused_by(format!("let the function's role call {service}:{operation}"))
            }
            _ if cause.code == StoreErrorCode::Expired => error.caused_by(OWN_ENDED),
            (ErrorKind::Unreachable, _) if !answered => error.caused_by(way),
            _ => error,
        })
    }
}
