//! What a MySQL or a MariaDB stops an admin at: rights, whose users are, sessions.

use std::sync::Arc;

use fourstep::{ErrorKind, Step};

use super::{ALTERNATING, ARRANGED, Arranged, BY_ADMIN, Playing, arranged, secret};
use crate::faults::case::{Case, Ground as GroundOf, Left, Row, Share};
use crate::faults::play;
use crate::support::mysql::Server;

type Ground = GroundOf<Server>;

pub fn all(ground: &Arc<Ground>) -> Vec<Playing> {
    let mut all = secret::all(ground);
    all.extend(at_server(ground));
    all
}

/// Those that the server itself has a part in.
pub fn at_server(ground: &Arc<Ground>) -> Vec<Playing> {
    let mut all = arranged(ground, &RESET);
    let (rights, equal) = match ground.server.is_mysql() {
        true => (&OF_ROLES[..], &ACTING[..]),
        false => (&OF_COPIES[..], &COPIED[..]),
    };
    all.extend(arranged(ground, rights));
    all.extend(arranged(ground, &WHOSE));
    all.extend(arranged(ground, &EQUAL));
    all.extend(arranged(ground, equal));
    all.extend(play!(ground; sessions_that_are_open, sessions_that_the_admin_does_not_see,
        a_pending_value_of_another_strategy));
    all
}

const LOST: &str = "ALTER USER '{user}'@'127.%' IDENTIFIED BY 'canary-lost-by-now-1!'";
const FOUND: &str = "ALTER USER '{user}'@'127.%' IDENTIFIED BY '{password}'";
const REPAIR: &[(&str, &str)] = &[("REPAIR_USERS", "{user}")];

const RESET: [Arranged; 9] = [
    Arranged {
        name: "an admin that may not make users",
        begin: &["REVOKE CREATE USER ON *.* FROM '{admin}'@'127.%'"],
        end: &["GRANT CREATE USER ON *.* TO '{admin}'@'127.%'"],
        ..ARRANGED
    },
    Arranged {
        name: "an admin that may not see the server's users",
        begin: &["REVOKE SELECT ON mysql.* FROM '{admin}'@'127.%'"],
        end: &["GRANT SELECT ON mysql.* TO '{admin}'@'127.%'"],
        ..ARRANGED
    },
    Arranged {
        name: "an admin that is locked",
        begin: &["ALTER USER '{admin}'@'127.%' ACCOUNT LOCK"],
        end: &["ALTER USER '{admin}'@'127.%' ACCOUNT UNLOCK"],
        ..ARRANGED
    },
    Arranged {
        name: "a secret of a user that is as good as an admin",
        kind: ErrorKind::Unsupported,
        begin: &["GRANT CREATE USER ON *.* TO '{user}'@'127.%'"],
        then: Some(("single-user", &[])),
        ..ARRANGED
    },
    Arranged {
        name: "a user whose password is lost",
        kind: ErrorKind::Rejected,
        begin: &[LOST],
        then: Some((BY_ADMIN, REPAIR)),
        ..ARRANGED
    },
    Arranged {
        name: "a user to be repaired that is locked",
        variables: REPAIR,
        begin: &[LOST, "ALTER USER '{user}'@'127.%' ACCOUNT LOCK"],
        end: &["ALTER USER '{user}'@'127.%' ACCOUNT UNLOCK"],
        ..ARRANGED
    },
    Arranged {
        name: "a user to be repaired that does not exist",
        kind: ErrorKind::NotFound,
        variables: REPAIR,
        begin: &["DROP USER '{user}'@'127.%'"],
        end: &["CREATE USER '{user}'@'127.%' IDENTIFIED BY '{password}'"],
        ..ARRANGED
    },
    Arranged {
        name: "a user with two accounts that fit equally well",
        kind: ErrorKind::Unsupported,
        begin: &["CREATE USER '{user}'@'127.0.%.1' IDENTIFIED BY '{password}'; \
             CREATE USER '{user}'@'127.0._.1' IDENTIFIED BY '{password}'"],
        end: &["DROP USER '{user}'@'127.0.%.1', '{user}'@'127.0._.1'"],
        ..ARRANGED
    },
    Arranged {
        name: "a PROBE_QUERY of something that the user may not read",
        variables: &[("PROBE_QUERY", "SELECT COUNT(*) FROM mysql.user")],
        step: Step::Test,
        end: &["GRANT SELECT ON mysql.user TO '{user}'@'127.%'"],
        ..ARRANGED
    },
];

