//! Whether a value that the vendor makes anew can be rotated so that nobody is locked out.

use std::collections::BTreeSet;

use super::Check;
use super::parts::holes;
use crate::spec::{Document, Hole};

/// The least that a replaced value must work on: a rotation whose answers are lost is repeated by the
/// service, later and later.
const LEAST_SECONDS: u64 = 3600;

/// Checks `[roll]`, and the `[describe]` by which its values are read.
pub(super) fn roll(document: &Document, check: &mut Check<'_>) {
    let Document { issue, list, revoke, update, roll, describe, secret, .. } = document;
    let Some(roll) = roll else { return };
    if issue.is_some() || list.is_some() || !revoke.is_empty() || update.is_some() {
        let what = "[roll] stands beside [issue], [list], [[revoke]] or [update]; a specification \
                    has one of them";
        check.complain("roll", "", what);
    }
    let shows = describe.as_ref().is_some_and(|describe| describe.key.is_some());
    if describe.is_none() || (roll.slots.is_empty() && !shows) {
        let what = "the new value is read by [describe], so that a lost answer loses nothing; for \
                    one value, its key says where. If the vendor does not show it again, it cannot \
                    be rotated so";
        check.complain("roll", "", what);
    }
    let placed = holes(&roll.parts()).contains(&Hole::Id);
    match (roll.slots.len(), roll.works_on_seconds) {
        (0, None) => check.complain(
            "roll",
            "",
            "the value in use dies before the new one is recorded, and whoever loses that answer \
             is locked out. Set a value by [update], if the vendor takes one; name its two slots, \
             if it has them; or say how long a replaced value works on (works_on_seconds)",
        ),
        (0, Some(seconds)) if seconds < LEAST_SECONDS => {
            let what =
                format!("works_on_seconds is at least {LEAST_SECONDS}: rotations are repeated");
            check.complain("roll", "works_on_seconds", what);
        }
        (0, Some(_)) if placed => {
            check.complain("roll", "{id}", "{id} is the name of a slot, and there are none");
        }
        (0, Some(_)) => {}
        (2, None) => {
            if !placed {
                check.complain("roll", "", "[roll] does not place {id}: which of the slots?");
            }
            if roll.slots.values().collect::<BTreeSet<_>>().len() < 2 && !reads_by_id(document) {
                check.complain("roll", "slots", "both slots are read at one place");
            }
            if secret.plain_text {
                check.complain(
                    "secret",
                    "plain_text",
                    "a plain text has no place for a slot's name",
                );
            }
            if secret.key == secret.id {
                check.complain("secret", "", "key and id are one field, and ids stand in logs");
            }
            if shows {
                check.complain(
                    "describe",
                    "key",
                    "slots says where each value stands, and not key",
                );
            }
        }
        (_, Some(_)) => {
            check.complain("roll", "works_on_seconds", "slots need no works_on_seconds: both work");
        }
        _ => check.complain("roll", "slots", "there are two slots, of which one is in use"),
    }
}

