//! moto, a Secrets Manager that others wrote: the wire format and the rules of the four calls that
//! rotations are made of, seen by other eyes than ours.
//!
//! It is AWS's behaviour that counts, so this file also lists what is known of moto to be otherwise:
//! each difference is asserted, with the body that it makes inapplicable. If moto changes, the test
//! of the difference fails, and the body goes back to those that hold. RotateSecret is only used to
//! get an empty version with AWSPENDING; nobody should take moto for what plays rotations.

use std::time::{Duration, SystemTime};

use aws_sdk_secretsmanager::operation::get_secret_value::builders::GetSecretValueFluentBuilder;
use fourstep::store::{AWSCURRENT, AWSPENDING, AWSPREVIOUS, Select, StoreErrorCode};
use fourstep::{RotationToken, SecretValue};

use super::{BODIES, Bench, Through, run};
use crate::support::stage::new_token;

macro_rules! hold {
    ($($body:ident),+ $(,)?) => {
        mod holds {
            $(#[tokio::test]
            async fn $body() {
                super::run(super::Through::Moto, super::super::bodies::$body).await;
            })+
        }

        const HOLD: &[&str] = &[$(stringify!($body)),+];
    };
}

macro_rules! differ {
    ($($body:ident: $($difference:ident)|+),+ $(,)?) => {
        mod differs {
            $($(#[tokio::test]
            async fn $difference() {
                super::run(super::Through::Moto, super::$difference).await;
            })+)+
        }

        const DIFFER: &[&str] = &[$(stringify!($body)),+];
    };
}

hold!(
    the_current_value_is_read_by_label_and_names_its_version,
    a_description_shows_labels_tags_and_whether_rotation_is_on,
    an_empty_pending_version_is_described_but_not_found,
    a_label_on_another_version_is_an_invalid_request,
    moving_current_moves_previous_and_leaves_pending,
    moving_current_from_the_wrong_version_is_an_invalid_parameter,
    every_version_is_listed_unlabelled_ones_too,
    any_text_survives,
    bytes_survive,
);

// The body that does not hold, and the difference that is why. Below `no_body` stand differences
// that the bodies do not meet, because the framework does not ask what they are about.
differ!(
    the_placeholder_is_filled_once_and_the_same_value_may_be_put_again:
        a_pending_value_is_overwritten,
    what_does_not_exist_is_not_found: a_missing_label_is_told_as_a_missing_secret,
    the_rotation_token_arrives: the_rotation_token_is_accepted_and_dropped,
    a_value_too_long_is_refused_and_not_quoted: no_value_is_too_long,
    failures_of_the_service_keep_their_code: no_key_is_needed_so_nothing_can_be_made_to_fail,
    no_body:
        what_is_not_found_is_http_404
        | a_refused_rotation_leaves_its_placeholder
        | a_refused_move_has_taken_the_label_away
        | current_can_be_taken_away
        | a_read_without_a_label_misses_that_current_was_moved
        | a_new_current_value_takes_every_other_label_of_the_old
        | unlabelled_versions_are_described
        | versions_are_listed_as_made_just_now_and_with_an_empty_token,
);

#[test]
fn every_body_holds_or_is_known_not_to() {
    for body in BODIES {
        assert_ne!(HOLD.contains(body), DIFFER.contains(body), "{body} is in one list");
    }
    let listed = HOLD.iter().chain(DIFFER).filter(|body| **body != "no_body");
    assert_eq!(listed.count(), BODIES.len(), "a list names what is no body");
}

/// GetSecretValue as the SDK has it.
fn read(bench: &Bench) -> GetSecretValueFluentBuilder {
    bench.moto().get_secret_value().secret_id(bench.secret.as_str())
}

/// AWS: ResourceExistsException, once the placeholder is filled.
async fn a_pending_value_is_overwritten(bench: &Bench) {
    let token = bench.begin().await;
    for value in ["second", "second", "third"] {
        bench.put(&token, value).await.unwrap();
    }
    assert_eq!(bench.get(Select::Version(&token)).await.unwrap().1, "third");
}

/// AWS names the staging label. A missing version or secret is told as AWS does.
async fn a_missing_label_is_told_as_a_missing_secret(bench: &Bench) {
    let error = bench.get(Select::Label("mine")).await.unwrap_err();
    assert_eq!(error.code, StoreErrorCode::NotFound);
    assert_eq!(error.message, "Secrets Manager can't find the specified secret.");
    let token = new_token();
    let error = bench.get(Select::Version(&token)).await.unwrap_err();
    assert_eq!(error.code, StoreErrorCode::NotFound);
    assert!(error.message.ends_with(&format!(" for VersionId: {token}")), "{error}");
}

