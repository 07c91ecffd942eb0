//! Whose account an admin's request changes, and whose rights it gives away.
//!
//! Whoever may write the secret decides what its fields say. What proves that a field is about the
//! account of the credential is an answer of the vendor in which both stand.

use super::Check;
use super::admins::{field_of, of_admin, trusted};
use super::parts::holes;
use crate::spec::{Caller, Describe, Document, Hole, Parts, Template};

/// Refuses what an admin's request takes from the secret though nothing proves it, and what is
/// copied from a key that nothing proves to be the secret's.
pub(super) fn account(document: &Document, check: &mut Check<'_>) {
    for (table, parts) in &of_admin(document) {
        taken(table, parts, document, check);
    }
    if let Some(issue) = &document.issue {
        copied("issue", &issue.parts(), document.binds(), (document, &mut *check));
    }
    if let Some(update) = &document.update {
        let named = proven(&document.secret.id, document);
        copied("update", &update.parts(), named, (document, check));
    }
}

fn taken(table: &str, parts: &Parts<'_>, document: &Document, check: &mut Check<'_>) {
    let (trusting, trusted) = trusted(document);
    for hole in holes(parts) {
        let Some(field) = field_of(&hole, document).filter(|_| hole != Hole::Id) else { continue };
        if trusted.contains(field) || proven(field, document) {
            continue;
        }
        let told = format!("{{{}}}", hole.name());
        let what = match table == "issue" && !read(parts.path).contains(&hole) {
            true => format!(
                "{told} lets whoever may write the secret decide what the admin makes; copy it \
                 from the current key ({{described./POINTER}}), take it from the admin's secret \
                 ({{admin.{field}}}), or else list the field in trusted_fields of {trusting}"
            ),
            false => format!(
                "{told} lets whoever may write the secret choose the account that the admin \
                 changes: nothing proves that it is the credential's; place it in [credential], or \
                 in the path or query of [verify] or in its expect, where the vendor refuses another \
                 one{}; or take it from the admin's secret ({{admin.{field}}}), or else list the \
                 field in trusted_fields of {trusting}",
                match (document.verify.accepted_when.is_empty(), is_outright(document)) {
                    (_, true) => "",
                    (false, _) =>
                        ", without accepted_when: a refusal that counts as a yes is told to the \
                         keys of other accounts too",
                    (true, false) =>
                        ", whose ok must be between 200 and 299 for that: a refusal that counts \
                         as a yes is told to the keys of other accounts too",
                }
            ),
        };
        check.complain(table, &told, what);
    }
}

/// Whether a rotation goes on only if the vendor says that the field and the credential belong
/// together.
pub(super) fn proven(field: &str, document: &Document) -> bool {
    field == document.secret.key || by_request(field, document) || by_answer(field, document)
}

/// Whether a path or a query names a field of the secret.
pub(super) fn named(parts: &Parts<'_>, hole: &Hole) -> bool {
    let query = parts.query.values().flat_map(|text| read(text));
    read(parts.path).into_iter().chain(query).any(|one| one == *hole)
}

/// Whether the vendor lets the credential in by a request that names the field.
fn by_request(field: &str, document: &Document) -> bool {
    let verify = &document.verify;
    let hole = Hole::Secret(Some(field.to_owned()));
    let outright = is_outright(document);
    match verify.by {
        // All that is asked about stands in the request.
        Caller::Nobody => outright && holes(&verify.parts()).contains(&hole),
        Caller::Credential | Caller::Admin => {
            let mut shown = document.credential.templates().into_iter().flat_map(read);
            shown.any(|one| one == hole) || (outright && named(&verify.parts(), &hole))
        }
    }
}

