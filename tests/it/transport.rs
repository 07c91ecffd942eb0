//! TLS and what is never sent without it, on a real PostgreSQL.

use fourstep::store::{AWSCURRENT, AWSPENDING};
use fourstep::{ErrorKind, Question, Step};
use serde_json::{Value, json};

use crate::support::postgres::{Server, User, server};
use crate::support::redis::{Keeping, redis};
use crate::support::stage::{Ended, Stage};

fn document(server: &Server, user: &User, ssl: Option<Value>) -> Value {
    let mut document = server.document(user);
    match ssl {
        Some(ssl) => document["ssl"] = ssl,
        None => drop(document.as_object_mut().unwrap().remove("ssl")),
    }
    document
}

/// The first two steps; how setSecret ended.
async fn set(stage: &Stage) -> Ended {
    let token = stage.play(&[Step::Create]).await;
    stage.step(Step::Set, &token).await
}

fn kind(ended: &Ended) -> ErrorKind {
    ended.result.as_ref().unwrap_err().kind()
}

/// Whether the server says that this user's sessions were encrypted.
async fn encrypted(server: &Server, user: &User) -> bool {
    let log = server.log_about(&user.name);
    let logins: Vec<&str> =
        log.lines().filter(|line| line.contains("connection authorized")).collect();
    assert!(!logins.is_empty());
    logins.iter().all(|line| line.contains("SSL enabled"))
}

#[tokio::test]
async fn parity_27_true_means_verified_tls_whatever_its_spelling() {
    let Some(server) = server() else { return };
    for ssl in [json!(true), json!("TRUE"), json!("true")] {
        let user = server.user("tls").await;
        let stage =
            Stage::new(&document(&server, &user, Some(ssl)), &[("TLS_CA_BUNDLE", &server.ca)]);
        for _ in 0..2 {
            stage.play(&Step::ALL).await;
        }
        assert!(encrypted(&server, &user).await);
        assert!(server.logs_in(&user.name, &stage.password(AWSCURRENT)).await);
    }
}

#[tokio::test]
async fn parity_27_false_means_plaintext_as_asked() {
    let Some(server) = server() else { return };
    for ssl in [json!(false), json!("False")] {
        let user = server.user("plain").await;
        let stage = Stage::new(&document(&server, &user, Some(ssl)), &[]);
        stage.play(&Step::ALL).await;
        assert!(!encrypted(&server, &user).await);
    }
}

#[tokio::test]
async fn beyond_06_an_authority_is_trusted_by_configuration_only() {
    let Some(server) = server() else { return };
    for variables in [vec![], vec![("TLS_CA_BUNDLE", server.other_ca.as_str())]] {
        let user = server.user("authority").await;
        let stage = Stage::new(&document(&server, &user, Some(json!(true))), &variables);
        let ended = set(&stage).await;
        assert_eq!(kind(&ended), ErrorKind::Tls);
        assert!(ended.error().contains("TLS_CA_BUNDLE"), "{}", ended.error());
        assert_eq!(ended.stats.rejected_logins, 0, "a TLS failure is never a rejected password");
        assert!(!server.log_about(&user.name).contains("authorized"), "no other mode was tried");
        // With the authority's own certificate, the same secret rotates.
        let trusting = Stage::new(&stage.document(AWSCURRENT), &[("TLS_CA_BUNDLE", &server.ca)]);
        trusting.play(&Step::ALL).await;
    }
}

#[tokio::test]
async fn beyond_06_a_host_that_the_certificate_does_not_name_needs_the_name_configured() {
    let Some(server) = server() else { return };
    let user = server.user("name").await;
    let mut document = document(&server, &user, Some(json!(true)));
    document["host"] = json!("127.0.0.1");
    let ca = ("TLS_CA_BUNDLE", server.ca.as_str());
    let ended = set(&Stage::new(&document, &[ca])).await;
    assert_eq!(kind(&ended), ErrorKind::Tls);
    assert!(ended.error().contains("TLS_SERVER_NAME"), "{}", ended.error());
    let stage = Stage::new(&document, &[ca, ("TLS_SERVER_NAME", "localhost")]);
    stage.play(&Step::ALL).await;
    assert!(encrypted(&server, &user).await);
    let wrong = [ca, ("TLS_SERVER_NAME", "elsewhere.example")];
    let ended = set(&Stage::new(&stage.document(AWSCURRENT), &wrong)).await;
    assert_eq!(kind(&ended), ErrorKind::Tls);
}

#[tokio::test]
async fn beyond_05_an_absent_or_unreadable_ssl_means_verified_tls() {
    let Some(server) = server() else { return };
    for ssl in [None, Some(json!(null)), Some(json!("prefer")), Some(json!(1))] {
        let unreadable = ssl.as_ref().is_some_and(|ssl| !ssl.is_null());
        let user = server.user("absent").await;
        let document = document(&server, &user, ssl);
        let stage = Stage::new(&document, &[("TLS_CA_BUNDLE", &server.ca)]);
        let ended = set(&stage).await;
        ended.why();
        assert_eq!(!ended.stats.warnings.is_empty(), unreadable, "{:?}", ended.stats.warnings);
        assert!(encrypted(&server, &user).await);
        // Without the CA it fails; there is no falling back.
        let ended = set(&Stage::new(&document, &[])).await;
        assert_eq!(kind(&ended), ErrorKind::Tls);
        assert!(encrypted(&server, &user).await, "nothing went in plaintext");
    }
}

