//! A set of passwords without any lock, as Redis has it: the two strategies over it, and what each part
//! of them is for, with one defect at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use fourstep::users::{
    AdminSession, Administered, Attempt, Change, Database, Dialect, Driver, Login, PasswordSet,
    PasswordSets,
};
use fourstep::{
    Environment, Error, ErrorKind, ExposeSecret, Fence, Invocation, PasswordPolicy, Rotator,
    Secret, SecretString,
};
use serde_json::json;

use super::{assert_caught_in, assert_safe};
use crate::{Effort, Overlap, Remote, Testbed, Wire, conformance};

const DIALECT: Dialect = Dialect {
    engines: &["model"],
    default_port: 1,
    default_dbname: None,
    longest_name: 63,
    most_older_logins: 8,
    besides: &[],
};

/// Every user's passwords.
type Sets = BTreeMap<String, BTreeSet<String>>;

/// What may be wrong with the server, or with what is made of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Defect {
    /// What is set takes the place of all there is, as ElastiCache's API does.
    Replaces,
    /// Passwords are taken away although the promoted one is not there.
    TakesBlindly,
    /// Nothing is ever taken away.
    Keeps,
}

#[derive(Clone)]
struct Model {
    wire: Wire,
    sets: Arc<Mutex<[Sets; 2]>>,
    defect: Option<Defect>,
}

/// What is added, and what is taken away; nothing of it where what is demanded is not there.
struct Prepared {
    user: String,
    add: Option<String>,
    demand: Option<String>,
    remove: Vec<String>,
}

impl Model {
    fn lock(&self) -> MutexGuard<'_, [Sets; 2]> {
        self.sets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn accepts(&self, user: &str, password: &str) -> bool {
        self.lock()[0].get(user).is_some_and(|set| set.contains(password))
    }
}

#[async_trait]
impl Database for Model {
    type Session = ();
    type Prepared = Prepared;

    fn dialect(&self) -> &Dialect {
        &DIALECT
    }

    async fn log_in(&self, login: &Login, cx: &Invocation) -> Result<Attempt<()>, Error> {
        cx.count_connection();
        let password = login.password.expose_secret();
        let name = format!("log in as {}", login.username);
        match self.wire.call(&name, || self.accepts(&login.username, password)).await? {
            true => Ok(Attempt::Accepted(())),
            false => Ok(Attempt::Refused("wrong password".to_owned())),
        }
    }

    async fn prepare_own(
        &self,
        (): &mut (),
        _: &Login,
        _: &SecretString,
        _: &Invocation,
    ) -> Result<Prepared, Error> {
        Err(Error::new(ErrorKind::Unsupported, "an admin does that"))
    }

    fn locks(&self, _: &Prepared) -> Vec<String> {
        Vec::new()
    }

    async fn begin(&self, (): &mut (), _: &[String], cx: &Invocation) -> Result<(), Error> {
        cx.enough_for_a_change()
    }

    async fn set(
        &self,
        (): &mut (),
        change: &Prepared,
        _: &dyn Fence,
        _: &Invocation,
    ) -> Result<Change, Error> {
        let made = self.wire.call("change the set", || {
            let sets = &mut self.lock()[0];
            let set = sets.entry(change.user.clone()).or_default();
            let mut demanded = change.demand.iter().chain(&change.remove);
            let twice = change.remove.iter().collect::<BTreeSet<_>>().len() < change.remove.len();
            if twice || demanded.any(|one| !set.contains(one)) {
                return false;
            }
            set.retain(|one| !change.remove.contains(one));
            if self.defect == Some(Defect::Replaces) && change.add.is_some() {
                set.clear();
            }
            set.extend(change.add.clone());
            true
        });
        match made.await? {
            true => Ok(Change::Made),
            false => Err(Error::new(ErrorKind::Conflict, "one of them is gone")),
        }
    }
}

#[async_trait]
impl Administered for Model {
    async fn prepare_reset(
        &self,
        _: &mut AdminSession<()>,
        target: &Login,
        _: &Invocation,
    ) -> Result<Prepared, Error> {
        let add = Some(target.password.expose_secret().to_owned());
        Ok(Prepared { user: target.username.clone(), add, demand: None, remove: Vec::new() })
    }

    async fn objections(
        &self,
        admin: &mut AdminSession<()>,
        user: &str,
        _: &Invocation,
    ) -> Result<Vec<Error>, Error> {
        let protected = self.wire.call("ask for the user", || user == admin.login.username).await?;
        let error = Error::new(ErrorKind::Unsupported, "it is the admin");
        Ok(protected.then_some(error).into_iter().collect())
    }
}

