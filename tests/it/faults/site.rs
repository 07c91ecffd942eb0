//! What a fault asks of the server that it stands on, whichever kind that is.

use async_trait::async_trait;
use serde_json::Value;

use crate::support::postgres::User;
use crate::support::stage::Stage;
use crate::support::{mysql, postgres};

/// A server with users whose passwords are rotated.
#[async_trait]
pub trait Site: Clone + Send + Sync + 'static {
    fn host(&self) -> &str;

    fn port(&self) -> u16;

    async fn new_user(&self) -> User;

    fn document(&self, user: &User) -> Value;

    /// A stage for this secret, and the function for this kind of server.
    fn stage(&self, document: &Value, variables: &[(&str, &str)]) -> Stage;

    /// Runs SQL as the administrator, who is logged nowhere.
    async fn arrange(&self, sql: &str);

    /// What the server keeps of the password: another one after every change.
    async fn kept(&self, user: &User) -> String;

    async fn logs_in(&self, user: &str, password: &str) -> bool;
}

#[async_trait]
impl Site for postgres::Server {
    fn host(&self) -> &str {
        &self.host
    }

    fn port(&self) -> u16 {
        self.port
    }

    async fn new_user(&self) -> User {
        self.user("fault").await
    }

    fn document(&self, user: &User) -> Value {
        self.document(user)
    }

    fn stage(&self, document: &Value, variables: &[(&str, &str)]) -> Stage {
        Stage::new(document, variables)
    }

    async fn arrange(&self, sql: &str) {
        self.arrange_quietly(sql).await;
    }

    async fn kept(&self, user: &User) -> String {
        self.verifier(user).await
    }

    async fn logs_in(&self, user: &str, password: &str) -> bool {
        self.logs_in(user, password).await
    }
}

#[async_trait]
impl Site for mysql::Server {
    fn host(&self) -> &str {
        &self.host
    }

    fn port(&self) -> u16 {
        self.port
    }

    async fn new_user(&self) -> User {
        self.user("fault").await
    }

    fn document(&self, user: &User) -> Value {
        self.document(user)
    }

    fn stage(&self, document: &Value, variables: &[(&str, &str)]) -> Stage {
        self.stage(document, variables)
    }

    async fn arrange(&self, sql: &str) {
        self.arrange(sql).await;
    }

    async fn kept(&self, user: &User) -> String {
        self.kept(user).await
    }

    async fn logs_in(&self, user: &str, password: &str) -> bool {
        self.logs_in(user, password).await
    }
}
