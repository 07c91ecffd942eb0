//! Single user, by admin: the admin of another secret sets the password.
//!
//! | sequence | where it is played |
//! |---|---|
//! | F2, a cancelled rotation | every scenario that cancels |
//! | F3, a late container | frozen in setSecret, and cancelled; planted: [`Defect::NoFence`] |
//! | F8, an account that is none of the secret's | `takeover`; planted: [`Defect::NoProof`] |

use async_trait::async_trait;
use secrecy::ExposeSecret;

use super::admin::{Login, Tries, admin, check_same, guard};
use super::{assert_caught_in, assert_safe};
use crate::error::{Error, ErrorKind};
use crate::password::PasswordPolicy;
use crate::rotator::{Applied, Fence, Finding, Known, Rotator, Subject, Verdict, Versions};
use crate::secret::Secret;
use crate::testing::Overlap;
use crate::testing::models::{Server, SharedServer};
use crate::turn::Turn;

/// What may be wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Defect {
    /// The admin resets whatever the secret names.
    NoProof,
    /// The fence is not passed.
    NoFence,
    /// A container that stands still keeps its lock.
    NoLimits,
    /// Only AWSCURRENT proves the account.
    OnlyCurrent,
}

pub(super) struct ByAdmin {
    pub(super) server: Server,
    /// Users that the function's configuration allows to reset without proof.
    pub(super) repair: &'static [&'static str],
    pub(super) defect: Option<Defect>,
}

#[async_trait]
impl Rotator for ByAdmin {
    fn check(&self, versions: &Versions<'_>) -> Result<(), Error> {
        let (current, pending) = (versions.current(), versions.pending());
        check_same(current.secret(), pending.secret(), &["password"])
    }

    async fn propose(&self, known: &Known<'_>, _: &Turn) -> Result<Secret, Error> {
        let password = PasswordPolicy::default().generate()?;
        let document = known.current.secret().document()?;
        Ok(document.with("password", password.expose_secret()).into())
    }

    /// One of the recorded passwords must log in as proof that the secret is the account's.
    async fn apply(
        &self,
        versions: &Versions<'_>,
        fence: &Fence<'_>,
        _: &Turn,
    ) -> Result<Applied, Error> {
        let current = Login::read("AWSCURRENT", versions.current().secret())?;
        let pending = Login::read("AWSPENDING", versions.pending().secret())?;
        let user = pending.user.as_str();
        let mut tries = Tries::new(&self.server);
        let mut proven = tries.works(&current).await?;
        if !proven && tries.works(&pending).await? {
            return Ok(Applied::Already(format!("user {user:?} has the pending password already")));
        }
        if !proven && self.defect != Some(Defect::OnlyCurrent) {
            proven = tries.older(versions, &[user], None).await?.is_some();
        }
        if !proven && !self.repair.contains(&user) && self.defect != Some(Defect::NoProof) {
            return Err(Error::new(ErrorKind::Rejected, format!("cannot reset user {user:?}"))
                .caused_by("no recorded password logs in; allow it in REPAIR_USERS"));
        }
        self.reset(pending, fence).await?;
        Ok(Applied::Changed("the admin set the password".to_owned()))
    }

    async fn verify(&self, secret: &Secret, _: &Turn) -> Result<Verdict, Error> {
        let login = Login::read("the secret", secret)?;
        Ok(match Tries::new(&self.server).works(&login).await? {
            true => Verdict::Accepted,
            false => Verdict::Rejected("wrong password".to_owned()),
        })
    }

    async fn preflight(&self, _: &Subject<'_>, _: &Turn) -> Result<Vec<Finding>, Error> {
        Ok(Vec::new())
    }
}

impl ByAdmin {
    async fn reset(&self, pending: Login, fence: &Fence<'_>) -> Result<(), Error> {
        let mut session = admin(&self.server).await?;
        if self.defect != Some(Defect::NoLimits) {
            session.limit().await?;
        }
        session.begin().await?;
        session.lock(&pending.user).await?;
        session.ask("is the user an application's?", |one| guard(one, &pending.user)).await??;
        if self.defect != Some(Defect::NoFence) {
            fence.pass().await?;
        }
        let change = session.change("ALTER ROLE", move |accounts| {
            if let Some(account) = accounts.get_mut(&pending.user) {
                account.password = pending.password;
            }
        });
        change.await?;
        Ok(session.commit().await?)
    }
}

fn testbed(
    defect: Option<Defect>,
) -> SharedServer<impl Fn(&Server) -> Box<dyn Rotator> + Clone + Send + Sync> {
    SharedServer::new(Overlap::None, move |server| {
        Box::new(ByAdmin { server: server.clone(), repair: &[], defect })
    })
}

#[test]
fn single_user_by_admin_survives_every_sweep() {
    assert_safe(&testbed(None));
}

#[test]
fn an_admin_that_passes_no_fence_undoes_a_finished_rotation() {
    let broken = testbed(Some(Defect::NoFence));
    assert_caught_in(&broken, "frozen in setSecret, cancelled", "no labelled version logs in");
}

#[test]
fn an_admin_whose_session_has_no_limits_blocks_every_rotation_after_it() {
    let broken = testbed(Some(Defect::NoLimits));
    assert_caught_in(&broken, "frozen in setSecret", "repeating the rotation never succeeds");
}

#[test]
fn an_admin_that_takes_no_older_proof_does_not_survive_a_cancelled_rotation() {
    let broken = testbed(Some(Defect::OnlyCurrent));
    assert_caught_in(&broken, "cancelled twice", "the next rotation never succeeds");
}
