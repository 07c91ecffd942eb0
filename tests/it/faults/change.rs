//! A session ends, waits or is interrupted in the middle of the change.

use std::sync::Arc;
use std::time::Duration;

use fourstep::{ErrorKind, Step};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection, Executor};

use super::case::{Case, Ground, Left, Row, Share};
use super::{Playing, play};
use crate::support::door::{Moment, Then, Way};
use crate::support::postgres::User;

pub fn all(ground: &Arc<Ground>) -> Vec<Playing> {
    let mut all = at_server(ground);
    all.extend(BROKEN.iter().map(|broken| -> Playing {
        let ground = Arc::clone(ground);
        Box::pin(async move { broken.play(&ground).await })
    }));
    all
}

/// Those that the server itself has a part in.
pub fn at_server(ground: &Arc<Ground>) -> Vec<Playing> {
    play!(ground; a_lock_held, a_role_that_is_being_altered, a_statement_cancelled,
        a_session_terminated, too_little_time, a_pending_password_that_was_never_set)
}

/// A connection that breaks or falls silent at one statement of setSecret.
struct Broken {
    name: &'static str,
    /// Empty where it shares its message with no other.
    cause: &'static str,
    /// What the statement is known by.
    at: &'static [u8],
    moment: Moment,
    then: Then,
    kind: ErrorKind,
    seconds: u64,
    share: Share,
    left: Left,
}

/// From here nobody can tell whether the server heard it.
const COMMIT_LOST: &str = "a connection that is lost at COMMIT";

const WHO: &[u8] = b"pg_is_in_recovery";

const BROKEN: [Broken; 9] = [
    Broken {
        name: "a server that dies after the login",
        cause: "",
        at: WHO,
        moment: Moment::Before,
        then: Then::Reset,
        kind: ErrorKind::Unreachable,
        seconds: 24,
        share: Share::AtOnce,
        left: Left::Unchanged,
    },
    Broken {
        name: "a server that dies before the account's lock is given",
        cause: "",
        at: b"advisory_xact_lock",
        moment: Moment::Before,
        then: Then::Reset,
        kind: ErrorKind::Unreachable,
        seconds: 24,
        share: Share::AtOnce,
        left: Left::Unchanged,
    },
    Broken {
        name: "a server that dies at ALTER ROLE",
        cause: "",
        at: b"ALTER ROLE",
        moment: Moment::After,
        then: Then::Reset,
        kind: ErrorKind::Unreachable,
        seconds: 24,
        share: Share::AtOnce,
        left: Left::Unchanged,
    },
    Broken {
        name: "a server that dies before COMMIT reaches it",
        cause: COMMIT_LOST,
        at: b"COMMIT\0",
        moment: Moment::Before,
        then: Then::Reset,
        kind: ErrorKind::Unreachable,
        seconds: 24,
        share: Share::AtOnce,
        left: Left::Unchanged,
    },
    Broken {
        name: "a server that dies after it has committed",
        cause: COMMIT_LOST,
        at: b"COMMIT\0",
        moment: Moment::After,
        then: Then::Reset,
        kind: ErrorKind::Unreachable,
        seconds: 24,
        share: Share::AtOnce,
        left: Left::Changed,
    },
    Broken {
        name: "a server that answers a statement with garbage",
        cause: "",
        at: WHO,
        moment: Moment::After,
        then: Then::Says(b"!\0\0\0\x04"),
        kind: ErrorKind::Unreachable,
        seconds: 24,
        share: Share::AtOnce,
        left: Left::Unchanged,
    },
    Broken {
        name: "a server that stalls after the login",
        cause: "",
        at: WHO,
        moment: Moment::Before,
        then: Then::Silence,
        kind: ErrorKind::OutOfTime,
        seconds: 6,
        share: Share::AtDeadline,
        left: Left::Unchanged,
    },
    Broken {
        name: "a server that stalls at ALTER ROLE",
        cause: "",
        at: b"ALTER ROLE",
        moment: Moment::After,
        then: Then::Silence,
        kind: ErrorKind::OutOfTime,
        seconds: 10,
        share: Share::AtDeadline,
        left: Left::Unchanged,
    },
    Broken {
        name: "a server that stalls after it has committed",
        cause: "",
        at: b"COMMIT\0",
        moment: Moment::After,
        then: Then::Silence,
        kind: ErrorKind::Unreachable,
        seconds: 10,
        share: Share::AtDeadline,
        left: Left::Changed,
    },
];

