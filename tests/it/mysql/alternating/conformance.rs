//! The author's kit asks the real thing, with an admin, at a real MySQL and a real MariaDB.

use async_trait::async_trait;
use fourstep::{Environment, Rotator, Secret};
use fourstep_testing::{Overlap, Remote, Testbed, Wire, conformance};
use serde_json::{Value, json};

use crate::support::mysql::{Server, User, servers};

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
        let roles = if self.server.is_mysql() { ", ROLE_ADMIN" } else { "" };
        let sql = format!(
            "GRANT CREATE USER{roles} ON *.* TO '{0}'@'127.%'; \
             GRANT SELECT ON mysql.* TO '{0}'@'127.%'",
            admin.name
        );
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
        // Both halves must have room: twelve characters make the name unlike others.
        let room = if self.server.is_mysql() { 32 } else { 128 };
        if user.chars().take(20).count() + "_clone".len() + 12 > room {
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

impl Account {
    fn document(&self) -> Value {
        let mut document = self.server.document(&self.user);
        document["masterarn"] = json!("admin");
        document
    }
}

#[async_trait]
impl Remote for Account {
    fn rotator(&self) -> Box<dyn Rotator> {
        let strategy = [("ROTATION_STRATEGY".to_owned(), self.strategy.to_owned())];
        let environment: Environment =
            self.server.variables().into_iter().chain(strategy).collect();
        Box::new(rotate_mysql::strategies(&environment).unwrap())
    }

    fn secret(&self) -> String {
        self.document().to_string()
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

    /// Asked of a client that shares no code with the rotator. A user that is half made is locked,
    /// which is no wrong password.
    async fn accepts(&self, secret: &Secret) -> bool {
        let document = secret.document().unwrap();
        let password = document.required("password").unwrap();
        let user = document.required("username").unwrap();
        self.server.run(user, password, "SELECT 1").await.is_ok()
    }

    fn out_of_reach(&self) -> Option<String> {
        let mut document = self.document();
        // Reserved, and closed on any machine.
        document["port"] = json!(1);
        Some(document.to_string())
    }
}

#[tokio::test]
async fn both_strategies_with_an_admin_conform_at_real_servers() {
    for server in servers() {
        for (strategy, overlap) in STRATEGIES {
            let testbed = Administered { server: server.clone(), strategy, overlap };
            let report = conformance(&testbed).await;
            eprintln!("{} {strategy}: {report}", server.engine);
            report.assert_safe();
        }
    }
}
