//! The author's kit asks rotate-postgres at the front of Redshift, by both strategies.

use async_trait::async_trait;
use fourstep::{Environment, Rotator, Secret};
use fourstep_testing::{Overlap, Remote, Testbed, Wire, conformance};
use serde_json::{Value, json};

use crate::support::postgres::User;
use crate::support::redshift::{Front, front};

const PAIR: &str = "alternating-users";

struct Redshift {
    front: Front,
    strategy: &'static str,
}

impl Redshift {
    async fn account(&self, user: User) -> Box<dyn Remote> {
        let (front, strategy) = (self.front.clone(), self.strategy);
        Box::new(Account { admin: front.admin().await, front, strategy, user })
    }
}

#[async_trait]
impl Testbed for Redshift {
    fn overlap(&self) -> Overlap {
        if self.strategy == PAIR { Overlap::Full } else { Overlap::None }
    }

    async fn fresh(&self, _: &Wire) -> Box<dyn Remote> {
        self.account(self.front.user("conformance").await).await
    }

    async fn named(&self, _: &Wire, user: &str, password: &str) -> Option<Box<dyn Remote>> {
        // What Redshift would read as another name is refused by name.
        let name = user.to_ascii_lowercase().replace('\\', "");
        // A mark holds the other user's name, and the real server cuts names off after 63 bytes.
        if self.strategy == PAIR && name.len() > 14 {
            return None;
        }
        Some(self.account(self.front.user_with(&name, password).await).await)
    }
}

struct Account {
    front: Front,
    strategy: &'static str,
    user: User,
    admin: User,
}

#[async_trait]
impl Remote for Account {
    fn rotator(&self) -> Box<dyn Rotator> {
        let strategy = [("ROTATION_STRATEGY".to_owned(), self.strategy.to_owned())];
        let environment: Environment = self.front.variables().into_iter().chain(strategy).collect();
        Box::new(rotate_postgres::strategies(&environment).unwrap())
    }

    fn secret(&self) -> String {
        let mut document = self.front.document(&self.user);
        if self.strategy != "single-user" {
            document["masterarn"] = json!("admin");
        }
        document.to_string()
    }

    fn other_secrets(&self) -> Vec<(&'static str, String)> {
        vec![("admin", self.front.document(&self.admin).to_string())]
    }

    fn credential(&self) -> &'static [&'static str] {
        if self.strategy == PAIR { &["username", "password"] } else { &["password"] }
    }

    fn replaces(&self) -> bool {
        self.strategy == PAIR
    }

    async fn accepts(&self, secret: &Secret) -> bool {
        let document = secret.document().unwrap();
        let password = document.required("password").unwrap();
        self.front.accepts(document.required("username").unwrap(), password)
    }

    fn applies_late(&self) -> bool {
        self.strategy != PAIR
    }

    fn out_of_reach(&self) -> Option<String> {
        let mut document: Value = serde_json::from_str(&self.secret()).unwrap();
        // Reserved, and closed on any machine.
        document["port"] = json!(1);
        Some(document.to_string())
    }
}

async fn conforms(strategy: &'static str) {
    let Some(front) = front().await else { return };
    let report = conformance(&Redshift { front, strategy }).await;
    eprintln!("{strategy}: {report}");
    report.assert_safe();
}

#[tokio::test]
async fn rotate_postgres_conforms_before_the_front_of_redshift() {
    conforms("single-user").await;
}

#[tokio::test]
async fn rotate_postgres_conforms_with_an_admin_before_the_front_of_redshift() {
    conforms("single-user-by-admin").await;
}

#[tokio::test]
async fn rotate_postgres_conforms_with_two_users_before_the_front_of_redshift() {
    conforms(PAIR).await;
}
