//! The workflows of GitHub: what runs code of this repository, and with it what that brings of others,
//! may not write or sign.

use std::fs;

use super::root;

/// The jobs of a workflow, by their names, as text.
fn jobs(workflow: &str) -> Vec<(String, String)> {
    let (_, jobs) = workflow.split_once("\njobs:\n").unwrap();
    let mut found: Vec<(String, String)> = Vec::new();
    for line in jobs.lines() {
        let name = line.strip_prefix("  ").and_then(|rest| rest.strip_suffix(':'));
        match name.filter(|name| !name.starts_with([' ', '#'])) {
            Some(name) => found.push((name.to_owned(), String::new())),
            None => {
                let (_, text) = found.last_mut().unwrap();
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    found
}

/// What a job may not do, if it does so.
fn fault(job: &str) -> Option<&'static str> {
    let writes = job.contains(": write");
    let runs = ["scripts/", ".ci/", "rustup", "cargo "].iter().any(|word| job.contains(word));
    let checks_out = job.contains("uses: actions/checkout@");
    if writes && runs {
        return Some("it may write, and runs what is in the repository");
    }
    let keeps = checks_out && !job.contains("persist-credentials: false");
    (runs && keeps).then_some("it leaves its token where what it runs can read it")
}

#[test]
fn a_job_that_may_write_runs_nothing_of_the_repository() {
    let folder = root().join(".github/workflows");
    let mut seen = 0;
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let (head, _) = text.split_once("\njobs:\n").unwrap();
        assert!(head.contains("\npermissions: {contents: read}"), "{}", path.display());
        for (name, job) in jobs(&text) {
            assert_eq!(fault(&job), None, "{}: {name}", path.display());
            seen += 1;
        }
    }
    assert!(seen >= 9, "{seen}");
}

#[test]
fn such_jobs_are_found() {
    let checkout = "    steps:\n      - uses: actions/checkout@11bd # v4\n";
    let apart = "        with: {persist-credentials: false}\n";
    let run = "      - run: scripts/site\n";
    let write = "    permissions: {contents: write}\n";
    assert_eq!(fault(&[checkout, apart, run].concat()), None);
    assert_eq!(fault(&[write, checkout].concat()), None);
    assert!(fault(&[write, checkout, apart, run].concat()).is_some());
    assert!(fault(&[checkout, run].concat()).is_some());
}
