//! The pages of this repository: every link and anchor leads somewhere, every table renders, no page
//! is too long, what a page names exists, and README's commands run.

mod aws;
mod blocks;
mod commands;
mod links;
mod mysql_pair;
mod names;
mod searches;
mod serve;
mod status;
mod tables;
mod workflows;

pub use blocks::typed;

use std::fs;
use std::path::{Path, PathBuf};

/// A page in Markdown, by its path from the root.
struct Page {
    path: String,
    text: String,
}

/// Folders that hold what others wrote or what tools made.
const SKIPPED: [&str; 7] =
    ["target", ".git", ".aws-sam", ".fourstep", "tools", "node_modules", "dist"];

/// Bytes; a KB is 1000 of them here.
const LONGEST: usize = 20_000;
const LONGEST_OF: [(&str, usize); 2] = [("README.md", 14_000), ("ARCHITECTURE.md", 15_000)];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Every file below the root, by its path from there.
fn files() -> Vec<String> {
    let mut folders = vec![root().to_path_buf()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            // A crate's own name for a page that stands elsewhere.
            if path.is_symlink() {
                continue;
            }
            match path.is_dir() {
                true if SKIPPED.contains(&name) => {}
                true => folders.push(path),
                false => {
                    found.push(path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned())
                }
            }
        }
    }
    found.sort();
    found
}

fn page(path: &str) -> Page {
    Page { path: path.to_owned(), text: fs::read_to_string(root().join(path)).unwrap() }
}

fn pages() -> Vec<Page> {
    let pages: Vec<_> =
        files().iter().filter(|path| path.ends_with(".md")).map(|path| page(path)).collect();
    assert!(pages.len() > 15, "the pages were not found");
    pages
}

/// A block between fences, with the line before it.
struct Block {
    above: String,
    language: String,
    text: String,
}

/// A page's lines by number, from 1, those in blocks replaced by empty ones; and its blocks.
fn parts(text: &str) -> (Vec<(usize, &str)>, Vec<Block>) {
    let (mut prose, mut blocks) = (Vec::new(), Vec::new());
    let mut open: Option<Block> = None;
    let mut above = "";
    for (number, line) in text.lines().enumerate().map(|(index, line)| (index + 1, line)) {
        let fence = line.trim_start().strip_prefix("```");
        match (&mut open, fence) {
            (None, Some(language)) => {
                let (above, language) = (above.to_owned(), language.trim().to_owned());
                open = Some(Block { above, language, text: String::new() });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(block), None) => block.text += &format!("{line}\n"),
            (None, None) => {
                prose.push((number, line));
                above = line;
                continue;
            }
        }
        prose.push((number, ""));
    }
    assert!(open.is_none(), "a block is not closed");
    (prose, blocks)
}

/// A line without what stands between backticks.
fn without_code(line: &str) -> String {
    let ticks = |text: &str| text.bytes().take_while(|byte| *byte == b'`').count();
    let (mut kept, mut rest) = (String::new(), line);
    while let Some(start) = rest.find('`') {
        let (before, code) = rest.split_at(start);
        let fence = &code[..ticks(code)];
        kept += before;
        rest = match code[fence.len()..].find(fence) {
            Some(end) => &code[2 * fence.len() + end..],
            None => &code[fence.len()..],
        };
    }
    kept + rest
}

/// What stands between single backticks.
fn code(text: &str) -> Vec<String> {
    let prose: Vec<_> = parts(text).0.into_iter().map(|(_, line)| line).collect();
    let prose = prose.join("\n");
    let paragraphs = prose.split("\n\n");
    paragraphs
        .flat_map(|paragraph| paragraph.split('`').skip(1).step_by(2))
        .map(|code| code.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect()
}

#[test]
fn no_page_is_too_long() {
    for Page { path, text } in pages() {
        let limit =
            LONGEST_OF.iter().find(|(of, _)| *of == path).map_or(LONGEST, |(_, limit)| *limit);
        assert!(text.len() <= limit, "{path} has {} bytes, more than {limit}", text.len());
    }
}

#[test]
fn what_stands_in_code_is_told_from_prose() {
    let text =
        "one `two` three\n\n<!-- above -->\n```sh\nfour | `five`\n```\nsix ``se`ven`` [`x`](y)\n";
    let (prose, blocks) = parts(text);
    assert_eq!(prose.iter().filter(|(_, line)| !line.is_empty()).count(), 3);
    let [block] = &blocks[..] else { panic!("{}", blocks.len()) };
    assert_eq!(
        (&*block.above, &*block.language, &*block.text),
        ("<!-- above -->", "sh", "four | `five`\n")
    );
    assert_eq!(without_code("six ``se`ven`` [`x`](y)"), "six  [](y)");
    assert_eq!(code("one `two\nthree` four `five`"), ["two three", "five"]);
}

/// scripts/site makes the site of what docs/site/pages.txt lists.
#[test]
fn the_site_has_every_page_once() {
    let list = fs::read_to_string(root().join("docs/site/pages.txt")).unwrap();
    let mut listed: Vec<_> = list.lines().filter(|line| !line.starts_with('#')).collect();
    listed.sort_unstable();
    let pages = pages();
    // Forms for issues and pull requests are no manuals.
    let paths = pages.iter().map(|page| page.path.as_str());
    let mut there: Vec<_> = paths.filter(|path| !path.starts_with(".github/")).collect();
    there.sort_unstable();
    assert_eq!(listed, there);
}
