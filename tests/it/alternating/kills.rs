//! The real function killed at points of a rotation, for both strategies that need an admin.
//!
//! What finds a violation is shown to be able to in `tests/it/kills.rs`, with planted defects.

use futures_util::future::join_all;
use serde_json::{Value, json};
use sqlx::Row;

use super::{Shop, fill};
use crate::support::postgres::{Server, both_versions};
use crate::support::program::{
    SecretFile, at_least, binary, crash_points, every_point, fourstep, secret_file,
};

/// The secret's file and the admin's, and the strategy that replays them.
struct Replay {
    file: SecretFile,
    admin: SecretFile,
    variables: Vec<String>,
}

impl Replay {
    fn of(shop: &Shop, strategy: &str) -> Self {
        let mut document = shop.server.document(&shop.app);
        document["dbname"] = json!(shop.databases[0]);
        document["masterarn"] = json!("admin");
        let file = secret_file(&document.to_string());
        let admin = secret_file(&shop.server.document(&shop.admin).to_string());
        let adopt = format!("ADOPT_USERS={},{}", shop.app.name, shop.clone_name());
        Self { file, admin, variables: vec![format!("ROTATION_STRATEGY={strategy}"), adopt] }
    }

    async fn run(&self, more: &[&str]) -> String {
        let function = binary("rotate-postgres");
        let [function, secret, admin] =
            [&function, &self.file.path, &self.admin.path].map(|path| path.to_str().unwrap());
        let mut arguments = vec!["replay", "--json", "--rotator", function];
        arguments.extend(["--secret", secret, "--admin", admin]);
        arguments.extend(self.variables.iter().flat_map(|variable| ["--env", variable.as_str()]));
        arguments.extend(more);
        let output = fourstep(&arguments).await;
        let text = String::from_utf8(output.stdout).unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{:?}: {text}{errors}", self.variables);
        text
    }

    fn current(&self) -> Value {
        serde_json::from_str(&std::fs::read_to_string(&self.file.path).unwrap()).unwrap()
    }

    /// A command that runs SQL in both databases, in which `$used` is the user in use.
    fn arranges(&self, shop: &Shop, sql: &str) -> String {
        let (app, clone) = (shop.app.name.as_str(), shop.clone_name());
        let script = |used: &str, rests: &str| {
            let names = [("used", used), ("rests", rests), ("admin", &shop.admin.name)];
            let path = self.file.path.with_file_name(format!("{used}.sql"));
            std::fs::write(&path, fill(sql, &names)).unwrap();
            shop.databases
                .each_ref()
                .map(|database| shop.server.shell(database, &path))
                .join(" && ")
        };
        let [first, second] = [script(app, &clone), script(&clone, app)];
        let file = self.file.path.display();
        let script = format!("if grep -q _clone '{file}'; then {second}; else {first}; fi");
        let path = self.file.path.with_file_name("reset.sh");
        std::fs::write(&path, script).unwrap();
        format!("sh '{}'", path.display())
    }
}

/// Whoever is in use has all that both had, and is the only one.
const ONE_USER: &str = "GRANT SELECT ON ALL TABLES IN SCHEMA public TO $used; ALTER ROLE $used RESET role;
    SELECT format('DROP OWNED BY %I', rolname) FROM pg_roles WHERE '$rests' = '\"' || rolname || '\"' \\gexec
    SELECT format('DROP ROLE %I', rolname) FROM pg_roles WHERE '$rests' = '\"' || rolname || '\"'
    AND NOT EXISTS (SELECT FROM pg_shdepend WHERE refobjid = pg_roles.oid) \\gexec";

/// A pair as AWS's template leaves it, with things that the second made.
const TEMPLATE: &str =
    "SELECT format('GRANT CREATE ON DATABASE %I TO $first', current_database()) \\gexec
    ALTER ROLE $first RESET role; ALTER ROLE $second RESET role; REVOKE $second FROM $first;
    REVOKE $first FROM $second; REVOKE $second FROM $firstBY; REVOKE $first FROM $secondBY; GRANT $first TO $second;
    COMMENT ON ROLE $first IS NULL; COMMENT ON ROLE $second IS NULL;
    CREATE SCHEMA IF NOT EXISTS own; ALTER SCHEMA own OWNER TO $second;
    CREATE TABLE IF NOT EXISTS own.t (a int); ALTER TABLE own.t OWNER TO $second;
    GRANT SELECT ON ALL TABLES IN SCHEMA own, public TO $first";

