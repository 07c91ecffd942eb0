//! How rotate-postgres fails at the front of Redshift: each fault with its kind and its whole message in the table.
//! Error codes are those that Redshift's drivers report; what the service says besides is not known.

use expect_test::expect_file;
use fourstep::{SecretId, Step};
use fourstep_local::NewSecret;
use serde_json::{Value, json};

use super::pairs::{PAIR, Shop};
use super::{BY_ADMIN, by_admin};
use crate::every_server::with;
use crate::support::fault_table::FaultTable;
use crate::support::hostile::mail_server;
use crate::support::postgres::User;
use crate::support::redshift::{Front, Kept};
use crate::support::stage::Stage;

/// Everybody's names from now on.
fn mask(table: &mut FaultTable, shop: &Shop, user: &User, admin: &User) {
    let ports: [&dyn ToString; 2] = [&shop.front.port, &shop.front.server.port];
    table.mask([
        (&user.name, "USER"),
        (&admin.name, "ADMIN"),
        (&shop.database, "DATABASE"),
        (&shop.stem, "STEM"),
        (ports[0], "PORT"),
        (ports[1], "PORT"),
    ]);
}

async fn of_the_login(table: &mut FaultTable, shop: &Shop) {
    let front = &shop.front;
    mask(table, shop, &shop.user, &shop.admin);
    let document = front.document(&shop.user);
    let stage = |field, value: Value| front.stage(&with(&document, field, value), &[]);
    table.set("every password is refused", &stage("password", json!("canary-wrong"))).await;
    table.test("a capital letter in the name", &stage("username", json!("Shop"))).await;
    table.test("a digest without TLS", &stage("ssl", json!(false))).await;
    table.test("a certificate of another name", &stage("host", json!("127.0.0.1"))).await;
    table.test("the secret says postgres", &stage("engine", json!("postgres"))).await;
    // It asks for SCRAM.
    let real = front.server.user("postgres").await;
    mask(table, shop, &real, &shop.admin);
    let document = with(&front.document(&real), "port", front.server.port);
    let trusting = [("TLS_CA_BUNDLE", front.server.ca.as_str())];
    table.test("the server is PostgreSQL", &front.stage(&document, &trusting)).await;
    let port = mail_server().await;
    table.mask([(&shop.user.name, "USER"), (&port, "PORT")]);
    table.test("another kind of server", &stage("port", json!(port))).await;
    mask(table, shop, &shop.user, &shop.admin);
    for (name, code) in [
        ("the database is not there", "3D000"),
        ("the user may not enter the database", "42501"),
        ("too many connections", "53300"),
        ("the cluster is starting", "57P03"),
        ("an error that nobody expects at the login", "XX000"),
    ] {
        front.refuse("LOGIN", [code, "planted"]);
        table.test(name, &stage("ssl", json!(true))).await;
    }
    front.mend();
}

async fn of_the_change(table: &mut FaultTable, shop: &Shop) {
    for (name, [code, text]) in [
        ("the server refuses the new password", ["22023", "planted"]),
        ("the user may not change its password", ["42501", "planted"]),
        ("somebody changed users meanwhile", ["XX000", "conflict with concurrent transaction"]),
        ("the change was given up", ["40001", "planted"]),
        ("the change was cancelled", ["57014", "planted"]),
        ("the cluster is going down", ["57P01", "planted"]),
        ("an error that nobody expects at the change", ["54000", "planted"]),
        ("the connection is lost at the change", ["", "planted"]),
    ] {
        let user = shop.front.user("app").await;
        mask(table, shop, &user, &shop.admin);
        shop.front.refuse("ALTER USER", [code, text]);
        table.set(name, &shop.front.stage(&shop.front.document(&user), &[])).await;
        shop.front.mend();
        assert!(shop.front.accepts(&user.name, &user.password), "{name}");
    }
    mask(table, shop, &shop.user, &shop.admin);
    shop.front.refuse("SET statement_timeout", ["42704", "planted"]);
    table
        .set(
            "the limit of the change is refused",
            &shop.front.stage(&shop.front.document(&shop.user), &[]),
        )
        .await;
    shop.front.mend();
}

