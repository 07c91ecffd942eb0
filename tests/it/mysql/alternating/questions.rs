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
        let copied: &[&str] = match server.is_mysql() {
            true => &["DEFAULT ROLE"],
            false => &["GRANT", "PROXY", "close it"],
        };
        for part in
            ["CREATE USER", "ACCOUNT LOCK", "10.%", "then the password of"].iter().chain(copied)
        {
            assert!(answer.contains(part), "{part}: {answer}");
        }
        // A statement ends as one does, so that the plan can be run as it is.
        let plan = shop.stage.ask(Question::Plan).await["plan"].clone();
        let lines: Vec<_> =
            plan.as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
        assert!(
            lines.iter().all(|line| line.starts_with("-- ") || line.ends_with(';')),
            "{lines:#?}"
        );
        let password = "ALTER USER $clone IDENTIFIED BY 'by-hand-1!', $clonefar IDENTIFIED BY 'by-hand-1!' ACCOUNT UNLOCK";
        shop.arrange(&format!("{}\n{password};", lines.join("\n"))).await;
        shop.assert_alike().await;
        let answer = shop.stage.ask(Question::Plan).await.to_string();
        assert!(answer.contains("nothing to change"), "nothing is left to do: {answer}");
    }
}
