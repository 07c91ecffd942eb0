//! Secrets and functions of an account that was built with AWS's templates.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use fourstep::{SecretId, VersionId};
use fourstep_cli::account::text;
use fourstep_local::{NewRotation, NewSecret, RotationRules};
use serde_json::{Value, json};

use super::front::{CANARY, ESCAPE, Scene, answered};

/// The ARN of a function.
pub fn arn(name: &str) -> String {
    format!("arn:aws:lambda:us-east-1:000000000000:function:{name}")
}

/// What AWS says to whoever has no permission.
pub fn refused() -> Response {
    let headers = [("x-amzn-errortype", "AccessDeniedException")];
    (StatusCode::BAD_REQUEST, headers, "{}").into_response()
}

/// A folder for the file of a test.
pub fn file() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("moves.json");
    (folder, file)
}

impl Scene {
    /// A function of AWS's, with this description and these variables.
    pub fn templated(&self, name: &str, description: &str, variables: Value) {
        let mut variables = variables;
        variables["SECRETS_MANAGER_ENDPOINT"] =
            "https://secretsmanager.us-east-1.amazonaws.com".into();
        variables["SOMETHING_OF_ITS_OWN"] = CANARY.into();
        self.function(
            name,
            json!({
                "Runtime": "python3.9", "Handler": "lambda_function.lambda_handler",
                "Description": description, "Environment": {"Variables": variables},
            }),
        );
    }

    /// A function of ours.
    pub fn ours(&self, name: &str, variables: Value) {
        self.function(
            name,
            json!({
                "Runtime": "provided.al2023", "Handler": "bootstrap", "Description": format!("ours{ESCAPE}"),
                "Environment": {"Variables": variables},
            }),
        );
    }

    /// A function of which Lambda says this.
    pub fn function(&self, name: &str, said: Value) {
        let mut said = said;
        said["FunctionName"] = name.into();
        said["FunctionArn"] = arn(name).into();
        self.functions.lock().unwrap().insert(name.to_owned(), said);
    }

    /// A secret that a function rotates, every so many days or by another rule.
    pub fn rotated_by(&self, name: &str, function: &str, rules: RotationRules) {
        let value = Some(format!("{{\"password\": \"{CANARY}\"}}").as_str().into());
        self.store.create(name, NewSecret { value, ..NewSecret::default() }).unwrap();
        let id = SecretId::parse(name).unwrap();
        let token = VersionId::from_store(uuid::Uuid::new_v4().to_string());
        let rotation = NewRotation {
            token: token.clone(),
            lambda_arn: Some(arn(function)),
            rules: Some(rules),
            immediately: false,
        };
        self.store.rotate(&id, &rotation).unwrap();
        self.store.end_test(&id, &token).unwrap();
    }

    /// Everything that a move must leave as it is, and the function.
    pub fn state(&self, name: &str) -> (BTreeMap<String, String>, String, Value) {
        let detail = self.store.describe(&SecretId::parse(name).unwrap()).unwrap();
        let rules = detail.rotation_rules.clone().unwrap();
        let rules = json!([
            rules.automatically_after_days,
            rules.schedule_expression,
            rules.duration,
            detail.rotation_enabled,
            detail.last_rotated.is_some(),
        ]);
        (self.labels(name), detail.rotation_lambda_arn.unwrap_or_default(), rules)
    }

    pub fn logs(&self, body: &Value) -> Response {
        self.calls.lock().unwrap().insert("logs:FilterLogEvents".to_owned());
        if *self.sealed.lock().unwrap() {
            return refused();
        }
        let group = body["logGroupName"].as_str().unwrap();
        assert!(group.starts_with("/aws/lambda/fourstep-"), "{group}");
        let (log, now) = (self.log.lock().unwrap(), text::now());
        let (from, until) = (body["startTime"].as_i64().unwrap(), body["endTime"].as_i64());
        let line = |line: &String| {
            let said: Value = serde_json::from_str(line).unwrap_or_default();
            let at = said["at"].as_i64().unwrap_or(now - said["age"].as_i64().unwrap_or(0));
            (1_000 * at, line.clone())
        };
        let mut lines: Vec<_> = log.iter().map(line).collect();
        lines.retain(|(at, _)| *at >= from && until.is_none_or(|until| *at <= until));
        lines.sort_by_key(|(at, _)| *at);
        let size = Some(*self.paged.lock().unwrap()).filter(|size| *size > 0);
        let first = body["nextToken"].as_str().map_or(0, |token| token.parse().unwrap());
        let size = size.unwrap_or(lines.len());
        let page = lines.iter().skip(first).take(size);
        let events: Vec<_> =
            page.map(|(at, line)| json!({"timestamp": at, "message": line})).collect();
        let next = (first + size < lines.len()).then(|| (first + size).to_string());
        answered(json!({"events": events, "nextToken": next}))
    }

