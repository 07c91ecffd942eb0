//! Proxy secrets that are not as they must be: said by name, before anything is changed.

use std::sync::Arc;
use std::time::Duration;

use fourstep::store::{AWSCURRENT, AWSPENDING, Select, StoreError, StoreErrorCode};
use fourstep::users::Alternating;
use fourstep::{
    Deadline, Engine, Environment, Error, ErrorKind, Invocation, Outcome, PasswordPolicy,
    RotationEvent, SecretId, SecretValue, Step, VersionId,
};
use fourstep_local::{Deletion, Fault, MemoryStore, NewRotation, NewSecret, NewValue};
use serde_json::json;

use super::super::database::{Commit, Model};
use super::super::takeover::token;
use super::{Front, NOTHING_YET, Proxied, USERS, planted, secret_of};
use crate::models::{Server, SharedServer};
use crate::{Overlap, Remote, Wire};

const FUNCTION: &str = "arn:aws:lambda:us-east-1:000000000000:function:kit";

/// A secret, its proxy secrets, and the server behind the proxy.
struct Place {
    store: Arc<MemoryStore>,
    secret: SecretId,
    server: Server,
    front: Front,
    remote: Proxied,
}

fn place() -> Place {
    let wire = Wire::default();
    let server = SharedServer::server(&wire);
    let front = Front::new(&wire, &server, Duration::ZERO);
    let at = front.clone();
    let shared = SharedServer::new(Overlap::Full, move |server: &Server| {
        planted::alternating(&at, server, Commit::PerDatabase, None)
    });
    let remote = Proxied { shared: shared.remote(&server), front: front.clone() };
    let store = Arc::new(MemoryStore::new());
    let create = |name: &str, value: String| {
        let value = Some(SecretValue::from(value.as_str()));
        store.create(name, NewSecret { value, ..NewSecret::default() }).unwrap()
    };
    let secret = SecretId::parse(&create("kit", remote.secret()).arn).unwrap();
    remote.other_secrets().into_iter().for_each(|(name, value)| drop(create(name, value)));
    remote.placed(&store);
    Place { store, secret, server, front, remote }
}

impl Place {
    async fn step(&self, step: Step, token: &VersionId) -> Result<Outcome, Error> {
        let (secret, token) = (self.secret.clone(), token.clone());
        let event = RotationEvent { step, secret, token, rotation_token: None };
        let cx = Invocation::new(Deadline::after(Duration::from_secs(60)));
        Engine::new(&self.store, &*self.remote.rotator()).step(&event, &cx).await
    }

    async fn rotate(&self, number: u32) -> Result<(), Error> {
        let token = token(number);
        self.store.rotate(&self.secret, &NewRotation::now(&token, FUNCTION)).unwrap();
        for step in Step::ALL {
            self.step(step, &token).await?;
        }
        Ok(())
    }

    /// Stores another value in a user's proxy secret.
    fn holds(&self, user: &str, value: serde_json::Value) {
        let value = SecretValue::from(value.to_string().as_str());
        self.store.put(&secret_of(user), NewValue::current(&token(700), value)).unwrap();
    }

    /// createSecret refuses, and nothing is changed anywhere.
    async fn refuses(&self, kind: ErrorKind, words: &[&str]) {
        let before = self.server.arrange(|accounts| accounts.clone());
        let held =
            USERS.map(|(user, _)| self.store.get(&secret_of(user), Select::Label(AWSCURRENT)));
        let error = self.rotate(1).await.unwrap_err();
        assert_eq!((error.kind(), error.step()), (kind, Some(Step::Create)), "{error}");
        for word in words {
            assert!(error.to_string().contains(word), "{word}: {error}");
        }
        assert!(self.server.arrange(|accounts| *accounts == before), "{error}");
        let after =
            USERS.map(|(user, _)| self.store.get(&secret_of(user), Select::Label(AWSCURRENT)));
        let versions = |all: [Result<_, StoreError>; 2]| {
            all.map(|one: Result<fourstep_local::ReadValue, _>| one.ok().map(|one| one.version))
        };
        assert_eq!(versions(held), versions(after));
        let pending = self.store.get(&self.secret, Select::Label(AWSPENDING));
        assert_eq!(pending.err().map(|error| error.code), Some(StoreErrorCode::NotFound));
    }
}

#[test]
fn a_setting_that_cannot_be_read_is_refused_by_name() {
    for text in ["app", "app=", "=a", "app=a,app=b", "app=a,b=a", "app=a,other", "app=\u{e9}"] {
        let environment = Environment::from([("PROXY_SECRETS", text)]);
        let model = Model::new(&SharedServer::server(&Wire::default()), Commit::PerDatabase, None);
        let read = Alternating::read(&environment, model, PasswordPolicy::default());
        let error = read.map(drop).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed, "{text}");
        assert!(error.to_string().contains("PROXY_SECRETS") && !error.to_string().contains("=a"));
    }
}

