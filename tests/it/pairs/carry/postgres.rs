//! The kinds of pairs on PostgreSQL.

use std::path::PathBuf;

use serde_json::{Value, json};
use sqlx::postgres::PgConnection;

use super::{Repeated, Replay, Working, arn, script, with_either_current};
use crate::pairs::postgres::{Shop, run, servers};
use crate::support::postgres::{Server, undisturbed};

/// A kind of pair.
struct Kind {
    name: &'static str,
    /// Of the function, with the users' names to be filled in.
    variables: &'static [&'static str],
    /// Makes the pair what it was, in each database, as the superuser; may be run at any time. What locks a
    /// table comes first: an ANALYZE that has the table waits for the row of `pg_class` that GRANT wrote,
    /// and then both would wait for each other.
    state: &'static str,
    /// What each user's sessions do all the time.
    work: [&'static str; 2],
    /// Whether the users carry the marks of an earlier version.
    marked: bool,
    /// Whether nobody but the two users granted anything to the second.
    granted_by_itself: bool,
}

/// What all have: the tables of an owner, and the users' own.
const BASE: &str = "
    CREATE SCHEMA shop AUTHORIZATION $owner; SET ROLE $owner;
    CREATE TABLE shop.orders (id serial, a int); CREATE TABLE shop.extra (a int);
    ALTER TABLE shop.orders ENABLE ROW LEVEL SECURITY;
    CREATE POLICY p ON shop.orders TO $app USING (true) WITH CHECK (true);
    GRANT USAGE, CREATE ON SCHEMA shop TO $app;
    GRANT SELECT, INSERT ON shop.orders TO $app; GRANT USAGE ON SEQUENCE shop.orders_id_seq TO $app;
    RESET ROLE; CREATE TABLE shop.of_app (a int); CREATE TABLE shop.of_clone (a int);
    SELECT lo_create(4242);";

/// Every edge from the first user to the second, whoever made it.
const UNLINK: &str = "
    DO $do$ DECLARE who text; BEGIN
        FOR who IN SELECT g.rolname FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid
            JOIN pg_roles s ON s.oid = m.member JOIN pg_roles g ON g.oid = m.grantor
            WHERE r.rolname = '@app' AND s.rolname = '@clone'
        LOOP EXECUTE format('REVOKE %I FROM %I GRANTED BY %I', '@app', '@clone', who); END LOOP;
    END $do$;
    ALTER ROLE $clone RESET ALL; ALTER ROLE $app RESET ALL;";

