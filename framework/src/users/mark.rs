//! What is written on a user to say whose it is.

use serde_json::{Value, json};

/// What stands before a mark where it is kept in free text.
const PREFIX: &str = "fourstep: ";

/// What is written on a user that Fourstep made or adopted: PostgreSQL keeps it as the role's
/// comment, MySQL as the user's attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// The user that this one alternates with.
    pub partner: String,
    /// The ARN of the secret that both belong to.
    pub secret: String,
}

impl Mark {
    /// As JSON, for a database that keeps structured attributes.
    pub fn to_json(&self) -> Value {
        json!({"partner": self.partner, "secret": self.secret})
    }

    /// Reads what [`to_json`](Self::to_json) made. None if it is anything else.
    pub fn from_json(value: &Value) -> Option<Self> {
        let field = |name| value.get(name).and_then(Value::as_str).map(str::to_owned);
        Some(Self { partner: field("partner")?, secret: field("secret")? })
    }

    /// This mark in a comment, behind what somebody else wrote there.
    ///
    /// ```
    /// use fourstep::users::Mark;
    ///
    /// let mark = Mark { partner: "app".to_owned(), secret: "arn:x".to_owned() };
    /// let comment = mark.in_comment(Some("owned by team blue"));
    /// assert!(comment.starts_with("owned by team blue\nfourstep: {"));
    /// assert_eq!(Mark::of_comment(&comment), Some(mark));
    /// ```
    pub fn in_comment(&self, comment: Option<&str>) -> String {
        let theirs = comment.unwrap_or_default().lines().filter(|line| !line.starts_with(PREFIX));
        let mine = format!("{PREFIX}{}", self.to_json());
        theirs.chain([mine.as_str()]).collect::<Vec<_>>().join("\n")
    }

    /// The mark in a comment, if there is exactly one.
    pub fn of_comment(comment: &str) -> Option<Self> {
        let mut lines = comment.lines().filter_map(|line| line.strip_prefix(PREFIX));
        let (mark, None) = (lines.next()?, lines.next()) else { return None };
        Self::from_json(&serde_json::from_str(mark).ok()?)
    }
}
