//! The login and the change against a real server, without the framework around them.
//!
//! `scripts/test` starts the server and sets the variables; without them each test says that it
//! was skipped. The whole-system tests are elsewhere: these reach what only this crate can, such
//! as a closed fence, a held lock, a lost race.

use std::time::Duration;

use async_trait::async_trait;
use fourstep::users::{Attempt, Change, Driver, Login, SslMode};
use fourstep::{Deadline, Environment, Error, ErrorKind, Fence, Finding, Invocation};

use crate::password::PasswordFormat;
use crate::sql::{self, quote_identifier};
use crate::{Postgres, Session};

mod quoting;

/// A server and one user made on it for one test.
struct Place {
    admin: Login,
    login: Login,
    cx: Invocation,
}

fn server() -> Option<[String; 4]> {
    let variable = |name| std::env::var(format!("FOURSTEP_TEST_POSTGRES_{name}")).ok();
    Some([
        variable("HOST")?,
        variable("PORT")?,
        variable("ARRANGER")?,
        variable("ARRANGER_PASSWORD")?,
    ])
}

impl Place {
    /// `None`, said aloud, where no server is given.
    async fn with_user(username: &str, password: &str) -> Option<Self> {
        let Some([host, port, arranger, arranger_password]) = server() else {
            assert!(std::env::var_os("FOURSTEP_TEST_REQUIRE").is_none(), "no PostgreSQL is given");
            eprintln!("SKIPPED: FOURSTEP_TEST_POSTGRES_HOST and its companions are not set");
            return None;
        };
        let login = |username: &str, password: &str| Login {
            ssl: SslMode::Plaintext,
            ..Login::new(&host, port.parse().unwrap(), username, password).with_database("postgres")
        };
        let place = Self {
            admin: login(&arranger, &arranger_password),
            login: login(username, password),
            cx: Invocation::new(Deadline::after(Duration::from_secs(30))),
        };
        let (role, verifier) = (quote_identifier(username), &place.login.password);
        place.as_admin(format!("DROP ROLE IF EXISTS {role}")).await;
        place.as_admin(format!("CREATE ROLE {role} LOGIN")).await;
        place
            .as_admin(sql::set_password(
                username,
                &PasswordFormat::ScramSha256.literal(username, verifier, 4096).unwrap(),
                false,
            ))
            .await;
        Some(place)
    }

    async fn as_admin(&self, statement: String) {
        let mut session = self.open(&self.admin).await.unwrap();
        session.run("a statement", statement, &self.cx).await.unwrap();
    }

    async fn try_login(&self, login: &Login) -> Result<Attempt<Session>, Error> {
        driver().log_in(login, &self.cx).await
    }

    async fn open(&self, login: &Login) -> Result<Session, Error> {
        match self.try_login(login).await? {
            Attempt::Accepted(session) => Ok(session),
            Attempt::Refused(why) => Err(Error::new(ErrorKind::Rejected, why)),
        }
    }

    async fn change(&self, password: &str, fence: &dyn Fence) -> Result<(), Error> {
        self.change_from("first", 30, password, fence).await
    }

    /// The change by whoever logs in with `old`, begun `seconds` before the deadline.
    async fn change_from(
        &self,
        old: &str,
        seconds: u64,
        password: &str,
        fence: &dyn Fence,
    ) -> Result<(), Error> {
        let session = self.open(&self.login.with_password(&old.into())).await?;
        let cx = Invocation::new(Deadline::after(Duration::from_secs(seconds)));
        let (driver, password) = (driver(), password.into());
        let change = driver.change_own_password(session, &self.login, &password, fence, &cx);
        change.await.map(|change| assert_eq!(change, Change::Made))
    }

    async fn assert_password(&self, password: &str) {
        self.open(&self.login.with_password(&password.into())).await.unwrap();
    }
}

fn driver() -> Driver<Postgres> {
    let environment = Environment::default();
    Driver::read(&environment, Postgres::read(&environment).unwrap()).unwrap()
}

/// A fence of a test's own.
struct Gate<F>(F);

#[async_trait]
impl<F: Fn() -> W + Send + Sync, W: Future<Output = Result<(), Error>> + Send> Fence for Gate<F> {
    async fn pass(&self) -> Result<(), Error> {
        (self.0)().await
    }
}

fn open_gate() -> impl Fence {
    Gate(async || Ok(()))
}

