//! Two users that take turns: what PostgreSQL's own catalogues say of the two behind the front, which no code of
//! the rotator reads.

use fourstep::store::{AWSCURRENT, AWSPENDING, AWSPREVIOUS};
use fourstep::{ErrorKind, Question, Step};
use sqlx::Connection;

use super::by_admin;
use crate::support::postgres::User;
use crate::support::redshift::{Front, front};
use crate::support::stage::Stage;

pub const PAIR: (&str, &str) = ("ROTATION_STRATEGY", "alternating-users");

/// A user with something of everything that is carried over.
pub struct Shop {
    pub front: Front,
    pub user: User,
    pub admin: User,
    pub clone: User,
    /// Beside `dev`.
    pub database: String,
    /// The stem of what is granted.
    pub stem: String,
}

impl Shop {
    pub async fn new() -> Option<Self> {
        Some(Self::at(front().await?).await)
    }

    pub async fn at(front: Front) -> Self {
        let (user, admin) = (front.user("app").await, front.admin().await);
        let clone = User { name: format!("{}_clone", user.name), ..user.clone() };
        let database = front.database().await;
        let stem = front.server.user("stem").await.name;
        let shop = Self { front, user, admin, clone, database, stem };
        shop.tell(&format!(
            "CREATE GROUP team_{0}; CREATE ROLE role_{0}; CREATE ROLE spare_{0}",
            shop.stem
        ))
        .await;
        shop.tell(&format!("COMMENT ON ROLE team_{} IS 'group'", shop.stem)).await;
        for database in ["postgres", &shop.database] {
            for sql in [
                "CREATE SCHEMA s_@; CREATE TABLE s_@.orders (a int, b int); CREATE VIEW s_@.seen AS SELECT 1",
                "CREATE FUNCTION s_@.f(int, text) RETURNS int LANGUAGE sql AS 'SELECT 1'",
                "CREATE PROCEDURE s_@.p() LANGUAGE sql AS 'SELECT 1'",
            ] {
                shop.front.server.arrange_in(database, &sql.replace('@', &shop.stem)).await;
            }
        }
        shop
    }

    /// Gives the user in use, who is `{}`, everything; `@` is the stem.
    pub async fn give(&self, user: &User) {
        for sql in [
            "GRANT USAGE, CREATE ON SCHEMA s_@ TO {}",
            "GRANT SELECT, DELETE, TRIGGER ON s_@.orders TO {}",
            "GRANT INSERT ON s_@.orders TO {} WITH GRANT OPTION",
            "GRANT UPDATE (b), SELECT (a) ON s_@.orders TO {}",
            "GRANT SELECT ON s_@.seen TO {}",
            "GRANT EXECUTE ON FUNCTION s_@.f(int, text) TO {}",
            "GRANT EXECUTE ON PROCEDURE s_@.p() TO {}",
            "ALTER DEFAULT PRIVILEGES FOR USER stem_@ IN SCHEMA s_@ GRANT SELECT ON TABLES TO {}",
            "ALTER DEFAULT PRIVILEGES FOR USER stem_@ GRANT EXECUTE ON FUNCTIONS TO {} WITH GRANT OPTION",
            "ALTER DEFAULT PRIVILEGES FOR USER {} GRANT SELECT ON TABLES TO GROUP team_@",
            "ALTER DEFAULT PRIVILEGES FOR USER {} GRANT DELETE, TRIGGER ON TABLES TO role_@",
        ] {
            for database in ["postgres", &self.database] {
                self.tell_in(database, &self.about(user, sql)).await;
            }
        }
        for sql in [
            "ALTER GROUP team_@ ADD USER {}",
            "GRANT role_@ TO {} WITH ADMIN OPTION",
            "ALTER USER {} CREATEDB CONNECTION LIMIT 7",
            "ALTER USER {} SET search_path TO s_@, public",
            "ALTER USER {} SET statement_timeout TO 60000",
            "ALTER USER {} SET \"redshift.timeout\" TO 600",
            "ALTER USER {} SET \"redshift.syslog\" TO UNRESTRICTED",
        ] {
            self.tell(&self.about(user, sql)).await;
        }
        let database = format!("GRANT CREATE, TEMPORARY ON DATABASE \"{}\" TO {{}}", self.database);
        self.tell(&self.about(user, &database)).await;
    }

