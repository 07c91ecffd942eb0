//! What somebody wrote under AWSPENDING by hand, and has finishSecret delivered for: no other step saw it.

use std::time::Duration;

use fourstep::{
    Deadline, Engine, Error, ErrorKind, Invocation, RotationEvent, SecretId, Step, VersionId,
};
use fourstep_local::{MemoryStore, NewRotation, NewSecret, NewValue};
use serde_json::json;

use super::remote::SetOfPasswords;
use super::sound;
use crate::tests::takeover::token;
use crate::{Remote, Testbed, Wire};

struct Forged {
    store: MemoryStore,
    secret: SecretId,
    remote: Box<dyn Remote>,
}

fn document(user: &str, password: &str) -> String {
    json!({"engine": "model", "host": "model", "username": user, "password": password, "masterarn": "admin"})
        .to_string()
}

/// AWSCURRENT names `user` with `password`.
async fn forged(testbed: SetOfPasswords, user: &str, password: &str) -> Forged {
    let remote = testbed.fresh(&Wire::default()).await;
    let store = MemoryStore::new();
    let detail = store.create("kit", NewSecret::default()).unwrap();
    let secret = SecretId::parse(&detail.arn).unwrap();
    let current = NewValue::current(&token(900), document(user, password).as_str());
    store.put(&secret, current).unwrap();
    for (name, value) in remote.other_secrets() {
        let value = Some(value.as_str().into());
        store.create(name, NewSecret { value, ..NewSecret::default() }).unwrap();
    }
    Forged { store, secret, remote }
}

impl Forged {
    /// AWSPENDING names `user` with `password`; then finishSecret is delivered, and nothing before.
    async fn finish(&self, user: &str, password: &str) -> Result<(), Error> {
        let token: VersionId = token(1);
        let pending = document(user, password);
        let new = NewRotation::now(&token, "arn:aws:lambda:us-east-1:000000000000:function:kit");
        self.store.rotate(&self.secret, &new).unwrap();
        let value = NewValue::labelled(&token, pending.as_str(), &["AWSPENDING"]);
        self.store.put(&self.secret, value).unwrap();
        let secret = self.secret.clone();
        let event = RotationEvent { step: Step::Finish, secret, token, rotation_token: None };
        let cx = Invocation::new(Deadline::after(Duration::from_secs(60)));
        let rotator = self.remote.rotator();
        Engine::new(&self.store, &*rotator).step(&event, &cx).await.map(drop)
    }

    async fn refuses(&self, user: &str, kind: ErrorKind) {
        let error = self.finish(user, "chosen").await.unwrap_err();
        assert_eq!((error.kind(), error.step()), (kind, Some(Step::Finish)), "{error}");
        assert_eq!(self.remote.complaint(), None);
        assert_eq!(self.remote.unsettled(), None);
    }
}

#[tokio::test]
async fn rule_08_finishsecret_adds_no_password_to_a_user_that_awscurrent_does_not_name() {
    for servers in [1, 2] {
        let testbed = SetOfPasswords { servers, ..sound(true) };
        let own = forged(testbed, "app", "first-password").await;
        own.refuses("somebody", ErrorKind::Mismatch).await;
    }
}

#[tokio::test]
async fn rule_08_finishsecret_adds_no_password_to_a_user_that_nothing_proves() {
    for servers in [1, 2] {
        let testbed = SetOfPasswords { servers, ..sound(false) };
        forged(testbed, "somebody", "guessed").await.refuses("somebody", ErrorKind::Rejected).await;
    }
}

#[tokio::test]
async fn what_finishsecret_promotes_without_setsecret_works_where_awscurrent_proves_the_user() {
    let own = forged(sound(true), "app", "first-password").await;
    own.finish("app", "chosen").await.unwrap();
    let promoted = fourstep::Secret::decode(&document("app", "chosen").as_str().into());
    assert!(own.remote.accepts(&promoted).await);
    assert_eq!(own.remote.complaint(), None);
}
