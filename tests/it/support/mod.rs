//! What every test needs: a real server to arrange, and a stage to rotate on.

pub mod accounts;
pub mod door;
pub mod fault_table;
pub mod host;
pub mod hostile;
pub mod logs;
pub mod mongodb;
pub mod mysql;
pub mod postgres;
pub mod program;
pub mod proxy;
pub mod rds_proxy;
pub mod redis;
mod redis_flavours;
pub mod redis_nodes;
pub mod redshift;
pub mod redshift_serverless;
pub mod sqlserver;
pub mod stage;
pub mod toy;
pub mod witness;

/// Skips a test aloud, or fails it where nothing may be skipped (`FOURSTEP_TEST_REQUIRE`).
pub fn skip(missing: &str) {
    assert!(
        std::env::var_os("FOURSTEP_TEST_REQUIRE").is_none(),
        "{missing} is not set and FOURSTEP_TEST_REQUIRE forbids skipping; run scripts/test"
    );
    eprintln!("SKIPPED: {missing} is not set; run scripts/test");
}

/// Held by whoever uses a twin for a moment, sets it up otherwise, or restarts it.
static TWINS: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Keeps the servers that are named twins as they are.
pub async fn twins() -> tokio::sync::MutexGuard<'static, ()> {
    TWINS.lock().await
}
