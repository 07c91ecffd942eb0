//! An admin sets the password.

use fourstep::store::AWSCURRENT;
use fourstep::{ErrorKind, Question, Step};
use serde_json::{Value, json};

use super::with;
use crate::support::sqlserver::{Server, User, sqlserver};
use crate::support::stage::Stage;

fn stage(server: &Server, user: &User, admin: &User) -> Stage {
    server.by_admin(&server.document(user), &server.document(admin), &[])
}

/// How setSecret fails.
async fn refused(stage: &Stage) -> (ErrorKind, String) {
    let token = stage.begin();
    let created = stage.step(Step::Create, &token).await;
    if let Err(error) = &created.result {
        return (error.kind(), created.error());
    }
    let ended = stage.step(Step::Set, &token).await;
    (ended.result.as_ref().unwrap_err().kind(), ended.error())
}

/// A login that may alter the users of the database `own`.
pub async fn admin_inside(server: &Server, grants: Value) -> User {
    let admin = server.user("owner").await;
    let key = admin.name.to_lowercase();
    let inside = json!({"name": admin.name, "login": key, "grants": grants});
    server.set(&["databases", "own", "users", &key], inside).await;
    admin
}

#[tokio::test]
async fn an_admin_sets_the_password_of_a_login_and_of_a_contained_user() {
    let Some(server) = sqlserver().await else { return };
    let (user, admin) = (server.user("app").await, server.admin().await);
    let by_server = stage(&server, &user, &admin);
    let inside = server.contained_user("inside").await;
    let owner = admin_inside(&server, json!(["ALTER ANY USER", "VIEW DEFINITION"])).await;
    let document = server.contained_document(&inside);
    let by_database = server.by_admin(&document, &server.document(&owner), &[]);
    for (database, user, stage) in [("master", &user, by_server), ("own", &inside, by_database)] {
        for _ in 0..2 {
            let old = stage.password(AWSCURRENT);
            stage.play(&Step::ALL).await;
            assert!(server.logs_in_at(database, &user.name, &stage.password(AWSCURRENT)).await);
            assert!(!server.logs_in_at(database, &user.name, &old).await);
        }
    }
    let heard = server.heard().await;
    assert!(!heard.contains("OLD_PASSWORD") && !heard.contains("UNLOCK"), "{heard}");
    assert_eq!((heard.matches("ALTER LOGIN").count(), heard.matches("ALTER USER").count()), (2, 2));
}

/// A securityadmin is an admin too.
#[tokio::test]
async fn roles_give_the_right_as_well() {
    let Some(server) = sqlserver().await else { return };
    for (field, value) in
        [("roles", "securityadmin"), ("roles", "sysadmin"), ("grants", "CONTROL SERVER")]
    {
        let (user, admin) = (server.user("app").await, server.user("admin").await);
        server.set_login(&admin.name, field, json!([value])).await;
        stage(&server, &user, &admin).play(&Step::ALL).await;
    }
}

