//! The requests of a specification, and what their answers mean.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::presentation::unauthorized;

/// Who makes a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Caller {
    /// Whoever holds the credential, shown as `[credential]` says.
    #[default]
    Credential,
    /// The admin, shown as `[admin]` says.
    Admin,
    /// Nobody: the request itself holds what the vendor wants to know.
    Nobody,
}

macro_rules! requests {
    ($($(#[$meaning:meta])* $name:ident { $($extra:tt)* })*) => {$(
        $(#[$meaning])*
        ///
        /// Placeholders stand in braces: `{secret.FIELD}`, `{admin.FIELD}`, `{label}`, `{id}`, in
        /// an update `{new.FIELD}`, in `[issue]` `{described.POINTER}`, `{described.POINTER?}` and
        /// `{now+90d}`; `{secret}` and `{new}` where the secret is a plain text. `{{`
        /// and `}}` are braces. A value stays a value where it is placed: it cannot add a segment,
        /// a pair, a header or a field.
        #[derive(Debug, Clone, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            /// GET, POST, PUT, PATCH, DELETE, or one of the vendor's own, as LIST.
            pub method: String,
            /// Where it goes, if not to the specification's `base_url`.
            pub base_url: Option<String>,
            /// The path behind the URL, beginning with a slash. A placeholder fills one segment,
            /// or a part of one.
            pub path: String,
            /// Who makes it.
            #[serde(default)]
            pub by: Caller,
            /// Pairs of the query.
            #[serde(default)]
            pub query: BTreeMap<String, String>,
            /// Headers.
            #[serde(default)]
            pub headers: BTreeMap<String, String>,
            /// A JSON body: a table, a list or a string. A string that is one placeholder and nothing else takes the field's
            /// value as it is, whatever its type.
            pub json: Option<Body>,
            /// The type of the JSON body, if it is not application/json: application/vnd.api+json.
            pub content_type: Option<String>,
            /// A form, as in application/x-www-form-urlencoded.
            pub form: Option<BTreeMap<String, String>>,
            /// The statuses that mean success.
            #[serde(default = "success")]
            pub ok: Vec<u16>,
            /// What must stand in a successful answer: JSON Pointers and their values. Anything
            /// else is an error. A placeholder stands for its value, a number also for its text:
            /// in `[verify]` that proves a field of the secret, unless the request names it.
            #[serde(default)]
            pub expect: BTreeMap<String, Value>,
            /// What must not stand in a successful answer, but for null, false and what is empty:
            /// JSON Pointers. Some vendors answer 200 and say that it failed.
            #[serde(default)]
            pub absent: Vec<String>,
            $($extra)*
        }

        impl $name {
            /// What every request has.
            pub(crate) fn parts(&self) -> Parts<'_> {
                Parts {
                    method: &self.method,
                    base_url: self.base_url.as_deref(),
                    path: &self.path,
                    template: &self.path,
                    by: self.by,
                    query: &self.query,
                    headers: &self.headers,
                    json: self.json.as_ref(),
                    content_type: self.content_type.as_deref(),
                    form: self.form.as_ref(),
                    ok: &self.ok,
                    expect: &self.expect,
                    absent: &self.absent,
                    fenced: false,
                    proves: false,
                }
            }
        }
    )*};
}

/// What every request of a specification has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parts<'a> {
    pub(crate) method: &'a str,
    pub(crate) base_url: Option<&'a str>,
    pub(crate) path: &'a str,
    /// The path of the specification, which errors show: that of a further page is the vendor's.
    pub(crate) template: &'a str,
    pub(crate) by: Caller,
    pub(crate) query: &'a BTreeMap<String, String>,
    pub(crate) headers: &'a BTreeMap<String, String>,
    pub(crate) json: Option<&'a Body>,
    pub(crate) content_type: Option<&'a str>,
    pub(crate) form: Option<&'a BTreeMap<String, String>>,
    pub(crate) ok: &'a [u16],
    pub(crate) expect: &'a BTreeMap<String, Value>,
    pub(crate) absent: &'a [String],
    /// Whether it is made behind the fence, where nothing is waited for.
    pub(crate) fenced: bool,
    /// Whether it asks whether a credential works, which no token says that was given before.
    pub(crate) proves: bool,
}

