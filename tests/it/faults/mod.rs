//! Every way in which a server, a network, TLS, a name, Secrets Manager or a document can fail,
//! made for real: the kind of error it ends in, in which step, what it says, how much of the
//! deadline it takes, what it leaves at the server; and that the retry succeeds once it is gone.

mod admin;
mod advice;
mod ahead;
mod case;
mod change;
mod document;
mod guide;
mod mask;
mod mysql;
mod network;
mod server;
mod site;
mod store;
mod tls;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use expect_test::expect_file;
use tokio::sync::{Mutex, OnceCell, Semaphore};

use crate::leaks::Planted;
use crate::support::postgres::{Server, both_versions, server_with_neighbours};
use case::{Ground, Left, Row, Share};

/// One fault being played.
pub type Playing = Pin<Box<dyn Future<Output = Row> + Send>>;

/// A list of faults out of their names.
macro_rules! play {
    ($ground:expr; $($fault:ident),+ $(,)?) => {
        vec![$(Box::pin($fault(std::sync::Arc::clone($ground))) as $crate::faults::Playing),+]
    };
}
use play;

/// How many faults are played at once: most of them wait, a few compute.
const AT_ONCE: usize = 24;

/// One server after the other but for the first: the machine may be small, and some faults have to
/// be quick.
static TURN: Mutex<()> = Mutex::const_new(());

/// What came of them all.
struct Played {
    rows: Vec<Row>,
    /// How many did not end as they should.
    failed: usize,
    planted: Planted,
    /// How much the server had logged before.
    log_length: u64,
}

static PLAYED: OnceCell<Played> = OnceCell::const_new();

/// Plays them all, once for all tests of this file.
async fn played(server: &Server) -> &'static Played {
    let played = PLAYED.get_or_init(|| play_all(server)).await;
    assert_eq!(played.failed, 0, "faults did not end as they should: see the panics above");
    played
}

async fn play_all(server: &Server) -> Played {
    let log_length = server.log_length();
    let ground = Ground::new(server.clone());
    let faults = |ground: &_| {
        let sections = [
            server::all(ground),
            change::all(ground),
            network::all(ground),
            tls::all(ground),
            store::all(ground),
            document::all(ground),
            admin::postgres::all(ground),
        ];
        sections.into_iter().flatten().collect()
    };
    let (rows, failed) = play_each(AT_ONCE, &ground, faults).await;
    let planted = std::mem::take(&mut *ground.planted.lock().await);
    Played { rows, failed, planted, log_length }
}

/// Plays these faults, so many at once, and those that print several ways out once for each: how each
/// ended, in their order, and how many did not end as they should.
async fn play_each<S>(
    at_once: usize,
    ground: &Arc<Ground<S>>,
    faults: impl Fn(&Arc<Ground<S>>) -> Vec<Playing>,
) -> (Vec<Row>, usize) {
    let (mut rows, mut failed) = play_once(at_once, faults(ground)).await;
    let most = rows.iter().map(|row| row.ways).max().unwrap_or_default();
    for choice in 1..most {
        if failed > 0 {
            break;
        }
        ground.choice.store(choice, Ordering::Relaxed);
        let again = faults(ground).into_iter().zip(&rows).filter(|(_, row)| row.ways > choice);
        let (more, wrong) = play_once(at_once, again.map(|(fault, _)| fault)).await;
        failed += wrong;
        for other in more {
            rows.iter_mut().find(|row| row.name == other.name).unwrap().led.extend(other.led);
        }
    }
    (rows, failed)
}

async fn play_once(at_once: usize, faults: impl IntoIterator<Item = Playing>) -> (Vec<Row>, usize) {
    let places = Arc::new(Semaphore::new(at_once));
    let tasks: Vec<_> = faults
        .into_iter()
        .map(|playing| {
            let places = Arc::clone(&places);
            tokio::spawn(async move {
                let _place = places.acquire().await.unwrap();
                playing.await
            })
        })
        .collect();
    let (mut rows, mut failed) = (Vec::new(), 0);
    for task in tasks {
        match task.await {
            Ok(row) => rows.push(row),
            Err(_) => failed += 1,
        }
    }
    (rows, failed)
}

