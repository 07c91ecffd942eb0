//! The stored secret: decoded without echo, edited in place, never printed.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::error::{Error, ErrorKind, Result};
use crate::ids::VersionId;
use crate::value::SecretValue;

/// One stored secret: a JSON object, any other text, or bytes.
///
/// A document is edited in place, so unknown keys, their order and their numbers survive.
/// `Debug` shows which of the two it is and nothing more.
///
/// ```
/// use fourstep::Secret;
///
/// let secret = Secret::decode(&r#"{"username":"app","password":"old","note":1e+400}"#.into());
/// let next = secret.document().unwrap().with("password", "new");
/// assert_eq!(
///     Secret::from(next).expose().unwrap(),
///     r#"{"username":"app","password":"new","note":1e+400}"#,
/// );
/// assert_eq!(format!("{secret:?}"), "Secret::Document(redacted)");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Form);

#[derive(Clone, PartialEq, Eq)]
enum Form {
    Document(Document),
    Text(String),
    Bytes(Vec<u8>),
}

impl Secret {
    /// Decodes a stored value. Anything that is not a JSON object is kept as text.
    pub fn decode(value: &SecretString) -> Self {
        let text = value.expose_secret();
        match serde_json::from_str::<Fields>(text) {
            Ok(Fields(fields)) => Self(Form::Document(Document(fields))),
            Err(_) => Self(Form::Text(text.to_owned())),
        }
    }

    /// Reads a stored value: a text as [`decode`](Self::decode) does, bytes as they are.
    pub fn of_value(value: &SecretValue) -> Self {
        match value {
            SecretValue::Text(text) => Self::decode(text),
            SecretValue::Binary(bytes) => Self::of_bytes(bytes.expose_secret().to_vec()),
        }
    }

    /// A secret that is bytes, such as a keytab: it is stored as SecretBinary.
    pub fn of_bytes(bytes: Vec<u8>) -> Self {
        Self(Form::Bytes(bytes))
    }

    /// The JSON object inside.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`] if the value is something else; the message gives the place of a
    /// syntax error and never the text.
    pub fn document(&self) -> Result<&Document> {
        let text = match &self.0 {
            Form::Document(document) => return Ok(document),
            Form::Text(text) => text,
            Form::Bytes(_) => return Err(in_bytes("a JSON object in SecretString")),
        };
        let error = Error::new(ErrorKind::Malformed, "the secret value is not a JSON object");
        match serde_json::from_str::<Value>(text) {
            Ok(Value::Object(_)) => Err(Error::new(
                ErrorKind::Malformed,
                format!(
                    "{} stands twice in the secret value; readers differ in which they take, so \
                     leave one",
                    twice(text).unwrap_or_else(|| "a key".to_owned())
                ),
            )),
            Ok(other) => Err(error.caused_by(match other {
                Value::Array(_) => "it is a list",
                Value::String(inner)
                    if serde_json::from_str::<Map<String, Value>>(&inner).is_ok() =>
                {
                    "it is a string that holds one, as the AWS CLI prints a SecretString in JSON; \
                     store the object itself, which the AWS CLI prints with --output text"
                }
                Value::String(_) => "it is a string alone",
                Value::Null => "it is null",
                _ => "it is a number, true or false",
            })),
            Err(at) if at.to_string().starts_with("recursion limit") => {
                Err(error.caused_by("it is nested deeper than is read here"))
            }
            Err(_) if text.starts_with('\u{feff}') => {
                Err(error.caused_by("it begins with a byte order mark; store it without one"))
            }
            // Only the place: the parser's own message may quote the text.
            Err(at) => Err(error.caused_by(format!(
                "syntax error at line {}, column {}",
                at.line(),
                at.column()
            ))),
        }
    }

    /// The whole text, as it is to be stored. Besides the fields of a [`Document`] and
    /// [`bytes`](Self::bytes) this is the one way out: search for these to find every use.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`] if the secret is bytes.
    pub fn expose(&self) -> Result<String> {
        match &self.0 {
            Form::Document(document) => Ok(document.to_text()),
            Form::Text(text) => Ok(text.clone()),
            Form::Bytes(_) => Err(in_bytes("SecretString")),
        }
    }

    /// The bytes of a secret that is bytes.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`] if the secret is a text.
    pub fn bytes(&self) -> Result<&[u8]> {
        match &self.0 {
            Form::Bytes(bytes) => Ok(bytes),
            Form::Document(_) | Form::Text(_) => Err(Error::new(
                ErrorKind::Malformed,
                "the secret value is SecretString, and this rotator reads SecretBinary",
            )),
        }
    }

