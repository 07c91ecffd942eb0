//! How many instructions a function's steps take: valgrind's callgrind counts them, and says nearly
//! the same every time, on every machine of a kind.
//!
//! What it does not see are SHA's own instructions, which it does not offer to programs: hashing
//! is counted as it is without them.

use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;

use fourstep::Step;
use fourstep_cli::events;

use crate::host::Program;
use crate::rotations::Scene;

/// Counts the instructions of programs.
#[derive(Debug, Clone)]
pub struct Valgrind {
    /// The program valgrind.
    pub program: PathBuf,
    /// A folder for what it writes.
    pub folder: PathBuf,
}

/// What the steps of one function took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// The function's name.
    pub name: &'static str,
    /// From the start of a process to its first poll.
    pub first_poll: u64,
    /// From the start of each step's process to its next poll, by the step's name. Empty if no
    /// rotation was counted.
    pub steps: Vec<(&'static str, u64)>,
}

impl Valgrind {
    /// The start of a function, and one rotation of this secret.
    ///
    /// # Errors
    /// If a step fails, or nothing was counted.
    pub async fn rotation(
        &self,
        name: &'static str,
        program: &Program,
        scene: &Scene,
    ) -> io::Result<Counted> {
        let mut counted = self.start(name, program, scene).await?;
        let token = scene.begin()?;
        for step in Step::ALL {
            let event = events::step(step, scene.arn(), token.as_str());
            let mut running = self.around(program).start(&scene.manager.url()).await?;
            running.invoke(&event).await.map_err(|error| {
                io::Error::new(error.kind(), format!("{name}, {}: {error}", step.name()))
            })?;
            running.terminate().await?;
            counted.steps.push((step.name(), self.told()?));
        }
        scene.finish(&token)?;
        Ok(counted)
    }

    /// The start of a function only.
    ///
    /// # Errors
    /// If it never polls, or nothing was counted.
    pub async fn start(
        &self,
        name: &'static str,
        program: &Program,
        scene: &Scene,
    ) -> io::Result<Counted> {
        let mut running = self.around(program).start(&scene.manager.url()).await?;
        running.ready().await?;
        running.terminate().await?;
        Ok(Counted { name, first_poll: self.told()?, steps: Vec::new() })
    }

    fn around(&self, program: &Program) -> Program {
        let out = format!("--callgrind-out-file={}", self.file().display());
        let command = program.command.display().to_string();
        let mut arguments = vec!["--quiet".to_owned(), "--tool=callgrind".to_owned(), out, command];
        arguments.extend(program.arguments.iter().cloned());
        Program { command: self.program.clone(), arguments, ..program.clone() }
    }

    fn file(&self) -> PathBuf {
        self.folder.join("callgrind.out")
    }

    /// What callgrind wrote; the file is gone then.
    fn told(&self) -> io::Result<u64> {
        let text = std::fs::read_to_string(self.file())?;
        std::fs::remove_file(self.file())?;
        total(&text).ok_or_else(|| io::Error::other("valgrind says no total"))
    }
}

/// The total of a profile: its last line, `totals: 1962395`.
fn total(profile: &str) -> Option<u64> {
    let line = profile.lines().rev().find_map(|line| line.strip_prefix("totals: "))?;
    line.trim().parse().ok()
}

impl Counted {
    /// All four steps together; `None` if no rotation was counted.
    pub fn whole(&self) -> Option<u64> {
        let whole = self.steps.iter().map(|(_, instructions)| instructions).sum();
        (!self.steps.is_empty()).then_some(whole)
    }

    fn of(&self, step: Step) -> Option<u64> {
        self.steps.iter().find(|(name, _)| *name == step.name()).map(|(_, count)| *count)
    }
}

/// One row of the table.
struct Row {
    what: &'static str,
    of: fn(&Counted) -> Option<u64>,
    /// In millions.
    most: Option<f64>,
    /// The one function that the budget is for; without it is for all.
    only: Option<&'static str>,
    budget: &'static str,
}

