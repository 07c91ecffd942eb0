//! What alternating users say before a rotation and before a promotion: everything that would fail,
//! what would be done, and what two users differ in.

use fourstep::store::AWSCURRENT;
use fourstep::users::{Alternating, ByAdmin};
use fourstep::{
    Deadline, Engine, Environment, ErrorKind, Invocation, PasswordPolicy, Question, Rotator, Step,
};
use fourstep_local::NewRotation;
use serde_json::{Value, json};

use super::careless;
use super::database::{Commit, Model};
use super::takeover::{Fixture, account, alternating, place, repairing, token};
use crate::Wire;
use crate::models::{Grant, Server, SharedServer};

impl Fixture {
    async fn asked(&self, question: Question) -> Result<Value, fourstep::Error> {
        let cx = Invocation::new(Deadline::after(std::time::Duration::from_secs(60)));
        let rotator = self.remote.rotator();
        let engine = Engine::new(&self.store, &*rotator);
        engine.answer(question, &self.secret, &cx).await
    }

    async fn plan(&self) -> Vec<String> {
        let answer = self.asked(Question::Plan).await.unwrap();
        let lines = answer["plan"].as_array().unwrap().iter();
        lines.map(|line| line.as_str().unwrap().to_owned()).collect()
    }

    /// The findings of a preflight that changes nothing, as kinds and texts.
    async fn findings(&self) -> Vec<(String, String)> {
        let before = self.server.arrange(|accounts| accounts.clone());
        let answer = self.asked(Question::Preflight).await.unwrap();
        assert!(self.server.arrange(|accounts| *accounts == before));
        let findings = answer["findings"].as_array().unwrap().iter();
        let text =
            |finding: &Value, field: &str| finding[field].as_str().unwrap_or_default().to_owned();
        let told = findings.map(|one| (text(one, "kind"), text(one, "finding")));
        let told: Vec<_> = told.collect();
        let fails = told.iter().any(|(kind, _)| !kind.is_empty());
        assert_eq!(answer["ready"], json!(!fails), "{told:?}");
        told
    }
}

#[tokio::test]
async fn preflight_lists_everything_that_would_fail_and_not_only_the_first() {
    let name = "n".repeat(58);
    let other = format!("{name}_clone");
    let users = [(name.as_str(), account("theirs")), (other.as_str(), account("a stranger's"))];
    let place = place(&users, &[(&name, "guessed")], alternating);
    let tags = [("fourstep:password-length".to_owned(), "long".to_owned())];
    place.store.tag(&place.secret, tags.into()).unwrap();
    let findings = place.findings().await;
    let expected = [
        ("Rejected", "AWSCURRENT does not log in"),
        ("Unsupported", "longer than 63 bytes"),
        ("Unsupported", "list it in ADOPT_USERS"),
        ("Malformed", "fourstep:password-length"),
    ];
    assert_eq!(findings.len(), expected.len(), "{findings:?}");
    for ((kind, text), (as_kind, word)) in findings.iter().zip(expected) {
        assert!(kind == as_kind && text.contains(word), "{findings:?}");
    }
}

#[tokio::test]
async fn preflight_of_what_would_succeed_finds_nothing_and_a_repair_is_a_warning() {
    assert_eq!(place(&[], &[("app", "first-password")], alternating).findings().await, []);
    assert_eq!(place(&[], &[("app", "first-password")], repairing).findings().await, []);
    let lost = place(&[], &[("app", "lost")], repairing).findings().await;
    let [(kind, text)] = lost.as_slice() else { panic!("{lost:?}") };
    assert!(kind.is_empty() && text.contains("would repair"), "{text}");
}

#[tokio::test]
async fn the_plan_names_the_user_that_is_next_or_says_why_there_is_none() {
    let place = place(&[], &[("app", "first-password")], alternating);
    assert_eq!(
        place.plan().await,
        [
            "-- database \"\", one transaction",
            "CREATE USER app_clone, marked;",
            "GRANT \"read\" in orders for app_clone;",
            "GRANT \"write\" in orders for app_clone;",
            "-- database \"reports\", one transaction",
            "GRANT \"read\" in reports for app_clone;",
            "-- then the password of \"app_clone\"",
        ]
    );
    let theirs = [("app_clone", account("theirs"))];
    let theirs = self::place(&theirs, &[("app", "first-password")], alternating);
    let error = theirs.asked(Question::Plan).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
}

#[tokio::test]
async fn open_sessions_of_the_user_that_is_next_are_told_or_refused() {
    fn strict(server: &Server) -> Box<dyn Rotator> {
        let settings = Environment::from([("REFUSE_OPEN_SESSIONS", "true")]);
        careless::alternating(Model::new(server, Commit::PerStatement, None), &settings, None)
    }
    for (rotate, first) in [
        (alternating as fn(&Server) -> _, "-- user \"app\" has open sessions"),
        (strict, "-- in the way: user \"app\" still has 1 open session(s)"),
    ] {
        let place = place(&[], &[("app", "first-password")], rotate);
        place.rotate(1).await.unwrap();
        let _session = place.server.log_in("app", "first-password").await.unwrap().unwrap();
        let plan = place.plan().await;
        assert!(plan[0].starts_with(first), "{plan:?}");
        assert_eq!(place.rotate(2).await.is_ok(), first.starts_with("-- user"));
    }
}

#[tokio::test]
async fn beyond_01_and_03_rights_that_differ_are_told_and_made_equal_by_the_retry() {
    let place = place(&[], &[("app", "first-password")], alternating);
    let token = token(1);
    let new = NewRotation::now(&token, "arn:aws:lambda:us-east-1:000000000000:function:kit");
    place.store.rotate(&place.secret, &new).unwrap();
    for step in [Step::Create, Step::Set] {
        place.step(step, &token).await.unwrap();
    }
    place.server.arrange(|accounts| {
        let grants = &mut accounts.get_mut("app").unwrap().rights.grants;
        grants.insert(Grant::new("orders", "delete"));
    });
    let error = place.step(Step::Test, &token).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    let text = error.to_string();
    for word in ["\"app\"", "\"app_clone\"", "\"delete\" in orders", "retry"] {
        assert!(text.contains(word), "{text}");
    }
    // The pending password logs in already, and the rights are made equal all the same.
    for step in Step::ALL {
        place.step(step, &token).await.unwrap();
    }
    assert_eq!(place.remote.unsettled(), None);
    assert_eq!(place.login(AWSCURRENT).0, "app_clone");
}

#[test]
fn a_setting_that_cannot_be_read_is_refused_by_name() {
    let server = SharedServer::server(&Wire::default());
    for (name, value) in [
        ("REFUSE_OPEN_SESSIONS", "maybe"),
        ("USER_PAIRS", "app"),
        ("SAME_DATABASE_HOSTS", "db.example"),
    ] {
        let settings = Environment::from([(name, value)]);
        let model = Model::new(&server, Commit::PerStatement, None);
        let policy = PasswordPolicy::default();
        let error = Alternating::read(&settings, model.clone(), policy.clone()).map(drop);
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed);
        assert!(error.to_string().contains(name), "{error}");
        let by_admin = ByAdmin::read(&settings, model, policy);
        assert_eq!(by_admin.is_err(), name == "SAME_DATABASE_HOSTS", "{name}");
    }
}
