//! Who still uses a login: what the functions say of sessions and ends, what doctor makes of it, and the
//! metric of a rotation. At real servers, by the real functions.

use fourstep::store::{AWSCURRENT, AWSPREVIOUS, Select};
use serde_json::{Value, json};
use sqlx::{ConnectOptions, Connection};

use super::states::{Fleet, POSTGRES, document};
use super::{doctor, text};
use crate::support::door::{Door, Way};
use crate::support::host::{Host, days};
use crate::support::{mysql, postgres};

/// The row of the answer to `inspect` whose version has this label.
fn row<'a>(said: &'a Value, label: &str) -> &'a Value {
    let rows = said["inspection"]["versions"].as_array().unwrap();
    rows.iter().find(|row| row["labels"].as_array().unwrap().contains(&json!(label))).unwrap()
}

fn kinds(said: &Value) -> Vec<&str> {
    let troubles = said["troubles"].as_array().unwrap();
    troubles.iter().map(|one| one["kind"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_of_the_login_that_is_replaced_next_are_told_and_counted() {
    let Some(server) = postgres::server() else { return };
    let _undisturbed = postgres::undisturbed().await;
    let host = Host::start().await;
    let strategies = [("ROTATION_STRATEGY", "single-user,alternating-users")];
    host.ours(POSTGRES, "rotate-postgres", &strategies);
    let door = Door::new(Way::To(server.port)).await;
    let fleet = Fleet { host: &host, server: &server, mysql: None, door };
    fleet.secret("used", "alternating-users").await;
    host.rotate("used").await;
    let (said, code) = doctor(&host, &["used", "--ask"]).await;
    assert_eq!((code, kinds(&said["used"][0])), (Some(0), vec![]), "{said:#?}");

    // Two clients have not read the secret since.
    let login = |label| document(host.store(), "used", Select::Label(label)).unwrap();
    let mut clients = Vec::new();
    for label in [AWSPREVIOUS, AWSPREVIOUS, AWSCURRENT] {
        let login = login(label);
        let (user, password) = (text(&login, "username"), text(&login, "password"));
        clients.push(server.options(user, password, "postgres").connect().await.unwrap());
    }
    let (said, code) = doctor(&host, &["used", "--ask"]).await;
    let said = &said["used"][0];
    assert_eq!((code, kinds(said)), (Some(1), vec!["in-use"]), "{said:#}");
    let why = text(&said["troubles"][0], "text");
    let user = login(AWSPREVIOUS)["username"].clone();
    assert!(why.contains(&user.to_string()) && why.contains("2 sessions open"), "{why}");
    assert_eq!(row(said, AWSPREVIOUS)["user"], user);
    assert_eq!(row(said, AWSPREVIOUS)["sessions"], 2);
    assert_eq!(row(said, AWSCURRENT)["sessions"], 1);
    assert_eq!(said["inspection"]["strategy"], "alternating-users");
    assert_eq!(said["inspection"]["form"], "two users");

    let counted = |host: &Host| {
        let lines = host.lines("used");
        let of = |line: &&Value| line["step"] == "setSecret" && line["outcome"] == "done";
        lines.iter().rfind(of).unwrap()["SessionsOfReplaced"].clone()
    };
    assert_eq!(counted(&host), 0);
    host.rotate("used").await;
    assert_eq!(counted(&host), 2);
    for client in clients {
        client.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_ends_or_does_not_log_in_is_told_before_the_next_rotation() {
    let Some(server) = postgres::server() else { return };
    let _undisturbed = postgres::undisturbed().await;
    let host = Host::start().await;
    host.ours(POSTGRES, "rotate-postgres", &[]);
    let door = Door::new(Way::To(server.port)).await;
    let fleet = Fleet { host: &host, server: &server, mysql: None, door };
    let user = fleet.secret("ends", "single-user").await;
    let until = "SELECT format('ALTER ROLE %I VALID UNTIL %L', 'USER', now() + interval '3 days')";
    let soon = server.text(&until.replace("USER", &user.name)).await;
    let never = format!("ALTER ROLE \"{}\" VALID UNTIL 'infinity'", user.name);
    for (sql, told) in [(soon, true), (never, false)] {
        server.arrange(&sql).await;
        let (said, _) = doctor(&host, &["ends", "--ask"]).await;
        let said = &said["ends"][0];
        assert_eq!(kinds(said) == ["ends"], told, "{said:#}");
        assert_eq!(row(said, AWSCURRENT)["ends_in_seconds"].is_number(), told, "{said:#}");
    }
    fleet.set("ends", AWSCURRENT, Some("of a person")).await;
    let (said, code) = doctor(&host, &["ends", "--ask"]).await;
    assert_eq!((code, kinds(&said["ends"][0])), (Some(1), vec!["locked-out"]), "{said:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_tells_a_user_of_its_own_sessions() {
    let Some(server) = mysql::mysql() else { return };
    let host = Host::start().await;
    let trust = server.variables();
    let trust: Vec<_> = trust.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let strategy = [("ROTATION_STRATEGY", "dual-password")];
    host.ours("fourstep-mysql", "rotate-mysql", &[&trust[..], &strategy].concat());
    let user = server.dual_user("used").await;
    host.secret("used", &server.document(&user), Some(("fourstep-mysql", days(30))));
    let mut client = server.open(&user.name, &user.password).await;
    assert_eq!(client.ask("SELECT 1").await, "1");
    host.rotate("used").await;
    // Both passwords log in, and neither login of the inspection counts.
    let (said, _) = doctor(&host, &["used", "--ask"]).await;
    let said = &said["used"][0];
    for label in [AWSCURRENT, AWSPREVIOUS] {
        assert_eq!(row(said, label)["verdict"], "accepted", "{said:#}");
        assert_eq!(row(said, label)["sessions"], 1, "{said:#}");
    }
    assert_eq!(said["inspection"]["form"], "two passwords");
}
