//! Pairs of users over many rotations, at every server that there is: what an application and its
//! administrators do meanwhile, the server's restarts, and pairs that were made in other ways.

mod carry;
mod client;
mod liars;
mod mysql;
mod poolers;
mod postgres;
mod size;

use std::sync::Arc;

use fourstep::Step;
use fourstep::store::{AWSCURRENT, AWSPREVIOUS};
use serde_json::{Value, json};

use self::client::{Client, Work};
use crate::support::stage::Stage;

/// What four rotations are played upon.
trait Scene: Work {
    /// A session of the application's that stays open.
    type Session: Send;

    fn stage(&self) -> &Stage;

    /// The two users.
    fn users(&self) -> [String; 2];

    async fn open(&self, document: &Value) -> Self::Session;

    /// Works in a session. Err says what failed.
    async fn use_session(&self, session: &mut Self::Session) -> Result<(), String>;

    /// What administrators do after this round.
    async fn between(&self, round: usize);

    /// Fails unless a user may do what it is to be able to after this round, and no more.
    async fn check(&self, round: usize, document: &Value);

    /// Fails unless nothing has been left behind.
    async fn check_all(&self);

    async fn restart(&self);
}

/// How scripts/test says that one of its servers is restarted.
fn restart_command(server: &str) -> String {
    std::env::var(format!("FOURSTEP_TEST_{server}_RESTART")).unwrap()
}

/// Runs a command of the shell's, which must succeed.
async fn shell(command: &str) {
    let status = tokio::process::Command::new("bash").args(["-c", command]).status().await;
    assert!(status.unwrap().success(), "{command}");
}

async fn rotate(stage: &Stage) -> Value {
    stage.play(&Step::ALL).await;
    stage.document(AWSCURRENT)
}

async fn four_rotations<S: Scene>(name: &str, scene: S) {
    let scene = Arc::new(scene);
    let users = scene.users();
    let mut before = scene.stage().document(AWSCURRENT);
    let client = Client::start(&scene, before.clone());
    for round in 0..4 {
        client.reads(before.clone()).await;
        let mut session = scene.open(&before).await;
        let current = rotate(scene.stage()).await;
        assert_eq!(current["username"], json!(users[(round + 1) % 2]), "{name}, round {round}");
        assert_eq!(scene.stage().document(AWSPREVIOUS), before);
        client.works().await;
        client.another_works(&current).await;
        for restarted in [false, true] {
            if restarted {
                let _resting = client.rests().await;
                scene.restart().await;
            } else {
                let _resting = client.rests().await;
                scene.between(round).await;
                let used = scene.use_session(&mut session).await;
                used.unwrap_or_else(|failure| panic!("{name}, round {round}: {failure}"));
            }
            client.another_works(&current).await;
            client.another_works(&before).await;
            for document in [&before, &current] {
                scene.check(round, document).await;
            }
            scene.check_all().await;
        }
        drop(session);
        before = current;
    }
    let worked = client.end().await;
    eprintln!("{name}: worked {worked} times without a failure");
    assert!(worked > 16, "{worked}");
}

async fn on_postgresql(server: &str) {
    if let Some(scene) = postgres::restartable(server).await {
        four_rotations(server, scene).await;
    }
}

/// The oldest.
#[tokio::test(flavor = "multi_thread")]
async fn parity_35_four_rotations_of_a_pair_on_postgresql_10() {
    on_postgresql("POSTGRES_OLD").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parity_35_four_rotations_of_a_pair_on_postgresql_15() {
    on_postgresql("POSTGRES_TWIN").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parity_35_four_rotations_of_a_pair_on_postgresql_18() {
    on_postgresql("POSTGRES18_TWIN").await;
}

async fn on_mysql(server: &str) {
    if let Some(scene) = mysql::restartable(server).await {
        four_rotations(server, scene).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parity_35_four_rotations_of_a_pair_on_mysql_8_0() {
    on_mysql("MYSQL80_TWIN").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parity_35_four_rotations_of_a_pair_on_mysql_9() {
    on_mysql("MYSQL_TWIN").await;
}
