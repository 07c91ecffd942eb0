//! What every strategy does alike: reading the versions of a secret, and asking whether one works.

use std::collections::BTreeMap;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use crate::error::{Error, ErrorKind, Result};
use crate::invocation::{Invocation, Seen};
use crate::net::within;
use crate::password::PasswordPolicy;
use crate::rotator::{CreateContext, Finding, InspectContext, SetContext, Verdict};
use crate::secret::{Current, Document, Secret};
use crate::store::check_length;
use crate::users::admin::Admins;
use crate::users::{Attempt, Database, Dialect, Driver, Login, copies};

/// The most that a look at a user's sessions may take.
const LOOK_TIME: Duration = Duration::from_secs(5);

/// The login of AWSCURRENT.
pub(super) fn current(secret: &Secret, dialect: &Dialect) -> Result<Login> {
    Login::read(secret, dialect).map_err(|error| error.while_doing("AWSCURRENT"))
}

/// The login of AWSPENDING.
pub(super) fn pending(secret: &Secret, dialect: &Dialect) -> Result<Login> {
    Login::read(secret, dialect).map_err(|error| error.while_doing("AWSPENDING"))
}

/// A login of an older version, if it can be read and names one of these users on current's host.
/// Everything but user and password is taken from current: that is where the accounts are now, and
/// an older document must not weaken the transport.
pub(super) fn older(
    current: &Login,
    users: &[&str],
    secret: &Secret,
    dialect: &Dialect,
) -> Option<Login> {
    let Login { username, password, host, .. } = Login::read(secret, dialect).ok()?;
    let known = host == current.host && users.contains(&username.as_str());
    known.then(|| Login { username, password, ..current.clone() })
}

/// The password of any version that names the same user, whatever else it names: one that was made before the
/// server moved is the account's too, and comes with it in the server's file.
pub(super) fn recorded(user: &Login, secret: &Secret, dialect: &Dialect) -> Option<SecretString> {
    let Login { username, password, .. } = Login::read(secret, dialect).ok()?;
    (username == user.username).then_some(password)
}

/// The first of these findings that a rotation would fail by.
///
/// # Errors
/// That one.
pub(super) fn no_failure(findings: Vec<Finding>) -> Result<()> {
    findings.into_iter().try_for_each(|finding| match finding {
        Finding::Fails(error) => Err(error),
        Finding::Warns(_) => Ok(()),
    })
}

/// Pending must be current with another password. Another account would be somebody else's; any
/// other difference is an edit of AWSCURRENT that promoting pending would revert.
pub(super) fn check_same_user(versions: &SetContext<'_>, dialect: &Dialect) -> Result<()> {
    let login = current(versions.current().secret(), dialect)?;
    let other = pending(versions.pending().secret(), dialect)?;
    same_user(&login, &other)?;
    check_unedited(versions, &["password"])
}

/// Refuses a pending login of another account than the current one's.
pub(super) fn same_user(current: &Login, pending: &Login) -> Result<()> {
    if current.same_account(pending) {
        return Ok(());
    }
    let (other, login) = (pending.account(), current.account());
    let what = format!("AWSPENDING names {other}, but AWSCURRENT {login}");
    Err(Error::new(ErrorKind::Mismatch, what))
}

/// Refuses a pending secret that differs from the current one in anything but these fields.
pub(super) fn check_unedited(versions: &SetContext<'_>, but: &[&str]) -> Result<()> {
    let current: &Document = versions.current().secret().document()?;
    match current.difference(versions.pending().secret().document()?, but) {
        None => Ok(()),
        Some(field) => Err(Error::new(
            ErrorKind::Mismatch,
            format!(
                "AWSPENDING differs from AWSCURRENT in {field:?} too, so AWSCURRENT was edited \
                 since AWSPENDING was made"
            ),
        )),
    }
}

/// What the passwords of this secret's user are made by: the function's settings, what the secret's
/// tags change of them, and what the server demands.
pub(super) fn policy<S: Database>(
    (database, policy): (&Driver<S>, &PasswordPolicy),
    tags: &BTreeMap<String, String>,
    login: &Login,
) -> Result<PasswordPolicy> {
    database.server().policy(login, policy.with_tags(tags)?)
}

