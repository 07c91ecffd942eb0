//! The secret file of a replay, kept safe: the database really gets a new password, so that
//! password must not be lost, wherever the replay stops.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fourstep::SecretValue;
use serde_json::{Value, json};

use crate::slips;

/// The key of bytes in a line of the journal, which are base64 there.
const BINARY: &str = "SecretBinary";

/// The file that holds the secret, and a journal beside it of values proposed since.
///
/// A value is in the journal before the step that could make it live; the file itself is replaced
/// only by a value that became AWSCURRENT and was seen to log in, and only then the journal goes.
/// One replay at a time uses a file: a second one could drop the first one's journal.
#[derive(Debug)]
pub struct SecretFile {
    path: PathBuf,
    journal: PathBuf,
    /// Whether it holds a SecretBinary.
    binary: bool,
    held: Held,
}

/// What is kept of a file that is used.
#[derive(Debug)]
enum Held {
    /// An empty file beside it, locked. It stays behind, because removing it would let two replays
    /// lock two files of that name.
    Lock { _file: File },
    /// Nothing: it is only read.
    Nothing,
    /// What came through a pipe, which is read once.
    Value(SecretValue),
}

impl SecretFile {
    /// The file at `path`, links followed, locked until this is dropped. Its journal is that path
    /// with `.journal` appended. What is in it is a SecretString, or, if `binary`, a SecretBinary.
    ///
    /// # Errors
    /// If there is no such file, or another replay uses it.
    pub fn open(path: &Path, binary: bool) -> io::Result<Self> {
        if slips::is_pipe(path) {
            let what = "--secret: a rotation writes the new password back, and there is no file to \
                        write it to. Put the value into one, `... | (umask 077 && cat \
                        >secret.json)`, and name that; what changes nothing reads a pipe: \
                        preflight, plan, inspect and replay --test-only";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        let mut file = Self::look(path, binary)?;
        let lock = beside(&file.path, ".lock");
        let locked = OpenOptions::new().create(true).append(true).mode(0o600).open(&lock);
        let locked = locked.map_err(|error| {
            let what = format!(
                "no file can be made in the folder of --secret, and a replay keeps a lock and new \
                 passwords beside it: {error}"
            );
            named(&lock, &io::Error::new(error.kind(), what))
        })?;
        locked.try_lock().map_err(|_| {
            io::Error::other(format!("{}: another replay uses this file", file.path.display()))
        })?;
        file.held = Held::Lock { _file: locked };
        Ok(file)
    }

    /// The same to be read only, which needs no right to write and no lock: a file, a pipe, or standard
    /// input, which `-` names.
    ///
    /// # Errors
    /// If there is no such file, or what comes through the pipe is no secret's value.
    pub fn look(path: &Path, binary: bool) -> io::Result<Self> {
        let path = match slips::is_pipe(path) {
            true => path.to_owned(),
            false => {
                fs::canonicalize(path).map_err(|error| slips::secret("--secret", path, &error))?
            }
        };
        let journal = beside(&path, ".journal");
        let mut file = Self { path, journal, binary, held: Held::Nothing };
        if slips::is_pipe(&file.path) {
            file.held = Held::Value(file.value(slips::read("--secret", &file.path)?)?);
        }
        Ok(file)
    }

    /// Six letters, the same for this file every time: the end of its secret's ARN, which a rotator
    /// may write at the target and must find again.
    pub fn letters(&self) -> String {
        let path = match &self.held {
            Held::Value(_) => Path::new(slips::STANDARD_INPUT),
            _ => &self.path,
        };
        letters(path.as_os_str().as_bytes())
    }

    /// Where values proposed since are kept.
    pub fn journal(&self) -> &Path {
        &self.journal
    }

    /// The secret value: the file's text, without the line end that editors add, or its bytes.
    ///
    /// # Errors
    /// If the file cannot be read, is empty, or holds no text and was not said to be bytes.
    pub fn read(&self) -> io::Result<SecretValue> {
        match &self.held {
            Held::Value(value) => Ok(value.clone()),
            _ => self.value(fs::read(&self.path).map_err(|error| named(&self.path, &error))?),
        }
    }

    fn value(&self, bytes: Vec<u8>) -> io::Result<SecretValue> {
        let invalid =
            |what| Err(named(&self.path, &io::Error::new(io::ErrorKind::InvalidData, what)));
        if self.binary && !bytes.is_empty() {
            return Ok(SecretValue::Binary(bytes.into()));
        }
        let Ok(text) = std::str::from_utf8(&bytes) else {
            return invalid(
                "the file holds no text; if the secret is a SecretBinary, add --binary",
            );
        };
        match text.trim_end_matches(['\r', '\n']) {
            "" => invalid("the file is empty"),
            text => Ok(text.into()),
        }
    }

    /// Values that an earlier replay proposed and did not see promoted, oldest first.
    ///
    /// # Errors
    /// If there is a journal and it cannot be read.
    pub fn proposed(&self) -> io::Result<Vec<SecretValue>> {
        if matches!(self.held, Held::Value(_)) {
            return Ok(Vec::new());
        }
        let bytes = match fs::read(&self.journal) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            bytes => bytes.map_err(|error| named(&self.journal, &error))?,
        };
        // A last line cut short by a crash, perhaps inside a character, was never handed to a step.
        let lines = bytes.split(|&byte| byte == b'\n');
        Ok(lines.filter_map(value_of).collect())
    }

