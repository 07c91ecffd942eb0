//! The APIs of ElastiCache (query protocol, XML) and MemoryDB (JSON 1.1), as far as their references describe the
//! two calls, in front of a real server: what ModifyUser and UpdateUser set is set there, late. Nothing of this was
//! compared with AWS.

use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State as Extracted;
use axum::http::{HeaderMap, StatusCode};
use fourstep::Environment;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::arn_of;
use crate::support::postgres::User;
use crate::support::redis::Server;
use crate::support::stage::Stage;

/// How a change goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Lasts {
    /// It is done when the user was looked at so often.
    Looks(u32),
    /// It is done when the test says so.
    UntilTold,
}

/// A user as the API knows it. A test may change everything.
pub struct State {
    pub authentication: &'static str,
    pub groups: usize,
    pub deleting: bool,
    pub missing: bool,
    pub name: String,
    pub account: &'static str,
    pub count: usize,
    pub lasts: Lasts,
    /// How many looks after a change say `active` still.
    pub stale: u32,
    /// What is refused: the operation and the code.
    pub refuses: Option<(&'static str, &'static str)>,
    changing: Option<(Vec<String>, u32)>,
    /// The passwords of every change that was taken.
    pub sent: Vec<Vec<String>>,
    /// Who waits for the next look to be answered: told that it came, and by whom it is let go.
    held: Option<(oneshot::Sender<()>, oneshot::Receiver<()>)>,
}

/// The API, and the server behind it.
#[derive(Clone)]
pub struct Double {
    pub server: Arc<Server>,
    pub user: User,
    memorydb: bool,
    pub url: String,
    state: Arc<Mutex<State>>,
}

impl Double {
    /// A user of ElastiCache at this server.
    pub async fn elasticache(server: &Arc<Server>) -> Self {
        Self::new(server, false).await
    }

    /// A user of MemoryDB.
    pub async fn memorydb(server: &Arc<Server>) -> Self {
        Self::new(server, true).await
    }

