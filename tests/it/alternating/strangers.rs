//! Accounts that are not the secret's: refused before anything is changed, with a way out that works.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use fourstep::store::{AWSCURRENT, AWSPENDING};
use fourstep::{ErrorKind, Step};
use fourstep_local::Fault;
use serde_json::json;
use sqlx::Row;

use super::rights::{assert_one, rotate_and_compare};
use super::rotations::exists;
use super::{ADMIN_ONLY, Shop};
use crate::support::postgres::{Server, User, both_versions};

async fn comment(server: &Server, role: &str) -> String {
    let mut connection = server.superuser().await;
    let sql =
        "SELECT COALESCE(shobj_description(oid, 'pg_authid'), '') FROM pg_roles WHERE rolname = $1";
    sqlx::query(sql).bind(role).fetch_one(&mut connection).await.unwrap().get(0)
}

/// F7, and the suffix that proves nothing: the secret is repointed to a user whose name only looks like
/// a second half.
#[tokio::test]
async fn beyond_02_a_user_whose_name_ends_in_clone_does_not_give_away_another() {
    for server in both_versions() {
        let mut shop = Shop::open(&server, &[]).await;
        let before = shop.stage.document(AWSCURRENT);
        shop.arrange("CREATE ROLE $clone LOGIN PASSWORD 'canary-stranger'").await;
        let mut document = before.clone();
        document["username"] = json!(shop.clone_name());
        document["password"] = json!("canary-stranger");
        shop.stage.put_current(&document);
        let error = shop.refusal().await;
        assert!(error.contains("ADOPT_USERS") && error.contains("USER_PAIRS"), "{error}");
        assert!(shop.logs_in(&before).await && shop.logs_in(&document).await);
        // It gets a second half of its own.
        let pair = format!("{0}={0}2", shop.clone_name());
        shop.configure(&[("USER_PAIRS", &pair)]);
        if server.version().await >= 16 {
            shop.arrange(&format!("GRANT $clone TO $admin {ADMIN_ONLY}")).await;
        }
        assert_eq!(shop.rotate().await["username"], json!(format!("{}2", shop.clone_name())));
        assert!(shop.logs_in(&before).await && shop.logs_in(&document).await);
        assert_eq!(shop.rotate().await["username"], json!(shop.clone_name()));
        shop.close().await;
    }
}

#[tokio::test]
async fn rule_07_an_existing_user_of_the_second_name_is_left_alone() {
    for server in both_versions() {
        let mut shop = Shop::open(&server, &[]).await;
        shop.arrange("CREATE ROLE $clone LOGIN PASSWORD 'canary-stranger'; COMMENT ON ROLE $clone IS 'theirs'")
            .await;
        let error = shop.refusal().await;
        assert!(error.contains("ADOPT_USERS") && error.contains("USER_PAIRS"), "{error}");
        assert_eq!(shop.stage.labels()[1], None, "refused before anything was stored");
        assert!(server.logs_in(&shop.clone_name(), "canary-stranger").await);
        assert_eq!(comment(&server, &shop.clone_name()).await, "theirs");
        let other = format!("{}_b", shop.app.name);
        shop.configure(&[("USER_PAIRS", &format!("{}={other}", shop.app.name))]);
        assert_eq!(shop.rotate().await["username"], json!(other));
        assert!(comment(&server, &other).await.contains("fourstep: {\"partner\":"));
        assert!(server.logs_in(&shop.clone_name(), "canary-stranger").await);
        assert_eq!(shop.rotate().await["username"], json!(shop.app.name));
        shop.close().await;
    }
}

/// What AWS's template leaves: the second user is a member of the first, which owns everything.
#[tokio::test]
async fn a_pair_that_awss_template_made_is_adopted_by_configuration_and_marked() {
    for server in both_versions() {
        let mut shop = Shop::open(&server, &[]).await;
        let quiet = format!("CREATE ROLE \"{}\" LOGIN PASSWORD 'canary-aws'", shop.clone_name());
        server.arrange_quietly(&quiet).await;
        shop.arrange("GRANT $app TO $clone; COMMENT ON ROLE $clone IS 'asked for by team blue'")
            .await;
        assert!(shop.refusal().await.contains("ADOPT_USERS"));
        shop.configure(&[("ADOPT_USERS", &shop.clone_name())]);
        if server.version().await >= 16 {
            // The admin did not make this one. It is given no more than it needs.
            let error = shop.refusal().await;
            let (clone, admin) = (shop.clone_name(), &shop.admin.name);
            let way_out = format!("GRANT \"{clone}\" TO \"{admin}\" {ADMIN_ONLY}");
            assert!(error.contains(&way_out), "{error}");
            assert!(server.logs_in(&clone, "canary-aws").await);
            server.arrange(&way_out).await;
        }
        rotate_and_compare(&shop, "adopted").await;
        let said = comment(&server, &shop.clone_name()).await;
        assert!(said.starts_with("asked for by team blue\nfourstep: "), "{said}");
        // The mark is proof from now on.
        shop.configure(&[]);
        rotate_and_compare(&shop, "back").await;
        rotate_and_compare(&shop, "and again").await;
        shop.close().await;
    }
}