/// A JSON body, whose strings may hold placeholders.
pub type Body = Value;

fn success() -> Vec<u16> {
    vec![200, 201, 202, 204]
}

requests! {
    /// Asks whether a credential works.
    Verify {
        /// The statuses by which the vendor refuses the credential itself. Neither `ok` nor this is an
        /// error, which says nothing about the credential.
        #[serde(default = "unauthorized")]
        pub rejected: Vec<u16>,
        /// What in an `ok` answer says that the credential does not work.
        #[serde(default)]
        pub rejected_when: BTreeMap<String, Value>,
        /// What in a `rejected` answer says that the credential itself is right, and only may not do
        /// this: JSON Pointers and their values, all of them.
        #[serde(default)]
        pub accepted_when: BTreeMap<String, Value>,
        /// In the answer: the id of the key that was shown. It proves that key and id belong together.
        pub id: Option<String>,
    }

    /// Looks at one key. What its answer holds can be placed in `[issue]` as
    /// `{described.POINTER}`, so that the new key has the rights of the current one; and in `[update]`,
    /// where a vendor resets what is not named.
    Describe {
        /// In the answer: the key itself, where the vendor shows it. It proves that key and id belong
        /// together.
        pub key: Option<String>,
    }

    /// Makes a key.
    Issue {
        /// The statuses that mean that the account may have no more keys. None that may mean anything
        /// else: a key is revoked then. Where there is none, set `keys` in `[terms]`.
        #[serde(default)]
        pub full: Vec<u16>,
        /// What stands in an answer between 400 and 499 that means the same: JSON Pointers and their
        /// values, all of them. For vendors whose status for it means other things too.
        #[serde(default)]
        pub full_when: BTreeMap<String, Value>,
        /// Fields of the secret that the admin's requests (this, `[describe]` and `[[revoke]]`) may
        /// place though nothing proves that they are about the account of the credential. Whoever
        /// may write the secret decides what stands in them, so none may decide what the new key can
        /// do, see `[describe]`, or at whose account it is made.
        #[serde(default)]
        pub trusted_fields: Vec<String>,
        /// Where the new key is in the answer.
        pub answer: IssueAnswer,
    }

    /// Lists the keys.
    List {
        /// The list in the answer; empty if the answer is the list.
        pub items: String,
        /// In an item: the vendor's name for the key.
        pub id: String,
        /// In an item: the label.
        pub label: Option<String>,
        /// In an item: when the key was made.
        pub created: Option<String>,
        /// How that is written.
        #[serde(default)]
        pub created_as: TimeFormat,
        /// In an item: when the key ends by itself. Preflight warns of one that ends before the next
        /// rotation.
        pub expires: Option<String>,
        /// How that is written.
        #[serde(default)]
        pub expires_as: TimeFormat,
        /// What must stand in an item, or it is none that lives: JSON Pointers and their values.
        #[serde(default)]
        pub only: BTreeMap<String, Value>,
        /// How the next page is asked for.
        pub pages: Option<Pages>,
    }

    /// Sets a new value.
    Update {
        /// The statuses by which the vendor says that the old value is not the one that works; nothing
        /// was changed. 401, where the request is not the admin's and holds nothing of the admin's: 401
        /// and 403 to an admin are about the admin.
        pub stale: Option<Vec<u16>>,
        /// The statuses by which the vendor refuses the new value, by a policy; nothing was changed.
        #[serde(default)]
        pub refused: Vec<u16>,
        /// Fields of the secret that the admin's request may place though nothing proves that they
        /// are about the account of the credential. Whoever may write the secret decides what stands
        /// in them, so none may decide whose value is set.
        #[serde(default)]
        pub trusted_fields: Vec<String>,
    }

    /// Has a value made anew, while the one in use works on: in the other slot, or for a time. What
    /// was made is read by `[describe]`, so that a lost answer loses nothing.
    Roll {
        /// Where there are two slots: each one's name, as `{id}` places it here and as the secret's
        /// `id` holds it, and where its value stands in the answer to `[describe]`. That of the slot
        /// which is not in use is made anew.
        #[serde(default)]
        pub slots: BTreeMap<String, String>,
        /// Where there is one value: how long one that was replaced works on, an hour at the least.
        /// `key` in `[describe]` says where the value stands.
        pub works_on_seconds: Option<u64>,
        /// As in `[update]`.
        #[serde(default)]
        pub trusted_fields: Vec<String>,
    }

    /// Looks at a user of a pair, whose name is `{id}`.
    Alike {
        /// The list in the answer, if each of its items is looked at, in whatever order; empty if the
        /// answer is the list.
        pub items: Option<String>,
        /// What both users must have alike: JSON Pointers.
        pub at: Vec<String>,
    }

    /// Revokes a key.
    Revoke {
        /// The statuses that mean that the key is gone already.
        #[serde(default)]
        pub gone: Vec<u16>,
        /// An id that no key has, of the form that the vendor's ids have: preflight asks to revoke
        /// it, and is told in time if none may be revoked. Only where that is known to do nothing.
        pub probe: Option<String>,
    }
}

