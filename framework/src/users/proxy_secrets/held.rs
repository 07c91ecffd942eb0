//! One proxy secret: what it holds, and how a login is written into it.

use futures_util::join;
use secrecy::ExposeSecret;

use super::{PROXY_SECRETS, Subject};
use crate::error::{Error, ErrorKind, Result};
use crate::ids::{SecretId, VersionId};
use crate::secret::{Document, Secret};
use crate::shell::word;
use crate::store::{SecretClient, StoreErrorCode};
use crate::users::Login;

/// What one proxy secret holds.
pub(super) struct Held<'a> {
    pub(super) user: &'a str,
    pub(super) id: &'a SecretId,
    client: SecretClient<'a>,
    version: VersionId,
    pub(super) secret: Secret,
}

/// The id of no version: Secrets Manager's own are random.
const NO_VERSION: &str = "00000000-0000-0000-0000-000000000000";

/// For messages.
pub(super) fn about(user: &str, id: &SecretId) -> String {
    format!("the proxy secret {id} of user {user:?}")
}

/// Whether a secret holds this user and password.
pub(super) fn has(secret: &Secret, login: &Login) -> bool {
    let Ok(document) = secret.document() else { return false };
    let is = |field, value: &str| document.optional(field).is_ok_and(|one| one == Some(value));
    is("username", &login.username) && is("password", login.password.expose_secret())
}

impl<'a> Held<'a> {
    pub(super) async fn read(
        user: &'a str,
        id: &'a SecretId,
        rotated: &str,
        calls: &'a SecretClient<'a>,
    ) -> Result<Self> {
        Self::of(user, id, rotated, calls).await.map_err(|error| error.while_doing(about(user, id)))
    }

    async fn of(
        user: &'a str,
        id: &'a SecretId,
        rotated: &str,
        calls: &'a SecretClient<'a>,
    ) -> Result<Self> {
        let client = calls.about(id);
        let (description, current) = join!(client.describe(), client.current());
        let (description, current) = (description?, current?);
        if description.arn == rotated {
            let what = "it is the secret that is rotated; make one for the proxy alone";
            return Err(Error::new(ErrorKind::Unsupported, what));
        }
        if description.rotation_enabled == Some(true) {
            let what = "it has a rotation of its own, which would change the password too";
            return Err(Error::new(ErrorKind::Unsupported, what).caused_by(format!(
                "turn that off with `aws secretsmanager cancel-rotate-secret --secret-id {}`",
                word(id.as_str())
            )));
        }
        let document: &Document = current.secret().document()?;
        document.required("password")?;
        if document.required("username")? != user {
            let what = "its \"username\" is another user's";
            return Err(Error::new(ErrorKind::Mismatch, what)
                .caused_by(format!("correct {PROXY_SECRETS}, or that field")));
        }
        let (version, secret) = (current.version().clone(), current.secret().clone());
        Ok(Self { user, id, client, version, secret })
    }

    /// The user in use: its proxy secret holds what AWSCURRENT holds, or a login that this very secret
    /// recorded under the same id. Anything else may be of a user of that name on another server.
    pub(super) async fn check_recorded(&self, subject: &Subject<'_>) -> Result<()> {
        if has(&self.secret, subject.login) {
            return Ok(());
        }
        let recorded = subject.calls.version(&self.version).await?;
        let recorded = recorded.as_ref().and_then(|one| one.secret().document().ok());
        let held = self.secret.document()?;
        let same = |field| recorded.is_some_and(|one| one.field(field) == held.field(field));
        if same("username") && same("password") {
            return Ok(());
        }
        let what = format!(
            "{} does not hold the password that AWSCURRENT has for that user",
            about(self.user, self.id)
        );
        Err(Error::new(ErrorKind::Mismatch, what).caused_by(self.to_store()))
    }

    pub(super) fn to_store(&self) -> String {
        format!(
            "if it is of the same server, store there what AWSCURRENT of the rotated secret has; if \
             not, correct {PROXY_SECRETS}"
        )
    }

