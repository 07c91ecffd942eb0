//! Reading requests: types and limits, before anything reaches the store.
//!
//! Source: the shapes in the API model of Secrets Manager (2017-10-17).

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use fourstep::{RotationToken, SecretId, SecretValue, VersionId};
use serde_json::{Map, Value};

use super::refusal::Refusal;
use crate::RotationRules;

const NO_TOKEN: &str =
    "You must provide a ClientRequestToken value. We recommend a UUID-type value.";
const BAD_NAME: &str = "Invalid name. Must be a valid name containing alphanumeric characters, or \
                        any of the following: -/_+=.@!";

/// Where a request is from that is not signed.
const USUAL_REGION: &str = "us-east-1";

/// A request's fields, and the Region that it is signed for.
#[derive(Clone)]
pub(super) struct Input {
    fields: Map<String, Value>,
    region: Option<String>,
}

impl Input {
    /// The parser's own message may quote the body, so it is dropped.
    pub(super) fn parse(body: &[u8]) -> Result<Self, Refusal> {
        match serde_json::from_slice(body) {
            Ok(fields) => Ok(Self { fields, region: None }),
            Err(_) => Err(Refusal::unreadable("the body is not a JSON object")),
        }
    }

    pub(super) fn signed_for(self, region: Option<&str>) -> Self {
        Self { region: region.map(str::to_owned), ..self }
    }

    pub(super) fn region(&self) -> &str {
        self.region.as_deref().unwrap_or(USUAL_REGION)
    }

    /// The same request about another secret.
    pub(super) fn naming(&self, secret: &SecretId) -> Self {
        let mut other = self.clone();
        other.fields.insert("SecretId".to_owned(), secret.as_str().into());
        other
    }

    /// A field that is absent or null reads as `None`.
    fn field(&self, name: &str) -> Option<&Value> {
        self.fields.get(name).filter(|value| !value.is_null())
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, Refusal> {
        let text = |value: &Value| value.as_str().is_some();
        match self.field(name) {
            Some(value) if !text(value) => Err(wrong_type(name, "a string")),
            field => Ok(field.and_then(Value::as_str)),
        }
    }

    pub(super) fn bounded(
        &self,
        name: &str,
        least: usize,
        most: usize,
    ) -> Result<Option<&str>, Refusal> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        within(name, text.chars().count(), least, most)?;
        Ok(Some(text))
    }

    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, Refusal> {
        match self.field(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(_) => Err(wrong_type(name, "a boolean")),
        }
    }

    pub(super) fn number(&self, name: &str) -> Result<Option<u32>, Refusal> {
        let Some(value) = self.field(name) else { return Ok(None) };
        let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
        number.map(Some).ok_or_else(|| wrong_type(name, "a whole number"))
    }

    /// An object's own fields.
    fn object(&self, name: &str) -> Result<Option<Self>, Refusal> {
        match self.field(name) {
            None => Ok(None),
            Some(Value::Object(fields)) => Ok(Some(Self { fields: fields.clone(), region: None })),
            Some(_) => Err(wrong_type(name, "an object")),
        }
    }

    fn list(&self, name: &str) -> Result<&[Value], Refusal> {
        match self.field(name) {
            None => Ok(&[]),
            Some(Value::Array(items)) => Ok(items),
            Some(_) => Err(wrong_type(name, "a list")),
        }
    }

    pub(super) fn is_given(&self, name: &str) -> bool {
        self.field(name).is_some()
    }

    /// A list of texts; none where it is absent.
    pub(super) fn texts(&self, name: &str) -> Result<Vec<String>, Refusal> {
        let text = |item: &Value| item.as_str().map(str::to_owned);
        let texts = self.list(name)?.iter().map(text);
        texts.collect::<Option<_>>().ok_or_else(|| wrong_type(name, "a list of strings"))
    }

    /// The objects of a list.
    pub(super) fn objects(&self, name: &str) -> Result<Vec<Self>, Refusal> {
        let object =
            |item: &Value| item.as_object().cloned().map(|fields| Self { fields, region: None });
        let objects = self.list(name)?.iter().map(object);
        objects.collect::<Option<_>>().ok_or_else(|| wrong_type(name, "a list of objects"))
    }

    pub(super) fn secret(&self) -> Result<SecretId, Refusal> {
        let id = self.bounded("SecretId", 1, 2048)?.ok_or_else(|| missing("SecretId"))?;
        SecretId::parse(id).map_err(|_| Refusal::new("ValidationException", BAD_NAME))
    }

    /// The name of a secret to be made.
    pub(super) fn name(&self) -> Result<&str, Refusal> {
        let name = self.bounded("Name", 1, 512)?.ok_or_else(|| missing("Name"))?;
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-/_+=.@!".contains(&byte);
        if !name.bytes().all(legal) {
            return Err(Refusal::new("ValidationException", BAD_NAME));
        }
        Ok(name)
    }

    pub(super) fn version(&self, name: &str) -> Result<Option<VersionId>, Refusal> {
        let Some(id) = self.text(name)? else { return Ok(None) };
        match VersionId::parse(id) {
            Ok(id) => Ok(Some(id)),
            Err(_) => Err(Refusal::parameter(format!("{name} must be 32-64 characters long."))),
        }
    }

    /// A ClientRequestToken, whose absence each operation names differently.
    pub(super) fn token(&self, absent: &'static str) -> Result<VersionId, Refusal> {
        self.version("ClientRequestToken")?.ok_or_else(|| Refusal::new(absent, NO_TOKEN))
    }

