//! One request to Secrets Manager, from its head to its answer, and what is told of it.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use axum::response::Response;
use serde_json::Value;

use super::operations::{self, Answer, OPERATIONS, replicas};
use super::refusal::Refusal;
use super::settings::Answered;
use super::wire::Input;
use super::{LARGEST_BODY, Shared, access};

/// What counts and the log call a request that names no operation that is served.
const UNKNOWN: &str = "UnknownOperation";

/// What is known of a request while it is answered.
pub(super) struct Seen {
    at: SystemTime,
    begun: Instant,
    operation: String,
    pub(super) secret: Option<String>,
    pub(super) error: Option<String>,
}

impl Seen {
    pub(super) fn of(operation: &str) -> Self {
        let (at, begun) = (SystemTime::now(), Instant::now());
        Self { at, begun, operation: operation.to_owned(), secret: None, error: None }
    }
}

impl Shared {
    /// Tells whoever hears of requests.
    pub(super) fn tell(&self, seen: Seen, status: StatusCode) {
        let Some(on_answer) = &self.settings.on_answer else { return };
        let Seen { at, begun, operation, secret, error } = seen;
        let (status, took) = (status.as_u16(), begun.elapsed());
        on_answer(&Answered { at, operation, secret, status, error, took });
    }

    /// Has the store kept, if somebody keeps it.
    pub(super) async fn kept(self: &Arc<Self>) -> Result<(), Refusal> {
        if self.settings.keeper.is_none() {
            return Ok(());
        }
        let shared = Arc::clone(self);
        // A disk is waited for, and nobody else.
        let kept = tokio::task::spawn_blocking(move || shared.keep());
        let failed = match kept.await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        let message =
            format!("The change is in memory only, since the store is not written: {failed}");
        Err(Refusal::internal("InternalServiceError", message))
    }
}

pub(super) async fn serve(State(shared): State<Arc<Shared>>, request: Request<Body>) -> Response {
    let (head, body) = request.into_parts();
    let (asked, operation) = operation(&head.headers);
    let mut seen = Seen::of(asked);
    shared.count(operation.unwrap_or(UNKNOWN));
    // Before anything of it is read.
    let answer = match access::admitted(&head.headers, &shared.admitted) {
        Ok(()) => answered(&shared, operation, &head.headers, body, &mut seen).await,
        Err(refusal) => Err(refusal),
    };
    let response = match answer {
        Ok(body) => json_response(StatusCode::OK, None, &body),
        Err(refusal) => {
            seen.error = Some(refusal.name().unwrap_or("NoAnswer").to_owned());
            refusal.response()
        }
    };
    shared.tell(seen, response.status());
    response
}

/// What the target header names, whatever that is.
fn target(headers: &HeaderMap) -> Option<&str> {
    headers.get("x-amz-target")?.to_str().ok()
}

/// The operation that the target header names, and again if it is served.
fn operation(headers: &HeaderMap) -> (&str, Option<&'static str>) {
    let name = target(headers).and_then(|target| target.strip_prefix("secretsmanager."));
    let of_letters =
        |name: &&str| name.len() <= 64 && name.bytes().all(|byte| byte.is_ascii_alphabetic());
    let served = OPERATIONS.into_iter().find(|served| Some(*served) == name);
    (name.filter(of_letters).unwrap_or(UNKNOWN), served)
}

async fn answered(
    shared: &Arc<Shared>,
    operation: Option<&'static str>,
    headers: &HeaderMap,
    body: Body,
    seen: &mut Seen,
) -> Result<Value, Refusal> {
    let unknown = || {
        let asked = target(headers).unwrap_or_default();
        Refusal::unknown_operation(asked.strip_prefix("secretsmanager.").unwrap_or(asked))
    };
    let operation = operation.ok_or_else(unknown)?;
    let body = axum::body::to_bytes(body, LARGEST_BODY).await.map_err(|_| Refusal::too_large())?;
    let input = Input::parse(&body)?.signed_for(replicas::region(headers));
    seen.secret = secrets(&input);
    let answer = operations::answer(&shared.store, operation, &input);
    let (answer, started) = match answer {
        Ok(Answer { body, started }) => (Ok(body), started),
        Err(refusal) => {
            if operation == "RotateSecret" && refusal.name() == Some("InvalidRequestException") {
                shared.retry(&operations::secret(&shared.store, operation, &input)?);
            }
            (Err(refusal), None)
        }
    };
    // Before anything is waited for: a caller that goes away ends what is done for it here. A rotation does
    // not overtake the store, for what the function puts into it is kept with all that was before.
    if let Some(rotation) = started {
        shared.play(rotation);
    }
    // Also where it failed: what was lost may be only the answer.
    let kept = shared.kept().await;
    let body = answer?;
    kept.map(|()| body)
}

/// What a request calls the secrets that it is about.
fn secrets(input: &Input) -> Option<String> {
    for field in ["SecretId", "Name"] {
        if let Ok(Some(name)) = input.text(field) {
            return secret_named(name);
        }
    }
    let all = input.texts("SecretIdList").unwrap_or_default();
    let names: Vec<_> = all.iter().filter_map(|name| secret_named(name)).collect();
    (!names.is_empty()).then(|| names.join(","))
}

/// A secret's name, of what somebody calls it: that, or its ARN. Nothing that is neither is repeated.
pub(super) fn secret_named(id: &str) -> Option<String> {
    let name =
        id.split_once(":secret:").map_or(id, |(_, resource)| match resource.rsplit_once('-') {
            Some((name, suffix)) if suffix.len() == 6 => name,
            _ => resource,
        });
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-/_+=.@!".contains(&byte);
    let sound = !name.is_empty() && name.len() <= 512 && name.bytes().all(legal);
    sound.then(|| name.to_owned())
}

pub(super) fn json_response(
    status: StatusCode,
    error: Option<&'static str>,
    body: &Value,
) -> Response {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let json = HeaderValue::from_static("application/x-amz-json-1.1");
    headers.insert(header::CONTENT_TYPE, json);
    if let Ok(id) = HeaderValue::from_str(&uuid::Uuid::new_v4().to_string()) {
        headers.insert("x-amzn-requestid", id);
    }
    if let Some(error) = error {
        headers.insert("x-amzn-errortype", HeaderValue::from_static(error));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::secret_named;

    #[test]
    fn what_is_told_of_a_secret_is_its_name() {
        let arn = "arn:aws:secretsmanager:us-east-1:000000000000:secret:app/db";
        for (id, name) in [
            ("app/db", Some("app/db")),
            (&format!("{arn}-AbCdEf"), Some("app/db")),
            (arn, Some("app/db")),
            ("{\"password\": \"x\"}", None),
            ("two words", None),
            ("line\nforged", None),
            ("", None),
            (&"x".repeat(513), None),
        ] {
            assert_eq!(secret_named(id).as_deref(), name, "{id}");
        }
    }
}
