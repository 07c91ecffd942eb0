//! Resource policies: put, read, deleted, judged. They are kept and shown; nothing here asks them.
//!
//! Source: Secrets Manager API Reference, "PutResourcePolicy" and "ValidateResourcePolicy"; User
//! Guide, "Attach a permissions policy to an AWS Secrets Manager secret" for the texts. Whether a
//! principal exists, and whether the caller is locked out, only AWS can tell.

use serde_json::{Map, Value, json};

use super::answers::{Body, written};
use crate::MemoryStore;
use crate::serve::refusal::Refusal;
use crate::serve::wire::{Input, missing};

/// The only policy that can be changed, and the one that is meant where none is named.
const DEFAULT: &str = "default";

const SYNTAX: &str = "This resource policy contains a syntax error.";
const PRINCIPAL: &str = "This resource policy contains an unsupported principal.";
const SERVICE: &str = "This resource policy contains an invalid service principal.";
const BROAD: &str = "This resource policy grants broad access to your secret.";

/// What a statement may be about, and what it must say of each: one of the two.
const PARTS: [[&str; 2]; 3] =
    [["Principal", "NotPrincipal"], ["Action", "NotAction"], ["Resource", "NotResource"]];

/// Conditions that leave few who may read, if their values are fixed ones.
const NARROW: [&str; 7] = [
    "aws:sourcearn",
    "aws:sourcevpc",
    "aws:sourcevpce",
    "aws:sourceaccount",
    "aws:principalorgid",
    "aws:principalaccount",
    "aws:principalarn",
];

pub(super) fn put(store: &MemoryStore, input: &Input) -> Result<Value, Refusal> {
    only_default(input)?;
    let secret = input.secret()?;
    let text = document(input)?;
    let broad = judged(text)?;
    if broad && input.flag("BlockPublicPolicy")? == Some(true) {
        let message = "You can't attach a resource-based policy that allows broad access to the \
                       secret.";
        return Err(Refusal::new("PublicPolicyException", message));
    }
    Ok(named(written(store.put_policy(&secret, text)?, false)))
}

pub(super) fn get(store: &MemoryStore, input: &Input) -> Result<Value, Refusal> {
    let secret = input.secret()?;
    let (about, policy) = store.policy("GetResourcePolicy", &secret)?;
    if name(input)? != DEFAULT {
        return Err(Refusal::new(
            "ResourceNotFoundException",
            "Secrets Manager can't find the specified resource policy.",
        ));
    }
    let body = Body::new(&about.arn, &about.name).with_some("ResourcePolicy", policy);
    Ok(named(body.done()))
}

pub(super) fn delete(store: &MemoryStore, input: &Input) -> Result<Value, Refusal> {
    only_default(input)?;
    Ok(named(written(store.delete_policy(&input.secret()?)?, false)))
}

/// ListResourcePolicies.
pub(super) fn names(store: &MemoryStore, input: &Input) -> Result<Value, Refusal> {
    let (_, policy) = store.policy("ListResourcePolicies", &input.secret()?)?;
    let rows = policy.into_iter().map(|_| json!({"PolicyName": DEFAULT}));
    super::catalogue::page(rows, "ResourcePolicies", input).map(Value::Object)
}

/// The errors' names are ours: AWS does not document them.
pub(super) fn validate(store: &MemoryStore, input: &Input) -> Result<Value, Refusal> {
    if input.is_given("SecretId") {
        store.policy("ValidateResourcePolicy", &input.secret()?)?;
    }
    let broad = judged(document(input)?)?;
    let errors = match broad {
        true => json!([{"CheckName": "BLOCK_PUBLIC_POLICY", "ErrorMessage": BROAD}]),
        false => json!([]),
    };
    Ok(json!({"PolicyValidationPassed": !broad, "ValidationErrors": errors}))
}

fn document(input: &Input) -> Result<&str, Refusal> {
    let text = input.bounded("ResourcePolicy", 1, 20_480)?;
    text.ok_or_else(|| missing("ResourcePolicy"))
}

