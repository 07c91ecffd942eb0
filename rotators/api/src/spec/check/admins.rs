//! What an admin's requests place of the rotated secret.

use std::collections::BTreeSet;

use super::account::by_answer;
use super::parts::holes;
use crate::spec::{Document, Hole, Parts};

/// The requests that the vendor may grant for the admin's sake, but for the list, each with its table.
pub(super) fn of_admin(document: &Document) -> Vec<(String, Parts<'_>)> {
    let Document { describe, issue, revoke, update, roll, pair, .. } = document;
    let mut requests = Vec::new();
    requests.extend(describe.iter().map(|one| ("describe".to_owned(), one.parts())));
    requests.extend(issue.iter().map(|one| ("issue".to_owned(), one.parts())));
    let numbered = revoke.iter().enumerate();
    requests.extend(numbered.map(|(number, one)| (format!("revoke.{number}"), one.parts())));
    requests.extend(update.iter().map(|one| ("update".to_owned(), one.parts())));
    requests.extend(roll.iter().map(|one| ("roll".to_owned(), one.parts())));
    let alike = pair.iter().flat_map(|pair| &pair.alike).enumerate();
    requests.extend(alike.map(|(number, one)| (format!("pair.alike.{number}"), one.parts())));
    requests.retain(|(_, parts)| parts.is_admins());
    requests
}

/// The fields that the file's author trusts, and the table that says so.
pub(super) fn trusted(document: &Document) -> (&'static str, &[String]) {
    match (&document.issue, &document.update, &document.roll) {
        (Some(issue), ..) => ("[issue]", &issue.trusted_fields),
        (None, Some(update), _) => ("[update]", &update.trusted_fields),
        (None, None, Some(roll)) => ("[roll]", &roll.trusted_fields),
        (None, None, None) => ("[issue], [update] or [roll]", &[]),
    }
}

/// The field of the secret that a placeholder of an admin's request stands for.
pub(super) fn field_of<'a>(hole: &'a Hole, document: &'a Document) -> Option<&'a String> {
    match hole {
        Hole::Secret(Some(field)) => Some(field),
        // What an update does not set is what stood in the secret.
        Hole::New(Some(field)) if *field != document.secret.key => Some(field),
        // A user's name, which stands in that field.
        Hole::Id if document.update.is_some() => Some(&document.secret.id),
        _ => None,
    }
}

/// The fields that an admin's request places and that nothing proves but a request of `[verify]` which
/// names them: a vendor that does not look at them there says nothing about them.
pub(crate) fn named_only(document: &Document) -> BTreeSet<String> {
    let requests = of_admin(document);
    let placed: Vec<Hole> = requests.iter().flat_map(|(_, parts)| holes(parts)).collect();
    let fields = placed.iter().filter_map(|hole| field_of(hole, document));
    let only = fields.filter(|field| {
        let trusted = trusted(document).1.contains(field);
        **field != document.secret.key && !trusted && !by_answer(field, document)
    });
    only.cloned().collect()
}
