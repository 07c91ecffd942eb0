//! The author's kit asks the real thing: rotate-postgres at a real PostgreSQL.

use std::sync::Arc;

use async_trait::async_trait;
use fourstep::users::{Driver, SingleUser};
use fourstep::{Environment, PasswordPolicy, Rotator, Secret};
use fourstep_testing::{Overlap, Remote, Testbed, Wire, conformance};
use rotate_postgres::{EXCLUDED_CHARACTERS, Postgres};
use serde_json::json;

use crate::support::postgres::{Server, User, server};

struct RealPostgres(Server);

#[async_trait]
impl Testbed for RealPostgres {
    fn overlap(&self) -> Overlap {
        Overlap::None
    }

    async fn fresh(&self, _: &Wire) -> Box<dyn Remote> {
        Box::new(RealUser { server: self.0.clone(), user: self.0.user("conformance").await })
    }

    async fn named(&self, _: &Wire, user: &str, password: &str) -> Option<Box<dyn Remote>> {
        Some(Box::new(RealUser {
            server: self.0.clone(),
            user: self.0.user_with(user, password).await,
        }))
    }
}

struct RealUser {
    server: Server,
    user: User,
}

#[async_trait]
impl Remote for RealUser {
    fn rotator(&self) -> Box<dyn Rotator> {
        let environment = Environment::default();
        let policy = PasswordPolicy::read(&environment, EXCLUDED_CHARACTERS).unwrap();
        let postgres = Postgres::read(&environment).unwrap();
        let driver = Driver::read(&environment, postgres).unwrap();
        Box::new(SingleUser::new(Arc::new(driver), policy))
    }

    fn secret(&self) -> String {
        self.server.document(&self.user).to_string()
    }

    /// Asked of a client that shares no code with the rotator.
    async fn accepts(&self, secret: &Secret) -> bool {
        let document = secret.document().unwrap();
        let password = document.required("password").unwrap();
        self.server.logs_in_somehow(document.required("username").unwrap(), password).await
    }

    fn out_of_reach(&self) -> Option<String> {
        let mut document = self.server.document(&self.user);
        // Reserved, and closed on any machine.
        document["port"] = json!(1);
        Some(document.to_string())
    }
}

#[tokio::test]
async fn rotate_postgres_conforms_at_a_real_server() {
    let Some(server) = server() else { return };
    let report = conformance(&RealPostgres(server)).await;
    eprintln!("{report}");
    report.assert_safe();
    let checks = report.sections.iter().filter(|section| section.runs > 0).count();
    assert_eq!(checks, report.sections.len(), "a check was left out");
}
