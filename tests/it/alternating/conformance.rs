//! The author's kit, and kills of the real function, for both strategies that need an admin.

use async_trait::async_trait;
use fourstep::testing::{Overlap, Remote, Testbed, Wire, conformance};
use fourstep::{Environment, Rotator, Secret};
use rotate_postgres::strategies;
use serde_json::{Value, json};

use super::Shop;
use super::rights::portrait;
use crate::support::postgres::{Server, User, both_versions};
use crate::support::program::{binary, fourstep, secret_file};

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
            sql += &format!("; GRANT \"{one}\" TO \"{other}\" WITH ADMIN OPTION");
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

/// One rotation for each point at which the function can be killed. At one of the two servers: they
/// differ in what the admin may do, which the other tests see, and a hundred rotations take minutes.
#[tokio::test]
async fn the_real_function_survives_a_kill_at_every_point_of_both_strategies() {
    let servers = both_versions();
    for (server, (strategy, _)) in servers.iter().rev().cycle().zip(STRATEGIES) {
        survives_kills(server, strategy).await;
    }
}

async fn survives_kills(server: &Server, strategy: &str) {
    // One database and few rights: every turn at the database is two points.
    let shop = Shop::bare(server, "app", &[]).await;
    let sql = "GRANT CREATE ON SCHEMA public TO $owner; SET ROLE $owner;
         CREATE TABLE t (a int); GRANT SELECT ON t TO $app";
    shop.in_database(&shop.databases[0], sql).await;
    let mut document = server.document(&shop.app);
    document["dbname"] = json!(shop.databases[0]);
    document["masterarn"] = json!("admin");
    let file = secret_file(&document.to_string());
    let admin = secret_file(&server.document(&shop.admin).to_string());
    let (function, strategy) = (binary("rotate-postgres"), format!("ROTATION_STRATEGY={strategy}"));
    let [function, secret, admin] =
        [&function, &file.path, &admin.path].map(|path| path.to_str().unwrap());
    let replay = [
        "replay",
        "--rotator",
        function,
        "--secret",
        secret,
        "--admin",
        admin,
        "--env",
        &strategy,
        "--json",
    ];
    // The first rotation makes the second user: later ones make fewer calls.
    let output = fourstep(&[&replay[..], &["--rotations", "2"]].concat()).await;
    assert!(output.status.success(), "{strategy}: {output:?}");
    let output = fourstep(&[&replay[..], &["--crash", "all"]].concat()).await;
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{strategy}: {text}{output:?}");
    let end: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    eprintln!("PostgreSQL {}, {strategy}: {end}", server.version().await);
    assert_eq!((&end["ok"], &end["violations"]), (&json!(true), &json!(0)), "{end}");
    assert!(end["played"].as_u64().unwrap() > 50, "{end}");
    let left: Value = serde_json::from_str(&std::fs::read_to_string(&file.path).unwrap()).unwrap();
    assert!(shop.logs_in(&left).await);
    if strategy.contains("alternating") {
        let [one, other] =
            [portrait(&shop, &shop.app.name).await, portrait(&shop, &shop.clone_name()).await];
        assert_eq!(one, other);
    }
    shop.close().await;
}
