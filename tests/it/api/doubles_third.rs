//! The doubles of further vendors whose keys live side by side. The specification's file names the
//! documents.

use fourstep_testing::{Asked, DoubleKey, DoubleKeys, Told};
use serde_json::{Value, json};

use super::doubles::{issued, moment, name, rights, told};
use super::doubles_more::milliseconds;
use super::support::ADMIN;

/// The page that a cursor or a number asks for, two keys on each, and whether there are more.
fn page(keys: &mut DoubleKeys, from: usize) -> (Vec<DoubleKey>, bool) {
    let all = keys.list();
    (all.iter().skip(from).take(2).cloned().collect(), all.len() > from + 2)
}

/// Tokens that make one another, each of which knows itself; pages by a moment.
pub fn vercel(keys: &mut DoubleKeys, asked: &Asked) -> Told {
    let shown = |key: &DoubleKey| {
        let (made, end) = (milliseconds(key), milliseconds(key) + 365 * 86_400_000);
        json!({"id": key.id, "name": name(key), "type": "token", "createdAt": made,
            "activeAt": made, "expiresAt": end})
    };
    let Some(own) = keys.lets_in(asked.bearer()) else {
        let error = json!({"code": "forbidden", "message": "Not authorized", "invalidToken": true});
        return told(403, json!({"error": error}));
    };
    match (asked.method.as_str(), asked.segments().as_slice()) {
        ("GET", ["v5", "user", "tokens", "current"]) => {
            let key = keys.all().find(|key| key.id == own).cloned().unwrap();
            told(200, json!({"token": shown(&key)}))
        }
        ("POST", ["v3", "user", "tokens"]) => {
            let body = asked.json();
            assert!(
                body["expiresAt"].as_u64().is_some_and(|end| end > 1_700_000_000_000),
                "{body}"
            );
            let key = issued(keys, body["name"].as_str());
            told(200, json!({"bearerToken": key.value, "token": shown(&key)}))
        }
        ("GET", ["v6", "user", "tokens"]) => {
            let from = asked.query.get("until").map_or(0, |from| from.parse().unwrap());
            let (items, more) = page(keys, from);
            let next = if more { json!(from + 2) } else { Value::Null };
            let items: Vec<Value> = items.iter().map(shown).collect();
            told(200, json!({"tokens": items, "pagination": {"count": 2, "next": next}}))
        }
        ("DELETE", ["v3", "user", "tokens", id]) => match keys.revoke(id) {
            true => told(200, json!({"tokenId": id})),
            false => told(404, json!({"error": {"code": "not_found"}})),
        },
        other => panic!("Vercel has no {other:?}"),
    }
}

/// A team's tokens as JSON:API, which has a type of its own.
pub fn hcp_terraform(keys: &mut DoubleKeys, asked: &Asked) -> Told {
    let refused = || told(401, json!({"errors": [{"status": "401", "title": "unauthorized"}]}));
    let shown = |key: &DoubleKey| {
        json!({"id": key.id, "type": "authentication-tokens", "attributes": {
            "created-at": moment(key.created), "description": name(key), "token": null,
            "expired-at": null}})
    };
    match (asked.method.as_str(), asked.segments().split_off(2).as_slice()) {
        ("GET", ["account", "details"]) => match keys.lets_in(asked.bearer()) {
            Some(_) => told(200, json!({"data": {"id": "user-x", "type": "users"}})),
            None => refused(),
        },
        _ if asked.bearer() != ADMIN => refused(),
        ("POST", ["teams", "team-1", "authentication-tokens"]) => {
            assert_eq!(asked.header("content-type"), "application/vnd.api+json");
            let body = asked.json()["data"].clone();
            assert_eq!(body["type"], "authentication-tokens");
            assert!(
                body["attributes"]["expired-at"].as_str().is_some_and(|end| end.ends_with('Z'))
            );
            let key = issued(keys, body["attributes"]["description"].as_str());
            let mut body = shown(&key);
            body["attributes"]["token"] = key.value.into();
            told(201, json!({"data": body}))
        }
        ("GET", ["teams", "team-1", "authentication-tokens"]) => {
            let number: usize = asked.query["page%5Bnumber%5D"].parse().unwrap();
            let (items, _) = page(keys, (number - 1) * 2);
            told(200, json!({"data": items.iter().map(shown).collect::<Vec<_>>()}))
        }
        ("DELETE", ["authentication-tokens", id]) => match keys.revoke(id) {
            true => Told::new(204, ""),
            false => told(404, json!({"errors": [{"status": "404"}]})),
        },
        other => panic!("HCP Terraform has no {other:?}"),
    }
}

