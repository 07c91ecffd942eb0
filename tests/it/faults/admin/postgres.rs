//! What a PostgreSQL stops an admin at who sets a user's password, and what it lacks to make two users
//! one.

use std::sync::Arc;

use fourstep::{ErrorKind, Step};
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, Executor};

use super::secret::Held;
use super::{ALTERNATING, ARRANGED, Arranged, BY_ADMIN, Playing, arranged, postgres_pair, secret};
use crate::faults::case::{Case, Ground, Left, Row, Share};
use crate::faults::play;

/// Those of every PostgreSQL that is supported.
pub fn all(ground: &Arc<Ground>) -> Vec<Playing> {
    let mut all = secret::all(ground);
    all.extend(arranged(ground, &RESET));
    all.extend(arranged(ground, &RIGHTS));
    all.extend(postgres_pair::all(ground));
    all.extend(play!(ground; an_admin_without_tls, an_admin_that_may_not_enter,
        a_database_that_the_admin_may_not_enter, a_table_that_is_in_use));
    all
}

/// Those that come with PostgreSQL 16, from which on an admin may change only what it was given.
pub fn since_16(ground: &Arc<Ground>) -> Vec<Playing> {
    arranged(ground, &SINCE_16)
}

const SINCE_16: [Arranged; 4] = [
    Arranged {
        name: "an admin without ADMIN OPTION on the user",
        begin: &["REVOKE ADMIN OPTION FOR \"{user}\" FROM \"{admin}\""],
        end: &["GRANT \"{user}\" TO \"{admin}\" WITH ADMIN OPTION"],
        ..ARRANGED
    },
    Arranged {
        name: "a user to be reset whose password is not used, and an admin without ADMIN OPTION on it",
        kind: ErrorKind::Unsupported,
        begin: &[
            "DO $$ BEGIN CREATE ROLE rds_iam; EXCEPTION WHEN duplicate_object OR unique_violation THEN END $$",
            "GRANT rds_iam TO \"{user}\"; REVOKE ADMIN OPTION FOR \"{user}\" FROM \"{admin}\"",
        ],
        end: &["REVOKE rds_iam FROM \"{user}\"; GRANT \"{user}\" TO \"{admin}\" WITH ADMIN OPTION"],
        ..ARRANGED
    },
    Arranged {
        name: "an admin without ADMIN OPTION on the first user, which it must give to the second",
        strategy: ALTERNATING,
        step: Step::Create,
        begin: &["REVOKE ADMIN OPTION FOR \"{user}\" FROM \"{admin}\""],
        end: &["GRANT \"{user}\" TO \"{admin}\" WITH ADMIN TRUE, INHERIT FALSE, SET FALSE"],
        ..ARRANGED
    },
    Arranged {
        name: "an admin without ADMIN OPTION on the second user, which it did not make",
        strategy: ALTERNATING,
        variables: &[("ADOPT_USERS", "{clone}")],
        begin: &["CREATE ROLE \"{clone}\" LOGIN PASSWORD 'canary-of-the-second'"],
        end: &["GRANT \"{clone}\" TO \"{admin}\" WITH ADMIN OPTION"],
        ..ARRANGED
    },
];

const LOST: &str = "ALTER ROLE \"{user}\" PASSWORD 'canary-lost-by-now'";
const REPAIR: &[(&str, &str)] = &[("REPAIR_USERS", "{user}")];

const RESET: [Arranged; 11] = [
    Arranged {
        name: "an admin that may not make roles",
        begin: &["ALTER ROLE \"{admin}\" NOCREATEROLE"],
        end: &["ALTER ROLE \"{admin}\" CREATEROLE"],
        ..ARRANGED
    },
    Arranged {
        name: "an admin that may not log in",
        begin: &["ALTER ROLE \"{admin}\" NOLOGIN"],
        end: &["ALTER ROLE \"{admin}\" LOGIN"],
        ..ARRANGED
    },
    Arranged {
        name: "a secret of a superuser",
        kind: ErrorKind::Unsupported,
        begin: &["ALTER ROLE \"{user}\" SUPERUSER"],
        then: Some(("single-user", &[])),
        ..ARRANGED
    },
    Arranged {
        name: "a secret of a user that may make roles",
        kind: ErrorKind::Unsupported,
        begin: &["ALTER ROLE \"{user}\" CREATEROLE"],
        then: Some(("single-user", &[])),
        ..ARRANGED
    },
    Arranged {
        name: "a secret of a user that may copy the server",
        kind: ErrorKind::Unsupported,
        begin: &["ALTER ROLE \"{user}\" REPLICATION"],
        end: &["ALTER ROLE \"{user}\" NOREPLICATION"],
        ..ARRANGED
    },
    Arranged {
        name: "a secret of a user that has an admin's role",
        kind: ErrorKind::Unsupported,
        begin: &["GRANT pg_execute_server_program TO \"{user}\""],
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
        name: "a user to be repaired that may not log in",
        variables: REPAIR,
        begin: &[LOST, "ALTER ROLE \"{user}\" NOLOGIN"],
        end: &["ALTER ROLE \"{user}\" LOGIN"],
        ..ARRANGED
    },
    Arranged {
        name: "a user to be repaired that has expired",
        variables: REPAIR,
        begin: &["ALTER ROLE \"{user}\" VALID UNTIL '2001-01-01'"],
        end: &["ALTER ROLE \"{user}\" VALID UNTIL 'infinity'"],
        ..ARRANGED
    },
    Arranged {
        name: "a user to be repaired that does not exist",
        kind: ErrorKind::NotFound,
        variables: REPAIR,
        begin: &["DROP ROLE \"{user}\""],
        end: &["CREATE ROLE \"{user}\" LOGIN; GRANT \"{user}\" TO \"{admin}\" WITH ADMIN OPTION"],
        ..ARRANGED
    },
    Arranged {
        name: "a PROBE_QUERY of something that the user may not read",
        variables: &[("PROBE_QUERY", "SELECT * FROM \"of_{user}\"")],
        step: Step::Test,
        begin: &["CREATE TABLE \"of_{user}\" (a int)"],
        end: &["GRANT SELECT ON \"of_{user}\" TO \"{user}\""],
        ..ARRANGED
    },
];

