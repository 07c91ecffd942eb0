//! What comes between the steps, and how rights are compared.

use std::time::Duration;

use fourstep::store::{AWSCURRENT, AWSPENDING};
use fourstep::{ErrorKind, Step};
use serde_json::json;

use super::Shop;
use crate::support::mysql::servers;

#[tokio::test]
async fn beyond_01_a_user_that_was_left_half_made_is_finished_and_never_promoted_before() {
    for server in servers() {
        let shop = Shop::open(&server, &[]).await;
        if server.is_mysql() {
            // With a history, a password that was set and locked away is not set again.
            shop.arrange("ALTER USER $app PASSWORD HISTORY DEFAULT;").await;
        }
        let token = shop.stage.play(&[Step::Create, Step::Set]).await;
        // As if the run had died on its way: some rights, not all; and as the template leaves it,
        // let in all the same.
        let taken = match server.is_mysql() {
            true => "ALTER USER $clone DEFAULT ROLE NONE;",
            false => "REVOKE ALL PRIVILEGES, GRANT OPTION FROM $clone;",
        };
        shop.arrange(taken).await;
        let error = shop.stage.step(Step::Test, &token).await;
        assert_eq!(error.result.as_ref().unwrap_err().kind(), ErrorKind::Conflict);
        let missing = if server.is_mysql() { "DEFAULT ROLE" } else { "GRANT " };
        assert!(error.error().contains(missing), "{}", error.error());
        shop.arrange("ALTER USER $clone ACCOUNT LOCK; DROP USER $clonefar;").await;
        for step in Step::ALL {
            shop.stage.step(step, &token).await.why();
        }
        shop.assert_alike().await;
        assert!(shop.logs_in(&shop.stage.document(AWSCURRENT)).await);
    }
}

#[tokio::test]
async fn beyond_03_the_owner_s_question_is_asked_as_the_user_that_is_next() {
    for server in servers() {
        let probe = "SELECT count(*) FROM app.probed";
        let shop = Shop::bare(&server, "app", &[("PROBE_QUERY", probe)]).await;
        let token = shop.stage.play(&[Step::Create, Step::Set]).await;
        let error = shop.stage.step(Step::Test, &token).await.error();
        assert!(error.contains("PROBE_QUERY as user") && error.contains("1142"), "{error}");
        shop.arrange("CREATE TABLE IF NOT EXISTS app.probed (id int);").await;
        shop.arrange("GRANT SELECT ON app.probed TO $app;").await;
        if !server.is_mysql() {
            shop.arrange("GRANT SELECT ON app.probed TO $clone;").await;
        }
        shop.stage.step(Step::Test, &token).await.why();
    }
}

/// One server is enough for what the framework does.
#[tokio::test]
async fn a_question_that_takes_too_long_is_given_up_at_its_own_limit() {
    for server in servers().into_iter().take(1) {
        let shop = Shop::bare(&server, "app", &[("PROBE_QUERY", "SELECT SLEEP(25)")]).await;
        let token = shop.stage.play(&[Step::Create, Step::Set]).await;
        let error = shop.stage.step(Step::Test, &token).await.error();
        assert!(error.contains("no answer in 10.0 s, its limit; make it cheaper"), "{error}");
    }
}

