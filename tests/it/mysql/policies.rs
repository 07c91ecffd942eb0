//! Servers that do not take every password: what they refuse is named, and never stored again.

use fourstep::store::{AWSCURRENT, AWSPENDING};
use fourstep::{ErrorKind, Question, Step};
use serde_json::json;

use super::alternating::Shop;
use super::{CREATE_AND_SET, with};
use crate::support::mysql::{Server, server, servers};
use crate::support::stage::Stage;
use crate::support::twins;

/// A MariaDB whose plugins check every password: its length, its digits, and whether it is new.
fn strict() -> Option<Server> {
    server("mariadb", "MARIADB_STRICT")
}

const PLAINTEXT: (&str, &str) = ("MARIADB_PASSWORD_FORMAT", "plaintext");

/// Fails unless setSecret says by name what the server did not like, and has taken AWSPENDING off.
async fn assert_given_up(stage: &Stage, why: &str) {
    let token = stage.play(&[Step::Create]).await;
    let ended = stage.step(Step::Set, &token).await;
    let error = ended.error();
    assert_eq!(ended.result.unwrap_err().kind(), ErrorKind::Unsupported, "{error}");
    assert!(error.contains(why), "{error}");
    assert!(stage.try_text(AWSPENDING).is_none(), "{error}");
    stage.store.cancel_rotation(&stage.secret).unwrap();
}

#[tokio::test]
async fn what_a_plugin_of_mariadbs_refuses_of_an_admin_is_named() {
    let Some(server) = strict() else { return };
    for strategy in ["single-user-by-admin", "alternating-users"] {
        let variables = [("ROTATION_STRATEGY", strategy), PLAINTEXT, ("PASSWORD_LENGTH", "6")];
        let mut shop = Shop::bare(&server, "app", &variables).await;
        // The second user is there, or there would be nothing to go back to.
        shop.configure(&[variables[0], PLAINTEXT]);
        shop.rotate().await;
        shop.configure(&variables);
        assert_given_up(&shop.stage, "password policy").await;
        shop.configure(&[variables[0], PLAINTEXT]);
        shop.rotate().await;
        shop.configure(&[variables[0]]);
        let token = shop.stage.play(&[Step::Create]).await;
        let error = shop.stage.step(Step::Set, &token).await.error();
        assert!(error.contains("set MARIADB_PASSWORD_FORMAT to plaintext"), "{error}");
    }
}

#[tokio::test]
async fn a_second_setsecret_succeeds_where_no_password_may_be_used_again() {
    let Some(server) = strict() else { return };
    for strategy in ["single-user", "single-user-by-admin", "alternating-users"] {
        let shop = Shop::bare(&server, "app", &[("ROTATION_STRATEGY", strategy), PLAINTEXT]).await;
        for _ in 0..2 {
            let token = shop.stage.play(&CREATE_AND_SET).await;
            for step in [Step::Set, Step::Test, Step::Finish] {
                shop.stage.step(step, &token).await.why();
            }
            shop.stage.end(&token);
        }
    }
}

#[tokio::test]
async fn a_server_that_blocks_users_early_is_named_by_a_preflight() {
    let Some(server) = strict() else { return };
    let user = server.user("blocked").await;
    let stage = server.stage(&server.document(&user), &[PLAINTEXT]);
    assert!(!stage.ask(Question::Preflight).await.to_string().contains("max_password_errors"));
    server.arrange("SET GLOBAL max_password_errors = 5").await;
    let answer = stage.ask(Question::Preflight).await;
    server.arrange("SET GLOBAL max_password_errors = 4294967295").await;
    assert!(answer.to_string().contains("max_password_errors is 5"), "{answer}");
}

#[tokio::test]
async fn a_password_too_like_the_last_one_is_given_up_and_another_is_drawn() {
    let Some(server) = server("mysql", "MYSQL_TWIN") else { return };
    let _turn = twins().await;
    server
        .arrange(
            "INSTALL COMPONENT 'file://component_validate_password';
             SET GLOBAL validate_password.policy = LOW;
             SET GLOBAL validate_password.changed_characters_percentage = 100",
        )
        .await;
    let user = server.user("alike").await;
    let stage = server.stage(&server.document(&user), &[]);
    let token = stage.begin();
    let alike = with(&stage.document(AWSCURRENT), "password", format!("{}x", user.password));
    stage.put_pending(&token, &alike);
    let ended = stage.step(Step::Set, &token).await;
    // Nobody compares what an admin sets with what was there.
    let shop = Shop::bare(&server, "alike", &[("ROTATION_STRATEGY", "single-user-by-admin")]).await;
    let token = shop.stage.begin();
    let alike =
        with(&shop.stage.document(AWSCURRENT), "password", format!("{}x", shop.app.password));
    shop.stage.put_pending(&token, &alike);
    let by_admin = shop.stage.step(Step::Set, &token).await;
    server.arrange("UNINSTALL COMPONENT 'file://component_validate_password'").await;
    let error = ended.error();
    assert!(error.contains("changed_characters_percentage"), "{error}");
    assert!(stage.try_text(AWSPENDING).is_none(), "{error}");
    assert!(server.logs_in(&user.name, &user.password).await);
    by_admin.why();
    assert!(shop.logs_in(&alike).await);
}

#[tokio::test]
async fn no_password_is_drawn_or_sent_that_is_longer_than_mysql_takes() {
    for server in servers().into_iter().filter(Server::is_mysql) {
        let user = server.user("long").await;
        let refused = rotate_mysql::strategies(&[("PASSWORD_LENGTH", "257")].into_iter().collect());
        let error = refused.unwrap_err().to_string();
        assert!(error.contains("PASSWORD_LENGTH") && error.contains("256"), "{error}");
        let stage = server.stage(&server.document(&user), &[("PASSWORD_LENGTH", "256")]);
        stage.play(&Step::ALL).await;
        stage.set_tag("fourstep:password-length", "257");
        let answer = stage.ask(Question::Preflight).await;
        assert_eq!(answer["ready"], json!(false), "{answer}");
        let token = stage.begin();
        let ended = stage.step(Step::Create, &token).await;
        let error = ended.error();
        assert!(error.contains("tags fourstep:") && error.contains("256"), "{error}");
        assert!(stage.try_text(AWSPENDING).is_none());
        stage.set_tag("fourstep:password-length", "32");
        // One that somebody stored.
        let long = with(&stage.document(AWSCURRENT), "password", "x".repeat(257));
        stage.put_pending(&token, &long);
        let ended = stage.step(Step::Set, &token).await;
        let error = ended.error();
        assert!(error.contains("257 bytes"), "{error}");
        assert!(stage.try_text(AWSPENDING).is_none(), "{error}");
    }
}
