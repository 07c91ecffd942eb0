//! What is no pair of two users: what belongs to one alone, and who is not proven to be the other half.

use fourstep::store::AWSPENDING;
use fourstep::{ErrorKind, Question, Step};
use fourstep_local::NewSecret;

use super::by_admin;
use super::pairs::{PAIR, Shop, refused};
use crate::support::stage::Stage;

#[tokio::test]
async fn parity_23_what_cannot_be_carried_over_is_refused_by_name_before_anything_changes() {
    for (view, sql, told) in [
        ("", "ALTER TABLE s_@.orders OWNER TO {}", "table or view"),
        ("", "ALTER SCHEMA s_@ OWNER TO {}", "schema"),
        ("", "ALTER FUNCTION s_@.f(int, text) OWNER TO {}", "function or procedure"),
        ("", "ALTER USER {} VALID UNTIL '2040-01-01'", "VALID UNTIL"),
        (
            "",
            "CREATE SCHEMA AUTHORIZATION {}; ALTER SCHEMA {} OWNER TO SESSION_USER",
            "search_path",
        ),
        (
            "",
            "CREATE TABLE s_@.\"Upper\" (); GRANT SELECT ON s_@.\"Upper\" TO {}",
            "a capital letter",
        ),
        (
            "",
            "CREATE TABLE s_@.\"c\u{1}\" (); GRANT SELECT ON s_@.\"c\u{1}\" TO {}",
            "a control character",
        ),
        ("", "ALTER USER {} SET my.own TO E'1\\x1estatement_timeout=5'", "a setting (SET)"),
        ("", "GRANT INSERT (a) ON s_@.orders TO {}", "INSERT on"),
        (
            "",
            "ALTER DEFAULT PRIVILEGES FOR USER {} REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC",
            "PUBLIC may not execute",
        ),
        ("svv_iam_privileges", "", "ASSUMEROLE on \"planted\""),
        ("svv_datashare_privileges", "", "the datashare \"planted\""),
        ("svv_ml_model_privileges", "", "the model \"planted\""),
        ("svv_rls_attached_policy", "", "the row-level policy \"planted\""),
        ("svv_attached_masking_policy", "", "the masking policy \"planted\""),
        ("svv_roles", "", "role \"planted\" as its owner"),
    ] {
        let Some(shop) = Shop::new().await else { return };
        match view {
            "" => shop.tell_in(&shop.database, &shop.about(&shop.user, sql)).await,
            view => shop.front.plant(view, &shop.user, "planted"),
        }
        let stage = shop.stage(&[]);
        let ready = stage.ask(Question::Preflight).await.to_string();
        assert!(ready.replace("\\\"", "\"").contains(told), "{told}: {ready}");
        let plan = stage.ask(Question::Plan).await.to_string();
        assert!(plan.contains("in the way"), "{told}: {plan}");
        let (kind, text) = refused(&shop, &stage, Step::Set).await;
        assert_eq!(kind, ErrorKind::Unsupported, "{text}");
        assert!(text.contains(told), "{told}: {text}");
    }
}

/// Nobody logs in to a shared database, so what one has in it is not compared.
#[tokio::test]
async fn parity_23_a_right_on_a_shared_database_is_refused_by_name() {
    let Some(shop) = Shop::new().await else { return };
    shop.front.plant("svv_redshift_databases", &shop.user, &shop.database);
    let stage = shop.stage(&[]);
    let ready = stage.ask(Question::Preflight).await;
    assert_eq!(ready["ready"], true, "{ready}");
    let sql = format!("GRANT TEMPORARY ON DATABASE \"{}\" TO {{}}", shop.database);
    shop.tell(&shop.about(&shop.user, &sql)).await;
    let (kind, text) = refused(&shop, &stage, Step::Set).await;
    assert_eq!(kind, ErrorKind::Unsupported);
    assert!(text.contains("a right on the shared database"), "{text}");
}

