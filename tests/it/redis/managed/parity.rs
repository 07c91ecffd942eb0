//! Parity cases 12 to 18, and AWS's two evictions, each with what becomes of it here.

use std::time::Duration;

use fourstep::store::{AWSCURRENT, AWSPENDING};
use fourstep::{ErrorKind, Question, Step};
use serde_json::{Value, json};

use super::double::{Double, Lasts};
use super::{arn_of, server};
use crate::support::stage::Ended;

fn kind(ended: &Ended) -> ErrorKind {
    ended.result.as_ref().unwrap_err().kind()
}

fn without(mut document: Value, field: &str) -> Value {
    document.as_object_mut().unwrap().remove(field);
    document
}

#[tokio::test]
async fn parity_12_the_two_variables_name_the_only_secret_and_user() {
    let Some(server) = server().await else { return };
    let double = Double::elasticache(&server).await;
    let stage = double.stage(&double.hostless(), &[]);
    stage.play(&Step::ALL).await;
    let (arn, name) = (arn_of(&stage), double.user.name.as_str());
    let right = [("SECRET_ARN", arn.as_str()), ("USER_NAME", name)];
    for number in 0..2 {
        let sent = double.state().sent.len();
        let mut wrong = right;
        wrong[number].1 = "another";
        let other = double.beside(&stage, &wrong);
        let token = other.begin();
        let ended = other.step(Step::Create, &token).await;
        assert_eq!(kind(&ended), ErrorKind::Forbidden);
        assert!(ended.error().contains(wrong[number].0), "{}", ended.error());
        assert!(other.try_text(AWSPENDING).is_none());
        assert_eq!(double.state().sent.len(), sent);
        other.cancel();
    }
    // Each alone leaves open whose user it is; both together let this one through.
    for half in right {
        let other = double.beside(&stage, &[half]);
        let ended = other.step(Step::Create, &other.begin()).await;
        assert!(ended.error().contains("MANAGED_USERS"), "{}", ended.error());
        other.cancel();
    }
    double.beside(&stage, &right).play(&Step::ALL).await;
}

/// Whoever writes one secret of a function stores another secret's user in it, with a password of his own.
#[tokio::test]
async fn rule_08_a_secret_takes_over_no_other_secrets_user() {
    let Some(server) = server().await else { return };
    let [mine, other] = [Double::elasticache(&server).await, Double::elasticache(&server).await];
    for memorydb in [false, true] {
        let victim = if memorydb { Double::memorydb(&server).await } else { other.clone() };
        let taken = json!({
            "user_arn": victim.arn(), "username": victim.user.name, "password": "the-attackers-own-password",
        });
        let stage = victim.beside(&mine.stage(&taken, &[]), &[]);
        let secret = arn_of(&stage);
        let lists = [format!("{secret}={}", mine.arn()), format!("{secret}-2={}", victim.arn())];
        for listed in ["", &lists[0], &lists[1]] {
            let stage = victim.beside(&stage, &[("MANAGED_USERS", listed)]);
            let answer = stage.ask(Question::Preflight).await;
            assert_eq!(answer["ready"], json!(false), "{answer}");
            let token = stage.begin();
            let ended = stage.step(Step::Create, &token).await;
            assert_eq!(kind(&ended), ErrorKind::Forbidden);
            assert!(ended.error().contains("MANAGED_USERS"), "{}", ended.error());
            // Whoever writes the secret can store AWSPENDING too.
            let mut pending = taken.clone();
            pending["password"] = json!("another-of-the-attacker");
            stage.put_pending(&token, &pending);
            assert_eq!(kind(&stage.step(Step::Set, &token).await), ErrorKind::Forbidden);
            stage.cancel();
        }
        assert!(victim.state().sent.is_empty());
        assert!(victim.logs_in(&victim.user.password).await);
    }
}

