//! The decision table of docs/operate.md ("A stuck rotation"), as code: which login works decides what
//! is right. It reads an inspection and waits for nothing.

use fourstep::Form;
use fourstep::store::{AWSCURRENT, AWSPENDING, AWSPREVIOUS};
use serde_json::Value;

use crate::events::{labels, text as field};

/// How a secret is rotated, as far as the table tells kinds apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One password at a time.
    OnePassword,
    /// Two users take turns.
    TwoUsers,
    /// One user with two passwords.
    DualPassword,
    /// Keys that a vendor issues and revokes one by one.
    Keys,
    /// It cannot be told from here: a vendor's keys or values, or a program of one's own.
    Unknown,
}

impl Kind {
    /// As an answer to `inspect` says it; `None` where the function is too old to say.
    pub fn told(answer: &Value) -> Option<Self> {
        let form = answer.get("form")?;
        let forms = [
            (Form::OnePassword, Self::OnePassword),
            (Form::TwoUsers, Self::TwoUsers),
            (Form::TwoPasswords, Self::DualPassword),
            (Form::Keys, Self::Keys),
        ];
        let known = forms.into_iter().find(|(one, _)| form.as_str() == Some(one.name()));
        Some(known.map_or(Self::Unknown, |(_, kind)| kind))
    }

    /// From the strategy's name; empty means the function's own default.
    pub fn of(function: &str, strategy: &str) -> Self {
        let databases = ["postgres", "mysql", "mongodb", "sqlserver"];
        let sql = databases.iter().any(|part| function.contains(part));
        match strategy {
            "single-user" | "single-user-by-admin" if !function.contains("redis") => {
                Self::OnePassword
            }
            "alternating-users" => Self::TwoUsers,
            "dual-password" => Self::DualPassword,
            "" if sql => Self::OnePassword,
            _ => Self::Unknown,
        }
    }
}

/// Whether a version logs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Login {
    /// It does.
    Accepted,
    /// The target refused it.
    Rejected,
    /// It has no value, or there is no such version.
    Absent,
    /// It could not be asked.
    Unknown,
}

/// What each of the three labels logs in with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Logins {
    /// AWSCURRENT.
    pub current: Login,
    /// AWSPENDING.
    pub pending: Login,
    /// AWSPREVIOUS.
    pub previous: Login,
}

impl Logins {
    /// As an answer to `inspect` has them.
    pub fn of(answer: &Value) -> Self {
        let rows = answer.get("versions").and_then(Value::as_array);
        let login = |label: &str| {
            let row = rows.into_iter().flatten().find(|row| labels(row).contains(&label));
            match row.map(|row| field(row, "verdict")) {
                None | Some("empty") => Login::Absent,
                Some("accepted") => Login::Accepted,
                Some("rejected") => Login::Rejected,
                Some(_) => Login::Unknown,
            }
        };
        Self {
            current: login(AWSCURRENT),
            pending: login(AWSPENDING),
            previous: login(AWSPREVIOUS),
        }
    }
}

/// A row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Row {
    /// AWSCURRENT accepted.
    Current,
    /// AWSCURRENT rejected, AWSPENDING accepted.
    Pending,
    /// AWSCURRENT and AWSPENDING do not log in, AWSPREVIOUS accepted.
    Previous,
    /// None accepted.
    None,
    /// One that matters could not be asked.
    Unknown,
}

impl Row {
    /// The row that these logins are in. Nothing is concluded from what could not be asked.
    pub fn of(logins: Logins) -> Self {
        match (logins.current, logins.pending, logins.previous) {
            (Login::Accepted, ..) => Self::Current,
            (Login::Unknown | Login::Absent, ..) | (_, Login::Unknown, _) => Self::Unknown,
            (_, Login::Accepted, _) => Self::Pending,
            (.., Login::Unknown) => Self::Unknown,
            (.., Login::Accepted) => Self::Previous,
            (.., Login::Rejected | Login::Absent) => Self::None,
        }
    }

    /// As the page has it.
    pub fn text(self) -> &'static str {
        match self {
            Self::Current => "AWSCURRENT accepted",
            Self::Pending => "AWSCURRENT rejected, AWSPENDING accepted",
            Self::Previous => "AWSCURRENT rejected, AWSPREVIOUS accepted",
            Self::None => "none accepted",
            Self::Unknown => "unknown",
        }
    }

    /// What the table says is right for a kind, where rotation is `on` or off. `None`: nothing that can
    /// be proven from here.
    pub fn advice(self, kind: Kind, on: bool) -> Option<Advice> {
        if !on {
            // No rotation follows, which would see to it that AWSCURRENT logs in.
            return match (self, kind) {
                (Self::Current, Kind::Unknown) => None,
                (Self::Current, _) => Some(Advice::Discard),
                (Self::Pending, Kind::OnePassword) => Some(Advice::Promote),
                _ => None,
            };
        }
        match (self, kind) {
            (Self::Current, _) => Some(Advice::Discard),
            // With one password, too: the function compares the two versions before it promotes.
            (Self::Pending, Kind::OnePassword | Kind::Keys)
            | (Self::Pending | Self::Previous, Kind::TwoUsers | Kind::DualPassword)
            | (Self::Previous, Kind::OnePassword) => Some(Advice::Retry),
            // The older key proves the account, and a new one is made with it.
            (Self::Previous, Kind::Keys) => Some(Advice::Discard),
            (Self::None, Kind::OnePassword | Kind::TwoUsers | Kind::DualPassword) => {
                Some(Advice::Discard)
            }
            // A key must be made at the vendor first.
            (Self::None, Kind::Keys)
            | (Self::Pending | Self::Previous | Self::None, Kind::Unknown)
            | (Self::Unknown, _) => None,
        }
    }
}

