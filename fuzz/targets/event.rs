//! Whatever an event holds, decoding ends; what is accepted is legal; and an error is one of a few
//! sentences that are known beforehand, so it repeats nothing of the event.
#![no_main]

use fourstep::{Request, Step};
use libfuzzer_sys::fuzz_target;

#[path = "../../framework/src/event/complaints.rs"]
mod complaints;

fuzz_target!(|data: &[u8]| {
    let Ok(event) = serde_json::from_slice::<serde_json::Value>(data) else { return };
    match Request::decode(&event) {
        Ok(Request::Rotate(rotation)) => {
            let step = event["Step"].as_str().and_then(Step::parse);
            assert_eq!(Some(rotation.step), step, "an unknown step was accepted");
            assert_eq!(Some(rotation.token.as_str()), event["ClientRequestToken"].as_str());
            assert!((32..=64).contains(&rotation.token.as_str().len()));
        }
        Ok(Request::Ask(_, secret)) => {
            assert_eq!(Some(secret.as_str()), event["SecretId"].as_str())
        }
        Err(error) => assert!(complaints::is_known(&error.to_string()), "it says {error}"),
    }
});
