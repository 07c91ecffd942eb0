//! IAM's requests about access keys, and STS's for whose a key is, in the query protocol, as far as their references
//! describe them. Unlike moto it checks signatures, and dates keys to the microsecond. Nothing of this was compared with
//! AWS.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State as Extracted;
use axum::http::{HeaderMap, StatusCode};
use fourstep::{Environment, hex};
use ring::{digest, hmac};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

const ACCOUNT: &str = "arn:aws:iam::111122223333:user/team/";

#[derive(Clone)]
pub struct Key {
    pub user: String,
    pub id: String,
    secret: String,
    pub created: SystemTime,
}

#[derive(Default)]
pub struct State {
    pub keys: Vec<Key>,
    /// The answer to the next CreateAccessKey is lost.
    pub loses: bool,
    /// The role may make no key.
    pub forbids: bool,
    /// The Regions that requests to IAM were signed for.
    pub regions: Vec<String>,
}

/// One account with any number of users.
#[derive(Clone)]
pub struct Double {
    pub url: String,
    state: Arc<Mutex<State>>,
}

type Answer = (StatusCode, String);

impl Double {
    pub async fn start() -> Self {
        let state = Arc::new(Mutex::default());
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let served = Arc::clone(&state);
        let router = Router::new().fallback(answer).with_state(served);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, state }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// A key that was made by hand so long ago.
    pub fn arrange(&self, user: &str, age: Duration) -> Key {
        let mut state = self.state();
        let key = made(user, SystemTime::now() - age);
        state.keys.push(key.clone());
        key
    }

    pub fn live(&self, user: &str) -> Vec<String> {
        let state = self.state();
        state.keys.iter().filter(|key| key.user == user).map(|key| key.id.clone()).collect()
    }

    pub fn works(&self, id: &str, secret: &str) -> bool {
        self.state().keys.iter().any(|key| key.id == id && key.secret == secret)
    }

    pub fn environment(&self, dedicated: bool) -> Environment {
        let dedicated = if dedicated { "true" } else { "false" };
        Environment::from([
            ("AWS_ENDPOINT_URL_IAM", self.url.as_str()),
            ("AWS_ENDPOINT_URL_STS", self.url.as_str()),
            ("DEDICATED_USERS", dedicated),
        ])
    }
}

impl Key {
    pub fn document(&self) -> Value {
        json!({"user_arn": format!("{ACCOUNT}{}", self.user), "access_key_id": self.id,
            "secret_access_key": self.secret, "note": "kept"})
    }
}

fn made(user: &str, created: SystemTime) -> Key {
    let [id, one, two] = [(); 3].map(|()| Uuid::new_v4().simple().to_string());
    let id = format!("AKIA{}", id[..16].to_uppercase());
    Key { user: user.to_owned(), id, secret: format!("{one}{two}")[..40].to_owned(), created }
}

