//! What whoever will trust Fourstep with passwords must read first.

use super::page;

/// The part below a heading of the second level, and where it begins.
fn part<'a>(text: &'a str, heading: &str) -> (usize, &'a str) {
    let begins = text.find(&format!("\n## {heading}\n")).unwrap_or_else(|| panic!("{heading}"));
    let part = &text[begins + 1..];
    (begins, part.split("\n## ").next().unwrap())
}

#[test]
fn a3_before_anybody_deploys_it_is_said_that_it_has_never_run_on_aws() {
    let text = page("README.md").text;
    let (begins, status) = part(&text, "Status");
    assert!(status.contains("**Fourstep has never run on AWS**"), "{status}");
    for later in ["Demo", "On your own machine", "Deploy"] {
        assert!(begins < part(&text, later).0, "{later} stands before Status");
    }
}
