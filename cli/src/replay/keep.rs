//! The secret file of a replay, kept safe: the database really gets a new password, so that
//! password must not be lost, wherever the replay stops.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use fourstep::{ExposeSecret, SecretString};

/// The file that holds the secret, and a journal beside it of values proposed since.
///
/// A value is in the journal before any step that could make it live; the file itself is replaced
/// only by the value that became AWSCURRENT, and only then the journal goes.
#[derive(Debug)]
pub struct SecretFile {
    path: PathBuf,
    journal: PathBuf,
}

impl SecretFile {
    /// The file at `path`; its journal is `path` with `.journal` appended.
    pub fn new(path: &Path) -> Self {
        let mut journal = path.as_os_str().to_owned();
        journal.push(".journal");
        Self { path: path.to_owned(), journal: journal.into() }
    }

    /// Where values proposed since are kept.
    pub fn journal(&self) -> &Path {
        &self.journal
    }

    /// The secret value: the file's text, without the line end that editors add.
    ///
    /// # Errors
    /// If the file cannot be read or is empty.
    pub fn read(&self) -> io::Result<SecretString> {
        let text = fs::read_to_string(&self.path)?;
        let text = text.trim_end_matches(['\r', '\n']);
        if text.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the file is empty"));
        }
        Ok(text.into())
    }

    /// Values that an earlier replay proposed and did not see promoted, oldest first.
    ///
    /// # Errors
    /// If there is a journal and it cannot be read.
    pub fn proposed(&self) -> io::Result<Vec<SecretString>> {
        let text = match fs::read_to_string(&self.journal) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            text => text?,
        };
        // A last line cut short by a crash was never handed to a step.
        let values = text.lines().filter_map(|line| serde_json::from_str::<String>(line).ok());
        Ok(values.map(SecretString::from).collect())
    }

    /// Notes a value before it may become live.
    ///
    /// # Errors
    /// If it cannot be written and synced; the replay must stop then.
    pub fn note(&self, value: &SecretString) -> io::Result<()> {
        let mut journal =
            OpenOptions::new().create(true).append(true).mode(0o600).open(&self.journal)?;
        let line = serde_json::Value::from(value.expose_secret()).to_string();
        // The line end comes first too, so that a line cut short spoils only itself.
        write!(journal, "\n{line}\n")?;
        journal.sync_all()
    }

    /// Makes `value` the file's content, at once or not at all, and drops the journal.
    ///
    /// # Errors
    /// If the file cannot be replaced; the journal is still there then.
    pub fn replace(&self, value: &SecretString) -> io::Result<()> {
        let folder = match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let mut next = tempfile::NamedTempFile::new_in(folder)?;
        writeln!(next, "{}", value.expose_secret())?;
        // Never more readable than it was.
        let mode = fs::metadata(&self.path)?.permissions().mode();
        next.as_file().set_permissions(fs::Permissions::from_mode(mode))?;
        next.as_file().sync_all()?;
        next.persist(&self.path)?;
        match fs::remove_file(&self.journal) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_safe_before_it_lives_and_the_file_is_replaced_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret.json");
        fs::write(&path, "{\"password\":\"old\"}\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let file = SecretFile::new(&path);
        assert_eq!(file.read().unwrap().expose_secret(), "{\"password\":\"old\"}");
        file.note(&"line\nbreak".to_owned().into()).unwrap();
        file.note(&"second".to_owned().into()).unwrap();
        // A crash in the middle of a line leaves the earlier ones readable.
        let mut journal = OpenOptions::new().append(true).open(file.journal()).unwrap();
        write!(journal, "\n\"cut sho").unwrap();
        let proposed = file.proposed().unwrap();
        let texts: Vec<&str> = proposed.iter().map(ExposeSecret::expose_secret).collect();
        assert_eq!(texts, ["line\nbreak", "second"]);
        file.replace(&"new".to_owned().into()).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new\n");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(file.proposed().unwrap().is_empty());
    }
}
