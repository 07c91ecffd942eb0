//! What the bodies that several kinds of server share need of one: `tests/it/every_server.rs`.

use async_trait::async_trait;
use serde_json::Value;

use super::postgres::User;
use super::stage::Stage;

/// A server on which a user changes its own password.
#[async_trait]
pub trait Accounts: Sync {
    /// What an error of a refused password says of it.
    const REFUSED: &'static str;
    /// The port of a secret that names none.
    const DEFAULT_PORT: u16;

    /// A new user whose name begins with this.
    async fn user(&self, stem: &str) -> User;
    /// Its secret, over verified TLS.
    fn document(&self, user: &User) -> Value;
    /// A stage for a secret that holds this text.
    fn stage_of_text(&self, text: &str, variables: &[(&str, &str)]) -> Stage;
    /// Whether another client logs in.
    async fn logs_in(&self, user: &str, password: &str) -> bool;
    /// What the server keeps of a user: something else after every change of a password.
    async fn kept(&self, user: &str) -> String;
    /// Sets a user's password as an administrator does.
    async fn set_password(&self, user: &str, password: &str);

    /// A stage for a secret with this document.
    fn stage(&self, document: &Value, variables: &[(&str, &str)]) -> Stage {
        self.stage_of_text(&document.to_string(), variables)
    }
}
