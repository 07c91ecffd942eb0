//! The secret of a replay: in a local Secrets Manager, and in step with its file.

use std::io;
use std::path::Path;
use std::sync::Arc;

use fourstep::store::{AWSCURRENT, AWSPREVIOUS, Select, StoreError, StoreErrorCode};
use fourstep::{Secret, SecretId, SecretValue, VersionId};
use fourstep_local::serve::{self, AccessKey};
use fourstep_local::{MemoryStore, NewRotation, NewSecret, NewValue, PendingLabel};
use serde_json::Value;

use super::said::said;
use super::{Report, SecretArn, SecretFile, Stage};
use crate::events;
use crate::function::Invocation;
use crate::slips;

const NAME: &str = "replay";
const ARN: &str = "arn:aws:secretsmanager:us-east-1:000000000000:secret:";
/// The label, with a number behind it, of a value that an earlier replay left.
const PROPOSED: &str = "proposed-";
const FUNCTION_ARN: &str = "arn:aws:lambda:us-east-1:000000000000:function:replayed";

/// What is done with the secret's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// It is kept up to date with what a rotation makes.
    Writes,
    /// It is read, and nothing is written beside it either.
    Reads,
}

/// A secret in a local Secrets Manager of its own. What becomes of its values is written to the
/// file that it came from.
pub(super) struct LocalSecret {
    store: Arc<MemoryStore>,
    secret: SecretId,
    arn: String,
    file: SecretFile,
    server: serve::Server,
    key: AccessKey,
}

impl LocalSecret {
    /// The secret of the stage's file, served where it says. `usable` may refuse the value before
    /// anything is done with it.
    pub(super) async fn open(
        stage: &Stage,
        access: Access,
        usable: impl FnOnce(&SecretValue) -> io::Result<()>,
        report: &mut Report<'_>,
    ) -> io::Result<Self> {
        let file = match access {
            Access::Writes => SecretFile::open(&stage.secret, stage.binary)?,
            Access::Reads => SecretFile::look(&stage.secret, stage.binary)?,
        };
        usable(&file.read()?)?;
        let store = Arc::new(MemoryStore::new());
        let secret = seed(&store, &file, stage.arn.as_ref(), report)?;
        if let Some(admin) = &stage.admin {
            seed_admin(&store, &file.read()?, admin)?;
        }
        let server = serve::bind(stage.listen).await?;
        let key = stage.access_key();
        let server = serve::serve_for(key.clone(), server, Arc::clone(&store))?;
        let arn = store.describe(&secret).map_err(io::Error::other)?.arn;
        Ok(Self { store, secret, arn, file, server, key })
    }

    pub(super) fn arn(&self) -> &str {
        &self.arn
    }

    pub(super) fn store(&self) -> &Arc<MemoryStore> {
        &self.store
    }

    pub(super) fn server(&self) -> &serve::Server {
        &self.server
    }

    /// The access key id that it is served for.
    pub(super) fn key(&self) -> &AccessKey {
        &self.key
    }

    pub(super) fn journal(&self) -> &Path {
        self.file.journal()
    }

    /// Which of its credentials the function said, if it did.
    pub(super) fn said(&self, invocation: &Invocation) -> Option<String> {
        said(&self.store, invocation)
    }

    /// Reports that the function said one, if it did.
    pub(super) fn listen(&self, heard: &Invocation, report: &mut Report<'_>) -> io::Result<()> {
        self.said(heard).map_or(Ok(()), |what| report.said(&what))
    }

    /// RotateSecret; the version it made. `immediately`: to begin at once, not only to test.
    pub(super) fn begin(&self, immediately: bool) -> Result<VersionId, StoreError> {
        let token = VersionId::from_store(uuid::Uuid::new_v4().to_string());
        let begin = NewRotation { immediately, ..NewRotation::now(&token, FUNCTION_ARN) };
        self.store.rotate(&self.secret, &begin).map(|_| token)
    }

    /// What the service does when finishSecret has succeeded.
    pub(super) fn finish(&self, token: &VersionId, label: PendingLabel) -> Result<(), StoreError> {
        self.store.finish_rotation(&self.secret, token, label)
    }

    /// What the service does after the test of a configuration.
    pub(super) fn end_test(&self, token: &VersionId) -> io::Result<()> {
        self.store.end_test(&self.secret, token).map_err(io::Error::other)
    }

    /// Writes down what createSecret proposed, before the step that makes it live.
    pub(super) fn note_proposed(&self, token: &VersionId) -> io::Result<()> {
        match self.store.get(&self.secret, Select::Version(token)) {
            Ok(read) => self.file.note(&read.value),
            // createSecret stored nothing.
            Err(_) => Ok(()),
        }
    }

    /// Of the values that an earlier replay left, the one that logs in becomes AWSPREVIOUS, where
    /// every rotator looks, and keeps the label that shows it; the labels of the others go.
    pub(super) fn offer_live_value(&self, before: &Invocation) -> io::Result<()> {
        for version in versions(before) {
            let Some(label) = version.labels.iter().find(|label| label.starts_with(PROPOSED))
            else {
                continue;
            };
            if version.accepted {
                self.move_label(AWSPREVIOUS, Some(&version.id), None)?;
            } else {
                self.move_label(label, None, Some(&version.id))?;
            }
        }
        Ok(())
    }

