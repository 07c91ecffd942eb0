//! Templates: text with placeholders, and the values that are placed there.

use fourstep::{Error, ErrorKind, Result, Secret};
use serde_json::Value;

use super::later::{self, Form};
use crate::answer::{strange, written};

/// What a placeholder stands for. `None` is the whole of a plain text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Hole {
    /// The credential in use, or the one that an update replaces.
    Secret(Option<String>),
    /// The secret that an update sets.
    New(Option<String>),
    /// The admin's secret.
    Admin(Option<String>),
    /// The label of a new key.
    Label,
    /// The vendor's name for the key that is revoked, or looked at.
    Id,
    /// What stands at a JSON Pointer in what the vendor says of the current key.
    Described(String),
    /// The same, or nothing: the member is left out whose value it is.
    Optional(String),
    /// A moment so many days from now.
    Later(u16, Form),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Hole(Hole),
}

/// Text with placeholders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template(Vec<Piece>);

/// What may be placed.
#[derive(Clone, Copy)]
pub(crate) struct Values<'a> {
    pub(crate) secret: &'a Secret,
    pub(crate) new: Option<&'a Secret>,
    pub(crate) admin: Option<&'a Secret>,
    pub(crate) label: Option<&'a str>,
    pub(crate) id: Option<&'a str>,
    pub(crate) described: Option<&'a Value>,
}

impl<'a> Values<'a> {
    /// Only a secret.
    pub(crate) fn of(secret: &'a Secret) -> Self {
        Self { secret, new: None, admin: None, label: None, id: None, described: None }
    }

    fn value(&self, hole: &Hole) -> Result<Value> {
        let text = |text: Option<&str>| text.map(|text| Value::String(text.to_owned()));
        let placed = match hole {
            Hole::Secret(field) => Some(part(self.secret, field.as_deref(), "the secret")?),
            Hole::New(field) => {
                let new = self.new.map(|new| part(new, field.as_deref(), "the new secret"));
                new.transpose()?
            }
            Hole::Admin(field) => {
                let admin = self.admin.map(|one| part(one, field.as_deref(), "the admin secret"));
                admin.transpose()?
            }
            Hole::Label => text(self.label),
            Hole::Id => text(self.id),
            Hole::Optional(pointer) => {
                self.described.map(|all| all.pointer(pointer).cloned().unwrap_or_default())
            }
            Hole::Later(days, format) => Some(later::written(*days, *format)),
            Hole::Described(pointer) => {
                let missing = || strange(format!("describe: the answer has no {pointer:?}"));
                let found = self.described.map(|all| all.pointer(pointer).ok_or_else(missing));
                let found = found.transpose()?;
                // Some vendors give a key that asks for no right all that its maker has.
                if found.is_some_and(is_empty) {
                    let what = format!("describe: {pointer:?} in the answer is empty");
                    return Err(strange(what));
                }
                found.cloned()
            }
        };
        // Which placeholder may stand where is checked when the specification is read.
        placed.ok_or_else(|| {
            Error::new(ErrorKind::Malformed, format!("nothing can be placed for {hole:?}"))
        })
    }
}

fn part(secret: &Secret, field: Option<&str>, whose: &str) -> Result<Value> {
    let Some(field) = field else {
        if secret.document().is_ok() {
            let what = format!("{whose} is a JSON object, and the specification says plain text");
            return Err(Error::new(ErrorKind::Malformed, what));
        }
        return secret.expose().map(Value::String).map_err(|error| error.while_doing(whose));
    };
    let document = secret.document().map_err(|error| error.while_doing(whose))?;
    match document.field(field) {
        Some(Value::Null) | None => Err(Error::new(
            ErrorKind::Malformed,
            format!("{whose} has no field {field:?}, which the specification places"),
        )),
        Some(value) => Ok(value.clone()),
    }
}