#[tokio::test]
async fn an_open_session_of_the_user_at_rest_is_reported_or_refused() {
    for server in servers() {
        let mut shop = Shop::bare(&server, "app", &[]).await;
        let sleeper = shop.rotate().await;
        shop.rotate().await;
        let sleep = server.clone();
        let text = |field: &str| sleeper[field].as_str().unwrap().to_owned();
        let (user, password) = (text("username"), text("password"));
        let sleeper = user.clone();
        let sleeping =
            tokio::spawn(async move { sleep.hold(&user, &password, "SELECT SLEEP(90)").await });
        server.wait_for_session(&sleeper, "info LIKE '%SLEEP%'").await;
        let token = shop.stage.play(&[Step::Create]).await;
        let set = shop.stage.step(Step::Set, &token).await;
        set.why();
        let warned = set.stats.warnings.iter().any(|one| one.contains("has open sessions"));
        assert!(warned, "{:?}", set.stats.warnings);
        shop.configure(&[("REFUSE_OPEN_SESSIONS", "true")]);
        let refused = shop.stage.step(Step::Set, &token).await;
        assert_eq!(refused.result.as_ref().unwrap_err().kind(), ErrorKind::Conflict);
        server.end_sessions(&sleeper).await;
        sleeping.abort();
        // The server notices a moment later.
        let open =
            format!("SELECT COUNT(*) FROM information_schema.processlist WHERE user = '{sleeper}'");
        while server.arrange(&open).await.trim() != "0" {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        shop.stage.step(Step::Set, &token).await.why();
    }
}

#[tokio::test]
async fn an_account_without_a_counterpart_is_named_and_left_alone() {
    for server in servers() {
        let shop = Shop::bare(&server, "app", &[]).await;
        shop.rotate().await;
        if server.is_mysql() {
            // What the first has, the second gets; and the other way round it may be anybody's.
            shop.arrange("CREATE USER $far IDENTIFIED BY 'far-away-1!';").await;
            shop.rotate().await;
            shop.rotate().await;
            shop.assert_alike().await;
            shop.arrange("DROP USER $far;").await;
            let error = shop.refusal().await;
            assert!(error.contains("has no counterpart") && error.contains("10.%"), "{error}");
            shop.arrange("DROP USER $clonefar;").await;
        } else {
            shop.arrange("CREATE USER $far IDENTIFIED BY 'far-away-1!';").await;
            let error = shop.refusal().await;
            assert!(error.contains("has no counterpart") && error.contains("10.%"), "{error}");
            shop.arrange("DROP USER $far;").await;
        }
        shop.rotate().await;
    }
}

#[tokio::test]
async fn rights_on_what_was_dropped_are_nobody_s_and_stop_nothing() {
    for server in servers() {
        let shop = Shop::open(&server, &[]).await;
        shop.arrange("ALTER TABLE $orders DROP COLUMN `note TO x`; DROP TABLE $audit;").await;
        let token = shop.stage.play(&[Step::Create]).await;
        let set = shop.stage.step(Step::Set, &token).await;
        set.why();
        let warned = set.stats.warnings.iter().any(|one| one.contains("audit"));
        assert_eq!(warned, !server.is_mysql(), "{:?}", set.stats.warnings);
        shop.stage.step(Step::Test, &token).await.why();
        shop.stage.step(Step::Finish, &token).await.why();
    }
}

#[tokio::test]
async fn rule_12_no_password_reaches_the_server_s_logs() {
    for server in servers() {
        let logs_from_now = server.logs_from_now();
        let shop = Shop::open(&server, &[]).await;
        let mut seen = vec![shop.admin.password.clone()];
        for _ in 0..2 {
            shop.rotate().await;
            seen.push(shop.stage.password(AWSCURRENT));
        }
        let logs = logs_from_now.read();
        assert!(logs.contains(&shop.clone_name()), "the log holds the statements");
        assert!(seen.iter().all(|password| !logs.contains(password)));
    }
}

#[tokio::test]
async fn a_version_that_current_lost_is_set_again_and_the_pair_goes_on() {
    for server in servers() {
        let shop = Shop::bare(&server, "app", &[]).await;
        let before = shop.rotate().await;
        // A fail-over lost the change of the password.
        shop.arrange("ALTER USER $clone IDENTIFIED BY 'lost-1!';").await;
        let token = shop.stage.play(&[Step::Create]).await;
        let set = shop.stage.step(Step::Set, &token).await;
        set.why();
        assert!(shop.logs_in(&before).await, "AWSCURRENT works again");
        assert_eq!(shop.stage.document(AWSPENDING)["username"], json!(shop.app.name));
        for step in [Step::Test, Step::Finish] {
            shop.stage.step(step, &token).await.why();
        }
        // And one that lost the user.
        shop.stage.end(&token);
        shop.arrange("DROP USER $app;").await;
        let token = shop.stage.play(&[Step::Create]).await;
        shop.stage.step(Step::Set, &token).await.why();
        assert!(shop.logs_in(&shop.stage.document(AWSCURRENT)).await);
        assert!(shop.logs_in(&shop.stage.document(AWSPENDING)).await);
    }
}

/// As where a migration tool logs in as the application: what one half made, the other goes on with.
#[tokio::test]
async fn either_of_the_two_works_with_what_the_other_made() {
    for server in servers() {
        let shop = Shop::bare(&server, "app", &[]).await;
        shop.arrange("GRANT ALL PRIVILEGES ON $schema.* TO $app").await;
        for round in 0..4 {
            let document = shop.rotate().await;
            let mut sql = format!(
                "CREATE TABLE $schema.made_{round} (a int);
                 CREATE VIEW $schema.seen_{round} AS SELECT a FROM $schema.made_{round};
                 CREATE FUNCTION $schema.f_{round}() RETURNS int READS SQL DATA
                 RETURN (SELECT COUNT(*) FROM $schema.made_{round});"
            );
            for earlier in 0..round {
                sql += &format!(
                    "ALTER TABLE $schema.made_{earlier} ADD COLUMN b_{round} int;
                     INSERT INTO $schema.made_{earlier} (a) VALUES ({round});
                     SELECT $schema.f_{earlier}(), a FROM $schema.seen_{earlier};
                     CREATE OR REPLACE VIEW $schema.seen_{earlier} AS SELECT {round} AS a;
                     CREATE OR REPLACE VIEW $schema.seen_{earlier} AS
                     SELECT a FROM $schema.made_{earlier};"
                );
            }
            let text = |field: &str| document[field].as_str().unwrap();
            let done = server.run(text("username"), text("password"), &shop.fill(&sql)).await;
            assert!(done.is_ok(), "round {round}: {done:?}");
        }
    }
}
