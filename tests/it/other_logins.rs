//! Users that log in by something else than their password, as members of `rds_iam` and `rds_ad` do, on real
//! PostgreSQL 15 and 18 that the function knows as RDS's: createSecret refuses them, and nothing is stored.
//! Those of MySQL and MariaDB are in `mysql/other_logins.rs`.

use fourstep::store::{AWSCURRENT, AWSPENDING};
use fourstep::{ErrorKind, Question, Step};

use crate::alternating::Shop;
use crate::support::postgres::{Server, both_versions, server};

const STRATEGIES: [&str; 3] = ["single-user", "single-user-by-admin", "alternating-users"];

/// Has the function follow this strategy, and know the server by a name at RDS.
fn follow(shop: &mut Shop, server: &Server, strategy: &str) {
    let alias =
        format!("{}:{}=db.abcdefghijkl.us-east-1.rds.amazonaws.com:5432", server.host, server.port);
    let all = [("ROTATION_STRATEGY", strategy), ("SAME_DATABASE_HOSTS", alias.as_str())];
    shop.stage.rotator = rotate_postgres::strategies(&all.into_iter().collect()).unwrap();
}

#[tokio::test]
async fn a_member_of_a_role_that_logs_in_otherwise_is_refused_before_anything_is_stored() {
    for server in both_versions() {
        let mut shop = Shop::bare(&server, "app", &[]).await;
        for role in ["rds_iam", "rds_ad"] {
            server
                .arrange(&format!("DO $$ BEGIN CREATE ROLE {role}; EXCEPTION WHEN duplicate_object OR unique_violation THEN END $$"))
                .await;
            for strategy in STRATEGIES {
                follow(&mut shop, &server, strategy);
                // By another role: whoever is a member of that is one.
                let user = shop.stage.document(AWSCURRENT)["username"].as_str().unwrap().to_owned();
                shop.arrange(&format!("GRANT {role} TO $readers; GRANT $readers TO \"{user}\""))
                    .await;
                let answer = shop.stage.ask(Question::Preflight).await;
                assert_eq!(answer["ready"], false, "{answer}");
                let token = shop.stage.begin();
                let ended = shop.stage.step(Step::Create, &token).await;
                assert_eq!(ended.result.as_ref().unwrap_err().kind(), ErrorKind::Unsupported);
                for words in [
                    "is not what it logs in with",
                    role,
                    "take it out of that role, or stop rotating",
                ] {
                    assert!(ended.error().contains(words), "{strategy}: {}", ended.error());
                    assert!(answer["findings"].to_string().contains(words), "{strategy}: {answer}");
                }
                assert_eq!(
                    shop.stage.try_text(AWSPENDING),
                    None,
                    "{strategy}: nothing may be stored"
                );
                shop.arrange(&format!(
                    "REVOKE {role} FROM $readers; REVOKE $readers FROM \"{user}\""
                ))
                .await;
                for step in Step::ALL {
                    shop.stage.step(step, &token).await.why();
                }
                shop.stage.end(&token);
                assert!(shop.logs_in(&shop.stage.document(AWSCURRENT)).await, "{strategy}");
            }
        }
        shop.close().await;
    }
}

/// As where the server lets the user in by IAM only, and refuses the password before it is asked for.
#[tokio::test]
async fn a_login_that_is_refused_otherwise_than_for_its_password_ends_create_secret() {
    let Some(server) = server() else { return };
    let mut shop = Shop::bare(&server, "app", &[]).await;
    follow(&mut shop, &server, "single-user");
    let token = shop.stage.begin();
    shop.arrange("GRANT hba_reject TO $app").await;
    let ended = shop.stage.step(Step::Create, &token).await;
    assert_eq!(ended.result.as_ref().unwrap_err().kind(), ErrorKind::Forbidden);
    assert_eq!(shop.stage.try_text(AWSPENDING), None);
    shop.arrange("REVOKE hba_reject FROM $app").await;
    // One login for the question, and two as everywhere.
    let mut connections = 0;
    for step in Step::ALL {
        let ended = shop.stage.step(step, &token).await;
        ended.why();
        connections += ended.stats.connections;
    }
    assert_eq!(connections, 3);
    shop.stage.end(&token);
    // A wrong password is left to setSecret, which knows of others.
    let mut document = shop.stage.document(AWSCURRENT);
    document["password"] = "canary-wrong".into();
    shop.stage.put_current(&document);
    shop.stage.play(&[Step::Create]).await;
    shop.close().await;
}

/// Elsewhere nothing is asked in createSecret; what such a member's password is worth is asked in setSecret.
#[tokio::test]
async fn where_the_server_is_not_known_as_rdss_set_secret_refuses() {
    let Some(server) = server() else { return };
    let mut shop = Shop::bare(&server, "app", &[]).await;
    let settings = [("ROTATION_STRATEGY", "single-user")];
    shop.stage.rotator = rotate_postgres::strategies(&settings.into_iter().collect()).unwrap();
    server
        .arrange("DO $$ BEGIN CREATE ROLE rds_iam; EXCEPTION WHEN duplicate_object OR unique_violation THEN END $$")
        .await;
    shop.arrange("GRANT rds_iam TO $app").await;
    let token = shop.stage.begin();
    let ended = shop.stage.step(Step::Create, &token).await;
    ended.why();
    assert_eq!(ended.stats.connections, 0);
    let kept = server.verifier(&shop.app).await;
    let ended = shop.stage.step(Step::Set, &token).await;
    assert_eq!(ended.result.as_ref().unwrap_err().kind(), ErrorKind::Unsupported);
    assert!(ended.error().contains("nothing was changed"), "{}", ended.error());
    assert_eq!(server.verifier(&shop.app).await, kept);
    shop.arrange("REVOKE rds_iam FROM $app").await;
    for step in [Step::Set, Step::Test, Step::Finish] {
        shop.stage.step(step, &token).await.why();
    }
    shop.close().await;
}
