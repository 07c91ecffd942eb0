//! The events that Secrets Manager and Fourstep's own commands send to a function.

use fourstep::store::{AWSCURRENT, AWSPENDING, AWSPREVIOUS};
use fourstep::{Question, Step};
use serde_json::{Value, json};

/// One step of a rotation, as Secrets Manager sends it, with a RotationToken of its own.
pub fn step(step: Step, secret_arn: &str, token: &str) -> Value {
    json!({
        "Step": step.name(),
        "SecretId": secret_arn,
        "ClientRequestToken": token,
        "RotationToken": uuid::Uuid::new_v4().to_string(),
    })
}

/// A question about a secret, which changes nothing.
pub fn question(question: Question, secret_arn: &str) -> Value {
    json!({"Fourstep": question.name(), "SecretId": secret_arn})
}

/// A text field of an answer; empty if it is not there.
pub fn text<'a>(answer: &'a Value, field: &str) -> &'a str {
    answer.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// Where a version stands among those of an inspection: in the order in which people think of them, not of
/// their random ids.
pub fn rank(row: &Value) -> [bool; 3] {
    let labels = labels(row);
    [AWSCURRENT, AWSPENDING, AWSPREVIOUS].map(|label| !labels.contains(&label))
}

/// The labels of a version in an inspection.
pub fn labels(row: &Value) -> Vec<&str> {
    let labels = row.get("labels").and_then(Value::as_array);
    labels.into_iter().flatten().filter_map(Value::as_str).collect()
}