/// One rotation for each point that is played, of which every turn at the database is two.
async fn survives_kills(server: &Server, strategy: &str, before: Before) {
    // Few rights: a dozen statements.
    let shop = Shop::bare(server, "app", &[]).await;
    let sql = "GRANT CREATE ON SCHEMA public TO $owner; SET ROLE $owner;
         CREATE TABLE t (a int); GRANT SELECT ON t TO $app";
    shop.in_database(&shop.databases[0], sql).await;
    let replay = Replay::of(&shop, strategy);
    // The first rotation makes the second user: later ones make fewer calls.
    replay.run(&["--rotations", "2"]).await;
    let by = if server.version().await < 16 { "" } else { " GRANTED BY $admin" };
    let template = |first: &str, second: &str| {
        let sql = TEMPLATE.replace("BY;", &format!("{by};"));
        replay.arranges(&shop, &sql.replace("$first", first).replace("$second", second))
    };
    let reset = match before {
        Before::Pair => None,
        Before::OneUser => Some(replay.arranges(&shop, ONE_USER)),
        Before::FirstInUse => Some(template("$used", "$rests")),
        Before::SecondInUse => Some(template("$rests", "$used")),
    };
    let mut arguments = vec!["--crash", crash_points()];
    arguments.extend(reset.as_ref().map(|reset| ["--reset", reset.as_str()]).into_iter().flatten());
    let text = replay.run(&arguments).await;
    let end: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    eprintln!("PostgreSQL {}, {strategy}, {before:?}: {end}", server.version().await);
    assert_eq!((&end["ok"], &end["violations"]), (&json!(true), &json!(0)), "{end}");
    assert!(end["played"].as_u64().unwrap() > at_least(50) as u64, "{end}");
    assert!(shop.logs_in(&replay.current()).await);
    if strategy == "alternating-users" {
        assert_acting(&shop).await;
    }
    shop.close().await;
}

/// What each killed rotation begins with.
#[derive(Debug, Clone, Copy)]
enum Before {
    Pair,
    OneUser,
    FirstInUse,
    SecondInUse,
}

/// One acts as the other.
async fn assert_acting(shop: &Shop) {
    let query = "SELECT count(*) FROM pg_db_role_setting, unnest(setconfig) AS one \
         WHERE setrole IN ($1::regrole, $2::regrole) AND one LIKE 'role=%'";
    let [one, other] = [&shop.app.name, &shop.clone_name()].map(|name| format!("\"{name}\""));
    let mut connection = shop.server.superuser().await;
    let row = sqlx::query(query).bind(one).bind(other).fetch_one(&mut connection).await.unwrap();
    assert_eq!(row.get::<i64, _>(0), 1);
}

/// Each strategy at one of the two servers: they differ in what the admin may do, which the other
/// tests see, and a hundred rotations take minutes.
#[tokio::test]
async fn the_real_function_survives_kills_of_both_strategies() {
    let servers = both_versions();
    let strategies = ["alternating-users", "single-user-by-admin"];
    let pairs = servers.iter().rev().cycle().zip(strategies);
    join_all(pairs.map(|(server, strategy)| survives_kills(server, strategy, Before::Pair))).await;
}

#[tokio::test]
async fn the_real_function_survives_kills_where_it_makes_the_second_user() {
    let servers = both_versions();
    // The newest says for both: see above.
    let Some(server) = servers.last() else { return };
    survives_kills(server, "alternating-users", Before::OneUser).await;
}

#[tokio::test]
async fn the_real_function_survives_kills_where_it_carries_a_pair_over() {
    let servers = both_versions();
    // What else is carried over, and how, is killed in tests/it/pairs/carry/.
    let befores = [Before::SecondInUse, Before::FirstInUse];
    let pairs = servers.iter().cycle().zip(befores).take(if every_point() { 2 } else { 1 });
    join_all(pairs.map(|(server, before)| survives_kills(server, "alternating-users", before)))
        .await;
}
