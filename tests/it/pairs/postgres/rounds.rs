//! What goes on in the shop through the rounds: the application's work, the administrators' changes,
//! and what either user is to be able to do after each.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};
use sqlx::postgres::PgConnection;
use sqlx::{Connection, Executor, Row};

use super::{Shop, run};
use crate::pairs::Scene;
use crate::pairs::client::Work;
use crate::support::postgres::alone;
use crate::support::stage::Stage;
use crate::support::twins;

/// What an application does each time. Every object that it makes was made by either user before, so
/// that it can be replaced only if both act as one.
const WORK: &str = "
    INSERT INTO shop.orders (total) VALUES (1);
    UPDATE shop.orders SET total = shop.tax(1);
    SELECT 1 / (count(*) / (SELECT count(*) FROM shop.orders)) FROM shop.orders WHERE who = '@app';
    SELECT 1 / (a - 6) FROM shop.far;
    SELECT id FROM shop.audit;
    SELECT 'good'::shop.mood;
    DROP VIEW shop.seen; DROP TABLE shop.made;
    CREATE TABLE shop.made (n int, \"@n\" int);
    ALTER TABLE shop.made ADD COLUMN more text, ALTER COLUMN n TYPE bigint;
    CREATE INDEX ON shop.made (n);
    INSERT INTO shop.made VALUES (1);
    SELECT 1 / has_table_privilege('@readers', 'shop.made', 'SELECT')::int;
    CREATE OR REPLACE FUNCTION shop.made() RETURNS int LANGUAGE sql AS 'SELECT @n';
    SELECT shop.made();
    CREATE VIEW shop.seen AS SELECT count(*)::int AS n FROM shop.made;
    SELECT n FROM shop.seen;
    DROP SCHEMA $own CASCADE; DROP TYPE shop.colour;
    CREATE TYPE shop.colour AS ENUM ('red', 'c@n'); CREATE SCHEMA $own; CREATE TABLE $own.t (c shop.colour);
    SELECT lo_put(id, 0, 'written by c@n'), lo_get(id) FROM shop.files;
    SELECT lo_unlink(id) FROM shop.files; UPDATE shop.files SET id = lo_create(0);
    CREATE TEMPORARY TABLE mine (a int) ON COMMIT DROP;";

impl Shop {
    fn work_sql(&self) -> String {
        let number = self.works.fetch_add(1, Ordering::SeqCst);
        let sql = WORK.replace("@n", &number.to_string()).replace("@app", &self.app.name);
        self.fill(&sql.replace("@readers", &format!("readers{}", self.unique)))
    }
}

impl Work for Shop {
    async fn work(&self, document: &Value) -> Result<(), String> {
        for database in &self.databases[..2] {
            let mut session = self.session(document, database).await?;
            run(&mut session, &self.work_sql()).await?;
            // What a pooler says before the next one gets the session. Before the releases of November
            // 2024 the server then forgot as whom the session acts, for which RESET ROLE is the remedy.
            run(&mut session, "DISCARD ALL").await?;
            if self.old {
                run(&mut session, "RESET ROLE").await?;
            }
            run(&mut session, &self.work_sql()).await?;
            session.close().await.map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}

/// What administrators do after each round in both databases, on either name.
const BETWEEN: [&str; 4] = [
    "SET ROLE $owner; GRANT DELETE, TRIGGER ON shop.orders TO $app;
     GRANT SELECT ON shop.orders, shop.audit TO $app; GRANT SELECT ON shop.orders TO $clone;
     CREATE TABLE shop.later (a int); RESET ROLE;
     CREATE POLICY all_of_it ON shop.audit TO $app USING (true); GRANT $readers TO $app",
    "SET ROLE $owner; ALTER POLICY own ON shop.orders USING (true);
     REVOKE DELETE ON shop.orders FROM $app; GRANT UPDATE ON shop.orders TO $clone;
     ALTER DEFAULT PRIVILEGES IN SCHEMA shop REVOKE SELECT ON TABLES FROM $app;
     CREATE TABLE shop.too_late (a int);
     RESET ROLE; ALTER USER MAPPING FOR $app SERVER $loop OPTIONS (SET password 'far-1')",
    "SET ROLE $owner; REVOKE SELECT, UPDATE ON shop.orders FROM $clone;
     GRANT DELETE ON shop.orders TO $app; REVOKE SELECT ON shop.audit FROM $app;
     GRANT SELECT (id), UPDATE (who) ON shop.audit TO $app WITH GRANT OPTION;
     DROP POLICY all_of_it ON shop.audit; RESET ROLE; REVOKE $readers FROM $app",
    "SET ROLE $owner; REVOKE UPDATE (who) ON shop.audit FROM $app;
     GRANT ALL ON shop.too_late TO $app; RESET ROLE;
     GRANT DELETE ON shop.orders TO $clone",
];

/// What a user may do after each round: 1 for yes.
const PROBES: [(&str, [u8; 4]); 6] = [
    ("DELETE FROM shop.orders WHERE false", [1, 0, 1, 1]),
    ("SELECT who FROM shop.audit", [1, 1, 0, 0]),
    ("UPDATE shop.audit SET who = '' WHERE false", [0, 0, 1, 0]),
    ("SELECT * FROM shop.later", [1, 1, 1, 1]),
    ("SELECT * FROM shop.too_late", [0, 0, 0, 1]),
    ("CREATE TABLE public.elsewhere AS SELECT * FROM pg_catalog.pg_authid", [0; 4]),
];

impl Scene for Shop {
    type Session = PgConnection;

    fn stage(&self) -> &Stage {
        &self.stage
    }

    fn users(&self) -> [String; 2] {
        [self.app.name.clone(), self.clone_name()]
    }

    async fn open(&self, document: &Value) -> PgConnection {
        self.session(document, &self.databases[0]).await.unwrap()
    }

    async fn use_session(&self, session: &mut PgConnection) -> Result<(), String> {
        run(session, "INSERT INTO shop.orders (total) VALUES (1); SELECT * FROM shop.made").await
    }

    async fn between(&self, round: usize) {
        for database in &self.databases[..2] {
            self.in_database(database, BETWEEN[round]).await;
        }
    }

    async fn check(&self, round: usize, document: &Value) {
        for database in &self.databases[..2] {
            let mut session = self.session(document, database).await.unwrap();
            for (sql, may) in PROBES {
                let done = run(&mut session, sql).await;
                let about = format!("round {round}, {}: {sql}: {done:?}", document["username"]);
                assert_eq!(u8::from(done.is_ok()), may[round], "{about}");
                let known = |why: String| why.contains("denied") || why.contains("does not exist");
                assert!(done.is_ok() || done.is_err_and(known), "{about}");
            }
            let query =
                "SELECT current_user::text, session_user::text, current_setting('work_mem')";
            let row = session.fetch_one(query).await.unwrap();
            let [current, login, memory]: [String; 3] = [row.get(0), row.get(1), row.get(2)];
            assert_eq!((&current, &json!(login)), (&self.app.name, &document["username"]));
            assert_eq!(memory == "5MB", database == &self.databases[0]);
            session.close().await.unwrap();
        }
    }

    async fn check_all(&self) {
        for database in &self.databases[..2] {
            let owned = "SELECT count(*) FROM pg_shdepend WHERE deptype = 'o' AND refobjid =
                (SELECT oid FROM pg_roles WHERE rolname = '{}')";
            let owned = owned.replace("{}", &self.clone_name());
            assert_eq!(self.count(database, &owned).await, 0, "the second user owns something");
        }
        // The admin has what it was given, and what making a role gave it.
        let inherits = "SELECT count(*) FROM pg_auth_members m JOIN pg_roles a ON a.oid = m.member
            WHERE a.rolname = '{}' AND ";
        let inherits = inherits.replace("{}", &self.admin.name);
        let rows = if self.server.version().await >= 16 {
            "(m.inherit_option OR m.set_option)"
        } else {
            "true"
        };
        let kept = self.count("postgres", &format!("{inherits}{rows}")).await;
        assert_eq!(kept, 0, "the admin is still a member of the users");
    }

    async fn restart(&self) {
        let _alone = if self.old { Some(alone().await) } else { None };
        let _turn = twins().await;
        crate::pairs::shell(&self.restart).await;
    }
}
