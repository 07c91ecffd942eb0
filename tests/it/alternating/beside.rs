//! What the second user has beside the first: with whom it is compared, and when it is taken; and what
//! the questions about it lock.

use std::time::{Duration, Instant};

use fourstep::Question;
use fourstep::store::{AWSCURRENT, AWSPREVIOUS};
use serde_json::json;
use sqlx::{Connection, Executor};

use super::Shop;
use super::hostile::attempt;
use super::rights::{assert_one, has, portrait, rotate_and_compare};
use crate::support::postgres::both_versions;

/// The first has a right that the role has not as which both will act, and that role one that the first
/// has not by itself.
#[tokio::test]
async fn the_second_users_rights_are_compared_with_those_of_the_role_acted_as() {
    for server in both_versions() {
        let mut shop = Shop::bare(&server, "app", &[]).await;
        shop.as_awss_template("canary-aws").await;
        shop.configure(&[("ADOPT_USERS", &shop.clone_name())]);
        let [first, _] = shop.databases.clone();
        let tables = "CREATE TABLE of_the_login (a int); CREATE TABLE of_the_role (a int);
             GRANT SELECT ON of_the_login TO $app, $clone; GRANT SELECT ON of_the_role TO $readers, $clone";
        shop.in_database(&first, tables).await;
        shop.arrange("GRANT $readers TO $app; ALTER ROLE $app SET role = $readers").await;
        let error = shop.refusal().await;
        assert!(error.contains("SELECT on table public.of_the_login"), "{error}");
        assert!(!error.contains("of_the_role"), "{error}");
        shop.in_database(&first, "GRANT SELECT ON of_the_login TO $readers").await;
        shop.rotate().await;
        for label in [AWSCURRENT, AWSPREVIOUS] {
            let both = "SELECT count(*)::text FROM of_the_login, of_the_role";
            assert_eq!(shop.asks(label, &first, both).await, "0");
        }
        shop.close().await;
    }
}

/// The second is in use while the first gets its password, and may lose what it has at its own turn only.
#[tokio::test]
async fn nothing_is_taken_from_a_second_user_that_is_in_use() {
    for server in both_versions() {
        let mut shop = Shop::open(&server, &[]).await;
        shop.as_awss_template("canary-aws").await;
        shop.name_the_second("canary-aws");
        let clone = shop.clone_name();
        shop.configure(&[("ADOPT_USERS", &clone), ("DROP_EXTRA_RIGHTS", &clone)]);
        let [first, _] = shop.databases.clone();
        let more = "CREATE TABLE extra (a int); GRANT SELECT ON extra TO $clone;
             CREATE ROLE \"more $database\"; GRANT \"more $database\" TO $clone;
             ALTER ROLE $clone SET work_mem = '7MB'";
        let more = more.replace("more $database", &format!("more {clone}"));
        shop.in_database(&first, &more).await;
        if server.version().await < 16 {
            shop.arrange("ALTER ROLE $clone CREATEDB").await;
        }
        let before = portrait(&shop, &clone).await;
        let mut open = shop.session(AWSCURRENT, &first).await;
        shop.rotate().await;
        assert_eq!(portrait(&shop, &clone).await, before);
        for _ in 0..2 {
            open.execute("SELECT * FROM extra").await.unwrap();
            assert_eq!(
                shop.asks(AWSPREVIOUS, &first, "SELECT count(*)::text FROM extra").await,
                "0"
            );
        }
        open.close().await.unwrap();
        if server.version().await >= 16 {
            shop.arrange(&format!("REVOKE \"more {clone}\" FROM $clone")).await;
        }
        shop.rotate().await;
        // What a table's owner granted, nobody else can take; it does not count.
        let after = portrait(&shop, &clone).await;
        assert!(!has(&after, "memberof") && !has(&after, "work_mem=7MB"), "{after:#?}");
        shop.close().await;
    }
}

/// It says who a session is, and works for superusers alone.
#[tokio::test]
async fn session_authorization_among_the_first_users_settings_is_not_carried_over() {
    for server in both_versions() {
        let shop = Shop::open(&server, &[]).await;
        shop.arrange("ALTER ROLE $app SET session_authorization = $owner").await;
        for _ in 0..3 {
            shop.rotate().await;
            assert!(!has(&portrait(&shop, &shop.clone_name()).await, "session_authorization"));
            let [first, _] = &shop.databases;
            let who = shop.asks(AWSCURRENT, first, "SELECT current_user::text").await;
            assert_eq!(who, shop.app.name);
        }
        shop.close().await;
    }
}