    pub fn about(&self, user: &User, sql: &str) -> String {
        let owner = format!("\"{}\"", self.stem);
        let sql = sql.replace("stem_@", &owner).replace('@', &self.stem);
        sql.replace("{}", &format!("\"{}\"", user.name))
    }

    pub async fn tell(&self, sql: &str) {
        self.tell_in("postgres", sql).await;
    }

    pub async fn tell_in(&self, database: &str, sql: &str) {
        self.front.server.arrange_in(database, sql).await;
    }

    pub fn stage(&self, variables: &[(&str, &str)]) -> Stage {
        by_admin(&self.front, &self.user, &self.admin, &[&[PAIR][..], variables].concat())
    }

    /// All that the catalogues of both databases say of a user, without its name.
    pub async fn has(&self, user: &User) -> String {
        let mut all = String::new();
        for database in ["postgres", &self.database] {
            let mut session = self.front.server.superuser_in(database).await;
            let query = format!(
                "WITH me AS (SELECT oid AS me FROM pg_roles WHERE rolname = '{}') SELECT string_agg(line, E'\\n' \
                 ORDER BY line) FROM (SELECT concat(c.oid::regclass, a.privilege_type, a.is_grantable) AS line \
                 FROM me, pg_class AS c, aclexplode(relacl) AS a WHERE grantee = me \
                 UNION ALL SELECT concat(attrelid::regclass, attname, a.privilege_type) \
                 FROM me, pg_attribute, aclexplode(attacl) AS a WHERE grantee = me \
                 UNION ALL SELECT concat(p.oid::regprocedure, a.privilege_type, a.is_grantable) \
                 FROM me, pg_proc AS p, aclexplode(proacl) AS a WHERE grantee = me \
                 UNION ALL SELECT concat(nspname, a.privilege_type) \
                 FROM me, pg_namespace, aclexplode(nspacl) AS a WHERE grantee = me \
                 UNION ALL SELECT concat(datname, a.privilege_type) \
                 FROM me, pg_database, aclexplode(datacl) AS a WHERE grantee = me \
                 UNION ALL SELECT concat(CASE defaclrole WHEN me THEN 0 ELSE defaclrole END, defaclnamespace, \
                 defaclobjtype, CASE grantee WHEN me THEN 0 ELSE grantee END, a.privilege_type, a.is_grantable) \
                 FROM me, pg_default_acl, aclexplode(defaclacl) AS a WHERE me IN (grantee, defaclrole) \
                 UNION ALL SELECT concat('member of ', rolname, admin_option) FROM me, pg_auth_members \
                 JOIN pg_roles ON pg_roles.oid = roleid WHERE member = me AND rolname NOT LIKE 'fourstep:%' \
                 UNION ALL SELECT concat(rolcreatedb, rolconnlimit, \
                 (SELECT array_agg(one ORDER BY one) FROM unnest(rolconfig) AS one)) \
                 FROM me, pg_roles WHERE oid = me) AS one",
                user.name
            );
            let found: Option<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(query))
                .fetch_one(&mut session)
                .await
                .unwrap();
            session.close().await.unwrap();
            all += &format!("{database}\n{}\n", found.unwrap_or_default());
        }
        all
    }

    pub async fn assert_equal(&self) -> String {
        let [one, other] = [self.has(&self.user).await, self.has(&self.clone).await];
        assert_eq!(one, other);
        one
    }
}

