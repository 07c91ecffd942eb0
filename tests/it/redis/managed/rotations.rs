//! What works when, over rotations; and moto, which others wrote.

use aws_sdk_memorydb::types::{AuthenticationMode, InputAuthenticationType};
use fourstep::store::aws::client_settings;
use fourstep::store::{AWSCURRENT, AWSPENDING};
use fourstep::{Environment, ErrorKind, ExposeSecret, Step};
use serde_json::json;

use super::double::Double;
use super::{arn_of, server};
use crate::support::skip;
use crate::support::stage::Stage;

#[tokio::test]
async fn a_client_that_is_a_whole_rotation_late_never_fails_and_a_quick_one_is_warned_of() {
    let Some(server) = server().await else { return };
    let double = Double::elasticache(&server).await;
    let stage = double.stage(&double.document(), &[]);
    let mut before = stage.password(AWSCURRENT);
    for rotation in 0..3 {
        let token = stage.begin();
        for step in Step::ALL {
            let ended = stage.step(step, &token).await;
            ended.why();
            assert_eq!(ended.stats.rejected_logins, 0);
            assert!(double.logs_in(&stage.password(AWSCURRENT)).await, "{step:?}");
            // It ends when the next change is made, and not before.
            if step == Step::Create {
                assert!(double.logs_in(&before).await);
                let quick = "AWSCURRENT is younger than an hour";
                let warned = ended.stats.warnings.iter().any(|one| one.contains(quick));
                assert_eq!(warned, rotation > 0, "{:?}", ended.stats.warnings);
            }
        }
        stage.end(&token);
        before = stage.password("AWSPREVIOUS");
        assert!(double.logs_in(&before).await);
    }
    let document = stage.document(AWSCURRENT);
    assert_eq!((&document["note"], &document["user_arn"]), (&json!("kept"), &json!(double.arn())));
    // Somebody puts a password of his own in the place of both: nothing is changed.
    let token = stage.play(&[Step::Create]).await;
    double.set(&["somebody's own password".to_owned()]).await;
    let ended = stage.step(Step::Set, &token).await;
    assert_eq!(ended.result.as_ref().unwrap_err().kind(), ErrorKind::Rejected);
    assert!(double.logs_in("somebody's own password").await);
    // One of the recorded works again: both are set.
    double.set(&[before]).await;
    stage.step(Step::Set, &token).await.why();
    for label in [AWSCURRENT, AWSPENDING] {
        assert!(double.logs_in(&stage.password(label)).await);
    }
}

/// moto keeps no passwords and is done at once; but it checks the form of both calls.
#[tokio::test]
async fn moto_takes_the_calls_to_memorydb() {
    let Ok(moto) = std::env::var("FOURSTEP_TEST_MOTO") else { return skip("FOURSTEP_TEST_MOTO") };
    let environment = Environment::from([("AWS_ENDPOINT_URL_MEMORYDB", moto.as_str())]);
    let settings = client_settings(&environment, &["AWS_ENDPOINT_URL_MEMORYDB"]).await.unwrap();
    let client = aws_sdk_memorydb::Client::new(&settings);
    let name = format!("app-{}", uuid::Uuid::new_v4());
    let first = fourstep::PasswordPolicy::default().generate().unwrap();
    let mode = AuthenticationMode::builder()
        .r#type(InputAuthenticationType::Password)
        .passwords(first.expose_secret())
        .build();
    let made = client.create_user().user_name(&name).authentication_mode(mode);
    let made = made.access_string("on ~* +@all").send().await.unwrap();
    let document = json!({
        "user_arn": made.user().unwrap().arn().unwrap(), "username": name,
        "password": first.expose_secret(),
    });
    let mut stage = Stage::of(rotate_redis::strategies, &document.to_string(), environment);
    let listed = format!("{}={}", arn_of(&stage), document["user_arn"].as_str().unwrap());
    let variables =
        [("AWS_ENDPOINT_URL_MEMORYDB", moto.as_str()), ("MANAGED_USERS", listed.as_str())];
    stage.rotator = rotate_redis::strategies(&Environment::from(variables)).unwrap();
    stage.play(&Step::ALL).await;
    let found = client.describe_users().user_name(&name).send().await.unwrap();
    assert_eq!(found.users()[0].authentication().unwrap().password_count(), Some(2));
}
