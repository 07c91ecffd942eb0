//! What every store must do, whatever carries the calls.

use fourstep::store::{
    AWSCURRENT, AWSPENDING, AWSPREVIOUS, Select, StoreError, StoreErrorCode, StoredVersion,
};
use fourstep::{ExposeSecret, RotationToken, SecretId, SecretValue, VersionId};
use fourstep_local::Fault;

use super::Bench;
use crate::support::stage::new_token;

impl Bench {
    pub async fn get(&self, select: Select<'_>) -> Result<(VersionId, String), StoreError> {
        let StoredVersion { version, value, created } =
            self.tested.get_secret_value(&self.secret, select).await?;
        assert!(created.is_some(), "the creation time is told");
        match value {
            SecretValue::Text(text) => Ok((version, text.expose_secret().to_owned())),
            SecretValue::Binary(_) => panic!("a text was stored"),
        }
    }

    pub async fn put(&self, token: &VersionId, value: &str) -> Result<(), StoreError> {
        self.tested.put_pending(&self.secret, token, &SecretValue::from(value), None).await
    }

    pub async fn labels(&self, version: &VersionId) -> Vec<String> {
        let description = self.tested.describe_secret(&self.secret).await.unwrap();
        let mut labels = description.labels.get(version).cloned().unwrap_or_default();
        labels.sort();
        labels
    }
}

fn error(result: Result<(VersionId, String), StoreError>) -> (StoreErrorCode, String) {
    let error = result.unwrap_err();
    (error.code, error.message)
}

pub async fn the_current_value_is_read_by_label_and_names_its_version(bench: &Bench) {
    let (version, text) = bench.get(Select::Label(AWSCURRENT)).await.unwrap();
    assert_eq!(text, "first");
    assert_eq!(bench.get(Select::Version(&version)).await.unwrap().1, "first");
    assert_eq!(bench.get(Select::VersionWithLabel(&version, AWSCURRENT)).await.unwrap().1, "first");
}

pub async fn a_description_shows_labels_tags_and_whether_rotation_is_on(bench: &Bench) {
    let before = bench.tested.describe_secret(&bench.secret).await.unwrap();
    assert_eq!(before.rotation_enabled, None, "never configured");
    assert_eq!(before.tags.get("team").map(String::as_str), Some("blue"));
    bench.begin().await;
    let after = bench.tested.describe_secret(&bench.secret).await.unwrap();
    assert_eq!(after.rotation_enabled, Some(true));
    // The ARN, with and without its random suffix, names the same secret.
    for id in [after.arn.as_str(), &after.arn[..after.arn.len() - 7]] {
        let id = SecretId::parse(id).unwrap();
        assert_eq!(bench.tested.describe_secret(&id).await.unwrap().arn, before.arn);
    }
    bench.cancel().await;
    let cancelled = bench.tested.describe_secret(&bench.secret).await.unwrap();
    assert_eq!(cancelled.rotation_enabled, Some(false));
}

pub async fn an_empty_pending_version_is_described_but_not_found(bench: &Bench) {
    let token = bench.begin().await;
    assert_eq!(bench.labels(&token).await, [AWSPENDING]);
    for select in [
        Select::Label(AWSPENDING),
        Select::Version(&token),
        Select::VersionWithLabel(&token, AWSPENDING),
    ] {
        let (code, message) = error(bench.get(select).await);
        assert_eq!(code, StoreErrorCode::NotFound);
        assert!(
            message.starts_with("Secrets Manager can't find the specified secret value for "),
            "{message}"
        );
    }
}

pub async fn the_placeholder_is_filled_once_and_the_same_value_may_be_put_again(bench: &Bench) {
    let token = bench.begin().await;
    bench.put(&token, "second").await.unwrap();
    bench.put(&token, "second").await.unwrap();
    let error = bench.put(&token, "third").await.unwrap_err();
    assert_eq!(error.code, StoreErrorCode::AlreadyExists);
    let arn = bench.tested.describe_secret(&bench.secret).await.unwrap().arn;
    assert_eq!(
        error.message,
        format!(
            "You can't use ClientRequestToken {token} because that value is already in use for a \
             version of secret {arn}."
        )
    );
    let (version, text) = bench.get(Select::VersionWithLabel(&token, AWSPENDING)).await.unwrap();
    assert_eq!((version, text.as_str()), (token, "second"));
}

pub async fn a_label_on_another_version_is_an_invalid_request(bench: &Bench) {
    let token = bench.begin().await;
    bench.put(&token, "second").await.unwrap();
    let (code, message) = error(bench.get(Select::VersionWithLabel(&token, AWSCURRENT)).await);
    assert_eq!(code, StoreErrorCode::InvalidRequest);
    assert_eq!(
        message,
        "You provided a VersionStage that is not associated to the provided VersionId."
    );
}

pub async fn what_does_not_exist_is_not_found(bench: &Bench) {
    let (code, message) = error(bench.get(Select::Label("mine")).await);
    assert_eq!(code, StoreErrorCode::NotFound);
    assert_eq!(
        message,
        "Secrets Manager can't find the specified secret value for staging label: mine"
    );
    let token = new_token();
    let (code, message) = error(bench.get(Select::Version(&token)).await);
    assert_eq!(code, StoreErrorCode::NotFound);
    assert_eq!(
        message,
        format!("Secrets Manager can't find the specified secret value for VersionId: {token}")
    );
    let nobody = SecretId::parse("nobody").unwrap();
    let error = bench.tested.describe_secret(&nobody).await.unwrap_err();
    assert_eq!(error.code, StoreErrorCode::NotFound);
    assert_eq!(error.message, "Secrets Manager can't find the specified secret.");
}