const RIGHTS: [Arranged; 1] = [Arranged {
    name: "an admin of two users that may not make roles",
    strategy: ALTERNATING,
    begin: &["ALTER ROLE \"{admin}\" NOCREATEROLE"],
    end: &["ALTER ROLE \"{admin}\" CREATEROLE"],
    ..ARRANGED
}];

/// As one that RDS manages, which says nothing of TLS, and so means TLS that is verified.
async fn an_admin_without_tls(ground: Arc<Ground>) -> Row {
    let held = Held {
        name: "an admin's secret without ssl, and a certificate that is not trusted",
        strategy: BY_ADMIN,
        step: Step::Set,
        kind: ErrorKind::Tls,
        change: |document| document["ssl"] = json!(null),
    };
    held.play(&ground).await
}

/// The admin works in the user's own database.
async fn an_admin_that_may_not_enter(ground: Arc<Ground>) -> Row {
    let name = "an admin that may not enter the user's database";
    let mut case = Case::administered(&ground, name, BY_ADMIN, &[]).await;
    let database = case.fill("of_{user}");
    case.edit(|document| document["dbname"] = json!(database));
    case.make(&[
        "CREATE DATABASE \"of_{user}\"",
        "REVOKE CONNECT ON DATABASE \"of_{user}\" FROM PUBLIC; \
         GRANT CONNECT ON DATABASE \"of_{user}\" TO \"{user}\"",
        // It would have the user's rights as a member otherwise.
        "ALTER ROLE \"{admin}\" NOINHERIT; REVOKE \"{user}\" FROM \"{admin}\"; \
         GRANT \"{user}\" TO \"{admin}\" WITH ADMIN OPTION",
    ])
    .await;
    case.ends(Step::Set, ErrorKind::Forbidden, Share::AtOnce, Left::Unchanged).await;
    case.make(&["GRANT CONNECT ON DATABASE \"of_{user}\" TO \"{admin}\""]).await;
    case.converges().await
}

/// The second user owns something there, which is to be handed over.
async fn a_database_that_the_admin_may_not_enter(ground: Arc<Ground>) -> Row {
    let name = "a database that the admin may not enter";
    let mut case = Case::administered(&ground, name, ALTERNATING, &[]).await;
    case.rotated().await;
    case.reach(Step::Set).await;
    let database = case.fill("of_{user}");
    case.make(&[
        "CREATE DATABASE \"of_{user}\"",
        "REVOKE CONNECT ON DATABASE \"of_{user}\" FROM PUBLIC",
    ])
    .await;
    let sql = case.fill("CREATE TABLE things (a int); ALTER TABLE things OWNER TO \"{clone}\"");
    ground.server.arrange_in(&database, &sql).await;
    case.ends(Step::Set, ErrorKind::Forbidden, Share::AtOnce, Left::Unchanged).await;
    case.make(&["GRANT CONNECT ON DATABASE \"of_{user}\" TO \"{admin}\""]).await;
    case.converges().await
}

/// A change of owner waits for everybody who reads the table, and all others would wait behind it.
async fn a_table_that_is_in_use(ground: Arc<Ground>) -> Row {
    let name = "a table of the second user's that is in use while it is to be handed over";
    let mut case = Case::administered(&ground, name, ALTERNATING, &[]).await;
    case.rotated().await;
    case.reach(Step::Set).await;
    case.make(&[
        "CREATE TABLE \"of_{user}\" (a int); ALTER TABLE \"of_{user}\" OWNER TO \"{clone}\"",
    ])
    .await;
    let mut reader = ground.server.superuser().await;
    let read = case.fill("BEGIN; SELECT * FROM \"of_{user}\"");
    reader.execute(sqlx::raw_sql(AssertSqlSafe(read))).await.unwrap();
    case.ends(Step::Set, ErrorKind::Conflict, Share::AtOnce, Left::Unchanged).await;
    reader.close().await.unwrap();
    case.converges().await
}