/// AWS's first eviction: values from before a wait, set after it.
#[tokio::test]
async fn parity_13_a_container_that_waited_takes_nothing_away_once_its_rotation_is_cancelled() {
    let Some(server) = server().await else { return };
    for document in [Double::document, Double::hostless] {
        let double = Double::elasticache(&server).await;
        let stage = double.stage(&document(&double), &[]);
        stage.play(&Step::ALL).await;
        let (current, token) = (stage.password(AWSCURRENT), stage.play(&[Step::Create]).await);
        let (came, go) = double.hold();
        let meanwhile = async {
            came.await.unwrap();
            stage.cancel();
            stage.beside().play(&Step::ALL).await;
            go.send(()).unwrap();
        };
        let (late, ()) = tokio::join!(stage.step(Step::Set, &token), meanwhile);
        assert_eq!(kind(&late), ErrorKind::Conflict, "{}", late.error());
        let newest = stage.password(AWSCURRENT);
        assert!(double.logs_in(&newest).await && double.logs_in(&current).await);
        assert_eq!(double.state().sent.last().unwrap(), &[newest, current]);
    }
}

#[tokio::test]
async fn parity_13_a_wait_ends_before_the_function_does_and_the_retry_goes_on() {
    let Some(server) = server().await else { return };
    let double = Double::elasticache(&server).await;
    let mut stage = double.stage(&double.document(), &[]);
    stage.timeout = Duration::from_secs(10);
    let token = stage.play(&[Step::Create]).await;
    double.state().lasts = Lasts::UntilTold;
    let [current, pending] = [AWSCURRENT, AWSPENDING].map(|label| stage.password(label));
    let ended = stage.step(Step::Set, &token).await;
    assert_eq!(kind(&ended), ErrorKind::OutOfTime);
    assert!(ended.error().contains("retry, which waits on"), "{}", ended.error());
    // The change is under way still: the retry waits for it, and sends nothing.
    let ended = stage.step(Step::Set, &token).await;
    assert_eq!(kind(&ended), ErrorKind::OutOfTime);
    double.finish().await;
    assert!(stage.step(Step::Set, &token).await.why().contains("already"));
    assert_eq!(double.state().sent, [[pending, current]]);
    stage.step(Step::Test, &token).await.why();
    stage.step(Step::Finish, &token).await.why();
}

/// An `active` that is older than the change is not believed: AWS's template ends its wait at the first.
#[tokio::test]
async fn parity_13_an_active_from_before_the_change_is_not_believed() {
    let Some(server) = server().await else { return };
    let double = Double::elasticache(&server).await;
    let stage = double.stage(&double.hostless(), &[]);
    (double.state().stale, double.state().lasts) = (3, Lasts::Looks(5));
    stage.play(&[Step::Create, Step::Set]).await;
    assert!(double.logs_in(&stage.password(AWSPENDING)).await);
}

#[tokio::test]
async fn parity_14_a_retry_sets_no_second_time_what_a_login_shows_and_otherwise_the_same_again() {
    let Some(server) = server().await else { return };
    for (document, sets) in [(Double::document as fn(&Double) -> Value, 2), (Double::hostless, 4)] {
        let double = Double::elasticache(&server).await;
        let stage = double.stage(&document(&double), &[]);
        for _ in 0..2 {
            let token = stage.play(&[Step::Create]).await;
            let mut refused = 0;
            for run in 1..=2 {
                let ended = stage.step(Step::Set, &token).await;
                ended.why();
                // A healthy rotation makes no failed login.
                refused += if run == 1 { ended.stats.rejected_logins } else { 0 };
            }
            assert_eq!(refused, 0);
            let [current, pending] = [AWSCURRENT, AWSPENDING].map(|label| stage.password(label));
            assert_eq!(double.state().sent.last().unwrap(), &[pending, current]);
            stage.step(Step::Test, &token).await.why();
            stage.step(Step::Finish, &token).await.why();
            stage.end(&token);
        }
        assert_eq!(double.state().sent.len(), sets);
    }
}

