//! A server that says more than any server does: it cannot fill the function's memory.

use fourstep::{SecretId, Step};
use fourstep_bench::manager::Manager;
use fourstep_cli::events;
use fourstep_local::NewValue;
use serde_json::{Value, json};

use super::size::Measured;
use super::{mysql, postgres};
use crate::support::door::{Door, Moment, Then, Way};
use crate::support::mysql::{counting, mariadb, mysqls};
use crate::support::postgres::both_versions;
use crate::support::stage::{Stage, new_token};

/// What a server may take of the function's memory, in bytes.
const MOST_MEMORY: u64 = 32 << 20;

/// As much as it says, in bytes.
const FLOOD: usize = 40 << 20;

/// MySQL's rows of one empty cell, without an end: the shortest that there are.
fn rows() -> &'static [u8] {
    let mut flood = Vec::with_capacity(FLOOD);
    let mut sequence = 1;
    let mut say = |payload: &[u8]| {
        flood.extend([u8::try_from(payload.len()).unwrap(), 0, 0, sequence]);
        flood.extend(payload);
        sequence = sequence.wrapping_add(1);
        flood.len() < FLOOD
    };
    for head in [&b"\x01"[..], b"def", b"\xfe\0\0\x02\0"] {
        say(head);
    }
    while say(b"\0") {}
    flood.leak()
}

/// A description of one text column, then this row of PostgreSQL's again and again.
fn rows_of_postgres(row: &[u8]) -> &'static [u8] {
    let message = |kind: u8, body: &[u8]| {
        let length = u32::try_from(4 + body.len()).unwrap().to_be_bytes();
        [&[kind], &length[..], body].concat()
    };
    let column = b"\0\x01x\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0";
    let (mut flood, row) = (message(b'T', column), message(b'D', row));
    while flood.len() < FLOOD {
        flood.extend(&row);
    }
    flood.leak()
}

/// The error of a createSecret whose sessions all go by a server that answers the first question with
/// this flood: an admin's is which users there are. And that it took no more memory for that than `most`.
async fn flooded(
    (stage, measured): (&Stage, &Measured<'_>),
    (port, admin): (u16, Value),
    (flood, most): (&'static [u8], u64),
) -> String {
    let before = stage.document("AWSCURRENT");
    let lies = Way::Until(port, b"SELECT", Moment::Before, Then::Says(flood));
    let door = Door::new(lies).await;
    let through = |mut document: Value| {
        document["port"] = json!(door.port);
        document["ssl"] = json!(false);
        document
    };
    stage.put_current(&through(before.clone()));
    let put_admin = |document: &Value| {
        let value = NewValue::current(&new_token(), document.to_string().as_str());
        stage.store.put(&SecretId::parse("admin").unwrap(), value).unwrap();
    };
    put_admin(&through(admin.clone()));
    let manager = Manager::start(&stage.store).await.unwrap();
    let token = stage.begin();
    let mut running = measured.program().start(&manager.url()).await.unwrap();
    running.ready().await.unwrap();
    let event = events::step(Step::Create, stage.secret.as_str(), token.as_str());
    let error = running.invoke(&event).await.unwrap_err().to_string();
    let peak = running.end().await.unwrap().peak_memory;
    assert!(peak < most, "{peak} of {most}: {error}");
    stage.cancel();
    put_admin(&admin);
    stage.put_current(&before);
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn f11_a_lying_server_does_not_fill_the_memory() {
    let flood = rows();
    for server in mysqls().into_iter().chain(mariadb()) {
        // A server that reads its tables again forgets the admin's password, which plaintext does not show.
        let _seen = counting().await;
        let shop = mysql::Shop::bare(&server).await;
        let measured = Measured::new(&shop.stage, "rotate-mysql", server.variables());
        let [healthy, _] = measured.both(|| 0).await;
        let lies = (flood, healthy.peak_memory + MOST_MEMORY);
        let at = (server.port, server.document(&shop.admin));
        let error = flooded((&shop.stage, &measured), at, lies).await;
        assert!(error.contains("sends more than any server does"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f11_a_lying_postgresql_does_not_fill_the_memory() {
    // Very many rows of no cells, and one cell that is longer than a message may be.
    let huge = [&[0, 1][..], &(FLOOD as u32).to_be_bytes(), &vec![b'x'; FLOOD]].concat();
    let floods = [rows_of_postgres(&[0, 0]), rows_of_postgres(&huge)];
    for server in both_versions() {
        let shop = postgres::Shop::bare(&server).await;
        let measured = Measured::new(&shop.stage, "rotate-postgres", Vec::new());
        let [healthy, _] = measured.both(|| 0).await;
        for flood in floods {
            let at = (server.port, server.document(&shop.admin));
            let lies = (flood, healthy.peak_memory + MOST_MEMORY);
            let error = flooded((&shop.stage, &measured), at, lies).await;
            // Its stream ends, or the driver makes nothing of it, whichever is first.
            assert!(error.contains("the connection was lost"), "{error}");
        }
        shop.arrange("DROP DATABASE $first").await;
    }
}