/// Whether an answer says that the field is the credential's.
pub(super) fn by_answer(field: &str, document: &Document) -> bool {
    let Document { secret, verify, describe, list, .. } = document;
    let hole = Hole::Secret(Some(field.to_owned()));
    let named = |parts: &Parts<'_>| named(parts, &hole);
    if field == secret.id && verify.id.is_some() {
        return true;
    }
    // What the request itself names may be repeated whoever asks.
    let asked = holes(&verify.parts()).into_iter();
    let mut asked = asked.chain(document.credential.templates().into_iter().flat_map(read));
    let mut told = verify.expect.values().filter_map(|value| Some(read(value.as_str()?)));
    if is_outright(document)
        && !asked.any(|one| one == hole)
        && told.any(|told| told.as_slice() == std::slice::from_ref(&hole))
    {
        return true;
    }
    // Where keys are made, the secret's id must be listed, which is about the key only if the id is;
    // and a key that is shown at a path is one of that account. An update asks for neither.
    let issues = document.issue.is_some();
    // AWSCURRENT's value must stand in its slot before anything is asked of the other.
    let slots = document.roll.as_ref().is_some_and(|roll| !roll.slots.is_empty());
    if slots && describe.as_ref().is_some_and(|describe| named(&describe.parts())) {
        return true;
    }
    let listed = || list.as_ref().is_some_and(|list| named(&list.parts()));
    let described = || shows_key(document).is_some_and(|describe| named(&describe.parts()));
    issues && ((document.binds() && (field == secret.id || listed())) || described())
}

/// The request by which the vendor shows the key in use, if it must: a key that holds its id tells that by
/// itself.
pub(super) fn shows_key(document: &Document) -> Option<&Describe> {
    document.describe.as_ref().filter(|one| one.key.is_some() && !document.secret.holds_id())
}

/// Whether `[verify]` counts successes alone. A refusal proves that the vendor knows the key, and not
/// that the key may do anything at the account that the path names.
fn is_outright(document: &Document) -> bool {
    let verify = &document.verify;
    verify.accepted_when.is_empty() && verify.ok.iter().all(|status| (200..300).contains(status))
}

