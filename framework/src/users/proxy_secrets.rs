//! The secrets by which a proxy in front of the server knows the two users of a pair.
//!
//! RDS Proxy has a secret for each user, and lets in whoever shows the password that is AWSCURRENT
//! there. So each of the two users has a *proxy secret*, which `PROXY_SECRETS` names. setSecret puts
//! the pending password into the pending user's as a version that no proxy reads, under the id of the
//! pending version; and when the server has that password, it moves AWSCURRENT to that version. The
//! move names the version from which AWSCURRENT is taken, which was read before the server was told:
//! whoever comes late, after another rotation has moved it, moves nothing.
//!
//! The secret of the user in use is left alone while it holds what AWSCURRENT holds.
//!
//! Source: Amazon RDS User Guide, "Setting up database credentials for RDS Proxy".

mod held;

use std::time::Duration;

use futures_util::join;

use crate::config::{Environment, refused};
use crate::error::{Error, ErrorKind, Result};
use crate::ids::{SecretId, VersionId};
use crate::invocation::Invocation;
use crate::rotator::{Finding, SecretReader};
use crate::secret::{Current, Secret};
use crate::shell::discard_command;
use crate::store::SecretClient;
use crate::users::pair::words;
use crate::users::{Database, Driver, Login, Strategy};
use crate::vendor::pauses;

use held::{Held, about, has};

const PROXY_SECRETS: &str = "PROXY_SECRETS";

/// How long a proxy may take to learn of a password, if the deadline leaves as much: as long as a
/// function can run.
const LEARNING: Duration = Duration::from_secs(900);

/// What the function's configuration says about proxies.
#[derive(Debug)]
pub(super) struct ProxySecrets {
    listed: Vec<(String, SecretId)>,
}

/// The rotated secret, as far as its pair's proxy secrets are concerned.
#[derive(Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) arn: &'a str,
    pub(super) current: &'a Current,
    /// What AWSCURRENT says.
    pub(super) login: &'a Login,
    pub(super) calls: &'a SecretClient<'a>,
}

/// The proxy secrets of a pair, as they stood before the server was told anything.
pub(super) struct Behind<'a> {
    subject: Subject<'a>,
    in_use: Held<'a>,
    next: Held<'a>,
}