#[tokio::test]
async fn rule_08_an_admin_resets_no_account_that_is_more_than_an_applications() {
    for server in both_versions() {
        let mut shop = Shop::bare(&server, "app", &[]).await;
        let good = shop.stage.document(AWSCURRENT);
        shop.configure(&[("ROTATION_STRATEGY", "single-user-by-admin")]);
        for (attribute, why) in [
            ("SUPERUSER", "it is a superuser"),
            ("CREATEROLE", "it may create roles"),
            ("REPLICATION", "REPLICATION"),
            ("IN ROLE $admin", "an admin's"),
        ] {
            let boss: User = server.user("boss").await;
            let sql = match attribute.strip_prefix("IN ROLE ") {
                Some(role) => format!("GRANT {role} TO \"{}\"", boss.name),
                None => format!("ALTER ROLE \"{}\" {attribute}", boss.name),
            };
            shop.arrange(&sql).await;
            let mut document = good.clone();
            document["username"] = json!(boss.name);
            document["password"] = json!(boss.password);
            shop.stage.put_current(&document);
            let verifier = server.verifier(&boss).await;
            let error = shop.refusal().await;
            let helps = !(attribute == "REPLICATION" && server.version().await < 16);
            assert!(error.contains(why), "{attribute}: {error}");
            assert_eq!(error.contains("single-user"), helps, "{attribute}: {error}");
            assert_eq!(server.verifier(&boss).await, verifier);
            // A name alone, without its password, is not even looked at.
            document["password"] = json!("not its own");
            shop.stage.put_current(&document);
            shop.configure(&[
                ("ROTATION_STRATEGY", "single-user-by-admin"),
                ("REPAIR_USERS", &boss.name),
            ]);
            let error = shop.refusal().await;
            assert!(error.contains(why), "{attribute}: {error}");
            assert_eq!(server.verifier(&boss).await, verifier);
            // The way out: it changes its own, where the server lets it.
            if !helps {
                assert!(error.contains("only a superuser"), "{error}");
                shop.configure(&[("ROTATION_STRATEGY", "single-user-by-admin")]);
                continue;
            }
            document["password"] = json!(boss.password);
            shop.stage.put_current(&document);
            shop.configure(&[("ROTATION_STRATEGY", "single-user")]);
            assert!(shop.logs_in(&shop.rotate().await).await);
            shop.configure(&[("ROTATION_STRATEGY", "single-user-by-admin")]);
        }
        shop.close().await;
    }
}

