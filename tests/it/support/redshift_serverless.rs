//! The Redshift Serverless API as far as its reference and botocore's model describe three operations: an account of
//! 150 namespaces with a workgroup each, of which a list shows 100 at a time. Nothing of this was compared with AWS.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State as Extracted;
use axum::http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::skip;

pub const ACCOUNT: &str = "111122223333";
/// The Region in which the tests ask.
pub const REGION: &str = "us-east-1";

const COUNT: usize = 150;
const PAGE: usize = 100;

/// How the API answers.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub enum Mood {
    #[default]
    Well,
    /// It refuses this operation with this code.
    Refuses(&'static str, &'static str),
    Silent,
    /// A page of somebody else's, with this status.
    Nonsense(u16),
    /// An object of so many bytes.
    Large(usize),
}

#[derive(Default)]
struct State {
    mood: Mood,
    /// What was asked, in order.
    asked: Vec<String>,
    /// What differs from the rule: pointers into the answers.
    changed: Vec<(&'static str, Value)>,
}

#[derive(Clone)]
pub struct Double {
    pub url: String,
    state: Arc<Mutex<State>>,
}

impl Double {
    /// The API, or None after skipping aloud: requests are signed by what the environment has.
    pub async fn start() -> Option<Self> {
        if std::env::var("AWS_REGION").as_deref() != Ok(REGION) {
            skip("AWS_REGION");
            return None;
        }
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let double = Self { url, state: Arc::default() };
        let router = Router::new().fallback(answer).with_state(double.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Some(double)
    }

    pub fn is(&self, mood: Mood) {
        self.state.lock().unwrap().mood = mood;
    }

    /// Has the answers say something else here.
    pub fn change(&self, pointer: &'static str, value: Value) {
        self.state.lock().unwrap().changed.push((pointer, value));
    }

    /// What was asked since the last time, in order.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().unwrap().asked)
    }

    fn reply(&self, operation: &str, question: &Value) -> (StatusCode, String) {
        let name = |field: &str| question[field].as_str().unwrap_or_default().to_owned();
        let index = |name: &str, stem: &str| -> Option<usize> {
            name.strip_prefix(stem)?.parse().ok().filter(|index| *index < COUNT)
        };
        let found = match operation {
            "GetWorkgroup" => index(&name("workgroupName"), "workgroup-")
                .map(|index| json!({"workgroup": workgroup(index)})),
            "GetNamespace" => index(&name("namespaceName"), "namespace-")
                .map(|index| json!({"namespace": namespace(index)})),
            "ListNamespaces" => {
                let from: usize = name("nextToken").parse().unwrap_or_default();
                let until = COUNT.min(from + PAGE);
                let page: Vec<_> = (from..until).map(namespace).collect();
                let next = (until < COUNT).then(|| until.to_string());
                Some(json!({"namespaces": page, "nextToken": next}))
            }
            _ => return refusal("UnknownOperationException", "no such operation"),
        };
        let Some(mut found) = found else {
            return refusal("ResourceNotFoundException", "there is none of this name");
        };
        for (pointer, value) in &self.state.lock().unwrap().changed {
            if let Some(place) = found.pointer_mut(pointer) {
                *place = value.clone();
            }
        }
        (StatusCode::OK, found.to_string())
    }
}

pub fn host(index: usize) -> String {
    format!("workgroup-{index}.{ACCOUNT}.{REGION}.redshift-serverless.amazonaws.com")
}

pub fn namespace_arn(index: usize) -> String {
    format!("arn:aws:redshift-serverless:{REGION}:{ACCOUNT}:namespace/id-{index}")
}

/// The secret that Redshift manages for the admin of this one.
pub fn secret_arn(index: usize) -> String {
    format!(
        "arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:redshift!namespace-{index}-admin-AbCdEf"
    )
}

fn workgroup(index: usize) -> Value {
    json!({
        "workgroupName": format!("workgroup-{index}"), "namespaceName": format!("namespace-{index}"),
        "workgroupArn": format!("arn:aws:redshift-serverless:{REGION}:{ACCOUNT}:workgroup/id-{index}"),
        "status": "AVAILABLE", "port": 5439, "baseCapacity": 8, "publiclyAccessible": false,
        "endpoint": {"address": host(index), "port": 5439, "vpcEndpoints": [{"vpcId": "vpc-1"}]},
    })
}

fn namespace(index: usize) -> Value {
    json!({
        "namespaceName": format!("namespace-{index}"), "namespaceArn": namespace_arn(index),
        "namespaceId": format!("id-{index}"), "status": "AVAILABLE", "dbName": "dev",
        "adminUsername": "admin", "adminPasswordSecretArn": secret_arn(index),
    })
}

fn refusal(code: &str, message: &str) -> (StatusCode, String) {
    let body =
        json!({"__type": format!("com.amazonaws.redshiftserverless#{code}"), "message": message});
    (StatusCode::BAD_REQUEST, body.to_string())
}

async fn answer(
    Extracted(double): Extracted<Double>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, String) {
    let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    let target = header("x-amz-target").unwrap_or_default();
    let operation = target.strip_prefix("RedshiftServerless.").unwrap_or_default().to_owned();
    let question: Value = serde_json::from_slice(&body).unwrap_or_default();
    let signature = header("authorization").unwrap_or_default();
    let scope = format!("/{REGION}/redshift-serverless/aws4_request");
    let is_signed = signature.starts_with("AWS4-HMAC-SHA256 Credential=")
        && signature.contains(&scope)
        && signature.contains("SignedHeaders=content-type;host;x-amz-date");
    if !is_signed || header("content-type").as_deref() != Some("application/x-amz-json-1.1") {
        return refusal("IncompleteSignature", &format!("not signed: {signature}"));
    }
    let mood = {
        let mut state = double.state.lock().unwrap();
        state.asked.push(format!("{operation} {question}"));
        state.mood
    };
    match mood {
        Mood::Well => double.reply(&operation, &question),
        Mood::Refuses(what, code) if what == operation => {
            let (what, on) = match what.strip_prefix("Get") {
                Some("Workgroup") => (what, "workgroup/id"),
                _ => (what, "namespace/id"),
            };
            let message = match code {
                "AccessDeniedException" => format!(
                    "User: arn:aws:sts::{ACCOUNT}:assumed-role/fourstep/f is not authorized to perform: \
                     redshift-serverless:{what} on resource: arn:aws:redshift-serverless:{REGION}:{ACCOUNT}:{on} because \
                     no identity-based policy allows the redshift-serverless:{what} action"
                ),
                _ => "Rate exceeded".to_owned(),
            };
            refusal(code, &message)
        }
        Mood::Refuses(..) => double.reply(&operation, &question),
        Mood::Silent => {
            tokio::time::sleep(Duration::from_secs(60)).await;
            double.reply(&operation, &question)
        }
        Mood::Nonsense(status) => {
            let status = StatusCode::from_u16(status).unwrap();
            (status, "<html><body>Please log in to the network</body></html>".to_owned())
        }
        Mood::Large(bytes) => {
            let long = "x".repeat(bytes);
            (StatusCode::OK, json!({"workgroup": workgroup(149), "long": long}).to_string())
        }
    }
}
