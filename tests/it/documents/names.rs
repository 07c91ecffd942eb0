//! What the pages name exists: files, tests, and settings with their parameters.

use std::collections::BTreeSet;
use std::process::Command;

use regex_lite::Regex;

use super::{Block, Page, code, files, page, pages, parts, root};

/// Pages for whoever changes the code: what they name as a file or a test is one.
const OF_THE_HOUSE: [&str; 4] =
    ["ARCHITECTURE.md", "CONTRIBUTING.md", "docs/safety.md", "docs/decisions.md"];

/// Whether `name` is a file, or a folder if it ends in `/`, by its whole path or the end of it.
fn exists(name: &str, files: &[String]) -> bool {
    let inside = format!("/{name}");
    files.iter().any(|file| match name.ends_with('/') {
        true => file.starts_with(name) || file.contains(&inside),
        false => file == name || file.ends_with(&inside),
    })
}

/// What of a page's code is meant as a file or a folder of this repository.
fn named_files(text: &str) -> BTreeSet<String> {
    let form =
        Regex::new(r"^[A-Za-z0-9_.-]*(/[A-Za-z0-9_.-]+)*(/|\.(rs|sh|md|toml|yaml|txt|json))$")
            .unwrap();
    let meant = |name: &String| form.is_match(name) && name != "/" && !name.contains("NAME");
    code(text).into_iter().filter(meant).collect()
}

#[test]
fn every_file_that_a_page_of_the_house_names_is_there() {
    let files = files();
    let mut missing = Vec::new();
    let mut named = 0;
    for Page { path, text } in OF_THE_HOUSE.map(page) {
        let names = named_files(&text);
        named += names.len();
        let absent = names.iter().filter(|name| !exists(name, &files));
        missing.extend(absent.map(|name| format!("{path}: {name}")));
    }
    assert!(named > 80, "only {named} files were found");
    assert!(missing.is_empty(), "\n{}", missing.join("\n"));
    assert!(
        !exists("engine/nowhere.rs", &files)
            && !exists("rs", &files)
            && !exists("it/nowhere/", &files)
    );
}

/// Messages send people to pages, and comments to what they rest on.
#[test]
fn b6_every_page_that_the_code_names_is_there() {
    let form = Regex::new(r"\bdocs/[a-z0-9-]+\.md\b").unwrap();
    let all = files();
    let (mut missing, mut named) = (Vec::new(), BTreeSet::new());
    // The tests of pages name some that are nowhere.
    let code = |file: &&String| file.ends_with(".rs") && !file.starts_with("tests/it/documents/");
    for file in all.iter().filter(code) {
        for found in form.find_iter(&page(file).text).map(|found| found.as_str().to_owned()) {
            if !all.contains(&found) {
                missing.push(format!("{file}: {found}"));
            }
            named.insert(found);
        }
    }
    assert!(named.len() > 20, "only {named:?} were found");
    assert!(missing.is_empty(), "\n{}", missing.join("\n"));
}

/// The names of all functions.
fn functions() -> BTreeSet<String> {
    let form = Regex::new(r"\bfn ([a-z][a-z0-9_]+)").unwrap();
    let files = files().into_iter().filter(|file| file.ends_with(".rs"));
    files
        .flat_map(|file| {
            let text = page(&file).text;
            form.captures_iter(&text).map(|found| found[1].to_owned()).collect::<Vec<_>>()
        })
        .collect()
}

/// What of a page's code is meant as a test: a long name, or the beginning of one and `...`.
fn named_tests(text: &str) -> BTreeSet<String> {
    let form =
        Regex::new(r"^((rule|parity|beyond)_[0-9][a-z0-9_]*(\.\.\.)?|[a-z0-9]+(_[a-z0-9]+){5,})$")
            .unwrap();
    code(text).into_iter().filter(|name| form.is_match(name)).collect()
}

#[test]
fn every_test_that_proves_a_rule_is_there() {
    let functions = functions();
    let mut missing = Vec::new();
    let mut named = 0;
    for Page { path, text } in OF_THE_HOUSE.map(page) {
        for name in named_tests(&text) {
            named += 1;
            let found = match name.strip_suffix("...") {
                Some(beginning) => functions.iter().any(|function| function.starts_with(beginning)),
                None => functions.contains(&name),
            };
            if !found {
                missing.push(format!("{path}: {name}"));
            }
        }
    }
    assert!(named > 40, "only {named} tests were found");
    assert!(missing.is_empty(), "\n{}", missing.join("\n"));
}