#[tokio::test]
async fn proxy_secrets_that_are_not_as_they_must_be_are_refused_before_anything_is_stored() {
    let gone = place();
    gone.store.delete(&secret_of("app_clone"), Deletion::Now).unwrap();
    gone.refuses(ErrorKind::NotFound, &["proxy-app_clone", "\"app_clone\""]).await;

    let anothers = place();
    anothers.holds("app_clone", json!({"username": "other", "password": "x"}));
    anothers.refuses(ErrorKind::Mismatch, &["proxy-app_clone", "PROXY_SECRETS"]).await;

    let incomplete = place();
    incomplete.holds("app_clone", json!({"username": "app_clone"}));
    incomplete.refuses(ErrorKind::Malformed, &["proxy-app_clone", "\"password\""]).await;

    let text = place();
    let new = NewValue::current(&token(700), SecretValue::from("app_clone"));
    text.store.put(&secret_of("app_clone"), new).unwrap();
    text.refuses(ErrorKind::Malformed, &["proxy-app_clone", "not a JSON object"]).await;

    let rotated = place();
    let rotation = NewRotation::now(&token(701), FUNCTION);
    rotated.store.rotate(&secret_of("app"), &rotation).unwrap();
    rotated.refuses(ErrorKind::Unsupported, &["proxy-app ", "cancel-rotate-secret"]).await;

    // As that of a user of the same name on another server.
    let elsewhere = place();
    elsewhere.holds("app", json!({"username": "app", "password": "of another server"}));
    elsewhere.refuses(ErrorKind::Mismatch, &["proxy-app ", "AWSCURRENT"]).await;
}

#[tokio::test]
async fn a_proxy_secret_that_may_not_be_written_is_found_before_the_server_is_told() {
    let place = place();
    let token = token(1);
    place.store.rotate(&place.secret, &NewRotation::now(&token, FUNCTION)).unwrap();
    place.store.set_faults(|_, call| match (call.operation, call.secret) {
        ("PutSecretValue", "proxy-app_clone") => {
            Fault::Fail(StoreError::new(StoreErrorCode::AccessDenied, "not authorized"))
        }
        _ => Fault::Proceed,
    });
    place.step(Step::Create, &token).await.unwrap();
    let error = place.step(Step::Set, &token).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden, "{error}");
    assert!(error.to_string().contains("proxy-app_clone"), "{error}");
    assert!(place.server.arrange(|accounts| !accounts.contains_key("app_clone")));
    place.store.clear_faults();
    for step in [Step::Set, Step::Test, Step::Finish] {
        place.step(step, &token).await.unwrap();
    }
}

#[tokio::test]
async fn a_version_that_holds_something_else_under_the_same_id_is_said() {
    let place = place();
    let pending = token(1);
    let other = json!({"username": "app_clone", "password": "somebody's"}).to_string();
    let value = SecretValue::from(other.as_str());
    let new = NewValue::labelled(&pending, value, &["SOMEBODYS"]);
    place.store.put(&secret_of("app_clone"), new).unwrap();
    let error = place.rotate(1).await.unwrap_err();
    assert_eq!((error.kind(), error.step()), (ErrorKind::Mismatch, Some(Step::Set)), "{error}");
    let text = error.to_string();
    assert!(text.contains("another login") && text.contains("--remove-from-version-id"), "{text}");
    assert!(!text.contains("somebody's"));
    assert!(place.server.arrange(|accounts| !accounts.contains_key("app_clone")));
    // The way out that it names.
    let taken = place.store.update_stage(&place.secret, AWSPENDING, None, Some(&pending));
    taken.unwrap();
    place.rotate(2).await.unwrap();
}

#[tokio::test]
async fn a_proxy_secret_that_loses_the_password_before_the_promotion_stops_it() {
    let place = place();
    let token = token(1);
    place.store.rotate(&place.secret, &NewRotation::now(&token, FUNCTION)).unwrap();
    for step in [Step::Create, Step::Set, Step::Test] {
        place.step(step, &token).await.unwrap();
    }
    place.holds("app_clone", json!({"username": "app_clone", "password": NOTHING_YET}));
    let error = place.step(Step::Finish, &token).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    let current = place.store.get(&place.secret, Select::Label(AWSCURRENT)).unwrap();
    assert_ne!(current.version, token);
    // The retry begins at createSecret: the stored version has the same fields but one, so AWSCURRENT
    // was edited since, and a new token is needed.
    place.step(Step::Create, &token).await.unwrap();
    let error = place.step(Step::Set, &token).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Mismatch, "{error}");
    assert!(error.to_string().contains("edited since"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_never_learns_stops_the_rotation() {
    let mut place = place();
    place.rotate(1).await.unwrap();
    place.front.every = Duration::MAX;
    let at = place.front.clone();
    let shared = SharedServer::new(Overlap::Full, move |server: &Server| {
        planted::alternating(&at, server, Commit::PerDatabase, None)
    });
    place.remote.shared = shared.remote(&place.server);
    let error = place.rotate(2).await.unwrap_err();
    assert_eq!((error.kind(), error.step()), (ErrorKind::Rejected, Some(Step::Test)), "{error}");
    assert!(error.to_string().contains("secret proxy-app has"), "{error}");
}

#[tokio::test]
async fn what_the_proxy_knows_of_the_user_in_use_is_put_right_if_this_secret_recorded_it() {
    let place = place();
    place.rotate(1).await.unwrap();
    place.rotate(2).await.unwrap();
    // Somebody moves AWSCURRENT back although a third rotation has changed that user's password.
    let third = token(3);
    place.store.rotate(&place.secret, &NewRotation::now(&third, FUNCTION)).unwrap();
    for step in [Step::Create, Step::Set] {
        place.step(step, &third).await.unwrap();
    }
    place.store.update_stage(&place.secret, AWSPENDING, None, Some(&third)).unwrap();
    let [one, two] = [token(1), token(2)];
    place.store.update_stage(&place.secret, AWSCURRENT, Some(&one), Some(&two)).unwrap();
    place.rotate(4).await.unwrap();
    for (user, _) in USERS {
        let password = place.front.password(user);
        assert!(place.server.accepts(user, &password), "{user}");
    }
}