    /// What it is to hold: everything that it holds, and this login.
    fn with(&self, login: &Login) -> Result<Secret> {
        let document = self.secret.document()?.with("username", &login.username);
        Ok(document.with("password", login.password.expose_secret()).into())
    }

    /// Stores this login under this id, where no proxy reads it. `otherwise` says what to do if another
    /// value is stored there.
    pub(super) async fn stage(
        &self,
        login: &Login,
        version: &VersionId,
        otherwise: impl FnOnce() -> String,
    ) -> Result<()> {
        if has(&self.secret, login) {
            return Ok(());
        }
        let put = self.client.put_pending(version, &self.with(login)?, None).await;
        let about = about(self.user, self.id);
        match put.map_err(|error| error.while_doing(&about))? {
            Ok(()) => Ok(()),
            Err(error) if error.code == StoreErrorCode::AlreadyExists => {
                let stored = self.client.version(version).await;
                let stored = stored.map_err(|error| error.while_doing(&about))?;
                let same = stored.is_some_and(|stored| has(stored.secret(), login));
                let differs = match same {
                    true => "other fields than its AWSCURRENT, which was edited since",
                    false => "another login",
                };
                let what = format!("version {version} of {about} has {differs}");
                Err(Error::new(ErrorKind::Mismatch, what).caused_by(otherwise()))
            }
            Err(error) => Err(error.during("PutSecretValue").while_doing(&about)),
        }
    }

    /// Moves AWSCURRENT to what was stored so, from the version that was read.
    pub(super) async fn publish(&self, login: &Login, version: &VersionId) -> Result<()> {
        if has(&self.secret, login) {
            return Ok(());
        }
        let about = about(self.user, self.id);
        let moved = self.client.move_current(version, &self.version).await;
        match moved.map_err(|error| error.while_doing(&about))? {
            Ok(()) => Ok(()),
            // The answer to an earlier attempt may have been lost, or another container was faster.
            Err(error) if error.code == StoreErrorCode::InvalidParameter => {
                let now = self.client.current().await;
                match has(now.map_err(|error| error.while_doing(&about))?.secret(), login) {
                    true => Ok(()),
                    false => {
                        let what = format!("{about} was changed by somebody else meanwhile; retry");
                        Err(Error::new(ErrorKind::Conflict, what).caused_by(error))
                    }
                }
            }
            Err(error) => Err(error.during("UpdateSecretVersionStage").while_doing(&about)),
        }
    }

    /// What keeps this function from writing here, tried without changing anything.
    pub(super) async fn unwritable(&self) -> Vec<Error> {
        let (put, moved) = join!(self.check_put(), self.check_move());
        let found = [put, moved].into_iter().filter_map(Result::err);
        found.map(|error| error.while_doing(about(self.user, self.id))).collect()
    }

    /// Puts the value that is there again, under its own id, which the service ignores: only whoever may
    /// write gets that far. It may be written otherwise there than it would be here.
    async fn check_put(&self) -> Result<()> {
        match self.client.put_pending(&self.version, &self.secret, None).await? {
            Ok(()) => Ok(()),
            Err(error) if error.code == StoreErrorCode::AlreadyExists => Ok(()),
            Err(error) => Err(error.during("PutSecretValue")),
        }
    }

    /// Takes a label off a version that there is not, and gives it to none: whoever may not is told that,
    /// and anybody else that there is no such version. (AWSCURRENT moved to where it is would not do: the
    /// service says that AWSPREVIOUS goes to the version that AWSCURRENT is taken from.)
    async fn check_move(&self) -> Result<()> {
        match self.client.remove_pending(&VersionId::from_store(NO_VERSION)).await {
            Err(error) if !matches!(error.kind(), ErrorKind::Malformed | ErrorKind::NotFound) => {
                Err(error)
            }
            _ => Ok(()),
        }
    }
}
