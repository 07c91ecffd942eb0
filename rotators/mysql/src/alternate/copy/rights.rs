//! What an account may do, as SHOW GRANTS tells it.
//!
//! The statement names all of an account's rights: each line is a statement that would give what it
//! says. Source: MariaDB documentation, "SHOW GRANTS"; what it leaves open was tried on 10.11.19.

use std::collections::BTreeSet;

use fourstep::{Error, ErrorKind, Result};

use crate::alternate::copy::tokens::{Token, Tokens};
use crate::alternate::quoting::AccountName;
use crate::alternate::read::not_understood;

/// The right to pass on what one has on an object, listed as if it were a privilege.
pub(crate) const GRANT_OPTION: &str = "GRANT OPTION";

/// How SHOW GRANTS abbreviates every privilege that an object has.
pub(crate) const ALL: &str = "ALL PRIVILEGES";

/// The longest line that is read. A right on each column of the widest table makes a shorter one.
const LONGEST_LINE: usize = 1 << 20;

/// The most bytes that one account's rights may take. A line names an object once and each of its
/// privileges has the name, so a line of a megabyte could become many.
const MOST_BYTES: usize = 32 << 20;

/// The longest name of a privilege; no server has one of more than 32.
const LONGEST_PRIVILEGE: usize = 64;

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

/// One thing that an account may do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Right {
    /// A privilege, on one column of a table or on all of the object.
    Held { on: Object, name: String, column: Option<String> },
    /// To act as another account; with `option`, to let others.
    Proxy { of: AccountName, option: bool },
    /// A role; with `option`, to grant it to others.
    Role { role: AccountName, option: bool },
}

pub(crate) type Rights = BTreeSet<Right>;

fn too_many() -> Error {
    let megabytes = MOST_BYTES >> 20;
    let what = format!("an account has more than {megabytes} MB of rights, too many to be copied");
    Error::new(ErrorKind::Unsupported, what).caused_by(
        "grant on whole schemas instead of on each table, or choose the strategy \
         single-user-by-admin, which copies none",
    )
}

/// What all these lines of SHOW GRANTS say.
///
/// # Errors
/// [`ErrorKind::Unsupported`] if a line is not understood, or if they take more than [`MOST_BYTES`].
pub(crate) fn read<'a>(lines: impl IntoIterator<Item = &'a str>) -> Result<Rights> {
    let (mut rights, mut bytes) = (Rights::new(), 0_usize);
    for line in lines {
        for right in parse(line).ok_or_else(not_understood)? {
            bytes = bytes.saturating_add(right.bytes());
            if bytes > MOST_BYTES {
                return Err(too_many());
            }
            rights.insert(right);
        }
    }
    Ok(rights)
}

/// Whether this is how servers write the name of a privilege. It is the one name that stands in
/// statements without quotes.
pub(crate) fn is_privilege(name: &str) -> bool {
    let of_word = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    let is_word = |word: &str| !word.is_empty() && word != "ON" && word.bytes().all(of_word);
    name.len() <= LONGEST_PRIVILEGE && name.split(' ').all(is_word)
}

/// What a line of SHOW GRANTS says. Whom it is granted to is not kept: of one's own, it may be a
/// role that is in force.
///
/// A line that gives something `WITH GRANT OPTION` is both: the thing, and with `option` the right
/// to pass it on.
///
/// `None` if the line is not understood. A partial understanding would lose somebody's rights.
pub(crate) fn parse(line: &str) -> Option<Vec<Right>> {
    (line.len() <= LONGEST_LINE).then_some(())?;
    let mut tokens = Tokens::of(line)?;
    match tokens.word()?.as_str() {
        "GRANT" => {}
        // SET DEFAULT ROLE, which is read elsewhere.
        "SET" => {
            let read_elsewhere = tokens.word()? == "DEFAULT" && tokens.word()? == "ROLE";
            return read_elsewhere.then(Vec::new);
        }
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
    if privileges.iter().any(|(name, _)| name == "PROXY") {
        matches!(privileges.as_slice(), [(_, None)]).then_some(())?;
        let of = account(tokens)?;
        let option = tail(tokens, "TO", "GRANT")?;
        return Some(with_option(option, |option| vec![Right::Proxy { of: of.clone(), option }]));
    }
    let on = object(tokens)?;
    let option = tail(tokens, "TO", "GRANT")?;
    let of_columns = privileges.iter().any(|(_, column)| column.is_some());
    (!of_columns || matches!(on, Object::Table(..))).then_some(())?;
    (privileges.len().saturating_mul(on.bytes()) <= MOST_BYTES).then_some(())?;
    let given = privileges.into_iter().filter(|(name, _)| name != "USAGE");
    let mut rights: Vec<_> =
        given.map(|(name, column)| Right::Held { on: on.clone(), name, column }).collect();
    if option {
        rights.push(Right::Held { on, name: GRANT_OPTION.to_owned(), column: None });
    }
    Some(rights)
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
        // The right to pass on stands at a line's end.
        (is_privilege(&name) && name != GRANT_OPTION).then_some(())?;
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
        kind if is_privilege(&kind) => Object::Routine(kind, schema, name),
        _ => return None,
    })
}

/// A name, and behind an `@` its host.
fn account(tokens: &mut Tokens) -> Option<AccountName> {
    let user = tokens.name()?;
    let host = if tokens.take('@') { Some(tokens.name()?) } else { None };
    Some(AccountName { user, host })
}

/// Whom it is granted to, and whether `WITH <option> OPTION`. Between them the server writes what is
/// read elsewhere, the hash of a password among it.
fn tail(tokens: &mut Tokens, preposition: &str, option: &str) -> Option<bool> {
    (tokens.word()? == preposition).then_some(())?;
    match tokens.peek()? {
        // Everybody.
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

impl Object {
    /// How much memory it takes, about.
    fn bytes(&self) -> usize {
        let names = match self {
            Self::Server => 0,
            Self::Schema(schema) => schema.len(),
            Self::Table(schema, name) => schema.len() + name.len(),
            Self::Routine(kind, schema, name) => kind.len() + schema.len() + name.len(),
        };
        size_of::<Self>() + names
    }
}

impl Right {
    /// How much memory it takes, about.
    fn bytes(&self) -> usize {
        let account =
            |name: &AccountName| name.user.len() + name.host.as_ref().map_or(0, String::len);
        let names = match self {
            Self::Held { on, name, column } => {
                on.bytes() + name.len() + column.as_ref().map_or(0, String::len)
            }
            Self::Proxy { of: name, .. } | Self::Role { role: name, .. } => account(name),
        };
        size_of::<Self>() + names
    }
}

#[cfg(test)]
mod tests;
