//! A rotator that is right but for one thing, and the name under which the kit knows that thing.

use std::sync::Mutex;

use async_trait::async_trait;
use fourstep::{
    Applied, CreateContext, Error, ErrorKind, Fence, Finding, InspectContext, Invocation, Pending,
    Rotator, Secret, SetContext, Verdict,
};
use serde_json::json;

use super::{assert_caught, assert_refuted, assert_safe};
use crate::models::{Account, OneUser, Server, Session, Trouble};
use crate::{Overlap, Remote, Testbed, Wire, conformance};

/// What is wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Defect {
    None,
    /// A connection that fails is taken for a refused password.
    LostIsRejected,
    /// The password changes without asking whether the rotation still goes on.
    NoFence,
    /// The server may not end its session while it stands still with the lock.
    NoLimits,
    /// The password is quoted in an error.
    EchoesValue,
    /// The proposed password is kept in memory, and applied from there.
    Remembers,
    /// setSecret draws a password of its own.
    Regenerates,
    /// createSecret already sets the password.
    AppliesInPropose,
    /// Only AWSCURRENT is tried.
    CurrentOnly,
    /// The current and the pending password are tried, and no other.
    NoOlder,
    /// Another account is none of its business.
    NoCheck,
    /// The new document has only the fields it knows, and so has the check.
    DropsFields,
    /// Everybody is let in.
    AcceptsAll,
    /// The next password is always the same.
    SameAgain,
    /// Where nobody is let in, an account is made for whom it may be.
    LockedOutMakesUser,
    /// Where nobody is let in, somebody else is thought to have done the work.
    LockedOutSucceeds,
    /// Where nobody is let in, the server is said to be out of reach.
    LockedOutUnreachable,
    /// Preflight asks nobody.
    BlindPreflight,
}

struct Broken(Defect);

#[async_trait]
impl Testbed for Broken {
    fn overlap(&self) -> Overlap {
        Overlap::None
    }

    async fn fresh(&self, wire: &Wire) -> Box<dyn Remote> {
        Box::new(BrokenUser { defect: self.0, user: OneUser::new(wire, "app", "first-password") })
    }
}

struct BrokenUser {
    defect: Defect,
    user: OneUser,
}

#[async_trait]
impl Remote for BrokenUser {
    fn rotator(&self) -> Box<dyn Rotator> {
        Box::new(BrokenRotator {
            defect: self.defect,
            right: self.user.rotator(),
            server: self.user.server().clone(),
            remembered: Mutex::default(),
        })
    }

    fn secret(&self) -> String {
        self.user.secret()
    }

    async fn accepts(&self, secret: &Secret) -> bool {
        self.user.accepts(secret).await
    }

    async fn credentials(&self) -> Option<usize> {
        Some(self.user.server().arrange(|accounts| accounts.len()))
    }

    fn hour_passes(&self) {
        self.user.hour_passes();
    }

    fn remember(&self) {
        self.user.remember();
    }

    fn forget(&self) -> bool {
        self.user.forget()
    }
}

struct BrokenRotator {
    defect: Defect,
    right: Box<dyn Rotator>,
    server: Server,
    remembered: Mutex<Option<String>>,
}

impl BrokenRotator {
    async fn log_in(&self, secret: &Secret) -> Result<Option<Session>, Error> {
        let document = secret.document()?;
        let (user, password) = (document.required("username")?, document.required("password")?);
        match self.server.log_in(user, password).await {
            Ok(session) => Ok(session),
            Err(_) if self.defect == Defect::LostIsRejected => Ok(None),
            Err(lost) if self.defect == Defect::EchoesValue => {
                Err(Error::from(lost).while_doing(format!("cannot log in with {password:?}")))
            }
            Err(lost) => Err(lost.into()),
        }
    }

    async fn set(&self, mut session: Session, password: String) -> Result<(), Trouble> {
        let user = session.user().to_owned();
        let change = session.change("ALTER USER", move |accounts| {
            accounts.get_mut(&user).unwrap().password = password;
        });
        change.await?;
        session.commit().await
    }

    fn password(&self, pending: &Pending) -> Result<String, Error> {
        Ok(match self.defect {
            Defect::Regenerates => "drawn-in-setSecret".to_owned(),
            Defect::Remembers => {
                let remembered = self.remembered.lock().unwrap().clone();
                remembered.ok_or_else(|| Error::new(ErrorKind::NotFound, "nothing in memory"))?
            }
            _ => pending.secret().document()?.required("password")?.to_owned(),
        })
    }
}

#[async_trait]
impl Rotator for BrokenRotator {
    fn check(&self, versions: &SetContext<'_>) -> Result<(), Error> {
        if matches!(self.defect, Defect::NoCheck | Defect::DropsFields) {
            return Ok(());
        }
        self.right.check(versions)
    }

    async fn propose(&self, known: &CreateContext<'_>, cx: &Invocation) -> Result<Secret, Error> {
        let proposed = self.right.propose(known, cx).await?;
        let document = proposed.document()?;
        let password = document.required("password")?.to_owned();
        match self.defect {
            Defect::SameAgain => return Ok(document.with("password", "always-the-same").into()),
            Defect::DropsFields => {
                let user = document.required("username")?;
                let text = json!({ "engine": "model", "host": "model", "username": user });
                let fields = Secret::decode(&text.to_string().into());
                return Ok(fields.document()?.with("password", &password).into());
            }
            Defect::Remembers => *self.remembered.lock().unwrap() = Some(password),
            Defect::AppliesInPropose => {
                if let Some(mut session) = self.log_in(known.current.secret()).await? {
                    session.begin();
                    self.set(session, password).await?;
                }
            }
            _ => {}
        }
        Ok(proposed)
    }

