//! The doubles of more vendors. The specification's file names the documents.

use fourstep_testing::{Asked, DoubleKey, DoubleKeys, Told};
use serde_json::{Value, json};

use super::doubles::{issued, moment, name, rights, told};
use super::support::{ADMIN, basic};

pub(super) fn milliseconds(key: &DoubleKey) -> u64 {
    let since = key.created.duration_since(std::time::UNIX_EPOCH).unwrap();
    u64::try_from(since.as_millis()).unwrap()
}

/// Tokens of a project or a group: revoked ones stay in the list, and pages are linked in a header.
pub fn gitlab(keys: &mut DoubleKeys, asked: &Asked) -> Told {
    let token = asked.header("private-token").to_owned();
    let shown = |keys: &DoubleKeys, key: &DoubleKey| {
        let granted = rights(keys, &key.id, json!({"scopes": ["read_api"], "access_level": 20}));
        let mut body = json!({"id": key.id, "name": name(key), "created_at": moment(key.created),
            "revoked": !key.active, "active": key.active});
        body.as_object_mut().unwrap().extend(granted.as_object().unwrap().clone());
        body
    };
    let refused = || told(401, json!({"message": "401 Unauthorized"}));
    let segments = asked.segments().split_off(2);
    match (asked.method.as_str(), segments.as_slice()) {
        ("GET", ["personal_access_tokens", "self"]) => match keys.lets_in(&token) {
            Some(id) => told(200, json!({"id": id, "active": true, "revoked": false})),
            None => refused(),
        },
        _ if token != ADMIN => refused(),
        ("POST", ["projects" | "groups", "7", "access_tokens"]) => {
            let body = asked.json();
            assert!(body["expires_at"].as_str().is_some_and(|end| end.len() == 10), "{body}");
            let key = issued(keys, body["name"].as_str());
            let granted = json!({"scopes": body["scopes"], "access_level": body["access_level"]});
            keys.grant(&key.id, granted.to_string());
            let mut body = shown(keys, &key);
            body["token"] = key.value.into();
            told(201, body)
        }
        ("GET", ["projects" | "groups", "7", "access_tokens"]) => {
            assert_eq!((&*asked.query["state"], &*asked.query["per_page"]), ("active", "100"));
            let page: usize = asked.query.get("page").map_or(1, |page| page.parse().unwrap());
            let all = keys.list();
            let mut pages = all.chunks(2).skip(page - 1);
            let items = pages.next().unwrap_or_default().iter();
            let items: Vec<Value> = items.map(|key| shown(keys, key)).collect();
            let answer = told(200, items.into());
            match pages.next() {
                Some(_) => {
                    let host = asked.header("host");
                    let (path, page) = (&asked.path, page + 1);
                    let link =
                        format!("<http://{host}{path}?state=active&per_page=100&page={page}>");
                    answer.with("link", &format!("{link}; rel=\"next\", <http://x/>; rel=\"last\""))
                }
                None => answer,
            }
        }
        ("GET", ["projects" | "groups", "7", "access_tokens", id]) => {
            match keys.all().find(|key| key.id == *id).cloned() {
                Some(key) => told(200, shown(keys, &key)),
                None => told(404, json!({"message": "404 Not Found"})),
            }
        }
        ("DELETE", ["projects" | "groups", "7", "access_tokens", id]) => match keys.revoke(id) {
            true => Told::new(204, ""),
            false => told(404, json!({"message": "404 Not Found"})),
        },
        other => panic!("GitLab has no {other:?}"),
    }
}

