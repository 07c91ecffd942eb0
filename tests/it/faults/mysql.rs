//! The same for MySQL and MariaDB, each with a table of its own: refused logins, sessions that wait,
//! networks and TLS. MySQL's statements are inside TLS, so what happens in the middle of one is
//! played at MariaDB.

mod change;
mod network;
mod server;

use std::sync::Arc;

use expect_test::{ExpectFile, expect_file};

use super::case::Ground as GroundOf;
use super::{
    Playing, TURN, admin, advice, ahead, assert_causes_differ, other_than, play_each, table,
};
use crate::support::mysql::{Server, User, mariadb, mysql, server as named};

type Ground = GroundOf<Server>;
type Case = super::case::Case<Server>;

/// Runs SQL about a case's user, whom `<user>`, `<account>` and `<password>` stand for.
async fn arrange(case: &Case, sql: &str) {
    if case.followed {
        return;
    }
    let User { name, password } = &case.user;
    let sql = sql
        .replace("<account>", &format!("'{name}'@'127.%'"))
        .replace("<user>", &format!("'{name}'"))
        .replace("<password>", &format!("'{password}'"));
    case.ground.server.arrange(&sql).await;
}

/// How many faults are played at once: each of them starts clients, which are processes.
const AT_ONCE: usize = 8;

/// Plays these, and returns their table.
async fn played(
    name: &str,
    server: Server,
    faults: impl Fn(&Arc<Ground>) -> Vec<Playing>,
) -> String {
    let _turn = TURN.lock().await;
    let logs_from_now = server.logs_from_now();
    let ground = Ground::new(server.clone());
    let (rows, failed) = play_each(AT_ONCE, &ground, faults).await;
    assert_eq!(failed, 0, "faults did not end as they should: see the panics above");
    assert_causes_differ(&rows);
    ahead::assert_honest(name, &rows);
    advice::assert_followed(name, &rows);
    ground.planted.lock().await.assert_absent("the server's logs", &logs_from_now.read());
    table(&rows)
}

async fn assert_table(server: Server, expected: ExpectFile) {
    let all = |ground: &_| {
        let lists = [
            server::all(ground),
            change::all(ground),
            network::all(ground),
            admin::mysql::all(ground),
        ];
        lists.into_iter().flatten().collect()
    };
    expected.assert_eq(&played(server.engine, server, all).await);
}

/// The oldest MySQL, where it is not what the newest is: what comes from elsewhere is not played again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_of_the_oldest_mysql_ends_as_at_the_newest() {
    let Some(server) = named("mysql", "MYSQL80") else { return };
    let of_server = |ground: &_| {
        let lists =
            [server::all(ground), change::at_server(ground), admin::mysql::at_server(ground)];
        lists.into_iter().flatten().collect()
    };
    let table = played("MySQL 8.0", server, of_server).await;
    assert_eq!(other_than(include_str!("table-mysql.txt"), &table), "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_of_a_mysql_ends_in_a_class_of_its_own_and_the_retry_succeeds() {
    let Some(server) = mysql() else { return };
    assert_table(server, expect_file!["table-mysql.txt"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_of_a_mariadb_ends_in_a_class_of_its_own_and_the_retry_succeeds() {
    let Some(server) = mariadb() else { return };
    assert_table(server, expect_file!["table-mariadb.txt"]).await;
}