    async fn new(server: &Arc<Server>, memorydb: bool) -> Self {
        let user = server.user("managed").await;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = State {
            authentication: "password",
            groups: 1,
            deleting: false,
            missing: false,
            name: user.name.clone(),
            account: "111122223333",
            count: 1,
            lasts: Lasts::Looks(2),
            stale: 0,
            refuses: None,
            changing: None,
            sent: Vec::new(),
            held: None,
        };
        let state = Arc::new(Mutex::new(state));
        let double = Self { server: Arc::clone(server), user, memorydb, url, state };
        let router = Router::new().fallback(answer).with_state(double.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        double
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// What a user of ElastiCache is called by is another name than the one that it logs in by.
    fn id(&self) -> String {
        if self.memorydb { self.user.name.clone() } else { format!("id-{}", self.user.name) }
    }

    pub fn arn(&self) -> String {
        let (service, mark) = if self.memorydb { ("memorydb", '/') } else { ("elasticache", ':') };
        format!("arn:aws:{service}:us-east-1:111122223333:user{mark}{}", self.id())
    }

    /// AWS's form, with the cache beside it.
    pub fn document(&self) -> Value {
        let mut document = self.hostless();
        document["host"] = json!("localhost");
        document["port"] = json!(self.server.port);
        document["ssl"] = json!(true);
        document
    }

    /// AWS's form.
    pub fn hostless(&self) -> Value {
        json!({
            "password": self.user.password, "username": self.user.name, "user_arn": self.arn(),
            "note": "kept",
        })
    }

    /// What a function needs to reach both.
    pub fn environment(&self, more: &[(&str, &str)]) -> Environment {
        let more = more.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        let endpoint = [("AWS_ENDPOINT_URL".to_owned(), self.url.clone())];
        self.server.variables().into_iter().chain(endpoint).chain(more).collect()
    }

    /// A stage whose secret is listed as the one that rotates this user.
    pub fn stage(&self, document: &Value, more: &[(&str, &str)]) -> Stage {
        let environment = self.environment(&[]);
        let stage = Stage::of(rotate_redis::strategies, &document.to_string(), environment);
        let listed = format!("{}={}", arn_of(&stage), self.arn());
        self.beside(&stage, &[&[("MANAGED_USERS", listed.as_str())][..], more].concat())
    }

    /// The same secret, rotated by a function with these variables.
    pub fn beside(&self, stage: &Stage, more: &[(&str, &str)]) -> Stage {
        let other = Stage::of(rotate_redis::strategies, "unused", self.environment(more));
        Stage { store: Arc::clone(&stage.store), secret: stage.secret.clone(), ..other }
    }

    pub async fn logs_in(&self, password: &str) -> bool {
        self.server.logs_in(&self.user.name, password).await
    }

    /// The change that is under way is done now.
    pub async fn finish(&self) {
        let changing = self.state().changing.take();
        let Some((passwords, _)) = changing else { return };
        self.set(&passwords).await;
    }

    /// Somebody else changes the user by hand, at once.
    pub async fn set(&self, passwords: &[String]) {
        let set = passwords.iter().map(|one| format!(">{one}"));
        let rules: Vec<String> = ["resetpass".to_owned()].into_iter().chain(set).collect();
        let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
        self.server.set(&self.user.name, &rules).await;
        self.state().count = passwords.len();
    }

    /// The next look is answered no sooner than this says: what tells that it came, and what lets it go.
    pub fn hold(&self) -> (oneshot::Receiver<()>, oneshot::Sender<()>) {
        let ((came, arrival), (release, go)) = (oneshot::channel(), oneshot::channel());
        self.state().held = Some((came, go));
        (arrival, release)
    }

    async fn describe(&self) -> String {
        let held = self.state().held.take();
        if let Some((came, go)) = held {
            came.send(()).unwrap();
            go.await.unwrap();
        }
        let done = {
            let mut state = self.state();
            let lasts = state.lasts;
            match &mut state.changing {
                Some((_, looks)) => {
                    *looks += 1;
                    matches!(lasts, Lasts::Looks(most) if *looks >= most)
                }
                None => false,
            }
        };
        if done {
            self.finish().await;
        }
        self.status()
    }

    fn status(&self) -> String {
        let state = self.state();
        let seen = state.changing.as_ref().is_some_and(|(_, looks)| *looks > state.stale);
        match (state.deleting, seen) {
            (true, _) => "deleting".to_owned(),
            (_, true) => "modifying".to_owned(),
            _ => "active".to_owned(),
        }
    }

    /// The answer to a call: the status of the user, or a code.
    async fn call(
        &self,
        operation: &str,
        id: &str,
        passwords: Vec<String>,
    ) -> Result<String, &'static str> {
        {
            let state = self.state();
            if let Some((_, code)) = state.refuses.filter(|(of, _)| *of == operation) {
                return Err(code);
            }
            if state.missing || id != self.id() {
                return Err("UserNotFound");
            }
        }
        if operation == "DescribeUsers" {
            return Ok(self.describe().await);
        }
        assert!(["ModifyUser", "UpdateUser"].contains(&operation), "{operation}");
        let mut state = self.state();
        if state.changing.is_some() || state.deleting {
            return Err("InvalidUserState");
        }
        if passwords.is_empty() || passwords.len() > 2 || passwords.iter().any(|one| one.len() < 16)
        {
            return Err("InvalidParameterValue");
        }
        state.sent.push(passwords.clone());
        state.changing = Some((passwords, 0));
        Ok("modifying".to_owned())
    }

    fn xml(&self, operation: &str, status: &str) -> String {
        let state = self.state();
        let groups = "<member>group</member>".repeat(state.groups);
        let arn = self.arn().replace("111122223333", state.account);
        let user = format!(
            "<UserId>{}</UserId><UserName>{}</UserName><Status>{status}</Status><Engine>valkey</Engine>\
             <UserGroupIds>{groups}</UserGroupIds><Authentication><Type>{}</Type>\
             <PasswordCount>{}</PasswordCount></Authentication><ARN>{arn}</ARN>",
            self.id(),
            state.name,
            state.authentication,
            state.count
        );
        let user = match operation {
            "DescribeUsers" => format!("<Users><member>{user}</member></Users>"),
            _ => user,
        };
        format!(
            "<{operation}Response xmlns=\"http://elasticache.amazonaws.com/doc/2015-02-02/\">\
             <{operation}Result>{user}</{operation}Result></{operation}Response>"
        )
    }

    fn json(&self, operation: &str, status: &str) -> String {
        let state = self.state();
        let user = json!({
            "Name": state.name, "Status": status, "ACLNames": vec!["acl"; state.groups],
            "Authentication": {"Type": state.authentication, "PasswordCount": state.count},
            "ARN": self.arn().replace("111122223333", state.account),
        });
        match operation {
            "DescribeUsers" => json!({ "Users": [user] }),
            _ => json!({ "User": user }),
        }
        .to_string()
    }
}

/// A request of either protocol. The service's own message quotes what was sent, as some do.
async fn answer(
    Extracted(double): Extracted<Double>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, String) {
    let body = String::from_utf8(body.to_vec()).unwrap();
    let target = headers.get("x-amz-target").map(|one| one.to_str().unwrap().to_owned());
    assert_eq!(target.is_some(), double.memorydb, "{target:?}");
    let signed = headers["authorization"].to_str().unwrap();
    let service = if double.memorydb { "/memorydb/" } else { "/elasticache/" };
    assert!(signed.contains(service), "{signed}");
    let Some(target) = target else {
        let fields: Vec<(String, String)> = body
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (decoded(name), decoded(value)))
            .collect();
        let field =
            |name: &str| fields.iter().find(|(one, _)| one == name).map(|(_, value)| value.clone());
        let operation = field("Action").unwrap();
        let passwords = fields.iter().filter(|(name, _)| name.starts_with("Passwords.member."));
        let passwords: Vec<String> = passwords.map(|(_, value)| value.clone()).collect();
        let quoted = passwords.join(" ").replace(['<', '&'], "?");
        return match double.call(&operation, &field("UserId").unwrap(), passwords).await {
            Ok(status) => (StatusCode::OK, double.xml(&operation, &status)),
            Err(code) => (
                StatusCode::BAD_REQUEST,
                format!(
                    "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{quoted}\
                     </Message></Error><RequestId>1</RequestId></ErrorResponse>"
                ),
            ),
        };
    };
    let operation = target.strip_prefix("AmazonMemoryDB.").unwrap().to_owned();
    let request: Value = serde_json::from_str(&body).unwrap();
    let passwords =
        request["AuthenticationMode"]["Passwords"].as_array().cloned().unwrap_or_default();
    let passwords = passwords.iter().map(|one| one.as_str().unwrap().to_owned()).collect();
    match double.call(&operation, request["UserName"].as_str().unwrap(), passwords).await {
        Ok(status) => (StatusCode::OK, double.json(&operation, &status)),
        Err(code) => {
            let code = match code {
                "UserNotFound" => "UserNotFoundFault",
                "InvalidUserState" => "InvalidUserStateFault",
                "InvalidParameterValue" => "InvalidParameterValueException",
                other => other,
            };
            (StatusCode::BAD_REQUEST, json!({"__type": code, "message": body}).to_string())
        }
    }
}

/// A part of a form: percent-encoded, with `+` for a space.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let hex = [rest.next().unwrap(), rest.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&hex).unwrap(), 16).unwrap()
            }
            other => other,
        });
    }
    String::from_utf8(bytes).unwrap()
}
