//! What real vendors do on a bad day: too many requests, lost answers, parts that learn late.

use std::time::{Duration, Instant};

use fourstep::{Deadline, ErrorKind, Invocation, Step};
use fourstep_testing::{Double, Fault};
use serde_json::json;

use super::doubles;
use super::support::{Place, redirected, specification};

/// Entra ID, because there the key itself makes every request.
pub async fn place() -> (Double, Place) {
    let double = Double::start(doubles::entra).await.unwrap();
    let key = double.arrange(None);
    let secret = json!({"tenant_id": "tenant", "object_id": "object", "client_id": "app",
        "key_id": key.id, "client_secret": key.value});
    let text = redirected(&specification("entra-client-secret.toml"), &double);
    let place = Place::new(&text, &secret.to_string());
    (double, place)
}

const ISSUE: &str = "/v1.0/applications/object/addPassword";

#[tokio::test]
async fn too_many_requests_are_waited_for_as_long_as_the_vendor_says() {
    let (double, place) = place().await;
    double.plan("POST", ISSUE, Fault::TooMany(1), 2);
    let started = Instant::now();
    place.rotate(1).await.unwrap();
    assert!(started.elapsed() >= Duration::from_secs(2));
    assert_eq!(double.live().len(), 2);
}

#[tokio::test]
async fn a_wait_longer_than_the_functions_time_is_reported_at_once() {
    let (double, place) = place().await;
    double.plan("POST", ISSUE, Fault::TooMany(3600), 1);
    let (token, started) = (place.begin(1), Instant::now());
    let cx = Invocation::new(Deadline::after(Duration::from_secs(30)));
    let error = place.step_in(Step::Create, &token, &cx).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Throttled);
    assert!(error.to_string().contains("3600 s to wait; retry later"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(20));
    assert_eq!(double.live().len(), 1);
}

#[tokio::test]
async fn beyond_17_a_key_whose_answer_was_lost_is_revoked_when_the_rotation_is_done() {
    let (double, place) = place().await;
    double.plan("POST", ISSUE, Fault::LoseAnswer, 1);
    let token = place.begin(1);
    let error = place.step(Step::Create, &token).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
    assert_eq!(double.live().len(), 2, "the key was made");
    for step in Step::ALL {
        place.step(step, &token).await.unwrap();
    }
    assert_eq!(double.live().len(), 2, "current and previous, and no orphan");
}

#[tokio::test]
async fn a_vendor_whose_parts_learn_late_is_asked_again() {
    let (double, place) = place().await;
    double.limits(None, 2);
    let warm = place.begin(1);
    // The first key was arranged without a delay, so it has to be asked for as well.
    let mut ended = Err(());
    for _ in 0..4 {
        match place.step(Step::Create, &warm).await {
            Ok(_) => {
                ended = Ok(());
                break;
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::Rejected, "{error}"),
        }
    }
    ended.unwrap();
    for step in [Step::Set, Step::Test, Step::Finish] {
        place.step(step, &warm).await.unwrap();
    }
    assert_eq!(double.live().len(), 2);
}

#[tokio::test]
async fn a_key_that_was_revoked_by_hand_is_refused_and_nothing_is_promoted() {
    let (double, place) = place().await;
    let token = place.begin(1);
    place.step(Step::Create, &token).await.unwrap();
    let newest = double.live().pop().unwrap();
    double.revoke(&newest);
    // Asking again for as long as the vendor may take is bounded by the function's time.
    let cx = Invocation::new(Deadline::after(Duration::from_secs(10)));
    let error = place.step_in(Step::Set, &token, &cx).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected, "{error}");
    assert!(error.to_string().contains(&format!("refuses AWSPENDING's key {newest:?}")), "{error}");
}
