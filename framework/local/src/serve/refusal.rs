//! Errors as AWS JSON 1.1 shows them.

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use axum::response::Response;
use fourstep::store::{StoreError, StoreErrorCode};
use serde_json::json;

/// Why a request was not answered. No message quotes a field's value.
#[derive(Debug)]
pub(super) enum Refusal {
    /// An error of the service.
    Error {
        /// The HTTP status.
        status: StatusCode,
        /// AWS's name of the error.
        name: &'static str,
        /// AWS's message, or ours where AWS's is not known.
        message: String,
    },
    /// The answer is lost: the connection breaks off in the middle of it.
    NoAnswer,
}

impl Refusal {
    pub(super) fn new(name: &'static str, message: impl Into<String>) -> Self {
        Self::Error { status: StatusCode::BAD_REQUEST, name, message: message.into() }
    }

    pub(super) fn parameter(message: impl Into<String>) -> Self {
        Self::new("InvalidParameterException", message)
    }

    pub(super) fn validation(field: &str, constraint: &str) -> Self {
        let message = format!(
            "1 validation error detected: Value at '{field}' failed to satisfy constraint: \
             {constraint}"
        );
        Self::new("ValidationException", message)
    }

    /// A field of the wrong type, or a body that is no JSON object.
    pub(super) fn unreadable(what: &str) -> Self {
        Self::new("SerializationException", what)
    }

    /// What was asked for is whatever the client sent: letters and digits of it are shown.
    pub(super) fn unknown_operation(asked: &str) -> Self {
        let named: String = asked.chars().filter(char::is_ascii_alphanumeric).take(64).collect();
        let named = if named.is_empty() { "an operation without a name" } else { &named };
        let message = format!(
            "This local Secrets Manager does not have {named}; it has: {}.",
            super::operations::OPERATIONS.join(", ")
        );
        Self::new("UnknownOperationException", message)
    }

    pub(super) fn no_random_numbers() -> Self {
        Self::Error {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            name: StoreErrorCode::Internal.name(),
            message: "The operating system gives no random numbers.".to_owned(),
        }
    }

    pub(super) fn too_large() -> Self {
        Self::Error {
            status: StatusCode::PAYLOAD_TOO_LARGE,
            name: "RequestEntityTooLargeException",
            message: "Request body is too large.".to_owned(),
        }
    }

    /// An error of this process, not of the request.
    pub(super) fn internal(name: &'static str, message: impl Into<String>) -> Self {
        Self::Error { status: StatusCode::INTERNAL_SERVER_ERROR, name, message: message.into() }
    }

    /// `next`: what whoever started it can do.
    pub(super) fn foreign_host(next: &str) -> Self {
        Self::Error {
            status: StatusCode::FORBIDDEN,
            name: "AccessDeniedException",
            message: format!(
                "This local Secrets Manager answers only requests whose Host is an address, localhost or \
                 host.docker.internal{next}."
            ),
        }
    }

    pub(super) fn foreign_page() -> Self {
        Self::Error {
            status: StatusCode::FORBIDDEN,
            name: "AccessDeniedException",
            message: "This local Secrets Manager answers no web page: the request has an Origin."
                .to_owned(),
        }
    }

    /// AWS's name of the error; none where the answer is lost.
    pub(super) fn name(&self) -> Option<&'static str> {
        match self {
            Self::Error { name, .. } => Some(name),
            Self::NoAnswer => None,
        }
    }

    pub(super) fn unknown_key() -> Self {
        Self::Error {
            status: StatusCode::FORBIDDEN,
            name: "UnrecognizedClientException",
            message: "The security token included in the request is invalid: this local Secrets Manager answers \
                      only the function that it was started for."
                .to_owned(),
        }
    }

    pub(super) fn response(self) -> Response {
        match self {
            Self::NoAnswer => Response::new(Body::from_stream(futures_util::stream::once(async {
                Err::<Bytes, _>(std::io::Error::other("the answer was lost"))
            }))),
            Self::Error { status, name, message } => {
                let body = json!({"__type": name, "Message": message});
                super::json_response(status, Some(name), &body)
            }
        }
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        let StoreError { code, message } = error;
        let (status, name) = match code {
            StoreErrorCode::Unreachable => return Self::NoAnswer,
            StoreErrorCode::Internal | StoreErrorCode::Other => {
                (StatusCode::INTERNAL_SERVER_ERROR, StoreErrorCode::Internal.name())
            }
            code => (StatusCode::BAD_REQUEST, code.name()),
        };
        Self::Error { status, name, message }
    }
}
