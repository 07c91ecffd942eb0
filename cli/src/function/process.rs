//! A function binary, run as Lambda runs it: through the Runtime API, a fresh process for every
//! invocation.
//!
//! Source of the protocol: AWS Lambda Developer Guide, "Using the Lambda runtime API".

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::routing::{get, post};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::{
    ACCESS_KEY_ID, Answer, EXITED, Heard, Invocation, KILLED, Killable, Names, TIMED_OUT,
    json_lines, last_lines,
};

/// Variables of this process that a function sees too. Everything else is left out: real AWS
/// credentials above all.
const INHERITED: [&str; 5] = ["PATH", "HOME", "TMPDIR", "LANG", "RUST_BACKTRACE"];

/// How long the output of a process that has ended is waited for.
const LAST_OUTPUT_TIME: Duration = Duration::from_secs(5);

/// A function binary on this machine.
#[derive(Clone)]
pub(super) struct Process {
    pub(super) binary: PathBuf,
    environment: Vec<(String, String)>,
    timeout: Duration,
    /// Whether what it writes goes to standard error.
    pub(super) shown: bool,
}

impl fmt::Debug for Process {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Process")
            .field("binary", &self.binary)
            .field("environment", &Names(&self.environment))
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

impl Process {
    pub(super) fn new(
        binary: &Path,
        endpoint: &str,
        environment: &[(String, String)],
        timeout: Duration,
    ) -> Self {
        let name =
            binary.file_stem().map_or_else(|| "function".into(), |stem| stem.to_string_lossy());
        let mut variables: Vec<(String, String)> = [
            ("AWS_LAMBDA_FUNCTION_NAME", name.as_ref()),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_REGION", "us-east-1"),
            (ACCESS_KEY_ID, "local"),
            ("AWS_SECRET_ACCESS_KEY", "local"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("SECRETS_MANAGER_ENDPOINT", endpoint),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
        variables.extend_from_slice(environment);
        Self { binary: binary.to_owned(), environment: variables, timeout, shown: false }
    }

    /// Starts a process, hands it one event, and ends the process when it has answered.
    pub(super) async fn invoke(
        &self,
        event: &Value,
        mut killable: Killable,
    ) -> std::io::Result<Invocation> {
        let started = Instant::now();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let (answered, answer) = oneshot::channel();
        let exchange = Arc::new(Exchange {
            event: Mutex::new(Some(event.to_string())),
            answered: Mutex::new(Some(answered)),
            deadline: SystemTime::now() + self.timeout,
        });
        // Dropped half-way, too, a set ends what is in it.
        let mut server = JoinSet::new();
        server.spawn(axum::serve(listener, runtime_api(exchange)).into_future());
        let mut child = self.start(&address.to_string())?;
        // Standard output is read all along: a function that fills the pipe must not hang.
        let (output, errors) = (Heard::default(), Heard::default());
        let reading = [
            tokio::spawn(output.clone().all_of(child.stdout.take(), self.shown)),
            tokio::spawn(errors.clone().all_of(child.stderr.take(), self.shown)),
        ];
        let mut answer = self.wait_for(&mut child, answer, &mut killable).await;
        let duration = started.elapsed();
        drop(server);
        // It may have ended by itself already.
        let _ = child.kill().await;
        for rest in reading {
            // A process that the killed one left behind may keep it open.
            let _ = tokio::time::timeout(LAST_OUTPUT_TIME, rest).await;
        }
        let (text, complaint) = (output.text(), errors.text());
        let output = format!("{text}\n{complaint}");
        if let Err((kind, message)) = &mut answer
            && (kind == EXITED || message.is_empty())
        {
            // Whatever it wrote says more than that it is gone.
            let said = last_lines(&output);
            let between =
                if message.is_empty() || said.is_empty() { "" } else { "; it wrote\n    " };
            message.push_str(&format!("{between}{said}"));
        }
        Ok(Invocation { answer, lines: json_lines(&text), output, duration })
    }

    fn start(&self, runtime_api: &str) -> std::io::Result<Child> {
        let inherited = INHERITED.iter().filter_map(|name| Some((*name, std::env::var_os(name)?)));
        Command::new(&self.binary)
            .env_clear()
            .envs(inherited)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .env("AWS_LAMBDA_RUNTIME_API", runtime_api)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
    }

    async fn wait_for(
        &self,
        child: &mut Child,
        answer: oneshot::Receiver<Answer>,
        killable: &mut Killable,
    ) -> Answer {
        tokio::select! {
            biased;
            dying = killable.pulled() => {
                // Waits until it is dead, too; it may have ended by itself already.
                let _ = child.kill().await;
                drop(dying);
                Err((KILLED.to_owned(), "the process was killed".to_owned()))
            }
            answer = answer => answer.unwrap_or_else(|_| Err(exited("unknown"))),
            status = child.wait() => {
                let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
                Err(exited(&status))
            }
            () = tokio::time::sleep(self.timeout) => Err((
                TIMED_OUT.to_owned(),
                format!("the function was stopped after {} s", self.timeout.as_secs_f64()),
            )),
        }
    }
}

fn exited(status: &str) -> (String, String) {
    (EXITED.to_owned(), format!("the function ended without an answer ({status})"))
}

/// One invocation, between the Runtime API's requests.
struct Exchange {
    event: Mutex<Option<String>>,
    answered: Mutex<Option<oneshot::Sender<Answer>>>,
    deadline: SystemTime,
}

impl Exchange {
    fn answer(&self, answer: Answer) -> StatusCode {
        let sender = self.answered.lock().unwrap_or_else(PoisonError::into_inner).take();
        // A second answer, or one after the time is over, has nobody to go to.
        let _ = sender.map(|sender| sender.send(answer));
        StatusCode::ACCEPTED
    }
}

fn runtime_api(exchange: Arc<Exchange>) -> Router {
    Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
        .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
        .route("/2018-06-01/runtime/init/error", post(error))
        .with_state(exchange)
}

async fn next(State(exchange): State<Arc<Exchange>>) -> (HeaderMap, String) {
    let event = exchange.event.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(event) = event else {
        // The one event was handed out: Lambda would freeze the process here.
        return std::future::pending().await;
    };
    let since_epoch = exchange.deadline.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let arn = "arn:aws:lambda:us-east-1:000000000000:function:local";
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("lambda-runtime-aws-request-id", uuid::Uuid::new_v4().to_string()),
        ("lambda-runtime-deadline-ms", since_epoch.as_millis().to_string()),
        ("lambda-runtime-invoked-function-arn", arn.to_owned()),
        ("lambda-runtime-trace-id", "Root=1-00000000-000000000000000000000000".to_owned()),
        ("content-type", "application/json".to_owned()),
    ] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
    (headers, event)
}

async fn response(State(exchange): State<Arc<Exchange>>, body: Bytes) -> StatusCode {
    let answer = serde_json::from_slice(&body).unwrap_or_else(|_| json!(null));
    exchange.answer(Ok(answer))
}

async fn error(State(exchange): State<Arc<Exchange>>, body: Bytes) -> StatusCode {
    let report: Value = serde_json::from_slice(&body).unwrap_or_default();
    let field =
        |name: &str| report.get(name).and_then(Value::as_str).unwrap_or("unknown").to_owned();
    exchange.answer(Err((field("errorType"), field("errorMessage"))))
}
