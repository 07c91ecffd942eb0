//! The kinds of pairs on MySQL.

use serde_json::{Value, json};

use super::{Repeated, Replay, Working, arn, script, with_either_current};
use crate::pairs::mysql::Shop;
use crate::support::mysql::{Server, Session, mysqls};

/// A kind of pair.
struct Kind {
    name: &'static str,
    /// Of the function, with the second user's name to be filled in.
    variables: &'static [&'static str],
    /// Makes the pair what it was; may be run at any time. Rights are given before others are taken.
    state: &'static str,
    /// What the second user's sessions do all the time.
    work: &'static str,
    /// Whether the users carry the marks of an earlier version.
    marked: bool,
}

/// What all have: a user with accounts for two networks, and one whose rights are of each kind's own.
const BASE: &str = "
    CREATE TABLE $schema.orders (a int); CREATE TABLE $schema.extra (a int);
    CREATE ROLE $reader, $inner, $later; GRANT SELECT ON $schema.orders TO $reader;
    CREATE USER $far IDENTIFIED BY 'far-away-1!';
    CREATE USER $clone IDENTIFIED BY 'clone-Passw0rd!';
    CREATE USER $clonefar IDENTIFIED BY 'clone-Passw0rd!';
    GRANT SELECT, INSERT, CREATE, DROP ON $schema.* TO $app WITH GRANT OPTION;
    GRANT BACKUP_ADMIN ON *.* TO $app; GRANT $reader TO $app; ALTER USER $app DEFAULT ROLE $reader;
    GRANT SELECT ON $schema.* TO $far; GRANT PROCESS ON *.* TO $admin;";

/// Takes what a rotation makes.
const UNLINK: &str = "GRANT $app TO $clone; GRANT $far TO $clonefar;
    REVOKE $app FROM $clone; REVOKE $far FROM $clonefar;";

const INSERT: &str = "INSERT INTO $schema.orders VALUES (1); SELECT COUNT(*) FROM $schema.orders;";

const KINDS: [Kind; 3] = [
    Kind {
        name: "made by copying",
        // What proves it is the password of the user at rest, which no version has here at first.
        variables: &["ADOPT_USERS=@clone"],
        state: "GRANT SELECT, INSERT, CREATE, DROP ON $schema.* TO $clone WITH GRANT OPTION;
            GRANT BACKUP_ADMIN ON *.* TO $clone; GRANT $reader TO $clone;
            ALTER USER $clone DEFAULT ROLE $reader; GRANT SELECT ON $schema.* TO $clonefar;",
        work: INSERT,
        marked: true,
    },
    Kind {
        name: "of AWS's template",
        variables: &["ADOPT_USERS=@clone"],
        state: "GRANT SELECT, INSERT, CREATE, DROP ON $schema.* TO $clone WITH GRANT OPTION;
            GRANT BACKUP_ADMIN ON *.* TO $clone; GRANT $reader TO $clone;",
        work: INSERT,
        marked: false,
    },
    Kind {
        name: "made by hand with rights that differ",
        variables: &["ADOPT_USERS=@clone", "DROP_EXTRA_RIGHTS=@clone"],
        state: "GRANT SELECT ON $schema.orders TO $clone; GRANT UPDATE ON $schema.extra TO $clone;
            GRANT SHOW VIEW ON *.* TO $clone; GRANT $later, $reader TO $clone;
            GRANT INSERT ON $schema.extra TO $clonefar;",
        work: "SELECT COUNT(*) FROM $schema.orders;",
        marked: false,
    },
];

struct Scene {
    shop: Shop,
    kind: &'static Kind,
}

impl Scene {
    async fn new(server: &Server, kind: &'static Kind) -> Self {
        let shop = Shop::bare(server).await;
        shop.arrange(BASE).await;
        let scene = Self { shop, kind };
        scene.shop.arrange(&scene.state()).await;
        scene
    }