/// How a step fails before anything is changed, with what is pending then.
pub async fn refused(shop: &Shop, stage: &Stage, step: Step) -> (ErrorKind, String) {
    let before = shop.front.heard();
    let token = stage.begin();
    if step == Step::Set {
        stage.step(Step::Create, &token).await.why();
    }
    let ended = stage.step(step, &token).await;
    let heard = shop.front.heard();
    let new = heard.strip_prefix(&before).unwrap();
    let changes = ["CREATE ", "ALTER ", "GRANT ", "REVOKE "];
    let changed = new.lines().filter(|line| changes.iter().any(|verb| line.starts_with(verb)));
    assert_eq!(changed.count(), 0, "{new}");
    if step == Step::Create {
        assert_eq!(stage.try_text(AWSPENDING), None);
    }
    (ended.result.as_ref().unwrap_err().kind(), ended.error())
}

#[tokio::test]
async fn parity_23_two_users_are_made_equal_in_everything_on_every_rotation() {
    let Some(shop) = Shop::new().await else { return };
    shop.give(&shop.user).await;
    let stage = shop.stage(&[]);
    let plan = stage.ask(Question::Plan).await.to_string();
    for statement in ["CREATE USER", "PASSWORD DISABLE", "GRANT INSERT ON", "WITH GRANT OPTION"] {
        assert!(plan.contains(statement), "{statement}: {plan}");
    }
    assert!(!plan.contains("one transaction") && !plan.contains("in the way"), "{plan}");
    let ready = stage.ask(Question::Preflight).await;
    assert_eq!(ready["ready"], true, "{ready}");
    stage.play(&Step::ALL).await;
    let all = shop.assert_equal().await;
    for (what, times) in [("orders", 10), ("s_", 16), ("member of", 6), ("EXECUTE", 6)] {
        assert!(all.matches(what).count() >= times, "{what}: {all}");
    }
    assert!(all.contains("redshift.timeout=600") && all.contains("search_path="), "{all}");
    assert_eq!(stage.document(AWSCURRENT)["username"], shop.clone.name);
    let password = stage.password(AWSCURRENT);
    assert!(shop.front.logs_in(&shop.clone.name, &password).await);
    // The one before goes on working.
    assert!(shop.front.logs_in(&shop.user.name, &stage.password(AWSPREVIOUS)).await);

    // What the one in use loses, the other loses; and what it gets.
    for sql in [
        "REVOKE DELETE, SELECT (a) ON s_@.orders FROM {}",
        "REVOKE GRANT OPTION FOR INSERT ON s_@.orders FROM {}",
        "GRANT TRUNCATE ON s_@.orders TO {} WITH GRANT OPTION",
        "REVOKE EXECUTE ON FUNCTION s_@.f(int, text) FROM {}",
        "REVOKE CREATE ON SCHEMA s_@ FROM {}",
        "ALTER DEFAULT PRIVILEGES FOR USER stem_@ IN SCHEMA s_@ REVOKE SELECT ON TABLES FROM {}",
        "ALTER DEFAULT PRIVILEGES FOR USER {} REVOKE DELETE ON TABLES FROM role_@",
    ] {
        shop.tell_in(&shop.database, &shop.about(&shop.clone, sql)).await;
    }
    for sql in [
        "ALTER GROUP team_@ DROP USER {}",
        "REVOKE ADMIN OPTION FOR role_@ FROM {}",
        "GRANT spare_@ TO {}",
        "ALTER USER {} NOCREATEDB CONNECTION LIMIT -1",
        "ALTER USER {} RESET \"redshift.timeout\"",
        "ALTER USER {} RESET statement_timeout",
    ] {
        shop.tell(&shop.about(&shop.clone, sql)).await;
    }
    let wanted = shop.has(&shop.clone).await;
    assert_ne!(shop.has(&shop.user).await, wanted);
    stage.play(&Step::ALL).await;
    assert_eq!(shop.assert_equal().await, wanted);
    assert_eq!(stage.document(AWSCURRENT)["username"], shop.user.name);
    // Where nothing differs nothing is run but the password.
    let before = shop.front.heard();
    stage.play(&Step::ALL).await;
    let heard = shop.front.heard();
    let new = heard.strip_prefix(&before).unwrap();
    let changes =
        new.lines().filter(|line| !line.starts_with("SELECT") && !line.starts_with("SET "));
    let changes: Vec<_> = changes.filter(|line| *line != "ROLLBACK").collect();
    assert_eq!(changes.len(), 1, "{changes:?}");
    assert!(
        changes[0].starts_with(&format!("ALTER USER \"{}\" PASSWORD 'sha256|", shop.clone.name))
    );
}