#[tokio::test]
async fn beyond_05_falling_back_is_opt_in_and_warned_about() {
    let Some(server) = server() else { return };
    let user = server.user("fallback").await;
    let variables = [("ALLOW_PLAINTEXT_FALLBACK", "true")];
    let stage = Stage::new(&document(&server, &user, None), &variables);
    let ended = set(&stage).await;
    ended.why();
    let warnings = ended.stats.warnings.join("; ");
    assert!(warnings.contains("ALLOW_PLAINTEXT_FALLBACK"), "{warnings}");
    assert!(server.logs_in(&user.name, &stage.password(AWSPENDING)).await);
    // `ssl` true is never weakened by it.
    let ended = set(&Stage::new(&document(&server, &user, Some(json!(true))), &variables)).await;
    assert_eq!(kind(&ended), ErrorKind::Tls);
}

#[tokio::test]
async fn beyond_05_a_wrong_password_never_leads_to_plaintext() {
    let Some(server) = server() else { return };
    let user = server.user("wrong").await;
    let mut document = document(&server, &user, None);
    document["password"] = json!("canary-wrong");
    let variables = [("ALLOW_PLAINTEXT_FALLBACK", "true"), ("TLS_CA_BUNDLE", server.ca.as_str())];
    let ended = set(&Stage::new(&document, &variables)).await;
    assert_eq!(kind(&ended), ErrorKind::Rejected);
    assert_eq!(ended.stats.connections, 2, "current and pending, each over TLS only");
    assert!(ended.stats.warnings.is_empty(), "{:?}", ended.stats.warnings);
}

async fn join(server: &Server, user: &User, group: &str) {
    server.arrange(&format!("GRANT {group} TO \"{}\"", user.name)).await;
}

/// F15: where the server asks for no password, any password would be accepted.
#[tokio::test]
async fn rule_05_a_login_without_a_password_check_proves_nothing() {
    let Some(server) = server() else { return };
    for ssl in [json!(true), json!(false)] {
        let user = server.user("trusted").await;
        join(&server, &user, "hba_trust").await;
        let stage =
            Stage::new(&document(&server, &user, Some(ssl)), &[("TLS_CA_BUNDLE", &server.ca)]);
        let token = stage.play(&[Step::Create]).await;
        for step in [Step::Set, Step::Test] {
            let ended = stage.step(step, &token).await;
            assert_eq!(kind(&ended), ErrorKind::Unsupported, "{}", ended.error());
        }
    }
}

#[tokio::test]
async fn rule_09_a_cleartext_or_md5_password_is_never_sent_in_plaintext() {
    let Some(server) = server() else { return };
    for group in ["hba_password", "hba_md5"] {
        let user = server.user("weak").await;
        join(&server, &user, group).await;
        if group == "hba_md5" {
            // MD5 is asked for only where the stored password is an MD5 hash.
            let sql = "SET password_encryption = md5; ALTER ROLE";
            server
                .arrange_quietly(&format!("{sql} \"{}\" PASSWORD '{}'", user.name, user.password))
                .await;
        }
        let ca = ("TLS_CA_BUNDLE", server.ca.as_str());
        let plain = document(&server, &user, Some(json!(false)));
        let ended = set(&Stage::new(&plain, &[ca])).await;
        assert_eq!(kind(&ended), ErrorKind::Unsupported, "{}", ended.error());
        assert_eq!(ended.stats.rejected_logins, 0);
        // Inside verified TLS the same login is fine, and the new password is kept by SCRAM.
        let stage = Stage::new(&document(&server, &user, Some(json!(true))), &[ca]);
        stage.play(&Step::ALL).await;
        // Asked for explicitly, it is sent.
        let mut plain = stage.document(AWSCURRENT);
        plain["ssl"] = json!(false);
        let stage = Stage::new(&plain, &[("ALLOW_WEAK_AUTHENTICATION", "1")]);
        stage.play(&Step::ALL).await;
        assert!(server.logs_in(&user.name, &stage.password(AWSCURRENT)).await);
    }
}

