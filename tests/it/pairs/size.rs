//! What a rotation of a pair costs with very many rights: the same.

use std::path::PathBuf;
use std::time::Duration;

use fourstep::Step;
use fourstep_bench::host::Program;
use fourstep_bench::manager::Manager;
use fourstep_cli::events;

use super::{mysql, postgres};
use crate::support::mysql::{mariadb, mysqls};
use crate::support::postgres::{Server, further, server};
use crate::support::program::binary;
use crate::support::stage::Stage;

/// How many rights the user is given: this many, or what the variable says. 100,000 tables take
/// PostgreSQL a minute to make.
const MANY: u32 = 20_000;
const VARIABLE: &str = "FOURSTEP_TEST_RIGHTS";

/// How much more memory a process may take with them than without, in bytes.
const MORE_MEMORY: u64 = 12 << 20;

fn many() -> u32 {
    std::env::var(VARIABLE).map_or(MANY, |number| number.parse().unwrap())
}

/// A function as a process of its own for each step.
pub struct Measured<'a> {
    stage: &'a Stage,
    program: Program,
}

/// What a rotation cost.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// Of the function's users, at the server.
    statements: usize,
    /// Of all its processes.
    pub peak_memory: u64,
    /// That setSecret took, as a debug build.
    set: Duration,
}

impl<'a> Measured<'a> {
    pub fn new(stage: &'a Stage, function: &str, variables: Vec<(String, String)>) -> Self {
        let strategy = ("ROTATION_STRATEGY".to_owned(), "alternating-users".to_owned());
        let environment = variables.into_iter().chain([strategy]).collect();
        let (command, folder) = (binary(function), PathBuf::from("/"));
        Self { stage, program: Program { command, arguments: Vec::new(), folder, environment } }
    }

    pub fn program(&self) -> &Program {
        &self.program
    }

    /// A rotation; `statements` counts them afterwards.
    async fn rotate(&self, statements: impl Fn() -> usize) -> Cost {
        let manager = Manager::start(&self.stage.store).await.unwrap();
        let token = self.stage.begin();
        let (mut peak_memory, mut set, before) = (0, Duration::ZERO, statements());
        for step in Step::ALL {
            let mut running = self.program.start(&manager.url()).await.unwrap();
            running.ready().await.unwrap();
            let event = events::step(step, self.stage.secret.as_str(), token.as_str());
            let took =
                running.invoke(&event).await.unwrap_or_else(|error| panic!("{step}: {error}"));
            if step == Step::Set {
                set = took;
            }
            peak_memory = peak_memory.max(running.end().await.unwrap().peak_memory);
        }
        self.stage.end(&token);
        Cost { statements: statements() - before, peak_memory, set }
    }

    /// A rotation to the second user and one to the first.
    pub async fn both(&self, statements: impl Fn() -> usize) -> [Cost; 2] {
        [self.rotate(&statements).await, self.rotate(&statements).await]
    }
}

