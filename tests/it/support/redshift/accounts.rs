//! Who is let in by which password, and what the bodies that several kinds of server share need of the front.

use async_trait::async_trait;
use serde_json::Value;

use super::wire::sha256;
use super::{Front, Kept};
use crate::support::accounts::Accounts;
use crate::support::postgres::User;
use crate::support::stage::Stage;

impl Front {
    /// Whether what the front keeps is of this password.
    pub fn accepts(&self, user: &str, password: &str) -> bool {
        match self.state.lock().unwrap().users.get(user) {
            Some(Kept::Digest { digest, salt }) => sha256(&[password.as_bytes(), salt]) == *digest,
            Some(Kept::Md5(kept) | Kept::Cleartext(kept)) => kept == password,
            Some(Kept::Disabled) | None => false,
        }
    }
}

#[async_trait]
impl Accounts for Front {
    const REFUSED: &'static str = "SQLSTATE 28000";
    const DEFAULT_PORT: u16 = 5439;

    async fn user(&self, stem: &str) -> User {
        self.user(stem).await
    }

    fn document(&self, user: &User) -> Value {
        self.document(user)
    }

    fn stage_of_text(&self, text: &str, variables: &[(&str, &str)]) -> Stage {
        self.stage_of_text(text, variables)
    }

    async fn logs_in(&self, user: &str, password: &str) -> bool {
        self.logs_in(user, password).await
    }

    async fn kept(&self, user: &str) -> String {
        format!("{:?}", self.state.lock().unwrap().users[user])
    }

    async fn set_password(&self, user: &str, password: &str) {
        self.state.lock().unwrap().users.insert(user.to_owned(), Kept::of(password));
    }
}