#[tokio::test]
async fn rule_08_who_may_change_others_is_never_changed() {
    let Some(server) = sqlserver().await else { return };
    let admin = server.user("sa").await;
    server.set_login(&admin.name, "roles", json!(["sysadmin"])).await;
    server
        .set(
            &["roles"],
            json!({"team": {"roles": ["securityadmin"]}, "dba": {"grants": ["CONTROL SERVER"]}}),
        )
        .await;
    for (field, value) in [
        ("roles", "sysadmin"),
        ("roles", "securityadmin"),
        ("roles", "##MS_LoginManager##"),
        ("roles", "team"),
        ("roles", "dba"),
        ("grants", "CONTROL SERVER"),
        ("grants", "ALTER ANY LOGIN"),
        ("grants", "IMPERSONATE ANY LOGIN"),
    ] {
        let user = server.user("powerful").await;
        server.set_login(&user.name, field, json!([value])).await;
        let (kind, error) = refused(&stage(&server, &user, &admin)).await;
        assert_eq!(kind, ErrorKind::Unsupported, "{value}: {error}");
        assert!(error.contains("never changed"), "{error}");
        assert!(server.logs_in(&user.name, &user.password).await);
    }
    let (kind, error) = refused(&stage(&server, &admin, &admin)).await;
    assert_eq!(kind, ErrorKind::Unsupported, "{error}");
    for (field, value) in [
        ("roles", "db_owner"),
        ("roles", "db_securityadmin"),
        ("roles", "db_accessadmin"),
        ("grants", "CONTROL"),
        ("grants", "ALTER ANY USER"),
        ("grants", "ALTER ANY ROLE"),
    ] {
        let user = server.contained_user("powerful").await;
        let key = user.name.to_lowercase();
        server.set(&["databases", "own", "users", &key, field], json!([value])).await;
        let document = server.contained_document(&user);
        let by_admin = server.by_admin(&document, &server.document(&admin), &[]);
        let (kind, error) = refused(&by_admin).await;
        assert_eq!(kind, ErrorKind::Unsupported, "{value}: {error}");
        assert!(server.logs_in_at("own", &user.name, &user.password).await);
    }
    assert!(!server.heard().await.contains("WITH PASSWORD"));
}

/// The advice is followed, and the same rotation goes on.
#[tokio::test]
async fn an_admin_that_lacks_the_right_is_told_what_to_run() {
    let Some(server) = sqlserver().await else { return };
    let (user, weak) = (server.user("app").await, server.user("weak").await);
    let by_weak = stage(&server, &user, &weak);
    let token = by_weak.play(&[Step::Create]).await;
    let error = by_weak.step(Step::Set, &token).await.result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden, "{error}");
    let advice = format!("GRANT ALTER ANY LOGIN TO [{}]", weak.name);
    assert!(error.to_string().contains(&advice), "{error}");
    let preflight = by_weak.ask(Question::Preflight).await.to_string();
    assert!(preflight.contains("ALTER ANY LOGIN"), "{preflight}");
    server.set_login(&weak.name, "grants", json!(["ALTER ANY LOGIN"])).await;
    by_weak.step(Step::Set, &token).await.why();

    let inside = server.contained_user("inside").await;
    let owner = admin_inside(&server, json!([])).await;
    let document = server.contained_document(&inside);
    let by_owner = server.by_admin(&document, &server.document(&owner), &[]);
    let token = by_owner.play(&[Step::Create]).await;
    let key = owner.name.to_lowercase();
    for (has, lacks) in [
        (json!([]), "GRANT ALTER ANY USER, VIEW DEFINITION TO ["),
        (json!(["ALTER ANY USER"]), "GRANT VIEW DEFINITION TO ["),
    ] {
        server.set(&["databases", "own", "users", &key, "grants"], has).await;
        let error = by_owner.step(Step::Set, &token).await.result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Forbidden, "{error}");
        assert!(error.to_string().contains(lacks), "{error}");
    }
    let both = json!(["ALTER ANY USER", "VIEW DEFINITION"]);
    server.set(&["databases", "own", "users", &key, "grants"], both).await;
    by_owner.step(Step::Set, &token).await.why();
}

/// What an admin does not see, it cannot refuse to change.
#[tokio::test]
async fn rule_08_an_admin_that_does_not_see_the_roles_of_others_is_not_trusted() {
    let Some(server) = sqlserver().await else { return };
    let powerful = server.contained_user("powerful").await;
    let key = powerful.name.to_lowercase();
    server.set(&["databases", "own", "users", &key, "roles"], json!(["db_owner"])).await;
    let owner = admin_inside(&server, json!(["ALTER ANY USER"])).await;
    let document = server.contained_document(&powerful);
    let by_owner = server.by_admin(&document, &server.document(&owner), &[]);
    let (kind, error) = refused(&by_owner).await;
    assert_eq!(kind, ErrorKind::Forbidden, "{error}");
    assert!(server.logs_in_at("own", &powerful.name, &powerful.password).await);
    // Of logins only roles that somebody made are unseen, which is said.
    let (user, admin) = (server.user("app").await, server.user("admin").await);
    server.set_login(&admin.name, "grants", json!(["ALTER ANY LOGIN"])).await;
    for (admin, warned) in [(&admin, true), (&server.admin().await, false)] {
        let answer = stage(&server, &user, admin).ask(Question::Preflight).await;
        assert_eq!(answer["ready"], json!(true), "{answer}");
        assert_eq!(
            answer.to_string().contains("GRANT VIEW ANY DEFINITION TO ["),
            warned,
            "{answer}"
        );
    }
}

