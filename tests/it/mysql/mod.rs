//! rotate-mysql at a real MySQL and a real MariaDB: each test at both, where it applies to both.

pub mod alternating;
mod conformance;
mod dual_password;
mod kills;
mod leaks;
mod other_logins;
mod policies;
mod recovery;
pub mod sessions;
mod single_user;
mod transport;

use fourstep::Step;
use serde_json::Value;

const CREATE_AND_SET: [Step; 2] = [Step::Create, Step::Set];

const DUAL: [(&str, &str); 1] = [("ROTATION_STRATEGY", "dual-password")];

fn with(document: &Value, field: &str, value: impl Into<Value>) -> Value {
    let mut changed = document.clone();
    changed[field] = value.into();
    changed
}
