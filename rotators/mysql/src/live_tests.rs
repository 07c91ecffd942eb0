//! The login and the change against real servers, without the framework around them.
//!
//! `scripts/test` starts the servers and sets the variables; without them each test says that it
//! was skipped. The whole-system tests are elsewhere: these reach what only this crate can, such as
//! a closed fence, a held lock, a frozen session.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use fourstep::users::{Attempt, Change, Database, Driver, Login, SslMode, Swap};
use fourstep::{Deadline, Environment, Error, ErrorKind, ExposeSecret, Fence, Invocation, Result};

use crate::password::PasswordFormat;
use crate::session::{At, Session};
use crate::{Mysql, change, sql};

/// A server and one user made on it for one test.
pub(crate) struct Fixture {
    mysql: Driver<Mysql>,
    admin: Login,
    login: Login,
    pub(crate) cx: Invocation,
}

/// The two servers: how their variables begin, and what stands between CREATE USER's account and
/// its password.
pub(crate) const SERVERS: [&str; 2] = ["MYSQL", "MARIADB"];

impl Fixture {
    /// `None`, said aloud, where no server is given. The user is made as `'name'@'host'`.
    pub(crate) async fn with_user(server: &str, name: &str, password: &str) -> Option<Self> {
        let variable = |name| std::env::var(format!("FOURSTEP_TEST_{server}_{name}")).ok();
        let Some(port) = variable("PORT") else {
            assert!(std::env::var_os("FOURSTEP_TEST_REQUIRE").is_none(), "no {server} is given");
            eprintln!("SKIPPED: FOURSTEP_TEST_{server}_PORT and its companions are not set");
            return None;
        };
        let login = |username: &str, password: &str| Login {
            ssl: SslMode::Verified,
            ..Login::new("localhost", port.parse().unwrap(), username, password)
        };
        let ca = format!("{}/tls/ca.pem", variable("DIR").unwrap());
        let environment = Environment::from([("TLS_CA_BUNDLE", ca.as_str())]);
        let place = Self {
            mysql: driver(Mysql::read(&environment).unwrap()),
            admin: login(&variable("ARRANGER").unwrap(), &variable("ARRANGER_PASSWORD").unwrap()),
            login: login(name, password),
            cx: Invocation::new(Deadline::after(Duration::from_secs(120))),
        };
        let (name, password) = (name.replace('\'', "''"), password.replace('\'', "''"));
        place.as_admin(&format!("DROP USER IF EXISTS '{name}'@'127.%'")).await;
        place.as_admin(&format!("CREATE USER '{name}'@'127.%' IDENTIFIED BY '{password}'")).await;
        Some(place)
    }

    pub(crate) async fn as_admin(&self, statement: &str) {
        let mut session = self.admins().await;
        session.run("a statement", statement, &self.cx).await.unwrap();
        session.close().await;
    }

    /// A session of the administrator's that is logged nowhere and takes a backslash as it is.
    pub(crate) async fn admins(&self) -> Session {
        let mut session = self.open(&self.admin).await.unwrap().session;
        let quiet = "SET SESSION sql_log_off = 1, long_query_time = 3600, \
                     sql_mode = 'NO_BACKSLASH_ESCAPES'";
        session.run("quiet", quiet, &self.cx).await.unwrap();
        session
    }

    async fn open(&self, login: &Login) -> Result<At<'_>> {
        match self.mysql.log_in(login, &self.cx).await? {
            Attempt::Accepted(at) => Ok(at),
            Attempt::Refused(why) => Err(Error::new(ErrorKind::Rejected, why)),
        }
    }

    async fn accepts(&self, password: &str) -> bool {
        let login = self.login.with_password(&password.into());
        matches!(self.mysql.log_in(&login, &self.cx).await.unwrap(), Attempt::Accepted(_))
    }

    /// Changes the user's password, `seconds` before the deadline, behind an open or closed gate.
    async fn change(&self, seconds: u64, password: &str, open: bool) -> Result<Change> {
        let at = self.open(&self.login).await?;
        let cx = Invocation::new(Deadline::after(Duration::from_secs(seconds)));
        let at = At { cx: &cx, ..at };
        self.mysql.change_own_password(at, &password.into(), &Gate { open }).await
    }

    /// Begins a change of the session's own password, as a rotation that then stands still.
    async fn begin(&self, at: &mut At<'_>) {
        let server = self.mysql.server();
        let prepared = server.prepare_own(at, &"unset".into()).await.unwrap();
        server.begin(at, &server.locks(&prepared)).await.unwrap();
    }
}

