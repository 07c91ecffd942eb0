//! What is found out beforehand: preflight and plan.

use fourstep::Question;
use fourstep::store::AWSCURRENT;

use super::Shop;
use crate::support::mysql::{mysqls, servers};

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

/// With the first user goes what both may do, and the pair would turn round in silence.
#[tokio::test]
async fn a_first_user_that_was_dropped_is_said_before_the_pair_turns_round() {
    for server in mysqls() {
        for by_hand in [false, true] {
            let mut shop = Shop::bare(&server, "app", &[]).await;
            shop.arrange("GRANT SELECT ON $orders TO $app").await;
            shop.rotate().await;
            shop.arrange("DROP USER $app").await;
            let said = shop.stage.ask(Question::Preflight).await.to_string();
            assert!(said.contains("is the first of the two from now on"), "{said}");
            if by_hand {
                let again =
                    "CREATE USER $app IDENTIFIED BY 'again-1!'; GRANT SELECT ON $orders TO $app";
                shop.arrange(again).await;
                let user = shop.app.name.clone();
                shop.configure(&[("ADOPT_USERS", &user)]);
            }
            for round in 0..3 {
                let said = shop.stage.ask(Question::Preflight).await.to_string();
                assert_eq!(said.contains("is gone"), round == 0 && !by_hand, "{said}");
                shop.rotate().await;
            }
            let edge = format!(
                "SELECT FROM_USER FROM mysql.role_edges WHERE TO_USER LIKE '{}%'",
                shop.app.name
            );
            let first = if by_hand { shop.app.name.clone() } else { shop.clone_name() };
            assert_eq!(server.arrange(&edge).await.trim(), first);
        }
    }
}

/// A role that sessions of the first choose is in force in those of the second, which may not choose.
#[tokio::test]
async fn roles_that_sessions_choose_are_said_to_be_in_force_all_the_time() {
    for server in mysqls() {
        let shop = Shop::bare(&server, "app", &[]).await;
        shop.arrange("GRANT $reader TO $app; GRANT SELECT ON $orders TO $reader").await;
        let said = || async { shop.stage.ask(Question::Preflight).await.to_string() };
        assert!(said().await.contains("refused where they say SET ROLE"), "{}", said().await);
        for second in [false, true] {
            let document = shop.stage.document(AWSCURRENT);
            let text = |field: &str| document[field].as_str().unwrap();
            let run = async |sql: &str| {
                server.run(text("username"), text("password"), &shop.fill(sql)).await
            };
            assert_eq!(run("SELECT * FROM $orders").await.is_ok(), second);
            assert_eq!(run("SET ROLE $reader").await.is_err(), second);
            run("SET ROLE ALL; SELECT * FROM $orders").await.unwrap();
            shop.rotate().await;
        }
        shop.arrange("SET DEFAULT ROLE $reader TO $app").await;
        assert!(!said().await.contains("SET ROLE"), "{}", said().await);
    }
}

/// Each half of a pair is another user: what is kept or filtered by the user's name changes with them.
#[tokio::test]
async fn what_asks_who_is_logged_in_is_named_by_a_preflight() {
    for server in servers() {
        let shop = Shop::open(&server, &[]).await;
        let alien = format!("alien{}", shop.unique);
        shop.arrange(
            "CREATE VIEW $schema.mine AS SELECT * FROM $audit WHERE who = SESSION_USER();
             CREATE FUNCTION $schema.who() RETURNS text DETERMINISTIC RETURN CURRENT_USER;
             CREATE PROCEDURE $schema.calm() SELECT 1 AS `user`;
             CREATE TRIGGER $schema.stamp BEFORE INSERT ON $audit FOR EACH ROW SET @by = USER();
             CREATE TABLE $old.late (a int, why varchar(20) DEFAULT 'user ()');
             CREATE VIEW $old.mine AS SELECT 1 AS a WHERE CURRENT_USER() = 'x';
             CREATE DATABASE $alien; CREATE VIEW $alien.mine AS SELECT USER() AS who;"
                .replace("$alien", &alien)
                .as_str(),
        )
        .await;
        let mut named = vec!["view Sa`les", ".mine", "function Sa`les", ".who", "trigger Sa`les"];
        let found = shop.fill("view $old.mine").replace('`', "");
        named.push(&found);
        // MySQL 8.0 takes no such default (error 3770).
        if server.arrange("SELECT VERSION()").await.starts_with('9') {
            let make = "CREATE TABLE $old.later (who text DEFAULT (CURRENT_USER()));";
            shop.arrange(make).await;
            named.push(".later.who");
        }
        // What a MySQL keeps of routines it shows to whoever may read everything.
        shop.arrange("GRANT SELECT, SHOW VIEW, TRIGGER ON *.* TO $admin;").await;
        // Whichever of the two is next.
        for _ in 0..2 {
            let answer = shop.stage.ask(Question::Preflight).await.to_string();
            for named in ["sees two names"].iter().chain(&named) {
                assert!(answer.contains(named), "{named}: {answer}");
            }
            for other in [".calm", "why", "alien"] {
                assert!(!answer.contains(other), "{other}: {answer}");
            }
            shop.rotate().await;
        }
    }
}
