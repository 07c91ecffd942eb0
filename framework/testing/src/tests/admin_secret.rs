//! The admin's secret, and what a rotation does where it is missing, wrong or changed; and the cases
//! of AWS's template for alternating users that labels and secrets decide.

use fourstep::store::{AWSCURRENT, AWSPENDING, AWSPREVIOUS, Select, StoreError, StoreErrorCode};
use fourstep::{Environment, Error, ErrorKind, Rotator, Secret, SecretId, SecretValue, Step};
use fourstep_local::{Deletion, Fault, NewRotation, NewValue};

use super::careless;
use super::database::{Commit, Model, Policy};
use super::takeover::{Fixture, account, alternating, by_admin, document, place, repairing, token};
use crate::models::{Server, SharedServer};

type Rotate = fn(&Server) -> Box<dyn Rotator>;

const ADMIN: &str = SharedServer::ADMIN_SECRET;
const STRATEGIES: [Rotate; 2] = [alternating, by_admin];

impl Fixture {
    /// The user and password of the version with this label.
    pub(super) fn login(&self, label: &str) -> (String, String) {
        let read = self.store.get(&self.secret, Select::Label(label)).unwrap();
        let SecretValue::Text(text) = read.value else { panic!("it is text") };
        let secret = Secret::decode(&text);
        let field = |name| secret.document().unwrap().required(name).unwrap().to_owned();
        (field("username"), field("password"))
    }

    fn works(&self, label: &str) -> bool {
        let (user, password) = self.login(label);
        self.server.accepts(&user, &password)
    }

    /// Stores another value for the admin's secret.
    fn admin_becomes(&self, value: &str) {
        let secret = SecretId::parse(ADMIN).unwrap();
        self.store.put(&secret, NewValue::current(&token(800), value)).unwrap();
    }

    /// The rotation fails and changes nothing at the server.
    async fn fails(&self) -> Error {
        let before = self.server.arrange(|accounts| accounts.clone());
        let error = self.rotate(1).await.unwrap_err();
        assert!(self.server.arrange(|accounts| *accounts == before), "{error}");
        error
    }
}