fn driver(mysql: Mysql) -> Driver<Mysql> {
    Driver::read(&Environment::default(), mysql).unwrap()
}

/// A fence of a test's own.
struct Gate {
    open: bool,
}

#[async_trait]
impl Fence for Gate {
    async fn pass(&self) -> Result<()> {
        if self.open { Ok(()) } else { Err(Error::new(ErrorKind::Conflict, "closed")) }
    }
}

#[tokio::test]
async fn parity_18_25_26_29_any_name_any_password_and_any_host_pattern() {
    let names = ["plain", "Q\"uo'te", "b\\ack%;s", "--", "a@b", "Größe 漢字", "`tick`"];
    let passwords = ["a%b'c\"d\\e$1 f", "pass wörd 漢字", "*A41BEE51488264", "\u{7}bell😀", "\\'"];
    for server in SERVERS {
        for (number, name) in names.into_iter().enumerate() {
            let Some(mut place) = Fixture::with_user(server, name, "first").await else { return };
            for password in passwords.into_iter().cycle().skip(number).take(2) {
                assert_eq!(place.change(30, password, true).await.unwrap(), Change::Made);
                assert!(place.accepts(password).await, "{server} {name} {password}");
                let before = place.login.password.expose_secret().to_owned();
                assert!(!place.accepts(&before).await, "{server} {name} {before}");
                place.login = place.login.with_password(&password.into());
            }
        }
    }
}

#[tokio::test]
async fn a_closed_fence_or_a_late_hour_changes_nothing() {
    for server in SERVERS {
        let Some(place) = Fixture::with_user(server, "fenced", "first").await else { return };
        let error = place.change(30, "second", false).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        let error = place.change(3, "second", true).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OutOfTime);
        assert!(place.accepts("first").await);
    }
}

#[tokio::test]
async fn rule_03_the_lock_keeps_a_second_rotation_out() {
    for server in SERVERS {
        let Some(place) = Fixture::with_user(server, "locked", "first").await else { return };
        let mut holder = place.open(&place.login).await.unwrap();
        place.begin(&mut holder).await;
        let [number] =
            holder.session.ask("who", "SELECT CONNECTION_ID()", &place.cx).await.unwrap();
        let error = place.change(9, "second", true).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
        assert!(error.to_string().contains("holds the lock"), "{error}");
        let way_out = format!("KILL {}", number.unwrap());
        assert!(error.to_string().ends_with(&way_out), "{error}");
        place.as_admin(&way_out).await;
        place.change(30, "second", true).await.unwrap();
        assert!(place.accepts("second").await);
    }
}

#[tokio::test]
async fn rule_03_the_server_ends_a_session_that_falls_silent_and_gives_its_lock_back() {
    for server in SERVERS {
        let Some(place) = Fixture::with_user(server, "frozen", "first").await else { return };
        let cx = Invocation::new(Deadline::after(Duration::from_secs(9)));
        let mut frozen = At { cx: &cx, ..place.open(&place.login).await.unwrap() };
        // The lock is given back at least 4 s after this, however long it takes to begin.
        let before = std::time::Instant::now();
        place.begin(&mut frozen).await;
        // It holds the lock, and thaws when its time is over and another rotation has run.
        place.change(25, "second", true).await.unwrap();
        assert!(before.elapsed() > Duration::from_secs(3), "it did not wait for the lock");
        let late = sql::Statement::alter_user(&"third".into(), None, false);
        let thawed = change::exchange(&mut frozen.session, &late, &place.cx).await;
        assert!(thawed.is_err(), "{thawed:?}");
        assert!(place.accepts("second").await);
    }
}

