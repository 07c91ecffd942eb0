//! What an account may do, as SHOW GRANTS tells it.
//!
//! The statement is the one description of rights that MySQL and MariaDB share, and it names all of
//! them: each line is a statement that would give what it says. Sources: MySQL 9.7 reference manual,
//! sections 15.7.1.6, "GRANT Statement", and 15.7.7.23, "SHOW GRANTS Statement"; MariaDB
//! documentation, "SHOW GRANTS"; what they leave open was tried on MySQL 9.7.4 and MariaDB 10.11.19.

use std::collections::BTreeSet;

use crate::alternate::tokens::{Token, Tokens};

/// The right to pass on what one has on an object, listed as if it were a privilege.
pub(crate) const GRANT_OPTION: &str = "GRANT OPTION";

/// How SHOW GRANTS abbreviates every privilege that an object has.
pub(crate) const ALL: &str = "ALL PRIVILEGES";

/// What a privilege is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Object {
    /// `*.*`
    Server,
    /// `` `name`.* ``, in which `_` and `%` stand for anything and a backslash takes that away.
    Schema(String),
    /// `` `schema`.`name` ``
    Table(String, String),
    /// A procedure, function, package or library: its kind, schema and name.
    Routine(String, String, String),
}

/// An account or a role. MariaDB's roles have no host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct AccountName {
    pub(crate) user: String,
    pub(crate) host: Option<String>,
}

/// One thing that an account may do, or in a partial revoke may not.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Right {
    /// A privilege, on one column of a table or on all of the object.
    Held { on: Object, name: String, column: Option<String> },
    /// A partial revoke: a privilege on everything but this schema. MySQL only.
    Denied { schema: String, name: String },
    /// A dynamic privilege, of which each has its own right to be passed on. MySQL only.
    Dynamic { name: String, option: bool },
    /// To act as another account; with `option`, to let others.
    Proxy { of: AccountName, option: bool },
    /// A role; with `option`, to grant it to others.
    Role { role: AccountName, option: bool },
}

pub(crate) type Rights = BTreeSet<Right>;

/// What a line of SHOW GRANTS says. Whom it is granted to is not kept: of one's own, it may be a
/// role that is in force.
///
/// A line that gives something `WITH GRANT OPTION` is both: the thing, and with `option` the right
/// to pass it on.
///
/// `None` if the line is not understood. A partial understanding would lose somebody's rights.
pub(crate) fn parse(line: &str) -> Option<Vec<Right>> {
    let mut tokens = Tokens::of(line)?;
    match tokens.word()?.as_str() {
        "GRANT" => {}
        "REVOKE" => return denied(&mut tokens),
        // MariaDB's SET DEFAULT ROLE, which is read elsewhere.
        "SET" => return Some(Vec::new()),
        _ => return None,
    }
    match tokens.peek()? {
        Token::Name(_) => roles(&mut tokens),
        _ => granted(&mut tokens),
    }
}

/// `` GRANT `role`@`%`,`other`@`%` TO ... ``
fn roles(tokens: &mut Tokens) -> Option<Vec<Right>> {
    let mut roles = vec![account(tokens)?];
    while tokens.take(',') {
        roles.push(account(tokens)?);
    }
    let option = tail(tokens, "TO", "ADMIN")?;
    Some(with_option(option, |option| {
        roles.iter().cloned().map(|role| Right::Role { role, option }).collect()
    }))
}

/// `` GRANT SELECT, INSERT (`a`, `b`) ON `schema`.`table` TO ... ``
fn granted(tokens: &mut Tokens) -> Option<Vec<Right>> {
    let privileges = privileges(tokens)?;
    if let [(name, None)] = privileges.as_slice()
        && name == "PROXY"
    {
        let of = account(tokens)?;
        let option = tail(tokens, "TO", "GRANT")?;
        return Some(with_option(option, |option| vec![Right::Proxy { of: of.clone(), option }]));
    }
    let on = object(tokens)?;
    let option = tail(tokens, "TO", "GRANT")?;
    if on == Object::Server && privileges.iter().any(|(name, _)| is_dynamic(name)) {
        return Some(with_option(option, |option| {
            let dynamic = |(name, _): &(String, _)| Right::Dynamic { name: name.clone(), option };
            privileges.iter().map(dynamic).collect()
        }));
    }
    let given = privileges.into_iter().filter(|(name, _)| name != "USAGE");
    let mut rights: Vec<_> =
        given.map(|(name, column)| Right::Held { on: on.clone(), name, column }).collect();
    if option {
        rights.push(Right::Held { on, name: GRANT_OPTION.to_owned(), column: None });
    }
    Some(rights)
}