/// A grant in master is nothing that it could be given.
#[tokio::test]
async fn an_admin_that_is_a_contained_user_changes_no_login() {
    let Some(server) = sqlserver().await else { return };
    let (user, admin) = (server.user("app").await, server.contained_user("owner").await);
    let rights = json!(["ALTER ANY USER", "VIEW DEFINITION"]);
    let key = admin.name.to_lowercase();
    server.set(&["databases", "own", "users", &key, "grants"], rights).await;
    let inside = json!({"name": user.name, "login": user.name.to_lowercase()});
    server.set(&["databases", "own", "users", &user.name.to_lowercase()], inside).await;
    let document = server.contained_document(&user);
    let by_owner = server.by_admin(&document, &server.contained_document(&admin), &[]);
    let (kind, error) = refused(&by_owner).await;
    assert_eq!(kind, ErrorKind::Forbidden, "{error}");
    assert!(error.contains("let masterarn name a login") && !error.contains("GRANT"), "{error}");
}

#[tokio::test]
async fn rule_08_without_proof_no_account_is_reset() {
    let Some(server) = sqlserver().await else { return };
    let (user, admin) = (server.user("app").await, server.admin().await);
    let wrong = User { password: "Wrong-Canary-1".to_owned(), ..user.clone() };
    let (kind, error) = refused(&stage(&server, &wrong, &admin)).await;
    assert_eq!(kind, ErrorKind::Rejected, "{error}");
    assert!(!server.heard().await.contains("WITH PASSWORD"));
    // Unless the function's owner says so.
    let document = server.document(&wrong);
    let repairs = [("REPAIR_USERS", user.name.as_str())];
    let stage = server.by_admin(&document, &server.document(&admin), &repairs);
    stage.play(&Step::ALL).await;
    assert!(server.logs_in(&user.name, &stage.password(AWSCURRENT)).await);
}

/// A locked or disabled login is no matter of its password: nothing unlocks it in passing.
#[tokio::test]
async fn a_login_that_an_administrator_shut_out_stays_so() {
    let Some(server) = sqlserver().await else { return };
    let admin = server.admin().await;
    for field in ["locked", "disabled"] {
        let user = server.user("shut").await;
        server.set_login(&user.name, field, true).await;
        for variables in [&[][..], &[("REPAIR_USERS", user.name.as_str())]] {
            let document = server.document(&user);
            let stage = server.by_admin(&document, &server.document(&admin), variables);
            let (_, error) = refused(&stage).await;
            assert!(error.contains(field), "{error}");
        }
        let login = server.login(&user.name).await;
        assert_eq!((&login[field], &login["password"]), (&json!(true), &json!(user.password)));
    }
}

#[tokio::test]
async fn an_admin_at_another_server_is_refused() {
    let (Some(server), Some(other)) = (sqlserver().await, sqlserver().await) else { return };
    let (user, admin) = (server.user("app").await, other.admin().await);
    let stage = server.by_admin(&server.document(&user), &other.document(&admin), &[]);
    let (kind, error) = refused(&stage).await;
    assert_eq!(kind, ErrorKind::Mismatch, "{error}");
    // Its secret names a database of its own, which says nothing.
    let admin = server.admin().await;
    let document = with(&server.document(&admin), "dbname", "tempdb");
    server.by_admin(&server.document(&user), &document, &[]).play(&Step::ALL).await;
}
