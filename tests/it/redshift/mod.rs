//! rotate-postgres at a front that logs in as Amazon Redshift does, before a real PostgreSQL; and AWS's
//! own driver, which is asked whether a password works there. `parity_NN` are here the cases of AWS's Redshift
//! templates.

mod common;
mod conformance;
mod faults;
mod kills;
mod no_pairs;
pub mod pairs;
pub mod serverless;

use fourstep::store::AWSCURRENT;
use fourstep::{ErrorKind, Question, Step};
use fourstep_local::NewSecret;
use serde_json::json;
use sqlx::{ConnectOptions, Connection};

use crate::leaks::Planted;
use crate::support::postgres::User;
use crate::support::redshift::{Front, Kept, front};
use crate::support::stage::Stage;

const BY_ADMIN: (&str, &str) = ("ROTATION_STRATEGY", "single-user-by-admin");

/// A stage on which the admin sets the user's password.
fn by_admin(front: &Front, user: &User, admin: &User, variables: &[(&str, &str)]) -> Stage {
    let mut document = front.document(user);
    document["masterarn"] = json!("admin");
    let stage = front.stage(&document, variables);
    let value = Some(front.document(admin).to_string().as_str().into());
    stage.store.create("admin", NewSecret { value, ..NewSecret::default() }).unwrap();
    stage
}

/// How setSecret fails.
async fn refused(stage: &Stage) -> (ErrorKind, String) {
    let token = stage.play(&[Step::Create]).await;
    let ended = stage.step(Step::Set, &token).await;
    (ended.result.as_ref().unwrap_err().kind(), ended.error())
}

#[tokio::test]
async fn parity_19_by_digest_md5_and_cleartext_in_verified_tls() {
    let Some(front) = front().await else { return };
    for kind in ["digest", "md5", "cleartext"] {
        let user = front.user(kind).await;
        match kind {
            "md5" => front.keep(&user, Kept::Md5(user.password.clone())),
            "cleartext" => front.keep(&user, Kept::Cleartext(user.password.clone())),
            _ => {}
        }
        let stage = front.stage(&front.document(&user), &[]);
        stage.play(&Step::ALL).await;
        // Once more, from the digest that the first one left.
        stage.play(&Step::ALL).await;
        let password = stage.password(AWSCURRENT);
        assert!(front.logs_in(&user.name, &password).await, "{kind}");
        assert!(!front.logs_in(&user.name, &user.password).await, "{kind}: the first one");
        // Without TLS nothing of it is sent, unless the function's owner allows it.
        let mut document = stage.document(AWSCURRENT);
        document["ssl"] = json!(false);
        let (error, text) = refused(&front.stage(&document, &[])).await;
        assert_eq!(error, ErrorKind::Unsupported);
        assert!(text.contains("as a digest on a connection without TLS"), "{text}");
        let allowed = front.stage(&document, &[("ALLOW_WEAK_AUTHENTICATION", "true")]);
        allowed.play(&Step::ALL).await;
        assert!(!front.logs_in(&user.name, &password).await, "{kind}: the old one");
    }
}

#[tokio::test]
async fn parity_20_no_password_is_in_a_statement() {
    let Some(front) = front().await else { return };
    let mut planted = Planted::default();
    let (user, admin) = (front.user("app").await, front.admin().await);
    planted.add("the first password", &user.password);
    planted.add("the admin's password", &admin.password);
    let own = front.stage(&front.document(&user), &[]);
    own.play(&Step::ALL).await;
    let password = own.password(AWSCURRENT);
    planted.add("the second password", &password);
    let stage = by_admin(&front, &User { password, ..user.clone() }, &admin, &[BY_ADMIN]);
    stage.play(&Step::ALL).await;
    planted.add("the third password", &stage.password(AWSCURRENT));
    let heard = front.heard();
    let change = format!("ALTER USER \"{}\" PASSWORD 'sha256|", user.name);
    assert_eq!(heard.matches(&change).count(), 2, "{heard}");
    planted.assert_absent("what the front was sent", &heard);
    // The search finds what it is to find.
    let last = stage.password(AWSCURRENT);
    assert!(!planted.found_in(&format!("ALTER USER app PASSWORD '{last}'")).is_empty());
    assert!(front.logs_in(&user.name, &last).await);
}

