//! README's commands: each block says by whom it is run, or that it needs AWS. Those that this file is
//! named for are run here; and so are docs/operate.md's that move labels.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use fourstep::SecretId;
use fourstep_local::serve;
use fourstep_local::{MemoryStore, NewRotation, NewSecret, NewValue};
use tokio::process::Command;

use super::{Block, files, page, parts};
use crate::support::postgres::server;
use crate::support::program::binary;
use crate::support::skip;
use crate::support::stage::{FUNCTION, new_token};

const HERE: &str = "tests/it/documents/commands.rs";
const NOT_RUN: &str = "<!-- Not run: it needs AWS. -->";

/// A page's blocks of commands.
fn commands(path: &str) -> Vec<Block> {
    let blocks = parts(&page(path).text).1;
    blocks.into_iter().filter(|block| block.language == "sh").collect()
}

/// Who runs a block, by the line above it.
fn runner(block: &Block) -> Option<&str> {
    block.above.strip_prefix("<!-- Run by ")?.strip_suffix(". -->")
}

/// Runs a block as somebody would who types it, in this folder.
async fn run(script: &str, folder: &Path, variables: &[(&str, &str)]) -> String {
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", script])
        .current_dir(folder)
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8(said).unwrap()).concat();
    assert!(output.status.success(), "{script}\n{said}");
    said
}

#[test]
fn every_command_of_the_readme_is_run_or_needs_aws() {
    let (files, blocks) = (files(), commands("README.md"));
    assert!(blocks.len() > 4, "the blocks were not found");
    for block in blocks {
        let Some(by) = runner(&block) else {
            assert_eq!(block.above, NOT_RUN, "above:\n{}", block.text);
            let needs = ["aws ", "sam deploy"].iter().any(|word| block.text.contains(word));
            assert!(needs, "this needs no AWS:\n{}", block.text);
            continue;
        };
        assert!(files.iter().any(|file| file == by), "{by}");
        if by == HERE {
            continue;
        }
        // As it stands, or a script that CI calls by its name.
        let runs = page(by).text;
        for line in block.text.lines() {
            let script = line.strip_prefix("scripts/");
            let calls = script.is_some_and(|name| runs.split([' ', ';']).any(|word| word == name));
            assert!(calls || runs.contains(line), "{by} does not run: {line}");
        }
    }
}

#[tokio::test]
async fn the_readme_s_first_look_at_a_secret_works_and_changes_nothing() {
    let Some(server) = server() else { return };
    let user = server.user("readme").await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("target")).unwrap();
    let built = binary("fourstep");
    symlink(built.parent().unwrap(), folder.path().join("target/debug")).unwrap();
    let secret = folder.path().join("secret.json");
    let before = server.document(&user).to_string();
    std::fs::write(&secret, &before).unwrap();
    let mine: Vec<_> =
        commands("README.md").into_iter().filter(|block| runner(block) == Some(HERE)).collect();
    let [block] = &mine[..] else { panic!("{} blocks", mine.len()) };
    let said = run(&block.text, folder.path(), &[]).await;
    assert!(said.contains("A rotation would succeed. Nothing was changed."), "{said}");
    assert!(said.contains("the current secret logs in and a rotation would succeed"), "{said}");
    assert_eq!(std::fs::read_to_string(secret).unwrap(), before);
    assert!(server.logs_in(&user.name, &user.password).await);
}

/// The way out of a stuck rotation, and the way back: at the local Secrets Manager, by the AWS CLI.
#[tokio::test]
async fn the_commands_that_move_labels_work_as_they_stand() {
    let Ok(aws) = std::env::var("FOURSTEP_TEST_AWS") else { return skip("FOURSTEP_TEST_AWS") };
    let blocks: Vec<_> = commands("docs/operate.md")
        .into_iter()
        .filter(|block| block.text.contains("update-secret-version-stage"))
        .map(|block| block.text)
        .collect();
    let [discard, promote, go_back] = &blocks[..] else { panic!("{} blocks", blocks.len()) };

    let store = Arc::new(MemoryStore::new());
    let new = NewSecret { value: Some("zero".into()), ..NewSecret::default() };
    let zero = store.create("app/db", new).unwrap().version.unwrap();
    let secret = SecretId::parse("app/db").unwrap();
    let first = new_token();
    store.rotate(&secret, &NewRotation::now(&first, FUNCTION)).unwrap();
    let server = serve::start(([127, 0, 0, 1], 0).into(), store.clone(), None).await.unwrap();

    let folder = tempfile::tempdir().unwrap();
    symlink(&aws, folder.path().join("aws")).unwrap();
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
    let url = server.url();
    let variables = [
        ("PATH", path.as_str()),
        ("AWS_ENDPOINT_URL", url.as_str()),
        ("AWS_ACCESS_KEY_ID", "local"),
        ("AWS_SECRET_ACCESS_KEY", "local"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
        ("AWS_PAGER", ""),
    ];
    let labelled = |label: &str| {
        let versions = store.describe(&secret).unwrap().labels;
        versions
            .into_iter()
            .find(|(_, labels)| labels.iter().any(|one| one == label))
            .map(|(id, _)| id)
    };

    // The pending version is gone, and another rotation has begun.
    run(&discard.replace("PENDING_VERSION", first.as_str()), folder.path(), &variables).await;
    let second = labelled("AWSPENDING").unwrap();
    assert_ne!(second, first);
    assert_eq!(labelled("AWSCURRENT"), Some(zero.clone()));

    store.put(&secret, NewValue::labelled(&second, "one", &["AWSPENDING"])).unwrap();
    let promote = promote.replace("PENDING_VERSION", second.as_str());
    let promote = promote.replace("CURRENT_VERSION", zero.as_str());
    run(&promote, folder.path(), &variables).await;
    assert_eq!(labelled("AWSCURRENT"), Some(second.clone()));
    assert_eq!(labelled("AWSPREVIOUS"), Some(zero.clone()));

    let go_back = go_back.replace("PREVIOUS_VERSION", zero.as_str());
    let go_back = go_back.replace("CURRENT_VERSION", second.as_str());
    run(&go_back, folder.path(), &variables).await;
    assert_eq!(labelled("AWSCURRENT"), Some(zero));
    assert_eq!(store.describe(&secret).unwrap().rotation_enabled, Some(false));
}
