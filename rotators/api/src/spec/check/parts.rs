//! Whether each request, template and pointer of a specification can be used as it stands.

use hyper::header::{HeaderName, HeaderValue};
use serde_json::Value;

use super::Check;
use crate::hosts;
use crate::spec::{Caller, Document, Hole, Pages, Parts, Presentation, Template};

/// Headers that the client sets itself.
const RESERVED: [&str; 6] =
    ["host", "content-length", "content-type", "transfer-encoding", "connection", "authorization"];

/// Where `?` has a meaning.
const WHOLE: &str = "what may be missing is the whole of a value in json, form or query";

/// What a request may place.
#[derive(Clone, Copy)]
pub(super) struct Allowed<'a> {
    pub(super) table: &'a str,
    pub(super) new: bool,
    pub(super) label: bool,
    pub(super) id: bool,
    pub(super) described: bool,
    pub(super) later: bool,
}

impl<'a> Allowed<'a> {
    pub(super) const fn only(table: &'a str) -> Self {
        Self { table, new: false, label: false, id: false, described: false, later: false }
    }
}

pub(super) fn document(document: &Document, check: &mut Check<'_>) {
    address("", "base_url", &document.base_url, document, check);
    if let Some(what) = hosts::listed(document) {
        check.complain("", "base_url", what);
    }
    presentation("credential", &document.credential, document, check);
    if let Some(admin) = &document.admin {
        presentation("admin", admin, document, check);
    }
    let verify = &document.verify;
    request(Allowed::only("verify"), &verify.parts(), document, check);
    refusals("verify", "rejected", &verify.rejected, check);
    if verify.ok.iter().any(|status| verify.rejected.contains(status)) {
        check.complain(
            "verify",
            "ok",
            "a status cannot say both, that a key works and that it does not",
        );
    }
    let told = verify.rejected_when.keys().chain(verify.accepted_when.keys());
    pointers("verify", told.map(String::as_str), check);
    pointers("verify", verify.id.as_deref().into_iter(), check);
    if let Some(describe) = &document.describe {
        let allowed = Allowed { id: true, ..Allowed::only("describe") };
        request(allowed, &describe.parts(), document, check);
        pointers("describe", describe.key.as_deref().into_iter(), check);
        if document.roll.is_none() && !holes(&describe.parts()).contains(&Hole::Id) {
            check.complain("describe", "", "[describe] does not place {id}: which key?");
        }
    }
    if let Some(issue) = &document.issue {
        let allowed =
            Allowed { label: true, described: true, later: true, ..Allowed::only("issue") };
        request(allowed, &issue.parts(), document, check);
        refusals("issue", "full", &issue.full, check);
        let answer = &issue.answer;
        let fields = answer.fields.values().map(String::as_str);
        let full = issue.full_when.keys().map(String::as_str);
        let all = [answer.key.as_str(), &answer.id].into_iter().chain(fields).chain(full);
        pointers("issue", all, check);
    }
    if let Some(list) = &document.list {
        request(Allowed::only("list"), &list.parts(), document, check);
        let optional = [&list.label, &list.created, &list.expires];
        let optional = optional.into_iter().filter_map(|one| one.as_deref());
        let next = match &list.pages {
            Some(Pages::Cursor { next, .. } | Pages::Link { next }) => Some(next.as_str()),
            _ => None,
        };
        let all = [list.items.as_str(), &list.id].into_iter().chain(optional).chain(next);
        pointers("list", all.chain(list.only.keys().map(String::as_str)), check);
    }
    for (number, revoke) in document.revoke.iter().enumerate() {
        let (table, parts) = (format!("revoke.{number}"), revoke.parts());
        let table = table.as_str();
        request(Allowed { id: true, ..Allowed::only(table) }, &parts, document, check);
        refusals(table, "gone", &revoke.gone, check);
        if revoke.probe.is_some() && revoke.gone.is_empty() {
            let what = "probe asks about a key that is gone: how does the vendor say so (gone)?";
            check.complain(table, "probe", what);
        }
        if !holes(&parts).contains(&Hole::Id) {
            check.complain(table, parts.path, "[[revoke]] does not place {id}: which key?");
        }
    }
    if let Some(roll) = &document.roll {
        // What is made anew may have an end to be named, as a new key's.
        let allowed = Allowed { id: true, later: true, ..Allowed::only("roll") };
        request(allowed, &roll.parts(), document, check);
        pointers("roll", roll.slots.values().map(String::as_str), check);
    }
    if let Some(update) = &document.update {
        let allowed = Allowed { new: true, described: true, ..Allowed::only("update") };
        request(allowed, &update.parts(), document, check);
        refusals("update", "stale", &update.stale(), check);
        if update.parts().is_admins() && update.stale().iter().any(|one| [401, 403].contains(one)) {
            let what = "401 and 403 to the admin are about the admin, not about the old value";
            check.complain("update", "stale", what);
        }
        refusals("update", "refused", &update.refused, check);
    }
}

