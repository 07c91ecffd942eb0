//! The host: a process of any function, run as Lambda runs it, one event after the other.
//!
//! `fourstep replay` has a host too. This one keeps a process for as many events as one likes, takes
//! down the moment of everything, and asks the kernel what the process used.

use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{AppendHeaders, IntoResponse};
use axum::routing::{get, post};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{Signal, kill};
use nix::sys::time::TimeValLike;
use nix::unistd::Pid;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// How long a process may take to its first poll, and for one event.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a process may take to ask for the next event before it is ended all the same.
const LAST_POLL_TIME: Duration = Duration::from_secs(1);

/// A function, as a program that is started.
#[derive(Debug, Clone)]
pub struct Program {
    /// The program.
    pub command: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// The folder it runs in, as Lambda's /var/task.
    pub folder: PathBuf,
    /// Its variables, besides those that Lambda sets.
    pub environment: Vec<(String, String)>,
}

/// A process of a function.
pub struct Running {
    child: Child,
    started: Instant,
    polls: mpsc::UnboundedReceiver<Poll>,
    answers: mpsc::UnboundedReceiver<Answer>,
    server: JoinHandle<io::Result<()>>,
    first: Option<Poll>,
}

/// What a process used until it was ended.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    /// Processor time, in the process and in the kernel for it.
    pub cpu: Duration,
    /// The most memory that was resident at once, in bytes.
    pub peak_memory: u64,
}

/// The function asks for an event.
struct Poll {
    at: Instant,
    give: oneshot::Sender<String>,
}

/// The function has answered an event; an error is the message it reported.
struct Answer {
    at: Instant,
    result: Result<(), String>,
}

struct Ends {
    polls: mpsc::UnboundedSender<Poll>,
    answers: mpsc::UnboundedSender<Answer>,
}

impl Program {
    /// A binary, without arguments or variables.
    pub fn of(binary: &Path) -> Self {
        Self {
            command: binary.to_owned(),
            arguments: Vec::new(),
            folder: binary.parent().map(Path::to_owned).unwrap_or_default(),
            environment: Vec::new(),
        }
    }

    /// Starts a process whose Secrets Manager is at `endpoint`.
    ///
    /// # Errors
    /// If it cannot be started.
    pub async fn start(&self, endpoint: &str) -> io::Result<Running> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let runtime_api = listener.local_addr()?.to_string();
        let (to_polls, polls) = mpsc::unbounded_channel();
        let (to_answers, answers) = mpsc::unbounded_channel();
        let router = runtime_api_of(Ends { polls: to_polls, answers: to_answers });
        let server = tokio::spawn(axum::serve(listener, router).into_future());
        let mut command = Command::new(&self.command);
        command
            .args(&self.arguments)
            .current_dir(&self.folder)
            .env_clear()
            .envs(
                ["PATH", "HOME", "LANG"]
                    .iter()
                    .filter_map(|name| Some((name, std::env::var_os(name)?))),
            )
            .envs([
                ("AWS_LAMBDA_FUNCTION_NAME", "bench"),
                ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
                ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
                ("AWS_REGION", "us-east-1"),
                ("AWS_DEFAULT_REGION", "us-east-1"),
                ("AWS_ACCESS_KEY_ID", "local"),
                ("AWS_SECRET_ACCESS_KEY", "local"),
                ("AWS_EC2_METADATA_DISABLED", "true"),
                ("SECRETS_MANAGER_ENDPOINT", endpoint),
                ("AWS_LAMBDA_RUNTIME_API", &runtime_api),
            ])
            .env("LAMBDA_TASK_ROOT", &self.folder)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true);
        let started = Instant::now();
        let child = command.spawn()?;
        Ok(Running { child, started, polls, answers, server, first: None })
    }
}

impl Running {
    /// Waits for the first poll; how long it took from the start of the process.
    ///
    /// # Errors
    /// If the process ends, or never asks.
    pub async fn ready(&mut self) -> io::Result<Duration> {
        if self.first.is_none() {
            self.first = Some(self.poll().await?);
        }
        let at = self.first.as_ref().map_or(self.started, |poll| poll.at);
        Ok(at.duration_since(self.started))
    }

    /// Hands it one event; how long it took to answer from the moment that it had it.
    ///
    /// # Errors
    /// If it does not take the event, or does not answer, or reports an error.
    pub async fn invoke(&mut self, event: &Value) -> io::Result<Duration> {
        let poll = match self.first.take() {
            Some(poll) => poll,
            None => self.poll().await?,
        };
        let handed = Instant::now();
        if poll.give.send(event.to_string()).is_err() {
            return Err(io::Error::other("the function hung up before it had its event"));
        }
        tokio::select! {
            answer = self.answers.recv() => match answer {
                Some(Answer { at, result: Ok(()) }) => Ok(at.duration_since(handed)),
                Some(Answer { result: Err(message), .. }) => Err(io::Error::other(message)),
                None => Err(io::Error::other("the host has ended")),
            },
            status = self.child.wait() => Err(ended(status)),
            () = tokio::time::sleep(PATIENCE) => Err(io::Error::other("no answer")),
        }
    }

