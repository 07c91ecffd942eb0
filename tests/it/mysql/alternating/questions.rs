//! What is found out beforehand: preflight and plan.

use fourstep::Question;

use super::Shop;
use crate::support::mysql::servers;

#[tokio::test]
async fn preflight_finds_nothing_wrong_with_a_good_pair_and_names_what_the_admin_lacks() {
    for server in servers() {
        let shop = Shop::open(&server, &[]).await;
        let answer = shop.stage.ask(Question::Preflight).await.to_string();
        assert!(!answer.contains("lacks"), "{answer}");
        shop.rotate().await;
        let answer = shop.stage.ask(Question::Preflight).await.to_string();
        assert!(!answer.contains("lacks"), "{answer}");
        shop.arrange("REVOKE SELECT ON mysql.* FROM $admin;").await;
        let answer = shop.stage.ask(Question::Preflight).await.to_string();
        assert!(answer.contains("GRANT SELECT ON mysql.*"), "{answer}");
    }
}

#[tokio::test]
async fn the_plan_holds_the_statements_and_running_it_is_what_setsecret_does() {
    for server in servers() {
        let shop = Shop::open(&server, &[]).await;
        let answer = shop.stage.ask(Question::Plan).await.to_string();
        for part in ["CREATE USER", "ACCOUNT LOCK", "GRANT", "PROXY", "close it", "10.%"] {
            assert!(answer.contains(part), "{part}: {answer}");
        }
        shop.rotate().await;
        shop.rotate().await;
        let answer = shop.stage.ask(Question::Plan).await.to_string();
        assert!(!answer.contains("GRANT"), "nothing is left to do: {answer}");
    }
}