/// An admin of two users that may not see the server's.
const BLIND: Arranged = Arranged {
    name: "an admin of two users that may not see the server's users",
    strategy: ALTERNATING,
    step: Step::Create,
    begin: &["REVOKE SELECT ON mysql.* FROM '{admin}'@'127.%'"],
    end: &["GRANT SELECT ON mysql.* TO '{admin}'@'127.%'"],
    ..ARRANGED
};

/// Where an admin lets one user be the other's role.
const OF_ROLES: [Arranged; 3] = [
    Arranged {
        name: "an admin of two users that may not make users",
        strategy: ALTERNATING,
        step: Step::Create,
        begin: &["REVOKE CREATE USER ON *.* FROM '{admin}'@'127.%'"],
        end: &["GRANT CREATE USER ON *.* TO '{admin}'@'127.%'"],
        ..ARRANGED
    },
    BLIND,
    Arranged {
        name: "an admin that may not let a user act as another",
        strategy: ALTERNATING,
        step: Step::Create,
        begin: &["REVOKE ROLE_ADMIN ON *.* FROM '{admin}'@'127.%'"],
        end: &["GRANT ROLE_ADMIN ON *.* TO '{admin}'@'127.%'"],
        ..ARRANGED
    },
];

/// Where it copies rights.
const OF_COPIES: [Arranged; 3] = [
    Arranged {
        name: "an admin of two users that may not make users",
        strategy: ALTERNATING,
        begin: &["REVOKE CREATE USER ON *.* FROM '{admin}'@'127.%'"],
        end: &["GRANT CREATE USER ON *.* TO '{admin}'@'127.%'"],
        ..ARRANGED
    },
    BLIND,
    Arranged {
        name: "an admin that may not give a right",
        strategy: ALTERNATING,
        begin: &["GRANT SELECT ON app.* TO '{user}'@'127.%'"],
        end: &["GRANT SELECT ON app.* TO '{admin}'@'127.%' WITH GRANT OPTION"],
        ..ARRANGED
    },
];

/// A pair that nothing is known of yet.
const PAIR: Arranged = Arranged {
    strategy: ALTERNATING,
    step: Step::Create,
    kind: ErrorKind::Unsupported,
    ..ARRANGED
};

const WHOSE: [Arranged; 7] = [
    Arranged {
        name: "a stranger's account under the second user's name",
        begin: &["CREATE USER '{clone}'@'127.%' IDENTIFIED BY 'canary-of-a-stranger-1!'"],
        then: Some((ALTERNATING, &[("ADOPT_USERS", "{clone}")])),
        ..PAIR
    },
    Arranged {
        name: "a secret of a user whose name ends as a second one's",
        username: "{clone}",
        begin: &["CREATE USER '{clone}'@'127.%' IDENTIFIED BY '{password}'"],
        then: Some((ALTERNATING, &[("USER_PAIRS", "{clone}={user}_b")])),
        ..PAIR
    },
    Arranged {
        name: "a second user that is as good as an admin",
        variables: &[("ADOPT_USERS", "{clone}")],
        begin: &["CREATE USER '{clone}'@'127.%' IDENTIFIED BY 'canary-of-a-boss-1!'; \
             GRANT CREATE USER ON *.* TO '{clone}'@'127.%'"],
        then: Some((ALTERNATING, &[("USER_PAIRS", "{user}={user}_b")])),
        ..PAIR
    },
    Arranged {
        name: "a first user that is as good as an admin",
        begin: &["GRANT CREATE USER ON *.* TO '{user}'@'127.%'"],
        then: Some(("single-user", &[])),
        ..PAIR
    },
    Arranged {
        name: "an admin as the second user",
        variables: &[("USER_PAIRS", "{user}={admin}"), ("ADOPT_USERS", "{admin}")],
        then: Some((ALTERNATING, &[])),
        ..PAIR
    },
    Arranged {
        name: "a name that is too long with a suffix",
        username: "{long}",
        begin: &["CREATE USER '{long}'@'127.%' IDENTIFIED BY '{password}'"],
        then: Some((ALTERNATING, &[("USER_PAIRS", "{long}={user}_b")])),
        ..PAIR
    },
    Arranged {
        name: "a name that is longer than the function allows",
        variables: &[("USERNAME_CHARACTER_LIMIT", "9")],
        then: Some((ALTERNATING, &[])),
        ..PAIR
    },
];

