//! The file that `fourstep migrate` keeps: what each secret's rotation was before it was moved. It is
//! written before a secret is touched, whole or not at all, and holds no value of a secret.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::account::aws::Rules;
use crate::account::text::{clean, in_command, word};

/// What the file says that it is.
const FORMAT: &str = "fourstep migrate 1";

/// The largest file that is read, in bytes: more moves than an account has secrets.
const LARGEST: u64 = 64 * 1024 * 1024;

/// How a move is to end, or ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Our function rotates the secret, and its test succeeded.
    Moved,
    /// The secret is as it was.
    NotMoved,
    /// It was moved, and then put back.
    Back,
    /// Somebody changed its rotation since: it is left.
    Left,
}

impl Outcome {
    const ALL: [Self; 4] = [Self::Moved, Self::NotMoved, Self::Back, Self::Left];

    /// As the file has it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Moved => "moved",
            Self::NotMoved => "not moved",
            Self::Back => "back",
            Self::Left => "left",
        }
    }
}

/// A secret that was, or was to be, moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its ARN.
    pub secret: String,
    /// Its name.
    pub name: String,
    /// The ARN of the function that rotated it.
    pub old: String,
    /// When it rotated.
    pub rules: Option<Rules>,
    /// The ARN of our function.
    pub new: String,
    /// AWS's template.
    pub template: String,
    /// The id of the version that is tested.
    pub token: String,
    /// When it was moved, in seconds since 1970.
    pub at: i64,
    /// Its last rotation before that, in seconds since 1970.
    pub last: Option<i64>,
    /// How it is to end.
    pub outcome: Outcome,
    /// Whether it ended so; not where the command was stopped before it knew.
    pub ended: bool,
}

impl Entry {
    /// How it is named in a command that a person types.
    pub(super) fn in_command(&self) -> &str {
        in_command(&self.name, &self.secret)
    }
}

/// The file, held by one command at a time.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    entries: Vec<Entry>,
    _lock: File,
}

impl Ledger {
    /// Opens the file. One that is not there is empty, unless it `must_exist`.
    ///
    /// # Errors
    /// If it cannot be read or locked, or is no such file.
    pub fn open(path: &Path, must_exist: bool) -> io::Result<Self> {
        let path = match fs::canonicalize(path) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound && !must_exist => path.to_owned(),
            Err(error) => return Err(named(path, &error)),
        };
        let mut lock = path.as_os_str().to_owned();
        lock.push(".lock");
        let lock = PathBuf::from(lock);
        if lock.is_symlink() {
            return Err(named(&lock, &io::Error::other("it is a link: take it away")));
        }
        let held = OpenOptions::new().create(true).append(true).mode(0o600).open(&lock);
        let held = held.map_err(|error| named(&lock, &error))?;
        held.try_lock().map_err(|_| {
            let what = "another fourstep migrate uses this file: let it end, or name another";
            named(&path, &io::Error::other(what))
        })?;
        let entries = Self::read(&path)?;
        Ok(Self { path, entries, _lock: held })
    }

    /// What the file says, without holding it. One that is not there says nothing.
    ///
    /// # Errors
    /// If it cannot be read, or is no such file.
    pub fn read(path: &Path) -> io::Result<Vec<Entry>> {
        let refused = |what: String| named(path, &io::Error::new(io::ErrorKind::InvalidData, what));
        match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(named(path, &error)),
            Ok(found) if !found.is_file() => return Err(refused("it is not a file".into())),
            Ok(found) if found.len() > LARGEST => return Err(refused("it is too large".into())),
            Ok(_) => {}
        }
        let bytes = fs::read(path).map_err(|error| named(path, &error))?;
        entries(&bytes).map_err(refused)
    }

    /// What the person types to put a secret back, with the options of the account.
    pub(super) fn way_back(&self, entry: &Entry, options: &str) -> String {
        let path = self.path.display().to_string();
        let (path, secret) = (word(&path), word(entry.in_command()));
        format!("fourstep migrate --back {path} {secret} {options}")
    }

    /// The moves, in their order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Notes a move in the place of an earlier one of the same secret, before anything is changed.
    ///
    /// # Errors
    /// If it cannot be written and synced; nothing may be changed then.
    pub fn note(&mut self, entry: Entry) -> io::Result<()> {
        match self.entries.iter_mut().find(|one| one.secret == entry.secret) {
            Some(place) => *place = entry,
            None => self.entries.push(entry),
        }
        self.write().map_err(|error| named(&self.path, &error))
    }

    fn write(&self) -> io::Result<()> {
        let folder = match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let moves: Vec<_> = self.entries.iter().map(object).collect();
        // Its mode is 0600, for nobody else needs to read it.
        let mut next = tempfile::NamedTempFile::new_in(folder)?;
        serde_json::to_writer_pretty(&mut next, &json!({"format": FORMAT, "moves": moves}))?;
        next.write_all(b"\n")?;
        next.as_file().sync_all()?;
        next.persist(&self.path)?;
        File::open(folder)?.sync_all()
    }
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

