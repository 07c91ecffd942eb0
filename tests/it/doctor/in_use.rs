//! Who still uses a login: what the functions say of sessions and ends, what doctor makes of it, and the
//! metric of a rotation. At real servers, by the real functions.

use std::time::Duration;

use fourstep::store::{AWSCURRENT, AWSPREVIOUS, Select};
use fourstep::users::{Attempt, Database, Login, driver};
use fourstep::{Deadline, Invocation, Secret};
use rotate_mongodb::Mongodb;
use rotate_sqlserver::Sqlserver;
use serde_json::{Value, json};
use sqlx::{ConnectOptions, Connection};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::states::{Fleet, POSTGRES, document};
use super::{doctor, text};
use crate::support::door::{Door, Way};
use crate::support::host::{Host, days};
use crate::support::mongodb::{self, SET};
use crate::support::redis::{Keeping, flavours};
use crate::support::{mysql, postgres, sqlserver};

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
    let fleet =
        Fleet { host: &host, server: &server, mysql: None, vendor: None, others: None, door };
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
    // The server notices a moment later that the functions' own sessions have ended.
    let settled = async |label: &'static str, number: u32| {
        let (name, password) = (text(&login(label), "username").to_owned(), String::new());
        let own = format!("SELECT count(*) FROM pg_stat_activity AS a WHERE a.usename = '{name}'");
        let user = postgres::User { name, password };
        server.wait_for_session(&user, &format!("({own}) = {number}")).await;
    };
    settled(AWSPREVIOUS, 2).await;
    settled(AWSCURRENT, 1).await;
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
    settled(AWSPREVIOUS, 2).await;
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
    let fleet =
        Fleet { host: &host, server: &server, mysql: None, vendor: None, others: None, door };
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
    let open =
        format!("SELECT COUNT(*) FROM information_schema.processlist WHERE user = '{}'", user.name);
    while server.arrange(&open).await.trim() != "1" {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Both passwords log in, and neither login of the inspection counts.
    let (said, _) = doctor(&host, &["used", "--ask"]).await;
    let said = &said["used"][0];
    for label in [AWSCURRENT, AWSPREVIOUS] {
        assert_eq!(row(said, label)["verdict"], "accepted", "{said:#}");
        assert_eq!(row(said, label)["sessions"], 1, "{said:#}");
    }
    assert_eq!(said["inspection"]["form"], "two passwords");
}

/// The function of a server, and a secret of its user.
fn set_up(host: &Host, binary: &'static str, trust: &[(String, String)], document: &Value) {
    let trust: Vec<_> = trust.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    host.ours(binary, binary, &trust);
    host.secret("used", document, Some((binary, days(30))));
}

/// How many sessions each accepted version has, as doctor says.
async fn sessions(host: &Host) -> Vec<Value> {
    let (said, code) = doctor(host, &["used", "--ask"]).await;
    let said = &said["used"][0];
    assert_eq!((code, kinds(said)), (Some(0), vec![]), "{said:#}");
    let rows = said["inspection"]["versions"].as_array().unwrap();
    assert!(rows.iter().all(|row| row["verdict"] == "accepted"), "{said:#}");
    rows.iter().map(|row| row["sessions"].clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_tells_a_user_that_may_ask_of_its_own_sessions() {
    for flavour in flavours() {
        let (server, host) = (flavour.start(Keeping::AclFile, &[]).await, Host::start().await);
        let user = server.user("used").await;
        host.secret("admin", &server.admin_document(), None);
        set_up(&host, "rotate-redis", &server.variables(), &server.document(&user));
        host.rotate("used").await;
        let mut client = TcpStream::connect(("127.0.0.1", server.plain_port)).await.unwrap();
        let login = format!("AUTH {} {}\r\n", user.name, user.password);
        client.write_all(login.as_bytes()).await.unwrap();
        assert_eq!(client.read_u8().await.unwrap(), b'+');
        assert_eq!(sessions(&host).await, [Value::Null, Value::Null]);
        // docs/operate.md has the rules.
        server.set(&user.name, &["+client|id", "+client|list"]).await;
        assert_eq!(sessions(&host).await, [1, 1]);
        drop(client);
        server.says(&["CLIENT", "LIST"], "user=arranger").await;
        assert_eq!(sessions(&host).await, [0, 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mongodb_tells_a_user_of_its_own_sessions() {
    let _undisturbed = SET.read().await;
    for server in mongodb::servers() {
        let (user, host) = (server.user("used").await, Host::start().await);
        set_up(&host, "rotate-mongodb", &server.variables(), &server.document(&user));
        let secret = Secret::decode(&server.document(&user).to_string().into());
        let database = Mongodb::read(&server.variables().into_iter().collect()).unwrap();
        let login = Login::read(&secret, database.dialect()).unwrap();
        let cx = Invocation::new(Deadline::after(Duration::from_secs(30)));
        let client = driver::log_in(&database, &login, &cx).await.unwrap();
        assert!(matches!(client, Attempt::Accepted(_)));
        // A mongos shows connections of its own to the shards.
        let knows = Some(server.port) != mongodb::mongos().map(|one| one.port);
        assert_eq!(sessions(&host).await, [if knows { json!(1) } else { Value::Null }]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sql_server_tells_a_login_that_may_see_its_state_of_its_own_sessions() {
    let Some(server) = sqlserver::sqlserver().await else { return };
    let (user, host) = (server.user("used").await, Host::start().await);
    set_up(&host, "rotate-sqlserver", &server.variables(), &server.document(&user));
    let secret = Secret::decode(&server.document(&user).to_string().into());
    let database = Sqlserver::read(&server.variables().into_iter().collect()).unwrap();
    let login = Login::read(&secret, database.dialect()).unwrap();
    let cx = Invocation::new(Deadline::after(Duration::from_secs(30)));
    let client = driver::log_in(&database, &login, &cx).await.unwrap();
    assert!(matches!(client, Attempt::Accepted(_)));
    // Without the right it is shown its own session only, and the answer is none.
    assert_eq!(sessions(&host).await, [Value::Null]);
    server.set_login(&user.name, "grants", json!(["VIEW SERVER STATE"])).await;
    assert_eq!(sessions(&host).await, [1]);
    // A server that refuses the question is inspected all the same.
    server.trap("sys.dm_exec_sessions AS s WHERE s.original", "fail", json!({"number": 300})).await;
    assert_eq!(sessions(&host).await, [Value::Null]);
    drop(client);
}