    /// After finishSecret: the new current value goes into the file if it logs in, and only then
    /// the journal goes. What logs in besides, another account's password for one, stays in it.
    pub(super) fn settle(&self, after: &Invocation) -> io::Result<bool> {
        let current = match self.store.get(&self.secret, Select::Label(AWSCURRENT)) {
            Ok(read) => read.value,
            // The function promoted a version without a value, as the report shows.
            Err(error) if error.code == StoreErrorCode::NotFound => return Ok(false),
            Err(error) => return Err(io::Error::other(error)),
        };
        let (mut current_accepted, mut kept) = (false, Vec::new());
        for version in versions(after).into_iter().filter(|version| version.accepted) {
            if version.has(AWSCURRENT) {
                current_accepted = true;
            } else if version.labels.iter().any(|label| label.starts_with(PROPOSED)) {
                let read = self.store.get(&self.secret, Select::Version(&version.id));
                kept.push(read.map_err(io::Error::other)?.value);
            }
        }
        if current_accepted {
            self.file.replace(&current, &kept)?;
        } else {
            self.file.note(&current)?;
        }
        Ok(current_accepted)
    }

    fn move_label(
        &self,
        label: &str,
        to: Option<&VersionId>,
        from: Option<&VersionId>,
    ) -> io::Result<()> {
        let moved = self.store.update_stage(&self.secret, label, to, from);
        moved.map(drop).map_err(io::Error::other)
    }

    /// Stops serving it.
    pub(super) async fn close(self) -> io::Result<()> {
        self.server.stop().await
    }
}

/// A row of an inspection.
pub(super) struct Version {
    pub(super) id: VersionId,
    pub(super) labels: Vec<String>,
    pub(super) accepted: bool,
}

impl Version {
    pub(super) fn has(&self, label: &str) -> bool {
        self.labels.iter().any(|on| on == label)
    }
}

/// The rows of an inspection; none if it failed.
pub(super) fn versions(inspection: &Invocation) -> Vec<Version> {
    let rows = inspection.answer.as_ref().ok().and_then(|answer| answer.get("versions"));
    let rows = rows.and_then(Value::as_array).into_iter().flatten();
    let version = |row: &Value| Version {
        id: VersionId::from_store(events::text(row, "version")),
        labels: events::labels(row).into_iter().map(str::to_owned).collect(),
        accepted: events::text(row, "verdict") == "accepted",
    };
    rows.map(version).collect()
}

/// A secret with the file's value as AWSCURRENT. What an earlier replay proposed and did not see
/// promoted stands beside it under labels of its own: the target may have one of those.
fn seed(
    store: &MemoryStore,
    file: &SecretFile,
    arn: Option<&SecretArn>,
    report: &mut Report<'_>,
) -> io::Result<SecretId> {
    let (current, proposed) = (file.read()?, file.proposed()?);
    if !proposed.is_empty() {
        report.resumed(file.journal(), proposed.len())?;
    }
    let (name, arn) = match arn {
        Some(arn) => (arn.name(), arn.to_string()),
        None => (NAME, format!("{ARN}{NAME}-{}", file.letters())),
    };
    let new = NewSecret { arn: Some(arn), ..NewSecret::default() };
    store.create(name, new).map_err(io::Error::other)?;
    let secret = SecretId::parse(name).map_err(io::Error::other)?;
    let new = |value: SecretValue| {
        let token = VersionId::from_store(uuid::Uuid::new_v4().to_string());
        NewValue::current(&token, value)
    };
    store.put(&secret, new(current)).map_err(io::Error::other)?;
    for (number, value) in (1..).zip(proposed) {
        let value = NewValue { labels: vec![format!("{PROPOSED}{number}")], ..new(value) };
        store.put(&secret, value).map_err(io::Error::other)?;
    }
    Ok(secret)
}

/// The admin's secret, under the ARN or name by which the secret calls it.
fn seed_admin(store: &MemoryStore, secret: &SecretValue, file: &Path) -> io::Result<()> {
    let refused = |what: &str| Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    let secret = Secret::of_value(secret);
    let named = secret.document().and_then(|document| document.optional("masterarn"));
    let Some(id) = named.map_err(io::Error::other)? else {
        return refused(
            "--admin has no meaning: the secret names no \"masterarn\". Put \"masterarn\" into the \
             secret's file, with any name or ARN that ADMIN_SECRET then names",
        );
    };
    let (name, arn) = match id.split_once(":secret:") {
        Some((_, name)) => (name, Some(id.to_owned())),
        None => (id, None),
    };
    let Ok(text) = String::from_utf8(slips::read("--admin", file)?) else {
        return refused("--admin: what it names holds no text");
    };
    let value = Some(SecretValue::Text(text.trim_end_matches(['\r', '\n']).into()));
    let new = NewSecret { value, arn, ..NewSecret::default() };
    store.create(name, new).map(drop).map_err(io::Error::other)
}
