//! Whatever a server says at the login, the login ends: accepted only after a question, and with an
//! error that does not repeat the password.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use rotate_postgres::fuzzing::{log_in_against, quoted};
use tokio::runtime::{Builder, Runtime};

/// Looked for as it is: the fuzzer sees what it is compared with, and would soon know any other form.
const PASSWORD: &str = "canary-password-of-the-fuzzer";

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().build().unwrap());

fuzz_target!(|data: &[u8]| {
    let Some((&flags, script)) = data.split_first() else { return };
    assert!(!quoted(script, PASSWORD).contains(PASSWORD));
    let weak = flags & 1 == 1;
    let ended = RUNTIME.block_on(log_in_against(script.to_vec(), &PASSWORD.into(), weak));
    match ended {
        // AuthenticationOk and ReadyForQuery at least, behind some question; and no proof of SCRAM
        // can be in a script, so it was the password itself that was asked for.
        Ok(Some(greeting)) => assert!(weak && greeting >= 15 && script.len() >= greeting + 9),
        Ok(None) => {}
        Err(error) => assert!(!error.to_string().contains(PASSWORD), "{error}"),
    }
});
