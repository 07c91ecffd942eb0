//! What others on the same server do, by mistake or not, and what a rotation makes of it.

use std::time::{Duration, Instant};

use fourstep::store::{AWSCURRENT, AWSPREVIOUS};
use fourstep::{Question, Step};
use serde_json::json;
use sqlx::{Connection, Executor};

use super::Shop;
use super::rights::{has, portrait, rotate_and_compare};
use crate::support::postgres::both_versions;

/// Anybody who can log in can give default privileges and large objects to whom they like.
#[tokio::test]
async fn what_strangers_give_to_a_user_does_not_stop_its_rotations() {
    for server in both_versions() {
        let shop = Shop::open(&server, &[]).await;
        let eve = server.user("eve").await;
        let [first, _] = &shop.databases;
        let gift = format!(
            "SET ROLE \"{}\"; ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO $app;
             SELECT lo_create(666); GRANT SELECT ON LARGE OBJECT 666 TO $app",
            eve.name
        );
        shop.in_database(first, &gift).await;
        let answer = shop.stage.ask(Question::Preflight).await.to_string();
        assert!(
            answer.contains("\"ready\":true") && answer.contains("\"findings\":[]"),
            "{answer}"
        );
        shop.rotate().await;
        // To the second as well: it does not count, so it can be no trap.
        shop.in_database(first, &gift.replace("666", "667").replace("$app", "$clone")).await;
        let answer = shop.stage.ask(Question::Preflight).await.to_string();
        assert!(answer.contains("\"ready\":true") && answer.contains("does not count"), "{answer}");
        for round in 0..2 {
            shop.rotate().await;
            assert!(shop.logs_in(&shop.stage.document(AWSCURRENT)).await, "{round}");
        }
        shop.close().await;
    }
}

/// Every way out that is told, run as it stands: the admin gets ADMIN OPTION, CREATEROLE, CONNECT or one
/// setting, never a role's rights, and logs in as before.
#[tokio::test]
async fn rule_08_no_way_out_gives_the_admin_more_than_the_change_needs() {
    for server in both_versions() {
        let mut shop = Shop::open(&server, &[]).await;
        let [first, second] = shop.databases.clone();
        // The owner is one whose members log in with something else.
        server
            .arrange("DO $$ BEGIN CREATE ROLE rds_iam; EXCEPTION WHEN duplicate_object OR unique_violation THEN END $$")
            .await;
        shop.arrange("GRANT rds_iam TO $owner; ALTER ROLE $app SET log_statement = 'all'").await;
        shop.as_awss_template("canary-aws").await;
        shop.configure(&[("ADOPT_USERS", &shop.clone_name())]);
        let own = "SET ROLE $clone; CREATE TABLE \"Sales %\".own (a int)";
        shop.in_database(&second, own).await;
        shop.in_database(&second, "REVOKE CONNECT ON DATABASE $database FROM PUBLIC").await;
        shop.arrange("REVOKE $app, $clone FROM $admin; ALTER ROLE $admin NOCREATEROLE").await;
        let mut told = Vec::new();
        while let Err(error) = attempt(&shop).await {
            let (_, statements) =
                error.split_once("have this run: ").unwrap_or_else(|| panic!("{error}"));
            assert!(!told.contains(&statements.to_owned()), "{statements}");
            told.push(statements.to_owned());
            shop.in_database(&first, statements).await;
        }
        let old = server.version().await < 16;
        assert_eq!(
            told.iter().any(|one| one.contains("ADMIN TRUE, INHERIT FALSE, SET FALSE")),
            !old
        );
        for words in ["CREATEROLE", "CONNECT ON DATABASE", "SET ON PARAMETER \"log_statement\""] {
            assert!(told.iter().any(|one| one.contains(words)), "{words}: {told:?}");
        }
        assert!(server.logs_in(&shop.admin.name, &shop.admin.password).await);
        let held = "SELECT count(*) FROM pg_roles WHERE rolname <> $1 AND pg_has_role($1, oid, 'USAGE') \
             AND rolname NOT LIKE 'pg_database_owner'";
        let held: i64 = sqlx::query_scalar(held)
            .bind(&shop.admin.name)
            .fetch_one(&mut server.superuser().await)
            .await
            .unwrap();
        assert_eq!(held, 0, "{told:?}");
        shop.close().await;
    }
}

