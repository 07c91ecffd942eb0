//! The events a rotation function receives, decoded into types before anything else happens.
//!
//! Source: AWS Secrets Manager User Guide, "Lambda rotation functions" (payload), and the API
//! reference of PutSecretValue (limits of ids and of RotationToken).

use serde_json::Value;

use crate::error::{Error, ErrorKind, Result};
use crate::ids::{RotationToken, SecretId, VersionId, malformed};
use crate::step::Step;

/// One call of one step, as Secrets Manager sends it.
#[derive(Debug, Clone)]
pub struct RotationEvent {
    /// Which step to do.
    pub step: Step,
    /// The secret being rotated.
    pub secret: SecretId,
    /// The version being made (`ClientRequestToken`).
    pub token: VersionId,
    /// Present when the service wants it forwarded to PutSecretValue.
    pub rotation_token: Option<RotationToken>,
}

/// What a function is asked to do.
#[derive(Debug, Clone)]
pub enum Request {
    /// A step of a rotation.
    Rotate(RotationEvent),
    /// `{"Fourstep": QUESTION, "SecretId": ...}`: a look at a secret that changes nothing.
    Ask(Question, SecretId),
}

/// What may be asked about a secret without changing anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// Which labelled version logs in.
    Inspect,
    /// Whether a rotation would succeed.
    Preflight,
    /// What a rotation would do.
    Plan,
}

impl Question {
    /// As it stands in an event and in the log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Inspect => "inspect",
            Self::Preflight => "preflight",
            Self::Plan => "plan",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        [Self::Inspect, Self::Preflight, Self::Plan].into_iter().find(|one| one.name() == name)
    }
}

impl Request {
    /// Decodes an event. Unknown keys are ignored; a known one that is missing, empty, over-long
    /// or not printable ASCII is refused by name, and its value is never quoted.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`].
    ///
    /// ```
    /// use fourstep::{Request, Step};
    /// let event = serde_json::json!({
    ///     "Step": "createSecret", "SecretId": "my/secret",
    ///     "ClientRequestToken": "7c7b4a5e-3f0e-4f0e-9a51-000000000000",
    /// });
    /// let Request::Rotate(event) = Request::decode(&event).unwrap() else { unreachable!() };
    /// assert_eq!(event.step, Step::Create);
    /// ```
    pub fn decode(event: &Value) -> Result<Self> {
        if !event.is_object() {
            return Err(Error::new(ErrorKind::Malformed, "the event is not a JSON object"));
        }
        if event.get("Fourstep").is_some() {
            let question = Question::parse(text(event, "Fourstep")?)
                .ok_or_else(|| malformed("Fourstep", "must be inspect, preflight or plan"))?;
            return Ok(Self::Ask(question, SecretId::parse(text(event, "SecretId")?)?));
        }
        let secret = SecretId::parse(text(event, "SecretId")?)?;
        let token = VersionId::parse(text(event, "ClientRequestToken")?)?;
        let step = Step::parse(text(event, "Step")?).ok_or_else(|| {
            malformed("Step", "must be createSecret, setSecret, testSecret or finishSecret")
        })?;
        let rotation_token = match event.get("RotationToken") {
            None | Some(Value::Null) => None,
            Some(_) => Some(RotationToken::parse(text(event, "RotationToken")?)?),
        };
        Ok(Self::Rotate(RotationEvent { step, secret, token, rotation_token }))
    }
}

fn text<'a>(event: &'a Value, field: &'static str) -> Result<&'a str> {
    match event.get(field) {
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(malformed(field, "is not a string")),
        None => Err(malformed(field, "is missing")),
    }
}

