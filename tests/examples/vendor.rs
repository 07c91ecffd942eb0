//! The vendor of docs/rotate-a-vendor-key.md, to try a specification at: keys are shown as Bearer and
//! live in memory. `cargo run -p fourstep-tests --example vendor` says what to write into which file.

use std::io::Write;

use fourstep_testing::{Asked, Double, DoubleKey, DoubleKeys, Told};
use serde_json::{Value, json};

/// What is said of any argument.
#[allow(dead_code, reason = "the tests take this file in as a module")]
const HELP: &str = "The vendor of docs/rotate-a-vendor-key.md. It takes no arguments, listens on a free port of \
this machine until it is stopped (Ctrl-C), and says which base_url and which secret to write.

  GET /me             who asks, by the key that is shown as Bearer; 401 for a wrong one
  POST /keys          makes a key: {\"name\": ...}
  GET /keys           lists them
  DELETE /keys/ID     revokes one

To try a specification of your own, change `plain` in tests/examples/vendor.rs to what your vendor's \
documents say that it answers.";

/// How it answers.
pub fn plain(keys: &mut DoubleKeys, asked: &Asked) -> Told {
    let Some(id) = keys.lets_in(asked.bearer()) else { return Told::json(401, "{}") };
    match (asked.method.as_str(), asked.segments().as_slice()) {
        ("GET", ["me"]) => Told::json(200, json!({"id": id}).to_string()),
        ("POST", ["keys"]) => match keys.issue(asked.json()["name"].as_str()) {
            Some(key) => Told::json(201, json!({"key": key.value, "id": key.id}).to_string()),
            None => Told::json(409, "{}"),
        },
        ("GET", ["keys"]) => {
            let seconds = |key: &DoubleKey| {
                let since = key.created.duration_since(std::time::UNIX_EPOCH);
                since.unwrap_or_default().as_secs_f64()
            };
            let all: Vec<Value> = keys
                .list()
                .iter()
                .map(|key| json!({"id": key.id, "name": key.name, "made": seconds(key)}))
                .collect();
            Told::json(200, json!({"keys": all, "next": null}).to_string())
        }
        ("DELETE", ["keys", id]) => match keys.revoke(id) {
            true => Told::new(204, ""),
            false => Told::json(404, "{}"),
        },
        _ => Told::json(404, "{}"),
    }
}

#[tokio::main(flavor = "current_thread")]
#[allow(dead_code, reason = "the tests take this file in as a module")]
async fn main() -> std::io::Result<()> {
    if std::env::args().nth(1).is_some() {
        return writeln!(std::io::stdout(), "{HELP}");
    }
    let double = Double::start(plain).await?;
    let key = double.arrange(Some("made by hand"));
    let secret = json!({"api_key": key.value, "api_key_id": key.id});
    writeln!(std::io::stdout(), "vendor.toml: base_url = \"{}\"", double.url())?;
    writeln!(std::io::stdout(), "secret.json: {secret}")?;
    std::future::pending().await
}
