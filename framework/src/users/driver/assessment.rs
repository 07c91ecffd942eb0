//! What a change of a pair will run, and what speaks against it: one list, of which the change, the
//! preflight and the plan are made.

use std::collections::BTreeSet;

use crate::error::{Error, ErrorKind, Result};
use crate::rotator::Finding;
use crate::users::Login;

/// How many statements or things one error lists.
pub(crate) const MOST_LISTED: usize = 10;

/// What [`Alternates::assess`](super::Alternates::assess) found.
#[derive(Debug, Default)]
pub struct Assessment<Found> {
    /// What is run, in this order.
    pub parts: Vec<Part>,
    /// What else is needed to set the password.
    pub found: Found,
    /// What happens in the same statement as the password: `and LOGIN`, or nothing.
    pub let_in: &'static str,
    /// What stops the change.
    pub objections: Vec<Error>,
    /// The statements that somebody else must run first, because the admin may not.
    pub missing: BTreeSet<String>,
    /// What an operator should know.
    pub warnings: BTreeSet<String>,
}

/// What is run in one place, in one transaction where the server has them.
#[derive(Debug)]
pub struct Part {
    /// The admin's login there.
    pub login: Login,
    /// In this order. None where there is nothing to change.
    pub steps: Vec<Step>,
}

/// One statement that holds no password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The statement.
    pub text: String,
    /// Whether it is left for another time while sessions of the target are open.
    pub waits: bool,
    /// Whether it locks what applications use, so that a rehearsal leaves it out.
    pub locks: bool,
    /// Whether the change is as good without it, since what it takes does not count: what it meets, which
    /// anybody may have laid there, is warned about and stops nothing.
    pub spare: bool,
}

impl Part {
    /// Whether the change is as good without all of it: elsewhere it is run, or given up, as a whole.
    pub(super) fn is_spare(&self) -> bool {
        !self.steps.is_empty() && self.steps.iter().all(|step| step.spare)
    }
}

impl Step {
    /// A statement that is run whatever else goes on.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), waits: false, locks: false, spare: false }
    }
}

/// The sessions of a user.
#[derive(Debug)]
pub enum OpenSessions {
    /// So many are open.
    Count(u64),
    /// The admin may not see them; what to do about that.
    Unseen(Error),
    /// This kind of server does not tell.
    Untold,
}

/// The error of an admin that lacks rights, with the statements that give them.
#[must_use]
pub fn lacks_rights<'a>(statements: impl IntoIterator<Item = &'a str>) -> Error {
    Error::new(ErrorKind::Forbidden, "the admin lacks rights; nothing was changed")
        .caused_by(format!("have this run: {}", listed(statements, MOST_LISTED, "; ")))
}

/// Refuses a user name longer than the server keeps it. `unit` says what `length` counts, and whose
/// limit it is.
///
/// # Errors
/// [`ErrorKind::Unsupported`].
pub fn check_length(name: &str, length: usize, most: usize, unit: &str) -> Result<()> {
    if length <= most {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Unsupported, format!("user name {name:?} has {length} {unit}")))
}

/// The first `most` of these, and how many more there are.
pub fn listed<'a>(all: impl IntoIterator<Item = &'a str>, most: usize, separator: &str) -> String {
    let mut all = all.into_iter();
    let named: Vec<_> = all.by_ref().take(most).collect();
    match all.count() {
        0 => named.join(separator),
        more => format!("{}{separator}and {more} more", named.join(separator)),
    }
}

impl<Found> Assessment<Found> {
    /// What stops the change, as one error.
    pub(crate) fn first_objection(&self) -> Option<Error> {
        self.objections.first().cloned().or_else(|| self.lacks())
    }

    fn lacks(&self) -> Option<Error> {
        let missing = self.missing.iter().map(String::as_str);
        (!self.missing.is_empty()).then(|| lacks_rights(missing))
    }

    /// What is said of the open sessions of `user`, whose password is about to be replaced.
    pub(crate) fn note_sessions(&mut self, user: &str, open: OpenSessions, refuse: bool) {
        match open {
            OpenSessions::Count(0) | OpenSessions::Untold => {}
            OpenSessions::Count(_) if !refuse => {
                self.warnings.insert(format!(
                    "user {user:?} has open sessions, and its password is about to be replaced: a \
                     client that does not read the secret before it connects again will be refused"
                ));
            }
            open => self.objections.extend(still_open(user, open).filter(|_| refuse)),
        }
    }

    /// All that stops the change, and all that is worth knowing.
    pub(crate) fn findings(&self) -> Vec<Finding> {
        let fails = self.objections.iter().cloned().chain(self.lacks()).map(Finding::Fails);
        fails.chain(self.warnings.iter().cloned().map(Finding::Warns)).collect()
    }

