//! Whether the parts of a specification make one rotation, and a safe one.

use super::Check;
use crate::spec::{Caller, Document, Hole, Ownership, Template};

/// The fewest keys that a vendor without labels must allow: current, previous, the next, and one
/// whose answer was lost.
const SPARE: usize = 4;

/// Either keys that the vendor makes, or a value that it takes.
pub(super) fn shape(document: &Document, check: &mut Check<'_>) {
    let Document { issue, list, revoke, update, secret, roll, .. } = document;
    match (issue, list, revoke.is_empty(), update) {
        _ if roll.is_some() => {}
        (Some(_), Some(_), false, None) => {}
        (None, None, true, Some(_)) => {}
        (None, None, true, None) => check.complain(
            "",
            "",
            "there is neither [issue], [list] and [[revoke]], for keys that the vendor makes, nor \
             [update], for a value that it takes, nor [roll], for one that it makes anew",
        ),
        (.., Some(_)) => check.complain(
            "update",
            "",
            "[update] stands beside [issue], [list] or [[revoke]]; a specification has either",
        ),
        _ => {
            check.complain("", "", "keys that the vendor makes need [issue], [list] and [[revoke]]")
        }
    }
    if secret.plain_text && update.is_none() && roll.is_none() {
        check.complain(
            "secret",
            "plain_text",
            "a plain text has no place for a key's id, and what is not known by its id cannot be \
             revoked; use a JSON object",
        );
    }
    ids(document, check);
    let key = key_hole(document);
    let shown = |templates: Vec<&str>| {
        let read = templates.into_iter().filter_map(|text| Template::read(text).ok());
        read.into_iter().any(|template| template.holes().any(|hole| *hole == key))
    };
    let name = key.name();
    if !shown(document.credential.templates()) {
        let what = format!("[credential] does not show {{{name}}}, so it proves nothing");
        check.complain("credential", "", what);
    }
    match document.verify.by {
        Caller::Credential => {}
        Caller::Admin => {
            check.complain(
                "verify",
                "by",
                "an admin that is let in says nothing about the key: [verify] shows the key itself, \
                 as [credential] says. If no plain request shows it, since it only signs requests \
                 (DigitalOcean Spaces, R2, IAM and the like), no specification can rotate it",
            );
        }
        Caller::Nobody if shown(super::parts::templates(&document.verify.parts())) => {}
        Caller::Nobody => {
            let what = format!(
                "[verify] is made by nobody and does not place {{{name}}}, so it proves nothing"
            );
            check.complain("verify", "by", what);
        }
    }
    if let Some(update) = update {
        let new = new_hole(document);
        let places = super::parts::templates(&update.parts()).into_iter();
        let mut places = places.filter_map(|text| Template::read(text).ok());
        if !places.any(|template| template.holes().any(|hole| *hole == new)) {
            let what = format!("[update] does not place {{{}}}, so it sets nothing", new.name());
            check.complain("update", "", what);
        }
    }
}

/// Ids stand in logs, so none may be a key.
fn ids(document: &Document, check: &mut Check<'_>) {
    let Document { secret, issue, verify, pair, .. } = document;
    if secret.key == secret.id && (issue.is_some() || verify.id.is_some() || pair.is_some()) {
        let what = "key and id are one field, and ids stand in logs: give the id one of its own";
        check.complain("secret", "", what);
    }
    let Some(answer) = issue.as_ref().map(|issue| &issue.answer) else { return };
    if answer.key == answer.id {
        let what =
            "key and id are one place in the answer, and ids stand in logs: where is the id?";
        check.complain("issue.answer", "id", what);
    }
    for field in [&secret.key, &secret.id] {
        if answer.fields.contains_key(field) {
            let what = format!("fields sets {field:?}, which key and id in [issue.answer] set");
            check.complain("issue.answer", "fields", what);
        }
    }
}

/// The placeholder of the credential itself.
pub(crate) fn key_hole(document: &Document) -> Hole {
    let secret = &document.secret;
    Hole::Secret((!secret.plain_text).then(|| secret.key.clone()))
}

fn new_hole(document: &Document) -> Hole {
    let secret = &document.secret;
    Hole::New((!secret.plain_text).then(|| secret.key.clone()))
}

/// What is known of the vendor must be enough to tell which key may go.
pub(super) fn terms(document: &Document, check: &mut Check<'_>) {
    let terms = &document.terms;
    if !(2..=6).contains(&terms.attempts) {
        check.complain(
            "terms",
            "attempts",
            "attempts is between 2, for the old value and the new, and 6",
        );
    }
    let (Some(issue), Some(list)) = (&document.issue, &document.list) else { return };
    let places = super::parts::templates(&issue.parts()).into_iter();
    let mut places = places.filter_map(|text| Template::read(text).ok());
    let labelled = places.any(|template| template.holes().any(|hole| *hole == Hole::Label));
    match terms.ownership {
        Ownership::Labels => {
            if !labelled {
                let what = "[issue] does not place {label}; place it in the key's name, or set \
                            ownership in [terms] to \"stored\" or \"account\"";
                check.complain("issue", "", what);
            }
            if list.label.is_none() {
                check.complain(
                    "list",
                    "",
                    "[list] does not say where the label is: label = \"/name\"",
                );
            }
        }
        Ownership::Stored | Ownership::Account if list.created.is_none() => check.complain(
            "list",
            "",
            "without labels [list] must say when a key was made (created = \"/created_at\"), or \
             older keys cannot be told from newer ones",
        ),
        Ownership::Stored | Ownership::Account => {}
    }
    if terms.ownership == Ownership::Stored && terms.keys.is_some_and(|keys| keys < SPARE) {
        let what = format!(
            "without labels a key whose answer was lost is never revoked, and fills a limit below \
             {SPARE}; if the account is for this secret only, set ownership to \"account\""
        );
        check.complain("terms", "keys", what);
    }
    if terms.ownership == Ownership::Stored && !document.binds() {
        let what = "without labels a key is revoked only if the vendor says that it is the one stored \
                    beside its id, and nothing says so: no key would ever be revoked. Prove whose id \
                    it is (id in [verify], key in [describe], key_begins or key_ends in [secret]), or \
                    set ownership to \"labels\" or, if the account is for this secret only, \"account\"";
        check.complain("terms", "ownership", what);
    }
    if terms.keys.is_some_and(|keys| keys < 2) {
        let what = "a vendor that allows one key has no room for a new one beside it";
        check.complain("terms", "keys", what);
    }
    for status in issue.full.iter().filter(|status| [401, 403, 404, 429].contains(*status)) {
        let what = format!(
            "{status} may mean other things than that there is no room, and a key is revoked then; \
             set keys in [terms], or say by full_when what stands in that answer"
        );
        check.complain("issue", "full", what);
    }
    if terms.requests_per_second == Some(0) {
        check.complain("terms", "requests_per_second", "no request at all is allowed by that");
    }
}
