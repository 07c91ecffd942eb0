//! What a server does to every session, by its defaults or by `init_connect`, makes no difference.

use fourstep::store::AWSCURRENT;
use fourstep::{ErrorKind, Question, Step};
use serde_json::json;

use super::CREATE_AND_SET;
use super::alternating::Shop;
use crate::support::mysql::{Server, User, counting, servers};

/// As a server is set up for all: here for the users whose names begin so, because others are at work.
const INIT_CONNECT: &str = "
    SET SESSION autocommit = IF(USER() LIKE 'nocommit%', 0, 1);
    SET SESSION @read_only = IF(USER() LIKE 'readonly%', 1, 0);
    SET SESSION character_set_client = IF(USER() LIKE 'latin%', 'latin1', 'utf8mb4');
    SET SESSION character_set_results = IF(USER() LIKE 'latin%', 'latin1', 'utf8mb4');
    SET SESSION collation_connection = IF(USER() LIKE 'latin%', 'latin1_swedish_ci', 'utf8mb4_bin');
    SET SESSION time_zone = IF(USER() LIKE 'latin%', '+05:00', 'SYSTEM');
    SET SESSION net_retry_count = IF(USER() LIKE 'thrownout%', (SELECT 1 UNION SELECT 2), 10)";

/// Sets the server up so: the same again changes nothing. Whoever sets it up otherwise waits while
/// `counting` is held.
pub async fn arrange(server: &Server) {
    let read_only = if server.is_mysql() { "transaction_read_only" } else { "tx_read_only" };
    let all = INIT_CONNECT.replace("@read_only", read_only).replace('\'', "''");
    server.arrange(&format!("SET GLOBAL init_connect = '{all}'")).await;
}

/// A user whose sessions begin with what its name says.
async fn user(server: &Server, stem: &str) -> User {
    arrange(server).await;
    server.user(stem).await
}

#[tokio::test]
async fn the_defaults_of_a_server_make_no_difference_to_a_user_that_changes_itself() {
    let _undisturbed = counting().await;
    for server in servers() {
        for stem in ["latin größe", "readonly", "nocommit"] {
            let user = user(&server, stem).await;
            let stage = server.stage(&server.document(&user), &[]);
            let answer = stage.ask(Question::Preflight).await;
            assert_eq!(answer["ready"], json!(true), "{stem}: {answer}");
            stage.play(&Step::ALL).await;
            assert!(server.logs_in(&user.name, &stage.password(AWSCURRENT)).await, "{stem}");
        }
    }
}

#[tokio::test]
async fn the_defaults_of_a_server_make_no_difference_to_an_admin() {
    let _undisturbed = counting().await;
    for server in servers() {
        arrange(&server).await;
        for stem in ["latin größe", "readonly", "nocommit"] {
            for strategy in ["alternating-users", "single-user-by-admin"] {
                let variables = [("ROTATION_STRATEGY", strategy)];
                let shop = Shop::bare_with(&server, [stem, stem], &variables).await;
                shop.stage.play(&Step::ALL).await;
                let current = shop.stage.document(AWSCURRENT);
                let [name, password] =
                    ["username", "password"].map(|field| current[field].as_str().unwrap());
                assert!(server.logs_in(name, password).await, "{stem} {strategy}");
            }
        }
    }
}

#[tokio::test]
async fn a_session_that_the_server_ends_at_once_says_so() {
    let _undisturbed = counting().await;
    for server in servers() {
        let user = user(&server, "thrownout").await;
        let stage = server.stage(&server.document(&user), &[]);
        let token = stage.play(&[Step::Create]).await;
        let ended = stage.step(Step::Set, &token).await;
        let error = ended.error();
        assert_eq!(ended.result.unwrap_err().kind(), ErrorKind::Forbidden, "{error}");
        assert!(error.contains("init_connect"), "{error}");
    }
}

/// Ends the time of a user's password.
async fn expire(server: &Server, user: &str) {
    server.arrange(&format!("ALTER USER '{user}'@'127.%' PASSWORD EXPIRE")).await;
}

#[tokio::test]
async fn a_password_that_has_expired_is_changed_by_its_user() {
    for server in servers() {
        let user = server.user("expired").await;
        let stage = server.stage(&server.document(&user), &[]);
        expire(&server, &user.name).await;
        stage.play(&Step::ALL).await;
        assert!(server.logs_in(&user.name, &stage.password(AWSCURRENT)).await);
        assert!(!server.logs_in(&user.name, &user.password).await);
        // What has expired since is no password to be promoted.
        let token = stage.play(&CREATE_AND_SET).await;
        expire(&server, &user.name).await;
        let ended = stage.step(Step::Test, &token).await;
        let error = ended.error();
        assert_eq!(ended.result.unwrap_err().kind(), ErrorKind::Forbidden, "{error}");
        assert!(error.contains("PASSWORD EXPIRE"), "{error}");
    }
}

#[tokio::test]
async fn a_password_that_has_expired_is_mended_by_an_admin() {
    for server in servers() {
        for strategy in ["single-user-by-admin", "alternating-users"] {
            let variables = [("ROTATION_STRATEGY", strategy)];
            let shop = Shop::bare_with(&server, ["expired", "admin"], &variables).await;
            expire(&server, &shop.app.name).await;
            let answer = shop.stage.ask(Question::Preflight).await;
            assert_eq!(answer["ready"], json!(true), "{answer}");
            shop.stage.play(&Step::ALL).await;
            let current = shop.stage.document(AWSCURRENT);
            let [name, password] =
                ["username", "password"].map(|field| current[field].as_str().unwrap());
            assert!(server.logs_in(name, password).await, "{strategy}");
        }
    }
}

#[tokio::test]
async fn an_admin_whose_own_password_has_expired_is_told_so() {
    for server in servers() {
        let shop = Shop::bare(&server, "app", &[]).await;
        expire(&server, &shop.admin.name).await;
        let error = shop.refusal().await;
        assert!(error.contains("PASSWORD EXPIRE") && error.contains("the admin"), "{error}");
    }
}
