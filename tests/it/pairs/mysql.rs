//! The scene on MySQL: a shop of a user with accounts for two networks, and an admin that has
//! `CREATE USER`, `ROLE_ADMIN` and `SELECT` on `mysql.*`, and nothing else.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use fourstep_local::NewSecret;
use serde_json::{Value, json};

use super::Scene;
use super::client::Work;
use crate::support::mysql::{Server, Session, User, server};
use crate::support::stage::Stage;
use crate::support::twins;

/// A shop with its application's user.
pub struct Shop {
    pub server: Server,
    pub stage: Stage,
    pub app: User,
    pub admin: User,
    unique: String,
    works: AtomicU32,
}

/// A shop at a server that nobody else uses, so that it may be restarted. None after skipping aloud.
pub async fn restartable(name: &str) -> Option<Shop> {
    let server = server("mysql", name)?;
    server.arrange("SET GLOBAL partial_revokes = ON;").await;
    Some(Shop::open(&server).await)
}

/// What the application's user may do: roles within roles, dynamic privileges, partial revokes.
const RIGHTS: &str = "
    CREATE DATABASE $hidden; CREATE TABLE $hidden.t (a int);
    CREATE DATABASE $other; CREATE TABLE $other.t (a int);
    CREATE TABLE $schema.orders (id int, total int, note text);
    CREATE TABLE $schema.made (n int);
    CREATE FUNCTION $schema.tax() RETURNS int DETERMINISTIC RETURN 2;
    CREATE USER $far IDENTIFIED BY 'far-away-1!';
    CREATE ROLE $reader, $inner, $later;
    GRANT SELECT, INSERT ON $other.* TO $inner; GRANT $inner TO $reader; GRANT $reader TO $app;
    ALTER USER $app DEFAULT ROLE $reader;
    GRANT ALL PRIVILEGES ON $schema.* TO $app WITH GRANT OPTION;
    GRANT BACKUP_ADMIN, SESSION_VARIABLES_ADMIN ON *.* TO $app;
    GRANT SELECT, SHOW VIEW ON *.* TO $app;
    REVOKE SELECT ON $hidden.* FROM $app; REVOKE SELECT ON mysql.* FROM $app;
    GRANT SELECT ON $schema.* TO $far;";

/// What an application does each time; `@user` is who it is. Tables are made and altered by both; a
/// definer's own things stay the definer's.
const WORK: &str = "
    USE $schema;
    INSERT INTO orders (total) VALUES (tax()); UPDATE orders SET total = 1; DELETE FROM orders;
    DROP TABLE made; CREATE TABLE made (n int, c@n int); ALTER TABLE made ADD COLUMN more int;
    CREATE INDEX i ON made (n); INSERT INTO made (n) VALUES (1);
    CREATE OR REPLACE VIEW `seen by @user` AS SELECT n FROM made;
    DROP PROCEDURE IF EXISTS `done by @user`;
    CREATE PROCEDURE `done by @user`() SELECT n FROM made;
    INSERT INTO $other.t VALUES (1); SELECT a FROM $other.t;
    LOCK INSTANCE FOR BACKUP; UNLOCK INSTANCE;
    GRANT SELECT ON $schema.orders TO $reader;";

/// Where this application finds what another made as a user.
const MADE: &str = "SELECT n FROM $schema.`seen by @user`; CALL $schema.`done by @user`();";

impl Shop {
    pub async fn open(server: &Server) -> Self {
        let shop = Self::bare(server).await;
        shop.arrange(RIGHTS).await;
        shop
    }

