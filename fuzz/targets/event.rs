//! Whatever an event holds, decoding ends; what is accepted is legal; and an error is one of a few
//! sentences that are known beforehand, so it repeats nothing of the event.
#![no_main]

use fourstep::{Request, Step};
use libfuzzer_sys::fuzz_target;

const FIELDS: [&str; 5] = ["Fourstep", "SecretId", "ClientRequestToken", "Step", "RotationToken"];
const COMPLAINTS: [&str; 9] = [
    "is missing",
    "is not a string",
    "is empty",
    "contains characters that are not printable ASCII",
    "must be 1 to 2048 characters long",
    "must be 32 to 64 characters long",
    "must be 36 to 256 letters, digits or hyphens",
    "must be createSecret, setSecret, testSecret or finishSecret",
    "must be inspect",
];

fn known(message: &str) -> bool {
    message == "the event is not a JSON object"
        || FIELDS.iter().any(|field| {
            let rest = message.strip_prefix("the event's ").and_then(|it| it.strip_prefix(field));
            rest.is_some_and(|rest| COMPLAINTS.iter().any(|what| rest.trim_start() == *what))
        })
}

fuzz_target!(|data: &[u8]| {
    let Ok(event) = serde_json::from_slice::<serde_json::Value>(data) else { return };
    match Request::decode(&event) {
        Ok(Request::Rotate(rotation)) => {
            let step = event["Step"].as_str().and_then(Step::parse);
            assert_eq!(Some(rotation.step), step, "an unknown step was accepted");
            assert_eq!(Some(rotation.token.as_str()), event["ClientRequestToken"].as_str());
            assert!((32..=64).contains(&rotation.token.as_str().len()));
        }
        Ok(Request::Inspect(secret)) => {
            assert_eq!(Some(secret.as_str()), event["SecretId"].as_str())
        }
        Err(error) => assert!(known(&error.to_string()), "it says {error}"),
    }
});
