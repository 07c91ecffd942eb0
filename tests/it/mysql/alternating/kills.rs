//! The real function killed at points of a rotation, with an admin and two users.
//!
//! What finds a violation is shown to be able to in `tests/it/kills.rs`, with planted defects.

use fourstep::store::AWSCURRENT;
use futures_util::future::join_all;
use serde_json::{Value, json};

use super::Shop;
use crate::support::mysql::{Server, counting, engines};
use crate::support::program::{SecretFile, at_least, binary, crash_points, fourstep, secret_file};

/// Rights of several kinds, and no more than makes a dozen statements.
const RIGHTS: &str = "
    CREATE USER $far IDENTIFIED BY 'far-away-1!';
    GRANT SELECT ON $schema.* TO $app; GRANT SELECT (id) ON $audit TO $app WITH GRANT OPTION;
    GRANT $reader TO $app; GRANT SELECT ON $schema.* TO $far;";

/// The secret's file and the admin's, and the words that replay them.
struct Replay {
    file: SecretFile,
    admin: SecretFile,
    variables: Vec<String>,
}

impl Replay {
    fn of(shop: &Shop) -> Self {
        let server = &shop.server;
        let file = |mut document: Value| {
            // MySQL takes no password without TLS that it has not seen; MariaDB does.
            document["ssl"] = json!(server.is_mysql());
            secret_file(&document.to_string())
        };
        let variables = server.variables();
        let mut variables: Vec<_> =
            variables.iter().map(|(name, value)| format!("--env={name}={value}")).collect();
        variables.push("--env=TLS_SERVER_NAME=localhost".to_owned());
        variables.push("--env=ROTATION_STRATEGY=alternating-users".to_owned());
        let (secret, admin) = (shop.stage.document(AWSCURRENT), server.document(&shop.admin));
        Self { file: file(secret), admin: file(admin), variables }
    }

    async fn run(&self, more: &[&str]) -> String {
        let function = binary("rotate-mysql");
        let [function, secret, admin] =
            [&function, &self.file.path, &self.admin.path].map(|path| path.to_str().unwrap());
        let mut arguments = vec!["replay", "--json", "--rotator", function];
        arguments.extend(["--secret", secret, "--admin", admin]);
        arguments.extend(self.variables.iter().map(String::as_str));
        arguments.extend(more);
        let output = fourstep(&arguments).await;
        let text = String::from_utf8(output.stdout).unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}{errors}");
        text + &errors
    }

    fn current(&self) -> Value {
        serde_json::from_str(&std::fs::read_to_string(&self.file.path).unwrap()).unwrap()
    }

    /// A command that drops whichever user is not in use, on both its hosts.
    fn drops_the_user_at_rest(&self, shop: &Shop) -> String {
        let sql = |name: &str, users: &str| {
            let path = self.file.path.with_file_name(name);
            std::fs::write(&path, shop.fill(&format!("DROP USER IF EXISTS {users}"))).unwrap();
            shop.server.shell(&path)
        };
        let (clone, app) = (sql("clone.sql", "$clone, $clonefar"), sql("app.sql", "$app, $far"));
        let script = format!(
            "if grep -q '{}' '{}'; then {app}; else {clone}; fi",
            shop.clone_name(),
            self.file.path.display()
        );
        let path = self.file.path.with_file_name("reset.sh");
        std::fs::write(&path, script).unwrap();
        format!("sh '{}'", path.display())
    }
}

async fn survives_kills(server: &Server, creates: bool) {
    let _counting = counting().await;
    let shop = Shop::bare(server, "app", &[]).await;
    shop.arrange(RIGHTS).await;
    let replay = Replay::of(&shop);
    // The first one makes the second user, and the second gives the first one its mark; MySQL has
    // seen the admin's password after it.
    replay.run(&["--rotations", "2"]).await;
    let mut arguments = vec!["--crash", crash_points()];
    let reset = replay.drops_the_user_at_rest(&shop);
    arguments.extend(creates.then_some(["--reset", &reset]).into_iter().flatten());
    let text = replay.run(&arguments).await;
    let mut lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let points: Vec<_> = lines.by_ref().filter(|line| line["event"] == "point").collect();
    for point in &points {
        assert_eq!((&point["converged"], &point["violations"]), (&json!(true), &json!([])));
    }
    let turns = |point: &&Value| {
        let call = point["call"].as_str().unwrap();
        point["step"] == "setSecret" && call.starts_with("target turn")
    };
    let turns = points.iter().filter(turns).count();
    eprintln!("{}, creating: {creates}: {} points, {turns} turns", server.engine, points.len());
    // Two for each statement, and on MariaDB a dozen statements make a user with these rights.
    let least = match (server.is_mysql(), creates) {
        (true, _) => 20,
        (false, false) => 40,
        (false, true) => 70,
    };
    assert!(points.len() > at_least(60) && turns >= at_least(least), "{text}");
    let end = replay.current();
    assert!(shop.logs_in(&end).await);
    // On MySQL who drops the first drops what both may do, and the other becomes the first.
    if !(creates && server.is_mysql()) {
        shop.assert_alike().await;
    }
    assert!(!text.contains(end["password"].as_str().unwrap()) && !text.contains("canary"));
}

#[tokio::test]
async fn the_real_function_survives_kills_with_two_users() {
    let servers = engines();
    join_all(servers.iter().map(|server| survives_kills(server, false))).await;
}

#[tokio::test]
async fn the_real_function_survives_kills_where_it_makes_the_second_user() {
    let servers = engines();
    join_all(servers.iter().map(|server| survives_kills(server, true))).await;
}
