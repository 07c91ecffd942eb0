//! What was measured, and what of it keeps to its budget.

use std::time::Duration;

use crate::rotations::Rotation;
use crate::server_log::Logins;

/// Everything that was measured.
#[derive(Debug, Clone)]
pub struct Figures {
    /// From the start of a process to its first poll.
    pub start_ups: Vec<Duration>,
    /// Rotations with verified TLS.
    pub tls: Rotations,
    /// Rotations without TLS: those that stand beside the template's.
    pub plaintext: Rotations,
    /// What one rotation asked of others.
    pub demands: Demands,
    /// The binary's size and that of its zip, in bytes.
    pub sizes: [u64; 2],
    /// The runtime alone.
    pub bare: Bare,
    /// AWS's template, in turn with the function under the same host.
    pub template: Option<Template>,
}

/// Rotations under the same conditions.
#[derive(Debug, Clone, Default)]
pub struct Rotations {
    /// With a process of its own for each step.
    pub cold: Vec<Rotation>,
    /// In one process; the first, which is not warm, is left out.
    pub warm: Vec<Duration>,
}

/// What one rotation asked of Secrets Manager and of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demands {
    /// Calls of Secrets Manager.
    pub calls: usize,
    /// Calls of setSecret that came one after the other.
    pub sequence_in_set: usize,
    /// The most calls of another step that came one after the other.
    pub sequence_elsewhere: usize,
    /// What the database saw.
    pub logins: Logins,
}

impl Demands {
    /// Those of this rotation.
    pub fn of(rotation: &Rotation, logins: Logins) -> Self {
        let (set, others): (Vec<_>, Vec<_>) =
            rotation.sequences().into_iter().partition(|(step, _)| *step == "setSecret");
        let most = |steps: Vec<(&str, usize)>| steps.into_iter().map(|(_, calls)| calls).max();
        Self {
            calls: rotation.total_calls(),
            sequence_in_set: most(set).unwrap_or_default(),
            sequence_elsewhere: most(others).unwrap_or_default(),
            logins,
        }
    }
}

/// A function that does nothing.
#[derive(Debug, Clone)]
pub struct Bare {
    /// From the start of a process to its first poll.
    pub start_ups: Vec<Duration>,
    /// The most resident memory of a process that was only started, in bytes.
    pub peak_memory: u64,
    /// The binary's size and that of its zip, in bytes.
    pub sizes: [u64; 2],
}

/// AWS's Python template.
#[derive(Debug, Clone)]
pub struct Template {
    /// Its rotations, without TLS. The first is the pair of the function's first, and so on.
    pub rotations: Rotations,
    /// What one rotation asked of others.
    pub demands: Demands,
}

/// One figure, with what stands beside it.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// What was measured.
    pub what: &'static str,
    /// `ms`, `MB`, or nothing for what is counted.
    pub unit: &'static str,
    /// The function's figure.
    pub ours: f64,
    /// That of the runtime alone.
    pub bare: Option<f64>,
    /// That of AWS's template.
    pub template: Option<f64>,
    /// What the figure must keep to, in words.
    pub budget: Option<&'static str>,
    /// Whether it does.
    pub kept: bool,
}

impl Row {
    fn new(what: &'static str, unit: &'static str, ours: f64) -> Self {
        Self { what, unit, ours, bare: None, template: None, budget: None, kept: true }
    }

    fn bare(self, bare: f64) -> Self {
        Self { bare: Some(bare), ..self }
    }

    fn template(self, template: Option<f64>) -> Self {
        Self { template, ..self }
    }

    fn at_most(self, most: f64, budget: &'static str) -> Self {
        let kept = self.ours <= most;
        Self { budget: Some(budget), kept, ..self }
    }

    fn exactly(self, number: f64, budget: &'static str) -> Self {
        let kept = (self.ours - number).abs() < f64::EPSILON;
        Self { budget: Some(budget), kept, ..self }
    }

    /// A budget that only a run beside the template can check.
    fn below_template(self, ratio: f64, budget: &'static str) -> Self {
        match self.template {
            Some(template) => self.at_most(template / ratio, budget),
            None => self,
        }
    }
}

impl Figures {
    /// The figures in reading order.
    pub fn rows(&self) -> Vec<Row> {
        let mut rows = self.times();
        rows.extend(self.room());
        rows.extend(self.demanded());
        rows
    }

    /// Whether every budget is kept that was looked at.
    pub fn within_budget(&self) -> bool {
        self.rows().iter().all(|row| row.kept)
    }

