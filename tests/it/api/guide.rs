//! docs/rotate-a-vendor-key.md, followed word by word.

use std::process::Stdio;

use fourstep_testing::Double;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use super::hostile::plain;
use crate::support::program::binary;
use crate::support::redis::free_port;

const GALLERY: &str = include_str!("../../../docs/vendors.md");
const GUIDE: &str = include_str!("../../../docs/rotate-a-vendor-key.md");

/// What stands in the page's blocks of this kind.
fn blocks(kind: &str) -> Vec<&'static str> {
    let fence = format!("```{kind}\n");
    let fences = GUIDE.split(&fence).skip(1);
    fences.map(|rest| rest.split("```").next().unwrap()).collect()
}

/// The page's commands, in a folder with the specification and the secret that they name. What the
/// file of the secret holds in the end.
async fn followed(url: &str, secret: &serde_json::Value) -> serde_json::Value {
    let folder = tempfile::tempdir().unwrap();
    let [spec] = blocks("toml")[..] else { panic!("the page has one specification") };
    assert!(spec.contains("https://vendor.example\""));
    let spec = spec.replace("https://vendor.example\"", &format!("{url}\""));
    std::fs::write(folder.path().join("vendor.toml"), spec).unwrap();
    let file = folder.path().join("secret.json");
    std::fs::write(&file, secret.to_string()).unwrap();

    let commands: Vec<&str> = blocks("sh").iter().flat_map(|block| block.lines()).collect();
    assert_eq!(commands.len(), 3);
    let fourstep = binary("fourstep");
    let path = std::env::join_paths(
        std::iter::once(fourstep.parent().unwrap().to_path_buf())
            .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    );
    for command in commands {
        let output = Command::new("sh")
            .args(["-euc", command])
            .current_dir(folder.path())
            .env("PATH", path.as_ref().unwrap())
            .env("ROTATE_API", binary("rotate-api"))
            .output()
            .await
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{command}: {text}");
    }
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

#[tokio::test]
async fn the_guide_works_word_by_word() {
    let double = Double::start(plain).await.unwrap();
    let key = double.arrange(Some("made by hand"));
    let secret = json!({"api_key": key.value, "api_key_id": key.id, "note": "kept"});
    let now = followed(&double.url(), &secret).await;
    assert_eq!(now["note"], "kept");
    assert!(double.works(now["api_key"].as_str().unwrap()));
    assert_eq!(double.live().len(), 2);
}

#[tokio::test]
async fn the_guides_double_needs_no_checkout() {
    let [double] = blocks("python")[..] else { panic!("the page has one double") };
    // None of those that the kernel hands out to others before the double has it.
    let port = free_port();
    let mut server = Command::new("python3")
        .args(["-c", double, &port.to_string()])
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
        assert!(server.try_wait().unwrap().is_none(), "the double ended");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let secret = json!({"api_key": "first-key", "api_key_id": "1"});
    let now = followed(&format!("http://127.0.0.1:{port}"), &secret).await;
    assert_ne!(now["api_key"], "first-key");
    server.kill().await.unwrap();
}

/// Whoever has no vendor takes the example's word for it.
#[tokio::test]
async fn the_example_vendor_says_what_the_page_needs() {
    let mut vendor = Command::new(binary("examples/vendor"))
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(vendor.stdout.take().unwrap()).lines();
    let folder = tempfile::tempdir().unwrap();
    let [spec] = blocks("toml")[..] else { panic!("the page has one specification") };
    let base = lines.next_line().await.unwrap().unwrap();
    let base = base.strip_prefix("vendor.toml: ").unwrap();
    let spec = spec.replace("base_url = \"https://vendor.example\"", base);
    let secret = lines.next_line().await.unwrap().unwrap();
    let secret = secret.strip_prefix("secret.json: ").unwrap();
    std::fs::write(folder.path().join("vendor.toml"), spec).unwrap();
    std::fs::write(folder.path().join("secret.json"), secret).unwrap();
    let output = Command::new(binary("fourstep"))
        .args(["preflight", "--secret", "secret.json", "--env", "ROTATION_SPEC=vendor.toml"])
        .args(["--rotator", binary("rotate-api").to_str().unwrap()])
        .current_dir(folder.path())
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("A rotation would succeed. Not tried: making a key."), "{output:?}");
}

#[test]
fn the_gallery_lists_what_is_shipped() {
    let rows: Vec<&str> = GALLERY.lines().filter(|line| line.starts_with("| `")).collect();
    let listed = |name: &str| {
        let name = format!("`{name}`");
        rows.iter().any(|row| row.split('|').nth(1).is_some_and(|cell| cell.contains(&name)))
    };
    for (name, _) in rotate_api::SHIPPED {
        assert!(listed(name), "{name}");
    }
}
