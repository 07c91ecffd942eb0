//! Whole rotations.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use fourstep::store::{AWSCURRENT, AWSPREVIOUS};
use serde_json::{Value, json};

use super::Shop;
use crate::support::mysql::{Server, servers};

/// A client that connects anew all the time and is always a version behind: it reads the secret only
/// when the next rotation is about to begin, and then lives through that one.
struct Client {
    stop: Arc<AtomicBool>,
    logins: Arc<AtomicU32>,
    failures: Arc<AtomicU32>,
    document: Arc<std::sync::Mutex<Value>>,
}

impl Client {
    fn start(server: &Server, document: Value) -> Self {
        let client = Self {
            stop: Arc::default(),
            logins: Arc::default(),
            failures: Arc::default(),
            document: Arc::new(std::sync::Mutex::new(document)),
        };
        let (stop, logins) = (Arc::clone(&client.stop), Arc::clone(&client.logins));
        let (failures, document) = (Arc::clone(&client.failures), Arc::clone(&client.document));
        let server = server.clone();
        tokio::spawn(async move {
            while !stop.load(Ordering::SeqCst) {
                let now = document.lock().unwrap().clone();
                let text = |field: &str| now[field].as_str().unwrap().to_owned();
                let select = text("select");
                match server.run(&text("username"), &text("password"), &select).await {
                    Ok(_) => drop(logins.fetch_add(1, Ordering::SeqCst)),
                    Err(error) => {
                        eprintln!("{error}");
                        failures.fetch_add(1, Ordering::SeqCst);
                    }
                }
            }
        });
        client
    }

    /// The client reads the secret, and has logged in with nothing else from now on.
    async fn reads(&self, document: Value) {
        *self.document.lock().unwrap() = document;
        let before = self.logins.load(Ordering::SeqCst);
        while self.logins.load(Ordering::SeqCst) < before + 2 {
            assert_eq!(self.failures.load(Ordering::SeqCst), 0);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parity_35_41_beyond_18_four_rotations_keep_every_right_and_a_slow_client_never_fails() {
    for server in servers() {
        let shop = Shop::open(&server, &[]).await;
        let select = shop.fill("SELECT count(*) FROM $orders; SELECT $schema.tax();");
        let with_select = |mut document: Value| {
            document["select"] = json!(select);
            document
        };
        let mut before = shop.stage.document(AWSCURRENT);
        let client = Client::start(&server, with_select(before.clone()));
        for (round, changes) in CHANGES.iter().enumerate() {
            client.reads(with_select(before.clone())).await;
            let current = shop.rotate().await;
            let expected = if round % 2 == 0 { shop.clone_name() } else { shop.app.name.clone() };
            assert_eq!(current["username"], json!(expected), "round {round}");
            assert!(shop.logs_in(&current).await && shop.logs_in(&before).await, "round {round}");
            assert_eq!(shop.stage.document(AWSPREVIOUS), before);
            // What belongs to a login follows when the second's turn comes, on MySQL.
            match round % 2 == 0 || !server.is_mysql() {
                true => shop.assert_alike().await,
                false => shop.assert_acts("$app", "$clone").await,
            }
            // What is changed for the user in use, the other one gets; on MySQL, for the first.
            let used = if round % 2 == 0 && !server.is_mysql() { "$clone" } else { "$app" };
            let [both, mysql, mariadb] = changes;
            let own = if server.is_mysql() { mysql } else { mariadb };
            shop.arrange(&format!("{both}{own}").replace("$used", used)).await;
            server.reload().await;
            before = current;
        }
        client.stop.store(true, Ordering::SeqCst);
        let (logins, failures) =
            (client.logins.load(Ordering::SeqCst), client.failures.load(Ordering::SeqCst));
        eprintln!("{}: {logins} logins, {failures} failures", server.engine);
        assert!(logins > 8, "{logins}");
        assert_eq!(failures, 0);
    }
}

/// What an administrator does between rotations: on both servers, on MySQL, on MariaDB.
const CHANGES: [[&str; 3]; 5] = [
    [
        "REVOKE INSERT ON $schema.* FROM $used;
         REVOKE DROP, GRANT OPTION ON $archive.* FROM $used;
         GRANT SELECT ON $audit TO $used WITH GRANT OPTION;
         REVOKE UPDATE (id) ON $orders FROM $used;
         REVOKE ALTER ROUTINE ON PROCEDURE $schema.`close it` FROM $used;
         REVOKE PROXY ON $other FROM $used;
         GRANT $reader TO $used WITH ADMIN OPTION;",
        "GRANT $boss TO $used; ALTER USER $used DEFAULT ROLE NONE;
         ALTER USER $used REQUIRE NONE PASSWORD EXPIRE NEVER
         ATTRIBUTE '{\"team\": {\"name\": null, \"size\": 2}, \"comment\": null}';",
        "REVOKE ADMIN OPTION FOR $boss FROM $used; SET DEFAULT ROLE NONE FOR $used;
         ALTER USER $used REQUIRE NONE PASSWORD EXPIRE NEVER;",
    ],
    [
        "GRANT INSERT, DELETE ON $schema.* TO $used WITH GRANT OPTION;
         REVOKE ALL PRIVILEGES ON $audit FROM $used;
         GRANT SELECT, UPDATE ON $orders TO $used;
         REVOKE DELETE ON $orders FROM $used;
         REVOKE EXECUTE, GRANT OPTION ON PROCEDURE $schema.`close it` FROM $used;
         GRANT PROXY ON $other TO $used WITH GRANT OPTION;
         REVOKE $reader FROM $used;
         REVOKE PROCESS ON *.* FROM $used;",
        "ALTER USER $used DEFAULT ROLE $boss; ALTER USER $used REQUIRE SUBJECT 'it''s \\ \"x\"' AND ISSUER 'y';
         ALTER USER $used REQUIRE NONE ATTRIBUTE '{\"comment\": \"b\"}';",
        "SET DEFAULT ROLE $boss FOR $used; ALTER USER $used WITH MAX_STATEMENT_TIME 55.5;",
    ],
    [
        "GRANT PROXY ON $other TO $used; GRANT PROCESS ON *.* TO $used;
         GRANT ALL PRIVILEGES ON $audit TO $used;
         GRANT USAGE ON $archive.* TO $used WITH GRANT OPTION;
         REVOKE SELECT ON $schema.* FROM $used; GRANT SELECT ON $schema.* TO $used;
         ALTER USER $used WITH MAX_USER_CONNECTIONS 77;",
        "",
        "",
    ],
    [
        "",
        "REVOKE SELECT, INSERT, DELETE, GRANT OPTION ON $schema.* FROM $used; REVOKE $boss FROM $used;",
        "REVOKE ALL PRIVILEGES, GRANT OPTION FROM $used; GRANT SELECT ON $orders TO $used;
         GRANT EXECUTE ON FUNCTION $schema.tax TO $used;",
    ],
    ["", "", ""],
];
