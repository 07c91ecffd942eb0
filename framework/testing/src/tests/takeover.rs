//! Accounts that are somebody else's, and how an operator's mistake leads to them. No scenario
//! gets here: each sequence is played once, with a rotator that should refuse and one that does
//! not.

use fourstep::{
    Deadline, Engine, Environment, Error, ErrorKind, Invocation, Outcome, RotationEvent, Rotator,
    SecretId, SecretValue, Step, VersionId,
};
use fourstep_local::{MemoryStore, NewRotation, NewSecret, NewValue};

use super::careless::{self, Carelessness};
use super::database::{Commit, Defect, Model};
use crate::models::{Account, Mark, Server, SharedServer};
use crate::{Overlap, Remote, Wire};

type Rotate = fn(&Server) -> Box<dyn Rotator>;

/// A secret and the server that it leads to.
pub(super) struct Fixture {
    pub(super) store: MemoryStore,
    pub(super) secret: SecretId,
    pub(super) server: Server,
    pub(super) remote: Box<dyn Remote>,
}

pub(super) fn token(number: u32) -> VersionId {
    VersionId::from_store(format!("v{number}-{}", "0".repeat(32)))
}

pub(super) fn document(user: &str, password: &str) -> SecretValue {
    let admin = SharedServer::ADMIN_SECRET;
    let text = format!(
        r#"{{"engine":"model","host":"model","username":"{user}","password":"{password}","masterarn":"{admin}"}}"#
    );
    text.as_str().into()
}

/// The accounts besides those of every server, and the values that the secret held one after the
/// other.
pub(super) fn place(
    strangers: &[(&str, Account)],
    values: &[(&str, &str)],
    rotate: Rotate,
) -> Fixture {
    let server = SharedServer::server(&Wire::default());
    let strangers = strangers.iter().map(|(name, account)| ((*name).to_owned(), account.clone()));
    server.arrange(|accounts| accounts.extend(strangers));
    let store = MemoryStore::new();
    let detail = store.create("kit", NewSecret::default()).unwrap();
    let secret = SecretId::parse(&detail.arn).unwrap();
    for (number, (user, password)) in (900..).zip(values) {
        let (token, value) = (token(number), document(user, password));
        store.put(&secret, NewValue::current(&token, value)).unwrap();
    }
    let remote = SharedServer::new(Overlap::Full, rotate).remote(&server);
    for (name, value) in remote.other_secrets() {
        let value = Some(value.as_str().into());
        store.create(name, NewSecret { value, ..NewSecret::default() }).unwrap();
    }
    Fixture { store, secret, server, remote }
}

impl Fixture {
    /// One rotation, up to the step that fails.
    pub(super) async fn rotate(&self, number: u32) -> Result<(), Error> {
        let function = "arn:aws:lambda:us-east-1:000000000000:function:kit";
        let token = token(number);
        self.store.rotate(&self.secret, &NewRotation::now(&token, function)).unwrap();
        for step in Step::ALL {
            self.step(step, &token).await?;
        }
        Ok(())
    }

    pub(super) async fn step(&self, step: Step, token: &VersionId) -> Result<Outcome, Error> {
        let (secret, token) = (self.secret.clone(), token.clone());
        let event = RotationEvent { step, secret, token, rotation_token: None };
        let cx = Invocation::new(Deadline::after(std::time::Duration::from_secs(60)));
        let rotator = self.remote.rotator();
        Engine::new(&self.store, &*rotator).step(&event, &cx).await
    }

    /// Refused before a value is stored.
    async fn refuses_to_propose(&self) {
        let error = self.rotate(1).await.unwrap_err();
        assert_eq!((error.kind(), error.step()), (ErrorKind::Unsupported, Some(Step::Create)));
        assert_eq!(self.remote.complaint(), None);
    }

    /// Refused by setSecret.
    async fn refuses_to_apply(&self, kind: ErrorKind) {
        let error = self.rotate(1).await.unwrap_err();
        assert_eq!((error.kind(), error.step()), (kind, Some(Step::Set)));
        assert_eq!(self.remote.complaint(), None);
    }

    /// Whatever comes of the rotation: this is wrong at the remote afterwards.
    async fn complains(&self, what: &str) {
        let _ = self.rotate(1).await;
        assert_eq!(self.remote.complaint().as_deref(), Some(what));
    }
}

const TOUCHED: &str = "a stranger's account was touched";

pub(super) fn alternating(server: &Server) -> Box<dyn Rotator> {
    let model = Model::new(server, Commit::PerDatabase, None);
    careless::alternating(model, &Environment::default(), None)
}

fn alternating_by_name(server: &Server) -> Box<dyn Rotator> {
    let model = Model::new(server, Commit::PerDatabase, Some(Defect::NameProves));
    careless::alternating(model, &Environment::default(), None)
}

fn adopting(server: &Server) -> Box<dyn Rotator> {
    let model = Model::new(server, Commit::PerStatement, None);
    careless::alternating(model, &Environment::from([("ADOPT_USERS", "app_clone")]), None)
}

pub(super) fn by_admin(server: &Server) -> Box<dyn Rotator> {
    let model = Model::new(server, Commit::PerDatabase, None);
    careless::by_admin(model, &Environment::default(), None)
}