/// Keys that make one another; pages by whole URLs.
pub fn ngrok(keys: &mut DoubleKeys, asked: &Asked) -> Told {
    assert_eq!(asked.header("ngrok-version"), "2");
    if keys.lets_in(asked.bearer()).is_none() {
        return told(401, json!({"error_code": "ERR_NGROK_206", "status_code": 401}));
    }
    let shown = |key: &DoubleKey| {
        json!({"id": key.id, "description": name(key), "created_at": moment(key.created),
            "token": null})
    };
    match (asked.method.as_str(), asked.segments().as_slice()) {
        ("POST", ["api_keys"]) => {
            let key = issued(keys, asked.json()["description"].as_str());
            let mut body = shown(&key);
            body["token"] = key.value.into();
            told(201, body)
        }
        ("GET", ["api_keys"]) => {
            let from = asked.query.get("before_id").map_or(0, |from| from.parse().unwrap());
            let (items, more) = page(keys, from);
            let (host, from) = (asked.header("host"), from + 2);
            let next = more.then(|| format!("http://{host}/api_keys?limit=100&before_id={from}"));
            let items: Vec<Value> = items.iter().map(shown).collect();
            told(200, json!({"keys": items, "uri": "x", "next_page_uri": next}))
        }
        ("DELETE", ["api_keys", id]) => match keys.revoke(id) {
            true => Told::new(204, ""),
            false => told(404, json!({"status_code": 404})),
        },
        other => panic!("ngrok has no {other:?}"),
    }
}

/// Accounts that each have one key; the page after the last is empty.
pub fn openai(keys: &mut DoubleKeys, asked: &Asked) -> Told {
    let refused = || told(401, json!({"error": {"code": "invalid_api_key"}}));
    let shown = |key: &DoubleKey| {
        json!({"id": key.id, "object": "organization.project.service_account", "name": name(key),
            "role": "member", "created_at": milliseconds(key) / 1000})
    };
    match (asked.method.as_str(), asked.segments().split_off(1).as_slice()) {
        ("GET", ["models"]) => match keys.lets_in(asked.bearer()) {
            Some(_) => told(200, json!({"object": "list", "data": []})),
            None => refused(),
        },
        _ if asked.bearer() != ADMIN => refused(),
        ("POST", ["organization", "projects", "proj_1", "service_accounts"]) => {
            let key = issued(keys, asked.json()["name"].as_str());
            let mut body = shown(&key);
            body["api_key"] = json!({"id": "key_x", "value": key.value, "name": "Secret Key"});
            told(200, body)
        }
        ("GET", ["organization", "projects", "proj_1", "service_accounts"]) => {
            let after = asked.query.get("after");
            let at = keys.all().position(|key| after == Some(&key.id));
            let (items, more) = page(keys, at.map_or(0, |at| at + 1));
            let last = items.last().map(|key| key.id.clone());
            let items: Vec<Value> = items.iter().map(shown).collect();
            told(200, json!({"object": "list", "data": items, "has_more": more, "last_id": last}))
        }
        ("DELETE", ["organization", "projects", "proj_1", "service_accounts", id]) => {
            match keys.revoke(id) {
                true => told(200, json!({"id": id, "deleted": true})),
                false => told(404, json!({"error": {"code": "not_found"}})),
            }
        }
        other => panic!("OpenAI has no {other:?}"),
    }
}

