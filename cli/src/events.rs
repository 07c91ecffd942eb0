//! The events that Secrets Manager and Fourstep's own commands send to a function.

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

/// The labels of a version in an inspection.
pub fn labels(row: &Value) -> Vec<&str> {
    let labels = row.get("labels").and_then(Value::as_array);
    labels.into_iter().flatten().filter_map(Value::as_str).collect()
}