    /// Notes a value before it may become live. One that is noted already is not noted again.
    ///
    /// # Errors
    /// If it cannot be written and synced; the replay must stop then.
    pub fn note(&self, value: &SecretValue) -> io::Result<()> {
        let same = |noted: &SecretValue| noted.same_as(value);
        if same(&self.read()?) || self.proposed()?.iter().any(same) {
            return Ok(());
        }
        self.append(value).map_err(|error| named(&self.journal, &error))
    }

    fn append(&self, value: &SecretValue) -> io::Result<()> {
        // Nobody else may have put one there for us to write into.
        if fs::symlink_metadata(&self.journal).is_ok_and(|found| !found.is_file()) {
            return Err(io::Error::other("it is not a regular file"));
        }
        let mut journal =
            OpenOptions::new().create(true).append(true).mode(0o600).open(&self.journal)?;
        // The mode above counts only for a new file, and only its owner may change it.
        journal.set_permissions(fs::Permissions::from_mode(0o600))?;
        let line = line_of(value);
        // The line end comes first too, so that a line cut short spoils only itself.
        write!(journal, "\n{line}\n")?;
        journal.sync_all()
    }

    /// Makes `value` the file's content, at once or not at all, and drops the journal, but for
    /// the values in `kept`.
    ///
    /// # Errors
    /// If the file cannot be replaced, or held the other kind of value; the journal is still there
    /// then.
    pub fn replace(&self, value: &SecretValue, kept: &[SecretValue]) -> io::Result<()> {
        if matches!(value, SecretValue::Binary(_)) != self.binary {
            let what = "the rotator stored a SecretString where there was a SecretBinary, or the \
                        other way round; the new value is in the journal";
            return Err(named(&self.journal, &io::Error::other(what)));
        }
        self.swap(value).map_err(|error| named(&self.path, &error))?;
        self.drop_journal(kept).map_err(|error| named(&self.journal, &error))
    }

    fn drop_journal(&self, kept: &[SecretValue]) -> io::Result<()> {
        if kept.is_empty() {
            return match fs::remove_file(&self.journal) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            };
        }
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        let mut next = tempfile::NamedTempFile::new_in(folder)?;
        for value in kept {
            writeln!(next, "{}", line_of(value))?;
        }
        next.as_file().sync_all()?;
        next.persist(&self.journal)?;
        Ok(())
    }

    fn swap(&self, value: &SecretValue) -> io::Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        let mut next = tempfile::NamedTempFile::new_in(folder)?;
        next.write_all(value.expose_bytes())?;
        if !self.binary {
            next.write_all(b"\n")?;
        }
        // Never more readable than it was.
        let mode = fs::metadata(&self.path)?.permissions().mode();
        next.as_file().set_permissions(fs::Permissions::from_mode(mode))?;
        next.as_file().sync_all()?;
        next.persist(&self.path)?;
        Ok(())
    }
}

/// Six letters of these bytes, the same every time.
pub fn letters(of: &[u8]) -> String {
    // FNV-1a, 64 bits.
    let mut hash = of.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mut letters = String::new();
    for _ in 0..6 {
        let letter = u8::try_from(hash % 26).unwrap_or_default();
        letters.push(char::from(b'a' + letter));
        hash /= 26;
    }
    letters
}

/// The path with this appended to its name.
pub fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// A value as a line of the journal: a text as JSON's string, bytes in an object.
fn line_of(value: &SecretValue) -> String {
    match value {
        SecretValue::Text(_) => {
            Value::from(String::from_utf8_lossy(value.expose_bytes())).to_string()
        }
        SecretValue::Binary(_) => {
            json!({BINARY: STANDARD.encode(value.expose_bytes())}).to_string()
        }
    }
}

/// The value of a line; none if it was cut short.
fn value_of(line: &[u8]) -> Option<SecretValue> {
    match serde_json::from_slice::<Value>(line).ok()? {
        Value::String(text) => Some(SecretValue::Text(text.into())),
        Value::Object(fields) => {
            let bytes = STANDARD.decode(fields.get(BINARY)?.as_str()?).ok()?;
            Some(SecretValue::Binary(bytes.into()))
        }
        _ => None,
    }
}

/// The same error, naming the file it is about.
pub(super) fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests;
