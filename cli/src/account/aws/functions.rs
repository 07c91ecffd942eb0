//! Rotation functions in Lambda: what they are, and what they answer.

use std::collections::BTreeMap;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::signed::{Answer, Call, Service};
use super::{Account, CallError};
use crate::account::text::{clean, clean_answer};
use crate::events::text as field;
use crate::function::Answer as Answered;

/// What stays as it is in a part of a path (RFC 3986, "unreserved").
const PART: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// The variables of a function that are kept: those that say how it rotates. Whatever else stands in a
/// function's environment is none of this command's business, and may be a secret.
const KEPT: [&str; 13] = [
    "ADOPT_USERS",
    "EXCLUDE_CHARACTERS",
    "EXCLUDE_LOWERCASE",
    "EXCLUDE_NUMBERS",
    "EXCLUDE_PUNCTUATION",
    "EXCLUDE_UPPERCASE",
    "PASSWORD_LENGTH",
    "REQUIRE_EACH_INCLUDED_TYPE",
    "ROTATION_STRATEGY",
    "SECRETS_MANAGER_ENDPOINT",
    "SECRET_ARN",
    "USERNAME_CHARACTER_LIMIT",
    "USER_NAME",
];

/// What Lambda says about a function.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Function {
    /// Whether it can be one of ours: they run a program of their own in `provided.*`.
    pub ours: bool,
    /// Handler and runtime, for people.
    pub kind: String,
    /// Its log group.
    pub log_group: String,
    /// Its ARN.
    pub arn: String,
    /// Its own default for the strategy: the first of `ROTATION_STRATEGY`; empty if that is not set.
    pub strategy: String,
    /// Its program, by the variable or, failing that, the words of its name.
    pub name: String,
    /// What its description says.
    pub description: String,
    /// Whether it has the runtime and the handler of AWS's rotation templates.
    pub templated: bool,
    /// The VPC in which it runs; empty without one.
    pub vpc: String,
    /// Its variables about rotation, those that are set.
    pub variables: BTreeMap<String, String>,
    /// Why Lambda could not show its variables, if it could not.
    pub unread: Option<String>,
}

impl Account {
    /// GetFunctionConfiguration. `None` if there is no such function.
    ///
    /// # Errors
    /// If Lambda refuses or does not answer.
    pub async fn function(&self, arn: &str) -> Result<Option<Function>, CallError> {
        let path = format!("/2015-03-31/functions/{}/configuration", part(arn));
        let call = Call {
            service: Service::Lambda,
            operation: "lambda:GetFunctionConfiguration",
            method: "GET",
            path,
            headers: &[],
            body: String::new(),
        };
        match self.signed.call(&call).await {
            Ok(Answer { body, .. }) => Ok(Some(described(&body))),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// ListTags: the application of the Serverless Application Repository that a function was made from,
    /// by the tag that its stack gave it. Source: AWS SAM developer guide, "AWS::Serverless::Application".
    ///
    /// # Errors
    /// If Lambda refuses or does not answer.
    pub async fn application(&self, arn: &str) -> Result<Option<String>, CallError> {
        let call = Call {
            service: Service::Lambda,
            operation: "lambda:ListTags",
            method: "GET",
            path: format!("/2017-03-31/tags/{}", part(arn)),
            headers: &[],
            body: String::new(),
        };
        let Answer { body, .. } = self.signed.call(&call).await?;
        let tag = body.pointer("/Tags/serverlessrepo:applicationId");
        Ok(tag.and_then(Value::as_str).map(str::to_owned))
    }

    /// Invokes a function with an event and waits for its answer, or for the error that it reports.
    ///
    /// # Errors
    /// If Lambda refuses or does not answer.
    pub async fn invoke(&self, arn: &str, event: &Value) -> Result<Answered, CallError> {
        let call = Call {
            service: Service::Lambda,
            operation: "lambda:InvokeFunction",
            method: "POST",
            path: format!("/2015-03-31/functions/{}/invocations", part(arn)),
            headers: &[
                ("content-type", "application/json"),
                ("x-amz-invocation-type", "RequestResponse"),
            ],
            body: event.to_string(),
        };
        let Answer { body, failed } = self.signed.call(&call).await?;
        if failed {
            let said = |name: &str, missing: &str| match clean(field(&body, name)) {
                text if text.is_empty() => missing.to_owned(),
                text => text,
            };
            let why = said("errorMessage", "it failed, and did not say why: see its log");
            return Ok(Err((said("errorType", "unknown"), why)));
        }
        Ok(Ok(clean_answer(body)))
    }
}

fn part(text: &str) -> String {
    utf8_percent_encode(text, PART).to_string()
}

fn described(answer: &Value) -> Function {
    let at = |path: &str| answer.pointer(path).and_then(Value::as_str).unwrap_or_default();
    let (runtime, handler) = (at("/Runtime"), at("/Handler"));
    let name = at("/FunctionName");
    let group = match at("/LoggingConfig/LogGroup") {
        "" => format!("/aws/lambda/{name}"),
        group => group.to_owned(),
    };
    let strategies = at("/Environment/Variables/ROTATION_STRATEGY");
    let set = |name: &&str| {
        let value = at(&format!("/Environment/Variables/{name}"));
        (!value.is_empty()).then(|| ((*name).to_owned(), value.to_owned()))
    };
    Function {
        ours: runtime.starts_with("provided") && handler == "bootstrap",
        kind: clean(&format!("runtime {runtime}, handler {handler}")),
        log_group: group,
        arn: at("/FunctionArn").to_owned(),
        strategy: strategies.split(',').next().unwrap_or_default().trim().to_owned(),
        name: clean(name),
        description: clean(at("/Description")),
        templated: runtime.starts_with("python") && handler == "lambda_function.lambda_handler",
        vpc: at("/VpcConfig/VpcId").to_owned(),
        variables: KEPT.iter().filter_map(set).collect(),
        unread: answer.pointer("/Environment/Error").map(|_| {
            let code = clean(at("/Environment/Error/ErrorCode"));
            format!("lambda:GetFunctionConfiguration: its variables cannot be shown: {code}")
        }),
    }
}
