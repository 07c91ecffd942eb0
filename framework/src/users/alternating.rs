//! Two users that an admin keeps equal, and that the secret names in turn.

mod pair_admin;
mod proofs;
mod proxied;

use std::sync::Arc;

use async_trait::async_trait;

use crate::config::Environment;
use crate::error::{Error, ErrorKind, Result};
use crate::invocation::Invocation;
use crate::password::PasswordPolicy;
use crate::rotator::{
    Applied, CreateContext, Fence, Finding, InspectContext, PromoteContext, Rotator, SecretReader,
    SetContext, Verdict,
};
use crate::secret::Secret;
use crate::users::admin::Admins;
use crate::users::driver::{MOST_LISTED, listed, open_admin};
use crate::users::login_attempts::LoginAttempts;
use crate::users::pair::PairSettings;
use crate::users::proxy_secrets::{Behind, ProxySecrets};
use crate::users::{Alternates, Attempt, Change, Driver, Login, Pair, common};

use pair_admin::PairAdmin;
use proxied::{first, subject};

/// The strategy alternating-users over any [`Alternates`] database: the admin of the secret that
/// the field `masterarn` names keeps two users equal, and the secret names them in turn.
///
/// No login ever fails: the one before keeps working until the next rotation gives its user a new
/// password.
///
/// The second user is named after the first with `_clone` behind it, as by AWS's templates, or as
/// `USER_PAIRS` says. It is touched only if it is known to be this secret's: by the mark that was
/// written when it was made, by a recorded password that logs in, or by `ADOPT_USERS`.
#[derive(Debug)]
pub struct Alternating<S> {
    database: Arc<Driver<S>>,
    policy: PasswordPolicy,
    admins: Admins,
    pairs: PairSettings,
    proxies: ProxySecrets,
    refuse_open_sessions: bool,
}

impl<S: Alternates> Alternating<S> {
    /// Rotates pairs of users of `database` to passwords that meet `policy`. Reads `USER_PAIRS`
    /// (`app=app_b,...`), `ADOPT_USERS` and `DROP_EXTRA_RIGHTS` (`app_clone,...`), `REFUSE_OPEN_SESSIONS`,
    /// `PROXY_SECRETS` (`app=ARN,app_clone=ARN`), and `SAME_DATABASE_HOSTS`, which joins the names of
    /// one database by `=`.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`], naming the variable.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use fourstep::users::{Alternates, Alternating, Driver};
    /// use fourstep::{Environment, Error, PasswordPolicy, Result};
    ///
    /// fn blue_and_green<S: Alternates>(
    ///     database: Arc<Driver<S>>,
    /// ) -> Result<Alternating<S>> {
    ///     let environment = Environment::from([("USER_PAIRS", "app_blue=app_green")]);
    ///     Alternating::read(&environment, database, PasswordPolicy::default())
    /// }
    /// ```
    pub fn read(
        environment: &Environment,
        database: Arc<Driver<S>>,
        policy: PasswordPolicy,
    ) -> Result<Self> {
        Ok(Self {
            database,
            policy,
            admins: Admins::read(environment)?,
            pairs: PairSettings::read(environment)?,
            proxies: ProxySecrets::read(environment)?,
            refuse_open_sessions: environment.flag("REFUSE_OPEN_SESSIONS")?,
        })
    }

    /// The pair that this secret names half of, as its admin sees it.
    async fn pair_admin<'a>(
        &'a self,
        (user, secret): (&Login, &Secret),
        arn: &'a str,
        others: &SecretReader<'_>,
        cx: &'a Invocation,
    ) -> Result<PairAdmin<'a, S>> {
        let (document, dialect) = (secret.document()?, self.database.dialect());
        let admin = self.admins.of(user, document, dialect, others, cx).await?;
        let session = open_admin(self.database.server(), &admin.login, cx).await;
        Ok(PairAdmin {
            database: &*self.database,
            pair: Pair::new(&self.pairs, arn),
            session: session.map_err(|error| admin.explain(error))?,
            admin,
            refuse_open_sessions: self.refuse_open_sessions,
        })
    }

    /// Makes the pending user as the current one is, and lets it in with the pending password, which its
    /// proxy secret has before.
    async fn install(
        &self,
        pair_admin: &mut PairAdmin<'_, S>,
        tries: &mut LoginAttempts<'_, S>,
        versions: &SetContext<'_>,
        (current, pending, behind): (&Login, &Login, Option<&Behind<'_>>),
        fence: &dyn Fence,
    ) -> Result<Applied> {
        let (target, source) = (pending.username.as_str(), current.username.as_str());
        let token = versions.pending().version();
        let ownership = pair_admin.ownership((target, token), source).await?;
        let proof = self.proof(tries, versions, (current, pending), ownership).await?;
        if let Some(behind) = behind {
            behind.stage(pending, token).await?;
        }
        match pair_admin.install(pending, source, proof, fence).await? {
            Change::Made => Ok(Applied::Changed(format!(
                "user {target:?} has what user {source:?} has, and the pending password"
            ))),
            Change::Refused(_) if pair_admin.has(pending).await? => Ok(Applied::Already(format!(
                "user {target:?} has the pending password already, set by another run"
            ))),
            Change::Refused(why) => Ok(Applied::Refused(why)),
        }
    }
}

