//! The server refuses the login, or the account is not one that can be changed.

use std::sync::Arc;

use fourstep::{ErrorKind, Step};
use serde_json::json;

use super::{Case, Ground, arrange};
use crate::faults::case::{Left, Row, Share};
use crate::faults::{Playing, play};
use crate::support::mysql::PLUGINS;

pub fn all(ground: &Arc<Ground>) -> Vec<Playing> {
    let here =
        REFUSED.iter().filter(|refused| refused.on.is_none_or(|on| on == ground.server.engine));
    let mut all: Vec<Playing> = here
        .map(|refused| -> Playing {
            let ground = Arc::clone(ground);
            Box::pin(async move { refused.play(&ground).await })
        })
        .collect();
    all.extend(play!(ground; a_user_that_does_not_exist, a_missing_database,
        a_database_without_a_right, a_user_at_its_connection_limit, two_passwords_that_cannot_be));
    if ground.server.is_mysql() {
        all.extend(play!(ground; plaintext));
    }
    all
}

/// A login that the server refuses until it is arranged otherwise.
struct Refused {
    name: &'static str,
    cause: &'static str,
    kind: ErrorKind,
    /// The only kind of server that has it.
    on: Option<&'static str>,
    begin: &'static str,
    end: &'static str,
}

/// The server says the same of all these, so that nobody can find out which it is.
const PASSWORD: &str = "a password that the server refuses";

const BACK: &str = "ALTER USER <account> IDENTIFIED BY <password>";

const REFUSED: [Refused; 7] = [
    Refused {
        name: "a wrong password",
        cause: PASSWORD,
        kind: ErrorKind::Rejected,
        on: None,
        begin: "ALTER USER <account> IDENTIFIED BY 'another-password-altogether'",
        end: BACK,
    },
    Refused {
        name: "an account for other addresses",
        cause: PASSWORD,
        kind: ErrorKind::Rejected,
        on: None,
        begin: "RENAME USER <account> TO <user>@'10.%'",
        end: "RENAME USER <user>@'10.%' TO <account>",
    },
    Refused {
        name: "an account that demands a client's certificate",
        cause: PASSWORD,
        kind: ErrorKind::Rejected,
        on: None,
        begin: "ALTER USER <account> REQUIRE X509",
        end: "ALTER USER <account> REQUIRE NONE",
    },
    Refused {
        name: "an account that is locked",
        cause: "",
        kind: ErrorKind::Forbidden,
        on: None,
        begin: "ALTER USER <account> ACCOUNT LOCK",
        end: "ALTER USER <account> ACCOUNT UNLOCK",
    },
    Refused {
        name: "an account that refused logins have blocked",
        cause: "",
        kind: ErrorKind::Rejected,
        on: Some("mysql"),
        begin: "ALTER USER <account> IDENTIFIED BY 'another-password-altogether' \
                FAILED_LOGIN_ATTEMPTS 1 PASSWORD_LOCK_TIME 1",
        end: "ALTER USER <account> IDENTIFIED BY <password> FAILED_LOGIN_ATTEMPTS 0 ACCOUNT UNLOCK",
    },
    Refused {
        name: "an account with the plugin ed25519",
        cause: "",
        kind: ErrorKind::Unsupported,
        on: Some("mariadb"),
        begin: "INSTALL PLUGIN IF NOT EXISTS ed25519 SONAME 'auth_ed25519'; \
                ALTER USER <account> IDENTIFIED VIA ed25519 USING PASSWORD(<password>)",
        end: "ALTER USER <account> IDENTIFIED VIA mysql_native_password USING PASSWORD(<password>)",
    },
    Refused {
        name: "an account that logs in by its Unix socket only",
        cause: "",
        kind: ErrorKind::Forbidden,
        on: Some("mariadb"),
        begin: "ALTER USER <account> IDENTIFIED VIA unix_socket",
        end: "ALTER USER <account> IDENTIFIED VIA mysql_native_password USING PASSWORD(<password>)",
    },
];

