//! User names and passwords that break careless quoting.

use fourstep::Step;
use fourstep::store::AWSCURRENT;
use serde_json::json;

use crate::support::postgres::server;
use crate::support::stage::Stage;

use super::with;

#[tokio::test]
async fn parity_25_hostile_user_names_change_only_that_user_twice() {
    let Some(server) = server() else { return };
    let bystander = server.user("bystander").await;
    for stem in [
        "quote\"d",
        "apo'strophe",
        "back\\slash",
        "per%cent%s",
        "with space",
        "semi;colon; DROP ROLE x; --",
        "UPPER",
        "ünï☃",
        "comma,equals=",
        "$dollar$1",
        "tab\there",
        "{brace}",
        "a@b:c/d",
        "new\nline",
        "\u{a0}nbsp",
        "-- comment",
        "/* c",
        "E'\\x41'",
    ] {
        let user = server.user(stem).await;
        let stage = Stage::new(&server.document(&user), &[]);
        let mut last = user.password.clone();
        for _ in 0..2 {
            stage.play(&Step::ALL).await;
            let now = stage.password(AWSCURRENT);
            assert!(server.logs_in_somehow(&user.name, &now).await, "{stem:?}");
            assert!(!server.logs_in_somehow(&user.name, &last).await, "{stem:?}");
            last = now;
        }
    }
    assert!(server.logs_in(&bystander.name, &bystander.password).await);
}

#[tokio::test]
async fn parity_26_hostile_passwords_work_exactly_twice() {
    let Some(server) = server() else { return };
    for password in [
        "per%cent%s",
        "quo'te",
        "dou\"ble",
        "back\\slash\\",
        "$dollar$$tag$",
        "with space ",
        ";semi--",
        "ünï☃",
        "{}[]()",
        "`tick`",
        "a:b@c/d?e#f&g=h",
        "E'\\x41'",
        "SCRAM-SHA-256$4096:x",
        "md5abc",
    ] {
        let user = server.user_with("password", password).await;
        let stage = Stage::new(&server.document(&user), &[]);
        stage.play(&Step::ALL).await;
        // And as the value that is rotated in.
        let token = stage.begin();
        stage.put_pending(&token, &with(&server.document(&user), "password", password));
        for step in [Step::Set, Step::Test, Step::Finish] {
            stage.step(step, &token).await.why();
        }
        // Asked of two clients that share no code.
        assert!(server.logs_in(&user.name, password).await, "{password:?}");
        assert!(server.logs_in_somehow(&user.name, password).await, "{password:?}");
    }
}

#[tokio::test]
async fn parity_26_passwords_made_of_every_printable_character_work() {
    let Some(server) = server() else { return };
    let user = server.user("printable").await;
    let variables = [("EXCLUDE_CHARACTERS", "\u{7f}"), ("PASSWORD_LENGTH", "400")];
    let stage = Stage::new(&server.document(&user), &variables);
    for _ in 0..3 {
        stage.play(&Step::ALL).await;
        assert!(server.logs_in(&user.name, &stage.password(AWSCURRENT)).await);
    }
}

#[tokio::test]
async fn parity_28_a_port_written_as_text_and_an_absent_database_name_work() {
    let Some(server) = server() else { return };
    let user = server.user("defaults").await;
    let mut document = with(&server.document(&user), "port", server.port.to_string());
    document.as_object_mut().unwrap().remove("dbname");
    let stage = Stage::new(&document, &[]);
    stage.play(&Step::ALL).await;
    assert_eq!(stage.document(AWSCURRENT)["port"], json!(server.port.to_string()), "kept as text");
    let stage = Stage::new(&with(&stage.document(AWSCURRENT), "dbname", json!(null)), &[]);
    stage.play(&Step::ALL).await;
}
