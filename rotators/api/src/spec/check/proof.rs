//! Whether what is said to be a proof is one: of whose key was shown, and of which id is the key's.

use super::Check;
use super::parts::holes;
use crate::spec::{Document, Hole, Template};

/// Refuses an id that the request itself names, and ends of a key that hold no id.
pub(super) fn proof(document: &Document, check: &mut Check<'_>) {
    let Document { secret, verify, .. } = document;
    let own = Hole::Secret(Some(secret.id.clone()));
    if verify.id.is_some() && !verify.accepted_when.is_empty() {
        let what = "an answer that refuses the request names no key: leave id or accepted_when out";
        check.complain("verify", "accepted_when", what);
    }
    // Whoever may look at a key by its id is told that id, whatever key was shown.
    if let Some(pointer) = &verify.id
        && holes(&verify.parts()).contains(&own)
    {
        let told = own.name();
        let what = format!(
            "id says what {{{told}}} in this request asks about, so it does not say whose key was \
             shown: ask by a request that does not place {{{told}}}, or leave id out"
        );
        check.complain("verify", pointer, what);
    }
    for (name, text) in [("key_begins", &secret.key_begins), ("key_ends", &secret.key_ends)] {
        let Some(text) = text else { continue };
        match Template::read(text) {
            Err(what) => check.complain("secret", name, what),
            Ok(template) if template.holes().any(|hole| *hole != Hole::Id) => {
                let what = format!("{name} takes {{id}} and no other placeholder");
                check.complain("secret", name, what);
            }
            Ok(template) if template.holes().next().is_none() => {
                let what = format!("{name} does not place {{id}}, so it proves nothing");
                check.complain("secret", name, what);
            }
            Ok(_) => {}
        }
    }
}
