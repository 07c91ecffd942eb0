//! Two users of which one has the other as its role, on MySQL: what one may do the other may, without
//! anything being copied.

use fourstep::store::{AWSCURRENT, AWSPENDING};
use fourstep::{ErrorKind, Step};
use serde_json::Value;

use super::Shop;
use crate::support::mysql::{Session, alone, counting, mysqls};

async fn session(shop: &Shop, document: &Value) -> Session {
    let text = |field: &str| document[field].as_str().unwrap();
    shop.server.open(text("username"), text("password")).await
}

#[tokio::test]
async fn what_the_first_is_given_and_loses_the_second_has_and_loses_at_once() {
    for server in mysqls() {
        let shop = Shop::open(&server, &[]).await;
        let document = shop.rotate().await;
        let mut open = session(&shop, &document).await;
        let count = shop.fill("SELECT COUNT(*) FROM $old.late");
        let tried = async |document: &Value| {
            let text = |field: &str| document[field].as_str().unwrap();
            server.run(text("username"), text("password"), &count).await
        };
        shop.arrange("CREATE TABLE $old.late (id int); REVOKE ALL ON $archive.* FROM $app").await;
        assert!(tried(&document).await.is_err());
        shop.arrange("GRANT SELECT ON $old.late TO $app").await;
        assert_eq!(open.ask(&count).await, "0");
        server.reload().await;
        assert_eq!(open.ask(&count).await, "0");
        // By a role of a role of the first's.
        shop.arrange("GRANT $boss TO $reader; GRANT DELETE ON $old.late TO $boss;").await;
        assert_eq!(open.ask(&shop.fill("DELETE FROM $old.late; SELECT 'done'")).await, "done");
        shop.arrange("REVOKE SELECT ON $old.late FROM $app").await;
        assert!(tried(&document).await.is_err(), "revoked from one is revoked from both");
        shop.assert_alike().await;
    }
}

#[tokio::test]
async fn beyond_18_dynamic_privileges_and_partial_revokes_are_the_first_s() {
    for server in mysqls() {
        let shop = Shop::bare(&server, "app", &[]).await;
        shop.arrange(
            "CREATE USER $far IDENTIFIED BY 'far-away-1!';
             GRANT SELECT, INSERT, RELOAD ON *.* TO $app;
             GRANT BACKUP_ADMIN, CLONE_ADMIN ON *.* TO $app WITH GRANT OPTION;
             SET GLOBAL partial_revokes = ON;
             REVOKE INSERT ON mysql.* FROM $app; REVOKE SELECT, INSERT ON $old.* FROM $app;
             CREATE TABLE $old.t (id int);",
        )
        .await;
        server.reload().await;
        let document = shop.rotate().await;
        shop.assert_alike().await;
        let text = |field: &str| document[field].as_str().unwrap();
        let run =
            async |sql: &str| server.run(text("username"), text("password"), &shop.fill(sql)).await;
        assert!(run("SELECT * FROM $old.t").await.is_err(), "it is cut out");
        run("SELECT * FROM $orders; FLUSH STATUS; GRANT CLONE_ADMIN ON *.* TO $other")
            .await
            .unwrap();
        shop.arrange(
            "REVOKE CLONE_ADMIN ON *.* FROM $app; GRANT SELECT ON $old.* TO $app;
             REVOKE INSERT ON sys.* FROM $app;",
        )
        .await;
        server.reload().await;
        assert!(run("GRANT CLONE_ADMIN ON *.* TO $other").await.is_err());
        run("SELECT * FROM $old.t").await.unwrap();
        shop.assert_alike().await;
        shop.rotate().await;
        shop.assert_alike().await;
        // The setting can be undone only when nobody has any.
        shop.arrange("DROP USER $app, $clone; SET GLOBAL partial_revokes = OFF;").await;
    }
}

#[tokio::test]
async fn newcomer_a1_a_taken_admin_option_comes_back_to_neither_when_tables_are_read_again() {
    for server in mysqls() {
        let shop = Shop::bare(&server, "app", &[]).await;
        shop.arrange("GRANT $boss TO $app WITH ADMIN OPTION").await;
        shop.rotate().await;
        shop.arrange("REVOKE $boss FROM $app; GRANT $boss TO $app").await;
        for _ in 0..2 {
            shop.rotate().await;
            server.reload().await;
            let options = "SELECT COUNT(*) FROM mysql.role_edges WHERE WITH_ADMIN_OPTION = 'Y' \
                           AND TO_USER IN ('{}', '{}')";
            let options = options.replacen("{}", &shop.app.name, 1);
            let options = options.replacen("{}", &shop.clone_name(), 1);
            assert_eq!(server.arrange(&options).await.trim(), "0");
        }
    }
}

#[tokio::test]
async fn what_either_defined_runs_while_it_is_locked() {
    for server in mysqls() {
        let shop = Shop::bare(&server, "app", &[]).await;
        shop.arrange(
            "GRANT ALL PRIVILEGES ON $schema.* TO $app; INSERT INTO $orders (id) VALUES (7);",
        )
        .await;
        let define = async |document: &Value, name: &str| {
            let text = |field: &str| document[field].as_str().unwrap();
            let sql = shop.fill(&format!(
                "CREATE VIEW $schema.v_{name} AS SELECT id FROM $orders;
                 CREATE FUNCTION $schema.f_{name}() RETURNS int READS SQL DATA
                 RETURN (SELECT MAX(id) FROM $orders);"
            ));
            server.run(text("username"), text("password"), &sql).await.unwrap();
        };
        define(&shop.stage.document(AWSCURRENT), "app").await;
        define(&shop.rotate().await, "clone").await;
        let reader = server.user("reader").await;
        shop.arrange(&format!("GRANT SELECT, EXECUTE ON $schema.* TO '{}'@'127.%';", reader.name))
            .await;
        let sql = "SELECT id, $schema.f_app(), $schema.f_clone() FROM $schema.v_app
                   UNION ALL SELECT id, 0, 0 FROM $schema.v_clone";
        for lock in ["SELECT 1", "ALTER USER $clone ACCOUNT LOCK", "ALTER USER $app ACCOUNT LOCK"] {
            shop.arrange(lock).await;
            server.reload().await;
            let shown = server.run(&reader.name, &reader.password, &shop.fill(sql)).await.unwrap();
            assert_eq!(shown, "7\t7\t7\n7\t0\t0\n");
        }
    }
}

