//! A fleet that AWS's own code rotates, at real PostgreSQL, MySQL, MariaDB and MongoDB.

use std::path::PathBuf;

use fourstep_local::RotationRules;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _};

use super::{MULTI, MYSQL, SINGLE, moved, path, refused};
use crate::support::host::{self, Host, Old};
use crate::support::logs::Logs;
use crate::support::{mongodb, mysql, postgres};

/// The secrets, AWS's template of each, and the function that takes its place. A pair's name says so.
pub(super) const FLEET: [(&str, &str, &str); 7] = [
    ("aws/postgres", SINGLE, "fourstep-postgres"),
    ("aws/pair-postgres", MULTI, "fourstep-postgres"),
    ("aws/mysql", MYSQL, "fourstep-mysql"),
    ("aws/pair-mysql", "SecretsManagerRDSMySQLRotationMultiUser", "fourstep-mysql"),
    ("aws/mariadb", "SecretsManagerRDSMariaDBRotationSingleUser", "fourstep-mysql"),
    ("aws/pair-mariadb", "SecretsManagerRDSMariaDBRotationMultiUser", "fourstep-mysql"),
    ("aws/mongodb", "SecretsManagerMongoDBRotationSingleUser", "fourstep-mongodb"),
];

pub(super) const OURS: [&str; 7] = [
    "migrate",
    "--function",
    "fourstep-postgres",
    "--function",
    "fourstep-mysql",
    "--function",
    "fourstep-mongodb",
];

pub(super) fn names(part: &str) -> Vec<&'static str> {
    FLEET.iter().map(|row| row.0).filter(|name| name.contains(part)).collect()
}

