//! Two users that an admin keeps equal, on a real MySQL and a real MariaDB, by an admin that has what
//! docs/mysql-alternating.md says it needs, and no more.

mod by_admin;
mod carry;
mod conformance;
mod forgery;
mod kills;
mod ownership;
mod questions;
mod rights;
mod roles;
mod rotations;

use std::collections::BTreeSet;

use fourstep::Step;
use fourstep::store::AWSCURRENT;
use fourstep_local::NewSecret;
use serde_json::{Value, json};

use crate::support::mysql::{Server, User};
use crate::support::stage::Stage;

/// A shop: a schema with tables and routines, an application's user with rights of every kind, and
/// an admin.
pub struct Shop {
    pub server: Server,
    pub stage: Stage,
    pub app: User,
    pub admin: User,
    /// What makes this shop's names its own.
    unique: String,
}

/// What the application's user may do at first. `$far` is its account for another network.
const RIGHTS: &str = "
    GRANT SELECT, INSERT ON $schema.* TO $app;
    GRANT ALL PRIVILEGES ON $archive.* TO $app WITH GRANT OPTION;
    GRANT SELECT (id), UPDATE (id, `note TO x`) ON $orders TO $app;
    GRANT DELETE ON $orders TO $app;
    GRANT ALL PRIVILEGES ON $audit TO $app;
    GRANT EXECUTE ON FUNCTION $schema.tax TO $app;
    GRANT EXECUTE, ALTER ROUTINE ON PROCEDURE $schema.`close it` TO $app WITH GRANT OPTION;
    GRANT PROCESS ON *.* TO $app;
    GRANT PROXY ON $other TO $app;
    GRANT $reader TO $app; GRANT $boss TO $app WITH ADMIN OPTION;
    GRANT SELECT ON $schema.* TO $far;";

/// What docs/mysql-alternating.md says that an admin needs on MySQL, whatever the rights.
const ADMIN: &str = "
    GRANT CREATE USER, PROCESS, ROLE_ADMIN ON *.* TO $admin;
    GRANT SELECT ON mysql.* TO $admin;";

/// The same on MariaDB, for these rights.
const COPIER: &str = "
    GRANT CREATE USER ON *.* TO $admin;
    GRANT SELECT ON mysql.* TO $admin;
    GRANT ALL PRIVILEGES ON $schema.* TO $admin WITH GRANT OPTION;
    GRANT ALL PRIVILEGES ON $archive.* TO $admin WITH GRANT OPTION;
    GRANT PROCESS ON *.* TO $admin WITH GRANT OPTION;
    GRANT PROXY ON $other TO $admin WITH GRANT OPTION;
    GRANT $reader TO $admin WITH ADMIN OPTION; GRANT $boss TO $admin WITH ADMIN OPTION;
    GRANT UPDATE ON mysql.* TO $admin;";

impl Shop {
    /// A shop whose user has rights of every kind.
    pub async fn open(server: &Server, variables: &[(&str, &str)]) -> Self {
        let shop = Self::bare(server, "app", variables).await;
        shop.arrange("CREATE USER $far IDENTIFIED BY 'far-away-1!';").await;
        shop.arrange(RIGHTS).await;
        let (own, default) = match server.is_mysql() {
            true => (
                "PASSWORD HISTORY 3 PASSWORD REUSE INTERVAL DEFAULT PASSWORD REQUIRE CURRENT \
                 OPTIONAL FAILED_LOGIN_ATTEMPTS 40 PASSWORD_LOCK_TIME 2 \
                 ATTRIBUTE '{\"team\": {\"name\": \"o''b\\\\lue\"}, \"comment\": \"a\"}'",
                "ALTER USER $app DEFAULT ROLE $reader;",
            ),
            false => ("", "SET DEFAULT ROLE $reader FOR $app;"),
        };
        shop.arrange(default).await;
        shop.arrange(&format!(
            "ALTER USER $app REQUIRE SSL WITH MAX_QUERIES_PER_HOUR 90000 \
             PASSWORD EXPIRE INTERVAL 90 DAY {own};"
        ))
        .await;
        shop
    }

    /// A shop whose user, named with this stem, has no rights yet.
    pub async fn bare(server: &Server, stem: &str, variables: &[(&str, &str)]) -> Self {
        Self::bare_with(server, [stem, "admin"], variables).await
    }