    async fn apply(
        &self,
        versions: &SetContext<'_>,
        fence: &dyn Fence,
        _: &Invocation,
    ) -> Result<Applied, Error> {
        let mut open = self.log_in(versions.current().secret()).await?;
        if open.is_none() && self.defect != Defect::CurrentOnly {
            if self.log_in(versions.pending().secret()).await?.is_some() {
                return Ok(Applied::Already("pending logs in".to_owned()));
            }
            if self.defect != Defect::NoOlder {
                let older = versions.previous().await?.into_iter().chain(versions.others().await?);
                for older in older {
                    if open.is_none() {
                        open = self.log_in(older.secret()).await?;
                    }
                }
            }
        }
        let Some(mut session) = open else {
            return match self.defect {
                Defect::LockedOutSucceeds => Ok(Applied::Already("it will do".to_owned())),
                Defect::LockedOutUnreachable => {
                    Err(Error::new(ErrorKind::Unreachable, "no version logs in"))
                }
                Defect::LockedOutMakesUser => {
                    let account = Account::with_password("first-aid");
                    self.server.arrange(|accounts| accounts.insert("app2".to_owned(), account));
                    Err(Error::new(ErrorKind::Rejected, "no version logs in"))
                }
                _ => Err(Error::new(ErrorKind::Rejected, "no version logs in")),
            };
        };
        if self.defect != Defect::NoLimits {
            session.limit().await?;
        }
        session.begin();
        session.lock("app").await?;
        if self.defect != Defect::NoFence {
            fence.pass().await?;
        }
        self.set(session, self.password(versions.pending())?).await?;
        Ok(Applied::Changed("changed".to_owned()))
    }

    async fn verify(&self, secret: &Secret, _: &Invocation) -> Result<Verdict, Error> {
        let open = self.log_in(secret).await?.is_some() || self.defect == Defect::AcceptsAll;
        Ok(if open { Verdict::Accepted } else { Verdict::Rejected("refused".to_owned()) })
    }

    async fn preflight(
        &self,
        subject: &InspectContext<'_>,
        cx: &Invocation,
    ) -> Result<Vec<Finding>, Error> {
        match self.defect {
            Defect::BlindPreflight => Ok(Vec::new()),
            _ => self.right.preflight(subject, cx).await,
        }
    }
}

/// Else a defect might be known by something that is wrong with all of them.
#[tokio::test]
async fn the_rotator_without_a_defect_is_safe() {
    assert_safe(&Broken(Defect::None));
    conformance(&Broken(Defect::None)).await.assert_safe();
}

#[test]
fn a_rotator_without_a_fence_is_caught_by_the_sweep() {
    assert_caught(&Broken(Defect::NoFence), "no labelled version logs in");
}

#[test]
fn a_lock_that_nobody_ends_is_caught() {
    assert_caught(&Broken(Defect::NoLimits), "repeating the rotation never succeeds");
}

#[test]
fn a_value_applied_before_it_is_recorded_is_caught() {
    assert_caught(&Broken(Defect::AppliesInPropose), "no labelled version logs in");
}

#[test]
fn state_kept_in_memory_between_steps_is_caught() {
    assert_caught(&Broken(Defect::Remembers), "repeating the rotation never succeeds");
}

#[test]
fn a_pending_value_made_anew_in_set_secret_is_caught() {
    assert_caught(&Broken(Defect::Regenerates), "no labelled version logs in");
}

#[test]
fn a_retry_that_only_tries_the_current_password_is_caught() {
    assert_caught(&Broken(Defect::CurrentOnly), "repeating the rotation never succeeds");
}

#[test]
fn a_value_that_a_cancelled_rotation_left_and_nobody_tries_is_caught() {
    assert_caught(&Broken(Defect::NoOlder), "the next rotation never succeeds");
}

#[tokio::test]
async fn what_breaks_the_contract_of_a_verb_is_refuted_by_name() {
    for (defect, name) in [
        (Defect::LostIsRejected, "a lost connection is read as Rejected"),
        (Defect::NoFence, "the target was changed without passing the fence"),
        (Defect::EchoesValue, "a secret value is said, in plain text"),
        (Defect::NoCheck, "a pending secret with another host is accepted"),
        (Defect::DropsFields, "the rotation changes the field \"zz\""),
        (Defect::AcceptsAll, "verify accepts a wrong credential"),
        (Defect::SameAgain, "propose makes the same credential twice"),
        (Defect::AppliesInPropose, "propose stops the current credential"),
        (Defect::Remembers, "a healthy setSecret fails"),
        (Defect::LockedOutMakesUser, "credentials change although no stored one works"),
        (Defect::LockedOutSucceeds, "setSecret succeeds although no stored credential works"),
        (
            Defect::LockedOutUnreachable,
            "setSecret calls it Unreachable and not Rejected that no stored credential works",
        ),
        (Defect::BlindPreflight, "preflight finds nothing although no stored credential works"),
    ] {
        assert_refuted(&Broken(defect), name).await;
    }
}
