//! Whatever a MySQL server says, the session ends; the password itself is sent inside TLS only, and
//! no error repeats it.
#![no_main]

use std::sync::{Arc, LazyLock};

use fourstep::net::Transport;
use libfuzzer_sys::fuzz_target;
use rotate_mysql::fuzzing::{Session, session_over};
use script::{PASSWORD, Script, login};
use tokio::runtime::{Builder, Runtime};

#[path = "shared/script.rs"]
mod script;

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().build().unwrap());

fuzz_target!(|data: &[u8]| {
    let Some((&flags, script)) = data.split_first() else { return };
    // A greeting that happens to hold it is quoted: its server has heard nothing yet.
    if script.windows(PASSWORD.len()).any(|bytes| bytes == PASSWORD.as_bytes()) {
        return;
    }
    let secure = flags & 1 == 1;
    let transport = if secure { Transport::Tls } else { Transport::Plaintext };
    let heard = Arc::default();
    let server = Script { rest: script.to_vec(), heard: Arc::clone(&heard) };
    let outcome = RUNTIME.block_on(session_over(server, &login(), transport));
    let told =
        heard.lock().unwrap().windows(PASSWORD.len()).any(|bytes| bytes == PASSWORD.as_bytes());
    assert!(secure || !told, "the password was sent without TLS");
    match outcome {
        // A greeting, an answer to the login, and the answer to a statement.
        Ok(Session::Open(rows)) => assert!(script.len() >= 45 + 5 + 5, "{rows:?}"),
        Ok(Session::Refused) => {}
        Err(error) => assert!(!error.to_string().contains(PASSWORD), "{error}"),
    }
});
