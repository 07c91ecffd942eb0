//! The real function killed at points of a rotation, and disturbed.
//!
//! What finds a violation is shown to be able to in `tests/it/kills.rs`, with planted defects.

use serde_json::Value;

use super::one;
use crate::support::program::{at_least, binary, crash_points, fourstep, secret_file, survived};
use crate::support::redis::redis;

#[tokio::test]
async fn the_real_function_survives_kills() {
    let Some(flavour) = redis() else { return };
    for strategy in ["dual-password", "single-user-by-admin"] {
        let (server, user) = one(&flavour).await;
        let file = secret_file(&server.document(&user).to_string());
        let admin = secret_file(&server.admin_document().to_string());
        let function = binary("rotate-redis");
        let [function, secret, admin] =
            [&function, &file.path, &admin.path].map(|path| path.to_str().unwrap());
        let mut arguments = vec!["replay", "--json", "--rotator", function];
        arguments.extend(["--secret", secret, "--admin", admin, "--crash", crash_points()]);
        let mut variables: Vec<_> =
            server.variables().iter().map(|(name, value)| format!("{name}={value}")).collect();
        // The function is led to a proxy at another address than the certificate names.
        variables.push("TLS_SERVER_NAME=localhost".to_owned());
        variables.push(format!("ROTATION_STRATEGY={strategy}"));
        arguments.extend(variables.iter().flat_map(|variable| ["--env", variable.as_str()]));
        let (points, shown) = survived(&fourstep(&arguments).await);
        assert!(points.len() >= at_least(40), "{}", points.len());
        let text = std::fs::read_to_string(&file.path).unwrap();
        let document: Value = serde_json::from_str(&text).unwrap();
        let password = document["password"].as_str().unwrap();
        assert!(server.logs_in(&user.name, password).await);
        assert!(!shown.contains("canary") && !shown.contains(password), "{shown}");
    }
}
