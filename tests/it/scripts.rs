//! What the scripts say at their end.

use std::path::Path;
use std::process::{Command, Output};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// A script that begins as all of them do.
fn bash(script: &str) -> Output {
    let script = format!(
        "set -euo pipefail; . scripts/lib/common.sh; . scripts/lib/alone.sh; make_scratch; {script}"
    );
    Command::new("bash").args(["-c", &script]).current_dir(root()).output().unwrap()
}

fn complaints(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A summary of what passed and failed must not look like one of everything.
#[test]
fn a1_after_tests_that_failed_what_was_not_run_is_named() {
    for (with, left) in [
        ("yes yes", "scripts/fuzz scripts/test-sam scripts/test-arm64\n"),
        ("yes no", "scripts/fuzz\n"),
        ("no no", ""),
    ] {
        let said = complaints(&bash(&format!("not_run {with}")));
        assert!(said.ends_with(left), "{said}");
        assert_eq!(said.contains("NOT RUN"), !left.is_empty(), "{said}");
    }
    let script = std::fs::read_to_string(root().join("scripts/test")).unwrap();
    let (_, failed) = script.split_once("cargo test FAILED").unwrap();
    let (failed, _) = failed.split_once("\nelse\n").unwrap();
    assert!(failed.contains("not_run \"$with_fuzz\" \"$with_sam\""), "{failed}");
}

/// The shell tells of a process of its own that was killed, which looks like a crash at the very end.
#[test]
fn a1_a_server_that_is_stopped_leaves_no_line_behind() {
    let alone = "mkdir \"$SCRATCH/one\"; start_alone \"$SCRATCH/one\" sleep 60; \
                 until [[ -s $SCRATCH/one/group ]]; do sleep 0.1; done; \
                 on_exit stop_alone \"$SCRATCH/one\"; on_exit sleep 0.3; \
                 stop_alone \"$SCRATCH/one\"; sleep 0.3; (true)";
    assert_eq!(complaints(&bash(alone)), "");
    let mysql = ". scripts/lib/mysql.sh; MARIADB_DIR=$SCRATCH/two; mkdir \"$MARIADB_DIR\"; \
                 mysql_supervise bash -c 'echo $$ >$0/pid; exec sleep 60' \"$MARIADB_DIR\" \
                 >/dev/null 2>&1 & \
                 until [[ -s $MARIADB_DIR/pid ]]; do sleep 0.1; done; \
                 mariadb_stop; sleep 0.3; (true)";
    assert_eq!(complaints(&bash(mysql)), "");
}
