//! How rotate-mongodb fails: each fault, made for real, with its kind and its whole message in the table.

use expect_test::expect_file;
use fourstep::Step;
use serde_json::{Value, json};

use super::with;
use crate::support::fault_table::FaultTable;
use crate::support::hostile::mail_server;
use crate::support::mongodb::{SET, Server, User, mongodb, replica_set};
use crate::support::stage::Stage;

const BY_ADMIN: [(&str, &str); 1] = [("ROTATION_STRATEGY", "single-user-by-admin")];
const PAIR: [(&str, &str); 1] = [("ROTATION_STRATEGY", "alternating-users")];

/// A table in which these users have the names of their parts.
fn mask(table: &mut FaultTable, port: u16, user: &User, admin: &User) {
    table.mask([(&user.name, "USER"), (&admin.name, "ADMIN"), (&port, "PORT")]);
}

/// A stage on which an admin does the change.
fn administered(server: &Server, document: &Value, admin: &User, with: &[(&str, &str)]) -> Stage {
    let document = super::with(document, "masterarn", "admin");
    super::by_admin::with_admin(server, server.stage(&document, with), admin)
}

async fn of_the_user(table: &mut FaultTable, server: &Server) {
    let (user, nobody) = (server.user("app").await, server.admin().await);
    mask(table, server.port, &user, &nobody);
    let document = server.document(&user);
    let stage = |field, value: Value| server.stage(&with(&document, field, value), &[]);

    let ordinary = server.user_with("app", "admin", json!(["readAnyDatabase"])).await;
    mask(table, server.port, &ordinary, &nobody);
    let unable = server.stage(&server.document(&ordinary), &[]);
    table.create("the user may not change its own password", &unable).await;
    mask(table, server.port, &user, &nobody);

    table.set("every password is refused", &stage("password", json!("canary-wrong"))).await;
    table.test("the user is in another database", &stage("dbname", json!("shop"))).await;
    table.test("the user has no password here", &stage("dbname", json!("$external"))).await;
    table.test("plaintext that is not allowed", &stage("ssl", json!(false))).await;
    let port = mail_server().await;
    mask(table, port, &user, &nobody);
    let plain = with(&with(&document, "port", port), "ssl", json!(false));
    let weak = [("ALLOW_WEAK_AUTHENTICATION", "true")];
    table.test("another kind of server", &server.stage(&plain, &weak)).await;

    mask(table, server.port, &user, &nobody);
    let here = json!([{"clientSource": ["192.0.2.1"]}]);
    server.arrange(json!({"updateUser": user.name, "authenticationRestrictions": here})).await;
    table.test("the user may not log in from here", &server.stage(&document, &[])).await;
}

async fn of_the_admin(table: &mut FaultTable, server: &Server) {
    let (user, admin) = (server.user("app").await, server.admin().await);
    let document = server.document(&user);
    let weak = server.user_with("admin", "admin", json!(["readAnyDatabase"])).await;
    mask(table, server.port, &user, &weak);
    table.set("the admin lacks rights", &administered(server, &document, &weak, &BY_ADMIN)).await;
    let pair = administered(server, &document, &weak, &PAIR);
    table.create("the admin lacks rights on a pair", &pair).await;
    mask(table, server.port, &user, &admin);
    let wrong = User { password: "canary-wrong".to_owned(), ..admin.clone() };
    let refused = administered(server, &document, &wrong, &BY_ADMIN);
    table.set("the admin is refused", &refused).await;

    let powerful = server.user_with("app", "admin", json!(["root"])).await;
    mask(table, server.port, &powerful, &admin);
    let document = server.document(&powerful);
    table.set("the user is an admin", &administered(server, &document, &admin, &BY_ADMIN)).await;
    table
        .create("the pair's user is an admin", &administered(server, &document, &admin, &PAIR))
        .await;

    let first = server.user("app").await;
    mask(table, server.port, &first, &admin);
    let second = User { name: format!("{}_clone", first.name), ..first.clone() };
    server.create(&second, "admin", json!([])).await;
    let document = server.document(&first);
    let taken = administered(server, &document, &admin, &PAIR);
    table.create("the second user is somebody else's", &taken).await;
}

async fn of_the_set(table: &mut FaultTable, server: &Server) {
    let (user, admin) = (server.user("app").await, server.admin().await);
    mask(table, server.port, &user, &admin);
    let stage = server.stage(&server.document(&user), &[]);
    server.signal("other", "-STOP").await;
    table.set("no majority confirms", &stage).await;
    server.signal("other", "-CONT").await;
}

#[tokio::test]
async fn every_fault_ends_in_a_class_of_its_own() {
    let (Some(server), Some(set)) = (mongodb(), replica_set()) else { return };
    let mut table = FaultTable::default();
    of_the_user(&mut table, &server).await;
    of_the_admin(&mut table, &server).await;
    let undisturbed = SET.write().await;
    super::topology::settle(&set).await;
    of_the_set(&mut table, &set).await;
    super::topology::settle(&set).await;
    drop(undisturbed);
    expect_file!["table.txt"].assert_eq(&table.text);
}

/// What is not there to be changed is not there in any step.
#[tokio::test]
async fn a_user_that_is_dropped_under_way_is_not_made_again() {
    let Some(server) = mongodb() else { return };
    let (user, admin) = (server.user("dropped").await, server.admin().await);
    let stage = administered(&server, &server.document(&user), &admin, &BY_ADMIN);
    let token = stage.play(&[Step::Create]).await;
    server.arrange(json!({"dropUser": user.name})).await;
    let error = stage.step(Step::Set, &token).await.result.unwrap_err();
    assert_eq!(error.kind(), fourstep::ErrorKind::Rejected, "{error}");
    assert_eq!(server.info("admin", &user.name).await, Value::Null);
}
