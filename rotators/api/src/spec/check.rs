//! Reads a specification and refuses what cannot be right, each complaint with its line.

mod account;
mod admins;
mod lines;
mod literal;
mod pair;
mod parts;
mod proof;
mod roll;
mod several;
mod shape;

use std::fmt;

pub(crate) use admins::named_only;
use lines::Lines;
pub(crate) use several::unproven_choice;

use super::{Caller, Document, Hole, Ownership, Parts, Presentation, Template, Update};

/// What is wrong with a specification, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// The line, counted from 1, if it is about one.
    pub line: Option<usize>,
    /// What is wrong, and what to write instead.
    pub what: String,
}

impl fmt::Display for Complaint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(formatter, "line {line}: {}", self.what),
            None => formatter.write_str(&self.what),
        }
    }
}

/// A specification that was read and checked.
///
/// ```
/// let complaints = rotate_api::Specification::read("name = 7").unwrap_err();
/// assert_eq!(complaints[0].to_string(), "line 1: invalid type: integer `7`, expected a string");
/// ```
#[derive(Debug, Clone)]
pub struct Specification {
    pub(crate) document: Document,
}

impl Specification {
    /// Reads a specification.
    ///
    /// # Errors
    /// Everything that is wrong with it; a syntax error hides the rest.
    pub fn read(text: &str) -> Result<Self, Vec<Complaint>> {
        let document: Document = match toml::from_str(text) {
            Ok(document) => document,
            Err(error) => return Err(unread(text, &error)),
        };
        let mut check = Check { lines: Lines::of(text), complaints: Vec::new() };
        shape::shape(&document, &mut check);
        shape::terms(&document, &mut check);
        parts::document(&document, &mut check);
        proof::proof(&document, &mut check);
        roll::roll(&document, &mut check);
        pair::pair(&document, &mut check);
        account::account(&document, &mut check);
        literal::literal(&document, &mut check);
        let mut complaints = check.complaints;
        complaints.sort_by_key(|complaint| complaint.line);
        complaints.dedup();
        match complaints.is_empty() {
            true => Ok(Self { document }),
            false => Err(complaints),
        }
    }

    /// What is rotated, for people.
    pub fn name(&self) -> &str {
        &self.document.name
    }

    /// Whether its `base_url` is one that nobody has, to be replaced in a copy.
    pub fn is_placeholder(&self) -> bool {
        crate::is_placeholder(&self.document.base_url)
    }

    /// Whether the vendor makes keys, and else takes a value.
    pub fn issues(&self) -> bool {
        self.document.issue.is_some()
    }

    /// Whether the vendor makes a value anew in its place.
    pub fn rolls(&self) -> bool {
        self.document.roll.is_some()
    }

    /// Whether a value is set of two users in turn.
    pub fn takes_turns(&self) -> bool {
        self.document.pair.is_some()
    }

    /// What to know of a specification in which nothing is wrong.
    pub fn notes(&self) -> Vec<String> {
        let document = &self.document;
        let mut notes = Vec::new();
        let by_label = document.terms.ownership == Ownership::Labels;
        if self.issues() && by_label && !document.binds() {
            notes.push(
                "nothing proves whose id stands beside a key (id in [verify], key in [describe], \
                 key_begins or key_ends in [secret]), so the first key, which has no label, is never \
                 revoked: do it by hand"
                    .to_owned(),
            );
        }
        if let Some(why) = unproven_choice(document) {
            notes.push(format!("ADMIN_SECRET must name one admin, and not several: {why}"));
        }
        if let Some(seconds) = document.roll.as_ref().and_then(|roll| roll.works_on_seconds) {
            notes.push(format!(
                "that a replaced value works on for {seconds} s is believed: look at the table of a \
                 replay, and at `fourstep replay --crash all`"
            ));
        }
        if let Some(host) = SIGNED.iter().find(|host| signs(&document.base_url, host)) {
            notes.push(format!(
                "most keys of *.{host} only sign requests, which no specification can: is the key \
                 itself shown by [credential]?"
            ));
        }
        if self.is_placeholder() {
            let what = "base_url is a placeholder, which the function refuses: put your own there";
            notes.push(what.to_owned());
        }
        notes
    }

    /// Whether requests are made by the admin.
    pub fn needs_admin(&self) -> bool {
        self.document.admin.is_some()
    }
}

/// What is wrong with a text that is no specification at all: the parser's first words, or all that
/// is missing.
fn unread(text: &str, error: &toml::de::Error) -> Vec<Complaint> {
    let lines = Lines::of(text);
    let missing: Vec<Complaint> = MISSING
        .iter()
        .filter(|(name, _)| error.message().starts_with("missing field") && !lines.has(name))
        .map(|(name, why)| Complaint { line: Some(1), what: format!("{name} is missing{why}") })
        .collect();
    if !missing.is_empty() {
        return missing;
    }
    let line = error.span().map(|span| lines.at(span.start));
    let message = error.message().replace('\n', "; ");
    let what = match message.as_str() {
        text if text.starts_with("wanted exactly 1 element") => {
            format!("one key stands here, and no more: {PRESENTATIONS}; in pages {PAGES}")
        }
        text if text.starts_with("unknown variant") && text.contains("`bearer`") => {
            format!(
                "{text}. If the key only signs requests {SIGNS}, no specification can rotate it; and \
                 none logs an admin in by JSON or by a JWT that is signed here: that needs an Issuer in \
                 Rust"
            )
        }
        text if text.starts_with("unknown field `trusted_fields`") => {
            format!(
                "{text}. trusted_fields stands in [issue], [update] or [roll], for all requests"
            )
        }
        _ => message,
    };
    vec![Complaint { line, what }]
}

