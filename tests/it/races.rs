//! Two containers, late containers and frozen ones, on a real PostgreSQL.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fourstep::store::{AWSCURRENT, AWSPENDING};
use fourstep::{ErrorKind, Step};
use fourstep_local::Fault;
use sqlx::{Connection, Executor};

use crate::support::postgres::server;
use crate::support::stage::Stage;

#[tokio::test]
async fn beyond_16_containers_racing_one_step_end_as_one_alone_would() {
    let Some(server) = server() else { return };
    let user = server.user("race").await;
    let stage = Arc::new(Stage::new(&server.document(&user), &[]));
    let token = stage.begin();
    for step in Step::ALL {
        let race = (0..4).map(|_| {
            let (stage, token) = (Arc::clone(&stage), token.clone());
            tokio::spawn(async move { stage.step(step, &token).await })
        });
        let mut succeeded = 0;
        for run in race.collect::<Vec<_>>() {
            let ended = run.await.unwrap();
            match &ended.result {
                Ok(_) => succeeded += 1,
                // The loser of a race for a label may be told so; nothing is lost by it.
                Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict, "{error}"),
            }
        }
        assert!(succeeded > 0, "{step}");
    }
    assert_eq!(stage.labels()[0], Some(token));
    assert!(server.logs_in(&user.name, &stage.password(AWSCURRENT)).await);
}

/// F3: t1 stops before its statement; it is cancelled; t2 runs to its end; t1 wakes up.
#[tokio::test]
async fn rule_03_a_late_container_does_not_undo_a_finished_rotation() {
    let Some(server) = server() else { return };
    let user = server.user("late").await;
    let stage = Stage::new(&server.document(&user), &[]);
    let late = stage.play(&[Step::Create]).await;
    let (reached, at_fence) = tokio::sync::oneshot::channel();
    let (wake, sleeping) = std::sync::mpsc::channel::<()>();
    let freeze = Mutex::new(Some((reached, sleeping)));
    let looks = AtomicU32::new(0);
    stage.store.set_faults(move |_, call| {
        // The second look is the fence's: the account's lock is held, the change comes next.
        if call.operation == "DescribeSecret" && looks.fetch_add(1, Ordering::SeqCst) == 1 {
            let (reached, sleeping) = freeze.lock().unwrap().take().unwrap();
            reached.send(()).unwrap();
            sleeping.recv().unwrap();
        }
        Fault::Proceed
    });
    let mut container = stage.beside();
    container.timeout = Duration::from_secs(12);
    let token = late.clone();
    let frozen = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(container.step(Step::Set, &token))
    });
    at_fence.await.unwrap();
    stage.store.clear_faults();
    stage.store.cancel_rotation(&stage.secret).unwrap();
    stage.store.update_stage(&stage.secret, AWSPENDING, None, Some(&late)).unwrap();
    // The newer rotation waits for the lock until the server ends the frozen transaction.
    stage.play(&Step::ALL).await;
    let live = stage.password(AWSCURRENT);
    assert!(server.logs_in(&user.name, &live).await);
    wake.send(()).unwrap();
    let ended = frozen.await.unwrap();
    assert!(ended.result.is_err());
    assert!(server.logs_in(&user.name, &live).await, "undone by the late one: {}", ended.error());
}

/// As above, but the late container wakes up while the server still keeps its session.
#[tokio::test]
async fn rule_03_a_container_whose_rotation_was_cancelled_stops_at_the_fence() {
    let Some(server) = server() else { return };
    let user = server.user("fence").await;
    let stage = Stage::new(&server.document(&user), &[]);
    let token = stage.play(&[Step::Create]).await;
    let (secret, cancelled) = (stage.secret.clone(), token.clone());
    let looks = AtomicU32::new(0);
    stage.store.set_faults(move |store, call| {
        if call.operation == "DescribeSecret" && looks.fetch_add(1, Ordering::SeqCst) == 1 {
            store.update_stage(&secret, AWSPENDING, None, Some(&cancelled)).unwrap();
        }
        Fault::Proceed
    });
    let ended = stage.step(Step::Set, &token).await;
    assert_eq!(ended.result.as_ref().unwrap_err().kind(), ErrorKind::Conflict, "{}", ended.error());
    assert!(ended.error().contains("the change was not made"), "{}", ended.error());
    assert!(server.logs_in(&user.name, &user.password).await);
}

/// A frozen container must not hold the account for ever: the server ends its transaction.
#[tokio::test]
async fn rule_03_a_frozen_transaction_dies_at_the_server_and_changes_nothing() {
    let Some(server) = server() else { return };
    let user = server.user("frozen").await;
    let mut stage = Stage::new(&server.document(&user), &[]);
    stage.timeout = Duration::from_secs(12);
    let stage = Arc::new(stage);
    let token = stage.play(&[Step::Create]).await;
    let looks = AtomicU32::new(0);
    stage.store.set_faults(move |_, call| {
        if call.operation == "DescribeSecret" && looks.fetch_add(1, Ordering::SeqCst) == 1 {
            // The whole container stands still, longer than its time.
            std::thread::sleep(Duration::from_secs(14));
        }
        Fault::Proceed
    });
    let (held, late) = (Arc::clone(&stage), token.clone());
    let frozen = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(held.step(Step::Set, &late))
    });
    let ended = frozen.await.unwrap();
    assert!(ended.result.is_err());
    assert!(server.logs_in(&user.name, &user.password).await, "{}", ended.error());
    let log = server.log_about(&user.name);
    assert!(log.contains("idle-in-transaction timeout"), "the server ended it: {log}");
    stage.store.clear_faults();
    stage.step(Step::Set, &token).await.why();
    assert!(server.logs_in(&user.name, &stage.password(AWSPENDING)).await);
}

#[tokio::test]
async fn beyond_12_a_change_that_cannot_be_made_in_time_is_not_made() {
    let Some(server) = server() else { return };
    let user = server.user("slow").await;
    let mut stage = Stage::new(&server.document(&user), &[]);
    stage.timeout = Duration::from_secs(7);
    let token = stage.play(&[Step::Create]).await;
    // Another session holds the row that ALTER ROLE must update.
    let mut other = server.superuser().await;
    let sql = format!("BEGIN; ALTER ROLE \"{}\" CONNECTION LIMIT 9", user.name);
    other.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(sql))).await.unwrap();
    let started = std::time::Instant::now();
    let ended = stage.step(Step::Set, &token).await;
    assert!(started.elapsed() < Duration::from_secs(7), "it reports before it is killed");
    let kind = ended.result.as_ref().unwrap_err().kind();
    assert!(matches!(kind, ErrorKind::OutOfTime | ErrorKind::Conflict), "{}", ended.error());
    other.execute(sqlx::raw_sql("ROLLBACK")).await.unwrap();
    other.close().await.unwrap();
    assert!(server.logs_in(&user.name, &user.password).await);
    stage.timeout = Duration::from_secs(30);
    stage.step(Step::Set, &token).await.why();
}
