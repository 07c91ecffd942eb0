//! An admin sets the user's password.

use fourstep::store::AWSCURRENT;
use fourstep::{ErrorKind, Question, Step};
use fourstep_local::NewSecret;
use serde_json::json;

use super::with;
use crate::support::mongodb::{SET, Server, User, mongodb, secantus, servers};
use crate::support::stage::Stage;

const BY_ADMIN: (&str, &str) = ("ROTATION_STRATEGY", "single-user-by-admin");

fn stage(server: &Server, user: &User, admin: &User) -> Stage {
    let document = with(&server.document(user), "masterarn", "admin");
    with_admin(server, server.stage(&document, &[BY_ADMIN]), admin)
}

/// This stage with the secret of an admin.
pub fn with_admin(server: &Server, stage: Stage, admin: &User) -> Stage {
    let value = Some(server.document(admin).to_string().as_str().into());
    stage.store.create("admin", NewSecret { value, ..NewSecret::default() }).unwrap();
    stage
}

#[tokio::test]
async fn an_admin_without_root_sets_the_password_of_an_ordinary_user() {
    let _undisturbed = SET.read().await;
    for server in servers() {
        let (user, admin) = (
            server.user_with("app", "admin", json!(["readAnyDatabase"])).await,
            server.admin().await,
        );
        let stage = stage(&server, &user, &admin);
        let before = server.info("admin", &user.name).await;
        stage.play(&Step::ALL).await;
        assert!(server.logs_in(&user.name, &stage.password(AWSCURRENT)).await);
        assert!(!server.logs_in(&user.name, &user.password).await);
        assert_eq!(server.info("admin", &user.name).await, before);
    }
}

/// The user is in another database than its admin.
#[tokio::test]
async fn a_user_of_another_database_is_found_there() {
    let Some(server) = mongodb() else { return };
    let (user, admin) = (server.user_with("app", "shop", json!([])).await, server.admin().await);
    let document = with(&server.document(&user), "dbname", "shop");
    let stage = stage(&server, &user, &admin);
    stage.put_current(&with(&document, "masterarn", "admin"));
    stage.play(&Step::ALL).await;
    assert!(server.logs_in_at("shop", &user.name, &stage.password(AWSCURRENT)).await);
}

#[tokio::test]
async fn an_independent_server_of_today_s_protocol_does_the_same() {
    let Some(server) = secantus() else { return };
    let (user, admin) =
        (server.user("app").await, server.user_with("admin", "admin", json!(["root"])).await);
    let stage = stage(&server, &user, &admin);
    stage.play(&Step::ALL).await;
    assert!(server.logs_in(&user.name, &stage.password(AWSCURRENT)).await);
}

#[tokio::test]
async fn rule_08_who_may_change_others_is_never_changed() {
    let _undisturbed = SET.read().await;
    for server in servers() {
        let admin = server.admin().await;
        for roles in [
            json!(["root"]),
            json!(["userAdminAnyDatabase"]),
            json!([{"role": "dbOwner", "db": "shop"}]),
            json!(["restore"]),
        ] {
            let user = server.user_with("powerful", "admin", roles.clone()).await;
            let stage = stage(&server, &user, &admin);
            let kept = server.kept(&user.name).await;
            let token = stage.play(&[Step::Create]).await;
            let error = stage.step(Step::Set, &token).await.result.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{roles}: {error}");
            assert!(error.to_string().contains("never changed"), "{error}");
            assert_eq!(server.kept(&user.name).await, kept);
        }
    }
}

#[tokio::test]
async fn an_admin_that_lacks_the_right_is_told_what_to_run() {
    let Some(server) = mongodb() else { return };
    let (user, admin) = (
        server.user("app").await,
        server.user_with("weak", "admin", json!(["readAnyDatabase"])).await,
    );
    let stage = stage(&server, &user, &admin);
    let token = stage.play(&[Step::Create]).await;
    let error = stage.step(Step::Set, &token).await.result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden, "{error}");
    let advice = "grantRolesToUser";
    assert!(error.to_string().contains(advice), "{error}");
    assert!(stage.ask(Question::Preflight).await.to_string().contains(advice));
    let roles = json!([{"role": "userAdmin", "db": "admin"}]);
    server.arrange(json!({"grantRolesToUser": admin.name, "roles": roles})).await;
    stage.step(Step::Set, &token).await.why();
}

#[tokio::test]
async fn without_proof_no_account_is_reset() {
    let Some(server) = mongodb() else { return };
    let (user, admin) = (server.user("app").await, server.admin().await);
    let wrong = User { name: user.name.clone(), password: "canary-wrong".to_owned() };
    let stage = stage(&server, &wrong, &admin);
    let kept = server.kept(&user.name).await;
    let token = stage.play(&[Step::Create]).await;
    let error = stage.step(Step::Set, &token).await.result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected);
    assert_eq!(server.kept(&user.name).await, kept);
}
