//! Rotations of access keys in this process, at the double: what goes, what stays, and what the role is asked for.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use fourstep::store::AWSCURRENT;
use fourstep::{
    Deadline, Engine, Error, ErrorKind, Invocation, Question, RotationEvent, SecretId, Step,
    VersionId,
};
use fourstep_local::{MemoryStore, NewRotation, NewSecret, NewValue, PendingLabel};
use serde_json::{Value, json};

use super::double::Double;
use crate::support::program::{binary, fourstep, secret_file};
use crate::support::skip;
use crate::support::stage::{FUNCTION, new_token, read};

const HOUR: Duration = Duration::from_secs(3600);

/// The function's own come from the process's environment.
pub fn has_credentials() -> bool {
    let there = std::env::var("AWS_ACCESS_KEY_ID").is_ok();
    if !there {
        skip("AWS_ACCESS_KEY_ID");
    }
    there
}

/// A secret and the double.
struct Place {
    double: Double,
    store: MemoryStore,
    secret: SecretId,
    calls: BTreeSet<&'static str>,
    /// Of a rotation that has not ended: the service repeats it.
    begun: Option<VersionId>,
}

impl Place {
    async fn new(make: impl FnOnce(&Double) -> Value) -> Self {
        let double = Double::start().await;
        let store = MemoryStore::new();
        let value = Some(make(&double).to_string().as_str().into());
        store.create("rotated", NewSecret { value, ..NewSecret::default() }).unwrap();
        let secret = SecretId::parse("rotated").unwrap();
        Self { double, store, secret, calls: BTreeSet::new(), begun: None }
    }

    /// The user's key is in the secret.
    async fn of_app() -> Self {
        Self::new(|double| double.arrange("app", HOUR).document()).await
    }

    async fn rotate(&mut self, dedicated: bool) -> Result<(), Error> {
        let rotator = rotate_iam::rotator(&self.double.environment(dedicated))?;
        let token = self.begun.take().unwrap_or_else(|| {
            let token = new_token();
            self.store.rotate(&self.secret, &NewRotation::now(&token, FUNCTION)).unwrap();
            token
        });
        self.begun = Some(token.clone());
        for step in Step::ALL {
            let cx = Invocation::new(Deadline::after(Duration::from_secs(60)));
            let (secret, token) = (self.secret.clone(), token.clone());
            let event = RotationEvent { step, secret, token, rotation_token: None };
            let ended = Engine::new(&self.store, &rotator).step(&event, &cx).await;
            self.calls.extend(cx.stats().calls.into_keys());
            ended?;
        }
        self.store.finish_rotation(&self.secret, &token, PendingLabel::Removed).unwrap();
        self.begun = None;
        Ok(())
    }

    async fn preflight(&self) -> Value {
        let rotator = rotate_iam::rotator(&self.double.environment(false)).unwrap();
        let cx = Invocation::new(Deadline::after(Duration::from_secs(60)));
        let engine = Engine::new(&self.store, &rotator);
        engine.answer(Question::Preflight, &self.secret, &cx).await.unwrap()
    }

    fn current(&self) -> Value {
        serde_json::from_str(&read(&self.store, &self.secret, AWSCURRENT)).unwrap()
    }
}

/// Every call of rotations, of which the later ones reach the limit.
pub async fn calls() -> BTreeSet<&'static str> {
    let mut place = Place::of_app().await;
    for _ in 0..3 {
        place.rotate(false).await.unwrap();
    }
    place.calls
}

#[tokio::test]
async fn two_keys_work_at_a_time_and_the_older_goes_for_the_next() {
    if !has_credentials() {
        return;
    }
    let mut place = Place::of_app().await;
    for _ in 0..4 {
        let before = place.current();
        place.rotate(false).await.unwrap();
        let after = place.current();
        assert_eq!((&after["note"], &after["user_arn"]), (&before["note"], &before["user_arn"]));
        let live = place.double.live("app");
        assert_eq!(
            live,
            [before, after].map(|one| one["access_key_id"].as_str().unwrap().to_owned())
        );
    }
    let answer = place.preflight().await;
    assert_eq!(answer["ready"], true, "{answer}");
}

