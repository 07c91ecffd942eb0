//! Whatever a SQL Server says, the session ends; nothing that was not said is read, and no error repeats
//! the password.
#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use rotate_sqlserver::fuzzing::{answer, session_over};
use script::{PASSWORD, Script, login};
use tokio::runtime::{Builder, Runtime};

#[path = "shared/script.rs"]
mod script;

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().enable_time().build().unwrap());

fuzz_target!(|script: &[u8]| {
    answer(script);
    let heard = Arc::default();
    let server = Script { rest: script.to_vec(), heard: Arc::clone(&heard) };
    let outcome = RUNTIME.block_on(session_over(server, &login()));
    assert!(!heard.lock().unwrap().is_empty(), "nobody logged in");
    match outcome {
        // A packet, an error or more, and DONE.
        Ok(_) => assert!(script.len() >= 8 + 8 + 13, "{script:?}"),
        Err(error) => assert!(!error.to_string().contains(PASSWORD), "{error}"),
    }
});