/// A rotation as far as the password; what it says if it fails.
pub(super) async fn attempt(shop: &Shop) -> Result<(), String> {
    let token = shop.stage.begin();
    for step in Step::ALL {
        let ended = shop.stage.step(step, &token).await;
        if ended.result.is_err() {
            let error = ended.error();
            shop.stage.cancel();
            return Err(error);
        }
    }
    shop.stage.end(&token);
    Ok(())
}

#[tokio::test]
async fn many_databases_are_looked_at_with_few_sessions() {
    for server in both_versions() {
        let shop = Shop::open(&server, &[]).await;
        let more = ["c", "d", "e"].map(|name| format!("{name}{}", shop.owner));
        shop.rotate().await;
        for name in &more {
            shop.arrange(&format!("CREATE DATABASE \"{name}\" OWNER $owner")).await;
            shop.in_database(name, "CREATE TABLE t (a int); ALTER TABLE t OWNER TO $clone").await;
        }
        shop.arrange("ALTER ROLE $admin CONNECTION LIMIT 3").await;
        let ready = shop.stage.ask(Question::Preflight).await;
        assert_eq!(ready["ready"], json!(true), "{ready}");
        rotate_and_compare(&shop, "with three").await;
        let left = "SELECT count(*) FROM pg_shdepend WHERE refobjid = to_regrole(quote_ident($1))";
        let left = sqlx::query_scalar(left).bind(shop.clone_name());
        let left: i64 = left.fetch_one(&mut server.superuser().await).await.unwrap();
        assert_eq!(left, 0);
        for name in &more {
            shop.arrange(&format!("DROP DATABASE \"{name}\" WITH (FORCE)")).await;
        }
        shop.close().await;
    }
}

/// Everybody who comes after a hand-over that waits for a table waits behind it.
#[tokio::test]
async fn a_table_in_use_is_not_held_up_for_the_sake_of_its_owner() {
    for server in both_versions() {
        let shop = Shop::open(&server, &[]).await;
        shop.rotate().await;
        let [first, _] = &shop.databases;
        let make =
            "CREATE TABLE \"Sales %\".busy (a int); ALTER TABLE \"Sales %\".busy OWNER TO $clone";
        shop.in_database(first, make).await;
        let mut reader = server.superuser_in(first).await;
        reader.execute("BEGIN").await.unwrap();
        reader.execute("SELECT * FROM \"Sales %\".busy").await.unwrap();
        // A question locks nothing, so it does not see who is in the way now.
        let ready = shop.stage.ask(Question::Preflight).await;
        assert_eq!(ready["ready"], json!(true), "it passes: {ready}");
        assert!(!ready["findings"].to_string().contains("kept waiting"), "{ready}");
        let began = Instant::now();
        let error = shop.refusal().await;
        assert!(error.contains("REASSIGN OWNED") && error.contains("retry once"), "{error}");
        assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
        reader.close().await.unwrap();
        rotate_and_compare(&shop, "free again").await;
        shop.close().await;
    }
}

/// A maker of roles writes the mark of a pair's second user on a role of its own.
#[tokio::test]
async fn beyond_02_a_mark_on_a_role_that_others_can_act_as_is_not_believed() {
    for server in both_versions() {
        let shop = Shop::open(&server, &[]).await;
        shop.rotate().await;
        shop.rotate().await;
        let mallory = server.user("mallory").await;
        let decoy = format!("aaa{}", shop.app.name);
        let arn = shop.stage.store.describe(&shop.stage.secret).unwrap().arn;
        let mark = json!({"partner": shop.app.name, "secret": arn});
        shop.arrange(&format!(
            "CREATE ROLE \"{decoy}\" NOLOGIN; COMMENT ON ROLE \"{decoy}\" IS 'fourstep: {mark}';
             GRANT \"{decoy}\" TO $admin WITH ADMIN OPTION; GRANT \"{decoy}\" TO \"{}\"",
            mallory.name
        ))
        .await;
        assert_eq!(shop.rotate().await["username"], json!(shop.clone_name()));
        assert!(!has(&portrait(&shop, &decoy).await, "SELECT"));
        shop.close().await;
    }
}

