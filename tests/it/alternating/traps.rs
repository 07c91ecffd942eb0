//! What would make a pair somebody else's, leave things where they do not belong, or stop it for ever.

use fourstep::Question;
use fourstep::store::{AWSCURRENT, AWSPREVIOUS};
use serde_json::json;
use sqlx::{ConnectOptions, Connection, Executor};

use super::{ADMIN_ONLY, Shop};
use crate::support::postgres::{both_versions, further, server, undisturbed};

async fn preflight(shop: &Shop) -> String {
    shop.stage.ask(Question::Preflight).await.to_string()
}

/// Who owns a relation of this name.
async fn owner(shop: &Shop, database: &str, name: &str) -> String {
    let mut session = shop.server.superuser_in(database).await;
    let query = "SELECT pg_get_userbyid(relowner)::text FROM pg_class WHERE relname = $1";
    let owner = sqlx::query_scalar(query).bind(name).fetch_one(&mut session).await.unwrap();
    session.close().await.unwrap();
    owner
}

/// Whoever made the role wrote the mark and is gone, so that no membership tells.
#[tokio::test]
async fn rule_18_a_mark_on_a_role_that_the_admin_did_not_make_is_not_believed() {
    for server in both_versions() {
        if server.version().await < 16 {
            continue;
        }
        let mut shop = Shop::open(&server, &[]).await;
        let maker = server.user("maker").await.name;
        let arn = shop.stage.store.describe(&shop.stage.secret).unwrap().arn;
        let mark = json!({"partner": shop.app.name, "secret": arn});
        shop.arrange(&format!(
            "ALTER ROLE \"{maker}\" CREATEROLE; SET ROLE \"{maker}\"; CREATE ROLE $clone LOGIN;
             COMMENT ON ROLE $clone IS 'fourstep: {mark}'; RESET ROLE; DROP ROLE \"{maker}\""
        ))
        .await;
        let error = shop.refusal().await;
        assert!(error.contains("ADOPT_USERS") && !error.contains("have this run"), "{error}");
        assert_eq!(shop.stage.labels()[1], None, "refused before anything was stored");
        // Nor is anybody talked into what would have it believed.
        let said = preflight(&shop).await;
        assert!(said.contains("no ADMIN OPTION on it") && !said.contains("GRANT"), "{said}");
        shop.configure(&[("ADOPT_USERS", &shop.clone_name())]);
        shop.arrange(&format!("GRANT $clone TO $admin {ADMIN_ONLY}")).await;
        shop.rotate().await;
        shop.close().await;
    }
}

/// A database's owner sets for everybody as whom sessions act there. They do; but nothing is handed over
/// to that role.
#[tokio::test]
async fn what_a_databases_owner_sets_for_everybody_leads_no_hand_over() {
    for server in both_versions() {
        let shop = Shop::open(&server, &[]).await;
        shop.rotate().await;
        let [_, second] = &shop.databases;
        shop.in_database(second, "CREATE TABLE own (a int); ALTER TABLE own OWNER TO $clone").await;
        shop.arrange("SET ROLE $owner; ALTER DATABASE $second SET role = $readers").await;
        for _ in 0..2 {
            shop.rotate().await;
            assert_eq!(owner(&shop, second, "own").await, shop.app.name);
            for label in [AWSCURRENT, AWSPREVIOUS] {
                let acting = shop.asks(label, second, "SELECT current_user::text").await;
                assert_eq!(acting, shop.readers);
            }
        }
        shop.close().await;
    }
}