const KINDS: [Kind; 4] = [
    Kind {
        name: "made by copying",
        variables: &[],
        state: "SET ROLE $owner; ALTER POLICY p ON shop.orders TO $app, $clone;
            GRANT USAGE, CREATE ON SCHEMA shop TO $clone;
            GRANT SELECT, INSERT ON shop.orders TO $clone;
            GRANT USAGE ON SEQUENCE shop.orders_id_seq TO $clone;
            ALTER DEFAULT PRIVILEGES IN SCHEMA shop GRANT SELECT ON TABLES TO $app, $clone;
            RESET ROLE; GRANT $readers TO $app, $clone; @unlink
            ALTER ROLE $app SET work_mem = '5MB'; ALTER ROLE $clone SET work_mem = '5MB';",
        work: ["INSERT INTO shop.orders (a) VALUES (1); SELECT count(*) FROM shop.orders"; 2],
        marked: true,
        granted_by_itself: false,
    },
    Kind {
        name: "of AWS's template",
        variables: &["ADOPT_USERS=@clone"],
        state: "GRANT $app TO $clone; ALTER TABLE shop.of_app OWNER TO $app;
            ALTER TABLE shop.of_clone OWNER TO $clone; ALTER LARGE OBJECT 4242 OWNER TO $clone;
            GRANT ALL ON shop.of_clone TO $app; GRANT SELECT, UPDATE ON LARGE OBJECT 4242 TO $app;
            ALTER DEFAULT PRIVILEGES FOR ROLE $clone IN SCHEMA shop GRANT ALL ON TABLES TO $app;
            ALTER ROLE $clone RESET ALL; COMMENT ON ROLE $app IS NULL;
            COMMENT ON ROLE $clone IS 'of team blue';",
        work: [
            "INSERT INTO shop.of_app VALUES (1); SELECT count(*) FROM shop.of_clone, shop.orders;
             ALTER TABLE shop.of_app SET (fillfactor = 60); SELECT lo_get(4242)",
            "INSERT INTO shop.of_clone VALUES (1); SELECT count(*) FROM shop.of_app, shop.orders;
             ALTER TABLE shop.of_clone SET (fillfactor = 60); SELECT lo_put(4242, 0, 'a')",
        ],
        marked: false,
        granted_by_itself: true,
    },
    Kind {
        name: "with a shared owner",
        variables: &["SHARED_OWNER=@app=@owner"],
        state: "GRANT $owner TO $app, $clone; @unlink
            ALTER ROLE $app SET role = '@owner'; ALTER ROLE $clone SET role = '@owner';
            ALTER TABLE shop.of_app OWNER TO $owner; ALTER TABLE shop.of_clone OWNER TO $owner;",
        work:
            ["INSERT INTO shop.of_app VALUES (1); ALTER TABLE shop.of_clone SET (fillfactor = 60);
             CREATE TABLE shop.by_@user (a int); DROP TABLE shop.by_@user"; 2],
        marked: true,
        granted_by_itself: true,
    },
    Kind {
        name: "made by hand with rights that differ",
        variables: &["ADOPT_USERS=@clone", "DROP_EXTRA_RIGHTS=@clone"],
        state: "SET ROLE $owner; ALTER POLICY p ON shop.orders TO $app, $clone;
            GRANT USAGE ON SCHEMA shop TO $clone;
            GRANT SELECT ON shop.extra, shop.orders TO $clone; GRANT DELETE ON shop.extra TO $clone;
            ALTER DEFAULT PRIVILEGES IN SCHEMA shop GRANT SELECT ON TABLES TO $clone;
            RESET ROLE; @unlink
            COMMENT ON ROLE $app IS NULL; COMMENT ON ROLE $clone IS NULL;",
        work: [
            "INSERT INTO shop.orders (a) VALUES (1); SELECT count(*) FROM shop.orders",
            "SELECT count(*) FROM shop.orders",
        ],
        marked: false,
        granted_by_itself: false,
    },
];

/// A pair of one kind.
struct Scene {
    shop: Shop,
    kind: &'static Kind,
}

impl Scene {
    async fn new(server: &Server, kind: &'static Kind) -> Self {
        let shop = Shop::bare(server).await;
        let create = "CREATE ROLE $clone LOGIN PASSWORD 'clone-1'";
        server.arrange_quietly(&shop.fill(create)).await;
        if server.version().await >= 16 {
            let grant = "GRANT $clone TO $admin WITH ADMIN TRUE, INHERIT FALSE, SET FALSE";
            shop.arrange(grant).await;
        }
        let scene = Self { shop, kind };
        for database in &scene.shop.databases[..2] {
            scene.shop.in_database(database, BASE).await;
            scene.shop.in_database(database, &scene.state()).await;
        }
        scene
    }

    fn named(&self, text: &str) -> String {
        text.replace("@app", &self.shop.app.name)
            .replace("@clone", &self.shop.clone_name())
            .replace("@owner", &self.shop.owner())
    }

    fn arn(&self) -> String {
        arn(&self.shop.app.name)
    }

    fn state(&self) -> String {
        let mark = |partner: &str| {
            format!("fourstep: {}", json!({"partner": partner, "secret": self.arn()}))
        };
        let marks = match self.kind.marked {
            true => format!(
                "COMMENT ON ROLE $app IS '{}'; COMMENT ON ROLE $clone IS '{}';",
                mark(&self.shop.clone_name()),
                mark(&self.shop.app.name)
            ),
            false => String::new(),
        };
        let state = self.kind.state.replace("@unlink", UNLINK) + &marks;
        self.shop.fill(&self.named(&state))
    }

    /// A command that makes the pair what it was, in each database at once.
    fn reset(&self, replay: &Replay) -> String {
        let state: PathBuf = replay.write("state.sql", &format!("BEGIN; {} COMMIT;", self.state()));
        let databases = &self.shop.databases[..2];
        let commands = databases.iter().map(|database| self.shop.server.shell(database, &state));
        let commands = commands.collect::<Vec<_>>().join(" && ");
        script(&replay.write("reset.sh", &commands))
    }

    fn replay(&self, current: usize) -> Replay {
        let mut document = self.shop.server.document(&self.shop.app);
        document["dbname"] = json!(self.shop.databases[0]);
        document["masterarn"] = json!("admin");
        if current == 1 {
            document["username"] = json!(self.shop.clone_name());
            document["password"] = json!("clone-1");
        }
        let variables = self.kind.variables.iter().map(|text| self.named(text));
        let always = ["ROTATION_STRATEGY=alternating-users".to_owned()];
        let variables: Vec<_> = always.into_iter().chain(variables).collect();
        let admin = self.shop.server.document(&self.shop.admin);
        Replay::new(("rotate-postgres", self.arn()), &document, &admin, &variables)
    }

    async fn sessions(&self) -> Vec<Working> {
        let mut sessions = Vec::new();
        for (user, password, work) in [
            (self.shop.app.name.clone(), self.shop.app.password.as_str(), self.kind.work[0]),
            (self.shop.clone_name(), "clone-1", self.kind.work[1]),
        ] {
            let work = work.replace("@user", &user);
            let document = json!({"username": user, "password": password});
            for database in &self.shop.databases[..2] {
                let session = self.shop.session(&document, database).await.unwrap();
                sessions.push(Working::start(Session { session, work: work.clone() }));
            }
        }
        sessions
    }

    /// The second user is the first with another login, and owns nothing. What a third role granted to
    /// it the admin cannot take: it has no effect while the user acts as the first.
    async fn assert_carried_over(&self, document: &Value, name: &str) {
        for database in &self.shop.databases[..2] {
            let of_its_own =
                "SELECT count(*) FROM pg_shdepend d JOIN pg_roles r ON r.oid = d.refobjid
                WHERE r.rolname = '@clone' AND (d.deptype = 'o' OR @all) AND d.dbid =
                (SELECT oid FROM pg_database WHERE datname = current_database())";
            let of_its_own = of_its_own.replace("@all", &self.kind.granted_by_itself.to_string());
            let left = self.shop.count(database, &self.named(&of_its_own)).await;
            assert_eq!(left, 0, "{name}: the second user has something of its own");
        }
        let mut session = self.shop.session(document, &self.shop.databases[0]).await.unwrap();
        let acts = match self.kind.variables {
            ["SHARED_OWNER=@app=@owner"] => "@owner",
            _ => "@app",
        };
        let acts = self.named(&format!("SELECT 1 / (current_user = '{acts}')::int"));
        run(&mut session, &acts).await.unwrap_or_else(|why| panic!("{name}: {acts}: {why}"));
        let work = self.kind.work[0].replace("@user", "anybody");
        run(&mut session, &work).await.unwrap();
        let extra = run(&mut session, "SELECT * FROM shop.extra").await;
        assert_eq!(extra.is_ok(), acts.contains(&self.shop.owner()), "{name}: {extra:?}");
    }
}

struct Session {
    session: PgConnection,
    work: String,
}

impl Repeated for Session {
    async fn once(&mut self) -> Result<(), String> {
        // Each by itself, so that none waits with a lock for another that the reset holds.
        for statement in self.work.split(';') {
            run(&mut self.session, statement).await?;
        }
        Ok(())
    }
}

async fn is_carried_over(server: Server, kind: &'static Kind, current: usize) {
    let scene = Scene::new(&server, kind).await;
    let replay = scene.replay(current);
    let user = ["first", "second"][current];
    let name = format!("PostgreSQL {}, {}, {user} current", server.version().await, kind.name);
    replay.carry_over(&name, scene.sessions().await, &scene.reset(&replay)).await;
    scene.assert_carried_over(&replay.current(), &name).await;
    let databases = scene.shop.databases.clone();
    for database in databases {
        server.arrange(&format!("DROP DATABASE \"{database}\"")).await;
    }
}

async fn all_are_carried_over(number: usize) {
    let _undisturbed = undisturbed().await;
    let run = |server, current| is_carried_over(server, &KINDS[number], current);
    with_either_current(&servers(), number, run).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pair_made_by_copying_is_carried_over_whatever_is_killed() {
    all_are_carried_over(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pair_of_the_template_is_carried_over_whatever_is_killed() {
    all_are_carried_over(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pair_with_a_shared_owner_is_carried_over_whatever_is_killed() {
    all_are_carried_over(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pair_made_by_hand_is_carried_over_whatever_is_killed() {
    all_are_carried_over(3).await;
}