#[cfg(test)]
mod complaints;
#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const TOKEN: &str = "0123456789abcdef0123456789abcdef";

    fn decode(change: impl FnOnce(&mut Value)) -> Result<RotationEvent, String> {
        let mut event =
            json!({"Step": "setSecret", "SecretId": "arn:x", "ClientRequestToken": TOKEN});
        change(&mut event);
        match Request::decode(&event) {
            Ok(Request::Rotate(event)) => Ok(event),
            Ok(_) => Err("no step".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn parity_01_a_missing_key_is_named() {
        for field in ["Step", "SecretId", "ClientRequestToken"] {
            let error = decode(|event| {
                event.as_object_mut().unwrap().remove(field);
            });
            assert_eq!(error.unwrap_err(), format!("the event's {field} is missing"));
            let error = decode(|event| event[field] = json!(7));
            assert_eq!(error.unwrap_err(), format!("the event's {field} is not a string"));
        }
        assert_eq!(
            Request::decode(&json!([])).unwrap_err().to_string(),
            "the event is not a JSON object"
        );
    }

    #[test]
    fn parity_02_what_is_not_printable_is_refused_and_not_quoted() {
        for field in ["SecretId", "ClientRequestToken"] {
            for tail in ["\n", "\u{0}", "\u{7f}", "é", "\t"] {
                let value = format!("{TOKEN}{tail}");
                let error = decode(|event| event[field] = json!(value)).unwrap_err();
                assert_eq!(
                    error,
                    format!("the event's {field} contains characters that are not printable ASCII")
                );
            }
            let error = decode(|event| event[field] = json!("")).unwrap_err();
            assert_eq!(error, format!("the event's {field} is empty"));
        }
        let long = decode(|event| event["SecretId"] = json!("x".repeat(2049))).unwrap_err();
        assert_eq!(long, "the event's SecretId must be 1 to 2048 characters long");
        for length in [31, 65] {
            let token = json!("x".repeat(length));
            let error = decode(|event| event["ClientRequestToken"] = token).unwrap_err();
            assert_eq!(error, "the event's ClientRequestToken must be 32 to 64 characters long");
        }
    }

    #[test]
    fn parity_08_an_unknown_step_is_refused_whatever_the_labels() {
        for step in ["", "SetSecret", "set-secret", "rotate", "setSecret\n", "setSecret "] {
            let error = decode(|event| event["Step"] = json!(step)).unwrap_err();
            assert_eq!(
                error,
                "the event's Step must be createSecret, setSecret, testSecret or finishSecret"
            );
        }
        for (name, step) in [
            ("create_secret", Step::Create),
            ("createSecret", Step::Create),
            ("test_secret", Step::Test),
            ("finish_secret", Step::Finish),
        ] {
            assert_eq!(decode(|event| event["Step"] = json!(name)).unwrap().step, step);
        }
    }

    #[test]
    fn the_rotation_token_is_optional_checked_and_never_shown() {
        assert!(decode(|_| ()).unwrap().rotation_token.is_none());
        assert!(
            decode(|event| event["RotationToken"] = json!(null)).unwrap().rotation_token.is_none()
        );
        let canary = "canary-0123456789-0123456789-0123456789";
        let event = decode(|event| event["RotationToken"] = json!(canary)).unwrap();
        assert_eq!(event.rotation_token.as_ref().unwrap().expose(), canary);
        assert!(!format!("{event:?}").contains("canary"));
        for bad in ["canary", "canary 0123456789-0123456789-0123456789"] {
            let error = decode(|event| event["RotationToken"] = json!(bad)).unwrap_err();
            assert!(error.contains("RotationToken") && !error.contains("canary"), "{error}");
        }
    }

    #[test]
    fn unknown_keys_are_ignored_and_a_question_is_its_own_request() {
        decode(|event| event["Future"] = json!({"a": 1})).unwrap();
        for question in [Question::Inspect, Question::Preflight, Question::Plan] {
            let event = json!({"Fourstep": question.name(), "SecretId": "x"});
            let asked = Request::decode(&event);
            assert!(matches!(asked, Ok(Request::Ask(one, _)) if one == question));
        }
        for bad in [json!({"Fourstep": "drop", "SecretId": "x"}), json!({"Fourstep": 1})] {
            assert!(Request::decode(&bad).unwrap_err().to_string().contains("Fourstep"));
        }
    }
}