#[tokio::test]
async fn parity_23_what_changes_before_the_promotion_is_found_by_test_secret() {
    let Some(shop) = Shop::new().await else { return };
    shop.give(&shop.user).await;
    for (sql, told) in [
        ("REVOKE SELECT ON s_@.seen FROM {}", "GRANT SELECT ON"),
        ("ALTER GROUP team_@ DROP USER {}", "ADD USER"),
        ("ALTER USER {} CONNECTION LIMIT 9", "CONNECTION LIMIT 7"),
        ("GRANT spare_@ TO {}", "REVOKE ROLE"),
    ] {
        let stage = shop.stage(&[]);
        let token = stage.play(&[Step::Create, Step::Set]).await;
        let place = if sql.contains("seen") { shop.database.as_str() } else { "postgres" };
        shop.tell_in(place, &shop.about(&shop.clone, sql)).await;
        let ended = stage.step(Step::Test, &token).await;
        assert_eq!(ended.result.as_ref().unwrap_err().kind(), ErrorKind::Conflict);
        assert!(ended.error().contains(told), "{}", ended.error());
        // The retry of setSecret makes up for it.
        for step in [Step::Set, Step::Test, Step::Finish] {
            stage.step(step, &token).await.why();
        }
        shop.assert_equal().await;
        shop.tell(&format!("DROP OWNED BY \"{}\"", shop.clone.name)).await;
        shop.tell_in(&shop.database, &format!("DROP OWNED BY \"{}\"", shop.clone.name)).await;
        shop.tell(&format!("DROP ROLE \"{}\"", shop.clone.name)).await;
    }
}

#[tokio::test]
async fn parity_23_a_clone_that_awss_template_made_is_adopted_or_refused_by_name() {
    let Some(shop) = Shop::new().await else { return };
    shop.give(&shop.user).await;
    let clone = &shop.clone.name;
    shop.tell(&format!("CREATE USER \"{clone}\" IN GROUP hba_trust")).await;
    shop.tell(&shop.about(&shop.clone, "GRANT SELECT, UPDATE ON s_@.orders TO {}")).await;
    let (kind, text) = refused(&shop, &shop.stage(&[]), Step::Create).await;
    assert_eq!(kind, ErrorKind::Unsupported);
    assert!(text.contains(clone) && text.contains("ADOPT_USERS"), "{text}");
    // What it has beside the first is not taken unasked.
    let adopt = ("ADOPT_USERS", clone.as_str());
    let (kind, text) = refused(&shop, &shop.stage(&[adopt]), Step::Set).await;
    assert_eq!(kind, ErrorKind::Unsupported);
    assert!(text.contains("REVOKE UPDATE ON") && text.contains("DROP_EXTRA_RIGHTS"), "{text}");
    let stage = shop.stage(&[adopt, ("DROP_EXTRA_RIGHTS", clone)]);
    stage.play(&Step::ALL).await;
    shop.assert_equal().await;
    // From here on the mark says so.
    let unasked = shop.stage(&[]);
    let stage = Stage { environment: unasked.environment, rotator: unasked.rotator, ..stage };
    stage.play(&Step::ALL).await;
    shop.assert_equal().await;
}