/// An admin secret without a host goes to the user's own cluster, whose name its tag has, and nowhere else. The host
/// of this cluster is nowhere, which the error of the admin's login says.
#[tokio::test]
async fn parity_22_the_admin_secret_that_redshift_manages_is_completed_by_its_tags() {
    let cluster = "arn:aws:redshift:us-east-1:000000000000:cluster:fourstep-no-such";
    let host = "fourstep-no-such.c1.us-east-1.redshift.amazonaws.com";
    let unreachable = format!("user \"boss\" on {host}:5439");
    let tag = "aws:redshift:primaryClusterArn";
    for (arn, told) in
        [(cluster.to_owned(), unreachable.as_str()), (format!("{cluster}2"), "the user is on")]
    {
        let document = serde_json::json!({
            "engine": "redshift", "host": host, "username": "app", "password": "p", "masterarn": "admin",
        });
        let stage = Stage::new(&document, &[PAIR]);
        let value = Some(r#"{"username": "boss", "password": "q"}"#.into());
        let tags = [(tag.to_owned(), arn)].into();
        stage.store.create("admin", NewSecret { value, tags, ..NewSecret::default() }).unwrap();
        let ended = stage.step(Step::Create, &stage.begin()).await;
        assert!(ended.error().contains(told), "{}", ended.error());
        assert_eq!(stage.try_text(AWSPENDING), None);
    }
}

#[tokio::test]
async fn rule_18_only_what_a_superuser_can_have_made_proves_a_user() {
    let Some(shop) = Shop::new().await else { return };
    let stage = shop.stage(&[]);
    stage.play(&Step::ALL).await;
    // A mark of another secret, or two marks, prove nothing to this one.
    let query = format!(
        "SELECT g.rolname FROM pg_auth_members JOIN pg_roles AS g ON g.oid = roleid JOIN pg_roles AS u \
         ON u.oid = member WHERE u.rolname = '{}' AND g.rolname LIKE 'fourstep:%'",
        shop.clone.name
    );
    let mark = shop.front.server.text(&query).await;
    assert!(mark.ends_with(&format!(":{}", shop.user.name)), "{mark}");
    let other = mark.replacen("fourstep:", "fourstep:0", 1);
    shop.tell(&format!("CREATE GROUP \"{other}\"; COMMENT ON ROLE \"{other}\" IS 'group'")).await;
    shop.tell(&format!("ALTER GROUP \"{other}\" ADD USER \"{}\"", shop.clone.name)).await;
    shop.tell(&format!("ALTER GROUP \"{mark}\" DROP USER \"{}\"", shop.clone.name)).await;
    let (user, admin) = (&shop.user, &shop.admin);
    let again = by_admin(&shop.front, user, admin, &[PAIR, ("ADOPT_USERS", &shop.clone.name)]);
    let (kind, text) = refused(&shop, &again, Step::Create).await;
    assert_eq!(kind, ErrorKind::Unsupported);
    assert!(text.contains(&other), "{text}");
    // A group that is a mark must not give anything to who is marked.
    shop.tell(&format!("DROP ROLE \"{other}\"")).await;
    shop.tell(&format!("ALTER GROUP \"{mark}\" ADD USER \"{}\"", shop.clone.name)).await;
    shop.tell(&format!("GRANT SELECT ON s_{}.seen TO GROUP \"{mark}\"", shop.stem)).await;
    let (_, text) = refused(&shop, &stage, Step::Set).await;
    assert!(text.contains("which is a mark"), "{text}");
    // Nor is somebody whom an identity provider lets in, or an admin that sees only a part, of use.
    let external = shop.front.user("external").await;
    let stage = by_admin(&shop.front, &external, admin, &[PAIR]);
    let (_, text) = refused(&shop, &stage, Step::Create).await;
    assert!(text.contains("EXTERNALID"), "{text}");
    let weak = shop.front.user("weak").await;
    let (kind, text) =
        refused(&shop, &by_admin(&shop.front, user, &weak, &[PAIR]), Step::Create).await;
    assert_eq!(kind, ErrorKind::Forbidden);
    assert!(text.contains("not a superuser"), "{text}");
    let fresh = shop.front.user("fresh").await;
    let variables = [PAIR, ("REFUSE_OPEN_SESSIONS", "true")];
    let (_, text) =
        refused(&shop, &by_admin(&shop.front, &fresh, admin, &variables), Step::Set).await;
    assert!(text.contains("REFUSE_OPEN_SESSIONS"), "{text}");
}

/// A user that was made and not finished is not the one from which the other gets its rights.
#[tokio::test]
async fn one_that_was_made_by_half_is_finished_and_never_taken_as_the_model() {
    let Some(shop) = Shop::new().await else { return };
    shop.give(&shop.user).await;
    let stage = shop.stage(&[]);
    stage.play(&Step::ALL).await;
    let wanted = shop.assert_equal().await;
    // AWSCURRENT's user is made anew, but for its rights, as by a run that was killed after a fail-over.
    let clone = &shop.clone.name;
    for database in ["postgres", &shop.database] {
        shop.tell_in(database, &format!("DROP OWNED BY \"{clone}\"")).await;
    }
    let groups = "SELECT string_agg(format('%I', g.rolname), ', ') FROM pg_auth_members JOIN pg_roles AS g \
                  ON g.oid = roleid JOIN pg_roles AS u ON u.oid = member WHERE g.rolname LIKE 'fourstep:%' \
                  AND u.rolname";
    let mark = shop.front.server.text(&format!("{groups} = '{clone}'")).await;
    shop.tell(&format!("DROP ROLE \"{clone}\"")).await;
    shop.tell(&format!(
        "CREATE USER \"{clone}\" IN GROUP {mark}, \"fourstep:unfinished\", hba_trust"
    ))
    .await;
    shop.front.keep(&shop.clone, crate::support::redshift::Kept::Disabled);
    stage.play(&Step::ALL).await;
    assert_eq!(shop.assert_equal().await, wanted);
}
