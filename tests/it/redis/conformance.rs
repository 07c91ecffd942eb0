//! The author's kit asks the real thing: rotate-redis at real servers.

use async_trait::async_trait;
use fourstep::{Environment, Rotator, Secret};
use fourstep_testing::{Overlap, Remote, Testbed, Wire, conformance};
use serde_json::json;

use super::{BY_ADMIN, DUAL};
use crate::support::redis::{Keeping, Server, User, flavours};

struct Real {
    server: std::sync::Arc<Server>,
    dual: bool,
}

impl Real {
    fn one(&self, user: User) -> Box<dyn Remote> {
        Box::new(RealUser { server: self.server.clone(), dual: self.dual, user })
    }
}

#[async_trait]
impl Testbed for Real {
    fn overlap(&self) -> Overlap {
        if self.dual { Overlap::Full } else { Overlap::None }
    }

    async fn fresh(&self, _: &Wire) -> Box<dyn Remote> {
        self.one(self.server.user("conformance").await)
    }

    async fn named(&self, _: &Wire, user: &str, password: &str) -> Option<Box<dyn Remote>> {
        // Redis documentation, "ACL SETUSER": no spaces. What its client takes for options is none.
        let legal = !user.contains(|c: char| c.is_whitespace() || c == '\0');
        if !legal || user.is_empty() {
            return None;
        }
        Some(self.one(self.server.user_with(user, password).await))
    }
}

struct RealUser {
    server: std::sync::Arc<Server>,
    dual: bool,
    user: User,
}

#[async_trait]
impl Remote for RealUser {
    fn rotator(&self) -> Box<dyn Rotator> {
        let strategy = if self.dual { DUAL } else { BY_ADMIN };
        let strategy = strategy.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let environment: Environment =
            self.server.variables().into_iter().chain(strategy).collect();
        Box::new(rotate_redis::strategies(&environment).unwrap())
    }

    fn secret(&self) -> String {
        self.server.document(&self.user).to_string()
    }

    fn other_secrets(&self) -> Vec<(&'static str, String)> {
        vec![("admin", self.server.admin_document().to_string())]
    }

    /// Asked of a client that shares no code with the rotator.
    async fn accepts(&self, secret: &Secret) -> bool {
        let document = secret.document().unwrap();
        let password = document.required("password").unwrap();
        self.server.logs_in(document.required("username").unwrap(), password).await
    }

    fn out_of_reach(&self) -> Option<String> {
        let mut document = self.server.document(&self.user);
        // Reserved, and closed on any machine.
        document["port"] = json!(1);
        Some(document.to_string())
    }
}

#[tokio::test]
async fn rotate_redis_conforms_at_real_servers() {
    for flavour in flavours() {
        let server = std::sync::Arc::new(flavour.start(Keeping::AclFile, &[]).await);
        for dual in [true, false] {
            let report = conformance(&Real { server: server.clone(), dual }).await;
            eprintln!("{report}");
            report.assert_safe();
            let checks = report.sections.iter().filter(|section| section.runs > 0).count();
            assert_eq!(checks, report.sections.len(), "a check was left out");
        }
    }
}
