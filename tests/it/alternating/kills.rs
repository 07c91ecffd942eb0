//! The real function killed at every point of a rotation, for both strategies that need an admin.
//!
//! What finds a violation is shown to be able to in `tests/it/kills.rs`, with planted defects.

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::rights::portrait;
use super::{Shop, fill};
use crate::support::postgres::{Server, both_versions};
use crate::support::program::{SecretFile, binary, fourstep, secret_file};

/// The secret's file and the admin's, and the strategy that replays them.
struct Replay {
    file: SecretFile,
    admin: SecretFile,
    strategy: String,
}

impl Replay {
    fn of(shop: &Shop, strategy: &str) -> Self {
        let mut document = shop.server.document(&shop.app);
        document["dbname"] = json!(shop.databases[0]);
        document["masterarn"] = json!("admin");
        let file = secret_file(&document.to_string());
        let admin = secret_file(&shop.server.document(&shop.admin).to_string());
        Self { file, admin, strategy: format!("ROTATION_STRATEGY={strategy}") }
    }

    async fn run(&self, more: &[&str]) -> String {
        let function = binary("rotate-postgres");
        let [function, secret, admin] =
            [&function, &self.file.path, &self.admin.path].map(|path| path.to_str().unwrap());
        let mut arguments = vec!["replay", "--json", "--rotator", function];
        arguments.extend(["--secret", secret, "--admin", admin, "--env", &self.strategy]);
        arguments.extend(more);
        let output = fourstep(&arguments).await;
        let text = String::from_utf8(output.stdout).unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {text}{errors}", self.strategy);
        text
    }

    fn current(&self) -> Value {
        serde_json::from_str(&std::fs::read_to_string(&self.file.path).unwrap()).unwrap()
    }

    /// A command that drops whichever user is not in use, with its rights in both databases.
    fn drops_the_user_at_rest(&self, shop: &Shop) -> String {
        let script = |user: &str| {
            let drops = shop.databases.each_ref().map(|database| {
                let path = self.file.path.with_file_name(format!("{database}-{user}.sql"));
                // A role that is gone already has nothing to be dropped.
                let sql = format!(
                    "SELECT format('DROP OWNED BY %I', rolname) FROM pg_roles \
                     WHERE rolname = '{user}' \\gexec"
                );
                std::fs::write(&path, sql).unwrap();
                shop.server.shell(database, &path)
            });
            let path = self.file.path.with_file_name(format!("{user}.sql"));
            std::fs::write(&path, fill("DROP ROLE IF EXISTS $user", &[("user", user)])).unwrap();
            [&drops[..], &[shop.server.shell("postgres", &path)]].concat().join(" && ")
        };
        let (clone, app) = (script(&shop.clone_name()), script(&shop.app.name));
        let file = self.file.path.display();
        let script = format!("if grep -q _clone '{file}'; then {app}; else {clone}; fi");
        let path = self.file.path.with_file_name("reset.sh");
        std::fs::write(&path, script).unwrap();
        format!("sh '{}'", path.display())
    }
}

/// One rotation for each point, of which every turn at the database is two.
async fn survives_kills(server: &Server, strategy: &str, creates: bool) {
    // One database and few rights: a dozen statements.
    let shop = Shop::bare(server, "app", &[]).await;
    let sql = "GRANT CREATE ON SCHEMA public TO $owner; SET ROLE $owner;
         CREATE TABLE t (a int); GRANT SELECT ON t TO $app";
    shop.in_database(&shop.databases[0], sql).await;
    let replay = Replay::of(&shop, strategy);
    // The first rotation makes the second user: later ones make fewer calls.
    replay.run(&["--rotations", "2"]).await;
    let mut arguments = vec!["--crash", "all"];
    let reset = replay.drops_the_user_at_rest(&shop);
    arguments.extend(creates.then_some(["--reset", &reset]).into_iter().flatten());
    let text = replay.run(&arguments).await;
    let end: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    eprintln!("PostgreSQL {}, {strategy}, creating: {creates}: {end}", server.version().await);
    assert_eq!((&end["ok"], &end["violations"]), (&json!(true), &json!(0)), "{end}");
    assert!(end["played"].as_u64().unwrap() > 50, "{end}");
    assert!(shop.logs_in(&replay.current()).await);
    if strategy == "alternating-users" {
        let [one, other] =
            [portrait(&shop, &shop.app.name).await, portrait(&shop, &shop.clone_name()).await];
        assert_eq!(one, other);
    }
    shop.close().await;
}

/// Each strategy at one of the two servers: they differ in what the admin may do, which the other
/// tests see, and a hundred rotations take minutes.
#[tokio::test]
async fn the_real_function_survives_a_kill_at_every_point_of_both_strategies() {
    let servers = both_versions();
    let strategies = ["alternating-users", "single-user-by-admin"];
    let pairs = servers.iter().rev().cycle().zip(strategies);
    join_all(pairs.map(|(server, strategy)| survives_kills(server, strategy, false))).await;
}

#[tokio::test]
async fn the_real_function_survives_a_kill_at_every_point_at_which_it_makes_the_second_user() {
    let servers = both_versions();
    // The newest says for both: see above.
    let Some(server) = servers.last() else { return };
    survives_kills(server, "alternating-users", true).await;
}