impl Broken {
    async fn play(&self, ground: &Arc<Ground>) -> Row {
        let (case, door) = Case::behind(ground, self.name, self.seconds).await;
        let mut case = if self.cause.is_empty() { case } else { case.cause(self.cause) };
        case.reach(Step::Set).await;
        door.set(Way::Until(ground.server.port, self.at, self.moment, self.then));
        case.ends(Step::Set, self.kind, self.share, self.left).await;
        door.set(Way::To(ground.server.port));
        case.converges().await
    }
}

/// A session of another container or person, which holds something until it is closed.
async fn held_by(case: &Case, sql: &str) -> PgConnection {
    let mut other = case.ground.server.superuser().await;
    let sql = sql.replace("USER", &case.user.name);
    other.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await.unwrap();
    other
}

/// Another container of the same rotation, which stopped right before its statement.
async fn a_lock_held(ground: Arc<Ground>) -> Row {
    let (mut case, door) = Case::behind(&ground, "the account's lock held", 10).await;
    case.reach(Step::Set).await;
    door.set(Way::Until(ground.server.port, b"ALTER ROLE", Moment::Before, Then::Silence));
    let mut other = case.stage.beside();
    other.timeout = Duration::from_secs(60);
    let token = case.token.clone();
    let other = tokio::spawn(async move { other.step(Step::Set, &token).await });
    let idle = "state = 'idle in transaction' AND query LIKE '%advisory%'";
    ground.server.wait_for_session(&case.user, idle).await;
    door.set(Way::To(ground.server.port));
    case.ends(Step::Set, ErrorKind::Conflict, Share::Before, Left::Unchanged).await;
    other.abort();
    case.converges().await
}

async fn a_role_that_is_being_altered(ground: Arc<Ground>) -> Row {
    let name = "a role that another session is altering";
    let (mut case, _door) = Case::behind(&ground, name, 10).await;
    case.reach(Step::Set).await;
    let other = held_by(&case, "BEGIN; ALTER ROLE \"USER\" CONNECTION LIMIT 9").await;
    case.ends(Step::Set, ErrorKind::Conflict, Share::Before, Left::Unchanged).await;
    other.close().await.unwrap();
    case.converges().await
}

/// Holds the role and does this to the session that waits for it.
async fn struck(mut case: Case, function: &str, kind: ErrorKind) -> Row {
    case.reach(Step::Set).await;
    let other = held_by(&case, "BEGIN; ALTER ROLE \"USER\" CONNECTION LIMIT 9").await;
    let (server, user) = (case.ground.server.clone(), case.user.name.clone());
    let waiting = User { name: user.clone(), password: String::new() };
    let strike = format!(
        "SELECT {function}(pid) FROM pg_stat_activity \
         WHERE usename = '{user}' AND wait_event_type = 'Lock'"
    );
    let struck = tokio::spawn(async move {
        server.wait_for_session(&waiting, "wait_event_type = 'Lock'").await;
        server.arrange(&strike).await;
    });
    case.ends(Step::Set, kind, Share::AtOnce, Left::Unchanged).await;
    struck.await.unwrap();
    other.close().await.unwrap();
    case.converges().await
}

/// As a statement timeout does, whose code this is.
async fn a_statement_cancelled(ground: Arc<Ground>) -> Row {
    let case = Case::new(&ground, "a statement that the server cancels", &[], |_| ()).await;
    struck(case, "pg_cancel_backend", ErrorKind::OutOfTime).await
}

async fn a_session_terminated(ground: Arc<Ground>) -> Row {
    let case = Case::new(&ground, "a session that the server ends", &[], |_| ()).await;
    struck(case, "pg_terminate_backend", ErrorKind::Unreachable).await
}

async fn too_little_time(ground: Arc<Ground>) -> Row {
    let mut case = Case::new(&ground, "too little time left to begin", &[], |_| ()).await;
    case.reach(Step::Set).await;
    case.seconds = 4;
    case.ends(Step::Set, ErrorKind::OutOfTime, Share::Before, Left::Unchanged).await;
    case.converges().await
}

async fn a_pending_password_that_was_never_set(ground: Arc<Ground>) -> Row {
    let name = "a password that was changed by hand after setSecret";
    let mut case = Case::new(&ground, name, &[], |_| ()).await;
    case.reach(Step::Test).await;
    case.arrange(&format!("ALTER ROLE \"USER\" PASSWORD '{}'", case.user.password)).await;
    case.ends(Step::Test, ErrorKind::Rejected, Share::AtOnce, Left::Unchanged).await;
    case.converges().await
}
