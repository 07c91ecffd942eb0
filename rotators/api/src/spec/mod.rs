//! The specification of a vendor: a TOML file, read strictly, that says which requests to make and
//! what their answers mean.

mod check;
mod later;
mod place;
mod presentation;
mod request;

use serde::Deserialize;

pub use check::{Complaint, Specification};
pub use presentation::{Basic, ClientCredentials, Named, Presentation};
pub use request::{
    Alike, Body, Caller, Describe, Issue, IssueAnswer, List, Pages, Revoke, Roll, TimeFormat,
    Update, Verify,
};

pub(crate) use check::{compares, named_only, unproven_choice};
pub(crate) use place::{Hole, Template, Values};
pub(crate) use request::Parts;

/// A vendor, or a service of one's own, and how its keys are rotated.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// What is rotated, for people: "SendGrid API keys".
    pub name: String,
    /// The vendor's documents that this was written from.
    pub documents: Vec<String>,
    /// The day on which they were read, as in 2026-11-22.
    pub read_on: String,
    /// Where requests go, as in `https://api.example.com/v2`. It is https, but for 127.0.0.1 and
    /// `[::1]` in tests.
    pub base_url: String,
    /// The hosts of which a secret names one, where `base_url` takes it from there, as in
    /// `https://{secret.host}/v2`: `api.example.com`, or `api.example.com:8443`. They are compared as
    /// text. The admin's secret has that field too, and its credential goes to no other host.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// What the secret in Secrets Manager looks like.
    #[serde(default)]
    pub secret: SecretShape,
    /// How the credential is shown to the vendor.
    pub credential: Presentation,
    /// How the admin's credential is shown. Its secret is named by the function's variable
    /// `ADMIN_SECRET`; where that lists several, by the rotated secret's field `masterarn`.
    pub admin: Option<Presentation>,
    /// What the vendor offers.
    #[serde(default)]
    pub terms: Terms,
    /// Asks whether a credential works.
    pub verify: Verify,
    /// Looks at one key, for its rights or to see whose value it has; `{id}` is the id in the secret.
    /// Beside `[roll]`: shows the values that there are. Beside `[update]`: what that keeps.
    pub describe: Option<Describe>,
    /// For keys that the vendor makes: makes one.
    pub issue: Option<Issue>,
    /// For keys that the vendor makes: lists them.
    pub list: Option<List>,
    /// For keys that the vendor makes: revokes one. More than one request where the vendor wants
    /// a key to be switched off before it is deleted.
    #[serde(default)]
    pub revoke: Vec<Revoke>,
    /// For a credential whose value the function makes: sets it.
    pub update: Option<Update>,
    /// For a value that is set: two users take turns, and only that of the other one is set.
    pub pair: Option<Pair>,
    /// For a value that the vendor makes anew in its place, and shows: has it made.
    pub roll: Option<Roll>,
}

/// Two users that the secret names in turn, in the field that `id` in `[secret]` says: the function's
/// `USER_PAIRS` names both.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Pair {
    /// The requests that find each user, and what both must have alike.
    pub alike: Vec<Alike>,
}

/// What the secret in Secrets Manager looks like.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct SecretShape {
    /// Whether the whole secret is the credential, and no JSON object.
    pub plain_text: bool,
    /// The field that holds the credential.
    pub key: String,
    /// The field that holds the vendor's name for the key, where the vendor makes keys, or for the
    /// slot that it is in.
    pub id: String,
    /// How a key begins, where the id is part of it, as in `SG.{id}.`. It proves that key and id
    /// belong together.
    pub key_begins: Option<String>,
    /// How a key ends, where the id stands there. With `key_begins` both must hold.
    pub key_ends: Option<String>,
    /// What a generated credential leaves out, unless the function's `EXCLUDE_CHARACTERS` says
    /// otherwise.
    pub exclude_characters: String,
}

impl SecretShape {
    /// Whether a key holds its id.
    pub(crate) fn holds_id(&self) -> bool {
        self.key_begins.is_some() || self.key_ends.is_some()
    }
}

impl Default for SecretShape {
    fn default() -> Self {
        Self {
            plain_text: false,
            key: "key".to_owned(),
            id: "key_id".to_owned(),
            key_begins: None,
            key_ends: None,
            exclude_characters: "/@\"'\\".to_owned(),
        }
    }
}

/// What the vendor offers.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Terms {
    /// How a key is known to be ours.
    pub ownership: Ownership,
    /// How many keys may live at once, if there is a limit.
    pub keys: Option<usize>,
    /// How long the vendor may take until a new key works everywhere.
    pub propagation_seconds: u64,
    /// How long a key works on, at the least, after the next one was issued.
    pub grace_seconds: u64,
    /// How many values an update tries in one step, at most six: fewer than the vendor locks an
    /// account after.
    pub attempts: usize,
    /// How many requests a second the vendor allows.
    pub requests_per_second: Option<u32>,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            ownership: Ownership::Labels,
            keys: None,
            propagation_seconds: 0,
            grace_seconds: 0,
            attempts: 6,
            requests_per_second: None,
        }
    }
}

/// How a key is known to be ours. Only such a key is ever revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Ownership {
    /// It carries our label, or a version of the secret holds it.
    Labels,
    /// A version of the secret holds it: the vendor keeps no labels.
    Stored,
    /// The account is for this secret only, so every key of it is ours.
    Account,
}

impl From<Ownership> for fourstep::vendor::Ownership {
    fn from(ownership: Ownership) -> Self {
        match ownership {
            Ownership::Labels => Self::Labels,
            Ownership::Stored => Self::Stored,
            Ownership::Account => Self::Account,
        }
    }
}
