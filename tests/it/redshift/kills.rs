//! The real function killed at points of a rotation at the front of Redshift, in new processes.
//!
//! What finds a violation is shown to be able to in `tests/it/kills.rs`, with planted defects.

use fourstep::store::AWSCURRENT;
use serde_json::{Value, json};

use super::pairs::Shop;
use crate::support::program::{SecretFile, binary, every_point, fourstep, secret_file, survived};
use crate::support::redshift::{Front, front_of_tls_1_2};

/// The points behind the fence, before and after the statement, by strategy.
const AROUND: [(&str, &[&str]); 2] =
    [("single-user", &["32", "33", "34"]), ("single-user-by-admin", &["53", "54"])];

/// What is played of a pair: its rotations make hundreds of calls. The number is odd, so that moments before a call
/// and after one are among them.
const FEW: &str = "1/25";

/// The secret's file and the admin's, and the strategy that replays them.
struct Replay {
    file: SecretFile,
    admin: SecretFile,
    variables: Vec<String>,
}

impl Replay {
    /// Inside TLS: of version 1.2, whose messages can be counted.
    fn of(front: &Front, mut secret: Value, mut admin: Value, strategy: &str) -> Self {
        (secret["ssl"], admin["ssl"]) = (json!(true), json!(true));
        if strategy != "single-user" {
            secret["masterarn"] = json!("admin");
        }
        let variables = front.variables();
        let mut variables: Vec<_> =
            variables.iter().map(|(name, value)| format!("--env={name}={value}")).collect();
        // The function is led to a proxy at another address than the certificate names.
        variables.push("--env=TLS_SERVER_NAME=localhost".to_owned());
        variables.push(format!("--env=ROTATION_STRATEGY={strategy}"));
        let [file, admin] = [secret, admin].map(|document| secret_file(&document.to_string()));
        Self { file, admin, variables }
    }

    /// The points that were played. None hung, ended otherwise than by the kill, or locked anybody out.
    async fn survives(&self, more: &[&str]) -> Vec<Value> {
        let function = binary("rotate-postgres");
        let [function, secret, admin] =
            [&function, &self.file.path, &self.admin.path].map(|path| path.to_str().unwrap());
        let mut arguments = vec!["replay", "--json", "--rotator", function, "--secret", secret];
        if self.current()["masterarn"].is_string() {
            arguments.extend(["--admin", admin]);
        }
        arguments.extend(self.variables.iter().map(String::as_str));
        arguments.extend(more);
        let mut output = fourstep(&arguments).await;
        // As at MongoDB: on a loaded machine the rotation that is counted may open another session, at
        // whose calls one that does not need to never is.
        for _ in 0..2 {
            if !String::from_utf8_lossy(&output.stdout).contains("\"ended\":\"not reached\"") {
                break;
            }
            output = fourstep(&arguments).await;
        }
        let (points, shown) = survived(&output);
        let password = self.current()["password"].as_str().unwrap().to_owned();
        assert!(!shown.contains("Canary") && !shown.contains(&password), "{shown}");
        eprintln!("{:?}: {}", self.variables, shown.lines().last().unwrap());
        points
    }

    fn current(&self) -> Value {
        serde_json::from_str(&std::fs::read_to_string(&self.file.path).unwrap()).unwrap()
    }

    /// Whether what the file holds is what the server has.
    fn assert_current(&self, front: &Front) {
        let current = self.current();
        let [user, password] =
            ["username", "password"].map(|field| current[field].as_str().unwrap());
        assert!(front.accepts(user, password), "{user}");
    }

    /// A command that drops whichever user of a pair is not in use.
    fn drops_the_user_at_rest(&self, shop: &Shop) -> String {
        let drops = |name: &str, rests: &str| {
            let at = |database: &str, drop: &str| {
                let path = self.file.path.with_file_name(format!("{name}-{database}.sql"));
                let there = format!("IF EXISTS (SELECT FROM pg_roles WHERE rolname = '{rests}')");
                let sql = format!(
                    "DO $$ BEGIN {there} THEN DROP OWNED BY \"{rests}\"; {drop} END IF; END $$"
                );
                std::fs::write(&path, sql).unwrap();
                shop.front.server.shell(database, &path)
            };
            let last = at("postgres", &format!("DROP ROLE \"{rests}\";"));
            format!("{} && {last}", at(&shop.database, ""))
        };
        let (clone, app) = (drops("clone", &shop.clone.name), drops("app", &shop.user.name));
        let file = self.file.path.display();
        let script =
            format!("if grep -q '{}' '{file}'; then {app}; else {clone}; fi", shop.clone.name);
        let path = self.file.path.with_file_name("reset.sh");
        std::fs::write(&path, script).unwrap();
        format!("sh '{}'", path.display())
    }
}

/// With all points where those are played.
#[tokio::test]
async fn the_real_function_survives_kills_around_the_change() {
    let Some(front) = front_of_tls_1_2().await else { return };
    for (strategy, around) in AROUND {
        let (user, admin) = (front.user("killed").await, front.admin().await);
        let replay = Replay::of(&front, front.document(&user), front.document(&admin), strategy);
        for at in if every_point() { &["all"][..] } else { around } {
            let points = replay.survives(&["--crash", at]).await;
            assert!(!points.is_empty());
            // The step may have answered when the server's last word, to the end of its session, comes.
            let ended = |end: &Value| end == "killed" || every_point() && end == "answered first";
            assert!(points.iter().all(|point| ended(&point["ended"])), "{strategy}: {points:?}");
            replay.assert_current(&front);
        }
    }
}

/// Two users, in two databases: what they have is made equal whenever the second is made, or by itself.
async fn pairs_survive(second_is_made: bool) {
    let Some(front) = front_of_tls_1_2().await else { return };
    let shop = Shop::at(front).await;
    for database in ["postgres", &shop.database] {
        for sql in ["GRANT USAGE ON SCHEMA s_@ TO {}", "GRANT SELECT ON s_@.orders TO {}"] {
            shop.tell_in(database, &shop.about(&shop.user, sql)).await;
        }
    }
    shop.tell(&shop.about(&shop.user, "ALTER GROUP team_@ ADD USER {}")).await;
    let (secret, admin) = (shop.stage(&[]).document(AWSCURRENT), shop.front.document(&shop.admin));
    let replay = Replay::of(&shop.front, secret, admin, "alternating-users");
    // The first rotation makes the second user: later ones make fewer calls.
    replay.survives(&["--rotations", "2"]).await;
    let reset = second_is_made.then(|| replay.drops_the_user_at_rest(&shop));
    let mut arguments = vec!["--crash", if every_point() { "all" } else { FEW }];
    arguments.extend(reset.as_ref().map(|reset| ["--reset", reset.as_str()]).into_iter().flatten());
    let points = replay.survives(&arguments).await;
    assert!(points.len() > if every_point() { 300 } else { 12 }, "{}", points.len());
    replay.assert_current(&shop.front);
    shop.assert_equal().await;
}

#[tokio::test]
async fn the_real_function_survives_kills_of_a_pair() {
    pairs_survive(false).await;
}

#[tokio::test]
async fn the_real_function_survives_kills_where_it_makes_the_second_user() {
    pairs_survive(true).await;
}