#[tokio::test]
async fn preflight_waits_for_nobody_and_keeps_nobody_waiting() {
    for server in both_versions() {
        let mut shop = Shop::open(&server, &[]).await;
        shop.as_awss_template("canary-aws").await;
        shop.configure(&[("ADOPT_USERS", &shop.clone_name())]);
        let mut busy = Vec::new();
        for database in &shop.databases {
            let own = "SET ROLE $clone; CREATE TABLE \"Sales %\".own (a int)";
            shop.in_database(database, own).await;
            let mut session = server.superuser_in(database).await;
            session.execute("BEGIN; LOCK TABLE \"Sales %\".own").await.unwrap();
            busy.push(session);
        }
        let begun = Instant::now();
        let said = shop.stage.ask(Question::Preflight).await.to_string();
        assert!(said.contains("\"ready\":true"), "{said}");
        assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
        let log = server.log_about(&shop.clone_name());
        assert!(log.contains("ALTER ROLE") && !log.contains("REASSIGN OWNED BY"), "{log}");
        let error = attempt(&shop).await.unwrap_err();
        assert!(error.contains("55P03") && error.contains("retry"), "{error}");
        for session in busy {
            session.close().await.unwrap();
        }
        rotate_and_compare(&shop, "free").await;
        shop.close().await;
    }
}

/// The admin's rights come by way of a group whose rights it does not inherit: before PostgreSQL 16 that
/// is no obstacle, from then on one statement for each user.
#[tokio::test]
async fn an_admin_that_does_not_inherit_is_told_what_it_needs_and_no_more() {
    for server in both_versions() {
        for without in ["ALTER ROLE $admin NOINHERIT;", ""] {
            let mut shop = Shop::open(&server, &[]).await;
            shop.as_awss_template("canary-aws").await;
            shop.configure(&[("ADOPT_USERS", &shop.clone_name())]);
            let [_, second] = shop.databases.clone();
            let own = "SET ROLE $clone; CREATE TABLE \"Sales %\".own (a int)";
            shop.in_database(&second, own).await;
            let old = server.version().await < 16;
            let group = match (old, without) {
                (true, "") => {
                    "CREATE ROLE \"g $app\" NOINHERIT; GRANT $clone, $app TO \"g $app\"; GRANT \"g $app\" TO $admin"
                }
                (true, _) => "GRANT $clone TO $admin",
                (false, _) => {
                    "CREATE ROLE \"g $app\"; REVOKE $app, $clone FROM $admin;
                     GRANT $app, $clone TO \"g $app\" WITH ADMIN TRUE, INHERIT FALSE, SET FALSE;
                     GRANT \"g $app\" TO $admin WITH INHERIT FALSE"
                }
            };
            let group = group.replace("\"g $app\"", &format!("\"g {}\"", shop.app.name));
            shop.arrange(&format!("{without} {group}")).await;
            let mut told = Vec::new();
            while let Err(error) = attempt(&shop).await {
                let statements = error.split_once("have this run: ").map(|(_, it)| it.to_owned());
                let statements = statements.unwrap_or_else(|| panic!("{error}"));
                assert!(!told.contains(&statements), "{statements}");
                server.arrange(&statements).await;
                told.push(statements);
            }
            let wanted = match old {
                true => Vec::new(),
                false => {
                    let [app, clone] = [&shop.app.name, &shop.clone_name()].map(|user| {
                        format!("GRANT \"{user}\" TO \"{}\" {}", shop.admin.name, super::ADMIN_ONLY)
                    });
                    vec![format!("{app}; {clone}")]
                }
            };
            assert_eq!(told, wanted, "{without}");
            assert_one(&shop, "made").await;
            let inherits = "SELECT rolinherit FROM pg_roles WHERE rolname = $1";
            let inherits = sqlx::query_scalar::<_, bool>(inherits).bind(&shop.admin.name);
            let inherits = inherits.fetch_one(&mut server.superuser().await).await.unwrap();
            assert_eq!(inherits, without.is_empty(), "it is as it was");
            shop.close().await;
        }
    }
}

/// As a server, a database or a role sets them for every session.
#[tokio::test]
async fn the_defaults_of_sessions_make_no_difference() {
    for server in both_versions() {
        for strategy in ["alternating-users", "single-user-by-admin", "single-user"] {
            let shop = Shop::bare(&server, "app", &[("ROTATION_STRATEGY", strategy)]).await;
            for role in ["$admin", "$app"] {
                let defaults = "default_transaction_read_only = on, \
                    default_transaction_isolation = 'serializable', statement_timeout = '20s', \
                    standard_conforming_strings = off, client_encoding = latin1, \
                    search_path = nowhere, row_security = off, DateStyle = 'German'";
                for one in defaults.split(", ") {
                    shop.arrange(&format!("ALTER ROLE {role} SET {one}")).await;
                }
            }
            let answer = shop.stage.ask(Question::Preflight).await;
            assert_eq!(answer["ready"], json!(true), "{strategy}: {answer}");
            for _ in 0..2 {
                let document = shop.rotate().await;
                assert!(shop.logs_in(&document).await, "{strategy}");
            }
            shop.close().await;
        }
    }
}
