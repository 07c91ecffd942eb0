//! What somebody wrote under AWSPENDING by hand: the user that it names is the other half of the one in use,
//! or is left alone.

use fourstep::{Environment, Error, ErrorKind, Rotator, Step};
use fourstep_local::{NewRotation, NewValue};

use super::careless;
use super::database::{Commit, Model};
use super::takeover::{Fixture, account, alternating, document, place, token};
use crate::Overlap;
use crate::models::{Account, Mark, Server, SharedServer};

const FUNCTION: &str = "arn:aws:lambda:us-east-1:000000000000:function:kit";

impl Fixture {
    /// AWSPENDING names `user` with `password`; then setSecret is delivered, and nothing before.
    async fn set_by_hand(&self, number: u32, user: &str, password: &str) -> Error {
        let token = token(number);
        self.store.rotate(&self.secret, &NewRotation::now(&token, FUNCTION)).unwrap();
        let pending = NewValue::labelled(&token, document(user, password), &["AWSPENDING"]);
        self.store.put(&self.secret, pending).unwrap();
        self.step(Step::Set, &token).await.unwrap_err()
    }

    fn discard(&self, number: u32) {
        let pending = token(number);
        self.store.update_stage(&self.secret, "AWSPENDING", None, Some(&pending)).unwrap();
    }

    fn account(&self, user: &str) -> Option<Account> {
        self.server.arrange(|accounts| accounts.get(user).cloned())
    }

    async fn refuses_by_hand(&self, user: &str, password: &str, kind: ErrorKind) -> String {
        let names = ["app", user];
        let before = names.map(|name| self.account(name));
        let error = self.set_by_hand(7, user, password).await;
        assert_eq!((error.kind(), error.step()), (kind, Some(Step::Set)), "{error}");
        assert_eq!(self.remote.complaint(), None);
        assert_eq!(names.map(|name| self.account(name)), before);
        error.to_string()
    }
}

#[tokio::test]
async fn rule_07_setsecret_makes_no_user_but_the_other_half() {
    let fixture = place(&[], &[("app", "first-password")], alternating);
    let told = fixture.refuses_by_hand("mallory", "chosen", ErrorKind::Mismatch).await;
    assert!(told.contains("the other half of user \"app\" is \"app_clone\""), "{told}");
    assert!(told.contains("--remove-from-version-id"), "{told}");
    fixture.discard(7);
    // Of a pair that there is, in both directions.
    for turn in 1..3 {
        fixture.rotate(turn).await.unwrap();
        let error = fixture.set_by_hand(10 + turn, "mallory", "chosen").await;
        assert_eq!(error.kind(), ErrorKind::Mismatch, "{error}");
        assert_eq!(fixture.account("mallory"), None);
        fixture.discard(10 + turn);
    }
}

#[tokio::test]
async fn rule_07_a_user_whose_password_is_known_does_not_become_the_other_half() {
    let strangers = [("web", account("known"))];
    for password in ["first-password", "lost"] {
        let fixture = place(&strangers, &[("app", password)], alternating);
        fixture.refuses_by_hand("web", "known", ErrorKind::Mismatch).await;
    }
}

#[tokio::test]
async fn rule_07_no_password_overrides_another_secrets_mark() {
    for partner in ["app", "web", ""] {
        let mut theirs = account("known");
        theirs.rights.mark =
            Some(Mark { partner: partner.to_owned(), secret: "another".to_owned() });
        let strangers = [("app_clone", theirs)];
        let fixture = place(&strangers, &[("app", "first-password")], alternating);
        let told = fixture.refuses_by_hand("app_clone", "known", ErrorKind::Unsupported).await;
        assert!(told.contains("it carries the mark of another"), "{told}");
    }
}

/// The user in use is another secret's, and an older version knows its password.
#[tokio::test]
async fn rule_07_the_password_of_another_secrets_user_is_not_set_again() {
    let mut theirs = account("known");
    theirs.rights.mark = Some(Mark { partner: "web".to_owned(), secret: "another".to_owned() });
    let strangers = [("report", theirs.clone())];
    let values = [("report", "known"), ("report", "chosen")];
    let fixture = place(&strangers, &values, alternating);
    let error = fixture.set_by_hand(7, "report_clone", "of nobody").await;
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    assert_eq!(fixture.account("report"), Some(theirs));
}

fn in_blue_and_green(server: &Server) -> Box<dyn Rotator> {
    let settings = Environment::from([("USER_PAIRS", "app=app_green")]);
    careless::alternating(Model::new(server, Commit::PerDatabase, None), &settings, None)
}

#[tokio::test]
async fn a_rotation_under_way_ends_where_the_configuration_names_another_half_by_now() {
    let mut fixture = place(&[], &[("app", "first-password")], alternating);
    let token = token(1);
    fixture.store.rotate(&fixture.secret, &NewRotation::now(&token, FUNCTION)).unwrap();
    fixture.step(Step::Create, &token).await.unwrap();
    fixture.remote = SharedServer::new(Overlap::Full, in_blue_and_green).remote(&fixture.server);
    let told = fixture.step(Step::Set, &token).await.unwrap_err().to_string();
    assert!(told.contains("USER_PAIRS may have been changed"), "{told}");
    fixture.discard(1);
    fixture.rotate(2).await.unwrap();
    assert!(fixture.account("app_green").is_some() && fixture.account("app_clone").is_none());
}
