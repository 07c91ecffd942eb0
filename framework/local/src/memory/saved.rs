//! The whole store as one text, and back: what outlives the process that has it.
//!
//! Every value stands in it as it is. What is not in it: the states before the last writes, of which stale
//! reads are served, the tokens that functions forwarded, versions that test a schedule, and faults.

mod secret;

use std::collections::BTreeSet;
use std::fmt;

use fourstep::SecretValue;
use serde::{Deserialize, Serialize};

use super::record::State;
use super::{MemoryStore, locked};
use secret::{OneRecord, SavedSecret, latest};

const FORMAT: &str = "secrets of fourstep serve";
/// Of the text's form. What reads another one says so, and reads nothing.
const FORM: u32 = 1;

/// What is wrong with a text beyond its JSON. Only these are shown: serde's own words may quote it.
const TWO_NAMES: &str = "two secrets have one name";
const NO_NAME: &str = "a secret has no name";
const NO_VERSION: &str = "a label is on a version that is not there";
const TWO_VALUES: &str = "a version has a text and bytes";
const NO_BASE64: &str = "the bytes of a version are no base64";
const KNOWN: [&str; 5] = [TWO_NAMES, NO_NAME, NO_VERSION, TWO_VALUES, NO_BASE64];

/// Why a text is no store: where, and nothing of what stands there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokenStore {
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
    /// What is wrong with it.
    pub what: String,
}

impl fmt::Display for BrokenStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "line {}, column {}: {}", self.line, self.column, self.what)
    }
}

impl std::error::Error for BrokenStore {}

impl From<serde_json::Error> for BrokenStore {
    fn from(error: serde_json::Error) -> Self {
        let said = error.to_string();
        let known = KNOWN.into_iter().find(|known| said.starts_with(known));
        let what = match error.classify() {
            serde_json::error::Category::Eof => "it ends too early",
            serde_json::error::Category::Data => {
                known.unwrap_or("something else belongs here, or more")
            }
            _ => "this is no JSON",
        };
        Self { line: error.line(), column: error.column(), what: what.to_owned() }
    }
}

impl MemoryStore {
    /// How many changes there were. It grows with every one, in the order in which they were made.
    pub fn revision(&self) -> u64 {
        self.state().revision
    }

    /// Everything in the store as one text, and the [revision](Self::revision) that it is of. It holds every
    /// value as it is. No API call, so faults do not apply.
    pub fn save(&self) -> (u64, SecretValue) {
        let state = self.state();
        let secrets = state.kept().map(|(key, record)| SavedSecret::of(key, record)).collect();
        let saved = Saved { format: FORMAT.to_owned(), form: FORM, secrets };
        // Strings, numbers and maps with texts for keys: none of them can fail.
        let text = serde_json::to_string_pretty(&saved).unwrap_or_default();
        (state.revision, SecretValue::Text((text + "\n").into()))
    }

    /// The store that [`save`](Self::save) made a text of.
    ///
    /// # Errors
    /// Where the text is none, and what is wrong there.
    pub fn load(text: &str) -> Result<Self, BrokenStore> {
        let Head { format, form } = serde_json::from_str(text)?;
        let other = |what: String| BrokenStore { line: 1, column: 1, what };
        if format.as_deref() != Some(FORMAT) {
            return Err(other("these are no secrets of `fourstep serve`".to_owned()));
        }
        if form != Some(FORM) {
            let what = "it has another form than the one that this fourstep reads and writes; another \
                        version of fourstep made it";
            return Err(other(what.to_owned()));
        }
        let Loaded { secrets, .. } = serde_json::from_str(text)?;
        let store = Self::new();
        let mut state = State::default();
        for OneRecord { key, record } in secrets.0 {
            state.clock.pass(latest(&record));
            state.insert_as(&key, record);
        }
        *locked(&store.state) = state;
        Ok(store)
    }
}

/// What every form begins with.
#[derive(Deserialize)]
struct Head {
    format: Option<String>,
    form: Option<u32>,
}

#[derive(Serialize)]
struct Saved {
    format: String,
    form: u32,
    secrets: Vec<SavedSecret>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Loaded {
    #[serde(rename = "format")]
    _format: String,
    #[serde(rename = "form")]
    _form: u32,
    secrets: Records,
}

#[derive(Deserialize)]
#[serde(try_from = "Vec<OneRecord>")]
struct Records(Vec<OneRecord>);

impl TryFrom<Vec<OneRecord>> for Records {
    type Error = &'static str;

    fn try_from(records: Vec<OneRecord>) -> Result<Self, Self::Error> {
        let keys = records.iter().map(|one| &one.key).collect::<BTreeSet<_>>().len();
        if keys < records.len() { Err(TWO_NAMES) } else { Ok(Self(records)) }
    }
}