#[tokio::test]
async fn parity_18_25_26_any_name_and_any_password() {
    let names = ["plain", "Q\"uo'te", "b\\ack%;s", "--", "=,n=x", "Größe 漢字", "$1 :a"];
    let passwords =
        ["a%b'c\"d\\e$1 f", "pass wörd 漢字", "SCRAM-SHA-256$4096:", "\u{7}bell", "ª\u{a0}x"];
    for name in names {
        let Some(place) = Place::with_user(name, "first").await else { return };
        // Every pair would take as many logins as there are names times passwords.
        for password in passwords.into_iter().cycle().skip(name.len()).take(2) {
            place.change(password, &open_gate()).await.unwrap();
            place.assert_password(password).await;
            assert!(matches!(place.try_login(&place.login).await.unwrap(), Attempt::Refused(_)));
            place.change_from(password, 30, "first", &open_gate()).await.unwrap();
        }
        place.as_admin(format!("DROP ROLE {}", quote_identifier(name))).await;
    }
}

#[tokio::test]
async fn a_closed_fence_or_a_late_hour_changes_nothing() {
    let Some(place) = Place::with_user("fenced", "first").await else { return };
    let closed = Gate(async || Err(Error::new(ErrorKind::Conflict, "closed")));
    let error = place.change("second", &closed).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    place.assert_password("first").await;

    let error = place.change_from("first", 3, "second", &open_gate()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutOfTime);
    place.assert_password("first").await;

    // Passed in time, but so slowly that no time is left to commit.
    let slow = Gate(async || {
        tokio::time::sleep(Duration::from_millis(4900)).await;
        Ok(())
    });
    let error = place.change_from("first", 6, "second", &slow).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutOfTime);
    assert!(error.to_string().contains("rolled back"), "{error}");
    place.assert_password("first").await;
}

#[tokio::test]
async fn the_lock_keeps_a_second_rotation_out_and_a_role_setting_does_not_mislead() {
    let Some(place) = Place::with_user("locked", "first").await else { return };
    place.as_admin("ALTER ROLE locked SET default_transaction_read_only = on".into()).await;
    place
        .as_admin("GRANT pg_monitor TO locked; ALTER ROLE locked SET role = pg_monitor".into())
        .await;
    let mut holder = place.open(&place.admin).await.unwrap();
    holder.run("begin", "BEGIN", &place.cx).await.unwrap();
    holder.run("lock", sql::lock("locked"), &place.cx).await.unwrap();
    let error = place.change_from("first", 6, "second", &open_gate()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    drop(holder);
    place.assert_password("first").await;
    place.change("second", &open_gate()).await.unwrap();
    place.assert_password("second").await;
}

#[tokio::test]
async fn another_session_s_change_at_the_same_moment_is_a_conflict() {
    let Some(place) = Place::with_user("raced", "first").await else { return };
    let gate = Gate(async || {
        place.as_admin("ALTER ROLE raced CONNECTION LIMIT 5".to_owned()).await;
        Ok(())
    });
    // Done before ours, so ours sees it and goes on.
    place.change("second", &gate).await.unwrap();
    let mut other = place.open(&place.admin).await.unwrap();
    other.run("begin", "BEGIN", &place.cx).await.unwrap();
    let alter = "ALTER ROLE raced CONNECTION LIMIT 6".to_owned();
    other.run("alter", alter, &place.cx).await.unwrap();
    let gate = open_gate();
    let changed = place.change_from("second", 30, "third", &gate);
    let commit = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        other.run("commit", "COMMIT", &place.cx).await.unwrap();
    };
    let (changed, ()) = tokio::join!(changed, commit);
    let error = changed.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    assert!(error.to_string().contains("at the same moment"), "{error}");
    place.assert_password("second").await;
}

#[tokio::test]
async fn preflight_finds_what_would_fail() {
    let Some(place) = Place::with_user("flown", "first").await else { return };
    let postgres = driver();
    let look = async |login: Login| {
        let session = place.open(&place.login).await.unwrap();
        postgres.preflight(session, &login, None, &place.cx).await.unwrap()
    };
    assert_eq!(look(place.login.clone()).await, []);
    place.as_admin("ALTER ROLE flown VALID UNTIL 'infinity'".into()).await;
    assert_eq!(look(place.login.clone()).await, []);
    let mut other = place.login.clone();
    other.username = "someone".into();
    assert!(matches!(
        &look(other).await[..],
        [Finding::Fails(error)] if error.kind() == ErrorKind::Mismatch
    ));
    let mut soon = place.open(&place.admin).await.unwrap();
    let statement = "DO $$ BEGIN EXECUTE format('ALTER ROLE flown VALID UNTIL %L', \
                     now() + interval '3 hours'); END $$";
    soon.run("alter", statement, &place.cx).await.unwrap();
    assert!(matches!(&look(place.login.clone()).await[..], [Finding::Warns(_)]));
    place.as_admin("ALTER ROLE flown SET \"rds.restrict_password_commands\" = 'on'".into()).await;
    assert!(matches!(
        &look(place.login.clone()).await[..],
        [Finding::Fails(error), Finding::Warns(_)] if error.kind() == ErrorKind::Forbidden
    ));
}