fn name(input: &Input) -> Result<&str, Refusal> {
    Ok(input.bounded("PolicyName", 1, 64)?.unwrap_or(DEFAULT))
}

fn only_default(input: &Input) -> Result<(), Refusal> {
    match name(input)? {
        DEFAULT => Ok(()),
        // AWS's words are not known.
        _ => {
            Err(Refusal::parameter("You can only change the default policy: leave PolicyName out."))
        }
    }
}

fn named(mut body: Value) -> Value {
    if let Some(fields) = body.as_object_mut() {
        fields.insert("PolicyName".to_owned(), DEFAULT.into());
    }
    body
}

/// Whether a policy lets many in, or why it is none.
fn judged(text: &str) -> Result<bool, Refusal> {
    let malformed = |message| Refusal::new("MalformedPolicyDocumentException", message);
    let policy: Map<String, Value> = serde_json::from_str(text).map_err(|_| malformed(SYNTAX))?;
    let version = policy.get("Version").and_then(Value::as_str);
    if !matches!(version, None | Some("2012-10-17" | "2008-10-17")) {
        return Err(malformed(SYNTAX));
    }
    let statements = some(policy.get("Statement"));
    if statements.is_empty() {
        return Err(malformed(SYNTAX));
    }
    let mut broad = false;
    for statement in statements {
        let allows = match statement.get("Effect").and_then(Value::as_str) {
            Some("Allow") => true,
            Some("Deny") => false,
            _ => return Err(malformed(SYNTAX)),
        };
        if !PARTS
            .iter()
            .all(|[is, is_not]| statement.get(is).is_some() != statement.get(is_not).is_some())
        {
            return Err(malformed(SYNTAX));
        }
        let many = everybody(statement).map_err(malformed)?;
        broad |= allows && many && !narrowed(statement.get("Condition"));
    }
    Ok(broad)
}

/// One of them, or a list of them.
fn some(value: Option<&Value>) -> Vec<&Value> {
    match value {
        None => Vec::new(),
        Some(Value::Array(all)) => all.iter().collect(),
        Some(one) => vec![one],
    }
}

/// Whether a statement is about everybody, or about all but some.
fn everybody(statement: &Value) -> Result<bool, &'static str> {
    let Some(principal) = statement.get("Principal") else { return Ok(true) };
    let kinds = match principal {
        Value::String(all) if all == "*" => return Ok(true),
        Value::Object(kinds) if !kinds.is_empty() => kinds,
        _ => return Err(SYNTAX),
    };
    let mut all = false;
    for (kind, names) in kinds {
        for name in some(Some(names)) {
            let name = name.as_str().ok_or(SYNTAX)?;
            match kind.as_str() {
                "AWS" if name == "*" => all = true,
                "AWS" if is_account(name) => {}
                "AWS" => return Err(PRINCIPAL),
                "Service" if name.contains(".amazonaws.com") => {}
                "Service" => return Err(SERVICE),
                "Federated" | "CanonicalUser" => {}
                _ => return Err(SYNTAX),
            }
        }
    }
    Ok(all)
}

/// An account, or somebody in one.
fn is_account(name: &str) -> bool {
    let number = |text: &str| text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
    let parts: Vec<&str> = name.splitn(6, ':').collect();
    match parts.as_slice() {
        [account] => number(account),
        ["arn", _, "iam" | "sts", "", account, who] => number(account) && !who.is_empty(),
        _ => false,
    }
}

fn narrowed(condition: Option<&Value>) -> bool {
    let tests = condition.and_then(Value::as_object).into_iter().flatten();
    let positive = tests.filter(|(test, _)| !test.contains("Not") && !test.contains("IfExists"));
    let keys = positive.filter_map(|(_, keys)| keys.as_object()).flatten();
    keys.into_iter().any(|(key, values)| {
        let values = some(Some(values));
        let fixed = |value: &&Value| value.as_str().is_some_and(|text| !text.contains(['*', '?']));
        NARROW.contains(&key.to_ascii_lowercase().as_str())
            && !values.is_empty()
            && values.iter().all(fixed)
    })
}
