//! The figures as a table on the terminal, as the README's table, and as JSON.

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use serde_json::{Value, json};

use crate::figures::{Figures, Row, median_of, milliseconds};
use crate::rotations::Rotation;

/// Between which lines a file holds the table of times.
pub const TIMES: [&str; 2] =
    ["<!-- The table is written by `scripts/bench --write`. -->", "<!-- End of the table. -->"];

/// Between which lines a file holds the table of instructions.
pub const INSTRUCTIONS: [&str; 2] = [
    "<!-- The instructions are written by `scripts/bench --write`. -->",
    "<!-- End of the instructions. -->",
];

/// Where and with what it was measured, for people.
pub fn machine(conditions: &str) -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let model = model.unwrap_or("an unknown processor").trim();
    format!("{cores} cores of {model}, {conditions}")
}

/// The table for the terminal.
pub fn text(figures: &Figures, machine: &str) -> String {
    let template = figures.template.is_some();
    let mut text = format!("{machine}\n");
    for pair in pairs(figures) {
        let number = |name: &str| pair.get(name).and_then(Value::as_f64).unwrap_or(f64::NAN);
        let _ = writeln!(
            text,
            "pair {}: {:.0} ms beside {:.0} ms, {:.1} × faster; CPU {:.0} ms beside {:.0} ms, {:.1} × less",
            number("pair"),
            number("ms"),
            number("template_ms"),
            number("faster"),
            number("cpu_ms"),
            number("template_cpu_ms"),
            number("less_cpu"),
        );
    }
    if let Some([faster, less]) = ratios(figures) {
        let _ = writeln!(text, "all pairs, median: {faster:.1} × faster; CPU {less:.1} × less");
    }
    let _ = write!(text, "{:52} {:>11} {:>11}", "", "function", "bare");
    let _ =
        writeln!(text, "{}", if template { format!(" {:>11}", "template") } else { String::new() });
    for row in figures.rows() {
        let _ = write!(
            text,
            "{:52} {:>11} {:>11}",
            row.what,
            shown(Some(row.ours), &row),
            shown(row.bare, &row)
        );
        if template {
            let _ = write!(text, " {:>11}", shown(row.template, &row));
        }
        if let Some(budget) = row.budget {
            let _ = write!(text, "  {} {budget}", if row.kept { "ok  " } else { "OVER" });
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    text
}

/// The table for the README.
pub fn markdown(figures: &Figures, machine: &str) -> String {
    let template = figures.template.is_some();
    let mut text = "| | `rotate-postgres` | bare runtime |".to_owned();
    text.push_str(if template { " AWS's template | budget |\n" } else { " budget |\n" });
    text.push_str(if template { "|---|---:|---:|---:|---|\n" } else { "|---|---:|---:|---|\n" });
    for row in figures.rows() {
        let _ = write!(
            text,
            "| {} | {} | {} |",
            row.what,
            shown(Some(row.ours), &row),
            shown(row.bare, &row)
        );
        if template {
            let _ = write!(text, " {} |", shown(row.template, &row));
        }
        let _ = writeln!(text, " {} |", row.budget.unwrap_or_default());
    }
    if let Some([faster, less]) = ratios(figures) {
        let _ = writeln!(
            text,
            "\nIn turn with the template, under the same host, with the same secret and in plaintext: \
             {faster:.1} × faster\nand {less:.1} × less CPU, the medians of {} pairs.",
            figures.plaintext.cold.len(),
        );
    }
    let _ = writeln!(text, "\nMeasured on {machine}.");
    text
}

fn shown(figure: Option<f64>, row: &Row) -> String {
    match (figure, row.unit) {
        (None, _) => String::new(),
        (Some(figure), "") => format!("{figure:.0}"),
        // Three digits say what can be said; below ten one of them stands behind the point.
        (Some(figure), "ms") if figure >= 100.0 => format!("{figure:.0} ms"),
        (Some(figure), "ms") => format!("{figure:.1} ms"),
        (Some(figure), unit) => format!("{figure:.2} {unit}"),
    }
}

/// Everything, for programs.
pub fn as_json(figures: &Figures, machine: &str) -> Value {
    let row = |row: &Row| {
        json!({
            "what": row.what, "unit": row.unit, "figure": row.ours, "bare": row.bare,
            "template": row.template, "budget": row.budget, "kept": row.kept,
        })
    };
    json!({
        "machine": machine,
        "within_budget": figures.within_budget(),
        "rows": figures.rows().iter().map(row).collect::<Vec<_>>(),
        "pairs": pairs(figures),
    })
}

/// The function's and the template's rotations, as they took turns.
fn pairs(figures: &Figures) -> Vec<Value> {
    let Some(template) = &figures.template else { return Vec::new() };
    let pair = |(number, (ours, theirs)): (usize, (&Rotation, &Rotation))| {
        let [time, cpu] = [milliseconds(ours.time), milliseconds(ours.cpu)];
        let [their_time, their_cpu] = [milliseconds(theirs.time), milliseconds(theirs.cpu)];
        json!({
            "pair": number + 1, "ms": time, "template_ms": their_time, "faster": their_time / time,
            "cpu_ms": cpu, "template_cpu_ms": their_cpu, "less_cpu": their_cpu / cpu,
        })
    };
    figures.plaintext.cold.iter().zip(&template.rotations.cold).enumerate().map(pair).collect()
}

/// The medians of the pairs' ratios: time, and CPU.
fn ratios(figures: &Figures) -> Option<[f64; 2]> {
    let pairs = pairs(figures);
    if pairs.is_empty() {
        return None;
    }
    let of = |name: &str| {
        let numbers = pairs.iter().filter_map(|pair| pair.get(name).and_then(Value::as_f64));
        median_of(numbers.collect())
    };
    Some([of("faster"), of("less_cpu")])
}

/// Puts a table between its marks in a file.
///
/// # Errors
/// If the file cannot be read or written, or has no marks.
pub fn write_into(file: &Path, marks: [&str; 2], table: &str) -> io::Result<()> {
    let text = std::fs::read_to_string(file)?;
    let changed = between(marks, &text, table).ok_or_else(|| {
        let [begin, end] = marks;
        io::Error::other(format!("{} has not both marks: {begin} and {end}", file.display()))
    })?;
    std::fs::write(file, changed)
}

fn between([begin, end]: [&str; 2], text: &str, table: &str) -> Option<String> {
    let (before, rest) = text.split_once(begin)?;
    let (_, after) = rest.split_once(end)?;
    Some(format!("{before}{begin}\n{table}{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::tests::made_up;
    use expect_test::expect;

    #[test]
    fn the_terminal_has_pairs_budgets_and_all_three_columns() {
        expect![[r#"
            a machine
            pair 1: 180 ms beside 2980 ms, 16.6 × faster; CPU 90 ms beside 1490 ms, 16.6 × less
            pair 2: 180 ms beside 2980 ms, 16.6 × faster; CPU 90 ms beside 1490 ms, 16.6 × less
            pair 3: 180 ms beside 2980 ms, 16.6 × faster; CPU 90 ms beside 1490 ms, 16.6 × less
            all pairs, median: 16.6 × faster; CPU 16.6 × less
                                                                    function        bare    template
            start of a process to its first poll, median             18.0 ms      6.0 ms      496 ms  OVER ≤ 2 × the bare runtime
            rotation, a new process for each step, verified TLS       200 ms
            the same in plaintext                                     180 ms                 2980 ms  ok   ≥ 15 × faster than the template
            rotation in a warm process, verified TLS                 66.0 ms
            the same in plaintext                                    60.0 ms                  993 ms
            CPU of a rotation, new processes, verified TLS            100 ms
            the same in plaintext                                    90.0 ms                 1490 ms  OVER ≥ 30 × less than the template
            peak resident memory                                     7.60 MB     3.00 MB     7.60 MB  ok   ≤ 8 MB
            binary                                                   5.12 MB     1.29 MB              ok   ≤ 6.5 MB
            zip                                                      2.43 MB     0.60 MB              ok   ≤ 3.0 MB
            Secrets Manager calls of a rotation                           14                      14  ok   ≤ 14
            the same, in sequence in setSecret                             2                       2  ok   ≤ 2
            the same, in sequence in any other step                        2                       2  ok   ≤ 2
            database connections of a rotation                             2                       3  ok   2
            failed logins of a rotation                                    0                       1  ok   0
        "#]].assert_eq(&text(&made_up(2, true), "a machine"));
    }

    #[test]
    fn without_a_template_there_is_no_column_for_it() {
        expect![[r#"
            | | `rotate-postgres` | bare runtime | budget |
            |---|---:|---:|---|
            | start of a process to its first poll, median | 9.0 ms | 6.0 ms | ≤ 2 × the bare runtime |
            | rotation, a new process for each step, verified TLS | 110 ms |  |  |
            | the same in plaintext | 90.0 ms |  |  |
            | rotation in a warm process, verified TLS | 36.0 ms |  |  |
            | the same in plaintext | 30.0 ms |  |  |
            | CPU of a rotation, new processes, verified TLS | 55.0 ms |  |  |
            | the same in plaintext | 45.0 ms |  |  |
            | peak resident memory | 7.60 MB | 3.00 MB | ≤ 8 MB |
            | binary | 5.12 MB | 1.29 MB | ≤ 6.5 MB |
            | zip | 2.43 MB | 0.60 MB | ≤ 3.0 MB |
            | Secrets Manager calls of a rotation | 14 |  | ≤ 14 |
            | the same, in sequence in setSecret | 2 |  | ≤ 2 |
            | the same, in sequence in any other step | 2 |  | ≤ 2 |
            | database connections of a rotation | 2 |  | 2 |
            | failed logins of a rotation | 0 |  | 0 |

            Measured on a machine.
        "#]].assert_eq(&markdown(&made_up(1, false), "a machine"));
    }

    #[test]
    fn the_table_goes_between_the_marks_and_nothing_else_is_touched() {
        let [begin, end] = TIMES;
        let file = format!("# Title\n\n{begin}\nold\n{end}\n\nmore\n");
        let written = between(TIMES, &file, "new\n").unwrap();
        assert_eq!(written, format!("# Title\n\n{begin}\nnew\n{end}\n\nmore\n"));
        assert_eq!(between(TIMES, &written, "new\n").unwrap(), written);
        assert_eq!(between(TIMES, "# Title\n", "new\n"), None);
    }
}
