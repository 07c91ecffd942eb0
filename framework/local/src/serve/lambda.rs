//! Lambda's Invoke, so that whoever has no AWS can send a function an event as he would there.
//!
//! Source: AWS Lambda API Reference, "Invoke": its path, its headers, its errors. A function of AWS has a
//! name; here there is one function at most, and any name is its.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use axum::response::Response;
use serde_json::{Value, json};

use super::answering::{Seen, secret_named};
use super::refusal::Refusal;
use super::{LARGEST_BODY, Shared, access};

/// Its path. A name may be an ARN.
pub(super) const PATH: &str = "/2015-03-31/functions/{name}/invocations";

/// The operation, for counts and the log.
const INVOKE: &str = "Invoke";

pub(super) async fn invoke(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
    request: Request<Body>,
) -> Response {
    let mut seen = Seen::of(INVOKE);
    shared.count(INVOKE);
    let (head, body) = request.into_parts();
    let answer = match access::admitted(&head.headers, &shared.admitted) {
        Ok(()) => invoked(&shared, &name, &head.headers, body, &mut seen).await,
        Err(refusal) => Err(refusal),
    };
    let response = answer.unwrap_or_else(|refusal| {
        seen.error = refusal.name().map(str::to_owned);
        refused(refusal)
    });
    shared.tell(seen, response.status());
    response
}

async fn invoked(
    shared: &Arc<Shared>,
    name: &str,
    headers: &HeaderMap,
    body: Body,
    seen: &mut Seen,
) -> Result<Response, Refusal> {
    let kind =
        headers.get("x-amz-invocation-type").map_or(Ok("RequestResponse"), HeaderValue::to_str);
    let body = axum::body::to_bytes(body, LARGEST_BODY).await.map_err(|_| Refusal::too_large())?;
    // As at AWS, no payload is an empty event. The parser's own message may quote it, so it is dropped.
    let event: Value = match body.is_empty() {
        true => json!({}),
        false => serde_json::from_slice(&body).map_err(|_| {
            Refusal::new(
                "InvalidRequestContentException",
                "Could not parse request body into json.",
            )
        })?,
    };
    seen.secret = event.get("SecretId").and_then(Value::as_str).and_then(secret_named);
    let function = shared.settings.on_invoke.clone().ok_or_else(|| no_function(name))?;
    match kind {
        Ok("RequestResponse") => {
            // In a task of its own: whoever stops waiting ends no step in its middle.
            let ended = tokio::spawn(async move { function.invoked(event).await }).await;
            let ended = ended.map_err(std::io::Error::other).and_then(|ended| ended);
            let ended = ended.map_err(|error| {
                Refusal::internal(
                    "ServiceException",
                    format!("the function cannot be run: {error}"),
                )
            })?;
            let response = match ended {
                Ok(answer) => payload(StatusCode::OK, &answer),
                Err((kind, message)) => {
                    let mut response = payload(
                        StatusCode::OK,
                        &json!({"errorMessage": message, "errorType": kind}),
                    );
                    let unhandled = HeaderValue::from_static("Unhandled");
                    response.headers_mut().insert("x-amz-function-error", unhandled);
                    seen.error = Some(kind).filter(|kind| is_word(kind));
                    response
                }
            };
            Ok(executed(response))
        }
        // Nobody waits for how it ends. AWS would try twice more.
        Ok("Event") => {
            tokio::spawn(async move { function.invoked(event).await });
            Ok(empty(StatusCode::ACCEPTED))
        }
        Ok("DryRun") => Ok(empty(StatusCode::NO_CONTENT)),
        _ => Err(Refusal::new(
            "InvalidParameterValueException",
            "The invocation type must be RequestResponse, Event or DryRun.",
        )),
    }
}

fn no_function(name: &str) -> Refusal {
    let name = Some(name).filter(|name| name.split(':').all(is_word)).unwrap_or("(no name)");
    Refusal::Error {
        status: StatusCode::NOT_FOUND,
        name: "ResourceNotFoundException",
        message: format!(
            "Function not found: {name}. This `fourstep serve` was started without --rotator; with it, any \
             name is that function's."
        ),
    }
}

/// What is shown of what a caller or a function wrote: the letters of names.
fn is_word(text: &str) -> bool {
    let of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.$".contains(&byte);
    !text.is_empty() && text.len() <= 140 && text.bytes().all(of_name)
}

/// An error in the form of Lambda's API.
fn refused(refusal: Refusal) -> Response {
    let Refusal::Error { status, name, message } = refusal else { return refusal.response() };
    let kind = if status.is_server_error() { "Service" } else { "User" };
    let mut response = payload(status, &json!({"Type": kind, "Message": message}));
    response.headers_mut().insert("x-amzn-errortype", HeaderValue::from_static(name));
    response
}

fn executed(mut response: Response) -> Response {
    let latest = HeaderValue::from_static("$LATEST");
    response.headers_mut().insert("x-amz-executed-version", latest);
    response
}

fn payload(status: StatusCode, body: &Value) -> Response {
    let mut response = empty(status);
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    *response.body_mut() = Body::from(body.to_string());
    response
}

fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    if let Ok(id) = HeaderValue::from_str(&uuid::Uuid::new_v4().to_string()) {
        response.headers_mut().insert("x-amzn-requestid", id);
    }
    response
}