/// Every placeholder of a request.
pub(super) fn holes(parts: &Parts<'_>) -> Vec<Hole> {
    let read = templates(parts).into_iter().filter_map(|text| Template::read(text).ok());
    read.flat_map(|template| template.holes().cloned().collect::<Vec<_>>()).collect()
}

/// Every template of a request.
pub(super) fn templates<'a>(parts: &Parts<'a>) -> Vec<&'a str> {
    let mut all = vec![parts.path];
    all.extend(parts.query.values().map(String::as_str));
    all.extend(parts.headers.values().map(String::as_str));
    all.extend(parts.form.into_iter().flat_map(|form| form.values()).map(String::as_str));
    parts.json.into_iter().for_each(|body| texts(body, &mut all));
    all
}

/// Every template of what must stand in the answer. None of it is sent.
fn expected<'a>(parts: &Parts<'a>) -> Vec<&'a str> {
    let mut all = Vec::new();
    parts.expect.values().for_each(|one| texts(one, &mut all));
    all
}

pub(super) fn texts<'a>(value: &'a Value, all: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => all.push(text),
        Value::Array(list) => list.iter().for_each(|one| texts(one, all)),
        Value::Object(fields) => fields.values().for_each(|one| texts(one, all)),
        _ => {}
    }
}

pub(super) fn request(
    allowed: Allowed<'_>,
    parts: &Parts<'_>,
    document: &Document,
    check: &mut Check<'_>,
) {
    let table = allowed.table;
    if let Some(url) = parts.base_url {
        address(table, url, url, document, check);
    }
    let letters = parts.method.bytes().all(|one| one.is_ascii_uppercase());
    if !letters || ["", "CONNECT", "TRACE"].contains(&parts.method) {
        let what = "the method is GET, POST, PUT, PATCH, DELETE, or the vendor's own, as LIST";
        check.complain(table, "method", what);
    }
    match (parts.json.is_some(), parts.form.is_some(), parts.method) {
        (true, true, _) => check.complain(table, "form", "a request has a JSON body or a form"),
        (true, _, "GET") | (_, true, "GET") => check.complain(table, "method", "GET has no body"),
        _ => {}
    }
    path(table, parts.path, check);
    for text in templates(parts) {
        template(allowed, text, document, check);
    }
    for text in expected(parts) {
        template(Allowed { later: false, ..allowed }, text, document, check);
    }
    for (name, value) in parts.headers {
        let reserved = RESERVED.contains(&name.to_ascii_lowercase().as_str());
        if reserved || HeaderName::try_from(name.as_str()).is_err() {
            let instead = match name.to_ascii_lowercase().as_str() {
                "authorization" => {
                    ": [credential] and [admin] show a key, by bearer, basic, or a header of that name"
                }
                "content-type" => ": see content_type",
                _ => "",
            };
            let what = format!("{name:?} is no header that can be set here{instead}");
            check.complain(table, name, what);
        }
        if Template::read(value).is_ok_and(|template| template.is_optional()) {
            check.complain(table, name, format!("{value} cannot stand in a header: {WHOLE}"));
        }
        if HeaderValue::from_str(value).is_err() {
            check.complain(table, name, format!("the value of header {name:?} cannot be sent"));
        }
    }
    // A narrow key may be let in to be told that it may not: preflight shows a wrong one too.
    let fits = |status: &u16| match table {
        "verify" => (200..300).contains(status) || [400, 403, 404, 405, 422].contains(status),
        _ => (200..300).contains(status),
    };
    if parts.ok.is_empty() || !parts.ok.iter().all(fits) {
        let what =
            "ok lists statuses between 200 and 299; in [verify] also 400, 403, 404, 405, 422";
        check.complain(table, "ok", what);
    }
    if parts
        .content_type
        .is_some_and(|kind| parts.json.is_none() || HeaderValue::from_str(kind).is_err())
    {
        check.complain(table, "content_type", "content_type is the type of a JSON body");
    }
    pointers(table, parts.expect.keys().chain(parts.absent).map(String::as_str), check);
    if parts.by == Caller::Admin && document.admin.is_none() {
        check.complain(table, "by", "by = \"admin\" needs [admin], which says how it is shown");
    }
}