/// Whether `[describe]` asks about one slot, so that both stand at the same place.
fn reads_by_id(document: &Document) -> bool {
    document.describe.as_ref().is_some_and(|one| holes(&one.parts()).contains(&Hole::Id))
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use crate::Specification;

    const SLOTS: &str = r#"name = "Two keys"
documents = []
read_on = "2026-11-29"
base_url = "https://plain.example"

[secret]
id = "slot"

[credential]
bearer = "{secret.key}"

[admin]
bearer = "{admin.token}"

[verify]
method = "GET"
path = "/me"

[describe]
method = "GET"
path = "/accounts/{secret.account}/keys"
by = "admin"

[roll]
method = "POST"
path = "/accounts/{secret.account}/keys/{id}"
by = "admin"
slots = { one = "/one", two = "/two" }
"#;

    #[test]
    fn what_would_lock_somebody_out_is_refused_with_its_line() {
        assert!(Specification::read(SLOTS).unwrap().rolls());
        let slots = "slots = { one = \"/one\", two = \"/two\" }";
        let lasting = SLOTS.replace(slots, "works_on_seconds = 86400");
        let lasting = lasting.replace("/keys/{id}\"", "/keys\"");
        let lasting = lasting.replace("keys\"\nby", "keys\"\nkey = \"/key\"\nby");
        let lasting =
            lasting.replacen("key = \"/key\"\nby = \"admin\"\nworks", "by = \"admin\"\nworks", 1);
        let mut said = String::new();
        for (text, old, new) in [
            (SLOTS, slots, ""),
            (SLOTS, slots, "slots = { one = \"/one\" }"),
            (SLOTS, slots, "slots = { one = \"/one\", two = \"/one\" }"),
            (SLOTS, "/keys/{id}", "/keys"),
            (SLOTS, "[roll]", "[update]\nmethod = \"PUT\"\npath = \"/me\"\n\n[roll]"),
            (SLOTS, "id = \"slot\"", "id = \"key\""),
            // The one value is proven by nothing that another one could not be read beside.
            (&lasting, "86400", "86400"),
            (
                &lasting,
                "works_on_seconds = 86400",
                "works_on_seconds = 60\ntrusted_fields = [\"account\"]",
            ),
            (&lasting, "key = \"/key\"\n", ""),
        ] {
            assert!(text.contains(old), "{old}");
            for complaint in
                Specification::read(&text.replacen(old, new, 1)).err().unwrap_or_default()
            {
                said += &format!("{complaint}\n");
            }
        }
        expect![[r#"
            line 21: {secret.account} lets whoever may write the secret choose the account that the admin changes: nothing proves that it is the credential's; place it in [credential], or in the path or query of [verify] or in its expect, where the vendor refuses another one; or take it from the admin's secret ({admin.account}), or else list the field in trusted_fields of [roll]
            line 24: the new value is read by [describe], so that a lost answer loses nothing; for one value, its key says where. If the vendor does not show it again, it cannot be rotated so
            line 24: the value in use dies before the new one is recorded, and whoever loses that answer is locked out. Set a value by [update], if the vendor takes one; name its two slots, if it has them; or say how long a replaced value works on (works_on_seconds)
            line 26: {secret.account} lets whoever may write the secret choose the account that the admin changes: nothing proves that it is the credential's; place it in [credential], or in the path or query of [verify] or in its expect, where the vendor refuses another one; or take it from the admin's secret ({admin.account}), or else list the field in trusted_fields of [roll]
            line 28: there are two slots, of which one is in use
            line 28: both slots are read at one place
            line 24: [roll] does not place {id}: which of the slots?
            line 24: [update] does not place {new.key}, so it sets nothing
            line 28: [roll] stands beside [issue], [list], [[revoke]] or [update]; a specification has one of them
            line 6: key and id are one field, and ids stand in logs
            line 21: {secret.account} lets whoever may write the secret choose the account that the admin changes: nothing proves that it is the credential's; place it in [credential], or in the path or query of [verify] or in its expect, where the vendor refuses another one; or take it from the admin's secret ({admin.account}), or else list the field in trusted_fields of [roll]
            line 27: {secret.account} lets whoever may write the secret choose the account that the admin changes: nothing proves that it is the credential's; place it in [credential], or in the path or query of [verify] or in its expect, where the vendor refuses another one; or take it from the admin's secret ({admin.account}), or else list the field in trusted_fields of [roll]
            line 29: works_on_seconds is at least 3600: rotations are repeated
            line 21: {secret.account} lets whoever may write the secret choose the account that the admin changes: nothing proves that it is the credential's; place it in [credential], or in the path or query of [verify] or in its expect, where the vendor refuses another one; or take it from the admin's secret ({admin.account}), or else list the field in trusted_fields of [roll]
            line 24: the new value is read by [describe], so that a lost answer loses nothing; for one value, its key says where. If the vendor does not show it again, it cannot be rotated so
            line 26: {secret.account} lets whoever may write the secret choose the account that the admin changes: nothing proves that it is the credential's; place it in [credential], or in the path or query of [verify] or in its expect, where the vendor refuses another one; or take it from the admin's secret ({admin.account}), or else list the field in trusted_fields of [roll]
        "#]].assert_eq(&said);
        let trusted = lasting.replace("works_on", "trusted_fields = [\"account\"]\nworks_on");
        assert!(Specification::read(&trusted).is_ok());
    }
}
