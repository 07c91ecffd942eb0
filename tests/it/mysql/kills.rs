//! `fourstep replay --crash` with rotate-mysql: killed at points of a rotation, and disturbed.
//!
//! What finds a violation is shown to be able to in `kills.rs`, with planted defects.

use std::process::Output;

use serde_json::{Value, json};

use crate::support::mysql::{Server, User, counting, engines};
use crate::support::program::{
    SecretFile, at_least, binary, crash_points, fourstep, secret_file, survived,
};

async fn replay(server: &Server, file: &SecretFile, arguments: &[&str]) -> Output {
    let function = binary("rotate-mysql");
    let mut all = vec!["replay", "--json", "--rotator", function.to_str().unwrap()];
    all.extend(["--secret", file.path.to_str().unwrap()]);
    let mut variables: Vec<_> =
        server.variables().iter().map(|(name, value)| format!("{name}={value}")).collect();
    // The function is led to a proxy at another address than the certificate names.
    variables.push("TLS_SERVER_NAME=localhost".to_owned());
    for variable in &variables {
        all.extend(["--env", variable]);
    }
    fourstep(&[&all, arguments].concat()).await
}

/// MySQL takes no password without TLS that it has not seen; MariaDB does.
fn document(server: &Server, user: &User) -> Value {
    let mut document = server.document(user);
    document["ssl"] = json!(server.is_mysql());
    document
}

async fn is_settled(server: &Server, user: &User, file: &SecretFile, output: &Output) {
    let text = std::fs::read_to_string(&file.path).unwrap();
    let mut found: Value = serde_json::from_str(&text).unwrap();
    let password = found["password"].as_str().unwrap().to_owned();
    assert!(server.logs_in(&user.name, &password).await);
    assert_ne!(password, user.password);
    found["password"] = json!(user.password);
    assert_eq!(found, document(server, user));
    let shown = format!("{output:?}");
    assert!(!shown.contains("canary") && !shown.contains(&password), "{shown}");
}

async fn survives_kills(server: &Server, strategy: &str) {
    let _counting = counting().await;
    let user = server.user("killed").await;
    if strategy == "dual-password" {
        server.alter(&user, "").await;
    }
    let file = secret_file(&document(server, &user).to_string());
    let strategy = format!("ROTATION_STRATEGY={strategy}");
    let output = replay(server, &file, &["--env", &strategy, "--crash", crash_points()]).await;
    let (points, _) = survived(&output);
    // Two for each of 14 calls of Secrets Manager, and of the turns of two logins and one change.
    assert!(points.len() >= at_least(40), "{}", points.len());
    is_settled(server, &user, &file, &output).await;
}

#[tokio::test]
async fn the_real_function_survives_kills() {
    for server in engines() {
        survives_kills(&server, "single-user").await;
    }
}

#[tokio::test]
async fn the_real_function_survives_kills_with_two_passwords() {
    let Some(server) = crate::support::mysql::mysql() else { return };
    survives_kills(&server, "dual-password").await;
}
