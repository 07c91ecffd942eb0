//! `fourstep new`: a rotator's project, which compiles, proves and deploys as it is.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use fourstep::shell::word;

/// Each file of a project: where it is, and what is in it. The names in it are those of `rotate-example`.
const FILES: [(&str, &str); 10] = [
    ("Cargo.toml", include_str!("../project/Cargo.toml.in")),
    ("src/main.rs", include_str!("../project/src/main.rs")),
    ("src/lib.rs", include_str!("../project/src/lib.rs")),
    ("examples/server.rs", include_str!("../project/examples/server.rs")),
    ("tests/conformance.rs", include_str!("../project/tests/conformance.rs")),
    ("rustfmt.toml", include_str!("../project/rustfmt.toml")),
    ("template.yaml", include_str!("../project/template.yaml")),
    ("README.md", include_str!("../project/README.md.in")),
    ("secret.json", include_str!("../project/secret.json.in")),
    (".gitignore", include_str!("../project/gitignore")),
];

/// What a crate cannot be called, because its own parts or its dependencies are.
const TAKEN: [&str; 8] =
    ["core", "std", "alloc", "test", "tokio", "serde-json", "async-trait", "fourstep"];

/// The longest name: a Lambda function's has up to 64 characters, the stack's name and a hyphen
/// among them (AWS Lambda API reference, CreateFunction).
const LONGEST: usize = 40;

/// Makes the project `name` in a folder of that name within `folder`. It depends on the framework's
/// crates in the checkout `framework`, and on the versions of all others that are locked there.
///
/// # Errors
/// If the name is no crate's, the folder is there, `framework` is no checkout, or a file cannot be
/// written.
pub fn new(name: &str, framework: &Path, folder: &Path, out: &mut dyn Write) -> io::Result<bool> {
    check(name).map_err(|what| invalid(format!("{name:?}: {what}")))?;
    let checkout = fs::canonicalize(framework).and_then(|path| {
        fs::metadata(path.join("framework/testing/Cargo.toml"))?;
        Ok(path)
    });
    let checkout = checkout.map_err(|error| {
        let path = framework.display();
        invalid(format!("--framework: {path} is no checkout of Fourstep's repository: {error}"))
    })?;
    let Some(path) = checkout.to_str().filter(|path| !path.contains(['"', '\\', '\n'])) else {
        return Err(invalid("--framework: its path cannot be written into Cargo.toml".to_owned()));
    };
    let project = folder.join(name);
    fs::create_dir(&project)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", project.display())))?;
    for (file, text) in FILES {
        let to = project.join(file);
        to.parent().map_or(Ok(()), fs::create_dir_all)?;
        // Last, so that nothing in the path is taken for a name.
        fs::write(to, named(&unmarked(text), name).replace("FRAMEWORK", path))?;
    }
    // The same versions that the framework's tests ran with.
    fs::copy(checkout.join("Cargo.lock"), project.join("Cargo.lock"))?;
    writeln!(
        out,
        "{}: a rotator that works against a stand-in. Prove it: cd {} && cargo test\nREADME.md says \
         what to replace.",
        project.display(),
        word(&project.display().to_string())
    )?;
    Ok(true)
}

fn invalid(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, what)
}

/// A crate's name, which is a function's and an engine's too.
fn check(name: &str) -> Result<(), &'static str> {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let words = name.split('-').all(|word| word.starts_with(|c: char| c.is_ascii_lowercase()));
    if !words || !name.chars().all(legal) {
        return Err("write small letters, digits and hyphens, for example rotate-queue");
    }
    if name.len() > LONGEST {
        return Err("this name is too long for a Lambda function's; 40 characters are taken");
    }
    if TAKEN.contains(&name) || name.starts_with("fourstep-") {
        return Err("this crate is there already; write, for example, rotate-queue");
    }
    Ok(())
}

/// A file without what says which of Fourstep's own tests run its commands.
fn unmarked(text: &str) -> String {
    let kept = text.split_inclusive('\n').filter(|line| !line.starts_with("<!-- "));
    kept.collect()
}

/// The text of a file with the names of this project.
fn named(text: &str, name: &str) -> String {
    let engine = name.strip_prefix("rotate-").unwrap_or(name);
    let capital = |word: &str| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
    };
    let logical: String = name.split('-').map(|word| -> String { capital(word) }).collect();
    text.replace("RotateExample", &logical)
        .replace("rotate_example", &name.replace('-', "_"))
        .replace("rotate-example", name)
        .replace("\"example\"", &format!("\"{engine}\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_in_a_file_is_the_project_s() {
        let text = "rotate-example rotate_example RotateExample \"example\" an example";
        let queue = "rotate-big-queue rotate_big_queue RotateBigQueue \"big-queue\" an example";
        assert_eq!(named(text, "rotate-big-queue"), queue);
        assert_eq!(named(text, "keys"), "keys keys Keys \"keys\" an example");
    }

    #[test]
    fn nothing_of_fourstep_s_own_tests_is_said() {
        let marked = "# A page\n\n<!-- Run by tests/it/new.rs. -->\n```sh\ncargo test\n```\n";
        assert_eq!(unmarked(marked), "# A page\n\n```sh\ncargo test\n```\n");
        for (file, text) in FILES {
            assert!(!unmarked(text).contains("<!--"), "{file}");
        }
    }

    #[test]
    fn a_name_that_no_crate_or_function_can_have_is_refused() {
        for name in ["rotate-queue", "queue2", "a-b-c"] {
            assert_eq!(check(name), Ok(()), "{name}");
        }
        let long = "a".repeat(41);
        for name in
            ["", "-", "a-", "1a", "Rotate", "rotate_x", "../x", "a--b", "a-1", "fourstep", &long]
        {
            assert!(check(name).is_err(), "{name}");
        }
    }
}
