//! `fourstep new`: what it makes compiles, proves and rotates as it is, outside of this workspace.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::documents::typed;
use crate::support::program::{binary, fourstep, shell};
use crate::support::skip;

/// Makes a project, with the binaries' folder of this build beside them for its dependencies, so that
/// only the first run compiles these.
async fn made(folder: &Path, name: &str) -> PathBuf {
    let output = Command::new(binary("fourstep"))
        .args(["new", name, "--framework", checkout()])
        .current_dir(folder)
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    with_target(folder.join(name))
}

fn checkout() -> &'static str {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_str().unwrap()
}

/// Where projects are built.
fn target() -> PathBuf {
    let target = binary("fourstep").parent().and_then(Path::parent).unwrap().join("new");
    std::fs::create_dir_all(&target).unwrap();
    target
}

fn with_target(project: PathBuf) -> PathBuf {
    std::os::unix::fs::symlink(target(), project.join("target")).unwrap();
    project
}

/// Runs a script in the project, as somebody would who has `fourstep` on the search path.
async fn run(project: &Path, script: &str) -> String {
    let path = std::env::var("PATH").unwrap();
    let path = format!("{}:{path}", binary("fourstep").parent().unwrap().display());
    let target = target();
    let variables = [
        ("PATH", path.as_str()),
        ("CARGO_TARGET_DIR", target.to_str().unwrap()),
        ("CARGO_NET_OFFLINE", "true"),
        ("CARGO_INCREMENTAL", "0"),
        ("CARGO_PROFILE_DEV_DEBUG", "none"),
    ];
    shell(script, project, &variables).await
}

#[tokio::test]
async fn a_new_rotator_compiles_proves_and_rotates_by_its_own_page() {
    let folder = tempfile::tempdir().unwrap();
    let [begin] = &typed(file!(), "docs/write-a-rotator.md")[..] else { panic!("other blocks") };
    let said = run(folder.path(), &begin.replace("path/to/fourstep", checkout())).await;
    assert!(said.contains("it_locks_nobody_out ... ok"), "{said}");
    let project = with_target(folder.path().join("rotate-queue"));
    let [prove, serve, rotate] = &typed(file!(), "cli/project/README.md.in")[..] else {
        panic!("other blocks")
    };
    let own = std::fs::read_to_string(project.join("README.md")).unwrap();
    let rotate = rotate.replace("rotate-example", "rotate-queue");
    assert!(own.contains(prove.as_str()) && own.contains(&rotate), "{own}");

    // What goes to production needs no kit.
    let needed = run(&project, "cargo tree --edges normal").await;
    assert!(needed.contains("fourstep v"), "{needed}");
    assert!(!needed.contains("fourstep-testing") && !needed.contains("test-util"), "{needed}");

    let said = run(&project, prove).await;
    assert!(said.contains("it_locks_nobody_out ... ok"), "{said}");

    // Cargo would build what the tests built, and on any free port.
    assert_eq!(serve, "cargo run --example server 7000\n");
    run(&project, "cargo build --example server").await;
    let mut server = Command::new(project.join("target/debug/examples/server"))
        .arg("0")
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).await.unwrap();
    let port = line.trim().rsplit(':').next().unwrap();
    let secret = project.join("secret.json");
    let before = std::fs::read_to_string(&secret).unwrap();
    std::fs::write(&secret, before.replace("7000", port)).unwrap();

    let said = run(&project, &rotate).await;
    assert!(said.contains("A rotation would succeed."), "{said}");
    assert!(said.contains("2 rotations played"), "{said}");
    assert!(said.contains(" points played, 0 violations"), "{said}");
    assert!(!std::fs::read_to_string(&secret).unwrap().contains("first-password"));
}

/// As the linter of CloudFormation and SAM sees it.
#[tokio::test]
async fn the_template_of_a_new_rotator_is_sound() {
    let Ok(lint) = std::env::var("FOURSTEP_TEST_CFN_LINT") else {
        return skip("FOURSTEP_TEST_CFN_LINT");
    };
    let folder = tempfile::tempdir().unwrap();
    let template = made(folder.path(), "rotate-queue").await.join("template.yaml");
    let text = std::fs::read_to_string(&template).unwrap();
    assert!(text.contains("RotateQueue:") && !text.contains("xample"), "{text}");
    let output = Command::new(lint).arg(&template).output().await.unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[tokio::test]
async fn a_project_is_made_once_and_of_a_checkout() {
    let folder = tempfile::tempdir().unwrap();
    let project = made(folder.path(), "rotate-queue").await;
    let framework = checkout();
    let name = project.to_str().unwrap();
    for (arguments, what) in [
        (["new", "Queue", "--framework", framework], "write small letters"),
        (
            ["new", "rotate-queue2", "--framework", "/nowhere"],
            "--framework: /nowhere is no checkout",
        ),
        (["new", name, "--framework", framework], "write small letters"),
    ] {
        let output = fourstep(&arguments).await;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(what), "{said}");
    }
    assert!(!Path::new("rotate-queue2").exists());
    let again = Command::new(binary("fourstep"))
        .args(["new", "rotate-queue", "--framework", framework])
        .current_dir(folder.path())
        .output()
        .await
        .unwrap();
    assert!(String::from_utf8_lossy(&again.stderr).contains("exists"), "{again:?}");
}

/// The client that the page for authors leaves to its readers, by its table of what came.
const HTTP_LEDGER: &str = include_str!("../functions/http_ledger.rs.in");

/// The page for authors: its code, put into a project as it says.
#[tokio::test]
async fn the_rotator_of_the_authors_page_compiles_without_the_kit_and_is_proven_with_it() {
    let page = include_str!("../../docs/write-a-rotator.md");
    let code = |start: &str, language: &str| {
        let (_, block) = page.split_once(start).unwrap().1.split_once(language).unwrap();
        block.split("\n```").next().unwrap().to_owned()
    };
    let folder = tempfile::tempdir().unwrap();
    let project = made(folder.path(), "rotate-ledger").await;
    for file in ["src/main.rs", "examples/server.rs", "tests/conformance.rs"] {
        std::fs::remove_file(project.join(file)).unwrap();
    }
    let library = code("`src/lib.rs`, which goes to production", "```rust\n");
    assert!(!library.contains("fourstep_testing"));
    std::fs::write(project.join("src/lib.rs"), library).unwrap();
    let main = code("`src/main.rs` hands the rotator", "```rust,ignore\n");
    std::fs::write(project.join("src/main.rs"), main + "\n" + HTTP_LEDGER).unwrap();
    let proof = code("`tests/proof.rs`, with the kit", "```rust,ignore\n");
    std::fs::write(project.join("tests/proof.rs"), proof).unwrap();
    run(&project, "cargo build").await;
    let said = run(&project, "cargo test --test proof").await;
    for proven in ["it_locks_nobody_out ... ok", "it_prints_no_token ... ok"] {
        assert!(said.contains(proven), "{said}");
    }
}