/// A key that no version of the secret holds is deleted only where the user is for the secret only.
#[tokio::test]
async fn a_second_key_of_somebody_else_is_never_deleted_and_the_error_says_what_to_do() {
    if !has_credentials() {
        return;
    }
    let foreign = |double: &Double| {
        double.arrange("app", HOUR * 2);
        double.arrange("app", HOUR).document()
    };
    let mut place = Place::new(foreign).await;
    let before = place.double.live("app");
    let error = place.rotate(false).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Throttled);
    assert!(error.to_string().contains("IAM lets a user have two"), "{error}");
    assert!(error.to_string().contains("delete the one that is inactive by hand"), "{error}");
    assert_eq!(place.double.live("app"), before);
    let mut place = Place::new(foreign).await;
    let foreign = place.double.live("app").remove(0);
    place.rotate(true).await.unwrap();
    assert!(!place.double.live("app").contains(&foreign));
}

/// Whoever may write a secret names any user there, and the role may serve several.
#[tokio::test]
async fn no_key_is_made_or_deleted_for_a_user_of_whom_the_secret_shows_no_working_key() {
    if !has_credentials() {
        return;
    }
    for (dedicated, refused) in [(false, false), (true, false), (false, true), (true, true)] {
        let mut place = Place::new(|double| {
            double.arrange("victim", HOUR * 3);
            let victim = double.arrange("victim", HOUR * 2).document();
            let mut document = double.arrange("app", HOUR).document();
            // Its id is no secret; or the writer's own key, which works.
            if refused {
                document["access_key_id"] = victim["access_key_id"].clone();
            }
            document["user_arn"] = victim["user_arn"].clone();
            document
        })
        .await;
        let before = [place.double.live("victim"), place.double.live("app")];
        let answer = place.preflight().await;
        assert_eq!(answer["ready"], false, "{answer}");
        let error = place.rotate(dedicated).await.unwrap_err();
        let kind = if refused { ErrorKind::Rejected } else { ErrorKind::Mismatch };
        assert_eq!(error.kind(), kind, "{error}");
        assert_eq!([place.double.live("victim"), place.double.live("app")], before);
        // Promoted by hand, it has nothing deleted either: retire asks for the proof too.
        let other = new_token();
        let mut document = place.current();
        document["note"] = json!("by hand");
        let value = NewValue::current(&other, document.to_string().as_str());
        place.store.put(&place.secret, value).unwrap();
        let rotator = rotate_iam::rotator(&place.double.environment(dedicated)).unwrap();
        let cx = Invocation::new(Deadline::after(Duration::from_secs(60)));
        let (secret, token) = (place.secret.clone(), other);
        let event = RotationEvent { step: Step::Finish, secret, token, rotation_token: None };
        drop(Engine::new(&place.store, &rotator).step(&event, &cx).await);
        assert_eq!([place.double.live("victim"), place.double.live("app")], before);
    }
}

#[tokio::test]
async fn a_key_whose_answer_was_lost_is_left_to_a_person_but_for_a_dedicated_user() {
    if !has_credentials() {
        return;
    }
    for dedicated in [false, true] {
        let mut place = Place::of_app().await;
        place.double.state().loses = true;
        let error = place.rotate(dedicated).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
        assert_eq!(place.double.live("app").len(), 2);
        let error = place.rotate(dedicated).await.unwrap_err();
        let kind = if dedicated { ErrorKind::Conflict } else { ErrorKind::Throttled };
        assert_eq!(error.kind(), kind, "{error}");
        let lost = place.double.live("app").remove(1);
        // Nobody records it any more.
        place.double.state().keys[1].created = SystemTime::now() - HOUR / 2;
        if !dedicated {
            assert!(place.rotate(false).await.is_err());
            drop(place.double.state().keys.remove(1));
        }
        place.rotate(dedicated).await.unwrap();
        assert!(!place.double.live("app").contains(&lost));
    }
}

