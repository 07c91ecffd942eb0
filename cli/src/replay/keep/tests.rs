//! What becomes of the secret file and its journal.

use super::*;

/// What nobody may write to, whoever asks: no file is made there.
#[test]
fn c2_a_folder_that_cannot_be_written_to_is_named() {
    let error = SecretFile::open(Path::new("/proc/version"), false).unwrap_err().to_string();
    let named = "/proc/version.lock: no file can be made in the folder of --secret";
    assert!(error.starts_with(named), "{error}");
    assert!(SecretFile::look(Path::new("/proc/version"), false).is_ok(), "reading it is enough");
}

#[test]
fn a_value_is_safe_before_it_lives_and_the_file_is_replaced_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret.json");
    fs::write(&path, "{\"password\":\"old\"}\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let file = SecretFile::open(&path, false).unwrap();
    assert!(SecretFile::open(&path, false).unwrap_err().to_string().contains("another replay"));
    assert_eq!(file.read().unwrap().expose_bytes(), b"{\"password\":\"old\"}");
    file.note(&"line\nbreak".into()).unwrap();
    file.note(&"second".into()).unwrap();
    file.note(&"second".into()).unwrap();
    // A crash in the middle of a line leaves the earlier ones readable.
    let mut journal = OpenOptions::new().append(true).open(file.journal()).unwrap();
    journal.write_all(b"\n\"cut sho\xc3").unwrap();
    let mode = fs::metadata(file.journal()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let proposed = file.proposed().unwrap();
    let texts: Vec<&[u8]> = proposed.iter().map(SecretValue::expose_bytes).collect();
    assert_eq!(texts, [&b"line\nbreak"[..], b"second"]);
    file.replace(&"new".into(), &["second".into()]).unwrap();
    assert_eq!(file.proposed().unwrap().len(), 1, "one is kept");
    file.note(&"new".into()).unwrap();
    assert_eq!(file.proposed().unwrap().len(), 1, "the file holds it already");
    file.replace(&"new".into(), &[]).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "new\n");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(file.proposed().unwrap().is_empty());
    drop(file);
    // Only the lock is left beside it, and a link to it is followed, not replaced.
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    let link = folder.path().join("link.json");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    SecretFile::open(&link, false).unwrap().replace(&"newer".into(), &[]).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "newer\n");
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
}

#[test]
fn bytes_survive_to_the_letter_and_are_never_taken_for_a_text() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keytab");
    let (old, next) = (b"\x05\x02\xff\n\r\n".to_vec(), b"text too\n".to_vec());
    fs::write(&path, &old).unwrap();
    let error = SecretFile::open(&path, false).unwrap().read().unwrap_err();
    assert!(error.to_string().contains("add --binary"), "{error}");
    let file = SecretFile::open(&path, true).unwrap();
    assert_eq!(file.read().unwrap().expose_bytes(), old);
    let next = SecretValue::Binary(next.into());
    file.note(&next).unwrap();
    file.note(&next).unwrap();
    assert_eq!(file.proposed().unwrap().len(), 1);
    assert!(file.proposed().unwrap().iter().all(|noted| noted.same_as(&next)));
    file.replace(&"a text".into(), &[]).unwrap_err();
    file.replace(&next, &[]).unwrap();
    assert_eq!(fs::read(&path).unwrap(), next.expose_bytes());
    assert!(file.proposed().unwrap().is_empty());
}

#[test]
fn a_journal_that_somebody_else_put_there_is_made_private_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret.json");
    fs::write(&path, "old").unwrap();
    let file = SecretFile::open(&path, false).unwrap();
    fs::write(file.journal(), "").unwrap();
    fs::set_permissions(file.journal(), fs::Permissions::from_mode(0o644)).unwrap();
    file.note(&"next".into()).unwrap();
    let mode = fs::metadata(file.journal()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    fs::remove_file(file.journal()).unwrap();
    std::os::unix::fs::symlink(folder.path().join("elsewhere"), file.journal()).unwrap();
    file.note(&"next".into()).unwrap_err();
    assert!(!folder.path().join("elsewhere").exists());
}