fn by_admin_without_proof(server: &Server) -> Box<dyn Rotator> {
    let model = Model::new(server, Commit::PerDatabase, None);
    careless::by_admin(model, &Environment::default(), Some(Carelessness::NoProof))
}

pub(super) fn repairing(server: &Server) -> Box<dyn Rotator> {
    let model = Model::new(server, Commit::PerDatabase, None);
    let settings = Environment::from([("REPAIR_USERS", "app, somebody, admin, deputy")]);
    careless::by_admin(model, &settings, None)
}

pub(super) fn account(password: &str) -> Account {
    Account::with_password(password)
}

#[tokio::test]
async fn f6_a_stranger_by_the_name_of_the_other_half_is_left_alone() {
    let strangers = [("app_clone", account("theirs"))];
    let values = [("app", "first-password")];
    place(&strangers, &values, alternating).refuses_to_propose().await;
    place(&strangers, &values, alternating_by_name).complains(TOUCHED).await;
}

#[tokio::test]
async fn f6_the_other_half_of_another_secrets_pair_is_left_alone() {
    let mut theirs = account("theirs");
    theirs.rights.mark = Some(Mark { partner: "app".to_owned(), secret: "another".to_owned() });
    let strangers = [("app_clone", theirs)];
    place(&strangers, &[("app", "first-password")], alternating).refuses_to_propose().await;
}

#[tokio::test]
async fn f6_a_stranger_made_after_createsecret_is_left_alone() {
    let place = place(&[], &[("app", "first-password")], alternating);
    let token = token(1);
    let new = NewRotation::now(&token, "arn:aws:lambda:us-east-1:000000000000:function:kit");
    place.store.rotate(&place.secret, &new).unwrap();
    place.step(Step::Create, &token).await.unwrap();
    let theirs = account("theirs");
    place.server.arrange(|accounts| accounts.insert("app_clone".to_owned(), theirs.clone()));
    let error = place.step(Step::Set, &token).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(place.server.arrange(|accounts| accounts.get("app_clone").cloned()), Some(theirs));
}

#[tokio::test]
async fn f6_an_edit_leaves_an_established_pair_provable() {
    let place = place(&[], &[("app", "first-password")], alternating);
    place.rotate(1).await.unwrap();
    // AWSPREVIOUS is the same user as AWSCURRENT now.
    let current = place.store.get(&place.secret, fourstep::store::Select::Label("AWSCURRENT"));
    let edited = NewValue::current(&token(950), current.unwrap().value);
    place.store.put(&place.secret, edited).unwrap();
    place.rotate(2).await.unwrap();
    assert_eq!(place.remote.complaint(), None);
}

#[tokio::test]
async fn f6_a_pair_made_otherwise_is_adopted_by_configuration_and_marked() {
    let server = SharedServer::server(&Wire::default());
    let half = server.arrange(|accounts| accounts.get("app").cloned()).unwrap();
    let strangers = [("app_clone", Account { password: "theirs".to_owned(), ..half })];
    let place = place(&strangers, &[("app", "first-password")], adopting);
    place.rotate(1).await.unwrap();
    let secret = place.secret.as_str().to_owned();
    let mark = Some(Mark { partner: "app".to_owned(), secret });
    let found = place.server.arrange(|one| one.get("app_clone").unwrap().rights.mark.clone());
    assert_eq!(found, mark);
    place.rotate(2).await.unwrap();
}

#[tokio::test]
async fn f7_the_user_that_a_secret_named_before_is_not_its_other_half() {
    let strangers = [("app_clone", account("theirs"))];
    let values = [("app", "first-password"), ("app_clone", "theirs")];
    place(&strangers, &values, alternating).refuses_to_propose().await;
    let broken = place(&strangers, &values, alternating_by_name);
    let _ = broken.rotate(1).await;
    assert!(!broken.server.accepts("app", "first-password"), "the user named before was reset");
}

#[tokio::test]
async fn f7_the_user_that_a_secret_named_before_lends_its_proof_to_nobody() {
    let strangers = [("app_clone", account("theirs"))];
    // AWSCURRENT names an account that is there, and a password that it does not have.
    let values = [("app", "first-password"), ("app_clone", "guessed")];
    place(&strangers, &values, alternating).refuses_to_propose().await;
}

#[tokio::test]
async fn f8_an_account_that_no_recorded_password_opens_is_not_reset() {
    let values = [("app", "first-password"), ("somebody", "guessed")];
    place(&[], &values, by_admin).refuses_to_apply(ErrorKind::Rejected).await;
    place(&[], &values, by_admin_without_proof).complains(TOUCHED).await;
}

#[tokio::test]
async fn beyond_08_configuration_repairs_an_account_and_nothing_above_it() {
    let repaired = place(&[], &[("app", "lost")], repairing);
    repaired.rotate(1).await.unwrap();
    assert_eq!(repaired.remote.complaint(), None);
    for (user, password) in
        [("admin", "guessed"), ("admin", "of the admin"), ("deputy", "of the deputy")]
    {
        let refusing = place(&[], &[(user, password)], repairing);
        refusing.refuses_to_apply(ErrorKind::Unsupported).await;
    }
}

#[tokio::test]
async fn f8_alternating_users_copies_no_powerful_account() {
    for (user, password) in [("admin", "of the admin"), ("deputy", "of the deputy")] {
        place(&[], &[(user, password)], alternating).refuses_to_propose().await;
    }
}
