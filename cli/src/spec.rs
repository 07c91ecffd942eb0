//! `fourstep spec check`: what is wrong with a specification for rotate-api, line by line.

use std::io::{self, Write};
use std::path::Path;

use rotate_api::Specification;

/// Reads a specification and writes what is wrong with it, each complaint with its line. True if
/// nothing is.
///
/// # Errors
/// If the file cannot be read, naming it, or nothing can be written.
pub fn check(file: &Path, out: &mut dyn Write) -> io::Result<bool> {
    let text = std::fs::read_to_string(file).map_err(|error| {
        io::Error::new(error.kind(), format!("cannot read {}: {error}", file.display()))
    })?;
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
