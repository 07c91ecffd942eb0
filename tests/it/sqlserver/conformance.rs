//! The author's kit asks rotate-sqlserver at the tests' server, by both strategies, with logins and with
//! contained users.

use async_trait::async_trait;
use fourstep::{Environment, Rotator, Secret};
use fourstep_testing::{Overlap, Remote, Testbed, Wire, conformance};
use serde_json::{Value, json};

use crate::support::program::every_point;
use crate::support::sqlserver::{Server, User, sqlserver};

/// A strategy, and whether the users are contained.
#[derive(Clone, Copy)]
struct Way(&'static str, bool);

struct Real {
    server: Server,
    way: Way,
}

impl Real {
    async fn account(&self, user: User) -> Box<dyn Remote> {
        let (server, way) = (self.server.clone(), self.way);
        let admin = match way.1 {
            true => {
                super::by_admin::admin_inside(&server, json!(["ALTER ANY USER", "VIEW DEFINITION"]))
                    .await
            }
            false => server.admin().await,
        };
        Box::new(Account { server, way, user, admin })
    }
}

#[async_trait]
impl Testbed for Real {
    fn overlap(&self) -> Overlap {
        Overlap::None
    }

    async fn fresh(&self, _: &Wire) -> Box<dyn Remote> {
        let user = match self.way.1 {
            true => self.server.contained_user("conformance").await,
            false => self.server.user("conformance").await,
        };
        self.account(user).await
    }

    async fn named(&self, _: &Wire, user: &str, password: &str) -> Option<Box<dyn Remote>> {
        // SQL Server's own rule for names: a backslash is that of a Windows domain.
        if user.contains('\\') {
            return None;
        }
        let user = User { name: Server::name(user), password: password.to_owned() };
        let key = user.name.to_lowercase();
        if self.way.1 {
            let inside = json!({"name": user.name, "password": user.password});
            self.server.set(&["databases", "own", "users", &key], inside).await;
        } else {
            self.server.add(&user, json!({})).await;
        }
        Some(self.account(user).await)
    }
}

struct Account {
    server: Server,
    way: Way,
    user: User,
    admin: User,
}

#[async_trait]
impl Remote for Account {
    fn rotator(&self) -> Box<dyn Rotator> {
        let strategy = [("ROTATION_STRATEGY".to_owned(), self.way.0.to_owned())];
        let environment: Environment =
            self.server.variables().into_iter().chain(strategy).collect();
        Box::new(rotate_sqlserver::strategies(&environment).unwrap())
    }

    fn secret(&self) -> String {
        let mut document = match self.way.1 {
            true => self.server.contained_document(&self.user),
            false => self.server.document(&self.user),
        };
        if self.way.0 != "single-user" {
            document["masterarn"] = json!("admin");
        }
        document.to_string()
    }

    fn other_secrets(&self) -> Vec<(&'static str, String)> {
        vec![("admin", self.server.document(&self.admin).to_string())]
    }

    /// Asked of a client that shares no code with the rotator.
    async fn accepts(&self, secret: &Secret) -> bool {
        let document = secret.document().unwrap();
        let required = |field| document.required(field).unwrap();
        let database = if self.way.1 { "own" } else { "master" };
        self.server.logs_in_at(database, required("username"), required("password")).await
    }

    fn out_of_reach(&self) -> Option<String> {
        let mut document: Value = serde_json::from_str(&self.secret()).unwrap();
        // Reserved, and closed on any machine.
        document["port"] = json!(1);
        Some(document.to_string())
    }
}

/// The kit's sweep of one way takes some ten seconds: of four, two run every time.
async fn conforms(strategy: &'static str, contained: bool) {
    if contained == (strategy == "single-user") && !every_point() {
        return;
    }
    let Some(server) = sqlserver().await else { return };
    let report = conformance(&Real { server, way: Way(strategy, contained) }).await;
    eprintln!("{strategy}, contained {contained}: {report}");
    report.assert_safe();
}

#[tokio::test]
async fn rotate_sqlserver_conforms_with_logins() {
    conforms("single-user", false).await;
}

#[tokio::test]
async fn rotate_sqlserver_conforms_with_contained_users() {
    conforms("single-user", true).await;
}

#[tokio::test]
async fn rotate_sqlserver_conforms_with_an_admin() {
    conforms("single-user-by-admin", false).await;
}

#[tokio::test]
async fn rotate_sqlserver_conforms_with_an_admin_of_contained_users() {
    conforms("single-user-by-admin", true).await;
}
