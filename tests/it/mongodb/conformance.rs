//! The author's kit asks the real thing: each strategy at a real MongoDB.

use async_trait::async_trait;
use fourstep::{Environment, Rotator, Secret};
use fourstep_testing::{Overlap, Remote, Testbed, Wire, conformance};
use serde_json::json;

use crate::support::mongodb::{Server, User, mongodb, replica_set};

struct Real {
    server: Server,
    strategy: &'static str,
}

impl Real {
    async fn account(&self, user: User) -> Box<dyn Remote> {
        let (server, strategy) = (self.server.clone(), self.strategy);
        Box::new(Account { admin: server.admin().await, server, strategy, user })
    }
}

#[async_trait]
impl Testbed for Real {
    fn overlap(&self) -> Overlap {
        if self.strategy == "alternating-users" { Overlap::Full } else { Overlap::None }
    }

    async fn fresh(&self, _: &Wire) -> Box<dyn Remote> {
        self.account(self.server.user("conformance").await).await
    }

    async fn named(&self, _: &Wire, user: &str, password: &str) -> Option<Box<dyn Remote>> {
        // The client that is asked takes no lone NUL or such for a name either.
        let user = User { name: Server::name(user), password: password.to_owned() };
        let _ = self.server.user("role").await;
        self.server.create(&user, "admin", json!([crate::support::mongodb::OWN])).await;
        Some(self.account(user).await)
    }
}

struct Account {
    server: Server,
    strategy: &'static str,
    user: User,
    admin: User,
}

#[async_trait]
impl Remote for Account {
    fn rotator(&self) -> Box<dyn Rotator> {
        let strategy = [("ROTATION_STRATEGY".to_owned(), self.strategy.to_owned())];
        let environment: Environment =
            self.server.variables().into_iter().chain(strategy).collect();
        Box::new(rotate_mongodb::strategies(&environment).unwrap())
    }

    fn secret(&self) -> String {
        let mut document = self.server.document(&self.user);
        if self.strategy != "single-user" {
            document["masterarn"] = json!("admin");
        }
        document.to_string()
    }

    fn other_secrets(&self) -> Vec<(&'static str, String)> {
        vec![("admin", self.server.document(&self.admin).to_string())]
    }

    fn credential(&self) -> &'static [&'static str] {
        match self.strategy {
            "alternating-users" => &["username", "password"],
            _ => &["password"],
        }
    }

    fn replaces(&self) -> bool {
        self.strategy == "alternating-users"
    }

    /// Asked of a client that shares no code with the rotator.
    async fn accepts(&self, secret: &Secret) -> bool {
        let document = secret.document().unwrap();
        let password = document.required("password").unwrap();
        self.server.logs_in(document.required("username").unwrap(), password).await
    }

    fn out_of_reach(&self) -> Option<String> {
        let mut document: serde_json::Value = serde_json::from_str(&self.secret()).unwrap();
        // Reserved, and closed on any machine.
        document["port"] = json!(1);
        Some(document.to_string())
    }
}

async fn conforms(server: Server, strategy: &'static str) {
    let report = conformance(&Real { server, strategy }).await;
    eprintln!("{strategy}: {report}");
    report.assert_safe();
}

#[tokio::test]
async fn rotate_mongodb_conforms_at_a_real_server() {
    let Some(server) = mongodb() else { return };
    conforms(server, "single-user").await;
}

#[tokio::test]
async fn rotate_mongodb_conforms_with_an_admin_at_a_real_replica_set() {
    let Some(server) = replica_set() else { return };
    conforms(server, "single-user-by-admin").await;
}

#[tokio::test]
async fn rotate_mongodb_conforms_with_two_users_at_a_real_server() {
    let Some(server) = mongodb() else { return };
    conforms(server, "alternating-users").await;
}