    pub(super) fn rotation_token(&self) -> Result<Option<RotationToken>, Refusal> {
        let Some(token) = self.text("RotationToken")? else { return Ok(None) };
        let token = RotationToken::parse(token);
        token.map(Some).map_err(|_| {
            Refusal::validation("rotationToken", "Member must be 36 to 256 letters, digits or -")
        })
    }

    pub(super) fn label(&self) -> Result<Option<&str>, Refusal> {
        self.bounded("VersionStage", 1, 256)
    }

    pub(super) fn labels(&self) -> Result<Vec<String>, Refusal> {
        let items = self.list("VersionStages")?;
        if self.field("VersionStages").is_some() {
            within("VersionStages", items.len(), 1, 20)?;
        }
        let label = |item: &Value| {
            let label = item.as_str().ok_or_else(|| wrong_type("VersionStages", "of strings"))?;
            within("VersionStages.member", label.chars().count(), 1, 256)?;
            Ok(label.to_owned())
        };
        items.iter().map(label).collect()
    }

    pub(super) fn tags(&self) -> Result<BTreeMap<String, String>, Refusal> {
        let tag = |item: &Value| {
            let part = |name| item.get(name).and_then(Value::as_str);
            let (key, value) = (part("Key"), part("Value").unwrap_or_default());
            let key = key.ok_or_else(|| wrong_type("Tags", "of objects with a Key"))?;
            within("Tags.member.Key", key.chars().count(), 1, 128)?;
            within("Tags.member.Value", value.chars().count(), 0, 256)?;
            Ok((key.to_owned(), value.to_owned()))
        };
        self.list("Tags")?.iter().map(tag).collect()
    }

    /// SecretString or SecretBinary; one of them at most.
    pub(super) fn value(&self) -> Result<Option<SecretValue>, Refusal> {
        match (self.text("SecretString")?, self.text("SecretBinary")?) {
            (None, None) => Ok(None),
            (Some(_), Some(_)) => Err(Refusal::parameter(
                "You can't specify both a binary secret value and a string secret value in the \
                 same secret.",
            )),
            (Some(text), None) => {
                within("SecretString", text.len(), 1, 65_536)?;
                Ok(Some(SecretValue::Text(text.into())))
            }
            (None, Some(encoded)) => {
                let bytes = BASE64.decode(encoded);
                let bytes = bytes.map_err(|_| wrong_type("SecretBinary", "base64"))?;
                within("SecretBinary", bytes.len(), 1, 65_536)?;
                Ok(Some(SecretValue::Binary(bytes.into())))
            }
        }
    }

    pub(super) fn rules(&self) -> Result<Option<RotationRules>, Refusal> {
        let Some(rules) = self.object("RotationRules")? else { return Ok(None) };
        let days = rules.number("AutomaticallyAfterDays")?;
        let schedule = rules.bounded("ScheduleExpression", 1, 256)?.map(str::to_owned);
        let duration = rules.bounded("Duration", 2, 3)?.map(str::to_owned);
        if days.is_some_and(|days| !(1..=1000).contains(&days)) {
            return Err(Refusal::parameter(
                "RotationRules.AutomaticallyAfterDays must be within 1-1000.",
            ));
        }
        if days.is_some() && schedule.is_some() {
            return Err(Refusal::parameter(
                "You cannot specify both rotation frequency and schedule expression together.",
            ));
        }
        let rules = RotationRules {
            automatically_after_days: days,
            duration,
            schedule_expression: schedule,
        };
        rules.check().map_err(Refusal::parameter)?;
        Ok(Some(rules))
    }

    pub(super) fn lambda_arn(&self) -> Result<Option<&str>, Refusal> {
        self.bounded("RotationLambdaARN", 0, 2048).map(|arn| arn.filter(|arn| !arn.is_empty()))
    }

    pub(super) fn key(&self) -> Result<Option<&str>, Refusal> {
        self.bounded("KmsKeyId", 0, 2048)
    }

    pub(super) fn description(&self) -> Result<Option<&str>, Refusal> {
        self.bounded("Description", 0, 2048)
    }
}

/// A time as AWS sends it: seconds since 1970, with milliseconds behind the point.
pub(super) fn seconds(time: SystemTime) -> Value {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let whole = u32::try_from(since.as_secs()).unwrap_or(u32::MAX);
    Value::from(f64::from(whole) + f64::from(since.subsec_millis()) / 1000.0)
}

/// Bytes as AWS sends them.
pub(super) fn encoded(bytes: &[u8]) -> String {
    BASE64.encode(bytes)
}

fn within(field: &str, length: usize, least: usize, most: usize) -> Result<(), Refusal> {
    if length < least {
        let constraint = format!("Member must have length greater than or equal to {least}");
        return Err(Refusal::validation(&model_name(field), &constraint));
    }
    if length > most {
        let constraint = format!("Member must have length less than or equal to {most}");
        return Err(Refusal::validation(&model_name(field), &constraint));
    }
    Ok(())
}

pub(super) fn missing(field: &str) -> Refusal {
    Refusal::validation(&model_name(field), "Member must not be null")
}

fn wrong_type(field: &str, expected: &str) -> Refusal {
    Refusal::unreadable(&format!("{field} is not {expected}"))
}

/// AWS names fields in these messages with a small first letter.
fn model_name(field: &str) -> String {
    let mut letters = field.chars();
    let first = letters.next().map(|letter| letter.to_ascii_lowercase());
    first.into_iter().chain(letters).collect()
}