pub async fn moving_current_moves_previous_and_leaves_pending(bench: &Bench) {
    let (old, _) = bench.get(Select::Label(AWSCURRENT)).await.unwrap();
    let token = bench.begin().await;
    bench.put(&token, "second").await.unwrap();
    bench.tested.move_current(&bench.secret, &token, &old).await.unwrap();
    assert_eq!(bench.labels(&token).await, [AWSCURRENT, AWSPENDING]);
    assert_eq!(bench.labels(&old).await, [AWSPREVIOUS]);
    assert_eq!(bench.get(Select::Label(AWSCURRENT)).await.unwrap().1, "second");
}

pub async fn moving_current_from_the_wrong_version_is_an_invalid_parameter(bench: &Bench) {
    let token = bench.begin().await;
    bench.put(&token, "second").await.unwrap();
    for wrong in [&token, &new_token()] {
        let error = bench.tested.move_current(&bench.secret, &token, wrong).await.unwrap_err();
        assert_eq!(error.code, StoreErrorCode::InvalidParameter, "{error}");
    }
    assert_eq!(bench.get(Select::Label(AWSCURRENT)).await.unwrap().1, "first");
}

pub async fn every_version_is_listed_unlabelled_ones_too(bench: &Bench) {
    let tokens: Vec<VersionId> = (0..4).map(|_| new_token()).collect();
    for (number, token) in tokens.iter().enumerate() {
        bench.put_as(token, &format!("value {number}"), &[]).await;
    }
    let mut versions = bench.tested.list_versions(&bench.secret).await.unwrap();
    assert_eq!(versions.len(), 5);
    versions.sort_by_key(|version| version.created);
    let newest: Vec<&VersionId> = versions.iter().skip(1).map(|version| &version.version).collect();
    assert_eq!(newest, tokens.iter().collect::<Vec<_>>(), "creation times put them in order");
    let labels: Vec<&[String]> = versions.iter().map(|version| version.labels.as_slice()).collect();
    assert_eq!(labels[4], [AWSCURRENT]);
    assert_eq!(labels[3], [AWSPREVIOUS]);
    assert!(labels[..3].iter().all(|on| on.is_empty()));
}

pub async fn the_rotation_token_arrives(bench: &Bench) {
    let token = bench.begin().await;
    let forwarded = RotationToken::parse("0123456789-0123456789-0123456789-abcd").unwrap();
    let value = SecretValue::from("second");
    bench.tested.put_pending(&bench.secret, &token, &value, Some(&forwarded)).await.unwrap();
    let arrived = bench.memory().forwarded_token(&bench.secret, &token).unwrap();
    assert_eq!(arrived.expose(), forwarded.expose());
}

pub async fn any_text_survives(bench: &Bench) {
    for text in [
        "{\"a\": 1e+400, \"ü\": \"☃\"}",
        "  spaces\nand \"quotes\" \\ ",
        "\u{1}\u{7f}\u{10ffff}",
        "x",
    ] {
        let token = new_token();
        bench.put_as(&token, "-", &["other"]).await;
        let token = bench.begin().await;
        bench.put(&token, text).await.unwrap();
        assert_eq!(bench.get(Select::Version(&token)).await.unwrap().1, text);
        bench.unstage(&token).await;
    }
}

pub async fn bytes_survive(bench: &Bench) {
    let token = bench.begin().await;
    let value = SecretValue::Binary(b"\x00\xff{\"password\"}\r\n".to_vec().into());
    bench.tested.put_pending(&bench.secret, &token, &value, None).await.unwrap();
    let read = bench.tested.get_secret_value(&bench.secret, Select::Version(&token)).await;
    assert!(read.unwrap().value.same_as(&value));
}

pub async fn a_value_too_long_is_refused_and_not_quoted(bench: &Bench) {
    let token = bench.begin().await;
    let longest = "c".repeat(65_536);
    let error = bench.put(&token, &format!("{longest}c")).await.unwrap_err();
    assert_eq!(error.code, StoreErrorCode::InvalidParameter, "{error}");
    assert!(!error.message.contains("cccc"), "{error}");
    bench.put(&token, &longest).await.unwrap();
    assert_eq!(bench.get(Select::Version(&token)).await.unwrap().1, longest);
}

pub async fn failures_of_the_service_keep_their_code(bench: &Bench) {
    for code in [
        StoreErrorCode::Throttled,
        StoreErrorCode::AccessDenied,
        StoreErrorCode::DecryptionFailure,
        StoreErrorCode::EncryptionFailure,
        StoreErrorCode::LimitExceeded,
        StoreErrorCode::Internal,
    ] {
        bench.memory().set_faults(move |_, _| Fault::Fail(StoreError::new(code, "planted words")));
        let failed = bench.tested.describe_secret(&bench.secret).await.unwrap_err();
        assert_eq!(failed.code, code, "{failed}");
        assert!(failed.message.contains("planted words"), "{failed}");
        bench.memory().clear_faults();
    }
}
