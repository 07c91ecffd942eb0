//! The pages' blocks that people paste: each says by whom it is run, or why it is not, and whoever is
//! named runs it.

use std::collections::BTreeMap;

use regex_lite::Regex;

use super::{Block, Page, files, page, pages, parts};

/// What people paste; each such block has a mark in the line above it.
const PASTED: [&str; 4] = ["sh", "sql", "redis", "python"];

/// What they read, or put into a file. Other tests read most of them.
const READ: [&str; 9] = ["", "text", "json", "yaml", "toml", "rust", "rust,ignore", "ts", "hcl"];

/// How commands begin, wherever they stand.
const COMMANDS: [&str; 29] = [
    "$",
    "#!/",
    "aws",
    "sam",
    "cargo",
    "rustup",
    "fourstep",
    "target/debug/fourstep",
    "npm",
    "npx",
    "pip",
    "python3",
    "docker",
    "git",
    "cd",
    "cp",
    "curl",
    "unzip",
    "zip",
    "terraform",
    "psql",
    "mysql",
    "redis-cli",
    "openssl",
    "export",
    "sudo",
    "umask",
    "cat",
    "./",
];

/// What a block holds that waits for one of these.
const AWS: &[&str] =
    &["aws ", "sam deploy", "fourstep ", "terraform apply", "cdk deploy", "update-rds-roots"];
const RELEASE: &[&str] = &["-arm64.zip", "-x86_64.zip"];
const MINUTES: &[&str] = &["scripts/", "sam build"];

/// All the reasons for which a block is not run, and what it then has: something of each list.
const REASONS: [(&str, &[&[&str]]); 7] = [
    ("it needs AWS", &[AWS]),
    ("it needs a release and AWS", &[RELEASE, AWS]),
    ("it takes minutes", &[MINUTES]),
    ("it takes minutes and needs AWS", &[MINUTES, AWS]),
    ("it installs tools", &[&["pip install"]]),
    ("it needs a registry of images", &[&["docker build"]]),
    ("it needs SQL Server", &[&["GRANT "]]),
];

