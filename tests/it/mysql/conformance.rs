//! The author's kit asks the real thing: rotate-mysql at a real MySQL and MariaDB.

use async_trait::async_trait;
use fourstep::{Environment, Rotator, Secret};
use fourstep_testing::{Overlap, Remote, Testbed, Wire, conformance};
use serde_json::json;

use super::DUAL;
use crate::support::mysql::{Server, User, mysql, servers};

struct Real {
    server: Server,
    dual: bool,
}

impl Real {
    async fn one(&self, user: User) -> Box<dyn Remote> {
        if self.dual {
            let name = user.name.replace('\'', "''");
            let grant = format!("GRANT APPLICATION_PASSWORD_ADMIN ON *.* TO '{name}'@'127.%'");
            self.server.arrange(&grant).await;
        }
        Box::new(RealUser { server: self.server.clone(), dual: self.dual, user })
    }
}

#[async_trait]
impl Testbed for Real {
    fn overlap(&self) -> Overlap {
        if self.dual { Overlap::Full } else { Overlap::None }
    }

    async fn fresh(&self, _: &Wire) -> Box<dyn Remote> {
        self.one(self.server.user("conformance").await).await
    }

    async fn named(&self, _: &Wire, user: &str, password: &str) -> Option<Box<dyn Remote>> {
        Some(self.one(self.server.user_with(user, password).await).await)
    }
}

struct RealUser {
    server: Server,
    dual: bool,
    user: User,
}

#[async_trait]
impl Remote for RealUser {
    fn rotator(&self) -> Box<dyn Rotator> {
        let dual = DUAL.iter().filter(|_| self.dual);
        let dual = dual.map(|(name, value)| (name.to_string(), value.to_string()));
        let environment: Environment = self.server.variables().into_iter().chain(dual).collect();
        Box::new(rotate_mysql::strategies(&environment).unwrap())
    }

    fn secret(&self) -> String {
        self.server.document(&self.user).to_string()
    }

    /// Asked of a client that shares no code with the rotator.
    async fn accepts(&self, secret: &Secret) -> bool {
        let document = secret.document().unwrap();
        let password = document.required("password").unwrap();
        self.server.logs_in(document.required("username").unwrap(), password).await
    }

    fn replaces(&self) -> bool {
        self.dual
    }

    fn out_of_reach(&self) -> Option<String> {
        let mut document = self.server.document(&self.user);
        // Reserved, and closed on any machine.
        document["port"] = json!(1);
        Some(document.to_string())
    }
}

async fn assert_conforms(server: Server, dual: bool) {
    let report = conformance(&Real { server, dual }).await;
    eprintln!("{report}");
    report.assert_safe();
    let checks = report.sections.iter().filter(|section| section.runs > 0).count();
    assert_eq!(checks, report.sections.len(), "a check was left out");
}

#[tokio::test]
async fn rotate_mysql_conforms_at_real_servers() {
    for server in servers() {
        assert_conforms(server, false).await;
    }
}

#[tokio::test]
async fn rotate_mysql_conforms_with_two_passwords_at_a_real_server() {
    let Some(server) = mysql() else { return };
    assert_conforms(server, true).await;
}
