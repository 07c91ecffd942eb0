//! How rotate-sqlserver fails: each fault, made for real, with its kind and its whole message in the table.

use expect_test::expect_file;
use serde_json::{Value, json};

use super::with;
use crate::support::fault_table::FaultTable;
use crate::support::hostile::mail_server;
use crate::support::sqlserver::{Server, User, sqlserver};
use crate::support::stage::Stage;

/// A table in which these users have the names of their parts.
fn mask(table: &mut FaultTable, port: u16, user: &User, admin: &User) {
    table.mask([(&user.name, "USER"), (&admin.name, "ADMIN"), (&port, "PORT")]);
}

async fn of_the_login(table: &mut FaultTable, server: &Server) {
    let (user, nobody) = (server.user("app").await, server.admin().await);
    mask(table, server.port, &user, &nobody);
    let document = server.document(&user);
    let stage = || server.stage(&document, &[]);
    let wrong = server.stage(&with(&document, "password", "canary-wrong"), &[]);
    table.set("every password is refused", &wrong).await;
    for (name, field) in [
        ("the login is locked", "locked"),
        ("the login is disabled", "disabled"),
        ("the password has expired", "expired"),
        ("the password must be changed", "must change"),
    ] {
        server.set_login(&user.name, field, true).await;
        table.test(name, &stage()).await;
        server.set_login(&user.name, field, false).await;
    }
    let elsewhere = server.stage(&with(&document, "dbname", "nowhere"), &[]);
    table.test("the database is not there", &elsewhere).await;
    for (name, numbers) in [
        ("Windows logins only", &[18452][..]),
        ("a logon trigger refuses", &[17892]),
        ("the server is starting", &[18451]),
        ("too many licences", &[18459]),
        ("the database is recovering", &[922, 18456]),
        ("too many connections", &[17809]),
        ("an error that nobody expects", &[18499]),
    ] {
        server.set(&["says"], json!(numbers)).await;
        table.test(name, &stage()).await;
        server.set(&["says"], Value::Null).await;
    }
    server.set(&["identity"], json!({"1": "somebody"})).await;
    table.test("the session is somebody else's", &stage()).await;
    server.set(&["identity"], Value::Null).await;
}

async fn of_the_network(table: &mut FaultTable, server: &Server) {
    let (user, nobody) = (server.user("app").await, server.admin().await);
    mask(table, server.port, &user, &nobody);
    let document = server.document(&user);
    let plain = with(&document, "ssl", false);
    let weak = [("ALLOW_WEAK_AUTHENTICATION", "true")];
    table.test("plaintext that is not allowed", &server.stage(&plain, &[])).await;
    table.test("a server that demands TLS", &server.stage(&plain, &weak)).await;
    server.set(&["encrypt"], "not supported").await;
    table.test("a server without TLS", &server.stage(&document, &[])).await;
    server.set(&["encrypt"], "required").await;
    let named = with(&document, "host", "127.0.0.1");
    table.test("a certificate of another name", &server.stage(&named, &[])).await;
    let port = mail_server().await;
    mask(table, port, &user, &nobody);
    let elsewhere = with(&document, "port", port);
    table.test("another kind of server", &server.stage(&elsewhere, &[])).await;
}