    /// A shop whose user has no rights yet.
    pub async fn bare(server: &Server) -> Self {
        let (app, admin) = (server.user("app").await, server.user("admin").await);
        let unique = admin.name.trim_start_matches("admin").to_owned();
        let mut document = server.document(&app);
        document["masterarn"] = json!("admin");
        let stage = server.stage(&document, &[("ROTATION_STRATEGY", "alternating-users")]);
        let value = Some(server.document(&admin).to_string().as_str().into());
        stage.store.create("admin", NewSecret { value, ..NewSecret::default() }).unwrap();
        let shop =
            Self { server: server.clone(), stage, app, admin, unique, works: AtomicU32::new(0) };
        let admins = match server.is_mysql() {
            true => "GRANT CREATE USER, ROLE_ADMIN ON *.* TO $admin;",
            false => {
                "GRANT CREATE USER ON *.* TO $admin;
                 GRANT ALL PRIVILEGES ON $schema.* TO $admin WITH GRANT OPTION;"
            }
        };
        shop.arrange("CREATE DATABASE $schema; GRANT SELECT ON mysql.* TO $admin;").await;
        shop.arrange(admins).await;
        shop
    }

    /// What this shop's names end in.
    pub fn unique(&self) -> &str {
        &self.unique
    }

    /// Fills in the names of this shop.
    pub fn fill(&self, sql: &str) -> String {
        let (app, clone, unique) = (&self.app.name, self.clone_name(), &self.unique);
        let names = [
            ("$clonefar", format!("'{clone}'@'10.%'")),
            ("$clone", format!("'{clone}'@'127.%'")),
            ("$far", format!("'{app}'@'10.%'")),
            ("$app", format!("'{app}'@'127.%'")),
            ("$admin", format!("'{}'@'127.%'", self.admin.name)),
            ("$reader", format!("'reader{unique}'")),
            ("$inner", format!("'inner{unique}'")),
            ("$later", format!("'later{unique}'")),
            ("$schema", format!("`shop{unique}`")),
            ("$hidden", format!("`hidden{unique}`")),
            ("$other", format!("`other{unique}`")),
        ];
        names.iter().fold(sql.to_owned(), |sql, (key, name)| sql.replace(key, name))
    }

    /// Runs SQL as the arranger, with the shop's names filled in.
    pub async fn arrange(&self, sql: &str) -> String {
        self.server.arrange(&self.fill(sql)).await
    }

    /// The user that is made.
    pub fn clone_name(&self) -> String {
        format!("{}_clone", self.app.name)
    }

    /// A session of a document's user, which stays open.
    pub async fn session(&self, document: &Value) -> Session {
        let text = |field: &str| document[field].as_str().unwrap();
        self.server.open(text("username"), text("password")).await
    }

    /// Runs SQL as a document's user.
    pub async fn run(&self, document: &Value, sql: &str) -> Result<String, String> {
        let text = |field: &str| document[field].as_str().unwrap();
        self.server.run(text("username"), text("password"), &self.fill(sql)).await
    }
}

impl Work for Shop {
    async fn work(&self, document: &Value) -> Result<(), String> {
        let number = self.works.fetch_add(1, Ordering::SeqCst);
        let user = document["username"].as_str().unwrap();
        let work = WORK.replace("@n", &number.to_string()).replace("@user", user);
        let mut session = self.session(document).await;
        session.run(&self.fill(&work)).await?;
        // What a pool says before the next one gets the session.
        session.run(&self.fill(&format!("\\x\n{work}"))).await?;
        let makers = "SELECT SUBSTR(table_name, 9) FROM information_schema.views
             WHERE table_schema = 'shop{}' AND table_name LIKE 'seen by %'";
        for maker in self.arrange(&makers.replace("{}", &self.unique)).await.lines() {
            session.run(&self.fill(&MADE.replace("@user", maker))).await?;
        }
        Ok(())
    }
}