fn presentation(
    table: &str,
    presentation: &Presentation,
    document: &Document,
    check: &mut Check<'_>,
) {
    for text in presentation.templates() {
        template(Allowed::only(table), text, document, check);
    }
    match presentation {
        Presentation::Header(named) if HeaderName::try_from(named.name.as_str()).is_err() => {
            check.complain(table, &named.name, format!("{:?} is no header", named.name));
        }
        Presentation::ClientCredentials(client) => {
            path(table, &client.path, check);
            refusals(table, "rejected", &client.rejected, check);
            if let Some(url) = &client.base_url {
                address(table, url, url, document, check);
            }
        }
        other if other.templates().iter().all(|text| text.is_empty()) => {
            check.complain(table, "", format!("{} shows nothing", other.kind()));
        }
        _ => {}
    }
}

fn template(allowed: Allowed<'_>, text: &str, document: &Document, check: &mut Check<'_>) {
    let table = allowed.table;
    let template = match Template::read(text) {
        Ok(template) => template,
        Err(what) => return check.complain(table, text, what),
    };
    for hole in template.holes() {
        let why = match hole {
            Hole::Secret(field) | Hole::New(field)
                if field.is_some() == document.secret.plain_text =>
            {
                Some(match field {
                    Some(_) => "the secret is a plain text and has no fields",
                    None => "the secret is a JSON object: name a field of it",
                })
            }
            Hole::Secret(_) if table == "admin" => Some("[admin] shows {admin.FIELD}"),
            Hole::Admin(_) if document.admin.is_none() => Some("there is no [admin]"),
            Hole::Admin(_) if ["verify", "credential"].contains(&table) => {
                Some("the admin's secret says nothing about the credential")
            }
            Hole::New(_) if !allowed.new => Some("only [update] has a new value"),
            Hole::Label if !allowed.label => Some("only [issue] has a label"),
            Hole::Id if !allowed.id => {
                Some("only [describe], [[revoke]], [roll] and [[pair.alike]] have an id")
            }
            Hole::Described(_) | Hole::Optional(_) if !allowed.described => {
                Some("only [issue] and [update] place what [describe] shows")
            }
            Hole::Optional(_) if !template.is_optional() => Some(WHOLE),
            Hole::Later(..) if !allowed.later => {
                Some("only [issue] and [roll] say when a key ends")
            }
            _ => None,
        };
        if let Some(why) = why {
            check.complain(table, text, format!("{{{}}} cannot stand here: {why}", hole.name()));
        }
    }
}

/// A path's own text must be legal as it stands: only values are encoded.
fn path(table: &str, path: &str, check: &mut Check<'_>) {
    let legal = |one: char| one.is_ascii_alphanumeric() || "/-._~!$&'()*+,;=:@%".contains(one);
    let read = Template::read(path);
    let strange = read.iter().flat_map(Template::literals).any(|text| !text.chars().all(legal));
    if !path.starts_with('/') || strange {
        let what = format!("the path {path:?} begins with a slash and holds no query: see query");
        check.complain(table, path, what);
    }
}

fn address(table: &str, needle: &str, url: &str, document: &Document, check: &mut Check<'_>) {
    if let Some(what) = hosts::complaint(url, document) {
        check.complain(table, needle, what);
    }
}

fn refusals(table: &str, name: &str, statuses: &[u16], check: &mut Check<'_>) {
    if statuses.iter().any(|status| !(400..500).contains(status) || *status == 429) {
        let what = format!("{name} lists statuses between 400 and 499, without 429");
        check.complain(table, name, what);
    }
}

pub(super) fn pointers<'a>(table: &str, all: impl Iterator<Item = &'a str>, check: &mut Check<'_>) {
    for pointer in all {
        if !pointer.is_empty() && !pointer.starts_with('/') {
            let what = format!("{pointer:?} is no JSON Pointer: these begin with a slash");
            check.complain(table, pointer, what);
        }
    }
}
