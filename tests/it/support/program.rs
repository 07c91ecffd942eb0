//! The real binaries, as `cargo build` makes them, and the files they are given.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use serde_json::{Value, json};
use tokio::process::Command;

/// A binary of this workspace, from the folder this test was built in.
pub fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().and_then(|deps| deps.parent()).unwrap();
    let path = folder.join(name);
    assert!(path.exists(), "{} is not built; run cargo build --workspace first", path.display());
    path
}

/// What runs a function with both its outputs in one, and the variable that says which function.
pub fn both_outputs(name: &str) -> (PathBuf, (&'static str, String)) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/functions/both-outputs.sh");
    (script.into(), ("BOTH_OUTPUTS_OF", binary(name).display().to_string()))
}

/// Runs `fourstep` with these arguments.
pub async fn fourstep(arguments: &[&str]) -> Output {
    Command::new(binary("fourstep")).args(arguments).output().await.unwrap()
}

/// Runs a script in this folder, as somebody would who types it: the first command that fails ends it,
/// and the test. What it said, on both its outputs.
pub async fn shell(script: &str, folder: &Path, variables: &[(&str, &str)]) -> String {
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

/// A file in a folder of its own that goes with it.
pub struct SecretFile {
    pub path: PathBuf,
    _folder: tempfile::TempDir,
}

/// A secret file with this text.
pub fn secret_file(text: &str) -> SecretFile {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret.json");
    std::fs::write(&path, text).unwrap();
    SecretFile { path, _folder: folder }
}

/// Whether every point of every kind of rotation is killed, by hand, or a few of some of them: all of them
/// take hours.
pub fn every_point() -> bool {
    std::env::var_os("FOURSTEP_TEST_EVERY_POINT").is_some()
}

/// What `--crash` plays: one of five parts, and by hand every point. Five is odd, so that moments before
/// a call and after one are among them.
pub fn crash_points() -> &'static str {
    if every_point() { "all" } else { "1/5" }
}

/// How many points there must be at least, where all of them are so many.
pub fn at_least(points: usize) -> usize {
    if every_point() { points } else { points / 5 }
}

/// The points that `fourstep replay --json --crash` played, and what it printed. At none of them anybody
/// was locked out, and each retry converged.
pub fn survived(output: &Output) -> (Vec<Value>, String) {
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{shown}{}", String::from_utf8_lossy(&output.stderr));
    let lines = shown.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let points: Vec<Value> = lines.filter(|line| line["event"] == "point").collect();
    for point in &points {
        assert_eq!(point["converged"], true, "{point}");
        assert_eq!(point["violations"], json!([]), "{point}");
    }
    (points, shown)
}
