//! Whose account an admin's power changes: the one whose key was shown, and no other that the secret
//! names.

use fourstep::ErrorKind;
use fourstep_testing::{Asked, Double, DoubleKeys, Told};
use serde_json::json;

use super::support::{ADMIN, Place};
use super::updater::percent_decoded;

/// A password that is set by a form in which the admin's token stands: nobody shows a credential.
const FORM: &str = r#"
name = "A password that a form sets"
documents = ["none"]
read_on = "2026-11-22"
base_url = "https://plain.example"

[secret]
key = "password"

[credential]
basic = { username = "{secret.username}", password = "{secret.password}" }

[admin]
bearer = "{admin.token}"

[verify]
method = "GET"
path = "/me"
ok = [200]

[update]
method = "POST"
path = "/passwords"
by = "nobody"
form = { admin_token = "{admin.token}", user = "{secret.username}", old = "{secret.password}", new = "{new.password}" }
ok = [204]
"#;

/// Looks at the admin's token, and not at the old password beside it.
fn form(keys: &mut DoubleKeys, asked: &Asked) -> Told {
    let (_, password) = super::support::basic(asked);
    let admin = asked.form("admin_token").is_some_and(|token| token == ADMIN);
    match asked.method.as_str() {
        "POST" if admin => {
            let value = keys.all().next().unwrap().value.clone();
            assert!(keys.update(&value, &percent_decoded(&asked.form("new").unwrap())));
            Told::new(204, "")
        }
        "GET" if keys.lets_in(&password).is_some() => Told::json(200, "{}"),
        _ => Told::json(401, "{}"),
    }
}

#[tokio::test]
async fn rule_08_an_admins_token_in_the_body_resets_no_account_without_proof() {
    for (spec, right) in [
        (FORM.to_owned(), false),
        (FORM.replace("by = \"nobody\"", "by = \"credential\""), false),
        (FORM.to_owned(), true),
    ] {
        let double = Double::start(form).await.unwrap();
        let key = double.arrange(None);
        let value = if right { key.value.as_str() } else { "i do not know it" };
        let secret = json!({"username": "victim", "password": value}).to_string();
        let place = Place::new(&spec.replace("https://plain.example", &double.url()), &secret);
        let ended = place.rotate(1).await;
        assert_eq!(
            ended.as_ref().err().map(|error| error.kind()),
            match right {
                true => None,
                false => Some(ErrorKind::Rejected),
            }
        );
        assert_eq!(double.works(&key.value), !right);
        assert_eq!(double.asked().contains(&"POST /passwords".to_owned()), right);
    }
}

/// A token that an admin sets for the user whose id stands beside it.
const BESIDE: &str = r#"
name = "A token of a user"
documents = ["none"]
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
ok = [200]

[update]
method = "PUT"
path = "/users/{secret.user_id}/token"
by = "admin"
json = { value = "{new.token}" }
ok = [204]
"#;

/// Says to a token whose it is, and sets for an admin the token of the user in the path.
fn beside(keys: &mut DoubleKeys, asked: &Asked) -> Told {
    match (asked.method.as_str(), asked.segments().as_slice()) {
        ("GET", ["me"]) => match keys.lets_in(asked.bearer()) {
            Some(id) => Told::json(200, json!({"id": id}).to_string()),
            None => Told::json(401, "{}"),
        },
        ("PUT", ["users", id, "token"]) if asked.bearer() == ADMIN => {
            let old = keys.all().find(|key| key.id == *id).unwrap().value.clone();
            assert!(keys.update(&old, asked.json()["value"].as_str().unwrap()));
            Told::new(204, "")
        }
        other => panic!("there is no {other:?}"),
    }
}

#[tokio::test]
async fn rule_08_a_working_token_of_ones_own_gets_no_other_account_reset() {
    let compared = BESIDE
        .replace("key = \"token\"", "key = \"token\"\nid = \"user_id\"")
        .replace("ok = [200]", "ok = [200]\nid = \"/id\"");
    let told =
        BESIDE.replace("ok = [200]", "ok = [200]\nexpect = { \"/id\" = \"{secret.user_id}\" }");
    for (spec, victims, ends) in [
        (BESIDE, true, Some(ErrorKind::Malformed)),
        (&compared, true, Some(ErrorKind::Mismatch)),
        (&compared, false, None),
        (&told, true, Some(ErrorKind::Mismatch)),
        (&told, false, None),
    ] {
        let double = Double::start(beside).await.unwrap();
        let (own, victim) = (double.arrange(None), double.arrange(None));
        let named = if victims { &victim.id } else { &own.id };
        let secret = json!({"user_id": named, "token": own.value}).to_string();
        let place = Place::new(&spec.replace("https://plain.example", &double.url()), &secret);
        assert_eq!(place.rotate(1).await.err().map(|error| error.kind()), ends);
        assert!(double.works(&victim.value));
        assert_eq!(double.works(&own.value), ends.is_some());
    }
}
