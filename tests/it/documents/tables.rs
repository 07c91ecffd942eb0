//! Every table renders: each row has as many cells as its header, and no row stands outside of one.

use super::{Page, pages, parts, without_code};

/// The cells of a row. A `|` in code splits cells too, unless it is escaped (GitHub Flavored Markdown
/// Spec, "Tables").
fn cells(row: &str) -> usize {
    let row = row.trim().replace("\\|", "");
    let row = row.strip_prefix('|').unwrap_or(&row);
    row.strip_suffix('|').unwrap_or(row).split('|').count()
}

/// Whether this is the line below a header.
fn is_rule(line: &str) -> bool {
    let line = line.trim();
    line.starts_with('|')
        && line.contains("---")
        && line.bytes().all(|byte| matches!(byte, b'|' | b'-' | b':' | b' '))
}

/// Each line that does not render as it was meant.
fn complaints(text: &str) -> Vec<String> {
    let (lines, _) = parts(text);
    let mut complaints = Vec::new();
    let mut complain = |number: usize, what: &str| complaints.push(format!("{number}: {what}"));
    // The cells of the table that a line may belong to.
    let mut table: Option<usize> = None;
    for (index, (number, line)) in lines.iter().enumerate() {
        let is_row = line.trim().starts_with('|');
        let next = lines.get(index + 1).map_or("", |(_, next)| next);
        if !is_rule(line) && without_code(line).contains("|---") {
            complain(*number, "`|---|` in the middle of a line");
        }
        table = match table {
            // Another block, such as a comment, ends a table as an empty line does.
            _ if line.trim().is_empty() || line.starts_with("<!--") => None,
            Some(expected) if is_row && cells(line) == expected => Some(expected),
            Some(expected) if is_row => {
                complain(*number, &format!("{} cells, and the header has {expected}", cells(line)));
                Some(expected)
            }
            Some(_) => {
                complain(*number, "text below a table, without an empty line between them");
                None
            }
            None if is_row && is_rule(next) => Some(cells(line)),
            None if is_row => {
                complain(*number, "a row that belongs to no table");
                None
            }
            None => None,
        };
    }
    complaints
}

#[test]
fn every_table_renders() {
    let mut all = Vec::new();
    let mut rules = 0;
    for Page { path, text } in pages() {
        rules += parts(&text).0.iter().filter(|(_, line)| is_rule(line)).count();
        all.extend(complaints(&text).into_iter().map(|complaint| format!("{path}:{complaint}")));
    }
    assert!(rules > 30, "only {rules} tables were found");
    assert!(all.is_empty(), "\n{}", all.join("\n"));
}

#[test]
fn a_table_that_does_not_render_is_noticed() {
    let good = "| a | b |\n|---|:---:|\n| 1 | `x\\|y` |\n| 2 | |\n\ntext `|---|` text\n";
    assert_eq!(complaints(good), [] as [&str; 0]);
    let cases = [
        ("text | a | b | |---|---| | 1 | 2 |\n", "1: `|---|` in the middle"),
        ("| a | b |\n|---|---|\n| 1 |\n", "3: 1 cells"),
        ("| a | b |\n|---|\n| 1 | 2 |\n", "2: 1 cells"),
        ("| a | b |\n|---|---|\n| 1 | `x|y` |\n", "3: 3 cells"),
        ("| a | b |\n|---|---|\n| 1 | 2 |\nthat was wrapped |\n", "4: text below"),
        ("| a | b |\n\n|---|---|\n| 1 | 2 |\n", "1: a row that belongs"),
    ];
    for (bad, complaint) in cases {
        let found = complaints(bad);
        assert!(found.iter().any(|found| found.starts_with(complaint)), "{bad}{found:?}");
    }
}
