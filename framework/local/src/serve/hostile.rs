//! The local Secrets Manager as a hostile client meets it, without HTTP: for the fuzzer (feature
//! `fuzzing`) and the property tests. It says what must hold after any request.

use std::collections::{BTreeMap, BTreeSet};

use fourstep::store::{AWSCURRENT, Select};
use fourstep::{ExposeSecret, SecretId, SecretValue};
use serde_json::Value;

use super::operations::{self, OPERATIONS};
use super::refusal::Refusal;
use super::wire::Input;
use crate::MemoryStore;

/// What a request was answered with.
#[derive(Debug)]
pub enum Reply {
    /// The operation's answer.
    Answered(Value),
    /// The error's name and message.
    Refused(&'static str, String),
}

/// A local Secrets Manager, and all that it has ever stored.
#[derive(Debug, Default)]
pub struct Service {
    store: MemoryStore,
    /// The ARNs of secrets that were made.
    made: BTreeSet<String>,
    /// Each value that was seen, by ARN and version.
    values: BTreeMap<(String, String), Vec<u8>>,
    /// The ARNs of secrets that were seen with an AWSCURRENT.
    had_current: BTreeSet<String>,
}

impl Service {
    /// An operation for any byte; for the digits, the first ten.
    pub fn operation(byte: u8) -> &'static str {
        let index = usize::from(byte.wrapping_sub(b'0')) % OPERATIONS.len();
        OPERATIONS.get(index).copied().unwrap_or_default()
    }

    /// The store behind it.
    pub fn store(&self) -> &MemoryStore {
        &self.store
    }

    /// Answers one request.
    ///
    /// # Errors
    /// What is wrong with the answer, or with what is stored now.
    pub fn request(&mut self, operation: &str, body: &[u8]) -> Result<Reply, String> {
        let answer =
            Input::parse(body).and_then(|input| operations::answer(&self.store, operation, &input));
        let reply = match answer {
            Ok(answer) => {
                if operation == "CreateSecret" {
                    let arn = answer.body.get("ARN").and_then(Value::as_str);
                    self.made.extend(arn.map(str::to_owned));
                }
                Reply::Answered(answer.body)
            }
            Err(Refusal::Error { status, name, message }) if status.is_client_error() => {
                Reply::Refused(name, message)
            }
            Err(refusal) => return Err(format!("a failure of its own: {refusal:?}")),
        };
        match &reply {
            Reply::Answered(Value::Object(_)) | Reply::Refused(_, _) => {}
            Reply::Answered(other) => return Err(format!("an answer that is no object: {other}")),
        }
        for arn in self.made.clone() {
            self.consistent(&arn)?;
        }
        Ok(reply)
    }

    /// What holds for one secret, whatever was done to it.
    fn consistent(&mut self, arn: &str) -> Result<(), String> {
        let secret = SecretId::parse(arn).map_err(|error| error.to_string())?;
        let Ok(detail) = self.store.describe(&secret) else {
            // Deleted: what is made under its name later gets another ARN.
            self.made.remove(arn);
            return Ok(());
        };
        let all = self.store.list(&secret, true).map_err(|error| error.to_string())?.versions;
        let mut holders: BTreeMap<&str, usize> = BTreeMap::new();
        for (version, labels) in &detail.labels {
            if !all.iter().any(|row| row.version == *version && row.labels == *labels) {
                return Err(format!("{version} is described otherwise than it is listed"));
            }
            for label in labels {
                *holders.entry(label).or_default() += 1;
            }
        }
        if let Some((label, count)) = holders.iter().find(|(_, count)| **count != 1) {
            return Err(format!("{label} is on {count} versions"));
        }
        if holders.contains_key(AWSCURRENT) {
            self.had_current.insert(arn.to_owned());
        } else if self.had_current.contains(arn) {
            return Err("AWSCURRENT is on no version any more".to_owned());
        }
        for row in all {
            let Ok(read) = self.store.get(&secret, Select::Version(&row.version)) else { continue };
            let value = match read.value {
                SecretValue::Text(text) => text.expose_secret().as_bytes().to_vec(),
                SecretValue::Binary(bytes) => bytes.expose_secret().to_vec(),
            };
            let version = (arn.to_owned(), row.version.as_str().to_owned());
            if *self.values.entry(version).or_insert_with(|| value.clone()) != value {
                return Err(format!("the value of {} changed", row.version));
            }
        }
        Ok(())
    }
}