/// Keys that are shown whole, and invalidated by a request with a body.
pub fn elasticsearch(keys: &mut DoubleKeys, asked: &Asked) -> Told {
    let refused = || told(401, json!({"error": {"type": "security_exception"}, "status": 401}));
    if asked.path == "/_security/_authenticate" {
        let key = asked.header("authorization").strip_prefix("ApiKey ").unwrap_or_default();
        return match keys.lets_in(key) {
            Some(id) => told(
                200,
                json!({"username": "rotator", "authentication_type": "api_key",
                "api_key": {"id": id, "name": "one"}}),
            ),
            None => refused(),
        };
    }
    if basic(asked) != ("rotator".to_owned(), ADMIN.to_owned()) {
        return refused();
    }
    assert_eq!(asked.path, "/_security/api_key");
    match asked.method.as_str() {
        "POST" => {
            let body = asked.json();
            let key = issued(keys, body["name"].as_str());
            keys.grant(&key.id, body["role_descriptors"].to_string());
            told(200, json!({"id": key.id, "name": key.name, "api_key": "x", "encoded": key.value}))
        }
        "GET" => {
            let id = asked.query.get("id");
            let all = keys.list();
            let found: Vec<Value> = all
                .iter()
                .filter(|key| id.is_none_or(|id| *id == key.id))
                .map(|key| {
                    json!({"id": key.id, "name": name(key), "creation": milliseconds(key),
                        "invalidated": false,
                        "role_descriptors": rights(keys, &key.id, json!({"r": {"cluster": ["monitor"]}}))})
                })
                .collect();
            match id.is_some() && found.is_empty() {
                true => told(404, json!({"api_keys": []})),
                false => told(200, json!({"api_keys": found})),
            }
        }
        "DELETE" => {
            let body = asked.json();
            let id = body["ids"][0].as_str().unwrap();
            match keys.revoke(id) {
                true => told(
                    200,
                    json!({"invalidated_api_keys": [id],
                    "previously_invalidated_api_keys": [], "error_count": 0}),
                ),
                false => told(404, json!({"invalidated_api_keys": [], "error_count": 0})),
            }
        }
        other => panic!("Elasticsearch has no {other:?}"),
    }
}

/// Tokens with roles; the caller is told which one it shows.
pub fn launchdarkly(keys: &mut DoubleKeys, asked: &Asked) -> Told {
    let token = asked.header("authorization").to_owned();
    let refused = || told(401, json!({"code": "unauthorized"}));
    let shown = |keys: &DoubleKeys, key: &DoubleKey| {
        let mut body = json!({"_id": key.id, "name": name(key), "creationDate": milliseconds(key)});
        let granted = rights(keys, &key.id, json!({"role": "reader"}));
        body.as_object_mut().unwrap().extend(granted.as_object().unwrap().clone());
        body
    };
    match (asked.method.as_str(), asked.segments().split_off(2).as_slice()) {
        ("GET", ["caller-identity"]) => match keys.lets_in(&token) {
            Some(id) => told(200, json!({"accountId": "a", "authKind": "token", "tokenId": id})),
            None => refused(),
        },
        _ if token != ADMIN => refused(),
        ("POST", ["tokens"]) => {
            let mut granted = asked.json();
            let key = issued(keys, granted["name"].as_str());
            granted.as_object_mut().unwrap().remove("name");
            keys.grant(&key.id, granted.to_string());
            let mut body = shown(keys, &key);
            body["token"] = key.value.into();
            told(201, body)
        }
        ("GET", ["tokens"]) => {
            let from: usize = asked.query.get("offset").map_or(0, |from| from.parse().unwrap());
            let all = keys.list();
            let items = all.iter().skip(from).take(2).map(|key| shown(keys, key));
            let items: Vec<Value> = items.collect();
            told(200, json!({"items": items}))
        }
        ("GET", ["tokens", id]) => match keys.all().find(|key| key.id == *id).cloned() {
            Some(key) => told(200, shown(keys, &key)),
            None => told(404, json!({"code": "not_found"})),
        },
        ("DELETE", ["tokens", id]) => match keys.revoke(id) {
            true => Told::new(204, ""),
            false => told(404, json!({"code": "not_found"})),
        },
        other => panic!("LaunchDarkly has no {other:?}"),
    }
}

/// A person's keys, which make one another.
pub fn neon(keys: &mut DoubleKeys, asked: &Asked) -> Told {
    if keys.lets_in(asked.bearer()).is_none() {
        return told(401, json!({"code": "", "message": "authentication required"}));
    }
    match (asked.method.as_str(), asked.segments().split_off(2).as_slice()) {
        ("POST", ["api_keys"]) => {
            let key = issued(keys, asked.json()["key_name"].as_str());
            told(
                200,
                json!({"id": key.id, "key": key.value, "name": key.name,
                "created_at": moment(key.created)}),
            )
        }
        ("GET", ["api_keys"]) => {
            let all = keys.list();
            let all = all.iter().map(
                |key| json!({"id": key.id, "name": name(key), "created_at": moment(key.created)}),
            );
            told(200, all.collect())
        }
        ("DELETE", ["api_keys", id]) => match keys.revoke(id) {
            true => told(200, json!({"id": id, "revoked": true})),
            false => told(404, json!({"message": "not found"})),
        },
        other => panic!("Neon has no {other:?}"),
    }
}