/// Each variable of a function in template.yaml with the parameter that it is set by, and each
/// parameter.
fn template() -> (BTreeSet<(String, String)>, BTreeSet<String>) {
    let text = page("template.yaml").text;
    let variable = Regex::new(r"(?m)^ +([A-Z][A-Z_]+): !Ref (\w+)$").unwrap();
    let variables =
        variable.captures_iter(&text).map(|found| (found[1].to_owned(), found[2].to_owned()));
    let section =
        text.split("\nParameters:\n").nth(1).unwrap().split("\nConditions:").next().unwrap();
    let parameter = Regex::new(r"(?m)^  (\w+):$").unwrap();
    let parameters = parameter.captures_iter(section).map(|found| found[1].to_owned());
    (variables.collect(), parameters.collect())
}

/// `PASSWORD_LENGTH` as `PasswordLength`.
fn as_parameter(variable: &str) -> String {
    let words = variable.split('_');
    words.map(|word| word[..1].to_owned() + &word[1..].to_lowercase()).collect()
}

#[test]
fn every_variable_and_every_parameter_of_the_template_is_in_the_page_of_settings() {
    let named: BTreeSet<String> = code(&page("docs/settings.md").text).into_iter().collect();
    let (variables, parameters) = template();
    assert!(variables.len() > 20 && parameters.len() > 40, "template.yaml was not read");
    for (variable, parameter) in &variables {
        assert!(named.contains(variable), "{variable}");
        let derived = as_parameter(variable) == *parameter;
        assert!(derived || named.contains(parameter), "{variable} is set by {parameter}");
    }
    for parameter in &parameters {
        let of_a_variable = variables.iter().any(|(_, of)| of == parameter);
        assert!(of_a_variable || named.contains(parameter), "{parameter}");
    }
}

/// AWS's accounts, and one made of digits.
#[test]
fn no_page_names_an_account_of_anybody_s() {
    let account = Regex::new(r":([0-9]{12}):").unwrap();
    for Page { path, text } in pages() {
        for found in account.captures_iter(&text) {
            let ours = ["000000000000", "111122223333", "444455556666"];
            assert!(ours.contains(&&found[1]), "{path}: {}", &found[1]);
        }
    }
}

/// The files with values that commands of these pages read or write.
fn files_with_values() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for Page { text, .. } in pages() {
        for Block { text, .. } in parts(&text).1 {
            let words: Vec<_> = text.split_whitespace().collect();
            let flags = ["--secret", "--admin", "--store"];
            let named = words.windows(2).filter(|two| flags.contains(&two[0]));
            let written = words.iter().filter_map(|word| word.strip_prefix('>'));
            // `fourstep serve` takes NAME=FILE.
            let named = named.filter_map(|two| two[1].rsplit('=').next());
            // What is elsewhere, in a container for one, is in no repository.
            let values = |name: &&str| {
                !name.starts_with('/') && [".json", ".store"].iter().any(|end| name.ends_with(end))
            };
            found.extend(named.chain(written).filter(values).map(str::to_owned));
        }
    }
    found
}

/// Whether git leaves a file of this name alone.
fn ignored(name: &str) -> bool {
    let mut git = Command::new("git");
    let git = git.current_dir(root()).args(["check-ignore", "--quiet", "--no-index", name]);
    git.status().unwrap().success()
}

#[test]
fn b10_what_the_pages_have_people_write_is_never_committed_by_accident() {
    let secrets = files_with_values();
    assert!(secrets.contains("secret.json") && secrets.contains("admin.json"), "{secrets:?}");
    let beside = |name: &String| ["journal", "rotated", "lock"].map(|end| format!("{name}.{end}"));
    assert!(secrets.contains("fourstep.store"), "{secrets:?}");
    let functions = ["bootstrap", "rotate-postgres.zip", "fourstep.store.new"].map(str::to_owned);
    let all = secrets.iter().flat_map(beside).chain(secrets.iter().cloned()).chain(functions);
    for name in all {
        assert!(ignored(&name), "{name} could be committed");
    }
    assert!(!ignored("README.md"), "git says this of every file");
}

/// Whoever installs the version that a page names can build.
#[test]
fn every_version_of_rust_that_a_page_names_is_the_one_that_cargo_wants() {
    let manifest = page("Cargo.toml").text;
    let wanted = manifest.split("rust-version = \"").nth(1).unwrap().split('"').next().unwrap();
    let form = Regex::new(r"\bRust ([0-9]+\.[0-9]+)").unwrap();
    let mut named = 0;
    for Page { path, text } in super::blocks::every_page() {
        for found in form.captures_iter(&text) {
            named += 1;
            assert_eq!(&found[1], wanted, "{path}");
        }
    }
    assert!(named > 0, "no page names one");
    let project = page("cli/project/Cargo.toml.in").text;
    assert!(project.contains(&format!("rust-version = \"{wanted}\"")), "{wanted}");
}
