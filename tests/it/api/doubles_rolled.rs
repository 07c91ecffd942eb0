//! The doubles of vendors whose values are made anew or set in place. A slot is a key of that name.

use fourstep_testing::{Asked, DoubleKeys, Told};
use serde_json::{Value, json};

use super::doubles::told;
use super::support::{ADMIN, basic};

/// What stands in a slot; one that a person made anew holds what nobody was told.
fn standing(keys: &DoubleKeys, slot: &str) -> Value {
    let key = keys.all().find(|key| key.name.as_deref() == Some(slot));
    key.map_or_else(|| json!("made-by-a-person"), |key| json!(key.value))
}

/// Makes the value of a slot anew.
fn roll(keys: &mut DoubleKeys, slot: &str) {
    let old = keys.all().find(|key| key.name.as_deref() == Some(slot)).map(|key| key.id.clone());
    if let Some(old) = old {
        keys.revoke(&old);
    }
    keys.issue(Some(slot)).expect("there is room for what was replaced");
}

/// The token of an app registration for the management of Azure, or the answer to the request for one.
fn azure_token(asked: &Asked) -> Result<(), Told> {
    if asked.path == "/tenant/oauth2/v2.0/token" {
        let form = |name| asked.form(name).unwrap_or_default();
        assert_eq!(form("scope"), "https%3A%2F%2Fmanagement.azure.com%2F.default");
        return Err(match (&*form("client_id"), &*form("client_secret")) {
            ("app", ADMIN) => told(200, json!({"access_token": "managing", "expires_in": 3599})),
            _ => told(401, json!({"error": "invalid_client"})),
        });
    }
    match asked.bearer() {
        "managing" => Ok(()),
        _ => Err(told(401, json!({"error": {"code": "AuthenticationFailed"}}))),
    }
}

const GROUP: [&str; 5] = ["subscriptions", "sub", "resourceGroups", "group", "providers"];

pub fn azure_openai(keys: &mut DoubleKeys, asked: &Asked) -> Told {
    if asked.path == "/openai/models" {
        assert_eq!(asked.query["api-version"], "2024-10-21");
        return match keys.lets_in(asked.header("api-key")) {
            Some(_) => told(200, json!({"object": "list", "data": []})),
            None => told(401, json!({"error": {"code": "401"}})),
        };
    }
    if let Err(answer) = azure_token(asked) {
        return answer;
    }
    let segments = asked.segments();
    let (group, rest) = segments.split_at(5);
    assert_eq!((group, asked.method.as_str()), (&GROUP[..], "POST"));
    match rest {
        ["Microsoft.CognitiveServices", "accounts", "resource", "listKeys"] => {}
        ["Microsoft.CognitiveServices", "accounts", "resource", "regenerateKey"] => {
            let body = asked.json();
            let slot = body["keyName"].as_str().unwrap();
            assert!(["Key1", "Key2"].contains(&slot), "{slot}");
            roll(keys, slot);
        }
        _ => return told(404, json!({"error": {"code": "ResourceNotFound"}})),
    }
    told(200, json!({"key1": standing(keys, "Key1"), "key2": standing(keys, "Key2")}))
}

pub fn azure_ai_search(keys: &mut DoubleKeys, asked: &Asked) -> Told {
    if asked.path == "/servicestats" {
        return match keys.lets_in(asked.header("api-key")) {
            Some(_) => told(200, json!({"counters": {}})),
            None => told(403, json!({"error": {"code": "AuthenticationFailure"}})),
        };
    }
    if let Err(answer) = azure_token(asked) {
        return answer;
    }
    let segments = asked.segments();
    let (group, rest) = segments.split_at(5);
    assert_eq!((group, asked.method.as_str()), (&GROUP[..], "POST"));
    match rest {
        ["Microsoft.Search", "searchServices", "resource", "listAdminKeys"] => {}
        ["Microsoft.Search", "searchServices", "resource", "regenerateAdminKey", slot] => {
            assert!(["primary", "secondary"].contains(slot), "{slot}");
            roll(keys, slot);
        }
        _ => return told(404, json!({"error": {"code": "ResourceNotFound"}})),
    }
    let (primary, secondary) = (standing(keys, "primary"), standing(keys, "secondary"));
    told(200, json!({"primaryKey": primary, "secondaryKey": secondary}))
}

/// One key that is shown; those before it work on.
pub fn launchdarkly_sdk(keys: &mut DoubleKeys, asked: &Asked) -> Told {
    let shown = asked.header("authorization");
    if asked.path == "/sdk/latest-all" {
        return match keys.lets_in(shown) {
            Some(_) => told(200, json!({"flags": {}, "segments": {}})),
            None => told(401, json!({"message": "Unauthorized"})),
        };
    }
    if shown != ADMIN {
        return told(401, json!({"code": "unauthorized"}));
    }
    match (asked.method.as_str(), asked.segments().split_off(2).as_slice()) {
        ("GET", ["projects", "project", "environments", "test"]) => {}
        ("POST", ["projects", "project", "environments", "test", "apiKey"]) => {
            assert!(asked.query["expiry"].parse::<u64>().unwrap() > 1_700_000_000_000);
            keys.issue(None).unwrap();
        }
        other => panic!("LaunchDarkly has no {other:?}"),
    }
    let newest = keys.all().last().map(|key| key.value.clone());
    told(200, json!({"_id": "e", "key": "test", "apiKey": newest, "mobileKey": "mob-x"}))
}

/// A user who changes the own password.
pub fn elasticsearch_password(keys: &mut DoubleKeys, asked: &Asked) -> Told {
    let (user, password) = basic(asked);
    if user != "rotated" || keys.lets_in(&password).is_none() {
        return told(401, json!({"error": {"type": "security_exception"}, "status": 401}));
    }
    match (asked.method.as_str(), asked.path.as_str()) {
        ("GET", "/_security/_authenticate") => told(200, json!({"username": "rotated"})),
        ("POST", "/_security/user/_password") => {
            assert!(keys.update(&password, asked.json()["password"].as_str().unwrap()));
            told(200, json!({}))
        }
        other => panic!("Elasticsearch has no {other:?}"),
    }
}

/// Passwords that a token sets, whatever they were.
pub fn vault_userpass(keys: &mut DoubleKeys, asked: &Asked) -> Told {
    let body = asked.json();
    let password = body["password"].as_str().unwrap_or_default();
    match (asked.method.as_str(), asked.segments().as_slice()) {
        ("POST", ["v1", "auth", "userpass", "login", "rotated"]) => match keys.lets_in(password) {
            Some(_) => told(200, json!({"auth": {"client_token": "a-token-of-the-user"}})),
            None => told(400, json!({"errors": ["invalid username or password"]})),
        },
        ("POST", ["v1", "auth", "userpass", "login", _]) => {
            told(400, json!({"errors": ["invalid username or password"]}))
        }
        _ if asked.header("x-vault-token") != ADMIN => told(403, json!({"errors": ["denied"]})),
        ("POST", ["v1", "auth", "userpass", "users", "rotated", "password"]) => {
            let old = keys.all().next().map(|key| key.value.clone());
            old.map(|old| keys.update(&old, password));
            Told::new(204, "")
        }
        other => panic!("Vault has no {other:?}"),
    }
}
