//! The change itself at a real PostgreSQL, without a secret around it: a closed fence, a late hour, a
//! lost race.

use std::time::Duration;

use async_trait::async_trait;
use fourstep::users::{Attempt, Change, Driver, LoggedIn, Login, SslMode};
use fourstep::{Deadline, Environment, Error, ErrorKind, Fence, Finding, Invocation};
use rotate_postgres::{Postgres, Session};
use sqlx::{Executor, PgConnection};

use crate::support::postgres::{Server, User, server};

fn driver() -> Driver<Postgres> {
    let environment = Environment::default();
    Driver::read(&environment, Postgres::read(&environment).unwrap()).unwrap()
}

fn seconds(seconds: u64) -> Invocation {
    Invocation::new(Deadline::after(Duration::from_secs(seconds)))
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

/// A user made for one test.
struct Place {
    server: Server,
    user: User,
    login: Login,
}

impl Place {
    async fn new(stem: &str) -> Option<Self> {
        let server = server()?;
        let user = server.user(stem).await;
        let login = Login::new(&server.host, server.port, &user.name, user.password.as_str());
        let login = Login { ssl: SslMode::Plaintext, ..login.with_database("postgres") };
        Some(Self { server, user, login })
    }

    /// `ALTER ROLE` of the user, as the superuser.
    async fn alter(&self, what: &str) {
        self.server.arrange(&format!("ALTER ROLE \"{}\" {what}", self.user.name)).await;
    }

    async fn open<'a>(&self, login: &Login, cx: &'a Invocation) -> LoggedIn<'a, Session> {
        match driver().log_in(&self.login, cx).await.unwrap() {
            Attempt::Accepted(at) => LoggedIn { login: login.clone(), ..at },
            Attempt::Refused(why) => panic!("{why}"),
        }
    }

    /// The user's own change, begun so many seconds before the deadline.
    async fn change(&self, left: u64, password: &str, fence: &dyn Fence) -> Result<(), Error> {
        let (early, cx) = (seconds(30), seconds(left));
        let (driver, password) = (driver(), password.into());
        let at = LoggedIn { cx: &cx, ..self.open(&self.login, &early).await };
        let change = driver.change_own_password(at, &password, fence);
        change.await.map(|change| assert_eq!(change, Change::Made))
    }

    async fn logs_in_with(&self, password: &str) -> bool {
        self.server.logs_in(&self.user.name, password).await
    }

    async fn preflight(&self, login: &Login) -> Vec<Finding> {
        let cx = seconds(30);
        driver().preflight(self.open(login, &cx).await, None).await.unwrap()
    }
}

async fn run(session: &mut PgConnection, statement: &str) {
    session.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(statement))).await.unwrap();
}

#[tokio::test]
async fn a_closed_fence_or_a_late_hour_changes_nothing() {
    let Some(place) = Place::new("fenced").await else { return };
    let closed = Gate(async || Err(Error::new(ErrorKind::Conflict, "closed")));
    let error = place.change(30, "second", &closed).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(place.logs_in_with(&place.user.password).await);

    let error = place.change(3, "second", &open_gate()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutOfTime);
    assert!(place.logs_in_with(&place.user.password).await);

    // Passed in time, but so slowly that no time is left to commit.
    let slow = Gate(async || {
        tokio::time::sleep(Duration::from_millis(6900)).await;
        Ok(())
    });
    let error = place.change(8, "second", &slow).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutOfTime);
    assert!(error.to_string().contains("rolled back"), "{error}");
    assert!(place.logs_in_with(&place.user.password).await);
}

#[tokio::test]
async fn a_user_that_may_only_read_by_its_own_setting_is_changed() {
    let Some(place) = Place::new("reads").await else { return };
    place.alter("SET default_transaction_read_only = on").await;
    place.change(30, "second", &open_gate()).await.unwrap();
    assert!(place.logs_in_with("second").await);
}

#[tokio::test]
async fn another_session_s_change_at_the_same_moment_is_a_conflict() {
    let Some(place) = Place::new("raced").await else { return };
    let gate = Gate(async || {
        place.alter("CONNECTION LIMIT 5").await;
        Ok(())
    });
    // Done before ours, so ours sees it and goes on.
    place.change(30, &place.user.password, &gate).await.unwrap();
    let mut other = place.server.superuser().await;
    let alter = format!("BEGIN; ALTER ROLE \"{}\" CONNECTION LIMIT 6", place.user.name);
    run(&mut other, &alter).await;
    let gate = open_gate();
    let changed = place.change(30, "second", &gate);
    let commit = async {
        // Not before ours waits for it: ours would see it and go on.
        place.server.wait_for_session(&place.user, "wait_event_type = 'Lock'").await;
        run(&mut other, "COMMIT").await;
    };
    let (changed, ()) = tokio::join!(changed, commit);
    let error = changed.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    assert!(error.to_string().contains("at the same moment"), "{error}");
    assert!(place.logs_in_with(&place.user.password).await);
}

#[tokio::test]
async fn preflight_finds_what_would_fail() {
    let Some(place) = Place::new("flown").await else { return };
    assert_eq!(place.preflight(&place.login).await, []);
    place.alter("VALID UNTIL 'infinity'").await;
    assert_eq!(place.preflight(&place.login).await, []);
    let someone = Login { username: "someone".into(), ..place.login.clone() };
    assert!(matches!(
        &place.preflight(&someone).await[..],
        [Finding::Fails(error)] if error.kind() == ErrorKind::Mismatch
    ));
    let mut session = place.server.superuser().await;
    let soon = format!(
        "DO $$ BEGIN EXECUTE format('ALTER ROLE %I VALID UNTIL %L', '{}', now() + interval '3 hours'); \
         END $$",
        place.user.name
    );
    run(&mut session, &soon).await;
    assert!(matches!(&place.preflight(&place.login).await[..], [Finding::Warns(_)]));
    place.alter("SET \"rds.restrict_password_commands\" = 'on'").await;
    assert!(matches!(
        &place.preflight(&place.login).await[..],
        [Finding::Fails(error), Finding::Warns(_)] if error.kind() == ErrorKind::Forbidden
    ));
}
