//! Which public types there are, so that a list of them can be held against the sources.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The names of all public types of the crates that handle secrets, read from their sources: those
/// that are declared there, and those that a macro declares and a module hands on.
pub fn public_types() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut names = BTreeSet::new();
    for sources in [
        "framework/src",
        "framework/local/src",
        "framework/testing/src",
        "rotators/api/src",
        "rotators/iam/src",
        "rotators/mongodb/src",
        "rotators/postgres/src",
        "rotators/mysql/src",
        "rotators/redis/src",
        "rotators/sqlserver/src",
        "cli/src",
    ] {
        let mut folders = vec![root.join(sources)];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path: PathBuf = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    names.extend(declared(&std::fs::read_to_string(&path).unwrap()));
                }
            }
        }
    }
    names
}

fn declared(source: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for line in source.lines().map(str::trim_start) {
        for kind in ["pub struct ", "pub enum ", "pub union "] {
            let rest = line.strip_prefix(kind).unwrap_or_default();
            names.insert(rest.split(|c: char| !c.is_alphanumeric()).next().unwrap().to_owned());
        }
    }
    // `staged!( /// ... Name );`: the macro's own name for it is $name, which is left out above.
    for call in source.split("staged!(").skip(1) {
        let body = call.split(");").next().unwrap();
        names.extend(body.split_whitespace().last().map(str::to_owned));
    }
    names.retain(|name| name.starts_with(char::is_uppercase));
    names
}

#[test]
fn the_scan_for_public_types_finds_every_way_to_declare_one() {
    let source = "pub struct One(u8);\n    pub enum Two<'a> {\npub(crate) struct Hidden;\n\
                  struct Private;\nstaged!(\n    /// Words.\n    Three\n);\npub struct $name {\n";
    assert_eq!(declared(source).into_iter().collect::<Vec<_>>(), ["One", "Three", "Two"]);
}
