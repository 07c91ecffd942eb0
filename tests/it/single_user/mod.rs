//! Single user on a real PostgreSQL.

mod driver;
mod formats;
mod hostile;
mod logins;
mod moments;
mod recovery;
mod scripted;
mod steps;

use fourstep::Step;
use serde_json::Value;

const CREATE_AND_SET: [Step; 2] = [Step::Create, Step::Set];

fn with(document: &Value, field: &str, value: impl Into<Value>) -> Value {
    let mut changed = document.clone();
    changed[field] = value.into();
    changed
}