    /// As AWS would, where a filter takes what begins with its text: all of these.
    pub fn listed(&self, secrets: &[&str]) -> Response {
        self.calls.lock().unwrap().insert("secretsmanager:ListSecrets".to_owned());
        let entry = |name: &&str| {
            let detail = self.store.describe(&SecretId::parse(name).unwrap()).unwrap();
            let tag = |(key, value)| json!({"Key": key, "Value": value});
            json!({"ARN": detail.arn, "Tags": detail.tags.into_iter().map(tag).collect::<Vec<_>>()})
        };
        answered(json!({"SecretList": secrets.iter().map(entry).collect::<Vec<_>>()}))
    }

    /// A function that a test described.
    pub fn described(&self, path: &str) -> Option<Response> {
        let named = path.split('/').nth(3).unwrap();
        let named = percent_encoding::percent_decode_str(named).decode_utf8().unwrap();
        let name = named.rsplit(':').next().unwrap();
        if path.starts_with("/2017-03-31/tags/") {
            let tags = self.tags.lock().unwrap().get(name).cloned().unwrap_or(json!({}));
            return Some(answered(json!({"Tags": tags})));
        }
        let functions = self.functions.lock().unwrap();
        let found = functions.get(name).filter(|_| path.ends_with("/configuration"))?.clone();
        Some(if found["refused"] == true { refused() } else { answered(found) })
    }

    /// What becomes of the schedule of a secret that got a function.
    pub fn schedule(&self, secret: &str, rules: &Value) {
        if *self.forgets.lock().unwrap() {
            let name = self.store.describe(&SecretId::parse(secret).unwrap()).unwrap().name;
            let rules =
                if rules.is_null() { json!({"AutomaticallyAfterDays": 1}) } else { rules.clone() };
            self.besides.lock().unwrap().insert(name, json!({"RotationRules": rules}));
        }
    }

    /// An answer of DescribeSecret with what a test says of the secret besides.
    pub async fn besides(&self, secret: &str, answer: Response) -> Response {
        if !answer.status().is_success() {
            return answer;
        }
        let (parts, body) = answer.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        let mut said: Value = serde_json::from_slice(&body).unwrap();
        let name = said["Name"].as_str().unwrap_or(secret).to_owned();
        let besides = self.besides.lock().unwrap().get(&name).cloned().unwrap_or(json!({}));
        said.as_object_mut().unwrap().extend(besides.as_object().unwrap().clone());
        let mut late = self.late.lock().unwrap();
        if *late > 0 && !self.asked.lock().unwrap().is_empty() {
            *late -= 1;
            said["RotationLambdaARN"] = arn("SecretsManagerRDSPostgreSQLRotationSingleUser").into();
        }
        drop(late);
        let length = said.to_string().len();
        let mut answer = Response::from_parts(parts, Body::from(said.to_string()));
        answer.headers_mut().insert("content-length", length.into());
        answer
    }
}

/// Three secrets that AWS's functions rotate by three kinds of rules, and functions of ours for them.
pub fn fleet() -> (Arc<Scene>, [&'static str; 3]) {
    let scene = Arc::new(Scene::default());
    let names = ["a/postgres", "b/mysql", "c/pair"];
    scene.templated("SecretsManagerRDSPostgreSQLRotationSingleUser", "", json!({}));
    scene.templated(
        "rotates-mysql",
        "Rotates a Secrets Manager secret for Amazon RDS MySQL credentials using the single user \
         rotation strategy.",
        json!({}),
    );
    scene.templated("mine", "", json!({"EXCLUDE_CHARACTERS": "/@\"'\\:"}));
    let application = "arn:aws:serverlessrepo:us-east-1:1:applications/SecretsManagerRDSPostgreSQLRotationMultiUser";
    scene
        .tags
        .lock()
        .unwrap()
        .insert("mine".into(), json!({"serverlessrepo:applicationId": application}));
    scene.ours(
        "fourstep-postgres",
        json!({"ROTATION_STRATEGY": "single-user,alternating-users", "ADOPT_USERS": "app_clone"}),
    );
    scene.ours("fourstep-mysql", json!({}));
    let days = RotationRules { automatically_after_days: Some(30), ..RotationRules::default() };
    let rate = RotationRules {
        schedule_expression: Some("rate(10 days)".into()),
        ..RotationRules::default()
    };
    let cron = RotationRules {
        schedule_expression: Some("cron(0 3 ? * SUN *)".into()),
        duration: Some("3h".into()),
        ..RotationRules::default()
    };
    scene.rotated_by(names[0], "SecretsManagerRDSPostgreSQLRotationSingleUser", days);
    scene.rotated_by(names[1], "rotates-mysql", rate);
    scene.rotated_by(names[2], "mine", cron);
    let tag = ("fourstep:strategy".to_owned(), "alternating-users".to_owned());
    scene.store.tag(&SecretId::parse("c/pair").unwrap(), BTreeMap::from([tag])).unwrap();
    *scene.test.lock().unwrap() = Some((true, "a rotation would succeed"));
    (scene, names)
}