fn object(entry: &Entry) -> Value {
    let rules = entry.rules.as_ref().map(
        |rules| json!({"schedule": rules.schedule, "window": rules.window, "days": rules.days}),
    );
    json!({
        "secret": entry.secret,
        "name": entry.name,
        "old_function": entry.old,
        "old_rules": rules,
        "new_function": entry.new,
        "template": entry.template,
        "version": entry.token,
        "at": entry.at,
        "last_rotated": entry.last,
        "outcome": entry.outcome.word(),
        "ended": entry.ended,
    })
}

/// The moves of a file.
fn entries(bytes: &[u8]) -> Result<Vec<Entry>, String> {
    let file: Value =
        serde_json::from_slice(bytes).map_err(|error| format!("it is no JSON: {error}"))?;
    if file.get("format").and_then(Value::as_str) != Some(FORMAT) {
        return Err(format!("it is no file of fourstep migrate: \"format\" is not {FORMAT:?}"));
    }
    let moves = file.get("moves").and_then(Value::as_array).ok_or("\"moves\" is no list")?;
    let each = moves.iter().enumerate();
    each.map(|(at, one)| entry(one).map_err(|what| format!("moves[{at}]: {what}"))).collect()
}

fn entry(object: &Value) -> Result<Entry, String> {
    let text = |field: &str| {
        let text = object.get(field).and_then(Value::as_str).map(str::to_owned);
        text.ok_or_else(|| format!("{field:?} is no text"))
    };
    let arn = |field: &str, service: &str| {
        let text = text(field)?;
        let mut parts = text.split(':');
        let good = parts.next() == Some("arn") && parts.nth(1) == Some(service);
        if good { Ok(text) } else { Err(format!("{field:?} is no ARN of {service}")) }
    };
    let number = |field: &str| match object.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_i64().map(Some).ok_or_else(|| format!("{field:?} is no number")),
    };
    let word = text("outcome")?;
    let outcome = Outcome::ALL.into_iter().find(|one| word == one.word());
    Ok(Entry {
        secret: arn("secret", "secretsmanager")?,
        name: text("name")?,
        old: arn("old_function", "lambda")?,
        rules: object.get("old_rules").map(rules).transpose()?.flatten(),
        new: arn("new_function", "lambda")?,
        template: text("template")?,
        token: text("version")?,
        at: number("at")?.ok_or("\"at\" is no number")?,
        last: number("last_rotated")?,
        outcome: outcome.ok_or_else(|| format!("\"outcome\" is {}", clean(&word)))?,
        ended: object.get("ended").and_then(Value::as_bool).ok_or("\"ended\" is no boolean")?,
    })
}

fn rules(value: &Value) -> Result<Option<Rules>, String> {
    if value.is_null() {
        return Ok(None);
    }
    let text = |field: &str| match value.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(format!("\"old_rules\": {field:?} is no text")),
    };
    let days = match value.get("days") {
        None | Some(Value::Null) => None,
        Some(days) => Some(days.as_i64().ok_or("\"old_rules\": \"days\" is no number")?),
    };
    Ok(Some(Rules { schedule: text("schedule")?, window: text("window")?, days }))
}
