//! What an error about an event may say: for the properties here, and by its path for the fuzzer.

/// The fields of an event.
pub(super) const FIELDS: [&str; 5] =
    ["Step", "SecretId", "ClientRequestToken", "RotationToken", "Fourstep"];

/// Everything that an error says after the name of a field. The list is closed, so no error can
/// repeat anything of the event.
const COMPLAINTS: [&str; 9] = [
    "is missing",
    "is not a string",
    "is empty",
    "contains characters that are not printable ASCII",
    "must be 1 to 2048 characters long",
    "must be 32 to 64 characters long",
    "must be 36 to 256 letters, digits or hyphens",
    "must be createSecret, setSecret, testSecret or finishSecret",
    "must be inspect, preflight or plan",
];

/// Whether an error says one of these sentences and nothing else.
pub(super) fn is_known(message: &str) -> bool {
    let about = message.strip_prefix("the event's ").unwrap_or_default();
    let complains = |field: &&str| {
        let what = about.strip_prefix(*field).and_then(|rest| rest.strip_prefix(' '));
        what.is_some_and(|what| COMPLAINTS.contains(&what))
    };
    message == "the event is not a JSON object" || FIELDS.iter().any(complains)
}
