//! What the kit found: how much it looked at, and every promise that was broken.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::Write as _;

use super::wire::Wire;

/// What is wrong with a rotator, or with what drives it. Its text is the name by which a defect is
/// known.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum What {
    /// Where two credentials work at once, the one that applications use did not.
    CurrentDead,
    /// Nobody interfered, and no version with a label logged in.
    LabelledDead,
    /// No version of the secret, labelled or not, logged in: the credential is lost.
    StoredDead,
    /// After a rotation the one before must work until the next, and did not.
    PreviousDead,
    /// After a rotation a credential worked that is neither current nor kept.
    OldAlive,
    /// After a rotation more credentials worked at the remote than the secret names.
    LeftOver,
    /// Repeating the steps with the same token never succeeded although nobody interfered.
    NeverConverges,
    /// After somebody interfered, the next rotation never succeeded either.
    NextNeverConverges,
    /// All four steps succeeded and AWSCURRENT is not the new version.
    NotPromoted,
    /// Two containers wait for each other.
    Deadlock,
    /// A run did not end.
    Endless,
    /// The target was changed before DescribeSecret was asked again.
    NoFence,
    /// An account was changed that no stored credential proves to be the secret's.
    Touched,
    /// A step failed because its credentials for the store had ended, and its error says something else.
    Unnamed,
    /// The rotator panicked: its function ends there, and says nothing of what the operator should do.
    Panics,
    /// What the remote itself complains about.
    Complaint(String),
    /// What a check of the conformance suite found.
    Check(String),
    /// The kit could not do its own part.
    Kit(String),
}

impl fmt::Display for What {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::CurrentDead => "AWSCURRENT does not log in",
            Self::LabelledDead => "no labelled version logs in",
            Self::StoredDead => "no stored version logs in",
            Self::PreviousDead => "AWSPREVIOUS does not log in after a rotation",
            Self::OldAlive => "a credential that is not kept still works",
            Self::LeftOver => "a credential is left over that no kept version names",
            Self::NeverConverges => "repeating the rotation never succeeds",
            Self::NextNeverConverges => "the next rotation never succeeds",
            Self::NotPromoted => "the steps succeeded but the version is not current",
            Self::Deadlock => "two containers wait for each other",
            Self::Endless => "the run does not end",
            Self::NoFence => "the target was changed without passing the fence",
            Self::Touched => "an account is changed although no stored credential works",
            Self::Unnamed => "credentials that ended are not named as the cause",
            Self::Panics => "the rotator panics",
            Self::Complaint(what) | Self::Check(what) => what,
            Self::Kit(what) => return write!(formatter, "the kit itself failed: {what}"),
        })
    }
}

/// One broken promise, and how it came about.
#[derive(Debug, Clone)]
pub struct Violation {
    /// What is wrong.
    pub what: What,
    /// Every call and event up to then, in order; no values.
    pub transcript: Vec<String>,
}

impl Violation {
    pub(super) fn new(what: What, wire: &Wire) -> Self {
        Self { what, transcript: wire.line().transcript.clone() }
    }

    pub(super) fn of_kit(wire: &Wire, error: &dyn fmt::Display) -> Self {
        Self::new(What::Kit(error.to_string()), wire)
    }
}

/// What one scenario, or one check, came to.
#[derive(Debug, Clone)]
pub struct Section {
    /// Its name.
    pub name: &'static str,
    /// How many different runs there were: points, pairs of points or interleavings.
    pub runs: u64,
    /// How many calls were made in all of them.
    pub calls: u64,
    /// The broken promises. A scenario ends at its first few.
    pub violations: Vec<Violation>,
    /// What could not be looked at, because the testbed does not offer it. A section of no runs
    /// proves nothing at all.
    pub not_proven: BTreeSet<&'static str>,
}

impl Section {
    pub(super) fn new(name: &'static str) -> Self {
        Self { name, runs: 0, calls: 0, violations: Vec::new(), not_proven: BTreeSet::new() }
    }

    /// A section that could not even begin.
    pub(super) fn failed(name: &'static str, error: &dyn fmt::Display) -> Self {
        let violations = vec![Violation::of_kit(&Wire::default(), error)];
        Self { violations, ..Self::new(name) }
    }