/// Whether requests go to a host, but for those of one's own there (API Gateway).
fn signs(base_url: &str, host: &str) -> bool {
    let authority = base_url.split("://").nth(1).and_then(|rest| rest.split('/').next());
    authority.is_some_and(|one| {
        let name = one.split_once(':').map_or(one, |(name, _port)| name).to_ascii_lowercase();
        name.ends_with(host) && !name.contains(".execute-api.")
    })
}

/// Hosts whose keys sign requests.
const SIGNED: [&str; 4] =
    ["digitaloceanspaces.com", "r2.cloudflarestorage.com", "amazonaws.com", "amazonaws.com.cn"];

/// How keys are used that no request shows.
const SIGNS: &str = "(SigV4, HMAC: DigitalOcean Spaces, R2, IAM and the like)";

/// How a key is shown.
const PRESENTATIONS: &str =
    "in [credential] and [admin] bearer, basic, header, query or client_credentials";

/// How a list goes on.
const PAGES: &str = "link, cursor, number or offset";

/// What every specification has, and what it is for.
const MISSING: [(&str, &str); 6] = [
    ("name", ""),
    ("documents", ""),
    ("read_on", ""),
    ("base_url", ""),
    (
        "credential",
        ": [credential] says how the key itself is shown, in one of five ways: bearer, basic, header, \
         query or client_credentials",
    ),
    (
        "verify",
        ": [verify] is a request that the key itself makes, and that a wrong key is refused. If no \
         plain request shows the key, since it only signs requests (DigitalOcean Spaces, R2, IAM and \
         the like), no specification can rotate it",
    ),
];

impl Document {
    /// Whether the vendor says that the id in a secret is that of the key beside it.
    pub(crate) fn binds(&self) -> bool {
        let described = self.describe.as_ref().is_some_and(|describe| describe.key.is_some());
        let described = described || self.roll.is_some();
        described || self.verify.id.is_some() || self.secret.holds_id() || self.shows_id()
    }

    /// Whether the id is shown with the key, as a user's name is with a password.
    pub(crate) fn shows_id(&self) -> bool {
        let id = Hole::Secret(Some(self.secret.id.clone()));
        let shown = self.credential.templates().into_iter();
        let mut shown = shown.filter_map(|text| Template::read(text).ok());
        shown.any(|template| template.holes().any(|hole| *hole == id))
    }
}

impl Parts<'_> {
    /// Whether the vendor may grant a request for the admin's sake: the admin makes it, or
    /// something of the admin's stands in it.
    pub(crate) fn is_admins(&self) -> bool {
        let placed = || parts::holes(self).iter().any(|hole| matches!(hole, Hole::Admin(_)));
        self.by == Caller::Admin || placed()
    }
}

/// Whether an update has an effect only if the value that it replaces is shown with it or in it.
pub(crate) fn compares(document: &Document, update: &Update) -> bool {
    let parts = update.parts();
    match (parts.by, &document.credential) {
        // Vendors look at the admin's rights and may not look at the old value at all.
        _ if parts.is_admins() => false,
        // The value is shown to the token endpoint alone, and a token outlives it.
        (Caller::Credential, Presentation::ClientCredentials(_)) => places_key(document, &parts),
        (Caller::Credential, _) => true,
        (Caller::Nobody | Caller::Admin, _) => places_key(document, &parts),
    }
}

/// Whether a request holds the credential in use.
fn places_key(document: &Document, parts: &Parts<'_>) -> bool {
    let key = shape::key_hole(document);
    let read = parts::templates(parts).into_iter().filter_map(|text| Template::read(text).ok());
    read.into_iter().any(|template| template.holes().any(|hole| *hole == key))
}

/// The complaints so far, and the text in which their lines are found.
struct Check<'a> {
    lines: Lines<'a>,
    complaints: Vec<Complaint>,
}

impl Check<'_> {
    /// Complains about `needle` in a table, or about the table.
    fn complain(&mut self, table: &str, needle: &str, what: impl Into<String>) {
        let line = self.lines.find(table, needle);
        self.complaints.push(Complaint { line, what: what.into() });
    }
}

impl Presentation {
    /// The name it has in a specification.
    fn kind(&self) -> &'static str {
        match self {
            Self::Bearer(_) => "bearer",
            Self::Basic(_) => "basic",
            Self::Header(_) => "header",
            Self::Query(_) => "query",
            Self::ClientCredentials(_) => "client_credentials",
        }
    }
}

#[cfg(test)]
mod tests;
