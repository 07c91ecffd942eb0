//! Whatever a server says at the login, the login ends: accepted only after a question, and with an
//! error that does not repeat the password.
#![no_main]

use std::sync::{Arc, LazyLock};

use fourstep::users::Login;
use libfuzzer_sys::fuzz_target;
use rotate_postgres::fuzzing::{log_in_over, quoted};
use script::{PASSWORD, Script, login};
use tokio::runtime::{Builder, Runtime};

#[path = "shared/script.rs"]
mod script;

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().build().unwrap());

fuzz_target!(|data: &[u8]| {
    let Some((&flags, script)) = data.split_first() else { return };
    assert!(!quoted(script, &PASSWORD.into()).contains(PASSWORD));
    let weak = flags & 1 == 1;
    let engine = (flags & 2 == 2).then_some("redshift");
    let login = Login { engine, ..login() };
    let server = Script { rest: script.to_vec(), heard: Arc::default() };
    let ended = RUNTIME.block_on(log_in_over(server, &login, weak));
    match ended {
        // AuthenticationOk and ReadyForQuery at least, behind some question; and no proof of SCRAM
        // can be in a script, so it was the password itself that was asked for.
        Ok(Some(greeting)) => assert!(weak && greeting >= 15 && script.len() >= greeting + 9),
        Ok(None) => {}
        Err(error) => assert!(!error.to_string().contains(PASSWORD), "{error}"),
    }
});
