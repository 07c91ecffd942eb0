//! The real function killed around the change at the front of Redshift, in new processes.
//!
//! What finds a violation is shown to be able to in `tests/it/kills.rs`, with planted defects.

use serde_json::{Value, json};

use crate::support::program::{binary, every_point, fourstep, secret_file, survived};
use crate::support::redshift::front;

/// The points behind the fence, before and after the statement, by strategy.
const AROUND: [(&str, &[&str]); 2] =
    [("single-user", &["26", "27", "28"]), ("single-user-by-admin", &["41", "42"])];

/// With all points where those are played.
#[tokio::test]
async fn the_real_function_survives_kills_around_the_change() {
    let Some(front) = front().await else { return };
    for (strategy, around) in AROUND {
        let (user, admin) = (front.user("killed").await, front.admin().await);
        // Without TLS, so that messages can be counted.
        let [mut secret, mut admin] = [&user, &admin].map(|user| front.document(user));
        (secret["ssl"], admin["ssl"]) = (json!(false), json!(false));
        if strategy == "single-user-by-admin" {
            secret["masterarn"] = json!("admin");
        }
        let (file, admin) = (secret_file(&secret.to_string()), secret_file(&admin.to_string()));
        let function = binary("rotate-postgres");
        let [function, path, admin] =
            [&function, &file.path, &admin.path].map(|path| path.to_str().unwrap());
        let strategy = format!("--env=ROTATION_STRATEGY={strategy}");
        let mut always = vec!["replay", "--json", "--rotator", function, "--secret", path];
        always.extend([&strategy, "--env=ALLOW_WEAK_AUTHENTICATION=true"]);
        if secret["masterarn"].is_string() {
            always.extend(["--admin", admin]);
        }
        for at in if every_point() { &["all"][..] } else { around } {
            let output = fourstep(&[&always[..], &["--crash", at]].concat()).await;
            let (points, shown) = survived(&output);
            assert!(!points.is_empty(), "{shown}");
            assert!(points.iter().all(|point| point["ended"] == "killed"), "{strategy}: {shown}");
            let text = std::fs::read_to_string(&file.path).unwrap();
            let document: Value = serde_json::from_str(&text).unwrap();
            let password = document["password"].as_str().unwrap();
            assert!(front.accepts(&user.name, password));
            assert!(!shown.contains("Canary") && !shown.contains(password), "{shown}");
        }
    }
}