    /// The statements of the change, as a person could run them. `transactions` says whether each
    /// part is one, `sign` what begins a comment.
    pub(crate) fn lines(&self, target: &str, transactions: bool, sign: &str) -> Vec<String> {
        let comment = |text: &str| comment(sign, text);
        let statement_lines = |statement: &str| statement_lines(sign, statement);
        let mut lines = Vec::new();
        for objection in &self.objections {
            lines.extend(comment(&format!("in the way: {objection}")));
        }
        for statement in &self.missing {
            lines.extend(comment("the admin lacks a right; somebody who may must run first:"));
            lines.extend(statement_lines(statement));
        }
        lines.extend(self.warnings.iter().flat_map(|warning| comment(warning)));
        for part in &self.parts {
            let database = part.login.dbname.as_deref().unwrap_or_default();
            let nothing = if part.steps.is_empty() { "nothing to change" } else { "" };
            let heading = match (transactions, nothing) {
                (true, "") => format!("database {database:?}, one transaction"),
                (true, _) => format!("database {database:?}, one transaction: {nothing}"),
                (false, _) => nothing.to_owned(),
            };
            lines.extend((!heading.is_empty()).then(|| comment(&heading)).into_iter().flatten());
            for step in &part.steps {
                let when = format!("only if no session of user {target:?} is open:");
                lines.extend(step.waits.then(|| comment(&when)).into_iter().flatten());
                lines.extend(statement_lines(&step.text));
            }
        }
        let let_in = if self.let_in.is_empty() { "" } else { ", " };
        lines.extend(comment(&format!("then the password of {target:?}{let_in}{}", self.let_in)));
        lines
    }
}

/// The error of sessions that must not be open, `None` where none is.
pub(crate) fn still_open(user: &str, open: OpenSessions) -> Option<Error> {
    match open {
        OpenSessions::Count(0) | OpenSessions::Untold => None,
        OpenSessions::Count(open) => {
            let what = format!(
                "user {user:?} still has {open} open session(s), and REFUSE_OPEN_SESSIONS is set"
            );
            Some(Error::new(ErrorKind::Conflict, what).caused_by(
                "its password was not changed; let its clients read the secret and connect again, \
                 then retry",
            ))
        }
        OpenSessions::Unseen(error) => Some(error.while_doing("REFUSE_OPEN_SESSIONS is set")),
    }
}

/// A text as comments, each of its lines by itself: names are anybody's who may make a database, a
/// schema or a role. Sources: PostgreSQL 18 documentation, section 4.1.5, and MySQL 9.7 reference
/// manual, section 11.7: a comment ends with its line; psql ends one at a carriage return too. One of
/// JavaScript also ends at U+2028 and U+2029 (ECMAScript, section 12.3).
fn comment(sign: &str, text: &str) -> Vec<String> {
    let ends = |c: char| matches!(c, '\n' | '\r' | '\u{2028}' | '\u{2029}');
    let harmless = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
    let line = |line: &str| format!("{sign} {}", line.chars().map(harmless).collect::<String>());
    text.split(ends).map(line).collect()
}

/// A statement of a plan. In comments if it does not fit into a line.
fn statement_lines(sign: &str, statement: &str) -> Vec<String> {
    match statement.chars().any(char::is_control) {
        false => vec![format!("{statement};")],
        true => comment(sign, &format!("{statement};")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_shown_becomes_a_line_of_its_own() {
        let lines = comment("--", "a\n\\! b\rc\u{1b}[0m");
        assert_eq!(lines, ["-- a", "-- \\! b", "-- c\u{fffd}[0m"]);
        assert_eq!(comment("//", "a\u{2028}b\u{2029}c"), ["// a", "// b", "// c"]);
        assert_eq!(statement_lines("--", "SELECT 1"), ["SELECT 1;"]);
        assert_eq!(statement_lines("--", "A \"b\n\\! c\""), ["-- A \"b", "-- \\! c\";"]);
    }

    #[test]
    fn a_list_says_how_much_it_leaves_out() {
        assert_eq!(listed(["a", "b"], 2, ", "), "a, b");
        let many: Vec<String> = (0..12).map(|number| number.to_string()).collect();
        assert!(
            listed(many.iter().map(String::as_str), MOST_LISTED, ", ").ends_with("9, and 2 more")
        );
    }

    #[test]
    fn objections_and_warnings_are_in_every_form() {
        let mut found = Assessment::<()> { let_in: "and LOGIN", ..Assessment::default() };
        found.missing.insert("GRANT app TO boss".to_owned());
        found.warnings.insert("be warned".to_owned());
        found.note_sessions("app", OpenSessions::Count(2), true);
        let lines = found.lines("app", false, "--");
        for line in
            ["-- be warned", "GRANT app TO boss;", "-- then the password of \"app\", and LOGIN"]
        {
            assert!(lines.iter().any(|one| one == line), "{lines:?}");
        }
        assert!(lines[0].starts_with("-- in the way: user \"app\" still has 2"), "{lines:?}");
        assert_eq!(found.findings().len(), 3);
        let unseen = || OpenSessions::Unseen(Error::new(ErrorKind::Forbidden, "not seen"));
        let mut found = Assessment::<()>::default();
        found.note_sessions("app", unseen(), false);
        assert!(found.findings().is_empty());
        found.note_sessions("app", unseen(), true);
        assert_eq!(found.first_objection().unwrap().kind(), ErrorKind::Forbidden);
    }
}