/// Who runs a block, by the line above it.
enum Mark<'a> {
    /// A file of tests, which takes it by [`typed`].
    Test(&'a str),
    /// A script that has each line of it.
    Script(&'a str),
    /// A script that reads it from the page, by this name.
    Named(&'a str, &'a str),
    /// Nobody.
    Nobody(&'a str),
}

fn mark(block: &Block) -> Option<Mark<'_>> {
    let text = block.above.trim().strip_prefix("<!-- ")?.strip_suffix(" -->")?;
    if let Some(why) = text.strip_prefix("Not run: ") {
        return Some(Mark::Nobody(why.strip_suffix('.')?));
    }
    if let Some(by) = text.strip_prefix("Run by ") {
        let by = by.strip_suffix('.')?;
        return Some(if by.ends_with(".rs") { Mark::Test(by) } else { Mark::Script(by) });
    }
    let (script, name) = text.split_once(": ")?;
    script.starts_with("scripts/").then_some(Mark::Named(script, name))
}

/// A page's blocks that this file's tests run, in order. `blocks.rs` compares: it wants to see
/// `let [one, two] = &typed(file!(), "docs/page.md")[..]`, and as many names as there are blocks.
pub fn typed(file: &str, path: &str) -> Vec<String> {
    let blocks = parts(&page(path).text).1;
    let its = blocks
        .into_iter()
        .filter(|block| matches!(mark(block), Some(Mark::Test(by)) if by == file));
    its.map(|block| block.text).collect()
}

/// The blocks that nobody runs because they need AWS, with their pages.
pub(super) fn at_aws() -> Vec<(String, String)> {
    let blocks = every_page().into_iter().flat_map(|Page { path, text }| {
        parts(&text).1.into_iter().map(move |block| (path.clone(), block))
    });
    let waits =
        |block: &Block| matches!(mark(block), Some(Mark::Nobody(why)) if why.contains("AWS"));
    blocks.filter(|(_, block)| waits(block)).map(|(path, block)| (path, block.text)).collect()
}

/// The pages, and those that `fourstep new` writes.
pub(super) fn every_page() -> Vec<Page> {
    let more = files().into_iter().filter(|file| file.ends_with(".md.in"));
    pages().into_iter().chain(more.map(|path| page(&path))).collect()
}

/// Whether a line is one that somebody types.
fn is_command(line: &str) -> bool {
    let first = line.split_whitespace().next().unwrap_or_default();
    let starts = |command: &&str| match command.ends_with('/') {
        true => first.starts_with(*command),
        false => first == *command,
    };
    COMMANDS.iter().any(starts) || first.starts_with("scripts/")
}

/// What is wrong with a block's mark, as far as the block alone shows it.
fn fault(block: &Block, files: &[String]) -> Option<String> {
    let language = block.language.as_str();
    if READ.contains(&language) {
        let typed = matches!(language, "" | "text")
            .then(|| block.text.lines().find(|line| is_command(line)));
        return typed.flatten().map(|line| format!("commands stand in a block for sh: {line}"));
    }
    if !PASTED.contains(&language) {
        return Some(format!("no block may be of {language:?}; commands are of sh"));
    }
    let there = |file: &str| files.iter().any(|known| known == file);
    match mark(block) {
        None => Some("the line above does not say who runs it, or why nobody does".to_owned()),
        Some(Mark::Test(by)) => (!there(by)).then(|| format!("there is no {by}")),
        Some(Mark::Named(script, name)) => {
            let reads = there(script) && asks_for(&page(script).text, name);
            (!reads).then(|| format!("{script} does not read {name:?}"))
        }
        Some(Mark::Script(by)) if !there(by) => Some(format!("there is no {by}")),
        Some(Mark::Script(by)) => {
            let line = block.text.lines().find(|line| !has(&page(by).text, line))?;
            Some(format!("{by} does not run: {line}"))
        }
        Some(Mark::Nobody(why)) => {
            let (reason, more) = why.split_once([';', '.']).unwrap_or((why, ""));
            let Some((_, held)) = REASONS.iter().find(|(known, _)| *known == reason) else {
                return Some(format!("this is no reason: {reason}"));
            };
            let holds = |list: &&[&str]| list.iter().any(|word| block.text.contains(word));
            if !held.iter().all(holds) {
                return Some(format!("nothing in it is so that {reason}"));
            }
            let named = more.split([' ', ',']).filter(|word| word.contains('/'));
            named.filter(|word| !there(word)).map(|word| format!("there is no {word}")).next()
        }
    }
}

/// Whether a script asks for the commands of this name.
fn asks_for(script: &str, name: &str) -> bool {
    let form = format!(r#"\bdocumented [^ ]+ "{}""#, regex_lite::escape(name));
    Regex::new(&form).unwrap().is_match(script)
}

/// Whether a script has this line, without its comment, or calls the script that the line calls.
fn has(script: &str, line: &str) -> bool {
    let line = line.split("  #").next().unwrap().trim();
    let called = line.strip_prefix("scripts/");
    let calls = |name| script.split([' ', ';']).any(|word| word == name);
    called.is_some_and(calls) || script.contains(line)
}

/// A reader knows of each command whether anybody has ever run it.
#[test]
fn every_block_that_people_paste_says_who_runs_it_or_why_nobody_does() {
    let (files, mut marked, mut faults) = (files(), 0, Vec::new());
    for Page { path, text } in every_page() {
        for block in parts(&text).1 {
            marked += usize::from(mark(&block).is_some());
            if let Some(fault) = fault(&block, &files) {
                faults.push(format!("{path}: {fault}\n{}", block.text));
            }
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
    assert!(marked > 60, "only {marked} blocks were found");
}

/// How many blocks of a page each file of tests runs, by what is written above them; and by what is
/// written in the file.
type Runs = BTreeMap<(String, String), usize>;

fn marked() -> Runs {
    let mut runs = Runs::new();
    for Page { path, text } in every_page() {
        for block in parts(&text).1 {
            if let Some(Mark::Test(by)) = mark(&block) {
                *runs.entry((by.to_owned(), path.clone())).or_default() += 1;
            }
        }
    }
    runs
}

/// The pages that a source's tests take blocks of, with how many each time. The compiler sees to it that
/// each name is used.
fn taken(source: &str) -> Vec<(String, usize)> {
    let form = r#"let \[([a-z_,\s]*)\]\s*=\s*&(?:mine|typed)\(\s*(?:file!\(\),\s*)?"([^"]+)",?\s*\)\[\.\.\]"#;
    let form = Regex::new(form).unwrap();
    let found = form.captures_iter(source).map(|found| {
        let names = found[1].split(',').map(str::trim).filter(|name| !name.is_empty());
        (found[2].to_owned(), names.filter(|name| !name.starts_with('_')).count())
    });
    found.collect()
}

#[test]
fn every_file_that_is_said_to_run_a_block_takes_it_and_no_other() {
    let mut runs = Runs::new();
    let sources = files().into_iter().filter(|file| file.starts_with("tests/it/"));
    for file in sources.filter(|file| file != "tests/it/documents/blocks.rs") {
        for (path, count) in taken(&page(&file).text) {
            let before = *runs.entry((file.clone(), path.clone())).or_insert(count);
            assert_eq!(before, count, "{file}: {path}");
        }
    }
    let marked = marked();
    assert!(marked.values().sum::<usize>() > 20, "{marked:?}");
    assert_eq!(runs, marked, "on the left what tests take, on the right what pages say");
}

#[test]
fn a_block_that_nobody_runs_is_noticed() {
    let files = files();
    let faults = |text: &str| -> Vec<String> {
        parts(text).1.iter().filter_map(|block| fault(block, &files)).collect()
    };
    for language in [
        "sh",
        "bash",
        "shell",
        "console",
        "zsh",
        "",
        "text",
        "sql",
        "redis",
        "python",
        "sh-session",
    ] {
        let block = format!("A page.\n\n```{language}\naws s3 ls\n```\n");
        assert_eq!(faults(&block).len(), 1, "{language}");
    }
    for line in ["$ ls", "scripts/demo", "cargo build", "target/debug/fourstep plan", "./run"] {
        assert_eq!(faults(&format!("```\n{line}\n```\n")).len(), 1, "{line}");
    }
    for (mark, text, right) in [
        ("Run by .ci/run.", "scripts/demo", true),
        ("Run by .ci/run.", "scripts/bench", false),
        ("Run by .ci/run", "scripts/demo", false),
        ("Run by .ci/nothing.", "scripts/demo", false),
        ("Run by tests/it/nowhere.rs.", "scripts/demo", false),
        ("scripts/test-sam: replay a step", "aws s3 ls", true),
        ("scripts/test-sam: nothing", "aws s3 ls", false),
        ("Not run: it needs AWS.", "aws s3 ls", true),
        ("Not run: it needs AWS; tests/it/new.rs asks the same.", "aws s3 ls", true),
        ("Not run: it needs AWS; tests/it/nowhere.rs asks the same.", "aws s3 ls", false),
        ("Not run: it needs AWS.", "ls", false),
        ("Not run: it is too hard.", "aws s3 ls", false),
        ("Not run: it needs a release and AWS.", "aws s3 ls", false),
    ] {
        let found = faults(&format!("<!-- {mark} -->\n```sh\n{text}\n```\n"));
        assert_eq!(found.is_empty(), right, "{mark} {text}: {found:?}");
    }
    assert!(faults("```text\nfields @timestamp\n```\n").is_empty());
    let source = "let [one, two_b] =\n &typed(file!(), \"docs/a.md\")[..] else\n let [_x] = &mine(\"b.md\")[..]";
    assert_eq!(taken(source), [("docs/a.md".to_owned(), 2), ("b.md".to_owned(), 0)]);
}
