//! The commonest slips of a command line: what was given in place of a file, and what to type.

use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// How a secret's value comes into a file that nobody else can read.
const FETCH: &str = "(umask 077 && aws secretsmanager get-secret-value --secret-id NAME \
                     --query SecretString --output text >secret.json)";

/// What a function's messages mean on this machine: what stands in one, and what to do about it here.
const HERE: [(&str, &str); 2] = [
    (
        "(ResourceNotFoundException): correct masterarn",
        "here the admin's secret is what --admin FILE names",
    ),
    (
        "it carries the mark of arn:aws:secretsmanager:us-east-1:000000000000:secret:replay-",
        "here that ARN was made of the path of another --secret file: use that file where it was, or \
         name that ARN by --arn",
    ),
];

/// What to do on this machine about an error of a function's, as a line of its own; often nothing.
pub fn here(message: &str) -> String {
    let known = HERE.iter().find(|(part, _)| message.contains(part));
    known.map(|(_, advice)| format!("\nOn this machine: {advice}")).unwrap_or_default()
}

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

/// What names the standard input in place of a file.
pub const STANDARD_INPUT: &str = "-";

/// The most that is read of a pipe, in bytes: the longest value of a secret (Secrets Manager API
/// reference, PutSecretValue).
const LONGEST: u64 = 65_536;

/// Whether what is named can be read once and not written to: standard input, or a pipe.
pub fn is_pipe(path: &Path) -> bool {
    let special = |found: std::fs::Metadata| !found.is_file() && !found.is_dir();
    path == Path::new(STANDARD_INPUT) || std::fs::metadata(path).is_ok_and(special)
}

/// What is in the file, or comes through the pipe, that `flag` names.
///
/// # Errors
/// If it cannot be read, or is longer than any secret's value.
pub fn read(flag: &str, path: &Path) -> io::Result<Vec<u8>> {
    let opened: io::Result<Box<dyn io::Read>> = match path == Path::new(STANDARD_INPUT) {
        true => Ok(Box::new(io::stdin())),
        false => std::fs::File::open(path).map(|file| Box::new(file) as _),
    };
    let mut bytes = Vec::new();
    opened
        .and_then(|from| from.take(LONGEST + 1).read_to_end(&mut bytes))
        .map_err(|error| secret(flag, path, &error))?;
    if bytes.len() as u64 > LONGEST {
        let what = format!("{flag}: {} holds more than a secret can", path.display());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    }
    Ok(bytes)
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