#[tokio::test]
async fn beyond_08_a_user_that_is_locked_out_is_repaired_if_the_configuration_names_it() {
    for server in both_versions() {
        let mut shop = Shop::bare(&server, "app", &[]).await;
        shop.configure(&[("ROTATION_STRATEGY", "single-user-by-admin")]);
        assert!(shop.logs_in(&shop.rotate().await).await);
        server.arrange_quietly(&format!("ALTER ROLE \"{}\" PASSWORD 'lost'", shop.app.name)).await;
        let error = shop.refusal().await;
        assert!(error.contains("REPAIR_USERS"), "{error}");
        assert!(server.logs_in(&shop.app.name, "lost").await);
        let user = shop.app.name.clone();
        shop.configure(&[("ROTATION_STRATEGY", "single-user-by-admin"), ("REPAIR_USERS", &user)]);
        assert!(shop.logs_in(&shop.rotate().await).await);
        // What the admin lacks is said with the statement that gives it.
        let take = match server.version().await >= 16 {
            true => ("REVOKE ADMIN OPTION FOR $app FROM $admin", ADMIN_ONLY),
            false => ("ALTER ROLE $admin NOCREATEROLE", "CREATEROLE"),
        };
        shop.arrange(take.0).await;
        let error = shop.refusal().await;
        assert!(error.contains("have this run") && error.contains(take.1), "{error}");
        shop.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_16_containers_racing_one_step_end_as_one_alone_would() {
    for server in both_versions() {
        let shop = Arc::new(Shop::open(&server, &[]).await);
        for _ in 0..2 {
            let token = shop.stage.begin();
            for step in Step::ALL {
                let race = (0..3).map(|_| {
                    let (shop, token) = (Arc::clone(&shop), token.clone());
                    tokio::spawn(async move { shop.stage.step(step, &token).await })
                });
                let mut succeeded = 0;
                for run in race.collect::<Vec<_>>() {
                    match &run.await.unwrap().result {
                        Ok(_) => succeeded += 1,
                        Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict, "{error}"),
                    }
                }
                assert!(succeeded > 0, "{step}");
            }
            shop.stage.end(&token);
            assert_eq!(shop.stage.labels()[0], Some(token));
            assert!(shop.logs_in(&shop.stage.document(AWSCURRENT)).await);
            assert_one(&shop, "raced").await;
        }
        Arc::into_inner(shop).unwrap().close().await;
    }
}

/// The mark and the password are two transactions: a crash between them leaves a user that cannot log
/// in and is known to be ours.
#[tokio::test]
async fn rule_06_what_a_crash_leaves_cannot_log_in_and_is_taken_up_again() {
    for server in both_versions() {
        let shop = Shop::open(&server, &[]).await;
        let token = shop.stage.play(&[Step::Create]).await;
        // As after the first database's commit.
        let arn = shop.stage.store.describe(&shop.stage.secret).unwrap().arn;
        let mark = json!({"partner": shop.app.name, "secret": arn});
        shop.arrange(&format!(
            "CREATE ROLE $clone NOLOGIN; COMMENT ON ROLE $clone IS 'fourstep: {mark}'"
        ))
        .await;
        if server.version().await >= 16 {
            shop.arrange(&format!("GRANT $clone TO $admin {ADMIN_ONLY}")).await;
        }
        for step in [Step::Set, Step::Test, Step::Finish] {
            shop.stage.step(step, &token).await.why();
        }
        assert!(exists(&server, &shop.clone_name()).await);
        assert!(shop.logs_in(&shop.stage.document(AWSPENDING)).await);
        shop.close().await;
    }
}

/// F3 and F13: cancelled before the pair is made, before what the second owns elsewhere is handed over,
/// before it acts as the first, before the password.
#[tokio::test]
async fn rule_03_a_container_whose_rotation_was_cancelled_stops_at_each_fence() {
    for server in both_versions() {
        for fence in 1..=4 {
            let mut shop = Shop::open(&server, &[]).await;
            shop.as_awss_template("canary-aws").await;
            shop.configure(&[("ADOPT_USERS", &shop.clone_name())]);
            let own = "SET ROLE $clone; CREATE TABLE \"Sales %\".own (a int)";
            shop.in_database(&shop.databases[1], own).await;
            let token = shop.stage.play(&[Step::Create]).await;
            let (secret, cancelled) = (shop.stage.secret.clone(), token.clone());
            let looks = AtomicU32::new(0);
            shop.stage.store.set_faults(move |store, call| {
                // The first look is setSecret's own.
                if call.operation == "DescribeSecret"
                    && looks.fetch_add(1, Ordering::SeqCst) == fence
                {
                    store.update_stage(&secret, AWSPENDING, None, Some(&cancelled)).unwrap();
                }
                Fault::Proceed
            });
            let ended = shop.stage.step(Step::Set, &token).await;
            let kind = ended.result.as_ref().unwrap_err().kind();
            assert_eq!(kind, ErrorKind::Conflict, "{}", ended.error());
            shop.stage.store.clear_faults();
            assert_eq!(comment(&server, &shop.clone_name()).await.is_empty(), fence == 1);
            assert!(shop.logs_in(&shop.stage.document(AWSCURRENT)).await);
            assert!(server.logs_in(&shop.clone_name(), "canary-aws").await);
            shop.stage.store.cancel_rotation(&shop.stage.secret).unwrap();
            rotate_and_compare(&shop, "the next one").await;
            shop.close().await;
        }
    }
}

/// The server asks members of such a role for something else, and the second user would inherit it.
#[tokio::test]
async fn a_user_whose_password_is_not_used_is_refused_before_anything_is_stored() {
    for server in both_versions() {
        let shop = Shop::open(&server, &[]).await;
        // As on RDS, where it is there from the beginning.
        server
            .arrange("DO $$ BEGIN CREATE ROLE rds_iam; EXCEPTION WHEN duplicate_object OR unique_violation THEN END $$")
            .await;
        shop.arrange("GRANT rds_iam TO $readers").await;
        let error = shop.refusal().await;
        assert!(
            error.contains("is not what it logs in with") && error.contains("rds_iam"),
            "{error}"
        );
        assert!(error.contains("stop rotating") && !error.contains("single-user"), "{error}");
        assert_eq!(shop.stage.labels()[1], None, "refused before anything was stored");
        shop.arrange("REVOKE rds_iam FROM $readers").await;
        rotate_and_compare(&shop, "taken out").await;
        shop.close().await;
    }
}
