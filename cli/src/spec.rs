//! `fourstep spec check`: what is wrong with a specification for rotate-api, line by line.

use std::io::{self, Write};
use std::path::Path;

use rotate_api::{SHIPPED, Specification};
use serde_json::{Value, json};

use crate::replay::Format;

/// What every specification sets, and hardly another file.
const TELLING: [&str; 3] = ["base_url", "documents", "read_on"];

/// Whether a file was meant to be a specification.
fn is_one(text: &str) -> bool {
    let sets = |line: &str, key: &str| {
        line.trim_start().strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with('='))
    };
    text.lines().any(|line| TELLING.iter().any(|key| sets(line, key)))
}

/// Reads a specification and writes what is wrong with it, each complaint with its line. True if
/// nothing is.
///
/// # Errors
/// If the file cannot be read, naming it, or nothing can be written.
pub fn check(file: &Path, format: Format, out: &mut dyn Write) -> io::Result<bool> {
    let text = std::fs::read_to_string(file).map_err(|error| {
        io::Error::new(error.kind(), format!("cannot read {}: {error}", file.display()))
    })?;
    if format == Format::Json {
        return as_json(&text, out);
    }
    if !is_one(&text) {
        writeln!(
            out,
            "{}: this is no specification: it sets none of {}. No line of it is shown, as it may be \
             a secret's",
            file.display(),
            TELLING.join(", ")
        )?;
        return Ok(false);
    }
    let complaints = match Specification::read(&text) {
        Ok(specification) => {
            let shape = match specification.issues() {
                true => "keys that the vendor makes, revoked when they are kept no longer",
                false if specification.rolls() => {
                    "a value that the vendor makes anew, while the one in use works on"
                }
                false if specification.takes_turns() => {
                    "a value that is made here and set of two users in turn, whom USER_PAIRS names"
                }
                false => "a value that is made here and set in place",
            };
            let admin = match specification.needs_admin() {
                true => "; an admin's secret is needed",
                false => "",
            };
            writeln!(out, "{}: {}: {shape}{admin}", file.display(), specification.name())?;
            for note in specification.notes() {
                writeln!(out, "{}: {note}", file.display())?;
            }
            return Ok(true);
        }
        Err(complaints) => complaints,
    };
    for complaint in &complaints {
        let Some(line) = complaint.line else {
            writeln!(out, "{}: {}", file.display(), complaint.what)?;
            continue;
        };
        writeln!(out, "{}:{line}: {}", file.display(), complaint.what)?;
        if let Some(source) = text.lines().nth(line - 1) {
            writeln!(out, "    {}", source.trim())?;
        }
    }
    writeln!(out, "{} to correct", complaints.len())?;
    Ok(false)
}

/// The same for a machine: `ok`, `name`, and `complaints`, each with `line` and `what`.
fn as_json(text: &str, out: &mut dyn Write) -> io::Result<bool> {
    let read = Specification::read(text);
    let name = read.as_ref().map_or(Value::Null, |specification| specification.name().into());
    let complaints = read.err().unwrap_or_default();
    let ok = complaints.is_empty();
    let row = |what: &str, line: Option<usize>| json!({"line": line, "what": what});
    let rows: Vec<_> = match is_one(text) {
        true => complaints.iter().map(|one| row(&one.what, one.line)).collect(),
        // Nothing of it is quoted.
        false => vec![row("this is no specification", None)],
    };
    writeln!(out, "{}", json!({"ok": ok, "name": name, "complaints": rows}))?;
    Ok(ok)
}

/// The names of the shipped specifications, each with what it is about.
///
/// # Errors
/// Those of writing.
pub fn list(out: &mut dyn Write) -> io::Result<bool> {
    for (name, text) in SHIPPED {
        let about = Specification::read(text).map(|one| one.name().to_owned()).unwrap_or_default();
        writeln!(out, "{name:<22} {about}")?;
    }
    let none = "Keys that only sign requests (AWS IAM, R2, Spaces) are rotated by no specification";
    writeln!(out, "\n{none}: see docs/vendors.md#others")?;
    Ok(true)
}

/// A shipped specification, whole.
///
/// # Errors
/// If there is none of this name, naming those that there are.
pub fn show(name: &str, out: &mut dyn Write) -> io::Result<bool> {
    let Some((_, text)) = SHIPPED.iter().find(|(known, _)| *known == name) else {
        let names = SHIPPED.map(|(known, _)| known).join(", ");
        let what = format!("{name:?} is no shipped specification; there are {names}");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    };
    out.write_all(text.as_bytes()).map(|()| true)
}