/// What mends a stuck rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advice {
    /// Ask Secrets Manager for the same rotation again.
    Retry,
    /// Take AWSPENDING off its version and begin anew.
    Discard,
    /// Make current what the target has already.
    Promote,
}

impl Advice {
    /// The word of the page.
    pub fn name(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Discard => "discard",
            Self::Promote => "promote",
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const KINDS: [Kind; 5] =
        [Kind::OnePassword, Kind::TwoUsers, Kind::DualPassword, Kind::Keys, Kind::Unknown];

    fn row(current: &str, pending: &str, previous: &str) -> Row {
        let version = |label: &str, verdict: &str| json!({"labels": [label], "verdict": verdict});
        Row::of(Logins::of(&json!({"versions": [
            version(AWSCURRENT, current),
            version(AWSPENDING, pending),
            version(AWSPREVIOUS, previous),
        ]})))
    }

    #[test]
    fn each_row_has_what_the_page_says() {
        use Advice::{Discard, Promote, Retry};
        let (d, p, r, n) = (Some(Discard), Some(Promote), Some(Retry), None);
        for (logins, expected, on, off) in [
            (["accepted", "accepted", "rejected"], Row::Current, [d, d, d, d, d], [d, d, d, d, n]),
            (["accepted", "unknown", "unknown"], Row::Current, [d, d, d, d, d], [d, d, d, d, n]),
            (["accepted", "empty", "rejected"], Row::Current, [d, d, d, d, d], [d, d, d, d, n]),
            (["rejected", "accepted", "unknown"], Row::Pending, [r, r, r, r, n], [p, n, n, n, n]),
            (["rejected", "rejected", "accepted"], Row::Previous, [r, r, r, d, n], [n; 5]),
            (["rejected", "empty", "accepted"], Row::Previous, [r, r, r, d, n], [n; 5]),
            (["rejected", "rejected", "rejected"], Row::None, [d, d, d, n, n], [n; 5]),
            (["rejected", "empty", "empty"], Row::None, [d, d, d, n, n], [n; 5]),
        ] {
            let [current, pending, previous] = logins;
            let row = row(current, pending, previous);
            assert_eq!(row, expected, "{logins:?}");
            assert_eq!(KINDS.map(|kind| row.advice(kind, true)), on, "{logins:?}");
            assert_eq!(KINDS.map(|kind| row.advice(kind, false)), off, "{logins:?}");
        }
    }

    #[test]
    fn nothing_is_advised_where_a_login_that_matters_could_not_be_asked() {
        for [current, pending, previous] in [
            ["unknown", "accepted", "accepted"],
            ["rejected", "unknown", "accepted"],
            ["rejected", "rejected", "unknown"],
            ["empty", "accepted", "accepted"],
            ["a new word", "accepted", "accepted"],
        ] {
            let row = row(current, pending, previous);
            assert_eq!(row, Row::Unknown, "{current} {pending} {previous}");
            for on in [true, false] {
                assert!(KINDS.iter().all(|kind| row.advice(*kind, on).is_none()));
            }
        }
        for answer in [json!({}), json!(null), json!({"versions": 7}), json!({"versions": [3]})] {
            assert_eq!(Row::of(Logins::of(&answer)), Row::Unknown);
        }
    }

    #[test]
    fn a_kind_that_cannot_be_told_is_unknown() {
        for (function, strategy, kind) in [
            ("fourstep-postgres", "", Kind::OnePassword),
            ("fourstep-postgres", "alternating-users", Kind::TwoUsers),
            ("fourstep-mysql", "dual-password", Kind::DualPassword),
            ("fourstep-api", "", Kind::Unknown),
            ("fourstep-redis", "single-user-by-admin", Kind::Unknown),
            ("mine", "of-my-own", Kind::Unknown),
        ] {
            assert_eq!(Kind::of(function, strategy), kind, "{function} {strategy}");
        }
        for (answer, kind) in [
            (json!({}), None),
            (json!({"form": null}), Some(Kind::Unknown)),
            (json!({"form": "a new word"}), Some(Kind::Unknown)),
            (json!({"form": "two passwords"}), Some(Kind::DualPassword)),
            (json!({"form": "keys"}), Some(Kind::Keys)),
        ] {
            assert_eq!(Kind::told(&answer), kind, "{answer}");
        }
    }
}
