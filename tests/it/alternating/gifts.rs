//! What anybody who may log in can give to the second user, and then keep in the way of whoever takes it:
//! it does not count, and stops no rotation.

use fourstep::Question;
use fourstep::store::{AWSCURRENT, AWSPREVIOUS};
use serde_json::json;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor};

use super::{Shop, fill};
use crate::support::postgres::{Server, User, both_versions};

/// A session of somebody who may do no more than log in.
async fn session(server: &Server, eve: &User, database: &str) -> PgConnection {
    server.options(&eve.name, &eve.password, database).connect().await.unwrap()
}

async fn run(shop: &Shop, session: &mut PgConnection, sql: &str) {
    let sql = fill(sql, &[("clone", shop.clone_name().as_str())]);
    let done = session.execute(sqlx::raw_sql(AssertSqlSafe(sql.clone()))).await;
    done.unwrap_or_else(|error| panic!("{error}: {sql}"));
}

/// Both users have had their turn, and work.
async fn goes_on(shop: &Shop) {
    let ready = shop.stage.ask(Question::Preflight).await;
    assert_eq!(ready["ready"], json!(true), "{ready}");
    for round in 0..3 {
        shop.rotate().await;
        for label in [AWSCURRENT, AWSPREVIOUS] {
            assert!(shop.logs_in(&shop.stage.document(label)).await, "{round} {label}");
        }
    }
}

#[tokio::test]
async fn a_gift_whose_giver_keeps_it_locked_stops_no_rotation() {
    for server in both_versions() {
        let shop = Shop::open(&server, &[]).await;
        shop.rotate().await;
        shop.rotate().await;
        let eve = server.user("eve").await;
        let [first, second] = shop.databases.clone();
        let mut open = Vec::new();
        for database in [&first, &second] {
            let mut giver = session(&server, &eve, database).await;
            let gift = "SELECT lo_create(666); GRANT SELECT ON LARGE OBJECT 666 TO $clone";
            run(&shop, &mut giver, gift).await;
            run(&shop, &mut giver, "BEGIN; GRANT SELECT ON LARGE OBJECT 666 TO PUBLIC").await;
            open.push(giver);
        }
        // So may whoever may make others members of any role; before PostgreSQL 15 that is everybody, of the
        // own one.
        let role = format!("gift of {}", eve.name);
        let make = format!(
            "CREATE ROLE \"{role}\"; GRANT \"{role}\" TO \"{}\" WITH ADMIN OPTION",
            eve.name
        );
        server.arrange(&make).await;
        let mut giver = session(&server, &eve, &first).await;
        let gift = format!("GRANT \"{role}\" TO $clone");
        run(&shop, &mut giver, &gift).await;
        run(&shop, &mut giver, &format!("BEGIN; {gift} WITH ADMIN OPTION")).await;
        open.push(giver);
        goes_on(&shop).await;
        for giver in open {
            giver.close().await.unwrap();
        }
        goes_on(&shop).await;
        shop.close().await;
    }
}

#[tokio::test]
async fn very_many_gifts_are_looked_at_in_part_and_stop_no_rotation() {
    for server in both_versions() {
        let shop = Shop::open(&server, &[]).await;
        shop.rotate().await;
        let eve = server.user("eve").await;
        let mut giver = session(&server, &eve, &shop.databases[0]).await;
        let gift = format!(
            "SELECT count(lo_create(g)) FROM generate_series(1000, 3500) AS g; \
             DO $$ BEGIN FOR g IN 1000..3500 LOOP \
             EXECUTE format('GRANT SELECT ON LARGE OBJECT %s TO %I', g, '{}'); END LOOP; END $$",
            shop.clone_name()
        );
        run(&shop, &mut giver, &gift).await;
        let ready = shop.stage.ask(Question::Preflight).await.to_string();
        assert!(ready.contains("does not count") && ready.contains("1000 or more"), "{ready}");
        goes_on(&shop).await;
        giver.close().await.unwrap();
        shop.close().await;
    }
}

#[tokio::test]
async fn a_gift_in_a_database_that_nobody_can_enter_stops_no_rotation() {
    for server in both_versions() {
        let shop = Shop::open(&server, &[]).await;
        shop.rotate().await;
        let eve = server.user("eve").await;
        server.arrange(&format!("ALTER ROLE \"{}\" CREATEDB", eve.name)).await;
        let evil = format!("evil {}", eve.name);
        let mut giver = session(&server, &eve, &shop.databases[0]).await;
        run(&shop, &mut giver, &format!("CREATE DATABASE \"{evil}\"")).await;
        let mut there = session(&server, &eve, &evil).await;
        let gift = "SELECT lo_create(666); GRANT SELECT ON LARGE OBJECT 666 TO $clone";
        run(&shop, &mut there, gift).await;
        there.close().await.unwrap();
        let nobody = format!("ALTER DATABASE \"{evil}\" CONNECTION LIMIT 0");
        run(&shop, &mut giver, &nobody).await;
        goes_on(&shop).await;
        while shop.stage.document(AWSCURRENT)["username"] == json!(shop.clone_name()) {
            shop.rotate().await;
        }
        let ready = shop.stage.ask(Question::Preflight).await.to_string();
        assert!(ready.contains("is left as it is"), "{ready}");
        run(&shop, &mut giver, &format!("DROP DATABASE \"{evil}\"")).await;
        giver.close().await.unwrap();
        shop.close().await;
    }
}