#[tokio::test]
async fn parity_21_a_user_with_a_disabled_password_is_an_error() {
    let Some(front) = front().await else { return };
    let (user, admin) = (front.user("disabled").await, front.admin().await);
    front.keep(&user, Kept::Disabled);
    for stage in
        [front.stage(&front.document(&user), &[]), by_admin(&front, &user, &admin, &[BY_ADMIN])]
    {
        let (kind, text) = refused(&stage).await;
        assert_eq!(kind, ErrorKind::Rejected);
        assert!(text.contains("a user with PASSWORD DISABLE"), "{text}");
    }
    assert!(!front.heard().contains("PASSWORD"), "{}", front.heard());
}

#[tokio::test]
async fn rule_08_who_may_change_others_is_never_changed() {
    let Some(front) = front().await else { return };
    let admin = front.admin().await;
    // Redshift's own roles, one of which comes by another role.
    front
        .server
        .arrange(
            "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'sys:dba') THEN \
             CREATE ROLE \"sys:dba\"; CREATE ROLE \"redshift_team\" IN ROLE \"sys:dba\"; END IF; END $$",
        )
        .await;
    for (gives, why) in [
        ("ALTER ROLE {} SUPERUSER", "it is a superuser"),
        ("GRANT \"sys:dba\" TO {}", "it has the role sys:dba"),
        ("GRANT \"redshift_team\" TO {}", "it has the role sys:dba"),
    ] {
        let user = front.user("powerful").await;
        front.arrange(&user, gives).await;
        let (kind, text) = refused(&by_admin(&front, &user, &admin, &[BY_ADMIN])).await;
        assert_eq!(kind, ErrorKind::Unsupported);
        assert!(text.contains(why), "{text}");
        assert!(front.accepts(&user.name, &user.password));
    }
    // Permissions of the system, its own or of a role that comes by another.
    for by_role in [false, true] {
        let user = front.user("changer").await;
        let mut holder = user.clone();
        if by_role {
            holder.name += "_role";
            let [role, team] = [&holder.name, &format!("{}_team", user.name)];
            let roles =
                format!("CREATE ROLE \"{role}\"; CREATE ROLE \"{team}\" IN ROLE \"{role}\"");
            front.server.arrange(&roles).await;
            front.arrange(&user, &format!("GRANT \"{team}\" TO {{}}")).await;
        }
        front.plant("svv_system_privileges", &holder, "ALTER USER");
        let (kind, text) = refused(&by_admin(&front, &user, &admin, &[BY_ADMIN])).await;
        assert_eq!(kind, ErrorKind::Unsupported);
        assert!(text.contains("it has the permission ALTER USER"), "{text}");
        assert!(front.accepts(&user.name, &user.password));
    }
    let (user, other) = (front.user("app").await, front.user("other").await);
    front.arrange(&user, "ALTER ROLE {} CREATEDB").await;
    let (kind, text) = refused(&by_admin(&front, &user, &other, &[BY_ADMIN])).await;
    assert_eq!(kind, ErrorKind::Forbidden);
    assert!(text.contains("the admin is not a superuser"), "{text}");
    let ready = by_admin(&front, &user, &admin, &[BY_ADMIN]).ask(Question::Preflight).await;
    assert!(ready.to_string().contains("no lock and no change that compares"), "{ready}");
    by_admin(&front, &user, &admin, &[BY_ADMIN]).play(&Step::ALL).await;
    assert!(!front.accepts(&user.name, &user.password));
}

#[tokio::test]
async fn a_server_that_is_not_what_the_engine_says_is_refused_by_name() {
    let Some(front) = front().await else { return };
    let user = front.user("app").await;
    let mut document = front.document(&user);
    document["engine"] = json!("postgres");
    let (kind, text) = refused(&front.stage(&document, &[])).await;
    assert_eq!(kind, ErrorKind::Unsupported);
    assert!(text.contains("write \"redshift\" in the secret's field \"engine\""), "{text}");
    // PostgreSQL itself, which asks for SCRAM or for a cleartext password.
    for group in ["", "hba_password"] {
        let user = front.server.user("postgres").await;
        if !group.is_empty() {
            front.arrange(&user, &format!("GRANT {group} TO {{}}")).await;
        }
        let mut document = front.document(&user);
        (document["port"], document["dbname"]) = (json!(front.server.port), json!("postgres"));
        let trusting = [("TLS_CA_BUNDLE", front.server.ca.as_str())];
        let (kind, text) = refused(&Stage::new(&document, &trusting)).await;
        assert_eq!(kind, ErrorKind::Unsupported);
        assert!(text.contains("is not Amazon Redshift"), "{text}");
        assert!(front.server.logs_in_somehow(&user.name, &user.password).await);
    }
    let user = User { name: format!("{}X", user.name), ..user };
    let (kind, text) = refused(&front.stage(&front.document(&user), &[])).await;
    assert_eq!(kind, ErrorKind::Malformed);
    assert!(text.contains("\"username\" has a capital letter"), "{text}");
}