#[tokio::test]
async fn rule_03_a_statement_that_waits_at_the_server_is_given_up_in_time() {
    for server in SERVERS {
        let Some(place) = Fixture::with_user(server, "stalled", "first").await else { return };
        let (held, given_up) = (AtomicBool::new(false), AtomicBool::new(false));
        let hold = async {
            let mut holder = place.admins().await;
            // Another user's statement waits as long, and is a test's own: so one that locks
            // what ALTER USER writes, and little else.
            let lock = match server {
                "MYSQL" => "LOCK TABLES mysql.user READ",
                _ => "LOCK TABLES mysql.global_priv READ",
            };
            holder.run("the lock", lock, &place.cx).await.unwrap();
            held.store(true, Ordering::SeqCst);
            while !given_up.load(Ordering::SeqCst) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            // What the server does not give up, too, would be done now.
            tokio::time::sleep(Duration::from_secs(1)).await;
            holder.close().await;
        };
        let change = async {
            while !held.load(Ordering::SeqCst) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            let changed = place.change(6, "second", true).await;
            given_up.store(true, Ordering::SeqCst);
            changed
        };
        let ((), changed) = tokio::join!(hold, change);
        let error = changed.unwrap_err();
        let kinds = [ErrorKind::Conflict, ErrorKind::OutOfTime, ErrorKind::Unreachable];
        assert!(kinds.contains(&error.kind()), "{error}");
        assert!(place.accepts("first").await, "{server}: {error}");
        assert!(!place.accepts("second").await, "{server}: it was changed afterwards");
    }
}

#[tokio::test]
async fn rule_09_on_plaintext_a_password_that_could_not_log_in_is_refused_before_the_change() {
    let Some(mut place) = Fixture::with_user("MYSQL", "unasked", "first").await else { return };
    // Seen once, so that the fast path lets it in without TLS.
    assert!(place.accepts("first").await);
    place.login.ssl = SslMode::Plaintext;
    let error = place.change(30, "second", true).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("nothing was changed"), "{error}");
    assert!(place.accepts("first").await);
    let Some(mut place) = Fixture::with_user("MARIADB", "asked", "first").await else { return };
    place.login.ssl = SslMode::Plaintext;
    place.change(30, "second", true).await.unwrap();
    assert!(place.accepts("second").await);
}

#[tokio::test]
async fn a_password_in_plaintext_gets_a_hash_that_logs_in_whatever_old_passwords_says() {
    let Some(place) = Fixture::with_user("MARIADB", "hashed", "first").await else { return };
    let mut at = place.open(&place.login).await.unwrap();
    // As every session has it where the server is set so.
    at.session.run("a setting", "SET SESSION old_passwords = 1", &place.cx).await.unwrap();
    place.begin(&mut at).await;
    let set = PasswordFormat::Plaintext.statement(&"second".into());
    assert_eq!(change::exchange(&mut at.session, &set, &place.cx).await.unwrap(), Swap::Made);
    assert!(place.accepts("second").await);
}

#[tokio::test]
async fn an_account_that_requires_its_current_password_gets_it() {
    let Some(place) = Fixture::with_user("MYSQL", "required", "first").await else { return };
    place.as_admin("ALTER USER 'required'@'127.%' PASSWORD REQUIRE CURRENT").await;
    place.change(30, "second", true).await.unwrap();
    assert!(place.accepts("second").await && !place.accepts("first").await);
}

#[tokio::test]
async fn the_end_of_two_passwords_leaves_one() {
    let Some(place) = Fixture::with_user("MYSQL", "retained", "first").await else { return };
    place.as_admin("GRANT APPLICATION_PASSWORD_ADMIN ON *.* TO 'retained'@'127.%'").await;
    let statement = "ALTER USER 'retained'@'127.%' IDENTIFIED BY 'second' RETAIN CURRENT PASSWORD";
    place.as_admin(statement).await;
    // The session is opened by what is the secondary password by now.
    place.change(30, "third", true).await.unwrap();
    assert!(place.accepts("third").await);
    assert!(!place.accepts("first").await && !place.accepts("second").await);
}