/// The current document with a new password.
pub(super) fn with_new_password<S: Database>(
    with: (&Driver<S>, &PasswordPolicy),
    known: &CreateContext<'_>,
    current: &Login,
    cx: &Invocation,
) -> Result<Document> {
    let policy = policy(with, &known.description.tags, current)?;
    let copies = copies::remark(known.current.secret(), current);
    policy.weakness().into_iter().chain(copies).for_each(|remark| cx.warn(remark));
    let password: SecretString = policy.generate()?;
    Ok(known.current.secret().document()?.with("password", password.expose_secret()))
}

/// Whether this secret logs in.
pub(super) async fn verify<S: Database>(
    database: &Driver<S>,
    secret: &Secret,
    cx: &Invocation,
) -> Result<Verdict> {
    let login = Login::read(secret, database.dialect())?;
    match database.log_in(&login, cx).await? {
        Attempt::Accepted(mut at) => {
            let usable = database.server().usable(&at.session);
            usable.map_err(|error| error.while_doing(format!("cannot use {}", login.account())))?;
            if !cx.waits() {
                let seen = database.server().seen(&mut at);
                let seen = within(cx, "a look at the sessions", LOOK_TIME, seen).await.flatten();
                cx.note_seen(Seen { user: login.username, ..seen.unwrap_or_default() });
                database.close(at).await;
            }
            Ok(Verdict::Accepted)
        }
        Attempt::Refused(why) => Ok(Verdict::Rejected(format!("{}: {why}", login.account()))),
    }
}

/// What a preflight finds if AWSCURRENT does not log in.
pub(super) fn current_refused(why: String) -> Finding {
    let error = Error::new(ErrorKind::Rejected, "AWSCURRENT does not log in");
    Finding::Fails(error.caused_by(why))
}

/// Refuses a secret that names no admin, before anything is connected to.
pub(super) fn admin_named(current: &Current) -> Result<()> {
    let document = current.secret().document()?;
    Admins::named_by(document).map(drop).map_err(|error| error.while_doing("AWSCURRENT"))
}

/// What is said where a secret names an admin that this strategy does not use: a pair that AWS's template
/// made would lose the password that is in use.
pub(super) fn unused_admin(current: &Current, strategy: &str) -> Option<String> {
    let named = current.secret().document().ok()?.optional("masterarn").ok()??;
    (!named.is_empty()).then(|| {
        format!(
            "the secret names an admin in \"masterarn\", which {strategy} does not use: the password \
             of this very user is changed; for two users, as AWS's multi-user template has them, \
             choose alternating-users in ROTATION_STRATEGY or the tag fourstep:strategy"
        )
    })
}

/// Adds what a preflight of every strategy finds beside the change itself: of passwords that are not
/// made, that can be guessed or that make the secret too long; of copies of the password; and of what the
/// function's owner asks (`PROBE_QUERY`), which the user in use can answer as well as the next one.
pub(super) async fn add_findings<S: Database>(
    findings: &mut Vec<Finding>,
    with: (&Driver<S>, &PasswordPolicy),
    subject: &InspectContext<'_>,
    login: &Login,
    cx: &Invocation,
) {
    if !findings.iter().any(Finding::fails) {
        findings.extend(with.0.probe(login, cx).await.err().map(Finding::Fails));
    }
    findings.extend(policy_finding(with, subject, login));
    findings.extend(copies::remark(subject.current.secret(), login).map(Finding::Warns));
}

fn policy_finding<S: Database>(
    with: (&Driver<S>, &PasswordPolicy),
    subject: &InspectContext<'_>,
    login: &Login,
) -> Option<Finding> {
    let next = || {
        let policy = policy(with, &subject.description.tags, login)?;
        let password: SecretString = policy.generate()?;
        let document = subject.current.secret().document()?;
        let next = Secret::from(document.with("password", password.expose_secret()));
        check_length(&next.encode()).map(|()| policy)
    };
    match next() {
        Ok(policy) => policy.weakness().map(Finding::Warns),
        Err(error) => Some(Finding::Fails(error)),
    }
}