/// The table, for a person to review: name, step, kind, share, what is left, and the message.
fn table(rows: &[Row]) -> String {
    let mut text = String::new();
    for row in rows {
        let share = match row.share {
            Share::AtOnce => "at once (25 %)",
            Share::Before => "before the deadline (75 %)",
            Share::AtDeadline => "at the deadline",
        };
        let left = match row.left {
            Left::Unchanged => "nothing changed",
            Left::Changed => "the password was changed",
        };
        let Row { name, step, kind, message, .. } = row;
        writeln!(text, "{name}\n    {step}, {kind}, {share}, {left}\n    {message}\n").unwrap();
    }
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_ends_in_a_class_of_its_own_and_the_retry_succeeds() {
    let Some(server) = server_with_neighbours() else { return };
    let rows = &played(&server).await.rows;
    expect_file!["table.txt"].assert_eq(&table(rows));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_21_what_preflight_calls_ready_rotates() {
    let Some(server) = server_with_neighbours() else { return };
    ahead::assert_honest("PostgreSQL 15", &played(&server).await.rows);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_20_every_way_out_is_followed_literally() {
    let Some(server) = server_with_neighbours() else { return };
    advice::assert_followed("PostgreSQL 15", &played(&server).await.rows);
}

/// What PostgreSQL 18 does, where it is not what 15 does. What comes from elsewhere is not played again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_of_the_newest_postgresql_ends_as_at_15() {
    let [_, newest] = &both_versions()[..] else { return };
    let _turn = TURN.lock().await;
    let log_length = newest.log_length();
    let ground = Ground::new(newest.clone());
    let faults = |ground: &_| {
        let lists = [
            server::at_server(ground),
            change::at_server(ground),
            admin::postgres::all(ground),
            admin::postgres::since_16(ground),
        ];
        lists.into_iter().flatten().collect()
    };
    let (rows, failed) = play_each(AT_ONCE / 2, &ground, faults).await;
    assert_eq!(failed, 0, "faults did not end as they should: see the panics above");
    assert_causes_differ(&rows);
    ahead::assert_honest("PostgreSQL 18", &rows);
    advice::assert_followed("PostgreSQL 18", &rows);
    ground.planted.lock().await.assert_absent("the server's log", &newest.log_since(log_length));
    let other = other_than(include_str!("table.txt"), &table(&rows));
    expect_file!["table-postgres18.txt"].assert_eq(&other);
}

/// The rows of a table that are not in this one.
fn other_than(known: &str, table: &str) -> String {
    table.split_inclusive("\n\n").filter(|row| !known.contains(row)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_two_causes_share_a_message() {
    let Some(server) = server_with_neighbours() else { return };
    assert_causes_differ(&played(&server).await.rows);
}

fn assert_causes_differ(rows: &[Row]) {
    let mut causes: BTreeMap<&str, &Row> = BTreeMap::new();
    for row in rows {
        assert!(row.message.starts_with(&format!("{}: ", row.step)), "{}", row.name);
        // The step's name tells nothing about the cause.
        let (_, message) = row.message.split_once(": ").unwrap();
        if let Some(other) = causes.insert(message, row) {
            let (one, other) = (row.cause, other.cause);
            assert_eq!(one, other, "{:?} and {one:?} share a message: {message}", row.name);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_holds_no_password_after_any_of_it() {
    let Some(server) = server_with_neighbours() else { return };
    let played = played(&server).await;
    for (setting, value) in [("log_statement", "all"), ("log_min_duration_statement", "0")] {
        assert_eq!(server.setting(setting).await, value, "{setting}");
    }
    let log = server.log_since(played.log_length);
    let kept = server.kept_statements().await;
    for text in [&log, &kept] {
        assert!(text.matches("PASSWORD 'SCRAM-SHA-256$4096:").count() > 20, "nothing was kept");
    }
    played.planted.assert_absent("the server's log", &log);
    played.planted.assert_absent("pg_stat_statements", &kept);
}