    fn state(&self) -> String {
        let mut state = format!("{}\n{UNLINK}\n", self.kind.state);
        for [user, partner] in [["$app", "$clone"], ["$clone", "$app"]] {
            let partner =
                if partner == "$app" { self.shop.app.name.clone() } else { self.shop.clone_name() };
            let mark = match self.kind.marked {
                true => json!({"partner": partner, "secret": arn(&self.shop.app.name)}),
                false => Value::Null,
            };
            state += &format!("ALTER USER {user} ATTRIBUTE '{}';\n", json!({"fourstep": mark}));
        }
        self.shop.fill(&state)
    }

    fn reset(&self, replay: &Replay) -> String {
        let state = replay.write("state.sql", &self.state());
        script(&replay.write("reset.sh", &self.shop.server.shell(&state)))
    }

    fn replay(&self, current: usize) -> Replay {
        let mut document = self.shop.server.document(&self.shop.app);
        document["masterarn"] = json!("admin");
        if current == 1 {
            document["username"] = json!(self.shop.clone_name());
            document["password"] = json!("clone-Passw0rd!");
        }
        let of_server = self.shop.server.variables();
        let of_server = of_server.into_iter().map(|(name, value)| format!("{name}={value}"));
        let of_kind = self.kind.variables.iter();
        let of_kind = of_kind.map(|text| text.replace("@clone", &self.shop.clone_name()));
        let always = ["ROTATION_STRATEGY=alternating-users", "TLS_SERVER_NAME=localhost"];
        let always = always.map(str::to_owned).into_iter();
        let variables: Vec<_> = always.chain(of_server).chain(of_kind).collect();
        let admin = self.shop.server.document(&self.shop.admin);
        Replay::new(("rotate-mysql", arn(&self.shop.app.name)), &document, &admin, &variables)
    }

    async fn sessions(&self) -> Vec<Working> {
        let mut sessions = Vec::new();
        for (user, password, work) in [
            (self.shop.app.name.clone(), self.shop.app.password.as_str(), INSERT),
            (self.shop.clone_name(), "clone-Passw0rd!", self.kind.work),
        ] {
            let document = json!({"username": user, "password": password});
            let session = self.shop.session(&document).await;
            sessions.push(Working::start(Open { session, work: self.shop.fill(work) }));
        }
        sessions
    }

    /// The second user has the first as its role, and nothing else.
    async fn assert_carried_over(&self, document: &Value, name: &str) {
        let of_its_own = "
            SELECT COUNT(*) FROM mysql.db WHERE User = '@'; SELECT COUNT(*) FROM mysql.tables_priv WHERE User = '@';
            SELECT COUNT(*) FROM mysql.global_grants WHERE USER = '@';
            SELECT COUNT(*) FROM mysql.user WHERE User = '@' AND Show_view_priv = 'Y';
            SELECT COUNT(*) FROM mysql.role_edges WHERE TO_USER = '@' AND FROM_USER <> '@app';
            SELECT COUNT(*) <> 2 FROM mysql.default_roles WHERE USER = '@' AND DEFAULT_ROLE_USER = '@app';";
        let sql =
            of_its_own.replace("@app", &self.shop.app.name).replace('@', &self.shop.clone_name());
        let left = self.shop.arrange(&sql).await;
        assert_eq!(left.split_whitespace().collect::<String>(), "000000", "{name}: {left}");
        self.shop.run(document, INSERT).await.unwrap_or_else(|why| panic!("{name}: {why}"));
    }
}

struct Open {
    session: Session,
    work: String,
}

impl Repeated for Open {
    async fn once(&mut self) -> Result<(), String> {
        self.session.run(&self.work).await
    }
}

async fn is_carried_over(server: Server, kind: &'static Kind, current: usize) {
    let scene = Scene::new(&server, kind).await;
    let replay = scene.replay(current);
    let user = ["first", "second"][current];
    let version = server.arrange("SELECT VERSION();").await;
    let name = format!("MySQL {}, {}, {user} current", version.trim(), kind.name);
    replay.carry_over(&name, scene.sessions().await, &scene.reset(&replay)).await;
    scene.assert_carried_over(&replay.current(), &name).await;
}

async fn all_are_carried_over(number: usize) {
    let run = |server, current| is_carried_over(server, &KINDS[number], current);
    with_either_current(&mysqls(), number, run).await;
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
async fn a_pair_made_by_hand_is_carried_over_whatever_is_killed() {
    all_are_carried_over(2).await;
}