async fn of_the_change(table: &mut FaultTable, server: &Server) {
    for (name, number) in [
        ("used before", 15115),
        ("too short", 15116),
        ("too long", 15117),
        ("not complex enough", 15118),
        ("refused by a filter", 15119),
        ("changed too recently", 15114),
        ("somebody changed the password meanwhile", 15151),
        ("a trigger undid the change", 3609),
        ("a trigger raised an error and undid nothing, or did", 50000),
        ("a lock time-out", 1222),
        ("an error that nobody expects at the change", 15999),
    ] {
        let (user, nobody) = (server.user("app").await, server.admin().await);
        mask(table, server.port, &user, &nobody);
        server.trap("ALTER LOGIN", "fail", json!({"number": number})).await;
        table.set(name, &server.stage(&server.document(&user), &[])).await;
        server.no_traps().await;
        assert_eq!(server.login(&user.name).await["password"], json!(user.password), "{name}");
    }
    let (user, nobody) = (server.user("app").await, server.admin().await);
    mask(table, server.port, &user, &nobody);
    let stage = server.stage(&server.document(&user), &[]);
    server.trap("ALTER LOGIN", "cut before", json!({"once": true})).await;
    table.set("the connection is lost at the change", &stage).await;
    let stage = server.stage(&server.document(&user), &[]);
    let name = format!("fourstep:login:{}", user.name);
    server.trap("sp_getapplock", "fail", json!({"number": 229})).await;
    table.set("the lock may not be taken", &stage).await;
    server.no_traps().await;
    server.tell(json!({"do": "hold", "name": name, "database": "master"})).await;
    let mut stage = server.stage(&server.document(&user), &[]);
    stage.timeout = std::time::Duration::from_secs(9);
    table.set("another session has the lock", &stage).await;

    let inside = server.contained_user("app").await;
    mask(table, server.port, &inside, &nobody);
    server.set(&["databases", "own", "read only"], true).await;
    let stage = server.stage(&server.contained_document(&inside), &[]);
    table.create("the database of a contained user is read-only", &stage).await;
    server.set(&["databases", "own", "read only"], false).await;
}

async fn of_the_admin(table: &mut FaultTable, server: &Server) {
    let (user, admin) = (server.user("app").await, server.admin().await);
    let document = server.document(&user);
    let by = |document: &Value, admin: &User| -> Stage {
        server.by_admin(document, &server.document(admin), &[])
    };
    let weak = server.user("admin").await;
    mask(table, server.port, &user, &weak);
    table.set("the admin lacks ALTER ANY LOGIN", &by(&document, &weak)).await;
    let inside = server.contained_user("app").await;
    let owner = super::by_admin::admin_inside(server, json!([])).await;
    mask(table, server.port, &inside, &owner);
    let contained = server.contained_document(&inside);
    table.set("the admin lacks ALTER ANY USER", &by(&contained, &owner)).await;

    mask(table, server.port, &user, &admin);
    let wrong = User { password: "canary-wrong".to_owned(), ..admin.clone() };
    table.set("the admin is refused", &by(&document, &wrong)).await;
    table.set("the admin is changed by itself", &by(&server.document(&admin), &admin)).await;
    mask(table, server.port, &inside, &admin);
    table.set("the admin may not enter the database", &by(&contained, &admin)).await;

    let powerful = server.user("app").await;
    server.set_login(&powerful.name, "roles", json!(["sysadmin"])).await;
    mask(table, server.port, &powerful, &admin);
    table.set("the user is an admin", &by(&server.document(&powerful), &admin)).await;
    let shut = server.user("app").await;
    mask(table, server.port, &shut, &admin);
    server.set_login(&shut.name, "disabled", true).await;
    let document = with(&server.document(&shut), "password", "canary-wrong");
    let repairs = [("REPAIR_USERS", shut.name.as_str())];
    let stage = server.by_admin(&document, &server.document(&admin), &repairs);
    table.set("the login that an admin is to change is disabled", &stage).await;
    let gone = User { name: Server::name("app"), ..user };
    mask(table, server.port, &gone, &admin);
    let document = server.document(&gone);
    let repairs = [("REPAIR_USERS", gone.name.as_str())];
    let stage = server.by_admin(&document, &server.document(&admin), &repairs);
    table.set("there is no such login", &stage).await;
}

#[tokio::test]
async fn every_fault_ends_in_a_class_of_its_own() {
    let Some(server) = sqlserver().await else { return };
    let mut table = FaultTable::default();
    of_the_login(&mut table, &server).await;
    of_the_network(&mut table, &server).await;
    of_the_change(&mut table, &server).await;
    of_the_admin(&mut table, &server).await;
    expect_file!["table.txt"].assert_eq(&table.text);
}
