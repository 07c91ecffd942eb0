//! The searches that ARCHITECTURE.md gives for its invariants: a pattern, and the only files in which it
//! may be found.

use regex_lite::Regex;

use super::{files, page, parts};

/// A line of the block: where to search, for what, and where alone it may be found.
struct Search {
    folders: Vec<String>,
    pattern: String,
    places: Vec<String>,
}

fn searches() -> Vec<Search> {
    let text = page("ARCHITECTURE.md").text;
    let (_, invariants) = text.split_once("\n## Invariants\n").unwrap();
    let block = parts(invariants).1.into_iter().find(|block| block.language == "text").unwrap();
    let words = |column: &str| column.split_whitespace().map(str::to_owned).collect();
    block
        .text
        .lines()
        .map(|line| match line.split("  ").collect::<Vec<_>>()[..] {
            [folders, pattern, places] => Search {
                folders: words(folders),
                pattern: pattern.to_owned(),
                places: words(if places == "-" { "" } else { places }),
            },
            _ => panic!("not three columns, two spaces between them: {line}"),
        })
        .collect()
}

/// Whether this file is part of a function or of the command, and no test.
fn counts(file: &str, folders: &[String]) -> bool {
    let below = |folder: &String| file == folder || file.starts_with(&format!("{folder}/"));
    let is_test = [
        "/testing/",
        "/tests/",
        "tests.rs",
        "live_tests",
        "fuzzing",
        "properties.rs",
        "hostile.rs",
    ];
    file.ends_with(".rs")
        && (file.contains("/src/"))
        && folders.iter().any(below)
        && !is_test.iter().any(|part| file.contains(part))
}

/// A file's lines without comments, and without the tests at its end.
fn source(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.lines().take_while(|line| *line != "#[cfg(test)]");
    lines.filter(|line| !line.trim_start().starts_with("//"))
}

#[test]
fn each_search_finds_what_the_page_says_and_nothing_else() {
    let files = files();
    let searches = searches();
    assert!(searches.len() > 10, "the block of searches was not read");
    let mut wrong = Vec::new();
    for Search { folders, pattern, places } in &searches {
        let form = Regex::new(pattern).unwrap();
        let searched: Vec<_> = files.iter().filter(|file| counts(file, folders)).collect();
        assert!(!searched.is_empty(), "{folders:?}");
        let holds = |file: &&&String| source(&page(file).text).any(|line| form.is_match(line));
        let found: Vec<_> = searched.iter().filter(holds).collect();
        let is = |file: &str, place: &str| match place.ends_with('/') {
            true => file.contains(&format!("/{place}")),
            false => file.ends_with(&format!("/{place}")),
        };
        let beyond = found.iter().filter(|file| !places.iter().any(|place| is(file, place)));
        wrong.extend(beyond.map(|file| format!("{pattern}: also in {file}")));
        let absent = places.iter().filter(|place| !found.iter().any(|file| is(file, place)));
        wrong.extend(absent.map(|place| format!("{pattern}: not in {place}")));
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