/// Keys that know themselves, made by two credentials together.
pub fn datadog(keys: &mut DoubleKeys, asked: &Asked) -> Told {
    let forbidden = || told(403, json!({"errors": ["Forbidden"]}));
    let shown = |key: &DoubleKey| {
        json!({"id": key.id, "type": "api_keys",
            "attributes": {"name": name(key), "created_at": moment(key.created), "last4": "1234"}})
    };
    match (asked.method.as_str(), asked.segments().split_off(2).as_slice()) {
        ("GET", ["validate"]) => match keys.lets_in(asked.header("dd-api-key")) {
            Some(id) => {
                let attributes = json!({"api_key_id": id, "api_key_scopes": [], "valid": true});
                told(
                    200,
                    json!({"data": {"id": "org", "type": "validate_v2", "attributes": attributes}}),
                )
            }
            None => forbidden(),
        },
        _ if asked.header("dd-api-key") != ADMIN => forbidden(),
        _ if asked.header("dd-application-key") != "an-application-key" => forbidden(),
        ("POST", ["api_keys"]) => {
            let body = asked.json()["data"].clone();
            assert_eq!(body["type"], "api_keys");
            let key = issued(keys, body["attributes"]["name"].as_str());
            let mut body = shown(&key);
            body["attributes"]["key"] = key.value.into();
            told(201, json!({"data": body}))
        }
        ("GET", ["api_keys"]) => {
            let number: usize = asked.query["page%5Bnumber%5D"].parse().unwrap();
            let (items, _) = page(keys, number * 2);
            told(200, json!({"data": items.iter().map(shown).collect::<Vec<_>>()}))
        }
        ("DELETE", ["api_keys", id]) => match keys.revoke(id) {
            true => Told::new(204, ""),
            false => told(404, json!({"errors": ["Not Found"]})),
        },
        other => panic!("Datadog has no {other:?}"),
    }
}

/// A user's tokens, made by an administrator; revoked ones stay in the list.
pub fn gitlab_personal(keys: &mut DoubleKeys, asked: &Asked) -> Told {
    let token = asked.header("private-token").to_owned();
    let refused = || told(401, json!({"message": "401 Unauthorized"}));
    let shown = |keys: &DoubleKeys, key: &DoubleKey| {
        let mut body = json!({"id": key.id, "name": name(key), "created_at": moment(key.created),
            "expires_at": "2099-01-01", "user_id": 42, "revoked": !key.active, "active": key.active});
        let granted = rights(keys, &key.id, json!({"scopes": ["read_api"]}));
        body.as_object_mut().unwrap().extend(granted.as_object().unwrap().clone());
        body
    };
    match (asked.method.as_str(), asked.segments().split_off(2).as_slice()) {
        ("GET", ["personal_access_tokens", "self"]) => match keys.lets_in(&token) {
            Some(id) => told(200, json!({"id": id, "active": true, "revoked": false})),
            None => refused(),
        },
        _ if token != ADMIN => refused(),
        ("POST", ["users", "42", "personal_access_tokens"]) => {
            let body = asked.json();
            assert!(body["expires_at"].as_str().is_some_and(|end| end.len() == 10), "{body}");
            let key = issued(keys, body["name"].as_str());
            keys.grant(&key.id, json!({"scopes": body["scopes"]}).to_string());
            let mut body = shown(keys, &key);
            body["token"] = key.value.into();
            told(201, body)
        }
        ("GET", ["personal_access_tokens"]) => {
            assert_eq!((&*asked.query["state"], &*asked.query["user_id"]), ("active", "42"));
            let all = keys.list();
            told(200, all.iter().map(|key| shown(keys, key)).collect())
        }
        ("GET", ["personal_access_tokens", id]) => {
            match keys.all().find(|key| key.id == *id).cloned() {
                Some(key) => told(200, shown(keys, &key)),
                None => told(404, json!({"message": "404 Not Found"})),
            }
        }
        ("DELETE", ["personal_access_tokens", id]) => match keys.revoke(id) {
            true => Told::new(204, ""),
            false => told(404, json!({"message": "404 Not Found"})),
        },
        other => panic!("GitLab has no {other:?}"),
    }
}
