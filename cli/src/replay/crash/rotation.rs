//! One rotation with something done to it at one point, and its retries.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use fourstep::{CHANGE_TIME, Step, VersionId};

use super::address::Detour;
use super::database_proxy::DatabaseProxy;
use super::points::{Call, Disturbance, Point};
use super::store_proxy::StoreProxy;
use super::verdict::{Row, access, ending, promoted};
use super::watch::Watch;
use super::{Sweep, inspect};
use crate::events;
use crate::function::{Function, Invocation, kill_switch};
use crate::replay::named;

/// How often a rotation is played again. Secrets Manager retries too, it does not say how often.
const MOST_RETRIES: u32 = 3;

/// The time that a step is given when an answer does not come: enough for a healthy one, and little
/// enough that it is not waited for long.
const SLOW_STEP_TIME: Duration = Duration::from_secs(2);

/// An invocation that was watched.
pub(super) struct Watched {
    pub(super) invocation: Invocation,
    pub(super) calls: Vec<Call>,
    pub(super) reached: bool,
}

impl Sweep<'_> {
    /// One step in a process of its own, behind proxies of its own: what an earlier process left on
    /// its way can be taken for nothing of this one.
    pub(super) async fn watched(
        &self,
        step: Step,
        token: &VersionId,
        armed: Option<(Point, Disturbance)>,
    ) -> io::Result<Watched> {
        let timeout = self.timeout(step, armed.as_ref());
        let (switch, killable) = kill_switch();
        let watch = Arc::new(Watch::new(step, armed, switch));
        let database = match &self.target {
            Some(target) => Some(DatabaseProxy::start(target.clone(), Arc::clone(&watch)).await?),
            None => None,
        };
        let detour = database.as_ref().zip(self.target.clone());
        let detour = detour.map(|(proxy, target)| Detour { target, port: proxy.port() });
        let store = StoreProxy::start(self.secret, Arc::clone(&watch), detour).await?;
        let variables = self.options.stage.variables(self.secret.key());
        let function = Function::new(self.binary, store.url(), &variables, timeout)
            .with_output(self.options.stage.verbose);
        let event = events::step(step, self.secret.arn(), token.as_str());
        let invocation = function.invoke_killable(&event, killable).await;
        let invocation = invocation.map_err(|error| named(self.binary, &error))?;
        // What the process said last is still to be counted, though it is dead.
        watch.end();
        store.stop().await;
        if let Some(database) = database {
            database.stop().await;
        }
        Ok(Watched { invocation, calls: watch.calls(), reached: watch.reached() })
    }

    fn timeout(&self, step: Step, armed: Option<&(Point, Disturbance)>) -> Duration {
        let change = if step == Step::Set { CHANGE_TIME } else { Duration::ZERO };
        match armed {
            Some((_, Disturbance::Slow)) => self.options.stage.timeout.min(SLOW_STEP_TIME + change),
            _ => self.options.stage.timeout,
        }
    }

    /// Plays a rotation that is disturbed at this point, and plays it again until it succeeds.
    pub(super) async fn play(&self, point: &Point, disturbance: Disturbance) -> io::Result<Row> {
        let token = self.begin().await?;
        let mut rotation = Rotation { sweep: self, token, row: Row::new(point, disturbance) };
        let mut tried = rotation.attempt(Some((point.clone(), disturbance))).await?;
        while let Err(failure) = tried {
            if rotation.row.retries == MOST_RETRIES {
                let why = format!("after {MOST_RETRIES} retries: {failure}");
                rotation.row.violated("not-converged", why);
                return Ok(rotation.row);
            }
            rotation.row.retries += 1;
            tried = rotation.attempt(None).await?;
        }
        rotation.row.converged = true;
        Ok(rotation.row)
    }
}

struct Rotation<'a> {
    sweep: &'a Sweep<'a>,
    token: VersionId,
    row: Row,
}

impl Rotation<'_> {
    /// Plays the steps until one fails; how that one did.
    ///
    /// Until something was disturbed it is a healthy rotation, and nobody looks who can log in:
    /// MySQL would remember the passwords that were asked about, and a later step would make
    /// fewer calls than were counted.
    async fn attempt(
        &mut self,
        armed: Option<(Point, Disturbance)>,
    ) -> io::Result<Result<(), String>> {
        let mut reached = armed.is_none();
        let mut failed = None;
        for step in Step::ALL {
            // Before the step that makes it live.
            if step == Step::Set {
                self.sweep.secret.note_proposed(&self.token)?;
            }
            let arms = armed.clone().filter(|(point, _)| point.call.step == step);
            let watched = self.sweep.watched(step, &self.token, arms).await?;
            if armed.is_some() && watched.reached {
                reached = true;
                self.judge(&watched.invocation);
            }
            self.listen(&watched.invocation);
            let looks = reached || step == Step::Finish || watched.invocation.answer.is_err();
            failed = if looks { self.after(step, &watched.invocation).await? } else { None };
            if failed.is_some() {
                break;
            }
        }
        if !reached {
            let instead = failed.as_deref().unwrap_or("the rotation succeeded without it");
            let why = format!("the call of the healthy rotation was not made: {instead}");
            self.row.violated("not-reached", why);
        }
        Ok(failed.map_or(Ok(()), Err))
    }

    fn judge(&mut self, invocation: &Invocation) {
        let (ended, violation) = ending(self.row.disturbance, invocation);
        self.row.ended = ended;
        self.row.violations.extend(violation);
    }

    /// What it says under a fault is heard by nobody else before it stands in a log at AWS.
    fn listen(&mut self, invocation: &Invocation) {
        if let Some(what) = self.sweep.secret.said(invocation) {
            self.row.violated("said-credential", format!("its answer or output has {what}"));
        }
    }

    /// Looks who can log in, and does what the service does after the last step. How the step
    /// failed, if it did.
    async fn after(&mut self, step: Step, invocation: &Invocation) -> io::Result<Option<String>> {
        let Sweep { secret, function, options, .. } = self.sweep;
        let finished = step == Step::Finish && invocation.answer.is_ok();
        let ended =
            if finished { secret.finish(&self.token, options.pending_label) } else { Ok(()) };
        let inspection = inspect(function, secret).await?;
        self.listen(&inspection);
        self.row.violations.extend(access(step, &inspection).err());
        if finished {
            self.row.violations.extend(promoted(&self.token, &inspection).err());
            self.row.settled = secret.settle(&inspection)?;
        }
        Ok(match (&invocation.answer, ended) {
            (Err((kind, message)), _) => Some(format!("{step} failed: {kind}: {message}")),
            (Ok(_), Err(error)) => Some(format!("{step} succeeded, but: {error}")),
            (Ok(_), Ok(())) => None,
        })
    }
}
