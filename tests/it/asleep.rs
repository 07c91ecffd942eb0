//! A database that was paused: its port accepts, and it answers once it has resumed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fourstep::Step;
use fourstep::store::AWSCURRENT;
use serde_json::{Value, json};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

use crate::support::mysql::engines;
use crate::support::postgres::server;
use crate::support::stage::Stage;

/// How long it takes to resume: longer than anything that is waited for where little time is left.
const ASLEEP: Duration = Duration::from_secs(15);

/// A port whose first connection reaches the server this much later.
async fn asleep(server: u16) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let paused = Arc::new(AtomicBool::new(true));
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let paused = Arc::clone(&paused);
            tokio::spawn(async move {
                if paused.swap(false, Ordering::Relaxed) {
                    tokio::time::sleep(ASLEEP).await;
                }
                let mut far = TcpStream::connect(("127.0.0.1", server)).await.unwrap();
                let _ = copy_bidirectional(&mut near, &mut far).await;
            });
        }
    });
    port
}

/// The step that wakes it has a minute, as the template gives it.
async fn rotates(stage: impl Fn(&Value) -> Stage, mut document: Value, server: u16) {
    document["port"] = json!(asleep(server).await);
    let mut stage = stage(&document);
    stage.timeout = Duration::from_secs(60);
    let before = stage.password(AWSCURRENT);
    stage.play(&Step::ALL).await;
    assert_ne!(stage.password(AWSCURRENT), before);
}

#[tokio::test]
async fn b4_a_postgresql_that_answers_after_15_seconds_is_waited_for() {
    let Some(server) = server() else { return };
    let user = server.user("asleep").await;
    rotates(|document| Stage::new(document, &[]), server.document(&user), server.port).await;
}

#[tokio::test]
async fn b4_a_mysql_or_mariadb_that_answers_after_15_seconds_is_waited_for() {
    for server in engines() {
        let user = server.user("asleep").await;
        let stage = |document: &Value| server.stage(document, &[]);
        rotates(stage, server.document(&user), server.port).await;
    }
}
