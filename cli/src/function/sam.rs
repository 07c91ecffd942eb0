//! A function of a SAM template, run by `sam local invoke`: in Docker, in the image Lambda has.

use std::fmt;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use tempfile::NamedTempFile;
use tokio::process::Command;

use super::{ACCESS_KEY_ID, Answer, Invocation, Names, json_lines, read_all};

pub(super) const PROGRAM: &str = "sam";

/// What `sam` hands to the container, or asks AWS about. Real credentials have no business there.
const REMOVED: [&str; 4] = [
    "AWS_SESSION_TOKEN",
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
];
const SET: [(&str, &str); 6] = [
    // Of no account; without one, `sam` would not hand on the access key id either.
    ("AWS_SECRET_ACCESS_KEY", "local"),
    ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
    ("AWS_CONFIG_FILE", "/dev/null"),
    ("AWS_EC2_METADATA_DISABLED", "true"),
    ("AWS_REGION", "us-east-1"),
    ("AWS_DEFAULT_REGION", "us-east-1"),
];

/// A function of a SAM template that was built, as this folder has it.
#[derive(Clone)]
pub struct Sam {
    /// The function's logical id; unnecessary where the template has one function only.
    pub function: Option<String>,
    /// Secrets Manager's URL, as the container reaches it.
    pub endpoint: String,
    /// The access key id that the function signs with.
    pub access_key_id: String,
    /// Variables for the function. `sam` drops those that the template does not declare.
    pub environment: Vec<(String, String)>,
    /// Further arguments of `sam local invoke`.
    pub arguments: Vec<String>,
}

impl fmt::Debug for Sam {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Sam")
            .field("function", &self.function)
            .field("endpoint", &self.endpoint)
            .field("environment", &Names(&self.environment))
            .field("arguments", &self.arguments)
            .finish_non_exhaustive()
    }
}

impl Sam {
    /// Starts a container for one event.
    pub(super) async fn invoke(&self, event: &Value) -> std::io::Result<Invocation> {
        let started = Instant::now();
        // In files that only this user can read, because arguments can be seen by everyone.
        let event = private(event)?;
        let variables = private(&self.variables())?;
        let mut child = self.command(event.path(), variables.path()).spawn()?;
        let output = child.stdout.take();
        let errors = child.stderr.take();
        // The answer comes on standard output, what the function logs on standard error, among
        // what `sam` itself has to say.
        let (output, errors) = tokio::join!(read_all(output, false), read_all(errors, false));
        let status = child.wait().await?;
        let answer = if status.success() { answer(&output) } else { None };
        Ok(Invocation {
            answer: answer.unwrap_or_else(|| Err(failed(&errors))),
            lines: json_lines(&errors),
            duration: reported(&errors).unwrap_or_else(|| started.elapsed()),
            // The other one has the answer alone.
            output: errors,
        })
    }

