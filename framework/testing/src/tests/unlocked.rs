//! Targets that have neither locks nor a change that compares, as MongoDB: all strategies, swept. Only a
//! statement that comes late does harm there, and the next rotation repairs it.

use std::sync::Arc;
use std::time::Duration;

use fourstep::users::{Driver, SingleUser};
use fourstep::{
    Deadline, Engine, Environment, Invocation, PasswordPolicy, RotationEvent, Rotator, SecretId,
    Step,
};
use fourstep_local::{MemoryStore, NewRotation, NewSecret, NewValue};

use super::careless;
use super::database::{Commit, Model};
use super::{assert_safe, effort};
use crate::models::{ModelDatabase, OneUser, Server, SharedServer, WithoutLocks};
use crate::simulation::version;
use crate::{Overlap, Remote, Wire, conformance, sweep};

fn alternating() -> SharedServer<impl Fn(&Server) -> Box<dyn Rotator> + Clone + Send + Sync> {
    SharedServer::new(Overlap::Full, |server: &Server| {
        let model = Model::new(server, Commit::Unlocked, None);
        careless::alternating(model, &Environment::default(), None)
    })
}

fn by_admin() -> SharedServer<impl Fn(&Server) -> Box<dyn Rotator> + Clone + Send + Sync> {
    SharedServer::new(Overlap::None, |server: &Server| {
        let model = Model::new(server, Commit::Unlocked, None);
        careless::by_admin(model, &Environment::default(), None)
    })
}

#[test]
fn one_user_without_locks_survives_every_sweep() {
    assert_safe(&WithoutLocks);
}

#[test]
fn an_admin_without_locks_survives_every_sweep() {
    assert_safe(&by_admin().without_locks());
}

#[test]
fn alternating_users_without_locks_survive_every_sweep() {
    assert_safe(&alternating().without_locks());
}

#[tokio::test]
async fn strategies_without_locks_conform() {
    conformance(&WithoutLocks).await.assert_safe();
    conformance(&by_admin().without_locks()).await.assert_safe();
    conformance(&alternating().without_locks()).await.assert_safe();
}

/// What docs/safety.md says is not proven of such targets.
#[test]
fn nothing_but_a_statement_that_comes_late_breaks_a_promise() {
    let broken = ["no labelled version logs in", "AWSCURRENT does not log in"];
    for report in [sweep(&by_admin(), effort()), sweep(&alternating(), effort())] {
        let found: Vec<_> =
            report.sections.iter().filter(|one| !one.violations.is_empty()).collect();
        assert!(!found.is_empty(), "the late statement was not found");
        for section in found {
            assert!(section.name.starts_with("frozen in setSecret"), "{}", section.name);
            for violation in &section.violations {
                assert!(broken.contains(&violation.what.to_string().as_str()), "{violation:?}");
            }
        }
    }
}

/// Where a session has become too old for the change, the login that opened it is repeated, and not
/// AWSCURRENT's, which was refused.
#[tokio::test]
async fn an_older_password_that_logged_in_opens_the_session_of_the_change_too() {
    let user = OneUser::new(&Wire::default(), "app", "first-password");
    let (store, right) = (MemoryStore::new(), user.secret());
    let wrong = right.replace("first-password", "refused-password");
    let first = NewSecret {
        value: Some(right.as_str().into()),
        token: Some(version(0)),
        ..NewSecret::default()
    };
    let secret = SecretId::parse(&store.create("repaired", first).unwrap().arn).unwrap();
    store.put(&secret, NewValue::current(&version(1), wrong.as_str())).unwrap();
    let token = version(2);
    store.rotate(&secret, &NewRotation::now(&token, "function")).unwrap();
    let database = Arc::new(Driver::new(ModelDatabase::slow(user.server())));
    let rotator = SingleUser::new(database, PasswordPolicy::default());
    for step in [Step::Create, Step::Set, Step::Test] {
        let (secret, token) = (secret.clone(), token.clone());
        let event = RotationEvent { step, secret, token, rotation_token: None };
        let cx = Invocation::new(Deadline::after(Duration::from_secs(60)));
        Engine::new(&store, &rotator).step(&event, &cx).await.unwrap();
    }
    assert!(!user.server().accepts("app", "first-password"));
}
