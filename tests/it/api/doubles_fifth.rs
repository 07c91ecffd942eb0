//! The doubles of JupyterHub and PocketBase, which are run as well: what these doubles answer was read off
//! the servers.

use fourstep_testing::{Asked, DoubleKey, DoubleKeys, Told};
use serde_json::{Value, json};

use super::doubles::{issued, moment, name, rights, told};
use super::support::ADMIN;

/// A user's tokens, each with its scopes, made by a service.
pub fn jupyterhub(keys: &mut DoubleKeys, asked: &Asked) -> Told {
    let refused = |status, message| told(status, json!({"status": status, "message": message}));
    let shown = |keys: &DoubleKeys, key: &DoubleKey| {
        json!({"user": "alice", "id": key.id, "kind": "api_token", "roles": [], "note": name(key),
            "scopes": rights(keys, &key.id, json!([])), "created": moment(key.created),
            "expires_at": null, "last_activity": null, "oauth_client": "JupyterHub"})
    };
    match (asked.method.as_str(), asked.segments().split_off(2).as_slice()) {
        ("GET", ["user"]) => match keys.lets_in(asked.bearer()) {
            Some(id) => told(200, json!({"kind": "user", "name": "alice", "token_id": id})),
            None => refused(403, "Forbidden"),
        },
        _ if asked.bearer() != ADMIN => refused(403, "Forbidden"),
        (_, ["users", user, ..]) if *user != "alice" => refused(404, "No such user"),
        ("POST", ["users", _, "tokens"]) => {
            let body = asked.json();
            assert!(body["expires_in"].as_u64().is_some_and(|seconds| seconds > 0), "{body}");
            let key = issued(keys, body["note"].as_str());
            keys.grant(&key.id, body["scopes"].to_string());
            let mut body = shown(keys, &key);
            body["token"] = key.value.into();
            told(201, body)
        }
        ("GET", ["users", _, "tokens"]) => {
            let listed = keys.list();
            let all: Vec<Value> = listed.iter().map(|key| shown(keys, key)).collect();
            told(200, json!({"api_tokens": all}))
        }
        ("GET", ["users", _, "tokens", id]) => {
            match keys.all().find(|key| key.id == *id).cloned() {
                Some(key) => told(200, shown(keys, &key)),
                None => refused(404, "No such token"),
            }
        }
        ("DELETE", ["users", _, "tokens", id]) => match keys.revoke(id) {
            true => Told::new(204, ""),
            false => refused(404, "No such token"),
        },
        other => panic!("JupyterHub has no {other:?}"),
    }
}

/// Users, who are keys with their emails.
pub fn pocketbase(keys: &mut DoubleKeys, asked: &Asked) -> Told {
    let refused = |status, data: Value| told(status, json!({"status": status, "data": data}));
    let shown = |key: &DoubleKey| json!({"id": key.id, "email": name(key), "verified": true, "collectionName": "users"});
    match (asked.method.as_str(), asked.segments().split_off(3).as_slice()) {
        ("POST", ["auth-with-password"]) => {
            let body = asked.json();
            let own = keys.lets_in(body["password"].as_str().unwrap());
            let of =
                |key: &&DoubleKey| own.as_ref() == Some(&key.id) && name(key) == body["identity"];
            match keys.all().find(of) {
                Some(key) => told(200, json!({"record": shown(key), "token": "a.b.c"})),
                None => refused(400, json!({})),
            }
        }
        ("GET", ["records"]) => {
            let filter = &asked.query["filter"];
            let of = |key: &&DoubleKey| {
                let email = key.name.as_deref().unwrap_or_default().replace('@', "%40");
                asked.bearer() == ADMIN && *filter == format!("email%3D%27{email}%27")
            };
            let items: Vec<Value> = keys.all().filter(of).map(shown).collect();
            told(200, json!({"page": 1, "perPage": 30, "totalItems": items.len(), "items": items}))
        }
        ("PATCH", ["records", id]) if asked.bearer() == ADMIN => {
            let body = asked.json();
            let Some(key) = keys.all().find(|key| key.id == *id).cloned() else {
                return refused(404, json!({}));
            };
            assert_eq!(body["password"], body["passwordConfirm"]);
            let new = body["password"].as_str().unwrap();
            if name(&key) != body["email"] {
                return refused(400, json!({"email": {"code": "validation_not_unique"}}));
            }
            if new.len() < 8 {
                return refused(
                    400,
                    json!({"password": {"code": "validation_min_text_constraint"}}),
                );
            }
            assert!(keys.update(&key.value, new));
            told(200, shown(&key))
        }
        ("PATCH", ["records", _]) => refused(404, json!({})),
        other => panic!("PocketBase has no {other:?}"),
    }
}
