//! Whatever a Redis server says, the session ends; the password is sent only once the other side has
//! spoken the protocol, and no error repeats it.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use rotate_redis::fuzzing::session_against;
use tokio::runtime::{Builder, Runtime};

/// Looked for as it is: the fuzzer sees what it is compared with, and would soon know any other form.
const PASSWORD: &str = "canary-password-of-the-fuzzer";

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().enable_time().build().unwrap());

fuzz_target!(|script: &[u8]| {
    // What happens to hold it may be quoted: its server has heard nothing yet.
    if script.windows(PASSWORD.len()).any(|bytes| bytes == PASSWORD.as_bytes()) {
        return;
    }
    let password = PASSWORD.into();
    let session = session_against(script.to_vec(), &password);
    let (outcome, heard) = RUNTIME.block_on(session);
    let told = heard.windows(PASSWORD.len()).any(|bytes| bytes == PASSWORD.as_bytes());
    let spoke = script.first().is_some_and(|kind| b"+-$".contains(kind));
    assert!(spoke || !told, "the password was sent to what does not speak the protocol");
    match outcome {
        // An answer to the PING, one to the login, and six more.
        Ok(true) => assert!(script.len() > 40, "{script:?}"),
        Ok(false) => assert!(told),
        Err(error) => assert!(!error.to_string().contains(PASSWORD), "{error}"),
    }
});
