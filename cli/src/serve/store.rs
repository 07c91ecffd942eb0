//! The file of `--store`: every secret of a local Secrets Manager, in plain text, for this user alone.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use fourstep_cli::replay::beside;
use fourstep_local::MemoryStore;
use fourstep_local::serve::Keeper;

/// A store's file, locked as long as this lives. It is replaced at once or not at all; `FILE.new` is the
/// next one until then.
pub(super) struct StoreFile {
    path: PathBuf,
    folder: PathBuf,
    next: PathBuf,
    /// `FILE.lock`, empty and locked. It stays behind, because removing it would let two processes lock two
    /// files of that name.
    _lock: File,
}

impl StoreFile {
    /// The file at `path`, and the store in it; an empty store if there is no such file.
    pub(super) fn open(path: &Path) -> io::Result<(Self, MemoryStore)> {
        let folder = match path.parent() {
            Some(folder) if folder != Path::new("") => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        let (path, lock, next) = (path.to_owned(), beside(path, ".lock"), beside(path, ".new"));
        let lock = locked(&path, &lock)?;
        // Of a process that was killed. Nobody else writes it while the lock is held.
        removed(&next).map_err(|error| about(&next, &error.to_string()))?;
        let store = match read(&path)? {
            None => MemoryStore::new(),
            Some(bytes) => loaded(&path, &bytes)?,
        };
        Ok((Self { path, folder, next, _lock: lock }, store))
    }

    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        removed(&self.next)?;
        // New, so that nobody else has it open or has put a link there.
        let mut next =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.next)?;
        next.write_all(bytes)?;
        next.sync_all()?;
        fs::rename(&self.next, &self.path)?;
        File::open(&self.folder)?.sync_all()
    }
}

impl Keeper for StoreFile {
    fn keep(&self, store: &MemoryStore) -> io::Result<()> {
        let (_, text) = store.save();
        self.write(text.expose_bytes()).map_err(|error| about(&self.path, &error.to_string()))
    }
}

fn about(path: &Path, what: &str) -> io::Error {
    io::Error::other(format!("--store: {}: {what}", path.display()))
}

fn locked(path: &Path, lock: &Path) -> io::Result<File> {
    if fs::symlink_metadata(lock).is_ok_and(|found| !found.is_file()) {
        return Err(about(
            lock,
            "this is no regular file; a lock of that name is kept beside the store",
        ));
    }
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(lock);
    let file = file.map_err(|error| {
        about(
            lock,
            &format!("no file can be made there, and the store keeps a lock beside it: {error}"),
        )
    })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(about(
            path,
            "another `fourstep serve` uses it: stop that one, ask that one, or name another file",
        )),
        Err(TryLockError::Error(error)) => {
            Err(about(lock, &format!("it cannot be locked: {error}")))
        }
    }
}

fn removed(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// What is in the file, if it is one that nobody else could read or put there.
fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let found = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        found => found.map_err(|error| about(path, &error.to_string()))?,
    };
    if found.is_symlink() {
        return Err(about(
            path,
            "this is a symbolic link, and a write would replace it: name the file itself",
        ));
    }
    if !found.is_file() {
        return Err(about(path, "this is no regular file"));
    }
    let mode = found.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        let what = format!(
            "others may use it (its mode is {mode:04o}), and it holds passwords in plain text: chmod 600 {}",
            path.display()
        );
        return Err(about(path, &what));
    }
    fs::read(path).map(Some).map_err(|error| about(path, &error.to_string()))
}

fn loaded(path: &Path, bytes: &[u8]) -> io::Result<MemoryStore> {
    let broken = |what: &str| {
        about(
            path,
            &format!(
                "{what}. It is left as it is: correct it there, or move it away to begin anew"
            ),
        )
    };
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let sound = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let line = sound.iter().filter(|byte| **byte == b'\n').count() + 1;
        let column = sound.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
        broken(&format!("line {line}, column {column}: this is no text in UTF-8"))
    })?;
    MemoryStore::load(text).map_err(|error| broken(&error.to_string()))
}

#[cfg(test)]
mod tests {
    use fourstep_local::NewSecret;

    use super::*;

    #[test]
    fn what_is_kept_is_there_for_the_next_one_and_for_this_user_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fourstep.store");
        let (file, store) = StoreFile::open(&path).unwrap();
        let new = NewSecret { value: Some("one".into()), ..NewSecret::default() };
        store.create("app/db", new).unwrap();
        file.keep(&store).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let second = StoreFile::open(&path).map(|_| ()).unwrap_err().to_string();
        assert!(second.contains("another `fourstep serve` uses it"), "{second}");
        drop(file);
        // Of a process that was killed in the middle.
        fs::write(beside(&path, ".new"), "half").unwrap();
        let (_file, again) = StoreFile::open(&path).unwrap();
        assert_eq!(again.secrets(true).unwrap().len(), 1);
        assert!(!beside(&path, ".new").exists());
    }

    #[test]
    fn a_file_that_others_may_read_or_that_is_elsewhere_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let refused = |name: &str| {
            let path = folder.path().join(name);
            StoreFile::open(&path).map(|_| ()).unwrap_err().to_string()
        };
        let path = folder.path().join("open");
        fs::write(&path, MemoryStore::new().save().1.expose_bytes()).unwrap();
        for mode in [0o644, 0o640, 0o620, 0o604] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = refused("open");
            assert!(
                error.contains(&format!("{mode:04o}")) && error.contains("chmod 600"),
                "{error}"
            );
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        StoreFile::open(&path).map(|_| ()).unwrap();
        std::os::unix::fs::symlink(&path, folder.path().join("link")).unwrap();
        assert!(refused("link").contains("symbolic link"));
        fs::create_dir(folder.path().join("folder")).unwrap();
        assert!(refused("folder").contains("no regular file"));
        assert!(refused("nowhere/file").contains("no file can be made there"));
        for (content, place) in [
            (&b"{\"password\": \"canary\""[..], "line 1, column 21: it ends too early"),
            (b"{\n  \"canary\": \xff}", "line 2, column 13: this is no text"),
            (b"", "ends too early"),
        ] {
            fs::write(&path, content).unwrap();
            let error = refused("open");
            assert!(error.contains(place) && !error.contains("canary"), "{error}");
            assert_eq!(fs::read(&path).unwrap(), content, "it was changed");
        }
    }
}
