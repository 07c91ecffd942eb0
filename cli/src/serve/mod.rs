//! `fourstep serve`: a local Secrets Manager, and what is around it.

mod listen;
mod log;
mod preload;
mod store;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fourstep_cli::account::text::count;
use fourstep_cli::player::Player;
use fourstep_cli::{say, slips};
use fourstep_local::MemoryStore;
use fourstep_local::serve::{self, Keeper, OnAnswer, OnInvoke, OnRotate, Server, Settings};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::arguments::ServeArguments;
pub(crate) use listen::{address, host};
use store::StoreFile;

/// How often it is looked whether a rotation is due.
const TICK: Duration = Duration::from_secs(1);

/// Serves until it is interrupted or told to end.
pub(crate) async fn run(arguments: ServeArguments) -> io::Result<bool> {
    let ServeArguments { listen, rotator, process, pending_label, json, .. } = arguments;
    // Bound first, so that a function can be told the port even where the system chose it.
    let listener = listen::bind(listen).await?;
    let own = listen::reached(listener.local_addr()?);
    let rotator = rotator.map(|rotator| slips::rotator(&rotator)).transpose()?;
    let player = rotator.map(|rotator| {
        Arc::new(Player {
            rotator,
            endpoint: format!("http://{own}"),
            environment: process.environment,
            timeout: Duration::from_secs(process.timeout),
            verbose: process.verbose,
            pending_label: pending_label.into(),
        })
    });
    let plays = player.is_some();
    let (file, store) = opened(arguments.store.as_deref())?;
    preload::preload(&store, &arguments.secrets, false)?;
    preload::preload(&store, &arguments.binaries, true)?;
    if let Some(file) = &file {
        // Whether it can be written is better known before there is a password that is nowhere else.
        file.keep(&store)?;
    }
    let settings = Settings {
        on_rotate: player.clone().map(|player| player as Arc<dyn OnRotate>),
        on_invoke: player.map(|player| player as Arc<dyn OnInvoke>),
        keeper: file.map(|file| file as Arc<dyn Keeper>),
        on_answer: arguments.log.then(|| Arc::new(log::told) as Arc<OnAnswer>),
        hosts: arguments.hosts,
    };
    let server = serve::serve_with(listener, store, settings)?;
    let url = format!("http://{own}");
    // Whoever reads this may stop reading at any time; that is no reason to stop serving.
    let said = if json {
        json!({"event": "listening", "url": url}).to_string()
    } else {
        greeting(&url, arguments.store, plays)
    };
    let _ = writeln!(io::stdout(), "{said}");
    if let Some(warning) = listen::warning(server.address()) {
        say!("{warning}");
    }
    if plays {
        let unfinished = server.resume();
        if unfinished > 0 {
            say!("playing {} again that did not come to an end", count(unfinished, "rotation"));
        }
    }
    until_ended(server, plays).await?;
    Ok(true)
}

/// What somebody has to know who starts it.
fn greeting(url: &str, store: Option<PathBuf>, plays: bool) -> String {
    let place = match &store {
        None => "in memory only".to_owned(),
        Some(file) => format!("in {}, in plain text", file.display()),
    };
    let loss = if plays && store.is_none() {
        "\nThe rotator gives the target new passwords, which are nowhere but here: \
         read them before you stop this."
    } else {
        ""
    };
    format!(
        "A local Secrets Manager listens on {url}. Its secrets are {place}.\n\
         Point a client at it: AWS_ENDPOINT_URL={url} with any access key.{loss}"
    )
}

/// The store that the file has, or an empty one.
fn opened(path: Option<&Path>) -> io::Result<(Option<Arc<StoreFile>>, Arc<MemoryStore>)> {
    let Some(path) = path else { return Ok((None, Arc::default())) };
    let (file, store) = StoreFile::open(path)?;
    let secrets = store.secrets(true).map_err(io::Error::other)?;
    if !secrets.is_empty() {
        say!("{} has {}", path.display(), count(secrets.len(), "secret"));
    }
    Ok((Some(Arc::new(file)), Arc::new(store)))
}

/// Serves, and begins the rotations that no request begins.
async fn until_ended(mut server: Server, plays: bool) -> io::Result<()> {
    let mut interrupted = signal(SignalKind::interrupt())?;
    // What Docker and process managers send.
    let mut told_to_end = signal(SignalKind::terminate())?;
    let mut tick = tokio::time::interval(TICK);
    let mut refused = BTreeMap::new();
    loop {
        tokio::select! {
            ended = server.wait() => return ended,
            _ = interrupted.recv() => return server.keep(),
            _ = told_to_end.recv() => return server.keep(),
            _ = tick.tick(), if plays => begin_due(&server, &mut refused),
        }
    }
}

/// Begins what is due. Why one does not begin is said once.
fn begin_due(server: &Server, refused: &mut BTreeMap<String, String>) {
    for (name, begun) in server.begin_due(SystemTime::now()) {
        match begun {
            Ok(version) => {
                refused.remove(&name);
                say!("{name} {version}: due by its schedule");
            }
            Err(error) => {
                let why = error.to_string();
                if refused.get(&name) != Some(&why) {
                    say!("{name}: due by its schedule, and does not begin: {why}");
                    refused.insert(name, why);
                }
            }
        }
    }
}
