//! Whether two users that take turns can be told from all others, and the one in use is left alone; and
//! what an `[update]` keeps of a user.

use super::parts::{Allowed, holes, pointers, request};
use super::{Check, account};
use crate::spec::{Caller, Document, Hole};

/// Checks `[pair]`, and a `[describe]` beside `[update]`.
pub(super) fn pair(document: &Document, check: &mut Check<'_>) {
    let Document { secret, update, pair, describe, roll, .. } = document;
    let proven = account::proven(&secret.id, document);
    if let (Some(update), Some(describe), None) = (update, describe, roll) {
        if (update.by, describe.by) != (Caller::Admin, Caller::Admin) {
            let what = "beside [update] the admin looks, and sets: both are by = \"admin\"";
            check.complain("describe", "by", what);
        }
        if !proven {
            check.complain("describe", "", unproven(&secret.id));
        }
    }
    let Some(pair) = pair else { return };
    for (number, alike) in pair.alike.iter().enumerate() {
        let (table, parts) = (format!("pair.alike.{number}"), alike.parts());
        let allowed = Allowed { id: true, ..Allowed::only(&table) };
        request(allowed, &parts, document, check);
        pointers(&table, alike.at.iter().chain(&alike.items).map(String::as_str), check);
        if !holes(&parts).contains(&Hole::Id) {
            check.complain(&table, "", "[[pair.alike]] does not place {id}: which user?");
        }
        if alike.at.is_empty() {
            check.complain(&table, "at", "at names what both users must have alike");
        }
    }
    if pair.alike.is_empty() {
        let what = "[[pair.alike]] is a request that finds each user, so that none is made by a \
                    mistake, and says what both must have alike";
        check.complain("pair", "", what);
    }
    if secret.plain_text {
        let what = "a plain text has no place for the user's name";
        check.complain("secret", "plain_text", what);
    }
    let Some(update) = update else {
        return check.complain("pair", "", "[pair] is for a value that is set: it needs [update]");
    };
    if update.by != Caller::Admin {
        let what = "a user cannot set the other one's value: the admin does (by = \"admin\")";
        check.complain("update", "", what);
    }
    if update.stale.is_some() {
        let what = "an admin shows no old value, so none is stale";
        check.complain("update", "stale", what);
    }
    let (new, own) = (Some(secret.id.clone()), Hole::Secret(Some(secret.id.clone())));
    let placed = holes(&update.parts());
    if placed.contains(&own) {
        let what = format!(
            "{{{}}} is the user in use, whose value is not to change: the other one is {{new.{}}}",
            own.name(),
            secret.id
        );
        check.complain("update", &own.name(), what);
    } else if !placed.contains(&Hole::New(new)) {
        let what = format!("[update] does not place {{new.{}}}: which user?", secret.id);
        check.complain("update", "", what);
    }
    if !proven {
        check.complain("pair", "", unproven(&secret.id));
    }
}

fn unproven(id: &str) -> String {
    format!(
        "nothing proves that {{secret.{id}}} is the user whose value the secret holds: place it in \
         [credential], or in the path or query of [verify], whose ok must be between 200 and 299 then, \
         without accepted_when; id in [secret] says which field holds it"
    )
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use crate::Specification;

    #[test]
    fn a_pair_that_would_change_the_user_in_use_or_a_strangers_is_refused_with_its_line() {
        let text = include_str!("../../../specs/rabbitmq.toml");
        assert!(Specification::read(text).unwrap().takes_turns());
        let update = "path = \"/users/{new.username}\"\nby = \"admin\"";
        let mut said = String::new();
        for (old, new) in [
            ("/users/{new.username}", "/users/{secret.username}"),
            ("/users/{new.username}", "/users/app"),
            (update, "path = \"/users/{new.username}\""),
            (update, "path = \"/users/{new.username}\"\nby = \"admin\"\nstale = [409]"),
            ("{secret.username}\", p", "app\", p"),
            ("id = \"username\"", "id = \"password\""),
            ("\"/users/{id}/permissions\"", "\"/permissions\""),
            ("at = [\"/tags\", \"/limits\"]", "at = []"),
            ("path = \"/users/{id}\"\nby = \"admin\"", "path = \"/users/{id}\""),
            (
                "[describe]\nmethod = \"GET\"\npath = \"/users/{id}\"\nby = \"admin\"\nok = [200]\n",
                "",
            ),
            ("ok = [200]\nrejected", "ok = [200]\nid = \"/name\"\nrejected"),
        ] {
            assert!(text.contains(old), "{old}");
            said += &format!("{}\n", new.lines().next_back().unwrap_or_default());
            let complaints = Specification::read(&text.replacen(old, new, 1)).err();
            for complaint in complaints.expect("it is refused") {
                said += &format!("    {complaint}\n");
            }
        }
        expect![[r#"
            /users/{secret.username}
                line 47: {secret.username} is the user in use, whose value is not to change: the other one is {new.username}
            /users/app
                line 45: [update] does not place {new.username}: which user?
            path = "/users/{new.username}"
                line 42: beside [update] the admin looks, and sets: both are by = "admin"
                line 45: a user cannot set the other one's value: the admin does (by = "admin")
            stale = [409]
                line 49: an admin shows no old value, so none is stale
            app", p
                line 39: nothing proves that {secret.username} is the user whose value the secret holds: place it in [credential], or in the path or query of [verify], whose ok must be between 200 and 299 then, without accepted_when; id in [secret] says which field holds it
                line 47: {new.username} lets whoever may write the secret choose the account that the admin changes: nothing proves that it is the credential's; place it in [credential], or in the path or query of [verify] or in its expect, where the vendor refuses another one, without accepted_when: a refusal that counts as a yes is told to the keys of other accounts too; or take it from the admin's secret ({admin.username}), or else list the field in trusted_fields of [update]
                line 49: {described./tags?} takes the rights of whatever key the secret names; prove that it is the key beside it: id in [verify], key in [describe] or key_begins or key_ends in [secret]
                line 53: nothing proves that {secret.username} is the user whose value the secret holds: place it in [credential], or in the path or query of [verify], whose ok must be between 200 and 299 then, without accepted_when; id in [secret] says which field holds it
            id = "password"
                line 20: key and id are one field, and ids stand in logs: give the id one of its own
            "/permissions"
                line 60: [[pair.alike]] does not place {id}: which user?
            at = []
                line 55: at names what both users must have alike
            path = "/users/{id}"
                line 39: beside [update] the admin looks, and sets: both are by = "admin"

                line 44: {described./tags?} needs [describe]
            rejected
                line 36: an answer that refuses the request names no key: leave id or accepted_when out
        "#]]
        .assert_eq(&said);
    }
}
