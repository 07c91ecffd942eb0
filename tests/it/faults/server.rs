//! The server refuses the login, or is not one that can be changed.

use std::sync::Arc;

use fourstep::store::AWSPENDING;
use fourstep::{ErrorKind, Step};
use serde_json::json;

use super::case::{Case, Ground, Left, Row, Share};
use super::{Playing, play};
use crate::support::door::Way;

pub fn all(ground: &Arc<Ground>) -> Vec<Playing> {
    let mut all = at_server(ground);
    all.extend(play!(ground; a_read_only_replica, no_entry_in_pg_hba,
        a_pooler_that_maps_users, a_pooler_that_keeps_passwords, a_pooler_without_its_server,
        a_server_that_wants_the_password_in_cleartext));
    all
}

/// Those that need nobody beside the server.
pub fn at_server(ground: &Arc<Ground>) -> Vec<Playing> {
    let refusals = REFUSED.iter().map(|refused| -> Playing {
        let ground = Arc::clone(ground);
        Box::pin(async move { refused.play(&ground).await })
    });
    let mut all: Vec<Playing> = refusals.collect();
    all.extend(
        play!(ground; a_user_that_does_not_exist, a_missing_database, a_blue_green_deployment),
    );
    all
}

/// A login that the server refuses until it is arranged otherwise. USER is the user.
struct Refused {
    name: &'static str,
    cause: &'static str,
    kind: ErrorKind,
    database: &'static str,
    begin: &'static str,
    end: &'static str,
}

/// The server says the same of all these, so that nobody can find out which it is.
const PASSWORD: &str = "a password that the server refuses";

const REFUSED: [Refused; 11] = [
    Refused {
        name: "a wrong password",
        cause: PASSWORD,
        kind: ErrorKind::Rejected,
        database: "postgres",
        // The verifier of another password, kept to be put back.
        begin: "CREATE TABLE \"kept_USER\" AS SELECT rolpassword AS old FROM pg_authid \
                WHERE rolname = 'USER'; ALTER ROLE \"USER\" PASSWORD 'another-password-altogether'",
        end: "DO $$ BEGIN EXECUTE format('ALTER ROLE %I PASSWORD %L', 'USER', \
              (SELECT old FROM \"kept_USER\")); END $$; DROP TABLE \"kept_USER\"",
    },
    Refused {
        name: "a role that has expired",
        cause: PASSWORD,
        kind: ErrorKind::Rejected,
        database: "postgres",
        begin: "ALTER ROLE \"USER\" VALID UNTIL '2001-01-01'",
        end: "ALTER ROLE \"USER\" VALID UNTIL 'infinity'",
    },
    Refused {
        name: "a line in pg_hba.conf that rejects",
        cause: "",
        kind: ErrorKind::Forbidden,
        database: "postgres",
        begin: "GRANT hba_reject TO \"USER\"",
        end: "REVOKE hba_reject FROM \"USER\"",
    },
    Refused {
        name: "a role that may not log in",
        cause: "",
        kind: ErrorKind::Forbidden,
        database: "postgres",
        begin: "ALTER ROLE \"USER\" NOLOGIN",
        end: "ALTER ROLE \"USER\" LOGIN",
    },
    Refused {
        name: "a database that the user may not connect to",
        cause: "",
        kind: ErrorKind::Forbidden,
        database: "of_USER",
        begin: "REVOKE CONNECT ON DATABASE \"of_USER\" FROM PUBLIC",
        end: "GRANT CONNECT ON DATABASE \"of_USER\" TO PUBLIC",
    },
    Refused {
        name: "a database that takes no connections",
        cause: "",
        kind: ErrorKind::Unreachable,
        database: "of_USER",
        begin: "ALTER DATABASE \"of_USER\" ALLOW_CONNECTIONS false",
        end: "ALTER DATABASE \"of_USER\" ALLOW_CONNECTIONS true",
    },
    Refused {
        name: "a role at its connection limit",
        cause: "",
        kind: ErrorKind::Throttled,
        database: "postgres",
        begin: "ALTER ROLE \"USER\" CONNECTION LIMIT 0",
        end: "ALTER ROLE \"USER\" CONNECTION LIMIT -1",
    },
    Refused {
        name: "a database at its connection limit",
        cause: "",
        kind: ErrorKind::Throttled,
        database: "of_USER",
        begin: "ALTER DATABASE \"of_USER\" CONNECTION LIMIT 0",
        end: "ALTER DATABASE \"of_USER\" CONNECTION LIMIT -1",
    },
    Refused {
        name: "trust in pg_hba.conf",
        cause: "",
        kind: ErrorKind::Unsupported,
        database: "postgres",
        begin: "GRANT hba_trust TO \"USER\"",
        end: "REVOKE hba_trust FROM \"USER\"",
    },
    Refused {
        name: "the method password in pg_hba.conf, without TLS",
        cause: CLEARTEXT,
        kind: ErrorKind::Unsupported,
        database: "postgres",
        begin: "GRANT hba_password TO \"USER\"",
        end: "REVOKE hba_password FROM \"USER\"",
    },
    Refused {
        name: "a password kept as an MD5 hash, without TLS",
        cause: "",
        kind: ErrorKind::Unsupported,
        database: "postgres",
        begin: "SET password_encryption = md5; GRANT hba_md5 TO \"USER\"; \
                ALTER ROLE \"USER\" PASSWORD 'PASSWORD'",
        end: "REVOKE hba_md5 FROM \"USER\"; ALTER ROLE \"USER\" PASSWORD 'PASSWORD'",
    },
];