    /// Adds one run, unless it had nothing to look at.
    pub(super) fn count(&mut self, wire: &Wire, run: Result<(), Violation>) {
        let mut line = wire.line();
        self.runs += u64::from(!line.idle);
        self.calls += line.calls;
        self.not_proven.append(&mut line.gaps);
        self.violations.extend(run.err());
    }
}

/// What the kit found.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Report {
    /// One for each scenario or check, in order.
    pub sections: Vec<Section>,
}

impl Report {
    pub(super) fn add(&mut self, section: Section) {
        self.sections.push(section);
    }

    pub(super) fn append(&mut self, mut other: Self) {
        self.sections.append(&mut other.sections);
    }

    /// Every broken promise.
    pub fn violations(&self) -> impl Iterator<Item = &Violation> {
        self.sections.iter().flat_map(|section| &section.violations)
    }

    /// The different things that are wrong, sorted.
    pub fn defects(&self) -> Vec<&What> {
        let mut defects: Vec<&What> = self.violations().map(|violation| &violation.what).collect();
        defects.sort();
        defects.dedup();
        defects
    }

    /// The names of the sections that had nothing to look at, in order.
    pub fn left_out(&self) -> Vec<&'static str> {
        self.sections.iter().filter(|one| one.runs == 0).map(|one| one.name).collect()
    }

    /// What was not looked at, and in which section: it may be wrong.
    pub fn not_proven(&self) -> Vec<String> {
        let mut gaps: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for section in self.sections.iter().filter(|section| section.violations.is_empty()) {
            let nothing = (section.runs == 0 && section.not_proven.is_empty()).then_some("no runs");
            for gap in section.not_proven.iter().copied().chain(nothing) {
                gaps.entry(gap).or_default().push(section.name);
            }
        }
        let line = |(gap, names): (&str, Vec<&str>)| match names.as_slice() {
            [name] => format!("not proven: {gap} ({name})"),
            names => format!("not proven: {gap} ({} of {})", names.len(), self.sections.len()),
        };
        gaps.into_iter().map(line).collect()
    }

    /// For a test's last line. What is not proven is written to standard error, past the test
    /// harness, which shows nothing of a test that passes.
    ///
    /// # Panics
    /// If anything was violated; prints the whole report.
    #[track_caller]
    pub fn assert_safe(&self) {
        assert!(self.violations().next().is_none(), "\n{self}");
        for line in self.not_proven() {
            let _ = writeln!(std::io::stderr(), "{line}");
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for section in &self.sections {
            let Section { name, runs, calls, violations, .. } = section;
            let number = violations.len();
            if *runs == 0 && number == 0 {
                writeln!(formatter, "{name:<44} not proven")?;
            } else {
                writeln!(
                    formatter,
                    "{name:<44} {runs:>8} runs {calls:>10} calls {number:>3} violations"
                )?;
            }
        }
        for line in self.not_proven() {
            writeln!(formatter, "{line}")?;
        }
        for section in &self.sections {
            if let Some(Violation { what, transcript }) = section.violations.first() {
                writeln!(formatter, "\n{}: {what}", section.name)?;
                for line in transcript {
                    writeln!(formatter, "    {line}")?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_had_no_runs_is_never_shown_as_proven() {
        let mut report = Report::default();
        let looked = Section { runs: 3, ..Section::new("kills") };
        let not_proven = BTreeSet::from(["no short credential"]);
        let partly = Section { runs: 2, not_proven, ..Section::new("leaks") };
        for section in [looked, Section::new("races"), partly] {
            report.add(section);
        }
        assert_eq!(report.left_out(), ["races"]);
        let gaps = ["not proven: no runs (races)", "not proven: no short credential (leaks)"];
        assert_eq!(report.not_proven(), gaps);
        let shown = report.to_string();
        let line = |name: &str| shown.lines().find(|line| line.starts_with(name)).unwrap();
        assert!(line("races").ends_with(" not proven") && !line("races").contains(" 0 violations"));
        assert!(line("kills").contains("3 runs") && line("kills").ends_with("0 violations"));
        for gap in gaps {
            assert!(shown.contains(gap), "{shown}");
        }
        report.assert_safe();
    }
}