async fn of_the_admin(table: &mut FaultTable, shop: &Shop) {
    let front: &Front = &shop.front;
    let by = |user: &User, admin: &User, more: &[(&str, &str)]| {
        by_admin(front, user, admin, &[&[BY_ADMIN][..], more].concat())
    };
    let (user, admin) = (front.user("app").await, &shop.admin);
    let weak = front.user("admin").await;
    mask(table, shop, &user, &weak);
    table.set("the admin is not a superuser", &by(&user, &weak, &[])).await;
    mask(table, shop, &user, admin);
    let wrong = User { password: "canary-wrong".to_owned(), ..admin.clone() };
    table.set("the admin is refused", &by(&user, &wrong, &[])).await;
    table.set("the admin is changed by itself", &by(admin, admin, &[])).await;
    let other = by(&user, admin, &[]);
    let theirs = with(&front.document(admin), "engine", "postgres").to_string();
    let theirs = NewSecret { value: Some(theirs.as_str().into()), ..NewSecret::default() };
    other.store.update(&SecretId::parse("admin").unwrap(), theirs).unwrap();
    table.set("the admin's secret says postgres", &other).await;

    let powerful = front.admin().await;
    mask(table, shop, &powerful, admin);
    table.set("the user is a superuser", &by(&powerful, admin, &[])).await;
    let changer = front.user("app").await;
    mask(table, shop, &changer, admin);
    front.plant("svv_system_privileges", &changer, "ALTER USER");
    table.set("the user may change others", &by(&changer, admin, &[])).await;
    let shut = front.user("app").await;
    mask(table, shop, &shut, admin);
    front.keep(&shut, Kept::Disabled);
    table.set("a user whose password is disabled", &by(&shut, admin, &[])).await;
    let gone = User { name: format!("{}_gone", user.name), ..user.clone() };
    let repairs = [("REPAIR_USERS", gone.name.as_str())];
    mask(table, shop, &gone, admin);
    table.set("there is no such user", &by(&gone, admin, &repairs)).await;
}

async fn of_the_pair(table: &mut FaultTable, shop: &Shop) {
    mask(table, shop, &shop.user, &shop.admin);
    shop.tell(&shop.about(&shop.user, "GRANT SELECT ON s_@.orders TO {}")).await;
    let statement = |sql: &str| shop.about(&shop.user, sql);
    let clone = &shop.clone.name;
    // Somebody's, who may do what the other may not.
    shop.tell(&format!("CREATE USER \"{clone}\" IN GROUP hba_trust")).await;
    shop.tell(&shop.about(&shop.clone, "GRANT SELECT, UPDATE ON s_@.orders TO {}")).await;
    table.create("the second user is somebody else's", &shop.stage(&[])).await;
    let adopt = ("ADOPT_USERS", clone.as_str());
    table.set("the second user has more rights", &shop.stage(&[adopt])).await;
    let stage = shop.stage(&[adopt, ("DROP_EXTRA_RIGHTS", clone)]);
    let token = stage.play(&[Step::Create]).await;
    for (name, [code, text]) in [
        ("a right may not be taken", ["42501", "planted"]),
        ("others hold what the user gave on", ["2BP01", "planted"]),
        ("what a right is on was dropped", ["42P01", "planted"]),
        ("somebody changed rights meanwhile", ["XX000", "conflict with concurrent transaction"]),
        ("a right that Redshift does not take by name", ["0A000", "planted"]),
    ] {
        shop.front.refuse("REVOKE UPDATE", [code, text]);
        table.step(name, &stage, (Step::Set, &token)).await;
    }
    shop.front.mend();
    stage.step(Step::Set, &token).await.why();
    shop.tell(&statement("GRANT DELETE ON s_@.orders TO {}")).await;
    table.step("rights changed before the promotion", &stage, (Step::Test, &token)).await;

    let other = shop.front.user("app").await;
    mask(table, shop, &other, &shop.admin);
    let own = "ALTER TABLE s_@.orders OWNER TO SESSION_USER; CREATE SCHEMA AUTHORIZATION {}; \
               ALTER SCHEMA {} OWNER TO SESSION_USER";
    for (name, sql) in [
        ("the user owns a table", "ALTER TABLE s_@.orders OWNER TO {}"),
        ("a schema has the user's name", own),
    ] {
        shop.tell(&shop.about(&other, sql)).await;
        table.set(name, &by_admin(&shop.front, &other, &shop.admin, &[PAIR])).await;
    }
    let fresh = shop.front.user("app").await;
    mask(table, shop, &fresh, &shop.admin);
    let refuse = [PAIR, ("REFUSE_OPEN_SESSIONS", "true")];
    let stage = by_admin(&shop.front, &fresh, &shop.admin, &refuse);
    table.set("open sessions are to be refused", &stage).await;
    let external = shop.front.user("external").await;
    mask(table, shop, &external, &shop.admin);
    let stage: Stage = by_admin(&shop.front, &external, &shop.admin, &[PAIR]);
    table.create("an identity provider lets the user in", &stage).await;
}

#[tokio::test]
async fn every_fault_ends_in_a_class_of_its_own() {
    let Some(shop) = Shop::new().await else { return };
    let mut table = FaultTable::default();
    of_the_login(&mut table, &shop).await;
    of_the_change(&mut table, &shop).await;
    of_the_admin(&mut table, &shop).await;
    of_the_pair(&mut table, &shop).await;
    expect_file!["table.txt"].assert_eq(&table.text);
}
