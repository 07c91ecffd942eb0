//! Applications behind a pooler, through four rotations: their sessions at the server are older than
//! the rotation, and are put back between one use and the next.

use std::collections::BTreeMap;
use std::sync::Arc;

use fourstep::store::AWSCURRENT;
use serde_json::Value;
use tokio::sync::Mutex;

use super::client::{Client, Work};
use super::{mysql, postgres, rotate};
use crate::support::mysql::{Session, mysqls};
use crate::support::postgres::server_with_neighbours;
use crate::support::stage::Stage;

async fn lives_through_four_rotations<W: Work>(name: &str, stage: &Stage, application: W) {
    let application = Arc::new(application);
    let mut before = stage.document(AWSCURRENT);
    let client = Client::start(&application, before.clone());
    for _ in 0..4 {
        client.reads(before.clone()).await;
        let current = rotate(stage).await;
        client.works().await;
        client.another_works(&current).await;
        client.another_works(&before).await;
        before = current;
    }
    eprintln!("{name}: worked {} times without a failure", client.end().await);
}

/// An application that reaches its database through PgBouncer, under this name there.
struct Pooled {
    shop: Arc<postgres::Shop>,
    database: &'static str,
    /// The connections that stay, by password.
    kept: Mutex<BTreeMap<String, sqlx::postgres::PgConnection>>,
}

const POOLED: &str = "
    BEGIN; SELECT 1 / (current_user = '@app')::int; COMMIT;
    BEGIN; INSERT INTO $own.orders VALUES (1); DROP TABLE IF EXISTS $own.made;
    CREATE TABLE $own.made (a int); COMMIT";

impl Work for Pooled {
    /// Once in a connection of its own, once in one that stays.
    async fn work(&self, document: &Value) -> Result<(), String> {
        let sql = self.shop.fill(&POOLED.replace("@app", &self.shop.app.name));
        let mut session = self.shop.pooled_session(document, self.database).await?;
        postgres::run(&mut session, &sql).await?;
        let mut kept = self.kept.lock().await;
        let stays = kept.entry(document["password"].to_string()).or_insert(session);
        postgres::run(stays, &sql).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_behind_pgbouncer_lives_through_four_rotations() {
    let Some(server) = server_with_neighbours() else { return };
    for (name, database) in [("session", "postgres"), ("transaction", "transaction")] {
        let shop = Arc::new(postgres::Shop::bare(&server).await);
        shop.arrange(
            "CREATE SCHEMA $own AUTHORIZATION $owner; GRANT USAGE, CREATE ON SCHEMA $own TO $app;
             CREATE TABLE $own.orders (a int); GRANT INSERT ON $own.orders TO $app",
        )
        .await;
        let pooled = Pooled { shop: Arc::clone(&shop), database, kept: Mutex::default() };
        let name = format!("behind PgBouncer, {name} pooling");
        lives_through_four_rotations(&name, &shop.stage, pooled).await;
        shop.arrange("DROP SCHEMA $own CASCADE").await;
    }
}

/// A pool of connections, one for each credential, that sends COM_RESET_CONNECTION between two uses.
struct Pool {
    shop: Arc<mysql::Shop>,
    sessions: Mutex<BTreeMap<String, Session>>,
}

impl Work for Pool {
    async fn work(&self, document: &Value) -> Result<(), String> {
        let mut sessions = self.sessions.lock().await;
        let password = document["password"].to_string();
        if !sessions.contains_key(&password) {
            let opened = self.shop.session(document).await;
            sessions.insert(password.clone(), opened);
        }
        let session = sessions.get_mut(&password).unwrap();
        let sql = "USE $schema; INSERT INTO orders VALUES (1); DROP TABLE IF EXISTS made;
            CREATE TABLE made (a int); SET @kept = 1;";
        session.run(&self.shop.fill(sql)).await?;
        // Whether it was reset is seen by what it has forgotten.
        session.run(&self.shop.fill("\\x\nUSE $schema; INSERT INTO orders VALUES (@kept);")).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_behind_a_pool_that_resets_lives_through_four_rotations() {
    for server in mysqls() {
        let shop = Arc::new(mysql::Shop::bare(&server).await);
        shop.arrange(
            "CREATE TABLE $schema.orders (a int); GRANT ALL PRIVILEGES ON $schema.* TO $app;",
        )
        .await;
        let pool = Pool { shop: Arc::clone(&shop), sessions: Mutex::default() };
        lives_through_four_rotations("behind a pool on MySQL", &shop.stage, pool).await;
        let counts = "SELECT COUNT(a) * 2 = COUNT(*) FROM $schema.orders;";
        assert_eq!(shop.arrange(counts).await.trim(), "1", "every connection was reset");
    }
}
