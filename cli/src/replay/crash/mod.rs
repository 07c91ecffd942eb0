//! `fourstep replay --crash` and `--fault`: the function's process is killed, or one of its calls
//! made to fail, at every point of a rotation; the rotation is then played again from createSecret,
//! as Secrets Manager does, and must come to its end.
//!
//! The function knows nothing of it. One proxy stands before the local Secrets Manager and another
//! before the database, new ones for every process, and what the function reads names the second
//! one. The secret itself, its file and its journal hold the user's own host and port throughout.

mod address;
mod database_proxy;
mod line;
mod points;
mod report;
mod reset;
mod rotation;
mod store_proxy;
mod verdict;
mod watch;

use std::io;
use std::path::Path;

use fourstep::store::AWSCURRENT;
use fourstep::{Step, VersionId};

pub use points::Disturbance;
pub use reset::Reset;

use self::address::Target;
use self::points::{Point, numbered};
use super::local::versions;
use super::{Access, LocalSecret, Options, Report, Rotator, inspect};
use crate::function::Function;

/// Which points of a rotation are played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Points {
    /// All of them.
    All,
    /// The one with this number.
    One(usize),
    /// This part of so many: the points of its number, and then every so manieth.
    Part {
        /// From 1 to `of`.
        part: usize,
        /// At least 1.
        of: usize,
    },
}

impl Points {
    fn have(self, number: usize) -> bool {
        match self {
            Self::All => true,
            Self::One(only) => only == number,
            Self::Part { part, of } => number % of.max(1) == part % of.max(1),
        }
    }
}

/// What is done to the function, and where.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What is done to it, one after the other at each point.
    pub disturbances: Vec<Disturbance>,
    /// Which points are played.
    pub points: Points,
    /// What is run before each rotation, so that all of them begin alike.
    pub reset: Option<Reset>,
}

impl Plan {
    /// The points of this plan with what is done there.
    fn chosen<'p>(&self, points: &'p [Point]) -> io::Result<Vec<(&'p Point, Disturbance)>> {
        let refused = |why: String| Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        let mut chosen = Vec::new();
        for point in points {
            if self.points.have(point.number) {
                let disturbances = self.disturbances.iter().copied();
                let apply = disturbances.filter(|disturbance| disturbance.applies(point));
                chosen.extend(apply.map(|disturbance| (point, disturbance)));
            }
        }
        match self.points {
            Points::One(only) if !points.iter().any(|point| point.number == only) => {
                refused(format!("there is no point {only}: this rotation has {}", points.len()))
            }
            Points::One(only) if chosen.is_empty() => {
                let names: Vec<&str> = self.disturbances.iter().map(|what| what.name()).collect();
                refused(format!("{} does not apply to point {only}", names.join(" or ")))
            }
            Points::Part { part, of } if chosen.is_empty() => {
                let points = points.len();
                refused(format!(
                    "there is nothing in part {part} of {of}: this rotation has {points}"
                ))
            }
            _ => Ok(chosen),
        }
    }
}

/// Plays a healthy rotation, then one for each point of the plan, and reports each. True if nothing
/// was violated.
///
/// # Errors
/// If the secret cannot be used for this, if the plan names a point that is none, and those of
/// [`replay`](super::replay).
pub async fn disturb(options: &Options, plan: &Plan, report: &mut Report<'_>) -> io::Result<bool> {
    let Rotator::Binary(binary) = &options.stage.rotator else {
        let why = "only a function binary can be disturbed, not a container";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    };
    let mut target = None;
    let read_target = |value: &_| Target::of(value).map(|found| target = found);
    let secret = LocalSecret::open(&options.stage, Access::Writes, read_target, report).await?;
    let function = options.stage.function(&secret);
    let reset = plan.reset.as_ref();
    let sweep = Sweep { options, binary, secret: &secret, function: &function, target, reset };
    let held = sweep.all(plan, report).await?;
    secret.close().await?;
    Ok(held)
}

struct Sweep<'a> {
    options: &'a Options,
    binary: &'a Path,
    secret: &'a LocalSecret,
    /// The function without proxies: for looking.
    function: &'a Function,
    target: Option<Target>,
    reset: Option<&'a Reset>,
}

impl Sweep<'_> {
    async fn all(&self, plan: &Plan, report: &mut Report<'_>) -> io::Result<bool> {
        let before = inspect(self.function, self.secret).await?;
        let pressed = self.reset.is_some() || self.secret.journal().exists();
        self.secret.listen(&before, report)?;
        if !report.before(&before, pressed)? {
            report.stopped(self.secret.journal(), false, &self.options.stage)?;
            return Ok(false);
        }
        self.secret.offer_live_value(&before)?;
        let current = |version: &super::local::Version| version.has(AWSCURRENT) && version.accepted;
        if !versions(&before).iter().any(current) {
            // A rotation that repairs makes more calls than a healthy one.
            report.repairing()?;
            if self.healthy(report).await?.is_none() {
                return Ok(false);
            }
        }
        let Some(points) = self.healthy(report).await? else { return Ok(false) };
        let chosen = plan.chosen(&points)?;
        report.counted(&points, chosen.len())?;
        // Of the healthy rotation.
        let (mut played, mut violations, mut settled) = (0, 0, true);
        for &(point, disturbance) in &chosen {
            let row = self.play(point, disturbance).await?;
            report.row(&row)?;
            played += 1;
            violations += row.violations.len();
            settled = row.settled;
            if !row.converged {
                break;
            }
        }
        let counts = (played, violations, chosen.len() - played);
        report.summed_up(counts, settled, self.secret.journal())?;
        Ok(violations == 0 && !report.has_said())
    }

    /// Begins a rotation, at a target that was reset if that was asked for.
    async fn begin(&self) -> io::Result<VersionId> {
        if let Some(reset) = self.reset {
            reset.run().await?;
        }
        self.secret.begin(true).map_err(io::Error::other)
    }

    /// Plays a rotation that nothing disturbs; its points. None if it fails, which is reported.
    async fn healthy(&self, report: &mut Report<'_>) -> io::Result<Option<Vec<Point>>> {
        let token = self.begin().await?;
        let mut calls = Vec::new();
        for step in Step::ALL {
            if step == Step::Set {
                self.secret.note_proposed(&token)?;
            }
            let watched = self.watched(step, &token, None).await?;
            self.secret.listen(&watched.invocation, report)?;
            calls.extend(watched.calls);
            let mut succeeded = watched.invocation.answer.is_ok();
            if succeeded && step == Step::Finish {
                succeeded = self.secret.finish(&token, self.options.pending_label).is_ok();
            } else if succeeded {
                continue;
            }
            let inspection = inspect(self.function, self.secret).await?;
            if succeeded && self.secret.settle(&inspection)? {
                return Ok(Some(numbered(calls)));
            }
            report.rotation(1, 1, token.as_str())?;
            report.step(step, &watched.invocation, &inspection)?;
            break;
        }
        report.stopped(self.secret.journal(), false, &self.options.stage)?;
        Ok(None)
    }
}