#[async_trait]
impl PasswordSets for Model {
    async fn prepare_removal(
        &self,
        _: &mut AdminSession<()>,
        user: &Login,
        passwords: &[SecretString],
        _: &Invocation,
    ) -> Result<Option<Prepared>, Error> {
        let set = self.wire.call("ask for the set", || self.lock()[0].get(&user.username).cloned());
        let set = set.await?.unwrap_or_default();
        let stays = Some(user.password.expose_secret().to_owned());
        let demand = stays.filter(|_| self.defect != Some(Defect::TakesBlindly));
        if demand.as_ref().is_some_and(|one| !set.contains(one)) {
            return Ok(None);
        }
        let passwords = passwords.iter().map(|one| one.expose_secret().to_owned());
        let remove = passwords.filter(|one| set.contains(one)).collect();
        let remove = if self.defect == Some(Defect::Keeps) { Vec::new() } else { remove };
        Ok(Some(Prepared { user: user.username.clone(), add: None, demand, remove }))
    }
}

/// The two strategies over it.
#[derive(Clone, Copy)]
struct SetOfPasswords {
    keeps_previous: bool,
    defect: Option<Defect>,
}

#[async_trait]
impl Testbed for SetOfPasswords {
    fn overlap(&self) -> Overlap {
        if self.keeps_previous { Overlap::Full } else { Overlap::None }
    }

    fn turns(&self, effort: Effort) -> u32 {
        if effort == Effort::Short { 2 } else { 4 }
    }

    async fn fresh(&self, wire: &Wire) -> Box<dyn Remote> {
        let set = |one: &str| BTreeSet::from([one.to_owned()]);
        let sets = Sets::from([
            ("app".into(), set("first-password")),
            ("admin".into(), set("of the admin")),
        ]);
        let sets = Arc::new(Mutex::new([sets.clone(), sets]));
        let model = Model { wire: wire.clone(), sets, defect: self.defect };
        Box::new(OneUser { model, keeps_previous: self.keeps_previous })
    }
}

struct OneUser {
    model: Model,
    keeps_previous: bool,
}

#[async_trait]
impl Remote for OneUser {
    fn rotator(&self) -> Box<dyn Rotator> {
        let driver = Arc::new(Driver::new(self.model.clone()));
        let policy = PasswordPolicy::default();
        let keeps = self.keeps_previous;
        Box::new(PasswordSet::read(&Environment::default(), driver, policy, keeps).unwrap())
    }

    fn secret(&self) -> String {
        let login = json!({
            "engine": "model", "host": "model", "username": "app", "password": "first-password",
            "masterarn": "admin",
        });
        login.to_string()
    }

    fn other_secrets(&self) -> Vec<(&'static str, String)> {
        let login = json!({
            "engine": "model", "host": "model", "username": "admin", "password": "of the admin",
        });
        vec![("admin", login.to_string())]
    }

    async fn accepts(&self, secret: &Secret) -> bool {
        let document = secret.document().unwrap();
        let field = |name| document.required(name).unwrap();
        self.model.accepts(field("username"), field("password"))
    }

    async fn credentials(&self) -> Option<usize> {
        self.model.lock()[0].get("app").map(BTreeSet::len)
    }

    fn complaint(&self) -> Option<String> {
        let touched = !self.model.accepts("admin", "of the admin");
        touched.then(|| "the admin was changed".to_owned())
    }

    fn remember(&self) {
        let sets = &mut *self.model.lock();
        sets[1] = sets[0].clone();
    }

    fn forget(&self) -> bool {
        let sets = &mut *self.model.lock();
        sets[0] = sets[1].clone();
        true
    }
}

#[test]
fn dual_password_over_a_set_survives_every_sweep_without_a_lock() {
    assert_safe(&SetOfPasswords { keeps_previous: true, defect: None });
}

#[test]
fn single_user_by_admin_over_a_set_survives_every_sweep_without_a_lock() {
    assert_safe(&SetOfPasswords { keeps_previous: false, defect: None });
}

fn broken(keeps_previous: bool, defect: Defect) -> SetOfPasswords {
    SetOfPasswords { keeps_previous, defect: Some(defect) }
}

#[test]
fn one_that_replaces_the_set_locks_out_a_client_of_the_current_password() {
    let broken = broken(true, Defect::Replaces);
    assert_caught_in(&broken, "one crash, every step twice", "AWSCURRENT does not log in");
}

#[test]
fn one_that_takes_away_whatever_is_there_takes_the_last_after_a_fail_over() {
    let broken = broken(false, Defect::TakesBlindly);
    assert_caught_in(&broken, "forgotten between any two calls", "no stored version logs in");
}

#[test]
fn one_that_takes_nothing_away_leaves_every_old_password_at_work() {
    let broken = broken(true, Defect::Keeps);
    assert_caught_in(
        &broken,
        "one crash, every step twice",
        "a credential that is not kept still works",
    );
}

#[tokio::test]
async fn both_strategies_over_a_set_conform() {
    for keeps_previous in [true, false] {
        conformance(&SetOfPasswords { keeps_previous, defect: None }).await.assert_safe();
    }
}