    /// The same, with a stem for the admin's name too.
    pub async fn bare_with(
        server: &Server,
        [stem, admins]: [&str; 2],
        variables: &[(&str, &str)],
    ) -> Self {
        let (app, admin) = (server.user(stem).await, server.user(admins).await);
        let unique = admin.name.trim_start_matches(admins).to_owned();
        let mut document = server.document(&app);
        document["masterarn"] = json!("admin");
        let always = [("ROTATION_STRATEGY", "alternating-users,single-user-by-admin")];
        let stage = server.stage(&document, &[&always[..], variables].concat());
        let value = Some(server.document(&admin).to_string().as_str().into());
        stage.store.create("admin", NewSecret { value, ..NewSecret::default() }).unwrap();
        let shop = Self { server: server.clone(), stage, app, admin, unique };
        shop.arrange(
            "CREATE DATABASE $schema; CREATE DATABASE $old;
             CREATE TABLE $orders (id int, total int, `note TO x` int);
             CREATE TABLE $audit (id int, who int);
             CREATE FUNCTION $schema.tax() RETURNS int DETERMINISTIC RETURN 2;
             CREATE PROCEDURE $schema.`close it`() SELECT 1;
             CREATE USER $other IDENTIFIED BY 'other-one-1!'; CREATE ROLE $reader, $boss;",
        )
        .await;
        shop.arrange(if server.is_mysql() { ADMIN } else { COPIER }).await;
        shop
    }

    /// Another configuration of the function.
    pub fn configure(&mut self, variables: &[(&str, &str)]) {
        let always = [("ROTATION_STRATEGY", "alternating-users")];
        let more = always.iter().chain(variables);
        let more = more.map(|(name, value)| (name.to_string(), value.to_string()));
        let environment = self.server.variables().into_iter().chain(more).collect();
        self.stage.rotator = rotate_mysql::strategies(&environment).unwrap();
    }

    /// A name of this shop's as it stands in SQL.
    fn name(&self, key: &str) -> String {
        let unique = &self.unique;
        let text = |text: &str| format!("'{}'", text.replace('\'', "''"));
        let schema = format!("`Sa``les TO 'x_%{unique}`");
        match key {
            "clonefar" => format!("{}@'10.%'", text(&self.clone_name())),
            "clone" => format!("{}@'127.%'", text(&self.clone_name())),
            "wide" => format!("{}@'%'", text(&self.app.name)),
            "far" => format!("{}@'10.%'", text(&self.app.name)),
            "app" => format!("{}@'127.%'", text(&self.app.name)),
            "admin" => format!("{}@'127.%'", text(&self.admin.name)),
            "other" => format!("'other{unique}'@'%'"),
            "reader" => format!("'reader{unique}'"),
            "boss" => format!("'boss{unique}'"),
            "schema" => schema,
            "orders" => format!("{schema}.`or``ders TO y`"),
            "audit" => format!("{schema}.audit"),
            "old" => format!("`archive_{unique}_1`"),
            "archive" => format!("`archive\\_{}\\_%`", unique.replace('_', "\\_")),
            _ => panic!("{key}"),
        }
    }

    /// Fills in the names of this shop.
    pub fn fill(&self, sql: &str) -> String {
        let keys = [
            "clonefar", "clone", "far", "app", "admin", "other", "reader", "boss", "schema",
            "orders", "audit", "old", "archive", "wide",
        ];
        keys.iter()
            .fold(sql.to_owned(), |sql, key| sql.replace(&format!("${key}"), &self.name(key)))
    }

    /// Runs SQL as the arranger, with the shop's names filled in.
    pub async fn arrange(&self, sql: &str) -> String {
        self.server.arrange(&self.fill(sql)).await
    }

    /// The user that is made.
    pub fn clone_name(&self) -> String {
        format!("{}_clone", self.app.name)
    }

    /// A whole rotation; returns the document that is current after it.
    pub async fn rotate(&self) -> Value {
        self.stage.play(&Step::ALL).await;
        self.stage.document(AWSCURRENT)
    }

    /// createSecret and setSecret of a new rotation; what the first that fails says.
    pub async fn refusal(&self) -> String {
        let token = self.stage.begin();
        for step in [Step::Create, Step::Set] {
            let ended = self.stage.step(step, &token).await;
            if ended.result.is_err() {
                let error = ended.error();
                self.stage.cancel();
                return error;
            }
        }
        panic!("it was not refused");
    }

    /// Whether a document's user and password log in.
    pub async fn logs_in(&self, document: &Value) -> bool {
        let text = |field: &str| document[field].as_str().unwrap();
        self.server.logs_in(text("username"), text("password")).await
    }

