//! Two users of a PostgreSQL: whose they are, what they own, who uses them.

use std::sync::Arc;

use fourstep::{ErrorKind, Step};
use sqlx::{ConnectOptions, Connection};

use super::{ALTERNATING, ARRANGED, Arranged, Playing, arranged};
use crate::faults::case::{Case, Ground, Left, Row, Share};
use crate::faults::play;
use crate::support::postgres::User;

pub fn all(ground: &Arc<Ground>) -> Vec<Playing> {
    let mut all = arranged(ground, &WHOSE);
    all.extend(arranged(ground, &EQUAL));
    all.extend(play!(ground; sessions_that_are_open, a_pending_value_of_another_strategy));
    all
}

/// A pair that nothing is known of yet.
const PAIR: Arranged = Arranged {
    strategy: ALTERNATING,
    step: Step::Create,
    kind: ErrorKind::Unsupported,
    ..ARRANGED
};

/// From PostgreSQL 16 on an admin has this on what it made itself only.
const OPTION_ON_CLONE: &str = "GRANT \"{clone}\" TO \"{admin}\" WITH ADMIN OPTION";

const WHOSE: [Arranged; 9] = [
    Arranged {
        name: "a stranger's role under the second user's name",
        begin: &["CREATE ROLE \"{clone}\" LOGIN PASSWORD 'canary-of-a-stranger'"],
        end: &[OPTION_ON_CLONE],
        then: Some((ALTERNATING, &[("ADOPT_USERS", "{clone}")])),
        ..PAIR
    },
    Arranged {
        name: "a secret of a user whose name ends as a second one's",
        username: "{clone}",
        begin: &["CREATE ROLE \"{clone}\" LOGIN PASSWORD '{password}'", OPTION_ON_CLONE],
        then: Some((ALTERNATING, &[("USER_PAIRS", "{clone}={user}_b")])),
        ..PAIR
    },
    Arranged {
        name: "a second user that is a superuser",
        variables: &[("ADOPT_USERS", "{clone}")],
        begin: &["CREATE ROLE \"{clone}\" SUPERUSER"],
        then: Some((ALTERNATING, &[("USER_PAIRS", "{user}={user}_b")])),
        ..PAIR
    },
    Arranged {
        name: "a first user that is a superuser",
        begin: &["ALTER ROLE \"{user}\" SUPERUSER"],
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
        begin: &["CREATE ROLE \"{long}\" LOGIN PASSWORD '{password}'; \
             GRANT \"{long}\" TO \"{admin}\" WITH ADMIN OPTION"],
        then: Some((ALTERNATING, &[("USER_PAIRS", "{long}={user}_b")])),
        ..PAIR
    },
    Arranged {
        name: "a first user whose password is not used",
        begin: &[
            "DO $$ BEGIN CREATE ROLE rds_iam; EXCEPTION WHEN duplicate_object OR unique_violation THEN END $$",
            "GRANT rds_iam TO \"{user}\"",
        ],
        end: &["REVOKE rds_iam FROM \"{user}\""],
        ..PAIR
    },
    Arranged {
        name: "a mark on a role that its name does not lead to",
        begin: &[
            "CREATE ROLE \"aa_{user}\"; COMMENT ON ROLE \"aa_{user}\" IS 'fourstep: {mark}'; \
             GRANT \"aa_{user}\" TO \"{admin}\" WITH ADMIN OPTION",
        ],
        then: Some((ALTERNATING, &[("USER_PAIRS", "{user}={clone}")])),
        ..PAIR
    },
    Arranged {
        name: "a user whose mark names itself",
        begin: &["COMMENT ON ROLE \"{user}\" IS 'fourstep: {mark}'"],
        then: Some((ALTERNATING, &[("USER_PAIRS", "{user}={clone}")])),
        ..PAIR
    },
];

const EQUAL: [Arranged; 3] = [
    Arranged {
        name: "two users of which neither logs in",
        step: Step::Set,
        kind: ErrorKind::Rejected,
        begin: &["ALTER ROLE \"{user}\" PASSWORD 'canary-lost-by-now'"],
        end: &["ALTER ROLE \"{user}\" PASSWORD '{password}'"],
        ..PAIR
    },
    Arranged {
        name: "a second user that has more than the first",
        step: Step::Set,
        variables: &[("ADOPT_USERS", "{clone}")],
        begin: &[
            "CREATE ROLE \"{clone}\" LOGIN PASSWORD 'canary-of-the-second'",
            OPTION_ON_CLONE,
            "CREATE TABLE \"of_{user}\" (a int); GRANT SELECT ON \"of_{user}\" TO \"{clone}\"",
        ],
        then: Some((ALTERNATING, &[("ADOPT_USERS", "{clone}"), ("DROP_EXTRA_RIGHTS", "{clone}")])),
        ..PAIR
    },
    Arranged {
        name: "a second user that somebody made itself again after setSecret",
        step: Step::Test,
        kind: ErrorKind::Conflict,
        begin: &["ALTER ROLE \"{clone}\" RESET role"],
        ..PAIR
    },
];

/// Waits until the server has noticed that the user's session was closed.
const GONE: &str = "DO $$ BEGIN WHILE EXISTS (SELECT FROM pg_stat_activity WHERE usename = '{user}') \
                    LOOP PERFORM pg_sleep(0.01), pg_stat_clear_snapshot(); END LOOP; END $$";

async fn sessions_that_are_open(ground: Arc<Ground>) -> Row {
    let (name, refuse) =
        ("open sessions, with REFUSE_OPEN_SESSIONS", ("REFUSE_OPEN_SESSIONS", "true"));
    let mut case = Case::administered(&ground, name, ALTERNATING, &[refuse]).await;
    case.rotated().await;
    case.reach(Step::Set).await;
    let User { name, password } = &case.user;
    let open = ground.server.options(name, password, "postgres").connect().await.unwrap();
    case.ends(Step::Set, ErrorKind::Conflict, Share::AtOnce, Left::Unchanged).await;
    open.close().await.unwrap();
    case.make(&[GONE]).await;
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