/// A value as text, if it has a form that stands for itself.
fn text(value: Value, hole: &Hole) -> Result<String> {
    written(&value).ok_or_else(|| {
        Error::new(
            ErrorKind::Malformed,
            format!("{} is neither text nor a number, so it cannot be placed in text", hole.name()),
        )
    })
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

impl Hole {
    fn read(name: &str) -> Option<Self> {
        if name.starts_with("now") {
            let (days, form) = later::read(name)?;
            return Some(Self::Later(days, form));
        }
        let field = |field: &str| (!field.is_empty()).then(|| Some(field.to_owned()));
        Some(match name.split_once('.') {
            None => match name {
                "secret" => Self::Secret(None),
                "new" => Self::New(None),
                "admin" => Self::Admin(None),
                "label" => Self::Label,
                "id" => Self::Id,
                _ => return None,
            },
            Some(("secret", name)) => Self::Secret(field(name)?),
            Some(("new", name)) => Self::New(field(name)?),
            Some(("admin", name)) => Self::Admin(field(name)?),
            Some(("described", name)) if name.starts_with('/') => match name.strip_suffix('?') {
                Some(name) => Self::Optional(name.to_owned()),
                None => Self::Described(name.to_owned()),
            },
            Some(_) => return None,
        })
    }

    /// As it stands between the braces.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Later(days, _) => return format!("now+{days}d"),
            Self::Optional(pointer) => return format!("described.{pointer}?"),
            _ => {}
        }
        let (whose, field) = match self {
            Self::Secret(field) => ("secret", field.as_deref()),
            Self::New(field) => ("new", field.as_deref()),
            Self::Admin(field) => ("admin", field.as_deref()),
            Self::Label => ("label", None),
            Self::Id | Self::Later(..) => ("id", None),
            Self::Optional(pointer) | Self::Described(pointer) => {
                ("described", Some(pointer.as_str()))
            }
        };
        field.map_or_else(|| whose.to_owned(), |field| format!("{whose}.{field}"))
    }
}

