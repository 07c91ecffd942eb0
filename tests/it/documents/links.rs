//! Every relative link of every page leads to a file, and to a heading where it names one.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

use super::{Page, pages, parts, root, without_code};

/// The places of others to which a page may lead. Somebody saw each of them; nothing of this project is
/// published yet, so none is its own.
const ELSEWHERE: [&str; 8] = [
    "https://docs.aws.amazon.com/",
    "https://github.com/aws-samples/aws-secrets-manager-rotation-lambdas",
    "https://github.com/getmoto/moto",
    "https://github.com/hashicorp/terraform-provider-aws/",
    "https://keepachangelog.com/en/",
    "https://pypi.org/project/",
    "https://semver.org/spec/",
    // Nobody's, by RFC 2606.
    "https://vendor.example",
];

/// The anchors of a page's headings, as GitHub makes them.
fn anchors(text: &str) -> Vec<String> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let (prose, _) = parts(text);
    let headings = prose.iter().filter_map(|(_, line)| {
        let title = line.trim_start_matches('#');
        (line.len() - title.len()).checked_sub(1)?;
        title.strip_prefix(' ')
    });
    let mut anchors = Vec::new();
    for title in headings {
        let kept = title.trim().to_lowercase();
        let kept = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        let anchor: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect();
        let times = seen.entry(anchor.clone()).and_modify(|times| *times += 1).or_default();
        anchors.push(if *times == 0 { anchor } else { format!("{anchor}-{times}") });
    }
    anchors
}

/// The targets of a page's links, with their lines.
fn links(text: &str) -> Vec<(usize, String)> {
    let (prose, _) = parts(text);
    let mut found = Vec::new();
    for (number, line) in prose {
        let line = without_code(line);
        let targets = line.split("](").skip(1);
        found.extend(targets.map(|rest| (number, rest.split(')').next().unwrap().to_owned())));
        // What stands there bare, or between < and >, is a link too.
        let bare = line.match_indices("http").filter(|(at, _)| !line[..*at].ends_with("]("));
        let bare = bare.map(|(at, _)| line[at..].split([' ', '>', ')', ',']).next().unwrap());
        let bare = bare.filter(|link| link.contains("://"));
        found.extend(bare.map(|link| (number, link.trim_end_matches('.').to_owned())));
    }
    found
}

/// `docs/../README.md` as `README.md`; nothing if it leads out of the repository.
fn plain(path: &Path) -> Option<PathBuf> {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => plain.push(name),
            Component::ParentDir => plain.pop().then_some(())?,
            Component::CurDir => {}
            _ => return None,
        }
    }
    Some(plain)
}

/// What is wrong with a link of a page.
fn complaint(page: &Page, target: &str) -> Option<String> {
    if target.starts_with("https://") {
        let known = ELSEWHERE.iter().any(|beginning| target.starts_with(beginning));
        return (!known).then(|| "leads to a place that ELSEWHERE does not list".to_owned());
    }
    if target.contains("://") {
        return Some("is not https".to_owned());
    }
    let (path, anchor) = match target.split_once('#') {
        Some((path, anchor)) => (path, Some(anchor)),
        None => (target, None),
    };
    let here = Path::new(&page.path);
    let Some(path) = (match path {
        "" => Some(here.to_path_buf()),
        path => plain(&here.parent().unwrap().join(path)),
    }) else {
        return Some("leads out of the repository".to_owned());
    };
    let file = root().join(&path);
    if !file.exists() {
        return Some(format!("there is no {}", path.display()));
    }
    let anchor = anchor?;
    let found = path.extension().is_some_and(|extension| extension == "md")
        && anchors(&std::fs::read_to_string(file).unwrap()).iter().any(|known| known == anchor);
    (!found).then(|| format!("{} has no heading for #{anchor}", path.display()))
}

#[test]
fn every_link_leads_somewhere() {
    let mut complaints = Vec::new();
    let mut followed = 0;
    for page in pages() {
        for (line, target) in links(&page.text) {
            followed += 1;
            if let Some(complaint) = complaint(&page, &target) {
                complaints.push(format!("{}:{line}: ({target}) {complaint}", page.path));
            }
        }
    }
    assert!(followed > 100, "only {followed} links were found");
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn a_link_that_leads_nowhere_is_noticed() {
    let page = Page { path: "docs/page.md".to_owned(), text: String::new() };
    for good in [
        "../README.md",
        "errors.md#tls",
        "../README.md#the-four-steps",
        "https://docs.aws.amazon.com/x",
    ] {
        assert_eq!(complaint(&page, good), None, "{good}");
    }
    for bad in [
        "README.md",
        "errors.md#tsl",
        "../../x.md",
        "../Cargo.toml#x",
        "http://x.example",
        "https://docs.rs/fourstep",
        "https://x.example",
    ] {
        assert!(complaint(&page, bad).is_some(), "{bad}");
    }
    let text = "# One `two`: (3)\n\n## Same\n## Same\n```sh\n# no heading\n```\n";
    assert_eq!(anchors(text), ["one-two-3", "same", "same-1"]);
    assert_eq!(links("see [a `b`](c.md) and `[no](x)`\n"), [(1, "c.md".to_owned())]);
}