const ROWS: [Row; 6] = [
    Row {
        what: "start of a process to its first poll",
        of: |one| Some(one.first_poll),
        most: Some(3.0),
        only: None,
        budget: "≤ 3",
    },
    Row {
        what: "createSecret",
        of: |one| one.of(Step::Create),
        most: Some(8.0),
        only: None,
        budget: "≤ 8",
    },
    Row { what: "setSecret", of: |one| one.of(Step::Set), most: None, only: None, budget: "" },
    Row { what: "testSecret", of: |one| one.of(Step::Test), most: None, only: None, budget: "" },
    Row {
        what: "finishSecret",
        of: |one| one.of(Step::Finish),
        most: Some(7.0),
        only: None,
        budget: "≤ 7",
    },
    Row {
        what: "the four steps, a new process for each",
        of: Counted::whole,
        most: Some(215.0),
        only: Some("rotate-postgres"),
        budget: "≤ 215 for PostgreSQL",
    },
];

/// The figures that are so many percent and more over their budgets, in words.
pub fn over(all: &[Counted], percent: u8) -> Vec<String> {
    let mut over = Vec::new();
    for row in &ROWS {
        let Some(budget) = row.most else { continue };
        let most = budget * (1.0 + f64::from(percent) / 100.0);
        for one in all.iter().filter(|one| row.only.is_none_or(|only| one.name == only)) {
            let Some(count) = (row.of)(one).map(millions) else { continue };
            if count > most {
                let (name, what) = (one.name, row.what);
                over.push(format!("{name}, {what}: {count:.2} million instructions, not {budget}"));
            }
        }
    }
    over
}

/// The table in Markdown: a column for each function.
pub fn markdown(all: &[Counted]) -> String {
    let heads: Vec<_> = all.iter().map(|one| one.name).collect();
    let mut text = format!("| million instructions | {} | budget |\n", heads.join(" | "));
    let _ = writeln!(text, "|---|{}---|", "---:|".repeat(all.len()));
    for row in &ROWS {
        let cells: Vec<String> = all.iter().map(|one| shown((row.of)(one))).collect();
        let _ = writeln!(text, "| {} | {} | {} |", row.what, cells.join(" | "), row.budget);
    }
    text
}

/// Everything, for programs.
pub fn as_json(all: &[Counted]) -> serde_json::Value {
    let one = |one: &Counted| {
        let steps = one.steps.iter().map(|(name, count)| ((*name).to_owned(), (*count).into()));
        serde_json::json!({
            "name": one.name, "first_poll": one.first_poll,
            "steps": serde_json::Map::from_iter(steps), "rotation": one.whole(),
        })
    };
    all.iter().map(one).collect()
}

fn shown(count: Option<u64>) -> String {
    count.map_or(String::new(), |count| format!("{:.2}", millions(count)))
}

/// No count here comes near what an f64 holds exactly.
#[allow(clippy::cast_precision_loss)]
fn millions(count: u64) -> f64 {
    count as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn counted(name: &'static str, million: u64) -> Counted {
        let steps = Step::ALL.map(|step| (step.name(), million * 1_000_000)).to_vec();
        Counted { name, first_poll: million * 500_000, steps }
    }

    #[test]
    fn the_total_is_the_last_line_of_a_profile() {
        assert_eq!(total("events: Ir\nfn=(1) a\n12 3\n\ntotals: 1962395\n"), Some(1_962_395));
        assert_eq!(total("events: Ir\n"), None);
    }

    #[test]
    fn every_function_has_a_column_and_what_is_over_its_budget_is_named() {
        let bare = Counted { name: "bare", first_poll: 541_450, steps: Vec::new() };
        let all = [counted("rotate-postgres", 6), counted("rotate-api", 7), bare];
        expect![[r#"
            | million instructions | rotate-postgres | rotate-api | bare | budget |
            |---|---:|---:|---:|---|
            | start of a process to its first poll | 3.00 | 3.50 | 0.54 | ≤ 3 |
            | createSecret | 6.00 | 7.00 |  | ≤ 8 |
            | setSecret | 6.00 | 7.00 |  |  |
            | testSecret | 6.00 | 7.00 |  |  |
            | finishSecret | 6.00 | 7.00 |  | ≤ 7 |
            | the four steps, a new process for each | 24.00 | 28.00 |  | ≤ 215 for PostgreSQL |
        "#]]
        .assert_eq(&markdown(&all));
        assert_eq!(
            over(&all, 0),
            ["rotate-api, start of a process to its first poll: 3.50 million instructions, not 3"]
        );
        let slow = [counted("rotate-postgres", 54), counted("rotate-mysql", 54)];
        assert_eq!(over(&slow, 0).len(), 3 * 2 + 1);
        assert!(over(&all, 17).is_empty());
    }
}