fn admins(host: &str, user: &str, password: &str) -> String {
    format!(r#"{{"engine":"model","host":"{host}","username":"{user}","password":"{password}"}}"#)
}

#[tokio::test]
async fn parity_35_users_alternate_and_both_credentials_work_after_each_rotation() {
    let place = place(&[], &[("app", "first-password")], alternating);
    for (number, user, previous) in
        [(1, "app_clone", "app"), (2, "app", "app_clone"), (3, "app_clone", "app")]
    {
        place.rotate(number).await.unwrap();
        assert_eq!(
            (place.login(AWSCURRENT).0, place.login(AWSPREVIOUS).0),
            (user.into(), previous.into())
        );
        assert!(place.works(AWSCURRENT) && place.works(AWSPREVIOUS), "rotation {number}");
    }
}

#[tokio::test]
async fn parity_36_what_is_wrong_with_the_admin_is_told_apart() {
    for rotate in STRATEGIES {
        let fresh = || place(&[], &[("app", "first-password")], rotate);
        let mut texts = Vec::new();
        let mut told = |error: Error, kind: ErrorKind, word: &str| {
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.to_string().contains(word), "{error}");
            texts.push(error.to_string());
        };

        let missing = fresh();
        let plain =
            r#"{"engine":"model","host":"model","username":"app","password":"first-password"}"#;
        let new = NewValue::current(&token(901), plain);
        missing.store.put(&missing.secret, new).unwrap();
        let error = missing.fails().await;
        assert_eq!(error.step(), Some(Step::Create));
        told(error, ErrorKind::Malformed, "\"masterarn\"");

        let gone = fresh();
        gone.store.delete(&SecretId::parse(ADMIN).unwrap(), Deletion::Now).unwrap();
        told(gone.fails().await, ErrorKind::NotFound, "the admin secret admin of masterarn");

        let forbidden = fresh();
        forbidden.store.set_faults(|_, call| match call.secret {
            ADMIN => {
                let denied = StoreError::new(StoreErrorCode::AccessDenied, "not authorized");
                Fault::Fail(denied)
            }
            _ => Fault::Proceed,
        });
        told(forbidden.fails().await, ErrorKind::Forbidden, "the admin secret admin of masterarn");

        let text = fresh();
        text.admin_becomes("of the admin");
        told(text.fails().await, ErrorKind::Malformed, "not a JSON object");

        let incomplete = fresh();
        incomplete.admin_becomes(r#"{"engine":"model","host":"model","username":"admin"}"#);
        told(incomplete.fails().await, ErrorKind::Malformed, "\"password\"");

        let wrong = fresh();
        wrong.admin_becomes(&admins("model", "admin", "guessed"));
        told(wrong.fails().await, ErrorKind::Rejected, "read from the admin secret admin");

        let elsewhere = fresh();
        elsewhere.admin_becomes(&admins("other", "admin", SharedServer::ADMIN_PASSWORD));
        told(elsewhere.fails().await, ErrorKind::Mismatch, "SAME_DATABASE_HOSTS");

        let itself = fresh();
        itself.admin_becomes(&admins("model", "app", "first-password"));
        told(itself.fails().await, ErrorKind::Unsupported, "it is the admin that masterarn names");

        let count = texts.len();
        texts.sort();
        texts.dedup();
        assert_eq!(texts.len(), count);
    }
}

#[tokio::test]
async fn parity_37_the_admin_is_asked_for_nothing_until_the_user_is_proven() {
    for (rotate, kind) in
        [(alternating as Rotate, ErrorKind::Rejected), (by_admin, ErrorKind::Rejected)]
    {
        let place = place(&[], &[("app", "guessed")], rotate);
        let token = token(1);
        let new = NewRotation::now(&token, "arn:aws:lambda:us-east-1:000000000000:function:kit");
        place.store.rotate(&place.secret, &new).unwrap();
        place.step(Step::Create, &token).await.unwrap();
        // Whoever read the admin's secret now would be told so.
        place.store.set_faults(|_, call| match call.secret {
            ADMIN => Fault::Fail(StoreError::new(StoreErrorCode::AccessDenied, "asked for")),
            _ => Fault::Proceed,
        });
        let error = place.step(Step::Set, &token).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
    }
}

#[tokio::test]
async fn parity_42_a_name_that_would_be_too_long_is_refused_before_anything_is_stored() {
    let name = "n".repeat(58);
    let users = [(name.as_str(), account("theirs"))];
    let place = place(&users, &[(&name, "theirs")], alternating);
    let error = place.fails().await;
    assert_eq!((error.kind(), error.step()), (ErrorKind::Unsupported, Some(Step::Create)));
    let pending = place.store.get(&place.secret, Select::Label(AWSPENDING));
    assert_eq!(pending.err().map(|error| error.code), Some(StoreErrorCode::NotFound));
}

#[tokio::test]
async fn an_admin_whose_password_is_changed_meanwhile_is_read_anew_in_each_step() {
    for rotate in STRATEGIES {
        let place = place(&[], &[("app", "first-password")], rotate);
        let first = token(1);
        let new = NewRotation::now(&first, "arn:aws:lambda:us-east-1:000000000000:function:kit");
        place.store.rotate(&place.secret, &new).unwrap();
        for (number, step) in Step::ALL.into_iter().enumerate() {
            let password = format!("admin's {number}");
            place.server.arrange(|accounts| {
                accounts.get_mut(SharedServer::ADMIN).unwrap().password = password.clone();
            });
            let secret = SecretId::parse(ADMIN).unwrap();
            let value = admins("model", "admin", &password);
            let new = token(810 + u32::try_from(number).unwrap());
            place.store.put(&secret, NewValue::current(&new, value.as_str())).unwrap();
            place.step(step, &first).await.unwrap();
        }
        assert!(place.works(AWSCURRENT));
    }
}

#[tokio::test]
async fn rule_15_a_password_that_the_policy_refuses_is_let_go_of() {
    fn refusing(server: &Server) -> Box<dyn Rotator> {
        let model = Model::with_policy(server, Commit::PerDatabase, Policy::None);
        careless::alternating(model, &Environment::default(), None)
    }
    fn refusing_by_admin(server: &Server) -> Box<dyn Rotator> {
        let model = Model::with_policy(server, Commit::PerDatabase, Policy::None);
        let repair = Environment::from([("REPAIR_USERS", "app")]);
        careless::by_admin(model, &repair, None)
    }
    for (rotate, password) in [
        (refusing as Rotate, "first-password"),
        (refusing_by_admin, "first-password"),
        (refusing_by_admin, "lost"),
    ] {
        let place = place(&[], &[("app", password)], rotate);
        let error = place.rotate(1).await.unwrap_err();
        assert_eq!((error.kind(), error.step()), (ErrorKind::Unsupported, Some(Step::Set)));
        assert!(error.to_string().contains("AWSPENDING was taken off"), "{error}");
        assert_eq!(place.remote.complaint(), None);
        assert!(place.server.accepts("app", "first-password"));
    }
}

#[tokio::test]
async fn a_secret_of_another_host_is_repaired_by_nobody() {
    let place = place(&[], &[("app", "lost")], repairing);
    let elsewhere = document("app", "lost");
    let SecretValue::Text(text) = elsewhere else { panic!("it is text") };
    let moved = Secret::decode(&text).document().unwrap().with("host", "elsewhere");
    let value = Secret::from(moved).encode();
    place.store.put(&place.secret, NewValue::current(&token(901), value)).unwrap();
    let error = place.fails().await;
    assert_eq!(error.kind(), ErrorKind::Mismatch, "{error}");
}
