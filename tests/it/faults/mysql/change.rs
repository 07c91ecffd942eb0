//! A session ends, waits or is interrupted in the middle of the change.

use std::sync::Arc;

use fourstep::{ErrorKind, Step};
use serde_json::json;

use super::{Case, Ground, arrange};
use crate::faults::case::{Left, Row, Share};
use crate::faults::{Playing, play};
use crate::support::door::{Moment, Then, Way};
use crate::support::mysql::User;

pub fn all(ground: &Arc<Ground>) -> Vec<Playing> {
    let mut all = at_server(ground);
    if !ground.server.is_mysql() {
        all.extend(BROKEN.iter().map(|broken| -> Playing {
            let ground = Arc::clone(ground);
            Box::pin(async move { broken.play(&ground).await })
        }));
    }
    all
}

/// Those that the server itself has a part in.
pub fn at_server(ground: &Arc<Ground>) -> Vec<Playing> {
    play!(ground; a_lock_held, a_session_killed, too_little_time,
        a_pending_password_that_was_never_set, a_pending_password_that_has_expired)
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
const CHANGE_LOST: &str = "a connection that is lost at the change";

const WHO: &[u8] = b"SELECT CURRENT_USER()";
const CHANGE: &[u8] = b"SET PASSWORD";

const BROKEN: [Broken; 7] = [
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
        at: b"GET_LOCK",
        moment: Moment::Before,
        then: Then::Reset,
        kind: ErrorKind::Unreachable,
        seconds: 24,
        share: Share::AtOnce,
        left: Left::Unchanged,
    },
    Broken {
        name: "a server that dies before the change reaches it",
        cause: CHANGE_LOST,
        at: CHANGE,
        moment: Moment::Before,
        then: Then::Reset,
        kind: ErrorKind::Unreachable,
        seconds: 24,
        share: Share::AtOnce,
        left: Left::Unchanged,
    },
    Broken {
        name: "a server that dies after the change",
        cause: CHANGE_LOST,
        at: CHANGE,
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
        name: "a server that stalls at the account's lock",
        cause: "",
        at: b"GET_LOCK",
        moment: Moment::Before,
        then: Then::Silence,
        kind: ErrorKind::OutOfTime,
        seconds: 10,
        share: Share::AtDeadline,
        left: Left::Unchanged,
    },
    Broken {
        name: "a server that stalls after the change",
        cause: "",
        at: CHANGE,
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
        case.edit(|document| document["ssl"] = json!(false));
        case.reach(Step::Set).await;
        door.set(Way::Until(ground.server.port, self.at, self.moment, self.then));
        case.ends(Step::Set, self.kind, self.share, self.left).await;
        door.set(Way::To(ground.server.port));
        case.converges().await
    }
}

/// Has this user hold the account's lock, as anybody may who logs in; to be aborted.
fn held(case: &Case, holder: &User) -> tokio::task::JoinHandle<()> {
    let (server, holder) = (case.ground.server.clone(), holder.clone());
    // As the function names it.
    let user = &case.user.name;
    let key = format!("CONCAT('fourstep:', UPPER(LEFT(SHA2('{user}@127.%', 256), 32)))");
    tokio::spawn(async move {
        server
            .hold(&holder.name, &holder.password, &format!("SELECT GET_LOCK({key}, 0), SLEEP(90)"))
            .await;
    })
}

async fn a_lock_held(ground: Arc<Ground>) -> Row {
    let mut case = Case::new(&ground, "the account's lock held", &[], |_| ()).await;
    case.seconds = 10;
    case.reach(Step::Set).await;
    let stranger = ground.server.user("stranger").await;
    let held = held(&case, &stranger);
    ground.server.wait_for_session(&stranger.name, "info LIKE '%SLEEP%'").await;
    case.ends(Step::Set, ErrorKind::Conflict, Share::Before, Left::Unchanged).await;
    ground.server.end_sessions(&stranger.name).await;
    held.abort();
    case.converges().await
}

async fn a_session_killed(ground: Arc<Ground>) -> Row {
    let mut case = Case::new(&ground, "a session that is killed", &[], |_| ()).await;
    case.reach(Step::Set).await;
    let held = held(&case, &case.user);
    ground.server.wait_for_session(&case.user.name, "info LIKE '%SLEEP%'").await;
    let (server, user) = (ground.server.clone(), case.user.name.clone());
    let killed = tokio::spawn(async move {
        server
            .wait_for_session(&user, "info LIKE 'SELECT GET_LOCK%' AND info NOT LIKE '%SLEEP%'")
            .await;
        server.end_sessions(&user).await;
    });
    case.ends(Step::Set, ErrorKind::Unreachable, Share::AtOnce, Left::Unchanged).await;
    killed.await.unwrap();
    held.abort();
    case.converges().await
}

async fn too_little_time(ground: Arc<Ground>) -> Row {
    let mut case = Case::new(&ground, "too little time left to begin", &[], |_| ()).await;
    case.reach(Step::Set).await;
    case.seconds = 4;
    case.ends(Step::Set, ErrorKind::OutOfTime, Share::Before, Left::Unchanged).await;
    case.converges().await
}

async fn a_pending_password_that_has_expired(ground: Arc<Ground>) -> Row {
    let name = "a password that has expired since setSecret";
    let mut case = Case::new(&ground, name, &[], |_| ()).await;
    case.reach(Step::Test).await;
    arrange(&case, "ALTER USER <account> PASSWORD EXPIRE").await;
    case.ends(Step::Test, ErrorKind::Forbidden, Share::AtOnce, Left::Unchanged).await;
    arrange(&case, "ALTER USER <account> IDENTIFIED BY <password>").await;
    case.converges().await
}

async fn a_pending_password_that_was_never_set(ground: Arc<Ground>) -> Row {
    let name = "a password that was changed by hand after setSecret";
    let mut case = Case::new(&ground, name, &[], |_| ()).await;
    case.reach(Step::Test).await;
    arrange(&case, "ALTER USER <account> IDENTIFIED BY <password>").await;
    case.ends(Step::Test, ErrorKind::Rejected, Share::AtOnce, Left::Unchanged).await;
    case.converges().await
}
