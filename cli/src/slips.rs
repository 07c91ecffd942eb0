//! The commonest slips of a command line: what was given in place of a file, and what to type.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// How a secret's value comes into a file that nobody else can read.
const FETCH: &str = "(umask 077 && aws secretsmanager get-secret-value --secret-id NAME \
                     --query SecretString --output text >secret.json)";

/// The function binary that `--rotator` names: a file, or else a program of the search path.
///
/// # Errors
/// If there is no such program, or what is there is none.
pub fn rotator(path: &Path) -> io::Result<PathBuf> {
    let refused = |what: &str| {
        let text = format!("--rotator: {}: {what}", path.display());
        Err(io::Error::new(io::ErrorKind::InvalidInput, text))
    };
    let bare = path.components().count() == 1;
    match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => {
            refused("this is a folder; name the program in it, such as rotate-postgres")
        }
        Ok(found) if found.permissions().mode() & 0o111 == 0 => {
            refused("this file is no program: nobody may execute it")
        }
        // Else it would be looked for in the search path only.
        Ok(_) if bare => Ok(Path::new(".").join(path)),
        Ok(_) => Ok(path.to_owned()),
        Err(_) if bare && searched(path) => Ok(path.to_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => refused(
            "there is no such file; `cargo build --workspace` makes target/debug/rotate-postgres \
             and the others",
        ),
        Err(error) => refused(&error.to_string()),
    }
}

fn searched(name: &Path) -> bool {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders).any(|folder| folder.join(name).is_file())
}

/// Why the file that `flag` names cannot be read. Whoever gave the value itself is not shown it.
pub fn secret(flag: &str, path: &Path, error: &io::Error) -> io::Error {
    let given = path.to_string_lossy();
    let text = if given.contains(['{', '"', '\n']) {
        format!(
            "{flag} takes the name of a file, and this is a value. It is in the history of your \
             shell now, and was in the list of processes: take it out there"
        )
    } else if error.kind() == io::ErrorKind::NotFound {
        format!(
            "{flag}: there is no file {given}. If that is a secret in AWS, put its value into a \
             file: {FETCH}"
        )
    } else {
        format!("{flag}: {given}: {error}")
    };
    io::Error::new(error.kind(), text)
}