async fn answer(
    Extracted(state): Extracted<Arc<Mutex<State>>>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    let form = std::str::from_utf8(&body).unwrap();
    let form: HashMap<&str, &str> =
        form.split('&').filter_map(|pair| pair.split_once('=')).collect();
    let mut state = state.lock().unwrap();
    let id = signer(&headers);
    let signer = state.keys.iter().find(|key| key.id == id).cloned();
    if form["Action"] == "GetCallerIdentity" {
        return match signer {
            None => refused(403, "InvalidClientTokenId"),
            Some(key) if !signed(&headers, &body, &key.secret) => {
                refused(403, "SignatureDoesNotMatch")
            }
            Some(key) => told("GetCallerIdentity", &format!("<Arn>{ACCOUNT}{}</Arn>", key.user)),
        };
    }
    // A user's key has no permission to make others: the function's role asks.
    if signer.is_some() {
        return refused(403, "AccessDenied");
    }
    let scope = part(&headers, "Credential=").split('/').nth(2).unwrap().to_owned();
    state.regions.push(scope);
    let user = form["UserName"];
    let own = |key: &&Key| key.user == user;
    match form["Action"] {
        "ListAccessKeys" => {
            let keys = state.keys.iter().filter(own).fold(String::new(), |mut all, key| {
                write!(all, "<member>{}</member>", shown(key)).unwrap();
                all
            });
            let keys = format!("<AccessKeyMetadata>{keys}</AccessKeyMetadata>");
            told("ListAccessKeys", &format!("<IsTruncated>false</IsTruncated>{keys}"))
        }
        "CreateAccessKey" if state.forbids => refused(403, "AccessDenied"),
        "CreateAccessKey" if state.keys.iter().filter(own).count() >= 2 => {
            refused(409, "LimitExceeded")
        }
        "CreateAccessKey" => {
            let key = made(user, SystemTime::now());
            state.keys.push(key.clone());
            if std::mem::take(&mut state.loses) {
                return (StatusCode::BAD_GATEWAY, String::new());
            }
            let secret = format!("<SecretAccessKey>{}</SecretAccessKey>", key.secret);
            let key = format!("<AccessKey>{}{secret}</AccessKey>", shown(&key));
            told("CreateAccessKey", &key)
        }
        "DeleteAccessKey" => {
            let before = state.keys.len();
            state.keys.retain(|key| !(key.user == user && key.id == form["AccessKeyId"]));
            match state.keys.len() < before {
                true => told("DeleteAccessKey", ""),
                false => refused(404, "NoSuchEntity"),
            }
        }
        other => panic!("{other}"),
    }
}

fn shown(key: &Key) -> String {
    let created = OffsetDateTime::from(key.created).format(&Rfc3339).unwrap();
    format!(
        "<UserName>{}</UserName><AccessKeyId>{}</AccessKeyId><Status>Active</Status>\
         <CreateDate>{created}</CreateDate>",
        key.user, key.id
    )
}

fn told(action: &str, result: &str) -> Answer {
    let text = format!(
        "<{action}Response><{action}Result>{result}</{action}Result><ResponseMetadata>\
         <RequestId>r</RequestId></ResponseMetadata></{action}Response>"
    );
    (StatusCode::OK, text)
}

fn refused(status: u16, code: &str) -> Answer {
    let text = format!(
        "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>no</Message></Error>\
         <RequestId>r</RequestId></ErrorResponse>"
    );
    (StatusCode::from_u16(status).unwrap(), text)
}

/// A part of the header `Authorization`. Source: AWS General Reference, "Signature Version 4".
fn part<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    let header = headers["authorization"].to_str().unwrap();
    let (_, rest) = header.split_once(name).unwrap();
    rest.split(',').next().unwrap()
}

fn signer(headers: &HeaderMap) -> String {
    part(headers, "Credential=").split('/').next().unwrap().to_owned()
}

fn sha256(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

/// Whether a request was signed with this secret.
fn signed(headers: &HeaderMap, body: &[u8], secret: &str) -> bool {
    let (_, scope) = part(headers, "Credential=").split_once('/').unwrap();
    let names = part(headers, "SignedHeaders=");
    let lines = names.split(';').fold(String::new(), |mut all, name| {
        writeln!(all, "{name}:{}", headers[name].to_str().unwrap().trim()).unwrap();
        all
    });
    let request = format!("POST\n/\n\n{lines}\n{names}\n{}", sha256(body));
    let moment = headers["x-amz-date"].to_str().unwrap();
    let text = format!("AWS4-HMAC-SHA256\n{moment}\n{scope}\n{}", sha256(request.as_bytes()));
    let mut key = format!("AWS4{secret}").into_bytes();
    for part in scope.split('/').chain([text.as_str()]) {
        let own = hmac::Key::new(hmac::HMAC_SHA256, &key);
        key = hmac::sign(&own, part.as_bytes()).as_ref().to_vec();
    }
    hex(&key) == part(headers, "Signature=")
}
