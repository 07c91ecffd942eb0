//! What both kinds of servers are asked about their users.

use std::collections::{BTreeMap, BTreeSet};

use fourstep::{Error, ErrorKind, Invocation, Result, Seen};

use crate::alternate::quoting::{AccountName, quote_literal};
use crate::alternate::settings::{self, Settings};
use crate::session::{Failure, Session};

/// The settings of a user's accounts, by their host patterns.
pub(crate) async fn settings_of(
    session: &mut Session,
    user: &str,
    cx: &Invocation,
) -> Result<BTreeMap<String, Settings>> {
    let flavour = session.server.flavour;
    let rows = look(session, &settings::query(flavour, user), cx).await?;
    let read = |row| settings::read(flavour, row).ok_or_else(not_understood);
    rows.into_iter().map(read).collect()
}

/// How many sessions of a user are open, as far as the admin sees them.
pub(crate) async fn open_sessions(
    session: &mut Session,
    user: &str,
    cx: &Invocation,
) -> Result<u64> {
    let query = format!(
        "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER = {}",
        quote_literal(user)
    );
    let rows = look(session, &query, cx).await?;
    let count = rows.into_iter().flatten().flatten().next();
    count.and_then(|count| count.parse().ok()).ok_or_else(not_understood)
}

/// The sessions of the session's own user, which it sees without PROCESS (MySQL 8.4 reference manual,
/// "The INFORMATION_SCHEMA PROCESSLIST Table").
pub(crate) async fn seen(session: &mut Session, user: &str, cx: &Invocation) -> Result<Seen> {
    let query = format!(
        "SELECT CONNECTION_ID(), ID FROM information_schema.PROCESSLIST WHERE USER = {} LIMIT {}",
        quote_literal(user),
        Seen::MOST
    );
    let rows = table::<2>(session, &query, cx).await?;
    let number = |text: &str| text.parse::<u64>().map_err(|_| not_understood());
    let all = rows.iter().map(|[_, one]| number(one)).collect::<Result<BTreeSet<_>, _>>()?;
    let own = rows.first().map(|[own, _]| number(own)).transpose()?;
    Ok(Seen { sessions: own.map(|own| (own, all)), ..Seen::default() })
}

/// A query that only shows something.
pub(crate) async fn look(
    session: &mut Session,
    query: &str,
    cx: &Invocation,
) -> Result<Vec<Vec<Option<String>>>> {
    let what = "a look at the server's users";
    let answer = session.run(what, query, cx).await;
    answer.map_err(|failure| match failure {
        Failure::Refused(refusal) if matches!(refusal.number, 1044 | 1142 | 1143 | 1227) => {
            let what = "the admin may not see what the server's users may do";
            let own = AccountName::new(session.server.user(), session.server.host());
            let way = format!("have this run: GRANT SELECT ON mysql.* TO {}", own.sql());
            Error::new(ErrorKind::Forbidden, what).caused_by(way).caused_by(refusal.code())
        }
        failure => failure.of(what),
    })
}

/// The same, of rows of so many cells, of which none is NULL.
pub(crate) async fn table<const N: usize>(
    session: &mut Session,
    query: &str,
    cx: &Invocation,
) -> Result<Vec<[String; N]>> {
    let cells = |row: Vec<Option<String>>| {
        let row: Option<Vec<String>> = row.into_iter().collect();
        row.and_then(|row| row.try_into().ok()).ok_or_else(not_understood)
    };
    look(session, query, cx).await?.into_iter().map(cells).collect()
}

pub(crate) fn not_understood() -> Error {
    let what = "what the server says of its users is not understood";
    Error::new(ErrorKind::Unsupported, what).caused_by("report it, with the server's version")
}