/// Nobody can ask AWS for it either; our own local Secrets Manager keeps it for tests.
async fn the_rotation_token_is_accepted_and_dropped(bench: &Bench) {
    let token = bench.begin().await;
    let forwarded = RotationToken::parse("0123456789-0123456789-0123456789-abcd").unwrap();
    let value = SecretValue::from("second");
    bench.tested.put_pending(&bench.secret, &token, &value, Some(&forwarded)).await.unwrap();
    assert_eq!(bench.get(Select::Version(&token)).await.unwrap().1, "second");
}

/// AWS: InvalidParameterException above 65,536 bytes.
async fn no_value_is_too_long(bench: &Bench) {
    let token = bench.begin().await;
    let long = "c".repeat(65_537);
    bench.put(&token, &long).await.unwrap();
    assert_eq!(bench.get(Select::Version(&token)).await.unwrap().1, long);
}

/// AWS refuses a key that does not exist. moto has no permissions, keys, limits or bad days.
async fn no_key_is_needed_so_nothing_can_be_made_to_fail(bench: &Bench) {
    let name = format!("bench/{}", new_token());
    let create = bench.moto().create_secret().name(&name).secret_string("first");
    create.kms_key_id("no-such-key").send().await.unwrap();
    let value = read(bench).secret_id(&name).send().await.unwrap().secret_string;
    assert_eq!(value.as_deref(), Some("first"));
}

/// AWS: 400, as for every error of the caller.
async fn what_is_not_found_is_http_404(bench: &Bench) {
    let error = read(bench).version_stage("mine").send().await.unwrap_err();
    assert_eq!(error.raw_response().unwrap().status().as_u16(), 404);
}

/// AWS keeps nothing of it.
async fn a_refused_rotation_leaves_its_placeholder(bench: &Bench) {
    let token = bench.begin().await;
    assert_eq!(bench.labels(&token).await, [AWSPENDING]);
}

/// At AWS a refused call has no effect.
async fn a_refused_move_has_taken_the_label_away(bench: &Bench) {
    let (old, _) = bench.get(Select::Label(AWSCURRENT)).await.unwrap();
    let moved = bench.tested.move_current(&bench.secret, &new_token(), &old).await;
    assert_eq!(moved.unwrap_err().code, StoreErrorCode::InvalidParameter);
    assert!(bench.labels(&old).await.is_empty());
}

/// At AWS a secret with values always has an AWSCURRENT.
async fn current_can_be_taken_away(bench: &Bench) {
    let (old, _) = bench.get(Select::Label(AWSCURRENT)).await.unwrap();
    let update = bench.moto().update_secret_version_stage().secret_id(bench.secret.as_str());
    let update = update.version_stage(AWSCURRENT).remove_from_version_id(old.as_str());
    update.send().await.unwrap();
    assert_eq!(bench.labels(&old).await, [AWSPREVIOUS]);
}

/// At AWS neither id nor label means AWSCURRENT.
async fn a_read_without_a_label_misses_that_current_was_moved(bench: &Bench) {
    let (old, _) = bench.get(Select::Label(AWSCURRENT)).await.unwrap();
    let token = bench.begin().await;
    bench.put(&token, "second").await.unwrap();
    bench.tested.move_current(&bench.secret, &token, &old).await.unwrap();
    assert_eq!(bench.get(Select::Label(AWSCURRENT)).await.unwrap().1, "second");
    assert_eq!(read(bench).send().await.unwrap().secret_string.as_deref(), Some("first"));
}

/// At AWS only AWSPENDING goes; labels of one's own stay where they are.
async fn a_new_current_value_takes_every_other_label_of_the_old(bench: &Bench) {
    let token = new_token();
    bench.put_as(&token, "second", &[AWSCURRENT, "mine"]).await;
    bench.put_as(&new_token(), "third", &[]).await;
    assert_eq!(bench.labels(&token).await, [AWSPREVIOUS]);
}

/// AWS's DescribeSecret hides a version without labels.
async fn unlabelled_versions_are_described(bench: &Bench) {
    let (first, _) = bench.get(Select::Label(AWSCURRENT)).await.unwrap();
    for value in ["second", "third"] {
        bench.put_as(&new_token(), value, &[]).await;
    }
    let description = bench.tested.describe_secret(&bench.secret).await.unwrap();
    assert_eq!(description.labels.get(&first), Some(&Vec::new()));
}

/// AWS tells when each version was made, and leaves the token out after the last page.
async fn versions_are_listed_as_made_just_now_and_with_an_empty_token(bench: &Bench) {
    // moto tells whole seconds.
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    let asked = SystemTime::now() - Duration::from_secs(1);
    let versions = bench.tested.list_versions(&bench.secret).await.unwrap();
    assert!(versions.iter().all(|version| version.created.unwrap() > asked));
    assert_eq!(versions.len(), 1, "the empty token was not followed");
    let list = bench.moto().list_secret_version_ids().secret_id(bench.secret.as_str());
    assert_eq!(list.send().await.unwrap().next_token.as_deref(), Some(""));
}
