//! Several admins, of which a secret names one: whoever may write the secret chooses, as with any
//! other field.

use std::collections::BTreeMap;

use super::account::{named, proven, read, shows_key};
use super::admins::{of_admin, trusted};
use super::parts::holes;
use crate::admin::FIELD;
use crate::spec::{Describe, Document, Hole, List, Parts};

/// Why a secret may not choose among several admins: nothing proves that the account of the one that it
/// names is the credential's, so a working key of one's own would get another's.
pub(crate) fn unproven_choice(document: &Document) -> Option<String> {
    let requests = of_admin(document);
    if requests.is_empty() || trusted(document).1.iter().any(|field| field == FIELD) {
        return None;
    }
    if document.issue.is_some() {
        // AWSCURRENT's key, which works, must be among those that the admin lists.
        let why = "nothing proves that the id in a secret is that of the key beside it, so the \
                   admin of another account may list it";
        if !document.binds() {
            return Some(why.to_owned());
        }
        let hole = placed_unseen(document)?;
        return Some(format!(
            "{{{}}} decides where the key is made, and neither [list] nor a [describe] that shows the \
             key asks there",
            hole.name()
        ));
    }
    if let Some(roll) = &document.roll {
        let why = "the value that an admin is shown works by itself, whosever it is";
        return (roll.slots.is_empty() && !names_account(document)).then(|| why.to_owned());
    }
    let mut placed = requests.iter().flat_map(|(_, parts)| holes(parts));
    let chosen = placed.find(|hole| matches!(hole, Hole::Admin(_)))?;
    Some(format!("{{{}}} decides whose value is set", chosen.name()))
}

/// What of the admin's says where a key is made, though the key in use need not be there: the list of a
/// whole account has the keys of all its projects.
fn placed_unseen(document: &Document) -> Option<Hole> {
    let issue = document.issue.as_ref()?.parts();
    let list = document.list.as_ref().map(List::parts);
    let describe = shows_key(document).map(Describe::parts);
    let asked = |hole: &Hole| list.iter().chain(&describe).any(|parts| named(parts, hole));
    // A header that the list shows likewise is a second part of the admin's credential.
    let header = |hole: &Hole| {
        let alike = |(name, text): (&String, &String)| {
            !read(text).contains(hole)
                || list.as_ref().is_some_and(|list| list.headers.get(name) == Some(text))
        };
        let other = Parts { headers: &BTreeMap::new(), ..issue };
        !holes(&other).contains(hole) && issue.headers.iter().all(alike)
    };
    let placed = holes(&issue).into_iter().filter(|hole| matches!(hole, Hole::Admin(_)));
    placed.into_iter().find(|hole| !asked(hole) && !header(hole))
}

/// Whether anything of the secret but the key is proven to be about the key's account.
fn names_account(document: &Document) -> bool {
    let verify = &document.verify;
    let shown = document.credential.templates().into_iter();
    let told = verify.expect.values().filter_map(serde_json::Value::as_str);
    let mut all: Vec<Hole> = shown.chain(told).flat_map(read).collect();
    all.extend(holes(&verify.parts()));
    let fields = all.iter().filter_map(|hole| match hole {
        Hole::Secret(Some(field)) => Some(field),
        _ => None,
    });
    let mut others = fields.filter(|field| **field != document.secret.key);
    others.any(|field| proven(field, document))
}

#[cfg(test)]
mod tests {
    use super::unproven_choice;
    use crate::{SHIPPED, Specification};

    #[test]
    fn rule_08_of_several_admins_a_secret_chooses_none_whose_account_nothing_proves() {
        let refused =
            |text: &str| unproven_choice(&Specification::read(text).unwrap().document).is_some();
        let names: Vec<&str> =
            SHIPPED.iter().filter(|(_, text)| refused(text)).map(|(name, _)| *name).collect();
        assert_eq!(
            names,
            [
                "fastly-user-token",
                "hcp-terraform-team-token",
                "launchdarkly-sdk-key",
                "openai-service-account"
            ]
        );
        let team = include_str!("../../../specs/hcp-terraform-team-token.toml");
        let bound = team.replace("/account/details\"", "/account/details\"\nid = \"/data/id\"");
        assert!(!refused(&bound));
        let trusted = "[issue]\ntrusted_fields = [\"masterarn\"]";
        assert!(!refused(&team.replace("[issue]", trusted)));
        let reset = include_str!("../../../specs/vault-userpass.toml");
        assert!(!refused(reset));
        let path = "/auth/userpass/users/{secret.username}/password";
        assert!(reset.contains(path));
        let mounted = reset.replace(path, "/auth/{admin.mount}/users/{secret.username}/password");
        assert!(refused(&mounted));
    }

    #[test]
    fn rule_08_of_several_admins_a_secret_chooses_none_that_says_where_a_key_is_made() {
        let refused =
            |text: &str| unproven_choice(&Specification::read(text).unwrap().document).is_some();
        let domain = include_str!("../../../specs/mailgun-sending-key.toml");
        let listed = ", domain_name = \"{admin.domain}\" }";
        assert!(domain.contains(listed) && !refused(domain));
        // The list of the account has the keys of all its domains.
        assert!(refused(&domain.replace(listed, " }")));
        let header = include_str!("../../../specs/datadog-api-key.toml");
        let shown = "headers = { DD-APPLICATION-KEY = \"{admin.application_key}\" }\n";
        assert!(header.matches(shown).count() == 3 && !refused(header));
        let (first, rest) = header.split_once("[list]").unwrap();
        assert!(refused(&format!("{first}[list]{}", rest.replacen(shown, "", 1))));
    }

    #[test]
    fn rule_08_a_header_that_verify_shows_proves_no_account() {
        let refused =
            |text: &str| unproven_choice(&Specification::read(text).unwrap().document).is_some();
        let rolled = include_str!("../../../specs/launchdarkly-sdk-key.toml");
        let with = |more: &str| rolled.replace("[verify]\n", &format!("[verify]\n{more}\n"));
        assert!(refused(&with("headers = { X-Team = \"{secret.team}\" }")));
        assert!(!refused(&with("query = { team = \"{secret.team}\" }")));
        assert!(!refused(&with("expect = { \"/team\" = \"{secret.team}\" }")));
    }
}
