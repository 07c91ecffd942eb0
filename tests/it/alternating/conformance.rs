//! The author's kit, and kills of the real function, for both strategies that need an admin.

use async_trait::async_trait;
use fourstep::{Environment, Rotator, Secret};
use fourstep_testing::{Overlap, Remote, Testbed, Wire, conformance};
use rotate_postgres::strategies;
use serde_json::json;

use crate::support::postgres::{Server, User, both_versions};

const STRATEGIES: [(&str, Overlap); 2] =
    [("alternating-users", Overlap::Full), ("single-user-by-admin", Overlap::None)];

struct Administered {
    server: Server,
    strategy: &'static str,
    overlap: Overlap,
}

impl Administered {
    async fn account(&self, user: User) -> Box<dyn Remote> {
        let admin = self.server.user("admin").await;
        let [one, other] = [&user.name, &admin.name].map(|name| name.replace('"', "\"\""));
        let mut sql = format!("ALTER ROLE \"{other}\" CREATEROLE");
        if self.server.version().await >= 16 {
            sql += &format!(
                "; GRANT \"{one}\" TO \"{other}\" WITH ADMIN TRUE, INHERIT FALSE, SET FALSE"
            );
        }
        self.server.arrange(&sql).await;
        Box::new(Account { server: self.server.clone(), strategy: self.strategy, user, admin })
    }
}

#[async_trait]
impl Testbed for Administered {
    fn overlap(&self) -> Overlap {
        self.overlap
    }

    async fn fresh(&self, _: &Wire) -> Box<dyn Remote> {
        self.account(self.server.user("conformance").await).await
    }

    async fn named(&self, _: &Wire, user: &str, password: &str) -> Option<Box<dyn Remote>> {
        // Both halves must have room: 13 bytes go to what makes the name unlike others.
        if user.len() + "_clone".len() + 13 > 63 {
            return None;
        }
        Some(self.account(self.server.user_with(user, password).await).await)
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
        let environment = Environment::from([("ROTATION_STRATEGY", self.strategy)]);
        Box::new(strategies(&environment).unwrap())
    }

    fn secret(&self) -> String {
        let mut document = self.server.document(&self.user);
        document["masterarn"] = json!("admin");
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

    async fn accepts(&self, secret: &Secret) -> bool {
        let document = secret.document().unwrap();
        let password = document.required("password").unwrap();
        self.server.logs_in_somehow(document.required("username").unwrap(), password).await
    }

    fn out_of_reach(&self) -> Option<String> {
        let mut document = self.server.document(&self.user);
        document["masterarn"] = json!("admin");
        // Reserved, and closed on any machine.
        document["port"] = json!(1);
        Some(document.to_string())
    }
}

/// Each strategy at one of the two servers, and at the other when it is killed, below.
#[tokio::test]
async fn both_strategies_conform_at_real_servers() {
    let servers = both_versions();
    for (server, (strategy, overlap)) in servers.iter().cycle().zip(STRATEGIES) {
        let testbed = Administered { server: server.clone(), strategy, overlap };
        let report = conformance(&testbed).await;
        eprintln!("{strategy}: {report}");
        report.assert_safe();
    }
}