fn assert_alike(name: &str, few: [Cost; 2], many: [Cost; 2]) {
    for (few, many) in few.into_iter().zip(many) {
        eprintln!("{name}: {few:?}, {many:?}");
        assert!(few.statements > 10, "{few:?}");
        assert_eq!(few.statements, many.statements, "{name}");
        assert!(many.peak_memory <= few.peak_memory + MORE_MEMORY, "{name}: {few:?}, {many:?}");
        // Generous, because the machine may be busy: a reader of rights would take minutes.
        assert!(many.set < few.set + Duration::from_secs(10), "{name}: {few:?}, {many:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_on_postgresql_costs_the_same_with_very_many_tables() {
    if let Some(server) = further("POSTGRES18") {
        costs_the_same("PostgreSQL 18", server, many()).await;
    }
    // Which is told by the number of statements as well: a reader of rights has one for each table.
    if let Some(server) = server() {
        costs_the_same("PostgreSQL 15", server, many() / 10).await;
    }
}

/// The tables need procedures that commit, which 10 has not.
async fn costs_the_same(name: &str, server: Server, number: u32) {
    let shop = postgres::Shop::bare(&server).await;
    let measured = Measured::new(&shop.stage, "rotate-postgres", Vec::new());
    let users = [shop.admin.name.clone(), shop.app.name.clone(), shop.clone_name()];
    let statements = || {
        let log = std::fs::read(server.log_path()).unwrap();
        let log = String::from_utf8_lossy(&log);
        let ours = |line: &&str| users.iter().any(|user| line.contains(&format!(" user={user} ")));
        let said =
            |line: &&str| line.contains("LOG:  statement: ") || line.contains("LOG:  execute ");
        log.lines().filter(ours).filter(said).count()
    };
    measured.both(statements).await;
    let few = measured.both(statements).await;
    let database = &shop.databases[0];
    shop.in_database(
        database,
        "CREATE SCHEMA many AUTHORIZATION $owner; GRANT CREATE, USAGE ON SCHEMA many TO $app;
         ALTER DEFAULT PRIVILEGES FOR ROLE $owner GRANT ALL ON TABLES TO $app",
    )
    .await;
    // Half of them are the user's own.
    let make = format!(
        "DO $do$ BEGIN FOR i IN 1..{number} LOOP
             PERFORM set_config('role', CASE i % 2 WHEN 0 THEN '{}' ELSE '{}' END, false);
             EXECUTE 'CREATE TABLE many.t' || i || ' ()';
             IF i % 500 = 0 THEN COMMIT; END IF;
         END LOOP; END $do$",
        shop.app.name,
        shop.owner(),
    );
    let began = std::time::Instant::now();
    server.arrange_in(database, &make).await;
    eprintln!("{name}: {number} tables were made in {:?}", began.elapsed());
    let rights = "SELECT count(*) FROM pg_class WHERE relnamespace = 'many'::regnamespace
        AND has_table_privilege('{}', oid, 'INSERT')";
    let rights = shop.count(database, &rights.replace("{}", &shop.app.name)).await;
    assert_eq!(rights, i64::from(number));
    let much = measured.both(statements).await;
    shop.arrange("DROP DATABASE $first").await;
    assert_alike(name, few, much);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_on_mysql_costs_the_same_with_very_many_grants() {
    for server in mysqls() {
        let shop = mysql::Shop::bare(&server).await;
        let measured = Measured::new(&shop.stage, "rotate-mysql", server.variables());
        let users = [shop.admin.name.clone(), shop.app.name.clone(), shop.clone_name()];
        let statements = || {
            let log = std::fs::read(server.file("general.log")).unwrap();
            mysql_statements(&String::from_utf8_lossy(&log), &users)
        };
        measured.both(statements).await;
        let few = measured.both(statements).await;
        // As GRANT would have written them, one by one, in minutes.
        let grants = format!(
            "SET SESSION cte_max_recursion_depth = {0};
             INSERT INTO mysql.tables_priv (Host, Db, User, Table_name, Grantor, Table_priv)
             WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < {0})
             SELECT '127.%', 'shop{1}', '{2}', CONCAT('t', i), 'root@localhost', 'Select,Create'
             FROM n;",
            many(),
            shop.unique(),
            shop.app.name,
        );
        shop.arrange(&grants).await;
        server.reload().await;
        let shown = shop.arrange("SHOW GRANTS FOR $app").await;
        assert_eq!(shown.lines().count(), usize::try_from(many()).unwrap() + 1);
        let much = measured.both(statements).await;
        let forget = "DELETE FROM mysql.tables_priv WHERE User = '{}';";
        shop.arrange(&forget.replace("{}", &shop.app.name)).await;
        server.reload().await;
        assert_alike("MySQL", few, much);
    }
}

/// Where rights are copied the cost grows with them, within what a function of 128 MB has. The default
/// is what a busy machine does in a while; more were measured by the variable (docs/bench.md).
#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_on_mariadb_keeps_within_its_bounds_with_very_many_grants() {
    const FEWER: u32 = 2_000;
    const MOST_MEMORY: u64 = 100 << 20;
    let Some(server) = mariadb() else { return };
    let number = if std::env::var_os(VARIABLE).is_some() { many() } else { FEWER };
    let shop = mysql::Shop::bare(&server).await;
    let measured = Measured::new(&shop.stage, "rotate-mysql", server.variables());
    let make = format!(
        "DELIMITER //
         FOR i IN 1..{number} DO
             EXECUTE IMMEDIATE CONCAT('CREATE TABLE shop{0}.t', i, ' (a int) ENGINE = MEMORY');
             EXECUTE IMMEDIATE
                 CONCAT('GRANT SELECT, INSERT ON shop{0}.t', i, ' TO `{1}`@`127.%`');
         END FOR//",
        shop.unique(),
        shop.app.name,
    );
    shop.arrange(&make).await;
    for cost in measured.both(|| 0).await {
        eprintln!("MariaDB, {number} tables: {cost:?}");
        assert!(cost.peak_memory < MOST_MEMORY, "{cost:?}");
        assert!(cost.set < Duration::from_secs(60), "{cost:?}");
    }
    shop.arrange("DROP DATABASE $schema; DROP USER $app;").await;
}

/// How many statements these users' sessions have in a general log.
fn mysql_statements(log: &str, users: &[String]) -> usize {
    let mut sessions = std::collections::BTreeSet::new();
    let mut count = 0;
    for line in log.lines() {
        // `2026-01-01T00:00:00.000000Z\t   12 Query\tSELECT 1`
        let mut fields = line.split('\t').skip(1);
        let (Some(what), Some(text)) = (fields.next(), fields.next()) else { continue };
        let Some((session, command)) = what.trim().split_once(' ') else { continue };
        match command {
            "Connect" if users.iter().any(|user| text.starts_with(&format!("{user}@"))) => {
                sessions.insert(session.to_owned());
            }
            "Query" | "Execute" if sessions.contains(session) => count += 1,
            _ => {}
        }
    }
    count
}