const EQUAL: [Arranged; 2] = [
    Arranged {
        name: "two users of which neither logs in",
        step: Step::Set,
        kind: ErrorKind::Rejected,
        begin: &[LOST],
        end: &[FOUND],
        ..PAIR
    },
    Arranged {
        name: "an account of the second user alone",
        variables: &[("ADOPT_USERS", "{clone}")],
        step: Step::Set,
        begin: &["CREATE USER '{clone}'@'10.%' IDENTIFIED BY 'canary-of-the-second-1!'"],
        end: &["DROP USER '{clone}'@'10.%'"],
        ..PAIR
    },
];

const COPIED: [Arranged; 1] = [Arranged {
    name: "users that somebody made unequal after setSecret",
    step: Step::Test,
    kind: ErrorKind::Conflict,
    begin: &["ALTER USER '{user}'@'127.%' WITH MAX_QUERIES_PER_HOUR 9000"],
    ..PAIR
}];

const ACTING: [Arranged; 3] = [
    Arranged {
        name: "a second user that stopped to act as the first after setSecret",
        step: Step::Test,
        kind: ErrorKind::Conflict,
        begin: &["ALTER USER '{clone}'@'127.%' DEFAULT ROLE NONE"],
        ..PAIR
    },
    Arranged {
        name: "a second user with rights beside the first's",
        variables: &[("ADOPT_USERS", "{clone}")],
        step: Step::Set,
        begin: &["CREATE USER '{clone}'@'127.%' IDENTIFIED BY 'canary-of-the-second-1!'; \
             GRANT SELECT ON app.* TO '{clone}'@'127.%'"],
        then: Some((ALTERNATING, &[("ADOPT_USERS", "{clone}"), ("DROP_EXTRA_RIGHTS", "{clone}")])),
        ..PAIR
    },
    Arranged {
        name: "a second user that only claims to be the secret's",
        begin: &["CREATE USER '{clone}'@'127.%' IDENTIFIED BY 'canary-of-a-stranger-1!' \
             ATTRIBUTE '{\"fourstep\": {mark}}'"],
        then: Some((ALTERNATING, &[("ADOPT_USERS", "{clone}")])),
        ..PAIR
    },
];

const REFUSE: &[(&str, &str)] = &[("REFUSE_OPEN_SESSIONS", "true")];
const SEES: &str = "GRANT PROCESS ON *.* TO '{admin}'@'127.%'";

async fn sessions_that_are_open(ground: Arc<Ground>) -> Row {
    let name = "open sessions, with REFUSE_OPEN_SESSIONS";
    let mut case = Case::administered(&ground, name, ALTERNATING, REFUSE).await;
    case.make(&[SEES]).await;
    case.rotated().await;
    case.reach(Step::Set).await;
    let (server, user) = (ground.server.clone(), case.user.name.clone());
    let password = case.user.password.clone();
    let held = tokio::spawn(async move { server.hold(&user, &password, "SELECT SLEEP(90)").await });
    ground.server.wait_for_session(&case.user.name, "info LIKE '%SLEEP%'").await;
    case.ends(Step::Set, ErrorKind::Conflict, Share::AtOnce, Left::Unchanged).await;
    ground.server.end_sessions(&case.user.name).await;
    held.abort();
    case.converges().await
}

async fn sessions_that_the_admin_does_not_see(ground: Arc<Ground>) -> Row {
    let name = "REFUSE_OPEN_SESSIONS, and an admin that sees none";
    let mut case = Case::administered(&ground, name, ALTERNATING, REFUSE).await;
    case.reach(Step::Set).await;
    case.ends(Step::Set, ErrorKind::Forbidden, Share::AtOnce, Left::Unchanged).await;
    case.make(&[SEES]).await;
    case.converges().await
}

/// createSecret was single-user's.
async fn a_pending_value_of_another_strategy(ground: Arc<Ground>) -> Row {
    let name = "a pending value of the user in use";
    let mut case = Case::administered(&ground, name, "single-user", &[]).await;
    case.reach(Step::Set).await;
    case.follow(ALTERNATING, &[]);
    case.ends(Step::Set, ErrorKind::Mismatch, Share::AtOnce, Left::Unchanged).await;
    case.discard();
    case.begin();
    case.converges().await
}