impl ProxySecrets {
    /// Reads `PROXY_SECRETS` (`app=ARN,app_clone=ARN`).
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`], naming the variable.
    pub(super) fn read(environment: &Environment) -> Result<Self> {
        let mut listed: Vec<(String, SecretId)> = Vec::new();
        for word in words(environment, PROXY_SECRETS)? {
            let parts = word.split_once('=').map(|(user, id)| (user.trim(), id.trim()));
            let Some((user, id)) = parts.filter(|(user, id)| !user.is_empty() && !id.is_empty())
            else {
                return Err(refused(
                    PROXY_SECRETS,
                    "must list users, each with the ARN of its \
                     proxy secret, as app=ARN,app_clone=ARN",
                ));
            };
            let Ok(id) = SecretId::parse(id) else {
                return Err(refused(PROXY_SECRETS, "names a secret by what is no ARN"));
            };
            if listed.iter().any(|(one, other)| one == user || *other == id) {
                return Err(refused(PROXY_SECRETS, "names a user or a secret twice"));
            }
            listed.push((user.to_owned(), id));
        }
        Ok(Self { listed })
    }

    /// Refuses another strategy than the one that keeps the proxy secrets, for a user who has one.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`].
    pub(super) fn check_kept_by(&self, strategy: Strategy, secret: &Secret) -> Result<()> {
        let document = secret.document().ok();
        let user = document.as_ref().and_then(|fields| fields.required("username").ok());
        let pairs = strategy == Strategy::AlternatingUsers;
        let Some(user) = user.filter(|user| !pairs && self.id_of(user).is_some()) else {
            return Ok(());
        };
        let strategy = strategy.name();
        let what = format!("the strategy {strategy} would not tell the proxy of user {user:?}");
        Err(Error::new(ErrorKind::Unsupported, what).caused_by(
            "nothing was changed; PROXY_SECRETS names this user, whose proxy secret only alternating-users \
             keeps: choose that in ROTATION_STRATEGY or by the secret's tag, or take the user out of \
             PROXY_SECRETS",
        ))
    }

    fn id_of(&self, user: &str) -> Option<&SecretId> {
        self.listed.iter().find(|(listed, _)| listed == user).map(|(_, id)| id)
    }

    /// Whether nobody is behind a proxy.
    pub(super) fn is_empty(&self) -> bool {
        self.listed.is_empty()
    }

    /// Those of a pair; none where it is behind no proxy.
    fn of(&self, secret: &Secret, users: [&str; 2]) -> Result<Option<[&SecretId; 2]>> {
        let half = |with: &str, without: &str| {
            let what =
                format!("names user {with:?}, but not {without:?}, its other half; list both");
            Err(refused(PROXY_SECRETS, &what))
        };
        let [one, other] = users;
        match users.map(|user| self.id_of(user)) {
            [Some(ours), Some(theirs)] => Ok(Some([ours, theirs])),
            [Some(_), None] => half(one, other),
            [None, Some(_)] => half(other, one),
            [None, None] if self.is_empty() => Ok(None),
            [None, None] => match secret.document()?.optional("proxyHost")? {
                None => Ok(None),
                Some(_) => Err(Error::new(
                    ErrorKind::Unsupported,
                    format!("the secret names a proxy, but {PROXY_SECRETS} none of its users"),
                )
                .caused_by(format!(
                    "list users {one:?} and {other:?} there, or take \"proxyHost\" out of the secret"
                ))),
            },
        }
    }

    /// The same before anything is asked: what the secret says of a proxy must be sound, too.
    fn named(&self, subject: Subject<'_>, next: &str) -> Result<Option<[&SecretId; 2]>> {
        let (secret, login) = (subject.current.secret(), subject.login);
        if !self.is_empty() {
            login.at_proxy(secret.document()?)?;
        }
        self.of(secret, [&login.username, next])
    }

    /// What stands in the proxy secrets of a pair, of which `next` has its turn; none where it is
    /// behind no proxy.
    ///
    /// # Errors
    /// Everything that speaks against them.
    pub(super) async fn look<'a>(
        &'a self,
        subject: Subject<'a>,
        next: &'a str,
    ) -> Result<Option<Behind<'a>>, Vec<Error>> {
        let (calls, user) = (subject.calls, subject.login.username.as_str());
        let named = self.named(subject, next).map_err(|error| vec![error])?;
        let Some([ours, theirs]) = named else { return Ok(None) };
        let held = join!(
            Held::read(user, ours, subject.arn, calls),
            Held::read(next, theirs, subject.arn, calls)
        );
        let (in_use, next) = match held {
            (Ok(in_use), Ok(next)) => (in_use, next),
            (in_use, next) => {
                return Err([in_use.err(), next.err()].into_iter().flatten().collect());
            }
        };
        in_use.check_recorded(&subject).await.map_err(|error| vec![error])?;
        Ok(Some(Behind { subject, in_use, next }))
    }

    /// Waits until the proxy that a secret of this pair names, if it names one, lets its user in.
    /// `other` is the other user.
    ///
    /// # Errors
    /// [`ErrorKind::Rejected`] if it does not in the time that there is.
    pub(super) async fn until_learned<S: Database>(
        &self,
        database: &Driver<S>,
        (secret, login): (&Secret, &Login),
        other: &str,
        cx: &Invocation,
    ) -> Result<()> {
        let Some([id, _]) = self.of(secret, [&login.username, other])? else { return Ok(()) };
        let Some(proxied) = login.at_proxy(secret.document()?)? else { return Ok(()) };
        let mut pauses = pauses::pauses(LEARNING);
        loop {
            let refused = match database.refused_by_proxy(&proxied, cx).await {
                Ok(None) => return Ok(()),
                Ok(Some(why)) => why,
                // As of a user that it does not know yet.
                Err(error) if unknown_yet(&error) => error.to_string(),
                Err(error) => return Err(at_proxy(error)),
            };
            if !pauses::wait(&mut pauses, cx).await {
                return Err(not_learned(&proxied, id).caused_by(refused));
            }
        }
    }

    /// Refuses to have a version promoted whose user's proxy secret does not hold its password.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] if so, and those of reading that secret.
    pub(super) async fn confirm(&self, login: &Login, others: &SecretReader<'_>) -> Result<()> {
        let user = &login.username;
        let Some((_, id)) = self.listed.iter().find(|(listed, _)| listed == user) else {
            return Ok(());
        };
        let held = others.current(id).await.map_err(|error| error.while_doing(about(user, id)))?;
        match has(&held, login) {
            true => Ok(()),
            false => {
                let what = format!("{} does not hold the pending password", about(user, id));
                let why = "AWSCURRENT was not moved; retry, which stores it there";
                Err(Error::new(ErrorKind::Conflict, what).caused_by(why))
            }
        }
    }
}

