//! What plays rotations for `fourstep serve --rotator`, in the background, as AWS does.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fourstep::shell::word;
use fourstep::{SecretId, Step};
use fourstep_local::serve::{OnInvoke, OnRotate};
use fourstep_local::{MemoryStore, PendingLabel, StartedRotation};
use serde_json::Value;

use crate::account::text::in_command;
use crate::events;
use crate::function::{Function, Invocation, Names};

/// How often a rotation is played before it is left as it is. Secrets Manager retries too, it
/// does not say how often.
const PLAYS: u32 = 3;

/// The pause before a rotation is played again.
const PAUSE: Duration = Duration::from_secs(2);

/// Plays rotations through a function binary and says on standard error how each step ended.
pub struct Player {
    /// The function binary.
    pub rotator: PathBuf,
    /// The local Secrets Manager's URL, as the function reaches it.
    pub endpoint: String,
    /// Variables for the function.
    pub environment: Vec<(String, String)>,
    /// How long the function may take for one step.
    pub timeout: Duration,
    /// Whether what the function writes goes to standard error.
    pub verbose: bool,
    /// What becomes of AWSPENDING after a rotation that succeeded.
    pub pending_label: PendingLabel,
}

impl fmt::Debug for Player {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Player")
            .field("rotator", &self.rotator)
            .field("endpoint", &self.endpoint)
            .field("environment", &Names(&self.environment))
            .field("timeout", &self.timeout)
            .field("pending_label", &self.pending_label)
            .finish_non_exhaustive()
    }
}

impl Player {
    fn function(&self) -> Function {
        Function::new(&self.rotator, &self.endpoint, &self.environment, self.timeout)
            .with_output(self.verbose)
    }

    /// All steps from createSecret on, until one fails.
    async fn play(&self, rotation: &StartedRotation) -> bool {
        let function = self.function();
        let steps: &[Step] = if rotation.test_only { &[Step::Test] } else { &Step::ALL };
        for &step in steps {
            let event = events::step(step, &rotation.arn, rotation.version.as_str());
            let (ended, succeeded) = match function.invoke(&event).await {
                Ok(invocation) => match &invocation.answer {
                    Ok(answer) => (events::text(answer, "why").to_owned(), true),
                    Err((kind, message)) => (format!("failed: {kind}: {message}"), false),
                },
                Err(error) => (format!("cannot run {}: {error}", self.rotator.display()), false),
            };
            say!("{} {} {step}: {ended}", rotation.name, rotation.version);
            if !succeeded {
                return false;
            }
        }
        true
    }

    /// What the service itself does at the end.
    fn end(&self, store: &MemoryStore, rotation: &StartedRotation) {
        let ended = SecretId::parse(&rotation.arn).map(|secret| {
            if rotation.test_only {
                store.end_test(&secret, &rotation.version)
            } else {
                store.finish_rotation(&secret, &rotation.version, self.pending_label)
            }
        });
        if let Ok(Err(error)) = ended {
            say!("{} {}: {error}", rotation.name, rotation.version);
        }
    }
}

#[async_trait]
impl OnRotate for Player {
    async fn rotation_started(&self, store: &Arc<MemoryStore>, rotation: StartedRotation) {
        for play in 1..=PLAYS {
            if self.play(&rotation).await {
                self.end(store, &rotation);
                return;
            }
            if rotation.test_only {
                // AWS tests a configuration once; its temporary version goes either way.
                self.end(store, &rotation);
                return;
            }
            if play < PLAYS {
                tokio::time::sleep(PAUSE).await;
            }
        }
        say!(
            "{} {}: {}",
            rotation.name,
            rotation.version,
            advice(
                &self.endpoint,
                in_command(&rotation.name, &rotation.arn),
                rotation.version.as_str()
            )
        );
    }
}

#[async_trait]
impl OnInvoke for Player {
    /// Says of a failure that it was one: of an event that nobody waits for, nothing else does.
    async fn invoked(&self, event: Value) -> io::Result<Result<Value, (String, String)>> {
        let ended = self.function().invoke(&event).await;
        match &ended {
            Ok(Invocation { answer: Ok(_), .. }) => {}
            Ok(Invocation { answer: Err((kind, message)), .. }) => {
                say!("invoked: failed: {kind}: {message}");
            }
            Err(error) => say!("cannot run {}: {error}", self.rotator.display()),
        }
        Ok(ended?.answer)
    }
}

/// What to do about a rotation that nobody plays again. The commands name this Secrets Manager: without
/// that a shell with credentials of AWS would rotate a secret there.
fn advice(url: &str, secret: &str, version: &str) -> String {
    let (url, secret, version) = (word(url), word(secret), word(version));
    format!(
        "gave up after {PLAYS} tries; AWSPENDING is left where it is, as AWS leaves it. Unlike AWS, \
         nothing plays this rotation again by itself. Once the cause is mended, it is played again by `aws \
         secretsmanager rotate-secret --endpoint-url {url} --secret-id {secret}`, whose answer is an error \
         that says so. To begin another instead, first take the label off: `aws secretsmanager \
         update-secret-version-stage --endpoint-url {url} --secret-id {secret} --version-stage AWSPENDING \
         --remove-from-version-id {version}`"
    )
}

#[cfg(test)]
mod tests {
    use super::advice;

    #[test]
    fn no_command_that_is_advised_goes_to_aws() {
        let said = advice("http://127.0.0.1:4000", "app", "v-1");
        let commands: Vec<&str> = said.split('`').skip(1).step_by(2).collect();
        assert_eq!(commands.len(), 2, "{said}");
        for command in commands {
            assert!(command.contains("--endpoint-url http://127.0.0.1:4000 "), "{command}");
        }
    }

    #[test]
    fn what_is_named_like_a_command_is_one_word() {
        let said = advice("http://127.0.0.1:4000", "a b", "x;$(touch made)");
        assert!(said.contains("--remove-from-version-id 'x;$(touch made)'`"), "{said}");
        assert_eq!(said.matches("--secret-id 'a b'").count(), 2, "{said}");
    }
}
