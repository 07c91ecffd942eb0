//! The JSON Schema of specifications, for editors: it is made here, and shipped.

use std::path::Path;

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
