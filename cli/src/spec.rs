//! `fourstep spec check`: what is wrong with a specification for rotate-api, line by line.

use std::io::{self, Write};
use std::path::Path;

use rotate_api::Specification;

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
pub fn check(file: &Path, out: &mut dyn Write) -> io::Result<bool> {
    let text = std::fs::read_to_string(file).map_err(|error| {
        io::Error::new(error.kind(), format!("cannot read {}: {error}", file.display()))
    })?;
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
                false => "a value that is made here and set in place",
            };
            let admin = match specification.needs_admin() {
                true => "; an admin's secret is needed",
                false => "",
            };
            writeln!(out, "{}: {}: {shape}{admin}", file.display(), specification.name())?;
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