    /// The value to store, still wrapped.
    pub fn encode(&self) -> SecretValue {
        match &self.0 {
            Form::Document(document) => SecretValue::Text(document.to_text().into()),
            Form::Text(text) => SecretValue::Text(text.clone().into()),
            Form::Bytes(bytes) => SecretValue::Binary(bytes.clone().into()),
        }
    }
}

fn in_bytes(wanted: &str) -> Error {
    let what = format!("the secret value is SecretBinary, and this rotator reads {wanted}");
    Error::new(ErrorKind::Malformed, what)
}

/// The key that stands twice. Of a nested object, or where it is no name of a field, none is said.
fn twice(text: &str) -> Option<String> {
    let error = serde_json::from_str::<Fields>(text).err()?.to_string();
    let (_, rest) = error.split_once(TWICE)?;
    let key = rest.split('"').next()?;
    let is_name = |one: char| one.is_ascii_alphanumeric() || "_-.".contains(one);
    (!key.is_empty() && key.len() <= 40 && key.chars().all(is_name))
        .then(|| format!("the key {key:?}"))
}

impl From<Document> for Secret {
    fn from(document: Document) -> Self {
        Self(Form::Document(document))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self.0 {
            Form::Document(_) => "Secret::Document(redacted)",
            Form::Text(_) => "Secret::Text(redacted)",
            Form::Bytes(_) => "Secret::Bytes(redacted)",
        })
    }
}

/// What the error about a key that stands twice begins with; the key follows, and a quotation mark.
const TWICE: &str = "twice: \"";

/// The fields of a JSON object in which none stands twice.
struct Fields(Map<String, Value>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        input.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Fields, A::Error> {
        let mut fields = Map::new();
        while let Some((name, value)) = access.next_entry::<String, Value>()? {
            if fields.insert(name.clone(), value).is_some() {
                return Err(A::Error::custom(format!("{TWICE}{name}\"")));
            }
        }
        Ok(Fields(fields))
    }
}

/// A secret that is a JSON object.
#[derive(Clone, PartialEq, Eq)]
pub struct Document(Map<String, Value>);

impl Document {
    fn to_text(&self) -> String {
        Value::Object(self.0.clone()).to_string()
    }

    /// A field that must be there and be a non-empty string.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`], naming the field.
    pub fn required(&self, field: &str) -> Result<&str> {
        self.optional(field)?.ok_or_else(|| malformed(field, "is missing or empty"))
    }

    /// A field that may be absent, null or empty, all of which read as `None`.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`], naming the field, if it is neither a string nor null.
    pub fn optional(&self, field: &str) -> Result<Option<&str>> {
        match self.0.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(malformed(field, "is not a string")),
        }
    }

    /// The names of its fields.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// A field as JSON, whatever it is.
    pub fn field(&self, field: &str) -> Option<&Value> {
        self.0.get(field)
    }

    /// The name of a field, other than those in `but`, in which `other` differs.
    pub fn difference<'a>(&'a self, other: &'a Self, but: &[&str]) -> Option<&'a str> {
        let keys = self.0.keys().chain(other.0.keys());
        let mut others = keys.filter(|key| !but.contains(&key.as_str()));
        others.find(|key| self.0.get(*key) != other.0.get(*key)).map(String::as_str)
    }

    /// A copy with one field set to a string. An existing field keeps its place.
    #[must_use]
    pub fn with(&self, field: &str, value: &str) -> Self {
        let mut fields = self.0.clone();
        fields.insert(field.to_owned(), Value::String(value.to_owned()));
        Self(fields)
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Document(redacted)")
    }
}

/// A [`ErrorKind::Malformed`] error about one field of the secret document.
pub(crate) fn malformed(field: &str, what: &str) -> Error {
    Error::new(ErrorKind::Malformed, format!("the secret's field \"{field}\" {what}"))
}

macro_rules! staged {
    ($(#[$meaning:meta])* $name:ident) => {
        $(#[$meaning])*
        #[derive(Debug, Clone)]
        pub struct $name {
            version: VersionId,
            secret: Secret,
        }

        impl $name {
            /// Pairs a version with the secret it holds.
            pub fn new(version: VersionId, secret: Secret) -> Self {
                Self { version, secret }
            }

            /// The id of the version read.
            pub fn version(&self) -> &VersionId {
                &self.version
            }

            /// The secret that version holds.
            pub fn secret(&self) -> &Secret {
                &self.secret
            }
        }
    };
}

staged!(
    /// The version that carries AWSCURRENT: what applications use.
    Current
);
staged!(
    /// The version being rotated in: it carries this rotation's token and AWSPENDING.
    Pending
);
staged!(
    /// A version used earlier: AWSPREVIOUS, or one whose rotation was cancelled.
    Previous
);

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests;