/// Rights may be copied only from a key that is proven to be the secret's.
fn copied(
    table: &str,
    parts: &Parts<'_>,
    binds: bool,
    (document, check): (&Document, &mut Check<'_>),
) {
    for hole in holes(parts) {
        let told = format!("{{{}}}", hole.name());
        match &hole {
            Hole::Described(_) | Hole::Optional(_) if document.describe.is_none() => {
                check.complain(table, &told, format!("{told} needs [describe]"));
            }
            Hole::Described(_) | Hole::Optional(_) if !binds => {
                let what = format!(
                    "{told} takes the rights of whatever key the secret names; prove that it is the \
                     key beside it: id in [verify], key in [describe] or key_begins or key_ends in \
                     [secret]"
                );
                check.complain(table, &told, what);
            }
            _ => {}
        }
    }
}

/// The placeholders of one template.
pub(super) fn read(text: &str) -> Vec<Hole> {
    Template::read(text).iter().flat_map(Template::holes).cloned().collect()
}

#[cfg(test)]
mod tests {
    use crate::Specification;

    /// The reproduced one: a working token of one's own beside somebody else's id.
    const UPDATER: &str = r#"name = "A token"
documents = []
read_on = "2026-11-22"
base_url = "https://plain.example"

[secret]
key = "token"

[credential]
bearer = "{secret.token}"

[admin]
bearer = "{admin.token}"

[verify]
method = "GET"
path = "/me"

[update]
method = "PUT"
path = "/users/{secret.user_id}/token"
by = "admin"
json = { value = "{new.token}" }
"#;

    /// Keys of a project: which one, only the secret says.
    const ISSUER: &str = r#"name = "Keys of a project"
documents = []
read_on = "2026-11-22"
base_url = "https://plain.example"

[credential]
bearer = "{secret.key}"

[admin]
bearer = "{admin.token}"

[verify]
method = "GET"
path = "/me"

[issue]
method = "POST"
path = "/projects/{secret.project}/keys"
by = "admin"
json = { name = "{label}" }

[issue.answer]
key = "/key"
id = "/id"

[list]
method = "GET"
path = "/keys"
by = "admin"
items = "/keys"
id = "/id"
label = "/name"

[[revoke]]
method = "DELETE"
path = "/keys/{id}"
by = "admin"
"#;

    /// The lines that are complained about with these changes.
    fn refused(text: &str, edits: &[(&str, &str)]) -> Vec<usize> {
        let mut text = text.to_owned();
        for (old, new) in edits {
            assert!(text.contains(old), "{old}");
            text = text.replacen(old, new, 1);
        }
        let complaints = Specification::read(&text).err().unwrap_or_default();
        for complaint in &complaints {
            let what = &complaint.what;
            assert!(
                what.contains("lets whoever may write the secret choose the account"),
                "{what}"
            );
        }
        complaints.into_iter().filter_map(|one| one.line).collect()
    }

    #[test]
    fn rule_08_an_admin_sets_the_value_of_no_account_that_nothing_proves() {
        let path = "/users/{secret.user_id}/token";
        assert_eq!(refused(UPDATER, &[]), [21]);
        assert_eq!(
            refused(
                UPDATER,
                &[("by = \"admin\"", "by = \"nobody\"\nquery = { as = \"{admin.token}\" }")]
            ),
            [21]
        );
        // In pending stands what stood in the secret.
        assert_eq!(refused(UPDATER, &[(path, "/users/{new.user_id}/token")]), [21]);
        assert_eq!(
            refused(
                UPDATER,
                &[(path, "/token"), ("{ value", "{ user = \"{secret.user_id}\", value")]
            ),
            [23]
        );
        // An id that nothing compares is a field like any other.
        let id = ("key = \"token\"", "key = \"token\"\nid = \"user_id\"");
        assert_eq!(refused(UPDATER, &[id]), [22]);
        for proof in [
            ("path = \"/me\"", "path = \"/users/{secret.user_id}\""),
            ("path = \"/me\"", "path = \"/me\"\nquery = { id = \"{secret.user_id}\" }"),
            ("bearer = \"{secret.token}\"", "bearer = \"{secret.user_id}.{secret.token}\""),
            ("by = \"admin\"", "by = \"admin\"\ntrusted_fields = [\"user_id\"]"),
            ("by = \"admin\"\n", ""),
        ] {
            assert!(refused(UPDATER, &[proof]).is_empty(), "{proof:?}");
        }
        assert!(
            refused(UPDATER, &[id, ("path = \"/me\"", "path = \"/me\"\nid = \"/id\"")]).is_empty()
        );
        // A refusal that is taken for a yes is told to keys of other accounts too.
        let named = "path = \"/users/{secret.user_id}\"";
        for ok in ["ok = [400]", "ok = [200, 403]"] {
            let path = ("path = \"/me\"", format!("{named}\n{ok}"));
            assert_eq!(refused(UPDATER, &[(path.0, &path.1)]), [22], "{ok}");
        }
        // Who asks nobody proves what stands in the request, and not what would be shown.
        let shown = ("bearer = \"{secret.token}\"", "bearer = \"{secret.user_id}.{secret.token}\"");
        let form = "method = \"POST\"\npath = \"/login\"\nby = \"nobody\"\nform = { token = \"{secret.token}\" }";
        let nobody = ("method = \"GET\"\npath = \"/me\"", form);
        assert_eq!(refused(UPDATER, &[shown, nobody]), [23]);
    }

    #[test]
    fn rule_08_an_admin_makes_no_key_for_an_account_that_nothing_proves() {
        assert_eq!(refused(ISSUER, &[]), [18]);
        let listed = ("path = \"/keys\"", "path = \"/projects/{secret.project}/keys\"");
        let bound = ("path = \"/me\"", "path = \"/me\"\nid = \"/id\"");
        // The secret's id is in the list, and may be anybody's.
        assert_eq!(refused(ISSUER, &[listed]), [18]);
        assert!(refused(ISSUER, &[listed, bound]).is_empty());
        let revoked = ("path = \"/keys/{id}\"", "path = \"/projects/{secret.project}/keys/{id}\"");
        assert_eq!(refused(ISSUER, &[revoked]), [18, 36]);
        let trusted = ("[issue.answer]", "trusted_fields = [\"project\"]\n\n[issue.answer]");
        assert!(refused(ISSUER, &[revoked, trusted]).is_empty());
        // The key itself, shown at a path, is one of that account.
        let shown = "[describe]\nmethod = \"GET\"\npath = \"/projects/{secret.project}/keys/{id}\"\nby = \"admin\"\n";
        let describe = format!("{shown}key = \"/key\"\n\n[list]");
        assert!(refused(ISSUER, &[("[list]", &describe)]).is_empty());
        let describe = format!("{shown}\n[list]");
        assert_eq!(refused(ISSUER, &[("[list]", &describe)]), [18, 28]);
    }
}