impl Update {
    /// The statuses that say that the old value is not the one that works.
    pub(crate) fn stale(&self) -> Vec<u16> {
        match &self.stale {
            Some(stale) => stale.clone(),
            None if self.parts().is_admins() => Vec::new(),
            None => unauthorized(),
        }
    }
}

/// JSON Pointers (RFC 6901) into the answer to `issue`.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct IssueAnswer {
    /// The new key.
    pub key: String,
    /// The vendor's name for it.
    pub id: String,
    /// Other fields of the secret that change with the key.
    #[serde(default)]
    pub fields: BTreeMap<String, String>,
}

/// How a moment is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum TimeFormat {
    /// 2026-11-22T08:00:00Z.
    #[default]
    Rfc3339,
    /// Sun, 22 Nov 2026 08:00:00 +0000.
    Rfc2822,
    /// 2026-11-22T08:00:00, with or without a fraction: without an offset, and by UTC.
    Utc,
    /// 2026-11-22, by UTC.
    Date,
    /// Seconds since 1970.
    Unix,
    /// Milliseconds since 1970.
    UnixMilliseconds,
}

impl TimeFormat {
    /// Its name in a specification, and a moment that is written so.
    pub(crate) fn named(self) -> (&'static str, &'static str) {
        match self {
            Self::Rfc3339 => ("rfc3339", "2026-11-22T08:00:00Z"),
            Self::Rfc2822 => ("rfc2822", "Sun, 22 Nov 2026 08:00:00 +0000"),
            Self::Utc => ("utc", "2026-11-22T08:00:00"),
            Self::Date => ("date", "2026-11-22"),
            Self::Unix => ("unix", "1795334400"),
            Self::UnixMilliseconds => ("unix_milliseconds", "1795334400000"),
        }
    }
}

/// How the next page is asked for.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Pages {
    /// By a number in the query, from `first` on, until a page is empty.
    Number {
        /// The name of the pair.
        query: String,
        /// The first page's number.
        first: u64,
    },
    /// By how many items were seen, until a page is empty.
    Offset {
        /// The name of the pair.
        query: String,
    },
    /// By what the answer holds, until it holds nothing.
    Cursor {
        /// The name of the pair.
        query: String,
        /// The JSON Pointer to the next cursor.
        next: String,
    },
    /// By the URL of the next page, of the same origin and below `base_url`, until there is none.
    Link {
        /// The JSON Pointer to it.
        next: String,
    },
    /// The same by the `Link` header, whose `rel` is `next` (RFC 8288).
    Header,
}