impl Template {
    /// Reads a template; an error says what is wrong with it.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = text.chars().peekable();
        while let Some(one) = rest.next() {
            match one {
                '{' if rest.next_if_eq(&'{').is_some() => literal.push('{'),
                '}' if rest.next_if_eq(&'}').is_some() => literal.push('}'),
                '{' => {
                    let mut closed = false;
                    let until = |one: &char| {
                        closed = *one == '}';
                        !closed
                    };
                    let name: String = rest.by_ref().take_while(until).collect();
                    if !closed {
                        return Err(format!("{{{name} is not closed; {{{{ is a brace"));
                    }
                    let hole = Hole::read(&name).ok_or_else(|| {
                        format!(
                            "{{{name}}} is no placeholder; there are {{secret.FIELD}}, \
                             {{new.FIELD}}, {{admin.FIELD}}, {{described./POINTER}}, {{now+90d}}, \
                             {{label}} and {{id}}, and {{{{ is a brace"
                        )
                    })?;
                    if !literal.is_empty() {
                        pieces.push(Piece::Text(std::mem::take(&mut literal)));
                    }
                    pieces.push(Piece::Hole(hole));
                }
                '}' => return Err("a brace is closed that was not opened; }} is a brace".into()),
                other => literal.push(other),
            }
        }
        if !literal.is_empty() {
            pieces.push(Piece::Text(literal));
        }
        Ok(Self(pieces))
    }

    /// The placeholders in it.
    pub(crate) fn holes(&self) -> impl Iterator<Item = &Hole> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Hole(hole) => Some(hole),
            Piece::Text(_) => None,
        })
    }

    /// Whether it is one value that may be missing, so that its member or its pair is left out.
    pub(crate) fn is_optional(&self) -> bool {
        matches!(self.0.as_slice(), [Piece::Hole(Hole::Optional(_))])
    }

    /// The text between the placeholders.
    pub(crate) fn literals(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Text(text) => Some(text.as_str()),
            Piece::Hole(_) => None,
        })
    }

    /// The text, with every value put through `encode`.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`], naming the field.
    pub(crate) fn render(
        &self,
        values: &Values<'_>,
        encode: impl Fn(&str) -> String,
    ) -> Result<String> {
        let mut rendered = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => rendered.push_str(text),
                Piece::Hole(hole) => {
                    rendered.push_str(&encode(&text(values.value(hole)?, hole)?));
                }
            }
        }
        Ok(rendered)
    }

    /// The texts of a pair: one for each item of a lone placeholder's list, none for what may be missing
    /// and is, or is an empty list.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`], naming the field; also for another empty list, which no pair says.
    pub(crate) fn texts(&self, values: &Values<'_>) -> Result<Vec<String>> {
        let [Piece::Hole(hole)] = self.0.as_slice() else {
            return Ok(vec![self.render(values, str::to_owned)?]);
        };
        match values.value(hole)? {
            Value::Null if self.is_optional() => Ok(Vec::new()),
            Value::Array(list) if list.is_empty() && !self.is_optional() => {
                let what = format!("{} is an empty list, which no pair can say", hole.name());
                Err(Error::new(ErrorKind::Malformed, what))
            }
            Value::Array(list) => list.into_iter().map(|one| text(one, hole)).collect(),
            one => Ok(vec![text(one, hole)?]),
        }
    }

    /// The JSON value: a lone placeholder's own, else text.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`], naming the field.
    pub(crate) fn json(&self, values: &Values<'_>) -> Result<Value> {
        match self.0.as_slice() {
            [Piece::Hole(hole)] => values.value(hole),
            _ => Ok(Value::String(self.render(values, str::to_owned)?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_read_with_its_braces() {
        let template = Template::read("a{{b}}{secret.x}/{id}").unwrap();
        let holes: Vec<String> = template.holes().map(Hole::name).collect();
        assert_eq!(holes, ["secret.x", "id"]);
        assert_eq!(template.literals().collect::<Vec<_>>(), ["a{b}", "/"]);
        for wrong in ["{", "{secret.}", "{token}", "a}b", "{secret.x"] {
            assert!(Template::read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_lone_placeholder_keeps_its_type_and_text_takes_text_and_numbers() {
        let secret = Secret::decode(&r#"{"n":7,"l":[1,{"a":"b"}],"t":"x\"y"}"#.into());
        let values = Values::of(&secret);
        let json = |text| Template::read(text).unwrap().json(&values);
        assert_eq!(json("{secret.l}").unwrap().to_string(), r#"[1,{"a":"b"}]"#);
        assert_eq!(json("{secret.n}").unwrap().to_string(), "7");
        assert_eq!(json("no. {secret.n}").unwrap().to_string(), r#""no. 7""#);
        assert_eq!(json("{secret.t}").unwrap().to_string(), r#""x\"y""#);
        for (text, names) in [("a{secret.l}", "secret.l"), ("{secret.none}", "\"none\"")] {
            let error = json(text).unwrap_err();
            assert!(error.to_string().contains(names), "{error}");
        }
        assert!(json("{secret}").unwrap_err().to_string().contains("plain text"));
    }

    #[test]
    fn a_list_is_a_pair_for_each_item_and_what_is_missing_is_none() {
        let secret = Secret::decode(&r#"{"l":["a",7],"e":[],"t":"x","o":{}}"#.into());
        let described = serde_json::json!({"l": ["a", "b"], "e": [], "n": null});
        let values = Values { described: Some(&described), ..Values::of(&secret) };
        let texts = |text| Template::read(text).unwrap().texts(&values);
        assert_eq!(texts("{secret.l}").unwrap(), ["a", "7"]);
        assert_eq!(texts("{secret.t}").unwrap(), ["x"]);
        assert_eq!(texts("of {secret.t}").unwrap(), ["of x"]);
        assert_eq!(texts("{described./l?}").unwrap(), ["a", "b"]);
        for none in ["{described./e?}", "{described./n?}", "{described./gone?}"] {
            assert!(texts(none).unwrap().is_empty(), "{none}");
        }
        for wrong in ["{described./e}", "{described./gone}", "{secret.e}", "{secret.o}"] {
            assert!(texts(wrong).is_err(), "{wrong}");
        }
    }
}
