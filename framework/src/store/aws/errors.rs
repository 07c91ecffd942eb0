//! What the SDK's errors mean, and how little of their text may leave.

use std::any::Any;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use rustls::CertificateError::UnknownIssuer;

use super::http;
use crate::store::{StoreError, StoreErrorCode};

/// The one place where SDK errors become ours, by code: throttling and AccessDenied are not
/// modelled by the service, so their types cannot be matched.
pub(crate) fn store_error<E, R>(error: &SdkError<E, R>) -> StoreError
where
    E: std::error::Error + ProvideErrorMetadata + 'static,
    R: std::fmt::Debug + 'static,
{
    let SdkError::ServiceError(service) = error else { return unanswered(error) };
    let metadata = service.err();
    let name = metadata.code().unwrap_or_default();
    let message = metadata.message().unwrap_or("the service gave no message");
    match code_of(name) {
        StoreErrorCode::Other if name.is_empty() => {
            let answer: &dyn Any = service.raw();
            let status = answer.downcast_ref().map(|answer: &HttpResponse| answer.status());
            let status = status.map(|code| format!(" (HTTP {code})")).unwrap_or_default();
            let what = format!("the answer{status} is not one that AWS gives");
            StoreError::new(StoreErrorCode::Unreachable, what)
        }
        StoreErrorCode::Other => {
            StoreError::new(StoreErrorCode::Other, format!("{name}: {message}"))
        }
        code => StoreError::new(code, message),
    }
}

/// A request that got no answer. The SDK's own texts can hold the whole request, so only the
/// innermost cause is told: an operating system's, a resolver's or a certificate verifier's.
fn unanswered<E, R>(error: &SdkError<E, R>) -> StoreError
where
    E: std::error::Error + 'static,
    R: std::fmt::Debug + 'static,
{
    let what = match error {
        SdkError::ConstructionFailure(_) => "the request could not be made",
        SdkError::TimeoutError(_) => "no answer in time",
        SdkError::ResponseError(_) => "the answer could not be read",
        _ => "the request could not be sent",
    };
    let mut cause: &(dyn std::error::Error + 'static) = error;
    let mut code = StoreErrorCode::Unreachable;
    while let Some(nearer) = cause.source() {
        // Those of a role, which somebody else has to give.
        if let Some(refused) = nearer.downcast_ref::<StoreError>() {
            return refused.clone();
        }
        if nearer.is::<CredentialsError>() {
            code = StoreErrorCode::AccessDenied;
        }
        cause = nearer;
    }
    if code == StoreErrorCode::AccessDenied {
        return StoreError::new(code, "no credentials were found for the request");
    }
    if let Some(refusal) = http::cause::<rustls::Error>(error) {
        return StoreError::new(code, format!("{what}: {}", explain(refusal)));
    }
    let known = cause.is::<std::io::Error>();
    StoreError::new(code, if known { format!("{what}: {cause}") } else { what.to_owned() })
}

/// Why TLS was refused, and for what a proxy that inspects TLS is refused, what to do.
fn explain(refusal: &rustls::Error) -> String {
    match refusal {
        rustls::Error::InvalidCertificate(UnknownIssuer) => format!(
            "the endpoint's certificate is signed by an authority that is not trusted; name a PEM \
             file with the authorities to trust for AWS in {}",
            http::CA_BUNDLE
        ),
        other => other.to_string(),
    }
}

fn code_of(name: &str) -> StoreErrorCode {
    match name {
        "ResourceNotFoundException" => StoreErrorCode::NotFound,
        "ResourceExistsException" => StoreErrorCode::AlreadyExists,
        "InvalidParameterException" | "ValidationException" => StoreErrorCode::InvalidParameter,
        "InvalidRequestException" => StoreErrorCode::InvalidRequest,
        "AccessDeniedException"
        | "AccessDenied"
        | "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "InvalidSignatureException"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "IncompleteSignature" => StoreErrorCode::AccessDenied,
        "ExpiredTokenException" | "ExpiredToken" => StoreErrorCode::Expired,
        "DecryptionFailure" => StoreErrorCode::DecryptionFailure,
        "EncryptionFailure" => StoreErrorCode::EncryptionFailure,
        "LimitExceededException" => StoreErrorCode::LimitExceeded,
        "ThrottlingException"
        | "Throttling"
        | "ThrottledException"
        | "TooManyRequestsException"
        | "RequestLimitExceeded"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "SlowDown"
        | "BandwidthLimitExceeded"
        | "PriorRequestNotComplete" => StoreErrorCode::Throttled,
        "InternalServiceError"
        | "InternalServiceErrorException"
        | "InternalFailure"
        | "InternalServerError"
        | "ServiceUnavailable"
        | "ServiceUnavailableException" => StoreErrorCode::Internal,
        _ => StoreErrorCode::Other,
    }
}

/// The error of a put, which carried the secret: what a service says about the request may quote
/// it, so only messages about permissions, limits and keys are kept.
pub(super) fn without_quote(error: StoreError) -> StoreError {
    match error.code {
        StoreErrorCode::AlreadyExists
        | StoreErrorCode::NotFound
        | StoreErrorCode::AccessDenied
        | StoreErrorCode::Expired
        | StoreErrorCode::DecryptionFailure
        | StoreErrorCode::EncryptionFailure
        | StoreErrorCode::LimitExceeded
        | StoreErrorCode::Throttled
        | StoreErrorCode::Internal
        | StoreErrorCode::Unreachable => error,
        code => StoreError::new(code, "the service's message is withheld: it may quote the secret"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_that_the_service_does_not_model_are_mapped_too() {
        assert_eq!(code_of("ThrottlingException"), StoreErrorCode::Throttled);
        assert_eq!(code_of("AccessDeniedException"), StoreErrorCode::AccessDenied);
        assert_eq!(code_of("ExpiredTokenException"), StoreErrorCode::Expired);
        assert_eq!(code_of("SomethingNew"), StoreErrorCode::Other);
    }

    #[test]
    fn of_a_put_only_messages_about_permissions_and_limits_are_kept() {
        for code in [
            StoreErrorCode::InvalidParameter,
            StoreErrorCode::InvalidRequest,
            StoreErrorCode::Other,
        ] {
            let error = without_quote(StoreError::new(code, "bad value: canary"));
            assert!(!format!("{error:?}").contains("canary"));
            assert_eq!(error.code, code);
        }
        let denied = StoreError::new(StoreErrorCode::AccessDenied, "not authorized to perform");
        assert_eq!(without_quote(denied.clone()), denied);
    }
}
