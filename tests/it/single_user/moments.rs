//! When an error comes, who holds a lock, and what a preflight finds by trying.

use fourstep::store::{AWSCURRENT, AWSPENDING};
use fourstep::{ErrorKind, Question, Step};
use fourstep_local::{NewRotation, RotationRules};
use serde_json::json;
use sqlx::{ConnectOptions, Connection};

use crate::support::postgres::{User, both_versions, server};
use crate::support::stage::{Stage, new_token};

/// The key of an account's lock, which anybody can compute: FNV-1a of its name.
fn lock(user: &str) -> String {
    let hash = user
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    format!("SELECT pg_advisory_lock({}, {})", 0x666f_7572, hash.cast_signed())
}

#[tokio::test]
async fn an_account_s_lock_that_a_stranger_holds_stops_no_rotation() {
    for server in both_versions() {
        let (user, stranger) = (server.user("locked").await, server.user("stranger").await);
        let open = async |user: &User| {
            server.options(&user.name, &user.password, "postgres").connect().await.unwrap()
        };
        let mut held = open(&stranger).await;
        sqlx::raw_sql(sqlx::AssertSqlSafe(lock(&user.name))).execute(&mut held).await.unwrap();
        let stage = Stage::new(&server.document(&user), &[]);
        let token = stage.play(&[Step::Create]).await;
        let ended = stage.step(Step::Set, &token).await;
        let warned = ended.stats.warnings.join("; ");
        assert!(
            warned.contains(&stranger.name) && warned.contains("pg_terminate_backend"),
            "{warned}"
        );
        assert!(server.logs_in(&user.name, &stage.password(AWSPENDING)).await, "{}", ended.why());
        // The user itself may be rotating.
        let pending = User { name: user.name.clone(), password: stage.password(AWSPENDING) };
        held.close().await.unwrap();
        let mut own = open(&pending).await;
        sqlx::raw_sql(sqlx::AssertSqlSafe(lock(&user.name))).execute(&mut own).await.unwrap();
        let mut stage = Stage::new(&server.document(&pending), &[]);
        stage.timeout = std::time::Duration::from_secs(10);
        let token = stage.play(&[Step::Create]).await;
        let ended = stage.step(Step::Set, &token).await;
        let error = ended.error();
        assert_eq!(ended.result.unwrap_err().kind(), ErrorKind::Conflict, "{error}");
        let names = format!("of user {:?} has it", user.name);
        assert!(error.contains(&names) && error.contains("pg_terminate_backend("), "{error}");
        assert!(server.logs_in(&user.name, &pending.password).await);
    }
}

#[tokio::test]
async fn what_a_trigger_on_logins_says_is_no_error_of_the_login() {
    let [_, newest] = &both_versions()[..] else { return };
    let user = newest.user("trigger").await;
    let database = format!("triggered_{}", user.name);
    newest.arrange(&format!("CREATE DATABASE {database}")).await;
    for code in ["28P01", "42501", "P0001"] {
        newest
            .arrange_in(
                &database,
                &format!(
                    "CREATE OR REPLACE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS
                     $$ BEGIN IF session_user = '{}' THEN
                     RAISE EXCEPTION 'come back at night' USING ERRCODE = '{code}'; END IF; END $$;
                     DROP EVENT TRIGGER IF EXISTS refuse;
                     CREATE EVENT TRIGGER refuse ON login EXECUTE FUNCTION refuse();
                     ALTER EVENT TRIGGER refuse ENABLE ALWAYS",
                    user.name
                ),
            )
            .await;
        let mut document = newest.document(&user);
        document["dbname"] = json!(database);
        let stage = Stage::new(&document, &[]);
        let token = stage.play(&[Step::Create]).await;
        let ended = stage.step(Step::Set, &token).await;
        let error = ended.error();
        assert_eq!(ended.stats.connections, 1, "{error}");
        assert_eq!(ended.stats.rejected_logins, 0, "{error}");
        for part in ["found the password right", "come back at night", code] {
            assert!(error.contains(part), "{error}");
        }
        let kind = ended.result.unwrap_err().kind();
        assert_ne!(kind, ErrorKind::Rejected, "{error}");
    }
    newest.arrange_in(&database, "DROP EVENT TRIGGER refuse").await;
    newest.arrange(&format!("DROP DATABASE {database} WITH (FORCE)")).await;
}