/// To set a password again takes no right in any other database.
#[tokio::test]
async fn current_is_made_to_work_again_though_a_right_elsewhere_is_missing() {
    for server in both_versions() {
        let shop = Shop::open(&server, &[]).await;
        shop.rotate().await;
        let [_, second] = &shop.databases;
        shop.arrange("REVOKE CONNECT ON DATABASE $second FROM PUBLIC").await;
        let own = "CREATE TABLE own (a int); ALTER TABLE own OWNER TO $clone";
        shop.in_database(second, own).await;
        let current = shop.stage.document(AWSCURRENT);
        let lose = format!("ALTER ROLE \"{}\" PASSWORD 'lost'", shop.clone_name());
        server.arrange_quietly(&lose).await;
        assert!(!shop.logs_in(&current).await);
        let error = shop.refusal().await;
        assert!(error.contains("GRANT CONNECT ON DATABASE"), "{error}");
        assert!(shop.logs_in(&current).await);
        shop.close().await;
    }
}

/// Names are anybody's who may make a database: psql reads lines, and a plan is printed for it.
#[tokio::test]
async fn a_plan_holds_no_line_that_another_s_name_began() {
    for server in both_versions() {
        let shop = Shop::open(&server, &[]).await;
        shop.rotate().await;
        let evil = format!("a\n\\! false {}", shop.owner);
        shop.arrange(&format!("CREATE DATABASE \"{evil}\"")).await;
        server
            .arrange_in(
                &evil,
                &format!(
                    "CREATE TABLE t (a int); ALTER TABLE t OWNER TO \"{}\"",
                    shop.clone_name()
                ),
            )
            .await;
        let plan = shop.plan().await;
        assert!(plan.iter().any(|line| line.contains("REASSIGN")), "{plan:#?}");
        assert!(
            !plan.iter().any(|line| line.starts_with('\\') || line.contains('\n')),
            "{plan:#?}"
        );
        shop.rotate().await;
        shop.rotate().await;
        shop.arrange(&format!("DROP DATABASE \"{evil}\" WITH (FORCE)")).await;
        shop.close().await;
    }
}

/// What nobody may enter is left as it is, and said.
#[tokio::test]
async fn a_database_that_refuses_connections_does_not_stop_a_rotation() {
    for server in both_versions() {
        let shop = Shop::open(&server, &[]).await;
        rotate_and_compare(&shop, "made").await;
        let [_, second] = shop.databases.clone();
        let own = "CREATE TABLE own (a int); ALTER TABLE own OWNER TO $clone";
        shop.in_database(&second, own).await;
        shop.arrange("ALTER DATABASE $second ALLOW_CONNECTIONS false").await;
        for _ in 0..4 {
            let ready = shop.stage.ask(Question::Preflight).await;
            assert!(ready["findings"].to_string().contains("ALLOW_CONNECTIONS"), "{ready}");
            shop.rotate().await;
        }
        shop.arrange("ALTER DATABASE $second ALLOW_CONNECTIONS true").await;
        rotate_and_compare(&shop, "opened").await;
        shop.close().await;
    }
}

/// With the first user goes what the pair acted as: who is left is the first from then on, and the other
/// is made anew as its second.
#[tokio::test]
async fn a_first_user_that_is_gone_is_made_again_as_the_second() {
    for server in both_versions() {
        let shop = Shop::open(&server, &[]).await;
        shop.rotate().await;
        for database in &shop.databases {
            shop.in_database(database, "REASSIGN OWNED BY $app TO $clone; DROP OWNED BY $app")
                .await;
            let again = "GRANT USAGE ON SCHEMA \"Sales %\" TO $clone; GRANT SELECT ON ALL TABLES IN SCHEMA \"Sales %\" TO $clone";
            shop.in_database(database, again).await;
        }
        shop.arrange("DROP ROLE $app").await;
        for round in 0..3 {
            // Not in silence.
            let said = shop.stage.ask(Question::Preflight).await.to_string();
            assert_eq!(said.contains("is the first of the two"), round == 0, "{said}");
            shop.rotate().await;
            for label in [AWSCURRENT, AWSPREVIOUS] {
                let [first, _] = &shop.databases;
                let asked = shop.asks(
                    label,
                    first,
                    "SELECT current_user::text FROM \"Sales %\".audit LIMIT 1",
                );
                assert!(!asked.await.contains("permission denied"));
                assert_eq!(
                    shop.asks(label, first, "SELECT current_user::text").await,
                    shop.clone_name()
                );
            }
        }
        shop.close().await;
    }
}