/// What else keeps a login out there. TLS_SERVER_NAME, which an error of the certificate's name advises,
/// would be expected of the server's certificate too.
fn at_proxy(error: Error) -> Error {
    let tls = error.kind() == ErrorKind::Tls;
    let error = error.while_doing("at the proxy");
    if tls {
        return error.caused_by(
            "of the proxy and the server the same TLS settings hold: if it is about the name, let \
             \"proxyHost\" be one that the proxy's certificate carries",
        );
    }
    error
}

fn unknown_yet(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Rejected | ErrorKind::Forbidden)
}

fn not_learned(proxied: &Login, id: &SecretId) -> Error {
    let what = format!(
        "the proxy does not let {} in with the password that secret {id} has for it",
        proxied.account()
    );
    Error::new(ErrorKind::Rejected, what).caused_by(
        "retry, which waits again; if that does not help, look whether that secret is among those \
         of the proxy, and whether the proxy's role may read it",
    )
}

/// How to have another version in the place of the pending one of this secret.
pub(super) fn discarding(arn: &str, version: &VersionId) -> String {
    let id = SecretId::parse(arn);
    let discard = id.map(|id| discard_command(&id, version)).unwrap_or_default();
    format!("discard the pending version with `{discard}`, then rotate again")
}

impl<'a> Behind<'a> {
    /// Puts the pending password where no proxy reads it yet: what cannot be written is refused before
    /// the server is told.
    pub(super) async fn stage(&self, pending: &Login, version: &VersionId) -> Result<()> {
        self.next.stage(pending, version, || discarding(self.subject.arn, version)).await
    }

    /// Lets the proxy read the pending password, which the server has by now.
    pub(super) async fn publish(&self, pending: &Login, version: &VersionId) -> Result<()> {
        self.next.publish(pending, version).await
    }

    /// Gives the proxy AWSCURRENT's login, which the server takes, where it has another of that user: as
    /// where somebody moved AWSCURRENT back.
    pub(super) async fn catch_up(&self, cx: &Invocation) -> Result<()> {
        if has(&self.in_use.secret, self.subject.login) {
            return Ok(());
        }
        let (login, version) = (self.subject.login, self.subject.current.version());
        self.in_use.stage(login, version, || self.in_use.to_store()).await?;
        self.in_use.publish(login, version).await?;
        let about = about(self.in_use.user, self.in_use.id);
        cx.warn(format!("{about} held another password than AWSCURRENT, which it has now"));
        Ok(())
    }

    /// What would keep a rotation from writing either.
    pub(super) async fn preflight<S: Database>(
        &self,
        database: &Driver<S>,
        cx: &Invocation,
    ) -> Vec<Finding> {
        let (one, other) = join!(self.in_use.unwritable(), self.next.unwritable());
        let mut findings: Vec<_> = one.into_iter().chain(other).map(Finding::Fails).collect();
        let Subject { login, current, .. } = self.subject;
        let proxied = current.secret().document().and_then(|document| login.at_proxy(document));
        match proxied {
            Ok(None) => {}
            Err(error) => findings.push(Finding::Fails(error)),
            Ok(Some(proxied)) => match database.refused_by_proxy(&proxied, cx).await {
                Ok(None) => {}
                Ok(Some(why)) => {
                    let error = not_learned(&proxied, self.in_use.id).caused_by(why);
                    findings.push(Finding::Fails(error));
                }
                Err(error) if unknown_yet(&error) => {
                    let error = not_learned(&proxied, self.in_use.id).caused_by(error);
                    findings.push(Finding::Fails(error));
                }
                Err(error) => findings.push(Finding::Fails(at_proxy(error))),
            },
        }
        findings
    }

    /// What the next rotation does, for whoever asks.
    pub(super) fn plan(&self) -> String {
        format!("store the new password in {}", about(self.next.user, self.next.id))
    }
}