#[tokio::test]
async fn an_extension_that_bans_users_early_is_named_by_a_preflight() {
    for server in both_versions() {
        let user = server.user("banned").await;
        for (most, warns) in [("3", true), ("12", false), ("0", false)] {
            let set = "SET credcheck.max_auth_failure =";
            server.arrange(&format!("ALTER ROLE \"{}\" {set} {most}", user.name)).await;
            let stage = Stage::new(&server.document(&user), &[]);
            let answer = stage.ask(Question::Preflight).await.to_string();
            assert_eq!(answer.contains("credcheck.max_auth_failure is 3"), warns, "{answer}");
        }
    }
}

#[tokio::test]
async fn a_secret_with_copies_of_its_password_is_named() {
    let Some(server) = server() else { return };
    let user = server.user("copied").await;
    let mut document = server.document(&user);
    document["DATABASE_URL"] = json!(format!("postgres://{}:{}@db/app", user.name, user.password));
    let stage = Stage::new(&document, &[]);
    let answer = stage.ask(Question::Preflight).await;
    assert_eq!(answer["ready"], json!(true), "{answer}");
    assert!(answer.to_string().contains("DATABASE_URL"), "{answer}");
    let ended = stage.step(Step::Create, &stage.begin()).await;
    assert!(ended.stats.warnings.iter().any(|one| one.contains("DATABASE_URL")), "{}", ended.why());
}

#[tokio::test]
async fn a_name_that_is_too_long_is_refused_before_anything_is_stored() {
    let Some(server) = server() else { return };
    let user = server.user("long").await;
    for field in ["username", "dbname"] {
        let mut document = server.document(&user);
        document[field] = json!("x".repeat(64));
        let stage = Stage::new(&document, &[]);
        let ended = stage.step(Step::Create, &stage.begin()).await;
        assert!(
            ended.error().contains(field) && ended.error().contains("64 bytes"),
            "{}",
            ended.error()
        );
        assert_eq!(ended.result.unwrap_err().kind(), ErrorKind::Malformed);
        assert!(stage.try_text(AWSPENDING).is_none());
    }
}

#[tokio::test]
async fn rule_21_a_preflight_finds_what_the_change_would_meet() {
    let Some(server) = server() else { return };
    let user = server.user("rehearsed").await;
    let load =
        format!("ALTER ROLE \"{}\" SET session_preload_libraries = passwordcheck", user.name);
    server.arrange(&load).await;
    let mut document = server.document(&user);
    document["ssl"] = json!(true);
    let plaintext =
        [("TLS_CA_BUNDLE", server.ca.as_str()), ("POSTGRES_PASSWORD_FORMAT", "plaintext")];
    for (length, ready) in [("6", false), ("32", true)] {
        let variables = [&plaintext[..], &[("PASSWORD_LENGTH", length)]].concat();
        let stage = Stage::new(&document, &variables);
        let before = server.verifier(&user).await;
        let answer = stage.ask(Question::Preflight).await;
        assert_eq!(answer["ready"], json!(ready), "{answer}");
        assert_eq!(server.verifier(&user).await, before, "it was changed");
        let token = stage.play(&[Step::Create]).await;
        let set = stage.step(Step::Set, &token).await;
        assert_eq!(set.result.is_ok(), ready, "{:?}", set.result);
        if !ready {
            assert!(answer.to_string().contains("PASSWORD_LENGTH"), "{answer}");
        }
        assert_eq!(stage.document(AWSCURRENT)["username"], json!(user.name));
    }
}

#[tokio::test]
async fn an_end_of_the_password_before_the_next_rotation_is_warned_of() {
    let Some(server) = server() else { return };
    let user = server.user("ends").await;
    let mut session = server.superuser().await;
    let end = format!(
        "DO $$ BEGIN EXECUTE format('ALTER ROLE \"{}\" VALID UNTIL %L', now() + interval '20 days'); \
         END $$",
        user.name
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(end)).execute(&mut session).await.unwrap();
    // A secret that does not say is taken for one that is rotated every 30 days.
    for (days, warns) in [(None, true), (Some(7), false), (Some(90), true)] {
        let stage = Stage::new(&server.document(&user), &[]);
        if days.is_some() {
            let mut rotation =
                NewRotation::now(&new_token(), "arn:aws:lambda:us-east-1:1:function:f");
            let automatically_after_days = days;
            rotation.rules =
                Some(RotationRules { automatically_after_days, ..RotationRules::default() });
            stage.store.rotate(&stage.secret, &rotation).unwrap();
        }
        let answer = stage.ask(Question::Preflight).await;
        assert_eq!(answer["ready"], json!(true), "{answer}");
        assert_eq!(answer.to_string().contains("VALID UNTIL"), warns, "{days:?}: {answer}");
    }
}