    /// Ends the process when it has come back for another event, where Lambda would freeze it.
    ///
    /// # Errors
    /// If the kernel does not tell what it used.
    pub async fn end(mut self) -> io::Result<Usage> {
        if self.first.is_none() {
            let _ = tokio::time::timeout(LAST_POLL_TIME, self.poll()).await;
        }
        // Not ru_maxrss: that counts the moment between fork and exec, when the process was still
        // this one.
        let peak_memory = peak_memory(self.child.id())?;
        // No other process is waited for meanwhile, so the difference is this one's.
        let before = children_cpu()?;
        self.child.kill().await?;
        let cpu = children_cpu()?.saturating_sub(before);
        Ok(Usage { cpu, peak_memory })
    }

    /// Ends the process at its next poll by asking it to: valgrind writes down what it counted then.
    ///
    /// # Errors
    /// If it does not come back for another event, or does not end.
    pub async fn terminate(mut self) -> io::Result<()> {
        if self.first.is_none() {
            self.poll().await?;
        }
        let process = self.child.id().and_then(|id| i32::try_from(id).ok());
        let process = process.ok_or_else(|| io::Error::other("the function ended by itself"))?;
        kill(Pid::from_raw(process), Signal::SIGTERM)?;
        match tokio::time::timeout(PATIENCE, self.child.wait()).await {
            Ok(status) => status.map(drop),
            Err(_) => Err(io::Error::other("it does not end")),
        }
    }

    async fn poll(&mut self) -> io::Result<Poll> {
        tokio::select! {
            poll = self.polls.recv() => poll.ok_or_else(|| io::Error::other("the host has ended")),
            status = self.child.wait() => Err(ended(status)),
            () = tokio::time::sleep(PATIENCE) => Err(io::Error::other("it asks for no event")),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn ended(status: io::Result<std::process::ExitStatus>) -> io::Error {
    match status {
        Ok(status) => io::Error::other(format!("the function ended by itself ({status})")),
        Err(error) => error,
    }
}

/// The most memory that a process has had resident, as `/proc` tells.
fn peak_memory(process: Option<u32>) -> io::Result<u64> {
    let process = process.ok_or_else(|| io::Error::other("the function ended by itself"))?;
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes =
        line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kilobytes.map(|kilobytes| kilobytes * 1024).ok_or_else(|| io::Error::other("no VmHWM in /proc"))
}

/// The processor time of all the processes that were started here and have ended.
fn children_cpu() -> io::Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let used = usage.user_time() + usage.system_time();
    Ok(Duration::from_micros(used.num_microseconds().unsigned_abs()))
}

fn runtime_api_of(ends: Ends) -> Router {
    Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
        .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
        .route("/2018-06-01/runtime/init/error", post(error))
        .with_state(Arc::new(ends))
}

async fn next(State(ends): State<Arc<Ends>>) -> impl IntoResponse {
    let (give, event) = oneshot::channel();
    // Where nobody listens any more the event never comes either.
    let _ = ends.polls.send(Poll { at: Instant::now(), give });
    let Ok(event) = event.await else { return std::future::pending().await };
    let deadline = SystemTime::now() + PATIENCE;
    let since_epoch = deadline.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let headers = AppendHeaders([
        ("lambda-runtime-aws-request-id", uuid::Uuid::new_v4().to_string()),
        ("lambda-runtime-deadline-ms", since_epoch.as_millis().to_string()),
        (
            "lambda-runtime-invoked-function-arn",
            "arn:aws:lambda:us-east-1:000000000000:function:bench".to_owned(),
        ),
        ("content-type", "application/json".to_owned()),
    ]);
    (headers, event)
}

async fn response(State(ends): State<Arc<Ends>>) -> StatusCode {
    let _ = ends.answers.send(Answer { at: Instant::now(), result: Ok(()) });
    StatusCode::ACCEPTED
}

async fn error(State(ends): State<Arc<Ends>>, body: Bytes) -> StatusCode {
    let report: Value = serde_json::from_slice(&body).unwrap_or_default();
    let message = report.get("errorMessage").and_then(Value::as_str).unwrap_or("an error");
    let _ = ends.answers.send(Answer { at: Instant::now(), result: Err(message.to_owned()) });
    StatusCode::ACCEPTED
}