/// From PostgreSQL 16 on DROP OWNED would take what the second gave to others.
#[tokio::test]
async fn whom_the_second_user_made_a_member_stays_one_and_stops_nothing() {
    for server in both_versions() {
        if server.version().await < 16 {
            continue;
        }
        let shop = Shop::open(&server, &[]).await;
        for _ in 0..2 {
            shop.rotate().await;
        }
        let bob = server.user("bob").await.name;
        shop.arrange(&format!(
            "GRANT $app TO $clone WITH ADMIN TRUE; GRANT $app TO \"{bob}\" GRANTED BY $clone;
             GRANT $readers TO $admin WITH ADMIN TRUE;
             GRANT $readers TO $clone WITH ADMIN TRUE GRANTED BY $admin;
             GRANT $readers TO \"{bob}\" GRANTED BY $clone"
        ))
        .await;
        let said = preflight(&shop).await;
        assert!(said.contains("\"ready\":true") && said.contains("made others members"), "{said}");
        for _ in 0..3 {
            shop.rotate().await;
        }
        let kept = "SELECT count(*) FROM pg_auth_members WHERE member = $1::regrole::oid";
        let mut session = server.superuser().await;
        let kept = sqlx::query_scalar::<_, i64>(kept).bind(format!("\"{bob}\""));
        assert_eq!(kept.fetch_one(&mut session).await.unwrap(), 2);
        shop.close().await;
    }
}

#[tokio::test]
async fn a_first_user_whose_time_is_over_is_refused_with_the_statement_that_mends_it() {
    for server in both_versions() {
        let shop = Shop::open(&server, &[]).await;
        shop.rotate().await;
        shop.arrange("ALTER ROLE $app VALID UNTIL '2001-01-01'").await;
        let before = server.verifier(&shop.app).await;
        let said = preflight(&shop).await;
        assert!(said.contains("\"ready\":false") && said.contains("VALID UNTIL"), "{said}");
        let error = shop.refusal().await;
        assert_eq!(server.verifier(&shop.app).await, before, "nothing was changed");
        let (_, statement) = error.split_once("have this run: ").unwrap();
        server.arrange(statement).await;
        for _ in 0..2 {
            let document = shop.rotate().await;
            assert!(shop.logs_in(&document).await);
        }
        shop.close().await;
    }
}

#[tokio::test]
async fn what_an_open_session_makes_after_the_hand_over_is_said_and_handed_over_next() {
    for server in both_versions() {
        let mut shop = Shop::open(&server, &[]).await;
        shop.as_awss_template("canary-aws").await;
        shop.configure(&[("ADOPT_USERS", &shop.clone_name())]);
        let [first, _] = shop.databases.clone();
        let options = server.options(&shop.clone_name(), "canary-aws", &first);
        let mut early = options.connect().await.unwrap();
        let said = preflight(&shop).await;
        assert!(said.contains("act as it until they connect again"), "{said}");
        shop.rotate().await;
        early.execute("CREATE TABLE \"Sales %\".late (a int)").await.unwrap();
        assert_eq!(owner(&shop, &first, "late").await, shop.clone_name());
        assert!(!preflight(&shop).await.contains("act as it until"), "it acts for who connects");
        shop.rotate().await;
        assert_eq!(owner(&shop, &first, "late").await, shop.app.name);
        early.execute("INSERT INTO \"Sales %\".late VALUES (1)").await.unwrap();
        early.close().await.unwrap();
        shop.close().await;
    }
}

/// What a pooler sends ends the acting on old minor versions, which is said; the way out is tried.
#[tokio::test]
async fn a_version_on_which_discard_all_ends_the_acting_is_said() {
    let _undisturbed = undisturbed().await;
    let servers = [further("POSTGRES_OLD"), server(), further("POSTGRES18")];
    for server in servers.into_iter().flatten() {
        let old = server.version().await < 12;
        let shop = Shop::bare(&server, "app", &[]).await;
        let said = preflight(&shop).await;
        assert!(said.contains("\"ready\":true"), "{said}");
        assert_eq!(said.contains("DISCARD ALL"), old, "{said}");
        shop.rotate().await;
        let mut pooled = shop.session(AWSCURRENT, &shop.databases[0]).await;
        for (reset, ends) in [("RESET ALL", false), ("DISCARD ALL", old), ("RESET ROLE", false)] {
            pooled.execute(reset).await.unwrap();
            let who = sqlx::query_scalar::<_, String>("SELECT current_user::text");
            let who = who.persistent(false).fetch_one(&mut pooled).await.unwrap();
            assert_eq!(who == shop.clone_name(), ends, "{reset}");
        }
        pooled.close().await.unwrap();
    }
}