#[tokio::test]
async fn causes_of_a_failed_login_are_told_apart() {
    let Some(server) = server() else { return };
    let no_change = |field: &str, value: Value, user: &User| {
        let mut document = server.document(user);
        document[field] = value;
        Stage::new(&document, &[])
    };
    let mut seen = Vec::new();
    let mut check = |stage: Ended, expected: ErrorKind, words: &str| {
        assert_eq!(kind(&stage), expected, "{}", stage.error());
        let error = stage.error();
        assert!(error.contains(words), "{words}: {error}");
        assert!(!error.contains("canary"), "{error}");
        assert!(!seen.contains(&error), "two causes share a message: {error}");
        seen.push(error);
    };
    let user = server.user("cause").await;
    let missing = no_change("dbname", json!("no_such_database"), &user);
    check(set(&missing).await, ErrorKind::NotFound, "no_such_database");
    let unresolvable = no_change("host", json!("no-such-host.invalid"), &user);
    check(set(&unresolvable).await, ErrorKind::Unreachable, "resolve");
    let closed = no_change("port", json!(1), &user);
    check(set(&closed).await, ErrorKind::Unreachable, "refused");
    let refused = no_change("dbname", json!("nohba"), &user);
    check(set(&refused).await, ErrorKind::Forbidden, "pg_hba");
    let nologin = server.user("nologin").await;
    server.arrange(&format!("ALTER ROLE \"{}\" NOLOGIN", nologin.name)).await;
    let stage = no_change("dbname", json!("postgres"), &nologin);
    check(set(&stage).await, ErrorKind::Forbidden, "log in");
    let limited = server.user("limited").await;
    server.arrange(&format!("ALTER ROLE \"{}\" CONNECTION LIMIT 0", limited.name)).await;
    let stage = no_change("dbname", json!("postgres"), &limited);
    check(set(&stage).await, ErrorKind::Throttled, "connections");
    let expired = server.user("expired").await;
    server.arrange(&format!("ALTER ROLE \"{}\" VALID UNTIL '2001-01-01'", expired.name)).await;
    let stage = no_change("dbname", json!("postgres"), &expired);
    check(set(&stage).await, ErrorKind::Rejected, "VALID UNTIL");
    let tls_only = server.user("tlsonly").await;
    join(&server, &tls_only, "hba_tls_only").await;
    let stage = no_change("dbname", json!("postgres"), &tls_only);
    check(set(&stage).await, ErrorKind::Forbidden, "pg_hba");
}

/// As MySQL makes certificates for itself: signed by an authority, and without a name. At a real Redis,
/// which takes the certificate that it is given.
#[tokio::test]
async fn b1_a_certificate_without_a_name_is_believed_only_where_the_function_says_so() {
    let Some(redis) = redis() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let make = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=own -keyout ca.key -out ca.pem &&
        openssl req -newkey rsa:2048 -nodes -subj /CN=Auto_Generated -keyout key.pem -out csr.pem &&
        echo basicConstraints=CA:FALSE >ext &&
        openssl x509 -req -days 2 -in csr.pem -extfile ext -CA ca.pem -CAkey ca.key -CAcreateserial -out cert.pem";
    let made = std::process::Command::new("sh").args(["-c", make]).current_dir(&folder).output();
    assert!(made.unwrap().status.success());
    let (cert, key) = (file("cert.pem"), file("key.pem"));
    let settings = [format!("tls-cert-file {cert}"), format!("tls-key-file {key}")];
    let settings = settings.each_ref().map(String::as_str);
    let server = redis.start(Keeping::AclFile, &settings).await;
    let user = server.user("unnamed").await;
    let stage = |variables: &[(&str, &str)]| server.stage(&server.document(&user), variables);
    let refusal = async |variables: &[(&str, &str)]| {
        let stage = stage(variables);
        let ended = stage.step(Step::Create, &stage.begin()).await;
        assert_eq!(kind(&ended), ErrorKind::Tls);
        ended.error()
    };
    let ca = file("ca.pem");
    let (ca, any) = (("TLS_CA_BUNDLE", ca.as_str()), ("ALLOW_ANY_SERVER_NAME", "true"));
    let error = refusal(&[ca]).await;
    assert!(error.contains("ALLOW_ANY_SERVER_NAME"), "{error}");
    stage(&[ca, any]).play(&Step::ALL).await;
    // The authority of the other tests is none of this server's.
    let error = refusal(&[any]).await;
    assert!(error.contains("not trusted"), "{error}");
}

/// What a step says of it is in `framework/src/net/tls/tests.rs`.
#[tokio::test]
async fn preflight_names_the_region_whose_roots_a_build_has_not() {
    let Some(server) = server() else { return };
    let user = server.user("uncovered").await;
    // Its certificate is of an authority that the build has not, as that of a new Region would be.
    let name = ("TLS_SERVER_NAME", "db.c1.xx-north-9.rds.amazonaws.com");
    let stage = Stage::new(&document(&server, &user, Some(json!(true))), &[name]);
    let before = stage.labels();
    let answer = stage.ask(Question::Preflight).await;
    let found = &answer["findings"][0];
    assert_eq!((&answer["ready"], &found["kind"]), (&json!(false), &json!("Tls")), "{answer}");
    let said = "this build has no Amazon RDS roots of the Region xx-north-9: name AWS's bundle for that \
                Region in TLS_CA_BUNDLE, or run scripts/update-rds-roots";
    assert!(found["finding"].as_str().unwrap().contains(said), "{answer}");
    assert_eq!(stage.labels(), before);
}
