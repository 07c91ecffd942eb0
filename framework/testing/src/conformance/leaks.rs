//! No value of a secret in anything that was said.

use std::future::{Future, poll_fn};
use std::io::{self, Write};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use fourstep::{Error, ErrorKind, Secret};
use tracing::Dispatch;
use tracing_subscriber::fmt::MakeWriter;

use crate::Canary;
use crate::printed::said_here;
use crate::process::listening;
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
        String::from_utf8_lossy(&bytes).into_owned() + &said_here()
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

impl Simulation {
    /// A verb's work, with everything that is logged meanwhile written down. A panic ends it, as it
    /// ends the step of a function.
    pub(crate) async fn heard<T>(
        &self,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let dispatch = self.log.as_ref().map(Log::dispatch);
        let mut work = pin!(work);
        let polled =
            poll_fn(|context| match listening(dispatch.as_ref(), || work.as_mut().poll(context)) {
                Ok(polled) => polled.map(Ok),
                Err(said) => Poll::Ready(Err(said)),
            });
        polled.await.unwrap_or_else(|said| {
            let mut line = self.wire.line();
            line.panics = true;
            line.note(format!("the rotator panics: {said}"));
            Err(Error::new(ErrorKind::Internal, "the rotator panicked"))
        })
    }
}

/// Searches outcomes, errors, warnings and logs for what proves the credential of any version, or
/// of any other secret.
pub(super) fn search(simulation: &mut Simulation) -> Checked {
    let mut said = simulation.wire.line().transcript.join("\n");
    if let Some(log) = &simulation.log {
        said.push_str(&log.text());
    }
    let proofs = proofs(simulation)?;
    if let Some(short) = proofs.iter().find(|proof| proof.len() < SHORTEST) {
        return Err(simulation.wrong(What::Check(format!(
            "a credential has {} characters, too few to be told from chance in what is said: give \
             the remote one of {SHORTEST} or more",
            short.chars().count()
        ))));
    }
    let canaries: Vec<Canary> = proofs.into_iter().map(Canary::of).collect();
    match Canary::each_found_in(&canaries, &said).into_iter().flatten().next() {
        Some(how) => Err(simulation.wrong(What::Check(format!("a secret value is said, {how}")))),
        None => Ok(()),
    }
}

/// The same as far as it takes no time, for runs of which there are thousands: a value as it is, in
/// outcomes, errors and warnings.
pub(crate) fn glance(simulation: &mut Simulation) -> Checked {
    let proofs = proofs(simulation)?;
    let said = |proof: &String| {
        let line = simulation.wire.line();
        proof.len() >= SHORTEST && line.transcript.iter().any(|said| said.contains(proof.as_str()))
    };
    match proofs.iter().any(said) {
        true => {
            Err(simulation.wrong(What::Check("a secret value is said, in plain text".to_owned())))
        }
        false => Ok(()),
    }
}

/// What proves the credential of any version, and of any other secret.
fn proofs(simulation: &mut Simulation) -> Checked<Vec<String>> {
    let others = simulation.remote.other_secrets().into_iter();
    let mut secrets: Vec<Secret> = others.map(|(_, value)| Secret::decode(&value.into())).collect();
    secrets.extend(simulation.wire.line().given_up.iter().cloned());
    for version in simulation.stored()? {
        secrets.extend(simulation.value(&version)?);
    }
    secrets.push(Secret::decode(&simulation.remote.secret().into()));
    let found = secrets.iter().map(|secret| proof(secret, simulation.remote.credential()));
    let found: Vec<Option<String>> = found.collect();
    if found.iter().any(Option::is_none) {
        simulation
            .wire
            .line()
            .gap("a secret without the credential's last field is not looked for");
    }
    Ok(found.into_iter().flatten().collect())
}

/// The value that proves the credential.
fn proof(secret: &Secret, fields: &[&str]) -> Option<String> {
    Some(match secret.document() {
        Ok(document) => document.optional(fields.last()?).ok()??.to_owned(),
        Err(_) => match secret.bytes() {
            // The longest part that somebody could print as it is.
            Ok(bytes) => {
                let text = String::from_utf8_lossy(bytes);
                text.split('\u{fffd}').max_by_key(|part| part.len())?.to_owned()
            }
            Err(_) => secret.expose().ok()?,
        },
    })
}
