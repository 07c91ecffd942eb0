//! docs/rotate-a-vendor-key.md, followed word by word.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Stdio;

use fourstep_testing::Double;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use super::doubles;
use super::hostile::plain;
use super::support::{ADMIN, redirected, specification};
use crate::documents::typed;
use crate::support::program::{binary, shell};
use crate::support::redis::free_port;

const GALLERY: &str = include_str!("../../../docs/vendors.md");
const GUIDE: &str = include_str!("../../../docs/rotate-a-vendor-key.md");

/// The page's specification.
fn specification_shown() -> &'static str {
    let [spec] = GUIDE.split("```toml\n").skip(1).collect::<Vec<_>>()[..] else {
        panic!("the page has one specification")
    };
    spec.split("```").next().unwrap()
}

/// What a reader types, in order.
struct Typed {
    begin: String,
    check: String,
    double: String,
    rehearse: String,
    by_an_admin: String,
}

fn page() -> Typed {
    let [begin, check, double, rehearse, by_an_admin] =
        &typed(file!(), "docs/rotate-a-vendor-key.md")[..]
    else {
        panic!("other blocks")
    };
    let [begin, check, double, rehearse, by_an_admin] =
        [begin, check, double, rehearse, by_an_admin].map(String::clone);
    Typed { begin, check, double, rehearse, by_an_admin }
}

/// The page's commands run here, with the variables that it sets. What they say.
async fn run(commands: &str, folder: &Path) -> String {
    let path = format!(
        "{}:{}",
        binary("fourstep").parent().unwrap().display(),
        std::env::var("PATH").unwrap()
    );
    let rotator = binary("rotate-api").display().to_string();
    shell(commands, folder, &[("PATH", &path), ("ROTATE_API", &rotator)]).await
}

/// The page's commands, in a folder with the specification and the secret that they name. What the
/// file of the secret holds in the end.
async fn followed(url: &str, secret: &serde_json::Value) -> serde_json::Value {
    let folder = tempfile::tempdir().unwrap();
    let spec = specification_shown();
    assert!(spec.contains("https://vendor.example\""));
    let spec = spec.replace("https://vendor.example\"", &format!("{url}\""));
    std::fs::write(folder.path().join("vendor.toml"), spec).unwrap();
    let file = folder.path().join("secret.json");
    std::fs::write(&file, secret.to_string()).unwrap();
    let Typed { check, rehearse, .. } = page();
    run(&check, folder.path()).await;
    run(&rehearse, folder.path()).await;
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
    let double = page().double;
    // None of those that the kernel hands out to others before the double has it.
    let port = free_port();
    let mut server = Command::new("python3")
        .args(["-c", &double, &port.to_string()])
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
    // Cargo's two commands are scripts/test's; here is what they made.
    let begin = page().begin;
    let [build, variables, vendor] = begin.lines().collect::<Vec<_>>()[..] else {
        panic!("{begin}")
    };
    assert!(include_str!("../../../scripts/test").contains(build), "{build}");
    let vendor = vendor.strip_prefix("cargo run -p fourstep-tests --example ").unwrap();
    let mut vendor = Command::new(binary(&format!("examples/{vendor}")))
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(vendor.stdout.take().unwrap()).lines();
    let folder = tempfile::tempdir().unwrap();
    let spec = specification_shown();
    let base = lines.next_line().await.unwrap().unwrap();
    let base = base.strip_prefix("vendor.toml: ").unwrap();
    let spec = spec.replace("base_url = \"https://vendor.example\"", base);
    let secret = lines.next_line().await.unwrap().unwrap();
    let secret = secret.strip_prefix("secret.json: ").unwrap();
    std::fs::write(folder.path().join("vendor.toml"), spec).unwrap();
    std::fs::write(folder.path().join("secret.json"), secret).unwrap();
    std::fs::create_dir(folder.path().join("target")).unwrap();
    symlink(binary("fourstep").parent().unwrap(), folder.path().join("target/debug")).unwrap();
    let ask = "fourstep preflight --rotator \"$ROTATE_API\" --secret secret.json --env ROTATION_SPEC=vendor.toml";
    let said = shell(&format!("{variables}\n{ask}"), folder.path(), &[]).await;
    assert!(said.contains("A rotation would succeed. Not tried: making a key."), "{said}");
}

/// At a vendor that has an admin.
#[tokio::test]
async fn an_admin_is_handed_over_as_the_guide_says() {
    let double = Double::start(doubles::influxdb).await.unwrap();
    let key = double.arrange(None);
    let folder = tempfile::tempdir().unwrap();
    let secret = json!({"masterarn": "vendor-admin", "authorization_id": key.id, "org_id": "org",
        "token": key.value});
    for (name, text) in [
        ("vendor.toml", redirected(&specification("influxdb.toml"), &double)),
        ("secret.json", secret.to_string()),
        ("admin.json", json!({"token": ADMIN}).to_string()),
    ] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let said = run(&page().by_an_admin, folder.path()).await;
    assert!(said.contains("A rotation would succeed."), "{said}");
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