/// What administrators do after each round, on either name.
const BETWEEN: [&str; 4] = [
    "GRANT CREATE ON $hidden.* TO $app; GRANT $later TO $app; GRANT INSERT ON $other.t TO $later;
     GRANT SELECT ON $schema.* TO $clone; REVOKE SESSION_VARIABLES_ADMIN ON *.* FROM $app;
     CREATE TABLE $hidden.u (a int);",
    "REVOKE CREATE ON $hidden.* FROM $app; REVOKE $later FROM $app;
     GRANT SELECT ON $hidden.* TO $app; GRANT UPDATE ON $other.t TO $inner;
     GRANT SHOW VIEW ON *.* TO $clone;",
    "GRANT SELECT ON $schema.* TO $clone; REVOKE SELECT ON $schema.* FROM $clone;
     GRANT SHOW VIEW ON *.* TO $clone; REVOKE SHOW VIEW ON *.* FROM $clone;
     REVOKE SELECT ON $hidden.* FROM $app; REVOKE UPDATE ON $other.t FROM $inner;
     GRANT SESSION_VARIABLES_ADMIN ON *.* TO $app;",
    "GRANT SELECT (a) ON $hidden.t TO $app; GRANT INSERT ON $schema.* TO $clone;",
];

/// What a user may do after each round: 1 for yes.
const PROBES: [(&str, [u8; 4]); 6] = [
    ("SELECT * FROM $hidden.t", [0, 1, 0, 1]),
    ("CREATE TABLE IF NOT EXISTS $hidden.u (a int)", [1, 0, 0, 0]),
    ("UPDATE $other.t SET a = 2", [0, 1, 0, 0]),
    ("SET SESSION sql_log_off = DEFAULT", [0, 0, 1, 1]),
    ("SELECT COUNT(*) FROM mysql.user", [0; 4]),
    ("SELECT a FROM $other.t", [1; 4]),
];

impl Scene for Shop {
    type Session = Session;

    fn stage(&self) -> &Stage {
        &self.stage
    }

    fn users(&self) -> [String; 2] {
        [self.app.name.clone(), self.clone_name()]
    }

    async fn open(&self, document: &Value) -> Session {
        self.session(document).await
    }

    async fn use_session(&self, session: &mut Session) -> Result<(), String> {
        let sql = "INSERT INTO $schema.orders (total) VALUES ($schema.tax());
                   INSERT INTO $other.t VALUES (1); SELECT * FROM $schema.made;";
        session.run(&self.fill(sql)).await
    }

    async fn between(&self, round: usize) {
        self.arrange(&format!("{} FLUSH PRIVILEGES;", BETWEEN[round])).await;
    }

    async fn check(&self, round: usize, document: &Value) {
        for (sql, may) in PROBES {
            let done = self.run(document, sql).await;
            let about = format!("round {round}, {}: {sql}: {done:?}", document["username"]);
            assert_eq!(u8::from(done.is_ok()), may[round], "{about}");
            assert!(done.is_ok() || done.is_err_and(|why| why.contains("denied")), "{about}");
        }
    }

    async fn check_all(&self) {
        let edges = "SELECT COUNT(*) FROM mysql.role_edges e JOIN mysql.default_roles d
            ON d.USER = e.TO_USER AND d.HOST = e.TO_HOST AND d.DEFAULT_ROLE_USER = e.FROM_USER
            AND d.DEFAULT_ROLE_HOST = e.FROM_HOST
            WHERE e.FROM_USER = '{app}' AND e.TO_USER = '{app}_clone' AND e.FROM_HOST = e.TO_HOST
            AND e.WITH_ADMIN_OPTION = 'N'";
        let count = self.arrange(&edges.replace("{app}", &self.app.name)).await;
        assert_eq!(count.trim(), "2", "each account of the second has its role");
        let kept = "SELECT COUNT(*) FROM mysql.role_edges WHERE TO_USER = '{}'";
        let count = self.arrange(&kept.replace("{}", &self.admin.name)).await;
        assert_eq!(count.trim(), "0", "the admin took a role");
    }

    async fn restart(&self) {
        let _turn = twins().await;
        // It is written when a server is up.
        let process = || std::fs::read(self.server.file("pid")).unwrap_or_default();
        let before = process();
        self.arrange("RESTART;").await;
        let mut tries = 0;
        while process().is_empty() || process() == before {
            tries += 1;
            assert!(tries < 1_800, "the server did not come back");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        self.arrange("SET GLOBAL partial_revokes = ON; SET GLOBAL general_log = ON;").await;
    }
}