/// Before anything is stored.
#[tokio::test]
async fn passwords_that_do_not_fit_are_refused_at_create_secret() {
    let Some(front) = front().await else { return };
    let (user, admin) = (front.user("app").await, front.admin().await);
    for (variables, why) in [
        ([("PASSWORD_LENGTH", "100")], "PASSWORD_LENGTH (or the secret's tag) must be 8 to 64"),
        (
            [("EXCLUDE_NUMBERS", "true")],
            "must leave lower-case letters, capital letters and digits",
        ),
    ] {
        let stage = by_admin(&front, &user, &admin, &variables);
        let token = stage.begin();
        let ended = stage.step(Step::Create, &token).await;
        assert!(ended.error().contains(why), "{}", ended.error());
        assert_eq!(stage.try_text("AWSPENDING"), None);
    }
    assert!(front.accepts(&user.name, &user.password));
}

/// There is no lock: a change begins on a session that was just opened.
#[tokio::test]
async fn a_session_that_is_old_is_opened_anew_before_the_change() {
    let Some(front) = front().await else { return };
    let user = front.user("slow").await;
    let stage = front.stage(&front.document(&user), &[]);
    let token = stage.play(&[Step::Create]).await;
    front.slow_down(std::time::Duration::from_millis(2_200));
    stage.step(Step::Set, &token).await.why();
    assert_eq!(front.logins(), 2);
    assert!(!front.accepts(&user.name, &user.password));
}

/// In the user's own right, and whatever the views answer.
#[tokio::test]
async fn inspect_tells_of_open_sessions_and_of_valid_until_as_far_as_they_can_be_seen() {
    let Some(front) = front().await else { return };
    let user = front.user("seen").await;
    let stage = front.stage(&front.document(&user), &[]);
    let told = async || {
        // The server notices a moment later that the session of the last question has ended.
        let open = "SELECT count(*) FROM pg_stat_activity AS a WHERE a.usename";
        let both = format!("({open} = '{}') = 2", user.name);
        front.server.wait_for_session(&user, &both).await;
        let answer = stage.ask(Question::Inspect).await;
        let row = &answer["versions"][0];
        assert_eq!(row["verdict"], "accepted", "{answer}");
        (row["sessions"].as_u64(), row["ends_in_seconds"].as_i64())
    };
    let open = async || {
        let options = front.server.options(&user.name, &user.password, "postgres");
        options.connect().await.unwrap()
    };
    let clients = [open().await, open().await];
    assert_eq!(told().await, (Some(2), None));
    front.arrange(&user, "ALTER USER {} VALID UNTIL 'infinity'").await;
    assert_eq!(told().await, (Some(2), None));
    let until = "SELECT format('ALTER ROLE %I VALID UNTIL %L', 'USER', now() + interval '3 days')";
    let sql = front.server.text(&until.replace("USER", &user.name)).await;
    front.server.arrange(&sql).await;
    let (sessions, ends) = told().await;
    assert_eq!((sessions, ends.map(|ends| (ends + 60) / 86_400)), (Some(2), Some(3)), "{ends:?}");
    // Where a view is not to be had, the rest is told.
    front.refuse("SELECT CAST(process", ["42501", "planted"]);
    let (sessions, ends) = told().await;
    assert_eq!((sessions, ends.is_some()), (None, true));
    front.refuse("SELECT CAST(pg_backend_pid", ["0A000", "planted"]);
    assert_eq!(told().await, (None, None));
    front.refuse("SELECT CAST(pg_backend_pid", ["", "planted"]);
    assert_eq!(told().await, (None, None));
    for client in clients {
        client.close().await.unwrap();
    }
}
