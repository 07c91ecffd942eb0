//! Single user on a real PostgreSQL.

mod formats;
mod hostile;
mod logins;
mod recovery;
mod steps;

use fourstep::Step;
use serde_json::Value;
use sqlx::Row;

use crate::support::postgres::{Server, User};

const CREATE_AND_SET: [Step; 2] = [Step::Create, Step::Set];

fn with(document: &Value, field: &str, value: impl Into<Value>) -> Value {
    let mut changed = document.clone();
    changed[field] = value.into();
    changed
}

/// The stored verifier of a user: changes with every ALTER ROLE ... PASSWORD.
async fn verifier(server: &Server, user: &User) -> String {
    let mut connection = server.superuser().await;
    let query =
        sqlx::query("SELECT rolpassword FROM pg_authid WHERE rolname = $1").bind(&user.name);
    query.fetch_one(&mut connection).await.unwrap().get(0)
}