    fn command(&self, event: &Path, variables: &Path) -> Command {
        let mut command = Command::new(PROGRAM);
        for name in REMOVED {
            command.env_remove(name);
        }
        command
            .args(["local", "invoke"])
            .args(&self.function)
            .arg("--event")
            .arg(event)
            .arg("--env-vars")
            .arg(variables)
            .args(&self.arguments)
            .envs(SET)
            // `sam` hands its own on: what a template may not declare, `--env-vars` cannot set.
            .env(ACCESS_KEY_ID, &self.access_key_id)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// The file for `--env-vars`. What stands under `Parameters` is for every function.
    fn variables(&self) -> Value {
        let endpoint = ("SECRETS_MANAGER_ENDPOINT".to_owned(), json!(self.endpoint));
        let given = self.environment.iter().map(|(name, value)| (name.clone(), json!(value)));
        json!({"Parameters": std::iter::once(endpoint).chain(given).collect::<Map<_, _>>()})
    }
}

fn private(content: &Value) -> std::io::Result<NamedTempFile> {
    let mut file = tempfile::Builder::new().suffix(".json").tempfile()?;
    write!(file, "{content}")?;
    Ok(file)
}

/// The answer is the last line. An error of the function is an answer too, and `sam` succeeds then.
fn answer(output: &str) -> Option<Answer> {
    let answer: Value = serde_json::from_str(output.trim().lines().last()?).ok()?;
    let text = |name: &str| answer.get(name).and_then(Value::as_str).map(str::to_owned);
    match (text("errorType"), text("errorMessage")) {
        (Some(kind), message) => Some(Err((kind, message.unwrap_or_default()))),
        (None, _) => Some(Ok(answer)),
    }
}

/// The duration in Lambda's own REPORT line: it leaves out what `sam` and Docker need.
fn reported(errors: &str) -> Option<Duration> {
    let report = errors.lines().rev().find(|line| line.starts_with("REPORT "))?;
    let field = report.split('\t').find_map(|field| field.strip_prefix("Duration: "))?;
    let milliseconds: f64 = field.strip_suffix(" ms")?.parse().ok()?;
    Duration::try_from_secs_f64(milliseconds / 1000.0).ok()
}

/// Why there was no answer: what `sam` said last.
fn failed(errors: &str) -> (String, String) {
    let last = errors.lines().rev().find(|line| !line.trim().is_empty());
    ("Sam.Failed".to_owned(), last.unwrap_or("sam local invoke gave no answer").trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_from_errors_and_from_silence() {
        let done = answer("{\"outcome\": \"done\"}").unwrap().unwrap();
        assert_eq!(done["outcome"], "done");
        let refused = answer("\n{\"errorType\": \"Rejected\", \"errorMessage\": \"why\"}\n");
        assert_eq!(refused.unwrap().unwrap_err(), ("Rejected".into(), "why".into()));
        for silence in ["", "\n", "Function 'RotatePostgres' timed out after 60 seconds"] {
            assert!(answer(silence).is_none(), "{silence}");
        }
        assert_eq!(failed("Error: no Docker\n\n").1, "Error: no Docker");
    }

    #[test]
    fn the_duration_is_the_functions_own() {
        let report = "START\nREPORT RequestId: 1\tInit Duration: 0.07 ms\tDuration: 20.50 ms\tBilled \
                      Duration: 21 ms\tMemory Size: 128 MB\t\n";
        assert_eq!(reported(report), Some(Duration::from_micros(20_500)));
        assert_eq!(reported("Error: no Docker"), None);
        assert_eq!(reported("REPORT RequestId: 1\tDuration: -1 ms"), None);
    }

    #[test]
    fn what_the_function_is_told_is_for_this_user_only() {
        use std::os::unix::fs::PermissionsExt;
        let sam = Sam {
            function: None,
            endpoint: "http://172.17.0.1:1".to_owned(),
            access_key_id: "canary".to_owned(),
            environment: vec![("PASSWORD_LENGTH".to_owned(), "20".to_owned())],
            arguments: Vec::new(),
        };
        let expected = json!({"Parameters": {
            "SECRETS_MANAGER_ENDPOINT": "http://172.17.0.1:1", "PASSWORD_LENGTH": "20",
        }});
        assert_eq!(sam.variables(), expected);
        // The key by which the container reads the secret: in no argument, for those are seen by all.
        let command = sam.command(Path::new("event"), Path::new("variables"));
        let command = command.as_std();
        let variable = |name: &str| command.get_envs().find(|(set, _)| *set == name);
        assert_eq!(variable(ACCESS_KEY_ID).unwrap().1.unwrap(), "canary");
        assert_eq!(variable("AWS_SESSION_TOKEN").unwrap().1, None);
        assert!(!command.get_args().any(|argument| argument == "canary"));
        let file = private(&sam.variables()).unwrap();
        assert_eq!(file.as_file().metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
}
