//! Certificates that name no server, as MySQL makes them for itself, at real servers of every kind: what
//! the error says to do works in the state in which it is said.

use fourstep::store::AWSCURRENT;
use fourstep::{ErrorKind, Step};

use crate::support::mysql;
use crate::support::postgres::further;
use crate::support::stage::Stage;
use crate::support::twins;

/// Fails unless such a certificate is believed only where the function says so, and an authority that
/// is not trusted is believed nowhere.
async fn assert_believed_where_said(
    stage: impl Fn(&[(&str, &str)]) -> Stage,
    [ca, other]: [&str; 2],
) -> Stage {
    let [ca, other] = [ca, other].map(|file| ("TLS_CA_BUNDLE", file));
    let any = ("ALLOW_ANY_SERVER_NAME", "true");
    for (variables, says) in [(&[ca][..], any.0), (&[other, any], "not trusted")] {
        let stage = stage(variables);
        let token = stage.play(&[Step::Create]).await;
        let ended = stage.step(Step::Set, &token).await;
        let error = ended.error();
        assert_eq!(ended.result.unwrap_err().kind(), ErrorKind::Tls, "{error}");
        assert!(error.contains(says), "{error}");
        // It carries none, and the secret says "ssl" already.
        assert!(!error.contains("a name it carries") && !error.contains("\"ssl\""), "{error}");
    }
    let stage = stage(&[ca, any]);
    stage.play(&Step::ALL).await;
    stage
}

#[tokio::test]
async fn b1_a_mysql_or_mariadb_without_a_name_is_believed_where_the_function_says_so() {
    let _turn = twins().await;
    let names = [("mysql", "MYSQL_TWIN"), ("mysql", "MYSQL80_TWIN"), ("mariadb", "MARIADB_STRICT")];
    for server in names.into_iter().filter_map(|(engine, name)| mysql::server(engine, name)) {
        let user = server.user("unnamed").await;
        let [ca, other] = ["ca", "other-ca"].map(|name| server.file(&format!("tls/{name}.pem")));
        let text = server.document(&user).to_string();
        // One of the servers checks passwords, and so takes no hash.
        let plaintext = ("MARIADB_PASSWORD_FORMAT", "plaintext");
        let stage = |variables: &[(&str, &str)]| {
            let all = variables.iter().copied().chain([plaintext]).collect();
            Stage::of(rotate_mysql::strategies, &text, all)
        };
        let stage = assert_believed_where_said(stage, [&ca, &other]).await;
        assert!(server.logs_in(&user.name, &stage.password(AWSCURRENT)).await);
    }
}

#[tokio::test]
async fn b1_a_postgresql_without_a_name_is_believed_where_the_function_says_so() {
    let _turn = twins().await;
    for server in ["POSTGRES_TWIN", "POSTGRES18_TWIN"].into_iter().filter_map(further) {
        let user = server.user("unnamed").await;
        let mut document = server.document(&user);
        document["ssl"] = true.into();
        let stage = |variables: &[(&str, &str)]| Stage::new(&document, variables);
        let stage = assert_believed_where_said(stage, [&server.ca, &server.other_ca]).await;
        assert!(server.logs_in(&user.name, &stage.password(AWSCURRENT)).await);
    }
}