impl Refused {
    async fn play(&self, ground: &Arc<Ground>) -> Row {
        let own = self.database != "postgres";
        let mut case = Case::new(ground, self.name, &[], |document| {
            let user = document["username"].as_str().unwrap();
            document["dbname"] = json!(self.database.replace("USER", user));
        })
        .await;
        if !self.cause.is_empty() {
            case = case.cause(self.cause);
        }
        if own {
            case.arrange("CREATE DATABASE \"of_USER\"").await;
        }
        let sql = |sql: &str| sql.replace("PASSWORD'", &format!("{}'", case.user.password));
        let (begin, end) = match self.begin.contains("'PASSWORD'") {
            true => (sql(self.begin), sql(self.end)),
            false => (self.begin.to_owned(), self.end.to_owned()),
        };
        case.reach(Step::Set).await;
        case.arrange(&begin).await;
        case.ends(Step::Set, self.kind, Share::AtOnce, Left::Unchanged).await;
        case.arrange(&end).await;
        case.converges().await
    }
}

async fn a_user_that_does_not_exist(ground: Arc<Ground>) -> Row {
    let name = "a user that does not exist";
    let case = Case::new(&ground, name, &[], |document| document["username"] = json!("nobody"));
    let mut case = case.await.cause(PASSWORD);
    case.ends(Step::Set, ErrorKind::Rejected, Share::AtOnce, Left::Unchanged).await;
    case.correct();
    case.converges().await
}

async fn a_blue_green_deployment(ground: Arc<Ground>) -> Row {
    let mut case = Case::new(&ground, "a blue/green deployment", &[], |document| {
        let user = document["username"].as_str().unwrap();
        document["dbname"] = json!(format!("of_{user}"));
    })
    .await;
    case.arrange("CREATE DATABASE \"of_USER\"").await;
    case.reach(Step::Set).await;
    let (database, slot) = (format!("of_{}", case.user.name), format!("rds_{}", case.user.name));
    let make = format!("SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput')");
    ground.server.arrange_in(&database, &make).await;
    case.ends(Step::Set, ErrorKind::Unsupported, Share::AtOnce, Left::Unchanged).await;
    ground
        .server
        .arrange_in(&database, &format!("SELECT pg_drop_replication_slot('{slot}')"))
        .await;
    case.converges().await
}

