//! The real function killed at points of a rotation, at the double of ElastiCache.

use super::double::Double;
use super::server;
use crate::support::program::{binary, every_point, fourstep, secret_file, survived};

/// The secret that is replayed.
const SECRET: &str = "arn:aws:secretsmanager:us-east-1:111122223333:secret:managed-AbCdEf";

/// All of them take a minute; in every run it is a few.
#[tokio::test(flavor = "multi_thread")]
async fn the_real_function_survives_kills() {
    let Some(server) = server().await else { return };
    let double = Double::elasticache(&server).await;
    let file = secret_file(&double.document().to_string());
    let function = binary("rotate-redis");
    let [function, secret] = [&function, &file.path].map(|path| path.to_str().unwrap());
    let mut arguments = vec!["replay", "--json", "--rotator", function];
    arguments.extend(["--secret", secret, "--arn", SECRET]);
    let mut variables: Vec<_> =
        server.variables().iter().map(|(name, value)| format!("{name}={value}")).collect();
    variables.push("TLS_SERVER_NAME=localhost".to_owned());
    variables.push(format!("AWS_ENDPOINT_URL_ELASTICACHE={}", double.url));
    variables.push(format!("MANAGED_USERS={SECRET}={}", double.arn()));
    arguments.extend(variables.iter().flat_map(|variable| ["--env", variable.as_str()]));
    for at in if every_point() { &["all"][..] } else { &["10", "20", "28"] } {
        let (points, shown) =
            survived(&fourstep(&[&arguments[..], &["--crash", at]].concat()).await);
        assert!(points.len() >= if *at == "all" { 30 } else { 1 }, "{}", points.len());
        assert!(!shown.contains("canary"), "{shown}");
    }
}