#[async_trait]
impl<S: Alternates> Rotator for Alternating<S> {
    /// Pending must name the other user, on the same host; which user that is and whose, the
    /// server says in apply. A copy of AWSCURRENT is no rotation.
    fn check(&self, versions: &SetContext<'_>) -> Result<()> {
        common::admin_named(versions.current())?;
        let (current, pending) = (versions.current().secret(), versions.pending().secret());
        if current == pending {
            return Ok(());
        }
        let login = common::current(current, self.database.dialect())?;
        let other = common::pending(pending, self.database.dialect())?;
        if login.same_account(&other) {
            let what = format!("AWSPENDING names {}, which AWSCURRENT names too", other.account());
            let error = Error::new(ErrorKind::Mismatch, what);
            return Err(error.caused_by("its password must not change while it is in use"));
        }
        common::check_unedited(versions, &["username", "password"])
    }

    /// Which user is next, and whose, is asked of the server: what belongs to somebody else is
    /// refused before anything is stored that would name it.
    async fn propose(&self, known: &CreateContext<'_>, cx: &Invocation) -> Result<Secret> {
        let secret = known.current.secret();
        let current = common::current(secret, self.database.dialect())?;
        common::admin_named(known.current)?;
        let (arn, others) = (known.description.arn.as_str(), known.other_secrets());
        let mut pair_admin = self.pair_admin((&current, secret), arn, &others, cx).await?;
        let next = async {
            let next = pair_admin.next(&current.username).await?;
            next.unopposed()?;
            pair_admin.outlasts().await?;
            Ok(next)
        }
        .await;
        pair_admin.close().await;
        let next = next?;
        self.confirmed(&next, &known.recorded(), &current, cx).await?;
        let subject = subject(arn, known.current, &current, &others);
        self.proxies.look(subject, &next.user).await.map_err(first)?;
        let with = (&*self.database, &self.policy);
        Ok(common::with_new_password(with, known, &current, cx)?
            .with("username", &next.user)
            .into())
    }

    /// Current must log in, or be made to; then the other user gets its rights and the pending
    /// password. That is not tried first: in a healthy rotation it would be refused, and where it
    /// works, the rights may have been changed since.
    async fn apply(
        &self,
        versions: &SetContext<'_>,
        fence: &dyn Fence,
        cx: &Invocation,
    ) -> Result<Applied> {
        let (secret, dialect) = (versions.current().secret(), self.database.dialect());
        if secret == versions.pending().secret() {
            return Ok(Applied::Already("AWSPENDING is a copy of AWSCURRENT".to_owned()));
        }
        let current = common::current(secret, dialect)?;
        let pending = common::pending(versions.pending().secret(), dialect)?;
        let (arn, others) = (versions.description().arn.as_str(), versions.other_secrets());
        let subject = subject(arn, versions.current(), &current, &others);
        let behind = self.proxies.look(subject, &pending.username).await.map_err(first)?;
        let mut tries = LoginAttempts::new(&*self.database, cx);
        let works = tries.open("AWSCURRENT", &current).await?.is_some();
        let other = match works {
            true => None,
            false => self.other_proof(&mut tries, versions, (&current, &pending)).await?,
        };
        if !works && other.is_none() {
            let (one, other) = (current.account(), &pending.username);
            let what = format!("neither {one} nor user {other:?} logs in with what is recorded");
            return Err(tries.exhausted(what).caused_by(
                "give one of them a password that is recorded, or store the one that it has in \
                 AWSCURRENT",
            ));
        }
        let mut pair_admin = self.pair_admin((&current, secret), arn, &others, cx).await?;
        let (logins, token) = ((&current, &pending, behind.as_ref()), versions.pending().version());
        let partner = (pending.username.as_str(), token);
        let applied = async {
            let usable = match &other {
                Some(other) => pair_admin.restore_current(&current, partner, other, fence).await?,
                None => true,
            };
            if let Some(behind) = behind.as_ref().filter(|_| usable) {
                self.keep_in_use(behind, (secret, &current), &pending.username, cx).await?;
            }
            self.install(&mut pair_admin, &mut tries, versions, logins, fence).await
        }
        .await;
        pair_admin.close().await;
        let applied = applied?;
        if let Some(behind) = behind.filter(|_| !matches!(applied, Applied::Refused(_))) {
            behind.publish(&pending, token).await?;
        }
        Ok(applied)
    }