/// `` REVOKE SELECT, INSERT ON `schema`.* FROM ... ``
fn denied(tokens: &mut Tokens) -> Option<Vec<Right>> {
    let privileges = privileges(tokens)?;
    let Object::Schema(schema) = object(tokens)? else { return None };
    tail(tokens, "FROM", "GRANT")?;
    let denied = |(name, _)| Right::Denied { schema: schema.clone(), name };
    Some(privileges.into_iter().map(denied).collect())
}

/// Privileges up to the ON, each as often as it has columns.
fn privileges(tokens: &mut Tokens) -> Option<Vec<(String, Option<String>)>> {
    let mut privileges = Vec::new();
    loop {
        let mut words = vec![tokens.word()?];
        while let Some(Token::Word(word)) = tokens.peek()
            && word != "ON"
        {
            words.push(tokens.word()?);
        }
        let name = words.join(" ");
        if tokens.take('(') {
            privileges.push((name.clone(), Some(tokens.name()?)));
            while tokens.take(',') {
                privileges.push((name.clone(), Some(tokens.name()?)));
            }
            tokens.take(')').then_some(())?;
        } else {
            privileges.push((name, None));
        }
        if !tokens.take(',') {
            break;
        }
    }
    (tokens.word()? == "ON").then_some(privileges)
}

fn object(tokens: &mut Tokens) -> Option<Object> {
    if tokens.take('*') {
        return (tokens.take('.') && tokens.take('*')).then_some(Object::Server);
    }
    let mut kind = Vec::new();
    while let Some(Token::Word(_)) = tokens.peek() {
        kind.push(tokens.word()?);
    }
    let schema = tokens.name()?;
    tokens.take('.').then_some(())?;
    if tokens.take('*') {
        return kind.is_empty().then_some(Object::Schema(schema));
    }
    let name = tokens.name()?;
    Some(match kind.join(" ") {
        kind if kind.is_empty() || kind == "TABLE" => Object::Table(schema, name),
        kind => Object::Routine(kind, schema, name),
    })
}

/// A name, and behind an `@` its host.
fn account(tokens: &mut Tokens) -> Option<AccountName> {
    let user = tokens.name()?;
    let host = if tokens.take('@') { Some(tokens.name()?) } else { None };
    Some(AccountName { user, host })
}

/// Whom it is granted to, and whether `WITH <option> OPTION`. Between them MariaDB writes what is
/// read elsewhere, the hash of a password among it.
fn tail(tokens: &mut Tokens, preposition: &str, option: &str) -> Option<bool> {
    (tokens.word()? == preposition).then_some(())?;
    match tokens.peek()? {
        // MariaDB: everybody.
        Token::Word(word) if word == "PUBLIC" => drop(tokens.next()),
        _ => drop(account(tokens)?),
    }
    let rest: Vec<_> = std::iter::from_fn(|| tokens.next()).collect();
    let with = ["WITH", option, "OPTION"].map(|word| Token::Word(word.to_owned()));
    Some(rest.windows(3).any(|three| three == with))
}

fn with_option(option: bool, rights: impl Fn(bool) -> Vec<Right>) -> Vec<Right> {
    let mut all = rights(false);
    if option {
        all.extend(rights(true));
    }
    all
}

/// Dynamic privileges are single words with underscores, static ones words with spaces.
fn is_dynamic(privilege: &str) -> bool {
    privilege.contains('_')
}

#[cfg(test)]
mod tests;
