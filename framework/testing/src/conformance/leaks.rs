//! No value of a secret in anything that was said.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use fourstep::Secret;
use tracing::Dispatch;
use tracing_subscriber::fmt::MakeWriter;

use crate::Canary;
use crate::report::What;
use crate::simulation::{Checked, Simulation};

/// The shortest value that is looked for: a shorter one comes up by accident.
const SHORTEST: usize = 8;

/// Everything that is logged, by any crate, at any level.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// What sends everything here.
    pub(crate) fn dispatch(&self) -> Dispatch {
        let lines = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE);
        Dispatch::new(lines.with_writer(self.clone()).finish())
    }

    fn text(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Searches outcomes, errors, warnings and logs for what proves the credential of any version, or
/// of any other secret.
pub(super) fn search(simulation: &mut Simulation) -> Checked {
    let mut said = simulation.wire.line().transcript.join("\n");
    if let Some(log) = &simulation.log {
        said.push_str(&log.text());
    }
    let others = simulation.remote.other_secrets().into_iter();
    let mut secrets: Vec<Secret> = others.map(|(_, value)| Secret::decode(&value.into())).collect();
    for version in simulation.stored()? {
        secrets.extend(simulation.value(&version)?);
    }
    for secret in secrets {
        let Some(proof) = proof(&secret, simulation.remote.credential()) else { continue };
        if let Some(how) = Canary::of(proof).found_in(&said) {
            return Err(simulation.wrong(What::Check(format!("a secret value is said, {how}"))));
        }
    }
    Ok(())
}

/// The value that proves the credential, if it is long enough to be looked for.
fn proof(secret: &Secret, fields: &[&str]) -> Option<String> {
    let proof = match secret.document() {
        Ok(document) => document.optional(fields.last()?).ok()??.to_owned(),
        Err(_) => match secret.bytes() {
            // The longest part that somebody could print as it is.
            Ok(bytes) => {
                let text = String::from_utf8_lossy(bytes);
                text.split('\u{fffd}').max_by_key(|part| part.len())?.to_owned()
            }
            Err(_) => secret.expose().ok()?,
        },
    };
    (proof.len() >= SHORTEST).then_some(proof)
}
