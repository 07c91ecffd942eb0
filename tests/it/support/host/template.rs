//! AWS's own templates, which are not part of this repository: `NAME/lambda_function.py` in the folder that
//! FOURSTEP_TEST_AWS_TEMPLATES names, run by the interpreter that FOURSTEP_TEST_AWS_PYTHON names, each step
//! in a process of its own.

use serde_json::Value;
use tokio::process::Command;

use super::Host;
use super::lambda::{Kind, Lambda};

const RUNNER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/functions/aws_template.py");

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: scripts/test-aws-templates"))
}

impl Lambda {
    /// Does a step by AWS's code, and keeps that it succeeded.
    pub(super) async fn run_template(&self, function: &str, ca: &str, event: &Value) -> bool {
        let name = function.rsplit(':').next().unwrap();
        let folder = format!("{}/{name}", variable("FOURSTEP_TEST_AWS_TEMPLATES"));
        let output = Command::new(variable("FOURSTEP_TEST_AWS_PYTHON"))
            .args([RUNNER, &folder, &event.to_string(), ca])
            .env("SECRETS_MANAGER_ENDPOINT", self.endpoint.get().unwrap())
            .envs([("AWS_DEFAULT_REGION", "us-east-1"), ("AWS_ACCESS_KEY_ID", "local")])
            .envs([("AWS_SECRET_ACCESS_KEY", "local"), ("SSL_CERT_FILE", ca)])
            .kill_on_drop(true)
            .output()
            .await
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name}: {event}: {said}");
        let step = event["Step"].as_str().unwrap();
        self.templates.lock().unwrap().push(format!("{name} {step}"));
        true
    }
}

impl Host {
    /// A function of AWS's own code, which trusts these authorities.
    pub fn awss(&self, name: &str, ca: &str) {
        self.lambda.functions.lock().unwrap().insert(name.to_owned(), Kind::Awss(ca.to_owned()));
    }

    /// The steps that AWS's own code did since this was asked last: `TEMPLATE STEP`, in any order.
    pub fn templates(&self) -> Vec<String> {
        let mut steps = std::mem::take(&mut *self.lambda.templates.lock().unwrap());
        steps.sort();
        steps
    }
}
