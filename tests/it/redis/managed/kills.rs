//! The real function killed at every point of a rotation, at the double of ElastiCache.

use serde_json::{Value, json};

use super::double::Double;
use super::server;
use crate::support::program::{binary, fourstep, secret_file};

/// It takes a minute, so it is played where sweeps are: with `FOURSTEP_SWEEP` set.
#[tokio::test(flavor = "multi_thread")]
async fn the_real_function_survives_a_kill_at_every_point() {
    if std::env::var_os("FOURSTEP_SWEEP").is_none() {
        return;
    }
    let Some(server) = server().await else { return };
    let double = Double::elasticache(&server).await;
    let file = secret_file(&double.document().to_string());
    let function = binary("rotate-redis");
    let [function, secret] = [&function, &file.path].map(|path| path.to_str().unwrap());
    let mut arguments = vec!["replay", "--json", "--rotator", function];
    arguments.extend(["--secret", secret, "--crash", "all"]);
    let mut variables: Vec<_> =
        server.variables().iter().map(|(name, value)| format!("{name}={value}")).collect();
    variables.push("TLS_SERVER_NAME=localhost".to_owned());
    variables.push(format!("AWS_ENDPOINT_URL_ELASTICACHE={}", double.url));
    arguments.extend(variables.iter().flat_map(|variable| ["--env", variable.as_str()]));
    let output = fourstep(&arguments).await;
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{shown}{}", String::from_utf8_lossy(&output.stderr));
    let lines = shown.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let points: Vec<Value> = lines.filter(|line| line["event"] == "point").collect();
    for point in &points {
        assert_eq!(point["converged"], true, "{point}");
        assert_eq!(point["violations"], json!([]), "{point}");
    }
    assert!(points.len() >= 30, "{}", points.len());
    assert!(!shown.contains("canary"), "{shown}");
}
