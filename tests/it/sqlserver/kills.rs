//! The real function killed at the points around its change, in new processes.
//!
//! What finds a violation is shown to be able to in `tests/it/kills.rs`, with planted defects.

use serde_json::{Value, json};

use crate::support::program::{binary, every_point, fourstep, secret_file, survived};
use crate::support::sqlserver::sqlserver;

/// The points behind the fence, before and after the statement, by strategy.
const AROUND: [(&str, &[&str]); 2] =
    [("single-user", &["44", "45", "46"]), ("single-user-by-admin", &["53", "54"])];

/// With all points where those are played. Inside TLS: of version 1.2, whose messages can be counted.
#[tokio::test]
async fn the_real_function_survives_kills_around_the_change() {
    let Some(server) = sqlserver().await else { return };
    for (strategy, around) in AROUND {
        let (user, admin) = (server.user("killed").await, server.admin().await);
        let mut secret = server.document(&user);
        if strategy == "single-user-by-admin" {
            secret["masterarn"] = json!("admin");
        }
        let file = secret_file(&secret.to_string());
        let admin = secret_file(&server.document(&admin).to_string());
        let function = binary("rotate-sqlserver");
        let [function, path, admin] =
            [&function, &file.path, &admin.path].map(|path| path.to_str().unwrap());
        let mut always = vec!["replay", "--json", "--rotator", function, "--secret", path];
        if secret["masterarn"].is_string() {
            always.extend(["--admin", admin]);
        }
        let mut variables: Vec<_> = server
            .variables()
            .iter()
            .map(|(name, value)| format!("--env={name}={value}"))
            .collect();
        // The function is led to a proxy at another address than the certificate names.
        variables.push("--env=TLS_SERVER_NAME=localhost".to_owned());
        variables.push(format!("--env=ROTATION_STRATEGY={strategy}"));
        always.extend(variables.iter().map(String::as_str));
        for at in if every_point() { &["all"][..] } else { around } {
            let output = fourstep(&[&always[..], &["--crash", at]].concat()).await;
            let (points, shown) = survived(&output);
            assert!(!points.is_empty(), "{shown}");
            // The goodbye to the server may be said when the step has answered.
            let ended = |point: &Value| point["ended"] == "killed" || every_point();
            assert!(points.iter().all(ended), "{strategy}: {shown}");
            let text = std::fs::read_to_string(&file.path).unwrap();
            let document: Value = serde_json::from_str(&text).unwrap();
            let password = document["password"].as_str().unwrap();
            assert!(server.logs_in(&user.name, password).await);
            assert!(!shown.contains("Canary") && !shown.contains(password), "{shown}");
        }
    }
}
