//! Whole rotations.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use fourstep::store::{AWSCURRENT, AWSPREVIOUS};
use fourstep::{ErrorKind, Question, Step};
use serde_json::{Value, json};
use sqlx::{ConnectOptions, Connection};

use super::Shop;
use crate::support::postgres::{Server, both_versions};

/// A client that connects anew all the time and is always a version behind: it reads the secret only
/// when the next rotation is about to begin, and then lives through that one. (A version logs in
/// until the second rotation after it gives its user another password, so nobody can be slower.)
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
                let (user, password, database) =
                    (text("username"), text("password"), text("dbname"));
                match server.options(&user, &password, &database).connect().await {
                    Ok(mut connection) => {
                        let read = sqlx::raw_sql("SELECT count(*) FROM \"Sales %\".\"Or\"\"ders\"");
                        if read.execute(&mut connection).await.is_err() {
                            failures.fetch_add(1, Ordering::SeqCst);
                        }
                        connection.close().await.unwrap();
                        logins.fetch_add(1, Ordering::SeqCst);
                    }
                    Err(error) => {
                        eprintln!("{error}");
                        failures.fetch_add(1, Ordering::SeqCst);
                    }
                }
                tokio::time::sleep(Duration::from_millis(3)).await;
            }
        });
        client
    }

    /// Waits until it has logged in with what it has read, and a few times more.
    async fn goes_on(&self) {
        let before = self.logins.load(Ordering::SeqCst);
        while self.logins.load(Ordering::SeqCst) < before + 3 {
            assert_eq!(self.failures.load(Ordering::SeqCst), 0);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parity_35_four_rotations_alternate_and_a_slow_client_never_fails() {
    for server in both_versions() {
        let shop = Shop::open(&server, &[]).await;
        let client = Client::start(&server, shop.stage.document(AWSCURRENT));
        let mut before = shop.stage.document(AWSCURRENT);
        let quiet = server.log_length();
        for round in 1..=4 {
            *client.document.lock().unwrap() = before.clone();
            client.goes_on().await;
            let current = shop.rotate().await;
            let expected = if round % 2 == 1 { shop.clone_name() } else { shop.app.name.clone() };
            assert_eq!(current["username"], json!(expected), "round {round}");
            assert!(shop.logs_in(&current).await && shop.logs_in(&before).await, "round {round}");
            assert_eq!(shop.stage.document(AWSPREVIOUS), before);
            let log = server.log_since(quiet);
            assert!(log.contains("LOGIN PASSWORD 'SCRAM-SHA-256$"), "it logs every statement");
            assert!(!log.contains(current["password"].as_str().unwrap()), "round {round}");
            // Between rotations the client has the version before this one.
            client.goes_on().await;
            before = current;
        }
        client.stop.store(true, Ordering::SeqCst);
        let (logins, failures) =
            (client.logins.load(Ordering::SeqCst), client.failures.load(Ordering::SeqCst));
        eprintln!("PostgreSQL {}: {logins} logins, {failures} failures", server.version().await);
        assert!(logins > 20, "{logins}");
        assert_eq!(failures, 0);
        tokio::time::sleep(Duration::from_millis(100)).await;
        shop.close().await;
    }
}

#[tokio::test]
async fn parity_36_37_what_is_wrong_with_the_admin_or_with_current_is_told_apart() {
    for server in both_versions() {
        let shop = Shop::open(&server, &[]).await;
        let good = shop.stage.document(AWSCURRENT);
        let put = |change: &dyn Fn(&mut Value)| {
            let mut document = good.clone();
            change(&mut document);
            shop.stage.put_current(&document);
        };
        put(&|document| drop(document.as_object_mut().unwrap().remove("masterarn")));
        assert!(shop.refusal().await.contains("\"masterarn\""));
        put(&|document| document["masterarn"] = json!("absent"));
        let error = shop.refusal().await;
        assert!(error.contains("absent") && error.contains("no AWSCURRENT value"), "{error}");
        // The admin's password: at createSecret already, so that nothing is stored.
        put(&|_| ());
        shop.arrange("ALTER ROLE $admin PASSWORD 'another'").await;
        let error = shop.refusal().await;
        assert!(error.contains("the admin, user") && error.contains("28P01"), "{error}");
        assert_eq!(shop.stage.labels()[1], None);
        let quiet =
            format!("ALTER ROLE \"{}\" PASSWORD '{}'", shop.admin.name, shop.admin.password);
        server.arrange_quietly(&quiet).await;
        let asked = server.log_length();
        // Current does not log in: nothing of the admin's is done.
        shop.arrange("ALTER ROLE $app PASSWORD 'recorded nowhere'").await;
        let error = shop.refusal().await;
        assert!(error.contains("logs in with what is recorded"), "{error}");
        let log = server.log_since(asked);
        let touched = log.lines().any(|line| {
            line.contains(&format!("user={} ", shop.admin.name)) && line.contains("ROLE \"")
        });
        assert!(!touched, "the admin looked on only");
        shop.close().await;
    }
}

#[tokio::test]
async fn parity_40_a_statement_that_fails_leaves_no_second_user() {
    for server in both_versions() {
        let shop = Shop::open(&server, &[]).await;
        // A setting of the application's own is for superusers to set.
        shop.arrange("ALTER ROLE $app SET my.setting = '1'").await;
        let error = shop.refusal().await;
        let way_out =
            format!("GRANT SET ON PARAMETER \"my\".\"setting\" TO \"{}\"", shop.admin.name);
        assert!(error.contains("lacks rights") && error.contains(&way_out), "{error}");
        assert!(!exists(&server, &shop.clone_name()).await);
        // The way out works.
        server.arrange(&way_out).await;
        shop.rotate().await;
        assert!(exists(&server, &shop.clone_name()).await);
        shop.close().await;
    }
}

#[tokio::test]
async fn parity_42_a_name_that_is_too_long_is_refused_in_bytes_before_anything_is_stored() {
    for server in both_versions() {
        let shop = Shop::bare(&server, &"ü".repeat(26), &[]).await;
        let name = shop.clone_name();
        assert!(name.len() > 63 && name.chars().count() < 63, "{name}");
        let token = shop.stage.begin();
        let ended = shop.stage.step(Step::Create, &token).await;
        assert_eq!(ended.result.as_ref().unwrap_err().kind(), ErrorKind::Unsupported);
        assert!(ended.error().contains("USER_PAIRS"), "{}", ended.error());
        shop.close().await;
    }
}

#[tokio::test]
async fn a_preflight_lists_all_that_would_fail_and_a_plan_shows_each_statement() {
    for server in both_versions() {
        let mut shop = Shop::open(&server, &[]).await;
        let ready = shop.stage.ask(Question::Preflight).await;
        assert_eq!((&ready["ready"], &ready["findings"]), (&json!(true), &json!([])), "{ready}");
        let plan = shop.stage.ask(Question::Plan).await.to_string();
        for words in ["CREATE ROLE", "COMMENT ON ROLE", "GRANT ", "SET role TO", "work_mem"] {
            assert!(plan.contains(words), "{words}: {plan}");
        }
        assert!(!exists(&server, &shop.clone_name()).await, "nothing was changed");
        // A second user that has more than the first, in a database that the admin may not enter.
        shop.as_awss_template("canary-aws").await;
        shop.configure(&[("ADOPT_USERS", &shop.clone_name())]);
        let [first, second] = shop.databases.clone();
        shop.in_database(&first, "GRANT DELETE ON \"Sales %\".audit TO $clone").await;
        shop.in_database(
            &second,
            "SET ROLE $clone; CREATE TABLE \"Sales %\".own (a int); RESET ROLE;
             REVOKE CONNECT ON DATABASE $database FROM PUBLIC",
        )
        .await;
        shop.arrange("ALTER ROLE $app SET log_statement = 'all'").await;
        let answer = shop.stage.ask(Question::Preflight).await;
        let text = answer["findings"].to_string();
        assert_eq!(answer["ready"], json!(false));
        for words in ["DELETE on table", "GRANT CONNECT ON DATABASE", "PARAMETER \\\"log_statement"]
        {
            assert!(text.contains(words), "{words}: {text}");
        }
        shop.close().await;
    }
}

/// The cost does not grow with what the user may do: one statement more or less would say so.
#[tokio::test]
async fn a_rotation_takes_as_many_statements_whatever_the_user_may_do() {
    for server in both_versions() {
        let shop = Shop::open(&server, &[]).await;
        let mut counts = Vec::new();
        for tables in [0, 400] {
            let make = format!(
                "SELECT format('CREATE TABLE \"Sales %%\".t%s (a int)', n) FROM generate_series(1, {tables}) n"
            );
            let sql = format!(
                "DO $do$ DECLARE s text; BEGIN FOR s IN {make} LOOP EXECUTE s; END LOOP; END $do$;
                 GRANT ALL ON ALL TABLES IN SCHEMA \"Sales %\" TO $app"
            );
            shop.in_database(&shop.databases[0], &sql).await;
            for _ in 0..2 {
                let token = shop.stage.play(&[Step::Create]).await;
                let before = server.log_length();
                for step in [Step::Set, Step::Test, Step::Finish] {
                    shop.stage.step(step, &token).await.why();
                }
                shop.stage.end(&token);
                tokio::time::sleep(Duration::from_millis(100)).await;
                let log = server.log_since(before);
                let users = [&shop.admin.name, &shop.app.name, &shop.clone_name()]
                    .map(|user| format!("user={user} "));
                let ours = |line: &&str| {
                    users.iter().any(|user| line.contains(user)) && line.contains("statement: ")
                };
                counts.push(log.lines().filter(ours).count());
            }
        }
        eprintln!("statements: {counts:?}");
        assert_eq!(counts[1], counts[3], "{counts:?}");
        assert!(counts[2] <= counts[0] && counts[0] > 20, "{counts:?}");
        shop.close().await;
    }
}

pub(super) async fn exists(server: &Server, role: &str) -> bool {
    let mut connection = server.superuser().await;
    let query = sqlx::query("SELECT FROM pg_roles WHERE rolname = $1").bind(role);
    query.fetch_optional(&mut connection).await.unwrap().is_some()
}
