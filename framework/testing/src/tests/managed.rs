//! A managed service whose API replaces both passwords of a user, blindly and late: the strategy over it, and one
//! that forgets what it is for.

use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use fourstep::users::{
    Attempt, Change, Login, ManagedPasswords, ManagedUser, ManagedUsers, UserState, UserStatus,
};
use fourstep::{
    Environment, Error, ErrorKind, ExposeSecret, Invocation, PasswordPolicy, Rotator, Secret,
    SecretString,
};
use serde_json::json;

use super::{assert_caught_in, assert_safe};
use crate::{Overlap, Remote, SECRET_ARN, Testbed, Wire, conformance};

/// How often the user is looked at until a change is seen to be under way, and until it is done.
const SEEN: u32 = 1;
const DONE: u32 = 3;

const USER: &str = "arn:the user";

#[derive(Default)]
struct State {
    passwords: Vec<String>,
    /// What is under way, and how often it was looked at.
    next: Option<(Vec<String>, u32)>,
    remembered: Vec<String>,
}

impl State {
    fn settle(&mut self) {
        if let Some((passwords, _)) = self.next.take() {
            self.passwords = passwords;
        }
    }
}

#[derive(Clone)]
struct Model {
    wire: Wire,
    state: Arc<Mutex<State>>,
    /// A defect: current's password is not sent along with the new one.
    forgets_current: bool,
}

impl Model {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl ManagedUsers for Model {
    fn lengths(&self) -> RangeInclusive<usize> {
        1..=128
    }

    fn read(&self, secret: &Secret) -> Result<ManagedUser, Error> {
        let document = secret.document()?;
        let field = |name| document.required(name);
        let (name, password) = (field("username")?.to_owned(), field("password")?);
        let login = Some(Login::new(field("host")?, 1, &name, password));
        Ok(ManagedUser { arn: USER.to_owned(), name, password: Some(password.into()), login })
    }

    fn action(&self, _: &ManagedUser) -> String {
        "model:Replace".to_owned()
    }

    async fn describe(&self, user: &ManagedUser, _: &Invocation) -> Result<UserState, Error> {
        let looked = self.wire.call("look at the user", || {
            let mut state = self.lock();
            let looks = state.next.as_mut().map(|(_, looks)| {
                *looks += 1;
                *looks
            });
            if looks == Some(DONE) {
                state.settle();
            }
            let changing = state.next.is_some() && looks > Some(SEEN);
            let status = if changing { UserStatus::Changing } else { UserStatus::Active };
            (status, state.passwords.len())
        });
        let (status, passwords) = looked.await?;
        let passwords = i32::try_from(passwords).unwrap_or(i32::MAX);
        let (arn, name) = (user.arn.clone(), user.name.clone());
        Ok(UserState { arn, name, status, authentication: "password".into(), passwords, groups: 1 })
    }

    async fn set_passwords(
        &self,
        _: &ManagedUser,
        passwords: &[SecretString],
        _: &Invocation,
    ) -> Result<Change, Error> {
        let mut passwords: Vec<String> =
            passwords.iter().map(|one| one.expose_secret().to_owned()).collect();
        if self.forgets_current {
            passwords.truncate(1);
        }
        let taken = self.wire.call("replace the passwords", || {
            let mut state = self.lock();
            let free = state.next.is_none();
            if free {
                state.next = Some((passwords, 0));
            }
            free
        });
        match taken.await? {
            true => Ok(Change::Made),
            false => Err(Error::new(ErrorKind::Conflict, "it is being changed")),
        }
    }

    async fn log_in(&self, login: &Login, cx: &Invocation) -> Result<Attempt<()>, Error> {
        cx.count_connection();
        let password = login.password.expose_secret();
        let right = || self.lock().passwords.iter().any(|one| one == password);
        match self.wire.call("log in", right).await? {
            true => Ok(Attempt::Accepted(())),
            false => {
                cx.count_rejected_login();
                Ok(Attempt::Refused("wrong password".to_owned()))
            }
        }
    }
}

struct Service {
    forgets_current: bool,
}

#[async_trait]
impl Testbed for Service {
    fn overlap(&self) -> Overlap {
        Overlap::Full
    }

    fn turns(&self, _: crate::Effort) -> u32 {
        2
    }

    async fn fresh(&self, wire: &Wire) -> Box<dyn Remote> {
        let state = State { passwords: vec!["first-password".to_owned()], ..State::default() };
        let state = Arc::new(Mutex::new(state));
        Box::new(OneUser(Model {
            wire: wire.clone(),
            state,
            forgets_current: self.forgets_current,
        }))
    }
}

struct OneUser(Model);

#[async_trait]
impl Remote for OneUser {
    fn rotator(&self) -> Box<dyn Rotator> {
        let (model, policy) = (self.0.clone(), PasswordPolicy::default());
        let listed = format!("{SECRET_ARN}={USER}");
        let environment = Environment::from([("MANAGED_USERS", listed.as_str())]);
        Box::new(ManagedPasswords::read(&environment, model, policy).unwrap())
    }

    fn secret(&self) -> String {
        json!({"host": "model", "username": "app", "password": "first-password"}).to_string()
    }

    async fn accepts(&self, secret: &Secret) -> bool {
        let password = secret.document().unwrap().required("password").unwrap().to_owned();
        self.0.lock().passwords.contains(&password)
    }

    fn replaces(&self) -> bool {
        true
    }

    fn applies_late(&self) -> bool {
        true
    }

    fn hour_passes(&self) {
        self.0.lock().settle();
    }

    fn remember(&self) {
        let state = &mut *self.0.lock();
        state.remembered = state.passwords.clone();
    }

    fn forget(&self) -> bool {
        let state = &mut *self.0.lock();
        state.passwords = state.remembered.clone();
        true
    }
}

#[test]
fn two_passwords_that_an_api_replaces_late_survive_every_sweep() {
    assert_safe(&Service { forgets_current: false });
}

#[test]
fn a_new_password_that_is_sent_alone_takes_current_away() {
    let scenario = "one crash, every step twice";
    assert_caught_in(&Service { forgets_current: true }, scenario, "AWSCURRENT does not log in");
}

#[tokio::test]
async fn two_passwords_that_an_api_replaces_conform() {
    let report = conformance(&Service { forgets_current: false }).await;
    eprintln!("{report}");
    report.assert_safe();
}
