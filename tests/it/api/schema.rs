//! What helps whoever writes a specification: the JSON Schema, made here and shipped, and the check.

use std::path::Path;

use super::support::specification;
use crate::support::program::fourstep;

/// With `UPDATE_EXPECT=1` it is written.
#[test]
fn the_shipped_schema_is_the_one_that_is_read() {
    let made = schemars::schema_for!(rotate_api::spec::Document);
    let made = serde_json::to_string_pretty(&made).unwrap() + "\n";
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../rotators/api/specification.schema.json");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let shipped = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(shipped, made, "run this test with UPDATE_EXPECT=1 and commit what it writes");
    assert!(made.contains("\"additionalProperties\": false"));
}

#[tokio::test]
async fn spec_check_shows_the_file_the_line_and_what_stands_there() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wrong.toml");
    let text = specification("twilio.toml").replace("/Keys/{id}.json", "/Keys/{name}.json");
    std::fs::write(&file, &text).unwrap();
    let output = fourstep(&["spec", "check", file.to_str().unwrap()]).await;
    assert_eq!(output.status.code(), Some(1));
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    let at = text.lines().position(|line| line.contains("{name}")).unwrap() + 1;
    assert!(shown.contains(&format!("wrong.toml:{at}: {{name}} is no placeholder")), "{shown}");
    assert!(
        shown.contains("    path = \"/Accounts/{secret.account_sid}/Keys/{name}.json\""),
        "{shown}"
    );
    let nowhere = fourstep(&["spec", "check", "nowhere.toml"]).await;
    assert_eq!(nowhere.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&nowhere.stderr).contains("cannot read nowhere.toml"));
}