async fn a_missing_database(ground: Arc<Ground>) -> Row {
    let mut case = Case::new(&ground, "a missing database", &[], |document| {
        let user = document["username"].as_str().unwrap();
        document["dbname"] = json!(format!("of_{user}"));
    })
    .await;
    case.ends(Step::Set, ErrorKind::NotFound, Share::AtOnce, Left::Unchanged).await;
    case.arrange("CREATE DATABASE \"of_USER\"").await;
    case.converges().await
}

async fn a_read_only_replica(ground: Arc<Ground>) -> Row {
    let (mut case, door) = Case::behind(&ground, "a fail-over to a replica", 24).await;
    case.reach(Step::Set).await;
    ground.server.replica_has_all().await;
    door.set(Way::To(ground.server.replica));
    case.ends(Step::Set, ErrorKind::Unsupported, Share::AtOnce, Left::Unchanged).await;
    door.set(Way::To(ground.server.port));
    case.converges().await
}

/// The replica's pg_hba.conf knows the database postgres alone.
async fn no_entry_in_pg_hba(ground: Arc<Ground>) -> Row {
    let (mut case, door) = Case::behind(&ground, "no entry in pg_hba.conf", 24).await;
    case.edit(|document| document["dbname"] = json!("other"));
    case.reach(Step::Set).await;
    ground.server.replica_has_all().await;
    door.set(Way::To(ground.server.replica));
    case.ends(Step::Set, ErrorKind::Forbidden, Share::AtOnce, Left::Unchanged).await;
    door.set(Way::To(ground.server.port));
    case.converges().await
}

async fn a_pooler_that_maps_users(ground: Arc<Ground>) -> Row {
    let name = "a pooler that maps every user to its own";
    let mut case = Case::new(&ground, name, &[], |document| {
        document["port"] = json!(ground.server.pooler);
        document["dbname"] = json!("mapped");
    })
    .await;
    case.ends(Step::Set, ErrorKind::Mismatch, Share::AtOnce, Left::Unchanged).await;
    case.correct();
    case.converges().await
}

async fn a_pooler_that_keeps_passwords(ground: Arc<Ground>) -> Row {
    let name = "a pooler that keeps passwords of its own";
    let mut case = Case::new(&ground, name, &[], |document| {
        document["port"] = json!(ground.server.pooler);
        // scripts/lib/neighbours.sh makes it.
        document["username"] = json!("kept");
        document["password"] = json!(ground.server.arrangers_password());
    })
    .await;
    case.ends(Step::Set, ErrorKind::Unsupported, Share::AtOnce, Left::Unchanged).await;
    case.correct();
    case.converges().await
}

async fn a_pooler_without_its_server(ground: Arc<Ground>) -> Row {
    let name = "a pooler whose server is gone";
    let mut case = Case::new(&ground, name, &[], |document| {
        document["port"] = json!(ground.server.pooler);
        document["dbname"] = json!("gone");
    })
    .await;
    case.ends(Step::Set, ErrorKind::Unreachable, Share::Before, Left::Unchanged).await;
    case.correct();
    case.converges().await
}

const CLEARTEXT: &str = "a server that asks for a cleartext password without TLS";

/// AuthenticationCleartextPassword.
const ASKS_FOR_CLEARTEXT: &[u8] = b"R\0\0\0\x08\0\0\0\x03";

async fn a_server_that_wants_the_password_in_cleartext(ground: Arc<Ground>) -> Row {
    let name = "a hostile server that asks for the password in cleartext";
    let (case, door) = Case::behind(&ground, name, 24).await;
    let mut case = case.cause(CLEARTEXT);
    case.reach(Step::Set).await;
    door.set(Way::Says(ASKS_FOR_CLEARTEXT));
    case.ends(Step::Set, ErrorKind::Unsupported, Share::AtOnce, Left::Unchanged).await;
    let heard = door.heard();
    let heard = String::from_utf8_lossy(&heard);
    assert!(heard.contains(&case.user.name), "it was connected to");
    for password in [&case.user.password, &case.stage.password(AWSPENDING)] {
        assert!(!heard.contains(password), "{name} was told a password");
    }
    door.set(Way::To(ground.server.port));
    case.converges().await
}