    /// What an account, as it stands in SQL, may do and is set to: all that the server shows of it
    /// but its name, its password and its mark; on MySQL what belongs to its login.
    pub async fn shown(&self, account: &str) -> BTreeSet<String> {
        let account = self.fill(account);
        let sql = match self.server.is_mysql() {
            true => {
                let (user, host) = account.split_once('@').unwrap();
                format!(
                    "SET SESSION print_identified_with_as_hex = ON; SHOW CREATE USER {account};
                     SELECT JSON_REMOVE(COALESCE(ATTRIBUTE, '{{}}'), '$.fourstep')
                     FROM information_schema.USER_ATTRIBUTES WHERE USER = {user} AND HOST = {host}"
                )
            }
            false => format!("SHOW GRANTS FOR {account}; SHOW CREATE USER {account};"),
        };
        let is_mysql = self.server.is_mysql();
        let line = |line: String| {
            let line = line.split(" ATTRIBUTE '").next().unwrap_or_default();
            // A default role stands behind the password, on MySQL.
            let (begin, end) = if is_mysql { (" AS ", " REQUIRE ") } else { (" PASSWORD '", "'") };
            match line.split_once(begin) {
                Some((before, after)) => {
                    let end = after.find(end).map_or(after.len(), |end| end + 1);
                    format!("{before} {}", &after[end..])
                }
                None => line.to_owned(),
            }
        };
        self.told(&account, &sql).await.into_iter().map(line).collect()
    }

    /// The lines that the server says, in which the account is called IT.
    async fn told(&self, account: &str, sql: &str) -> Vec<String> {
        let quoted = self.fill(account).replace('\'', "`");
        let said = self.arrange(sql).await;
        // The client's own escapes.
        let line = |line: &str| line.replace("\\\\", "\\").replace(&quoted, "IT");
        said.lines().map(line).collect()
    }

    /// Fails unless the two users are alike, on every host.
    pub async fn assert_alike(&self) {
        self.assert_alike_at_one_host().await;
        self.assert_alike_as("$far", "$clonefar").await;
    }

    /// The same where they have one account each.
    pub async fn assert_alike_at_one_host(&self) {
        self.assert_alike_as("$app", "$clone").await;
    }

    async fn assert_alike_as(&self, app: &str, clone: &str) {
        let (one, other) = (self.shown(app).await, self.shown(clone).await);
        let differences: Vec<_> = one.symmetric_difference(&other).collect();
        assert!(differences.is_empty(), "{differences:#?}");
        if self.server.is_mysql() {
            self.assert_acts(app, clone).await;
        }
    }

    /// Fails unless the second account has the first as its only role, from login on, and nothing
    /// beside; and so may do what the first may.
    async fn assert_acts(&self, app: &str, clone: &str) {
        let role = self.fill(app).replace('\'', "`");
        let only = ["GRANT USAGE ON *.* TO IT".to_owned(), format!("GRANT {role} TO IT")];
        let held = self.told(clone, &format!("SHOW GRANTS FOR {clone};")).await;
        let held = held.into_iter().filter(|line| !line.starts_with("GRANT PROXY "));
        assert_eq!(held.collect::<Vec<_>>(), only);
        let made = self.told(clone, &format!("SHOW CREATE USER {clone};")).await;
        assert!(made[0].contains(&format!(" DEFAULT ROLE {role} ")), "{made:?}");
        let can = |lines: Vec<String>| {
            let telling = |line: &String| {
                line.contains(" ON ")
                    && !line.contains(" PROXY ")
                    && !line.contains(" USAGE ON *.*")
            };
            lines.into_iter().filter(telling).collect::<BTreeSet<_>>()
        };
        let roles = self.told(app, &format!("SHOW GRANTS FOR {app};")).await;
        let roles = roles.iter().filter(|line| line.starts_with("GRANT `"));
        let roles = roles.map(|line| line["GRANT ".len()..].split_once(" TO ").unwrap().0);
        let roles: Vec<_> = roles.map(str::to_owned).collect();
        let using =
            if roles.is_empty() { String::new() } else { format!("USING {}", roles.join(",")) };
        let own = self.told(app, &format!("SHOW GRANTS FOR {app} {using};")).await;
        let taken = self.told(clone, &format!("SHOW GRANTS FOR {clone} USING {app};")).await;
        assert_eq!(can(own), can(taken));
    }
}