#[tokio::test]
async fn a_default_role_that_the_user_drops_itself_fails_testsecret_and_is_set_again() {
    for server in mysqls() {
        let shop = Shop::bare(&server, "app", &[]).await;
        for taken in ["SET DEFAULT ROLE NONE TO $clone", "REVOKE $app FROM $clone"] {
            let token = shop.stage.play(&[Step::Create, Step::Set]).await;
            let pending = shop.stage.document(AWSPENDING);
            let text = |field: &str| pending[field].as_str().unwrap();
            match taken.starts_with("SET") {
                true => {
                    let sql = shop.fill(taken);
                    drop(server.run(text("username"), text("password"), &sql).await.unwrap());
                }
                false => drop(shop.arrange(taken).await),
            }
            let error = shop.stage.step(Step::Test, &token).await;
            assert_eq!(error.result.as_ref().unwrap_err().kind(), ErrorKind::Conflict);
            assert!(error.error().contains("DEFAULT ROLE"), "{}", error.error());
            for step in Step::ALL {
                shop.stage.step(step, &token).await.why();
            }
            shop.stage.end(&token);
            shop.assert_alike_at_one_host().await;
            shop.rotate().await;
        }
    }
}

#[tokio::test]
async fn a_pool_that_resets_its_connections_goes_on() {
    for server in mysqls() {
        let shop = Shop::bare(&server, "app", &[]).await;
        shop.arrange("GRANT SELECT ON $orders TO $app").await;
        let document = shop.rotate().await;
        let mut open = session(&shop, &document).await;
        // The client's command for COM_RESET_CONNECTION.
        let count = shop.fill("SELECT COUNT(*) FROM $orders");
        for again in ["", "SET ROLE DEFAULT; ", "\\x "] {
            assert_eq!(open.ask(&format!("{again}{count}")).await, "0", "{again}");
        }
        let role = shop.fill("$app").replace('\'', "`");
        assert_eq!(open.ask("SELECT CURRENT_ROLE()").await, role);
    }
}

#[tokio::test]
async fn a_server_that_takes_the_role_from_every_session_is_the_cause_that_is_named() {
    for server in mysqls() {
        let shop = Shop::bare(&server, "app", &[]).await;
        let _alone = alone().await;
        let of_one = format!(
            "SET GLOBAL init_connect = \"SET @it = IF(CURRENT_USER() LIKE '{}@%', 'SET ROLE NONE', \
             'DO 0'); PREPARE it FROM @it; EXECUTE it; DEALLOCATE PREPARE it\"",
            shop.clone_name()
        );
        server.arrange(&of_one).await;
        let token = shop.stage.play(&[Step::Create, Step::Set]).await;
        let error = shop.stage.step(Step::Test, &token).await.error();
        server.arrange("SET GLOBAL init_connect = ''").await;
        assert!(error.contains("init_connect") && !error.contains("ALTER USER"), "{error}");
        for step in [Step::Test, Step::Finish] {
            shop.stage.step(step, &token).await.why();
        }
    }
}

#[tokio::test]
async fn the_cost_of_a_rotation_does_not_grow_with_the_rights() {
    let _counting = counting().await;
    for server in mysqls() {
        // What sessions begin with counts, too, and is as another test sets it.
        crate::mysql::sessions::arrange(&server).await;
        let shop = Shop::bare(&server, "app", &[]).await;
        shop.rotate().await;
        shop.rotate().await;
        let cost = async || {
            let counted = format!(
                "SELECT SUM(COUNT_STAR), SUM(SUM_ROWS_SENT) FROM \
                 performance_schema.events_statements_summary_by_user_by_event_name WHERE USER = '{}' \
                 AND EVENT_NAME <> 'statement/com/Quit'",
                shop.admin.name
            );
            let mut costs = Vec::new();
            for _ in 0..2 {
                let token = shop.stage.play(&[Step::Create]).await;
                let before = numbers(&server.arrange(&counted).await);
                shop.stage.step(Step::Set, &token).await.why();
                let after = numbers(&server.arrange(&counted).await);
                costs.push([after[0] - before[0], after[1] - before[1]]);
                for step in [Step::Test, Step::Finish] {
                    shop.stage.step(step, &token).await.why();
                }
                shop.stage.end(&token);
            }
            costs
        };
        let before = cost().await;
        let grant = |number| format!("GRANT CREATE, SELECT ON $schema.t{number} TO $app;");
        shop.arrange(&(0..2_000).map(grant).collect::<String>()).await;
        assert_eq!(cost().await, before, "statements and rows of both turns");
        eprintln!("{}: {before:?}", server.port);
    }
}

fn numbers(line: &str) -> Vec<u64> {
    line.split_whitespace().map(|number| number.parse().unwrap()).collect()
}