    fn times(&self) -> Vec<Row> {
        let (start, bare) = (median(&self.start_ups), median(&self.bare.start_ups));
        let theirs = self.template.as_ref().map(|template| &template.rotations);
        let template_start = theirs.map(|rotations| {
            median(&rotations.cold.iter().flat_map(|one| one.start_ups.clone()).collect::<Vec<_>>())
        });
        vec![
            Row::new("start of a process to its first poll, median", "ms", start)
                .bare(bare)
                .template(template_start)
                .at_most(2.0 * bare, "≤ 2 × the bare runtime"),
            Row::new("rotation, a new process for each step, verified TLS", "ms", time(&self.tls)),
            Row::new("the same in plaintext", "ms", time(&self.plaintext))
                .template(theirs.map(time))
                .below_template(15.0, "≥ 15 × faster than the template"),
            Row::new("rotation in a warm process, verified TLS", "ms", median(&self.tls.warm)),
            Row::new("the same in plaintext", "ms", median(&self.plaintext.warm))
                .template(theirs.map(|rotations| median(&rotations.warm))),
            Row::new("CPU of a rotation, new processes, verified TLS", "ms", cpu(&self.tls)),
            Row::new("the same in plaintext", "ms", cpu(&self.plaintext))
                .template(theirs.map(cpu))
                .below_template(30.0, "≥ 30 × less than the template"),
        ]
    }

    fn room(&self) -> Vec<Row> {
        let [binary, zip] = self.sizes;
        let [bare_binary, bare_zip] = self.bare.sizes;
        let ours = peak(&self.tls).max(peak(&self.plaintext));
        let template = self.template.as_ref().map(|template| megabytes(peak(&template.rotations)));
        vec![
            Row::new("peak resident memory", "MB", megabytes(ours))
                .bare(megabytes(self.bare.peak_memory))
                .template(template)
                .at_most(8.0, "≤ 8 MB"),
            Row::new("binary", "MB", megabytes(binary))
                .bare(megabytes(bare_binary))
                .at_most(6.5, "≤ 6.5 MB"),
            Row::new("zip", "MB", megabytes(zip))
                .bare(megabytes(bare_zip))
                .at_most(3.0, "≤ 3.0 MB"),
        ]
    }

    fn demanded(&self) -> Vec<Row> {
        let row = |what, of: fn(&Demands) -> usize| {
            let theirs = self.template.as_ref().map(|template| count(of(&template.demands)));
            Row::new(what, "", count(of(&self.demands))).template(theirs)
        };
        vec![
            row("Secrets Manager calls of a rotation", |of| of.calls).at_most(14.0, "≤ 14"),
            row("the same, in sequence in setSecret", |of| of.sequence_in_set).at_most(2.0, "≤ 2"),
            row("the same, in sequence in any other step", |of| of.sequence_elsewhere)
                .at_most(2.0, "≤ 2"),
            row("database connections of a rotation", |of| of.logins.connections).exactly(2.0, "2"),
            row("failed logins of a rotation", |of| of.logins.failed).exactly(0.0, "0"),
        ]
    }
}

/// The median, in milliseconds.
pub fn median(times: &[Duration]) -> f64 {
    median_of(times.iter().copied().map(milliseconds).collect())
}

/// The middle number, or the mean of both in the middle; of nothing it is no number.
pub fn median_of(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    let at = |index: usize| numbers.get(index).copied().unwrap_or(f64::NAN);
    let middle = numbers.len() / 2;
    match numbers.len() % 2 {
        0 => f64::midpoint(at(middle.saturating_sub(1)), at(middle)),
        _ => at(middle),
    }
}

/// A duration in milliseconds.
pub fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn time(rotations: &Rotations) -> f64 {
    median(&rotations.cold.iter().map(|rotation| rotation.time).collect::<Vec<_>>())
}

fn cpu(rotations: &Rotations) -> f64 {
    median(&rotations.cold.iter().map(|rotation| rotation.cpu).collect::<Vec<_>>())
}

fn peak(rotations: &Rotations) -> u64 {
    rotations.cold.iter().map(|rotation| rotation.peak_memory).max().unwrap_or_default()
}

/// Of a million bytes each. No size here comes near what an f64 holds exactly.
#[allow(clippy::cast_precision_loss)]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

#[allow(clippy::cast_precision_loss)]
fn count(number: usize) -> f64 {
    number as f64
}

#[cfg(test)]
pub(crate) mod tests;
