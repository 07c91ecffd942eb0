//! Secrets that are there from the start: names, and files with their values.

use std::io;
use std::path::Path;

use fourstep::SecretId;
use fourstep_cli::replay::{SecretFile, letters};
use fourstep_cli::{say, slips};
use fourstep_local::{MemoryStore, NewSecret};

/// Where every ARN of a local Secrets Manager begins.
const ARN: &str = "arn:aws:secretsmanager:us-east-1:000000000000:secret:";

/// Stores each, unless a secret of its name is there: what a store file has may have been rotated since.
pub(super) fn preload(store: &MemoryStore, given: &[String], binary: bool) -> io::Result<()> {
    let flag = if binary { "--binary" } else { "--secret" };
    for given in given {
        let (name, file) = parts(flag, given)?;
        let id = SecretId::parse(name).map_err(io::Error::other)?;
        if store.describe(&id).is_ok() {
            say!("{name} is there already, and {} was not read", file.display());
            continue;
        }
        let value = SecretFile::look(file, binary)?.read()?;
        // The same every time, because a rotator may write it at the target and must find it again.
        let arn = Some(format!("{ARN}{name}-{}", letters(name.as_bytes())));
        let new = NewSecret { value: Some(value), arn, ..NewSecret::default() };
        store.create(name, new).map_err(|error| {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{flag}: {}: {error}", file.display()),
            )
        })?;
    }
    Ok(())
}

/// `NAME=FILE`. What is no such thing may be a value, and is not repeated.
fn parts<'a>(flag: &str, given: &'a str) -> io::Result<(&'a str, &'a Path)> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-/_+.@!".contains(&byte);
    let is_value = |text: &str| text.contains(['{', '"', '\n']);
    let is_name = |name: &str| (1..=512).contains(&name.len()) && name.bytes().all(legal);
    match given.split_once('=') {
        Some((name, file)) if is_name(name) && !file.is_empty() && !is_value(file) => {
            Ok((name, Path::new(file)))
        }
        _ => {
            let what = "it takes NAME=FILE: what the secret is called (letters, digits and -/_+.@!), and a \
                        file with its value";
            let error = io::Error::new(io::ErrorKind::InvalidInput, what);
            Err(match is_value(given) {
                true => slips::secret(flag, Path::new(given), &error),
                false => io::Error::new(error.kind(), format!("{flag}: {error}")),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::parts;

    #[test]
    fn a_name_and_a_file_and_no_value_in_a_message() {
        let (name, file) = parts("--secret", "app/db=/run/secrets/a=b").unwrap();
        assert_eq!((name, file.to_str()), ("app/db", Some("/run/secrets/a=b")));
        for given in [
            "canary",
            "=canary",
            "canary=",
            "a canary=file",
            "{\"password\": \"canary=\"}",
            "canary\n=canary",
            "app/db={\"password\": \"canary\"}",
        ] {
            let error = parts("--secret", given).unwrap_err().to_string();
            assert!(error.contains("--secret") && !error.contains("canary"), "{given}: {error}");
        }
    }
}