pub(super) struct Fleet {
    pub(super) host: Host,
    pub(super) servers: Vec<(&'static str, Old)>,
    /// The first users, by the secrets that name them, and the admins.
    users: Vec<(&'static str, String)>,
    logs: Vec<PathBuf>,
    folder: tempfile::TempDir,
}

/// Short enough for MySQL's template, which adds `_clone`.
fn named(stem: &str) -> String {
    stem.chars().chain(uuid::Uuid::new_v4().simple().to_string().chars()).take(9).collect()
}

impl Fleet {
    /// As somebody has it who used AWS's templates only, before their first rotation.
    pub(super) async fn new() -> Self {
        let servers = (
            postgres::server(),
            mysql::server("mysql", "MYSQL80"),
            mysql::mariadb(),
            mongodb::mongodb(),
        );
        let (Some(postgres), Some(mysql), Some(mariadb), Some(mongodb)) = servers else {
            panic!("a server is missing: scripts/test-aws-templates");
        };
        let mut fleet = Self {
            host: Host::start().await,
            servers: Vec::new(),
            users: Vec::new(),
            logs: vec![postgres.log_path(), mongodb.file("one.log").into()],
            folder: tempfile::tempdir().unwrap(),
        };
        let mut authorities = vec![postgres.ca.clone(), mongodb.file("tls/ca.pem")];
        fleet.postgres(&postgres).await;
        for (server, of) in [(&mysql, "mysql"), (&mariadb, "mariadb")] {
            fleet.logs.push(server.file("general.log").into());
            authorities.push(server.file("tls/ca.pem"));
            fleet.mysql(server, of).await;
        }
        let user = mongodb.user("aws").await;
        fleet.secret("aws/mongodb", mongodb.document(&user), host::days(30));
        fleet.users.push(("aws/mongodb", user.name));
        fleet.servers.push(("aws/mongodb", Old::Mongodb(mongodb)));
        let authorities = authorities.iter().map(|one| std::fs::read_to_string(one).unwrap());
        std::fs::write(fleet.file("ca.pem"), authorities.collect::<String>()).unwrap();
        FLEET.iter().for_each(|row| fleet.host.awss(row.1, &fleet.file("ca.pem")));
        fleet.ours(&[]);
        fleet
    }

    async fn postgres(&mut self, server: &postgres::Server) {
        let [one, app, admin] = ["one", "app", "admin"].map(|stem| server.user(stem));
        let (one, app, admin) = (one.await, app.await, admin.await);
        let sql = format!(
            "CREATE TABLE \"{0}\" (id int); GRANT SELECT ON \"{0}\" TO \"{0}\"; ALTER ROLE \"{1}\" CREATEROLE",
            app.name, admin.name
        );
        server.arrange(&sql).await;
        // As most are that AWS's console makes: without `ssl`.
        let mut document = server.document(&one);
        document.as_object_mut().unwrap().remove("ssl");
        self.secret("aws/postgres", document, host::days(30));
        self.host.secret("aws/pair-postgres/admin", &server.document(&admin), None);
        let mut document = server.document(&app);
        document["masterarn"] = json!("aws/pair-postgres/admin");
        self.secret("aws/pair-postgres", document, host::cron());
        for (name, user) in [("aws/postgres", one), ("aws/pair-postgres", app)] {
            self.users.push((name, user.name));
            self.servers.push((name, Old::Postgres(server.clone())));
        }
        self.users.push(("", admin.name));
    }

    /// Users as the templates need them, at any host, and an admin as RDS makes it.
    async fn mysql(&mut self, server: &mysql::Server, of: &str) {
        let users = ["s", "p", "m"].map(|stem| mysql::User {
            name: named(stem),
            password: format!("canary-{}", uuid::Uuid::new_v4()),
        });
        for user in &users {
            let mysql::User { name, password } = user;
            server.arrange(&format!("CREATE USER '{name}'@'%' IDENTIFIED BY '{password}'")).await;
        }
        let [single, app, admin] = users;
        let (name, admins) = (&app.name, &admin.name);
        let role =
            if server.is_mysql() { "GRANT ROLE_ADMIN ON *.* TO" } else { "GRANT USAGE ON *.* TO" };
        let sql = format!(
            "CREATE TABLE app.{name} (id int); GRANT SELECT, INSERT ON app.{name} TO '{name}'@'%';
             GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, PROCESS, CREATE USER ON *.* TO '{admins}'@'%'
             WITH GRANT OPTION; {role} '{admins}'@'%'"
        );
        server.arrange(&sql).await;
        let [one, pair] =
            ["", "pair-"].map(|pair| FLEET.iter().find(|row| row.0 == format!("aws/{pair}{of}")));
        let (one, pair) = (one.unwrap().0, pair.unwrap().0);
        self.secret(one, server.document(&single), host::days(7));
        let master = format!("{pair}/admin");
        self.host.secret(&master, &server.document(&admin), None);
        let mut document = server.document(&app);
        document["masterarn"] = json!(master);
        self.secret(pair, document, host::cron());
        for (name, user) in [(one, single), (pair, app)] {
            self.users.push((name, user.name));
            self.servers.push((name, Old::Mysql(server.clone())));
        }
        self.users.push(("", admin.name));
    }

    fn secret(&self, name: &str, document: Value, rules: RotationRules) {
        let template = FLEET.iter().find(|row| row.0 == name).unwrap().1;
        self.host.secret(name, &document, Some((template, rules)));
    }

    /// Our functions, with these variables besides.
    fn ours(&self, variables: &[(&str, &str)]) {
        let ca = self.file("ca.pem");
        let all = [&[("TLS_CA_BUNDLE", ca.as_str())][..], variables].concat();
        self.host.ours("fourstep-postgres", "rotate-postgres", &all);
        self.host.ours("fourstep-mysql", "rotate-mysql", &all);
        self.host.ours("fourstep-mongodb", "rotate-mongodb", &all[..1]);
    }

    /// What the first look says that the pairs need.
    pub(super) fn prepared(&self) {
        let clones = names("pair").into_iter().map(|name| format!("{}_clone", self.first(name)));
        let clones = clones.collect::<Vec<_>>().join(",");
        let both = ("ROTATION_STRATEGY", "single-user,alternating-users");
        self.ours(&[both, ("ADOPT_USERS", &clones)]);
        for name in names("pair") {
            self.host.tag(name, "fourstep:strategy", "alternating-users");
        }
    }

    pub(super) fn file(&self, name: &str) -> String {
        path(&self.folder.path().join(name)).to_owned()
    }

    pub(super) fn first(&self, secret: &str) -> &str {
        &self.users.iter().find(|(of, _)| *of == secret).unwrap().1
    }

    pub(super) fn logs(&self) -> Logs {
        Logs::from_now(self.logs.clone())
    }

    pub(super) fn refused(&self, logs: &Logs) -> Vec<String> {
        let users: Vec<_> = self.users.iter().map(|(_, name)| name).collect();
        refused(&logs.read(), &users).into_iter().map(str::to_owned).collect()
    }

    pub(super) fn current(&self, name: &str) -> [String; 2] {
        let value: Value = serde_json::from_str(&self.host.value(name)).unwrap();
        ["username", "password"].map(|field| value[field].as_str().unwrap().to_owned())
    }

    /// Rotates a secret by the function that it names: there is another password, and whose login it is may
    /// do what the first user may.
    pub(super) async fn rotates(&self, name: &str) {
        let before = self.current(name);
        self.host.rotate(name).await;
        let [user, password] = self.current(name);
        let lines = self.host.lines(name);
        assert_ne!(before[1], password, "{name}: {:#?}", lines.last());
        let first = self.first(name);
        let expected = match name.contains("pair") && before[0] == first {
            true => format!("{first}_clone"),
            false => first.to_owned(),
        };
        assert_eq!(user, expected, "{name}");
        let server = &self.servers.iter().find(|(of, _)| *of == name).unwrap().1;
        assert!(server.logs_in(&user, &password).await, "{name}");
        if !name.contains("pair") {
            return;
        }
        match server {
            Old::Postgres(server) => {
                let options = server.options(&user, &password, "postgres");
                let mut session = options.connect().await.unwrap();
                let sql = AssertSqlSafe(format!("SELECT id FROM \"{first}\""));
                session.execute(sql).await.unwrap();
                session.close().await.unwrap();
            }
            Old::Mysql(server) => {
                let sql = format!("SELECT id FROM app.{first}; INSERT INTO app.{first} VALUES (1)");
                server.run(&user, &password, &sql).await.unwrap();
            }
            Old::Mongodb(_) => unreachable!("no pair"),
        }
    }

    /// Every secret, by AWS's code: all four steps of each template.
    pub(super) async fn rotates_by_aws(&self) {
        self.host.templates();
        for (name, ..) in FLEET {
            self.rotates(name).await;
        }
        let steps = ["createSecret", "finishSecret", "setSecret", "testSecret"];
        let mut all: Vec<_> =
            FLEET.iter().flat_map(|row| steps.map(|step| format!("{} {step}", row.1))).collect();
        all.sort();
        assert_eq!(self.host.templates(), all);
    }

    /// The command, which shows no password that is in force.
    pub(super) async fn fourstep(&self, arguments: &[&str]) -> (Vec<Value>, Option<i32>) {
        let arguments: Vec<_> = arguments.iter().map(|one| (*one).to_owned()).collect();
        let (lines, code) = self.host.fourstep(&arguments).await;
        let said = lines.iter().map(Value::to_string).collect::<String>();
        for (name, ..) in FLEET {
            assert!(!said.contains(&self.current(name)[1]), "{name}: a password was shown");
        }
        (lines, code)
    }

    pub(super) async fn moved(&self) {
        let file = self.file("moves.json");
        let run = [&OURS[..], &["--json", "--move", "--yes", "--file", &file]].concat();
        let (lines, code) = self.fourstep(&run).await;
        let ended: Vec<_> = FLEET.iter().map(|row| moved(&lines, row.0)).collect();
        assert_eq!((code, ended), (Some(0), vec!["moved".to_owned(); 7]), "{lines:#?}");
    }
}
