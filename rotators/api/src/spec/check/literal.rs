//! What is read as it stands: a placeholder there would be taken for the text that it is.

use serde_json::Value;

use super::Check;
use super::parts::texts;
use crate::spec::{Document, Parts, Template};

/// Refuses placeholders where nothing is filled in: in pointers, in names, and in what an answer is
/// compared with but for `expect`.
pub(super) fn literal(document: &Document, check: &mut Check<'_>) {
    let Document { verify, describe, issue, list, revoke, update, roll, pair, .. } = document;
    request("verify", &verify.parts(), check);
    values("verify", verify.rejected_when.iter().chain(&verify.accepted_when), check);
    all("verify", verify.id.iter(), check);
    if let Some(describe) = describe {
        request("describe", &describe.parts(), check);
        all("describe", describe.key.iter(), check);
    }
    if let Some(issue) = issue {
        request("issue", &issue.parts(), check);
        values("issue", issue.full_when.iter(), check);
        let answer = &issue.answer;
        all("issue", [&answer.key, &answer.id].into_iter().chain(answer.fields.values()), check);
    }
    if let Some(list) = list {
        request("list", &list.parts(), check);
        values("list", list.only.iter(), check);
        let optional = [&list.label, &list.created, &list.expires].into_iter().flatten();
        all("list", [&list.items, &list.id].into_iter().chain(optional), check);
    }
    for (number, revoke) in revoke.iter().enumerate() {
        request(&format!("revoke.{number}"), &revoke.parts(), check);
        all(&format!("revoke.{number}"), revoke.probe.iter(), check);
    }
    if let Some(update) = update {
        request("update", &update.parts(), check);
    }
    if let Some(roll) = roll {
        request("roll", &roll.parts(), check);
        all("roll", roll.slots.iter().flat_map(|(name, pointer)| [name, pointer]), check);
    }
    for (number, alike) in pair.iter().flat_map(|pair| &pair.alike).enumerate() {
        let table = format!("pair.alike.{number}");
        request(&table, &alike.parts(), check);
        all(&table, alike.items.iter().chain(&alike.at), check);
    }
}

fn request(table: &str, parts: &Parts<'_>, check: &mut Check<'_>) {
    let names = parts.query.keys().chain(parts.headers.keys());
    let names = names.chain(parts.form.into_iter().flat_map(|form| form.keys()));
    all(table, names.chain(parts.expect.keys()).chain(parts.absent), check);
    parts.json.into_iter().for_each(|body| members(table, "", body, check));
}

fn members(table: &str, name: &str, value: &Value, check: &mut Check<'_>) {
    one(table, name, check);
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(name, value)| members(table, name, value, check));
        }
        Value::Array(list) => list.iter().for_each(|value| members(table, "", value, check)),
        _ => {}
    }
}

fn values<'a>(
    table: &str,
    told: impl Iterator<Item = (&'a String, &'a Value)>,
    check: &mut Check<'_>,
) {
    for (pointer, value) in told {
        one(table, pointer, check);
        let mut read = Vec::new();
        texts(value, &mut read);
        read.into_iter().for_each(|text| one(table, text, check));
    }
}

fn all<'a>(table: &str, texts: impl Iterator<Item = &'a String>, check: &mut Check<'_>) {
    texts.for_each(|text| one(table, text, check));
}

fn one(table: &str, text: &str, check: &mut Check<'_>) {
    if Template::read(text).is_ok_and(|template| template.holes().next().is_some()) {
        let what = format!(
            "{text:?} is read as it stands: placeholders are filled in where a request places a \
             value, and in expect"
        );
        check.complain(table, text, what);
    }
}
