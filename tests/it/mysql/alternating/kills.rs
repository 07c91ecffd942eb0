//! The real function killed at every point of a rotation, with an admin and two users.
//!
//! What finds a violation is shown to be able to in `tests/it/kills.rs`, with planted defects.

use fourstep::store::AWSCURRENT;
use serde_json::{Value, json};

use super::Shop;
use crate::support::mysql::{Server, servers};
use crate::support::program::{binary, fourstep, secret_file};

/// Rights of several kinds, and no more than makes a dozen statements.
const RIGHTS: &str = "
    CREATE USER $far IDENTIFIED BY 'far-away-1!';
    GRANT SELECT ON $schema.* TO $app; GRANT SELECT (id) ON $audit TO $app WITH GRANT OPTION;
    GRANT $reader TO $app; GRANT SELECT ON $schema.* TO $far;";

async fn survives_kills(server: &Server) {
    let shop = Shop::bare(server, "app", &[]).await;
    shop.arrange(RIGHTS).await;
    let clear = |mut document: Value| {
        // MySQL takes no password without TLS that it has not seen; MariaDB does.
        document["ssl"] = json!(server.is_mysql());
        document.to_string()
    };
    let file = secret_file(&clear(shop.stage.document(AWSCURRENT)));
    let admin = secret_file(&clear(server.document(&shop.admin)));
    let function = binary("rotate-mysql");
    let mut variables: Vec<_> =
        server.variables().iter().map(|(name, value)| format!("{name}={value}")).collect();
    variables.push("TLS_SERVER_NAME=localhost".to_owned());
    variables.push("ROTATION_STRATEGY=alternating-users".to_owned());
    let mut arguments = vec!["replay", "--json", "--crash", "all", "--rotator"];
    arguments.extend([function.to_str().unwrap(), "--secret", file.path.to_str().unwrap()]);
    arguments.extend(["--admin", admin.path.to_str().unwrap()]);
    for variable in &variables {
        arguments.extend(["--env", variable]);
    }
    let output = fourstep(&arguments).await;
    let text = String::from_utf8_lossy(&output.stdout);
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let points: Vec<_> = lines.filter(|line| line["event"] == "point").collect();
    for point in &points {
        assert_eq!(point["converged"], true, "{point}");
        for violation in point["violations"].as_array().unwrap() {
            // A rotation that makes a user has more statements than one that finds it made.
            assert_eq!(violation["name"], "not-reached", "{point}");
        }
    }
    let reached = points.iter().filter(|point| point["ended"] != "not reached").count();
    eprintln!("{}: {} points, {reached} reached", server.engine, points.len());
    assert!(reached >= 60, "{reached} of {}: {text}", points.len());
    let end: Value = serde_json::from_str(&std::fs::read_to_string(&file.path).unwrap()).unwrap();
    assert!(shop.logs_in(&end).await);
    shop.assert_alike().await;
    let shown = format!("{output:?}");
    assert!(!shown.contains(end["password"].as_str().unwrap()) && !shown.contains("canary"));
}

#[tokio::test]
async fn the_real_function_survives_a_kill_at_every_point_with_two_users() {
    for server in servers() {
        survives_kills(&server).await;
    }
}