/// AWS's second eviction: the password that nobody stored.
#[tokio::test]
async fn parity_15_a_password_that_is_not_recorded_is_taken_away_only_where_that_is_allowed() {
    let Some(server) = server().await else { return };
    let double = Double::elasticache(&server).await;
    let document = without(double.hostless(), "password");
    let stage = double.stage(&document, &[]);
    let ended = stage.step(Step::Create, &stage.begin()).await;
    assert_eq!(kind(&ended), ErrorKind::Unsupported);
    assert!(ended.error().contains("ALLOW_UNRECORDED_PASSWORD"), "{}", ended.error());
    assert!(stage.try_text(AWSPENDING).is_none());
    assert!(double.logs_in(&double.user.password).await);
    let allowed = double.stage(&document, &[("ALLOW_UNRECORDED_PASSWORD", "true")]);
    allowed.play(&Step::ALL).await;
    assert_eq!(double.state().sent, [[allowed.password(AWSCURRENT)]]);
    assert!(!double.logs_in(&double.user.password).await);
    assert_eq!(allowed.document(AWSCURRENT)["note"], json!("kept"));
}

#[tokio::test]
async fn parity_16_where_the_secret_names_a_host_pending_and_current_must_log_in() {
    let Some(server) = server().await else { return };
    let double = Double::elasticache(&server).await;
    let stage = double.stage(&double.document(), &[]);
    let token = stage.play(&[Step::Create, Step::Set]).await;
    let [current, pending] = [AWSCURRENT, AWSPENDING].map(|label| stage.password(label));
    for (at_work, kind_of_failure) in
        [(&current, ErrorKind::Rejected), (&pending, ErrorKind::Conflict)]
    {
        double.set(std::slice::from_ref(at_work)).await;
        assert_eq!(kind(&stage.step(Step::Test, &token).await), kind_of_failure);
    }
    // The retry gives both back.
    stage.step(Step::Set, &token).await.why();
    let ended = stage.step(Step::Test, &token).await;
    ended.why();
    assert_eq!(ended.stats.connections, 2);
    // Without a host it is said that nothing was tested.
    let hostless = double.stage(&without(stage.document(AWSCURRENT), "host"), &[]);
    let token = hostless.play(&[Step::Create, Step::Set]).await;
    let ended = hostless.step(Step::Test, &token).await;
    ended.why();
    assert!(ended.stats.warnings[0].contains("no login shows"), "{:?}", ended.stats.warnings);
    let answer = hostless.ask(Question::Inspect).await.to_string();
    assert!(answer.contains("unknown") && !answer.contains("accepted"), "{answer}");
}

#[tokio::test]
async fn parity_17_a_user_without_a_password_and_one_that_is_not_there_are_refused() {
    let Some(server) = server().await else { return };
    let double = Double::elasticache(&server).await;
    let stage = double.stage(&double.document(), &[]);
    for how in ["iam", "no-password"] {
        double.state().authentication = how;
        let ended = stage.step(Step::Create, &stage.begin()).await;
        assert_eq!(kind(&ended), ErrorKind::Unsupported);
        assert!(ended.error().contains(how), "{}", ended.error());
        stage.cancel();
    }
    double.state().authentication = "password";
    double.state().missing = true;
    let ended = stage.step(Step::Create, &stage.begin()).await;
    assert_eq!(kind(&ended), ErrorKind::NotFound);
    assert!(ended.error().contains(&double.arn()), "{}", ended.error());
    assert!(stage.try_text(AWSPENDING).is_none() && double.state().sent.is_empty());
}

#[tokio::test]
async fn parity_18_a_user_of_memorydb_is_rotated_likewise() {
    let Some(server) = server().await else { return };
    let double = Double::memorydb(&server).await;
    let stage = double.stage(&double.document(), &[]);
    let first = stage.password(AWSCURRENT);
    let token = stage.begin();
    for step in Step::ALL {
        stage.step(step, &token).await.why();
        assert!(double.logs_in(&first).await, "{step:?}");
    }
    stage.end(&token);
    let second = stage.password(AWSCURRENT);
    assert_eq!(double.state().sent, [[second, first]]);
    double.state().missing = true;
    let ended = stage.step(Step::Create, &stage.begin()).await;
    assert_eq!(kind(&ended), ErrorKind::NotFound);
    stage.cancel();
    double.state().missing = false;
    double.state().refuses = Some(("UpdateUser", "AccessDeniedException"));
    let token = stage.play(&[Step::Create]).await;
    let ended = stage.step(Step::Set, &token).await;
    assert_eq!(kind(&ended), ErrorKind::Forbidden);
    assert!(ended.error().contains("memorydb:UpdateUser"), "{}", ended.error());
}
