//! A server that says more than any server does: it cannot fill the function's memory.

use fourstep::{SecretId, Step};
use fourstep_bench::manager::Manager;
use fourstep_cli::events;
use fourstep_local::NewValue;
use serde_json::{Value, json};

use super::mysql;
use super::size::Measured;
use crate::support::door::{Door, Moment, Then, Way};
use crate::support::mysql::{mariadb, mysqls};
use crate::support::stage::new_token;

/// What a server may take of the function's memory, in bytes.
const MOST_MEMORY: u64 = 32 << 20;

/// As much as it says, in bytes.
const FLOOD: usize = 40 << 20;

/// Rows of one empty cell, without an end: the shortest that there are.
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

#[tokio::test(flavor = "multi_thread")]
async fn f11_a_lying_server_does_not_fill_the_memory() {
    let flood = rows();
    for server in mysqls().into_iter().chain(mariadb()) {
        let shop = mysql::Shop::bare(&server).await;
        let measured = Measured::new(&shop.stage, "rotate-mysql", server.variables());
        let [healthy, _] = measured.both(|| 0).await;
        // What an admin's session reads first: which users there are.
        let lies = Way::Until(server.port, b"SELECT", Moment::Before, Then::Says(flood));
        let door = Door::new(lies).await;
        let through = |mut document: Value| {
            document["port"] = json!(door.port);
            document["ssl"] = json!(false);
            document
        };
        shop.stage.put_current(&through(shop.stage.document("AWSCURRENT")));
        let admin = through(server.document(&shop.admin)).to_string();
        let store = &shop.stage.store;
        let value = NewValue::current(&new_token(), admin.as_str());
        store.put(&SecretId::parse("admin").unwrap(), value).unwrap();
        let manager = Manager::start(&shop.stage.store).await.unwrap();
        let token = shop.stage.begin();
        let mut running = measured.program().start(&manager.url()).await.unwrap();
        running.ready().await.unwrap();
        let event = events::step(Step::Create, shop.stage.secret.as_str(), token.as_str());
        let error = running.invoke(&event).await.unwrap_err().to_string();
        assert!(error.contains("sends more than any server does"), "{error}");
        let peak = running.end().await.unwrap().peak_memory;
        assert!(peak < healthy.peak_memory + MOST_MEMORY, "{peak} beside {healthy:?}");
    }
}
