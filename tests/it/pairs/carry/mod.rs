//! Pairs that were made in another way, carried over by the function, which is killed at every point
//! while sessions of both users work. Before each rotation the pair is made what it was again.
//!
//! What finds a violation is shown to be able to in `tests/it/kills.rs`, with planted defects.

mod mysql;
mod postgres;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::support::program::{SecretFile, binary, every_point, fourstep, secret_file};

/// The parts of a rotation's points that are played in each run, in hundredths: both in setSecret.
const PARTS: [usize; 2] = [45, 62];

/// The ARN that the marks of this pair's users name.
fn arn(user: &str) -> String {
    format!("arn:aws:secretsmanager:us-east-1:111122223333:secret:{user}-AbCdEf")
}

/// A secret in a file, and the words that replay it.
struct Replay {
    file: SecretFile,
    admin: SecretFile,
    function: &'static str,
    arn: String,
    variables: Vec<String>,
}

impl Replay {
    fn new(
        (function, arn): (&'static str, String),
        document: &Value,
        admin: &Value,
        variables: &[String],
    ) -> Self {
        let [file, admin] = [document, admin].map(|document| secret_file(&document.to_string()));
        Self { file, admin, function, arn, variables: variables.to_vec() }
    }

    /// What the command prints, line by line; `ok` says whether nothing was violated.
    async fn run(&self, more: &[&str]) -> Vec<Value> {
        let function = binary(self.function);
        let [function, secret, admin] =
            [&function, &self.file.path, &self.admin.path].map(|path| path.to_str().unwrap());
        let mut arguments = vec!["replay", "--json", "--rotator", function, "--arn", &self.arn];
        // The machine may be busy with others.
        arguments.extend(["--timeout", "120"]);
        arguments.extend(["--secret", secret, "--admin", admin]);
        let variables = self.variables.iter().flat_map(|variable| ["--env", variable.as_str()]);
        arguments.extend(variables);
        arguments.extend(more);
        let output = fourstep(&arguments).await;
        let [text, errors] =
            [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        let lines: Vec<Value> = lines.collect();
        let ended = lines.last().is_some_and(|line| line["event"] == "end");
        assert!(ended, "{more:?}: {text}{errors}");
        lines
    }

    /// Kills the function at its points, all or a few. How many were played.
    ///
    /// The turns alternate, and so the kills before a call are all in the other turn than those after
    /// one: whoever wants every point of both turns plays the pair with either user current. The turns
    /// differ in length, so a point of the longer one may not be reached in the shorter.
    async fn sweep(&self, name: &str, reset: &str) -> usize {
        let mut points = self.points(name, &["--crash", "1", "--reset", reset]).await;
        let all = points.1;
        if every_point() {
            points = self.points(name, &["--crash", "all", "--reset", reset]).await;
            return points.0;
        }
        for part in PARTS {
            let point = (all * part / 100).to_string();
            points.0 += self.points(name, &["--crash", &point, "--reset", reset]).await.0;
        }
        points.0
    }

    /// Plays these points: how many were played, of how many.
    async fn points(&self, name: &str, arguments: &[&str]) -> (usize, usize) {
        let lines = self.run(arguments).await;
        let points: Vec<_> = lines.iter().filter(|line| line["event"] == "point").collect();
        for point in &points {
            let violations = point["violations"].as_array().unwrap();
            let tolerated = violations.iter().all(|violation| violation["name"] == "not-reached");
            assert!(tolerated && point["converged"] == json!(true), "{name}: {point}");
        }
        let counted = lines.iter().find(|line| line["event"] == "counted");
        let counted = counted.unwrap_or_else(|| panic!("{name}: {lines:?}"));
        (points.len(), usize::try_from(counted["points"].as_u64().unwrap()).unwrap())
    }

    /// Kills the function while these sessions work, then lets the pair be carried over while they
    /// go on, and once more without them.
    async fn carry_over(&self, name: &str, sessions: Vec<Working>, reset: &str) {
        let points = self.sweep(name, reset).await;
        self.rotations(2).await;
        let mut worked = Vec::new();
        for session in sessions {
            worked.push(session.end(name).await);
        }
        self.rotations(2).await;
        eprintln!("{name}: {points} points, sessions worked {worked:?} times");
        assert!(worked.iter().all(|times| *times > 10));
    }

    /// Whole rotations that nothing disturbs.
    async fn rotations(&self, number: u32) {
        let lines = self.run(&["--rotations", &number.to_string()]).await;
        let end = lines.last().unwrap();
        assert_eq!(end["ok"], json!(true), "{lines:?}");
    }

    fn current(&self) -> Value {
        serde_json::from_str(&std::fs::read_to_string(&self.file.path).unwrap()).unwrap()
    }

    /// A file beside the secret's.
    fn write(&self, name: &str, text: &str) -> std::path::PathBuf {
        let path = self.file.path.with_file_name(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

/// Runs a kind of pair with either user current; at every server by hand, here at one after the other.
async fn with_either_current<S: Clone, Running: Future<Output = ()>>(
    servers: &[S],
    number: usize,
    run: impl Fn(S, usize) -> Running,
) {
    let all = every_point();
    let mut runs = Vec::new();
    for current in [0, 1] {
        for at in 0..if all { servers.len() } else { servers.len().min(1) } {
            runs.push(run(servers[(number + current + at) % servers.len()].clone(), current));
        }
    }
    join_all(runs).await;
}

/// A command that runs this script's text.
fn script(path: &Path) -> String {
    format!("sh '{}'", path.display())
}

/// Work that goes on in one session until it is ended.
struct Working {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU32>,
    task: JoinHandle<Result<(), String>>,
}

/// What is done in a session again and again.
trait Repeated: Send + 'static {
    fn once(&mut self) -> impl Future<Output = Result<(), String>> + Send;
}

impl Working {
    fn start(mut session: impl Repeated) -> Self {
        let (stop, done) = (Arc::<AtomicBool>::default(), Arc::<AtomicU32>::default());
        let task = tokio::spawn({
            let (stop, done) = (Arc::clone(&stop), Arc::clone(&done));
            async move {
                while !stop.load(Ordering::SeqCst) {
                    session.once().await?;
                    done.fetch_add(1, Ordering::SeqCst);
                    tokio::time::sleep(Duration::from_millis(25)).await;
                }
                Ok(())
            }
        });
        Self { stop, done, task }
    }

    /// Ends the session, which must not have failed; how often it worked.
    async fn end(self, name: &str) -> u32 {
        self.stop.store(true, Ordering::SeqCst);
        let ended = self.task.await.unwrap();
        ended.unwrap_or_else(|failure| panic!("{name}: an open session broke: {failure}"));
        self.done.load(Ordering::SeqCst)
    }
}