/// People swap the fields, and errors and AWS's answers quote an id.
#[tokio::test]
async fn what_is_no_id_is_not_told_and_not_sent() {
    if !has_credentials() {
        return;
    }
    for key in
        ["wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY00", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"]
    {
        let swapped = |double: &Double| {
            let mut document = double.arrange("app", HOUR).document();
            document["secret_access_key"] = document["access_key_id"].clone();
            document["access_key_id"] = key.into();
            document
        };
        let mut place = Place::new(swapped).await;
        let answer = place.preflight().await;
        assert!(answer["ready"] == false && !answer.to_string().contains(key), "{answer}");
        let error = place.rotate(true).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed, "{error}");
        let text = format!("{error} {error:?}");
        assert!(text.contains("access_key_id") && text.contains("swapped"), "{text}");
        assert!(!text.contains(&key[..12]), "{text}");
        assert_eq!(place.double.live("app").len(), 1);
        assert!(place.double.state().regions.is_empty(), "IAM was asked");
    }
    let mut broken = Place::new(|double| {
        let mut document = double.arrange("app", HOUR).document();
        let key = document["secret_access_key"].as_str().unwrap().to_owned() + "\n";
        document["secret_access_key"] = key.into();
        document
    })
    .await;
    let error = broken.rotate(false).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Malformed, "{error}");
    assert!(error.to_string().contains("a line break"), "{error}");
}

#[tokio::test]
async fn where_no_key_may_be_made_none_is_deleted_for_it() {
    if !has_credentials() {
        return;
    }
    let mut place = Place::of_app().await;
    place.rotate(false).await.unwrap();
    let before = place.double.live("app");
    assert_eq!(before.len(), 2);
    place.double.state().forbids = true;
    let error = place.rotate(false).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden, "{error}");
    assert!(error.to_string().contains("iam:CreateAccessKey"), "{error}");
    assert_eq!(place.double.live("app"), before);
    place.double.state().forbids = false;
    place.rotate(false).await.unwrap();
}

/// Whoever found AWSCURRENT's key deleted goes back to AWSPREVIOUS's.
#[tokio::test]
async fn the_last_key_that_works_is_kept_until_the_rotation_after_the_next() {
    if !has_credentials() {
        return;
    }
    let mut place = Place::of_app().await;
    place.rotate(false).await.unwrap();
    let [first, second] = <[String; 2]>::try_from(place.double.live("app")).unwrap();
    place.double.state().keys.retain(|key| key.id != second);
    place.rotate(false).await.unwrap();
    let live = place.double.live("app");
    assert!(live.len() == 2 && live.contains(&first), "{live:?}");
    place.rotate(false).await.unwrap();
    let live = place.double.live("app");
    assert!(live.len() == 2 && !live.contains(&first), "{live:?}");
}

#[tokio::test]
async fn requests_to_an_endpoint_of_ones_own_are_signed_for_the_partitions_region() {
    if !has_credentials() {
        return;
    }
    for (region, home) in [
        ("eu-west-3", "us-east-1"),
        ("cn-northwest-1", "cn-north-1"),
        ("us-gov-east-1", "us-gov-west-1"),
    ] {
        let double = Double::start().await;
        let file = secret_file(&double.arrange("app", HOUR).document().to_string());
        let [iams, stss] =
            ["IAM", "STS"].map(|name| format!("AWS_ENDPOINT_URL_{name}={}", double.url));
        let (region, rotator) = (format!("AWS_REGION={region}"), binary("rotate-iam"));
        let (rotator, file) = (rotator.to_str().unwrap(), file.path.to_str().unwrap());
        let asked = ["preflight", "--rotator", rotator, "--secret", file];
        let settings = [&iams, &stss, &region].map(|one| ["--env", one]).concat();
        let output = fourstep(&[&asked[..], &settings].concat()).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        let regions: BTreeSet<_> = double.state().regions.iter().cloned().collect();
        assert_eq!(regions, [home.to_owned()].into());
    }
}