    async fn verify(&self, secret: &Secret, cx: &Invocation) -> Result<Verdict> {
        common::verify(&*self.database, secret, cx).await
    }

    /// The two users must be able to do the same, and pending what the function's owner asks.
    async fn compare(&self, versions: &SetContext<'_>, cx: &Invocation) -> Result<()> {
        let (secret, dialect) = (versions.current().secret(), self.database.dialect());
        let current = common::current(secret, dialect)?;
        let pending = common::pending(versions.pending().secret(), dialect)?;
        if current.same_account(&pending) {
            let what = "AWSCURRENT was read as it was before, and names the pending user";
            return Err(Error::new(ErrorKind::Conflict, what).caused_by("retry"));
        }
        let others = versions.other_secrets();
        let (document, partner) = (secret.document()?, current.username.as_str());
        let admin = self.admins.of(&current, document, dialect, &others, cx).await?;
        let differences =
            self.database.server().differences(&admin.login, &pending, partner, cx).await;
        let differences = differences.map_err(|error| admin.explain(error))?;
        if !differences.is_empty() {
            let what = format!(
                "users {:?} and {:?} differ, which setSecret made equal",
                current.username, pending.username
            );
            let listed = listed(differences.iter().map(String::as_str), MOST_LISTED, ", ");
            let listed = format!("{listed}; retry");
            return Err(Error::new(ErrorKind::Conflict, what).caused_by(listed));
        }
        self.database.probe(&pending, cx).await?;
        let proven = (versions.pending().secret(), &pending);
        self.proxies.until_learned(&self.database, proven, partner, cx).await
    }

    /// The proxy secret of the user that comes into use holds what is promoted.
    async fn confirm(&self, versions: &PromoteContext<'_>, _: &Invocation) -> Result<()> {
        let pending = common::pending(versions.pending().secret(), self.database.dialect())?;
        self.proxies.confirm(&pending, &versions.other_secrets()).await
    }

    async fn preflight(
        &self,
        subject: &InspectContext<'_>,
        cx: &Invocation,
    ) -> Result<Vec<Finding>> {
        let secret = subject.current.secret();
        let current = common::current(secret, self.database.dialect())?;
        let mut findings = Vec::new();
        match self.database.log_in(&current, cx).await {
            Ok(Attempt::Accepted(_)) => {}
            Ok(Attempt::Refused(why)) => findings.push(common::current_refused(why)),
            Err(error) => findings.push(Finding::Fails(error)),
        }
        let (arn, others) = (subject.description.arn.as_str(), subject.other_secrets());
        let of_pair = proxied::subject(arn, subject.current, &current, &others);
        let found = async {
            let mut pair_admin = self.pair_admin((&current, secret), arn, &others, cx).await?;
            let found = async {
                let next = pair_admin.next(&current.username).await?;
                let confirmed = self.confirmed(&next, &subject.recorded(), &current, cx).await;
                let proxied = self.at_proxy(of_pair, &next.user, cx).await;
                let found = pair_admin.preflight(&current.username, next, confirmed).await;
                found.map(|found| found.into_iter().chain(proxied).collect::<Vec<_>>())
            }
            .await;
            pair_admin.close().await;
            found
        };
        match found.await {
            Ok(found) => findings.extend(found),
            Err(error) => findings.push(Finding::Fails(error)),
        }
        let with = (&*self.database, &self.policy);
        common::add_findings(&mut findings, with, subject, &current, cx).await;
        Ok(findings)
    }

    async fn plan(&self, subject: &InspectContext<'_>, cx: &Invocation) -> Result<Vec<String>> {
        let secret = subject.current.secret();
        let current = common::current(secret, self.database.dialect())?;
        let (arn, others) = (subject.description.arn.as_str(), subject.other_secrets());
        let mut pair_admin = self.pair_admin((&current, secret), arn, &others, cx).await?;
        let plan = pair_admin.plan(&current.username).await;
        let next = match self.proxies.is_empty() {
            true => None,
            false => Some(pair_admin.next(&current.username).await),
        };
        pair_admin.close().await;
        let mut plan = plan?;
        if let Some(next) = next.transpose()? {
            let of_pair = proxied::subject(arn, subject.current, &current, &others);
            let behind = self.proxies.look(of_pair, &next.user).await.map_err(first)?;
            plan.extend(behind.map(|behind| behind.plan()));
        }
        Ok(plan)
    }
}