impl Refused {
    async fn play(&self, ground: &Arc<Ground>) -> Row {
        let mut case = Case::new(ground, self.name, &[], |_| ()).await;
        if !self.cause.is_empty() {
            case = case.cause(self.cause);
        }
        case.reach(Step::Set).await;
        let strange = self.begin.contains("VIA ed25519") || self.begin.contains("VIA unix_socket");
        let _alone = if strange { Some(PLUGINS.write().await) } else { None };
        let _known = if strange { None } else { Some(PLUGINS.read().await) };
        arrange(&case, self.begin).await;
        case.ends(Step::Set, self.kind, Share::AtOnce, Left::Unchanged).await;
        arrange(&case, self.end).await;
        case.converges().await
    }
}

async fn a_user_that_does_not_exist(ground: Arc<Ground>) -> Row {
    let name = "a user that does not exist";
    let case = Case::new(&ground, name, &[], |document| document["username"] = json!("nobody"));
    let mut case = case.await.cause(PASSWORD);
    let _known = PLUGINS.read().await;
    case.ends(Step::Set, ErrorKind::Rejected, Share::AtOnce, Left::Unchanged).await;
    case.correct();
    case.converges().await
}

async fn a_missing_database(ground: Arc<Ground>) -> Row {
    let change = |document: &mut serde_json::Value| document["dbname"] = json!("absent");
    let mut case = Case::new(&ground, "a missing database", &[], change).await;
    // Whoever has no rights is not told that it is missing.
    arrange(&case, "GRANT SELECT ON *.* TO <account>").await;
    case.ends(Step::Set, ErrorKind::NotFound, Share::AtOnce, Left::Unchanged).await;
    case.correct();
    case.converges().await
}

async fn a_database_without_a_right(ground: Arc<Ground>) -> Row {
    let name = "a database that the user may not use";
    let mut case =
        Case::new(&ground, name, &[], |document| document["dbname"] = json!("app")).await;
    case.ends(Step::Set, ErrorKind::Forbidden, Share::AtOnce, Left::Unchanged).await;
    arrange(&case, "GRANT SELECT ON app.* TO <account>").await;
    case.converges().await
}

async fn a_user_at_its_connection_limit(ground: Arc<Ground>) -> Row {
    let mut case = Case::new(&ground, "a user at its connection limit", &[], |_| ()).await;
    case.reach(Step::Set).await;
    arrange(&case, "ALTER USER <account> WITH MAX_USER_CONNECTIONS 1").await;
    let (server, user) = (ground.server.clone(), case.user.name.clone());
    let password = case.user.password.clone();
    let held = tokio::spawn(async move { server.hold(&user, &password, "SELECT SLEEP(90)").await });
    ground.server.wait_for_session(&case.user.name, "info LIKE 'SELECT SLEEP%'").await;
    case.ends(Step::Set, ErrorKind::Throttled, Share::AtOnce, Left::Unchanged).await;
    arrange(&case, "ALTER USER <account> WITH MAX_USER_CONNECTIONS 0").await;
    ground.server.end_sessions(&case.user.name).await;
    held.abort();
    case.converges().await
}

async fn two_passwords_that_cannot_be(ground: Arc<Ground>) -> Row {
    let (name, kind) = match ground.server.is_mysql() {
        true => ("two passwords without the privilege", ErrorKind::Forbidden),
        false => ("two passwords at a server that keeps one", ErrorKind::Unsupported),
    };
    let mut case =
        Case::new(&ground, name, &[("ROTATION_STRATEGY", "dual-password")], |_| ()).await;
    case.ends(Step::Set, kind, Share::AtOnce, Left::Unchanged).await;
    case.configure(&[]);
    case.converges().await
}

async fn plaintext(ground: Arc<Ground>) -> Row {
    let name = "an account that needs TLS to be changed";
    let mut case = Case::new(&ground, name, &[], |document| document["ssl"] = json!(false)).await;
    // The server has seen the password, so that it lets it in.
    assert!(ground.server.logs_in(&case.user.name, &case.user.password).await);
    case.ends(Step::Set, ErrorKind::Unsupported, Share::AtOnce, Left::Unchanged).await;
    case.correct();
    case.converges().await
}
