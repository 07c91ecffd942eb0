//! What each vendor's documents say that it answers. The specification's file names the documents.

use std::time::SystemTime;

use fourstep_testing::{Asked, DoubleKey, DoubleKeys, Told};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::{Rfc2822, Rfc3339};

use super::support::{ADMIN, basic};

pub(super) fn told(status: u16, body: Value) -> Told {
    Told::json(status, body.to_string())
}

pub(super) fn moment(created: SystemTime) -> String {
    OffsetDateTime::from(created).format(&Rfc3339).unwrap()
}

pub(super) fn name(key: &DoubleKey) -> Value {
    key.name.clone().map_or(Value::Null, Value::String)
}

/// What a key may do.
pub(super) fn rights(keys: &DoubleKeys, id: &str, usual: Value) -> Value {
    let key = keys.all().find(|key| key.id == id);
    key.and_then(|key| serde_json::from_str(&key.rights).ok()).unwrap_or(usual)
}

/// A limit that nobody is told of would be a defect of the test.
pub(super) fn issued(keys: &mut DoubleKeys, name: Option<&str>) -> DoubleKey {
    keys.issue(name).expect("these doubles have no limit")
}

/// Named keys, listed without a moment; a hundred of them.
pub fn sendgrid(keys: &mut DoubleKeys, asked: &Asked) -> Told {
    let refused = || told(401, json!({"errors": [{"message": "authorization required"}]}));
    match (asked.method.as_str(), asked.segments().as_slice()) {
        // SG, the id, and what is secret.
        ("GET", ["v3", "scopes"]) => match keys.lets_in(asked.bearer().rsplit('.').next().unwrap())
        {
            Some(_) => told(200, json!({"scopes": ["mail.send"]})),
            None => refused(),
        },
        (_, ["v3", "api_keys", ..]) if asked.bearer() != ADMIN => refused(),
        ("POST", ["v3", "api_keys"]) => {
            let body = asked.json();
            let Some(key) = keys.issue(body["name"].as_str()) else {
                return told(403, json!({"errors": [{"message": "maximum number of keys"}]}));
            };
            let scopes = &body["scopes"];
            keys.grant(&key.id, scopes.to_string());
            told(
                201,
                json!({"api_key": format!("SG.{}.{}", key.id, key.value), "api_key_id": key.id, "name": key.name,
                "scopes": scopes}),
            )
        }
        ("GET", ["v3", "api_keys"]) => {
            let all = keys.list();
            let all = all.iter().map(|key| json!({"name": name(key), "api_key_id": key.id}));
            told(200, json!({"result": all.collect::<Vec<_>>()}))
        }
        ("GET", ["v3", "api_keys", id]) if keys.all().any(|key| key.id == *id) => {
            told(200, json!({"api_key_id": id, "scopes": rights(keys, id, json!(["mail.send"]))}))
        }
        ("DELETE", ["v3", "api_keys", id]) => match keys.revoke(id) {
            true => Told::new(204, ""),
            false => told(404, json!({"errors": [{"message": "unable to find API Key"}]})),
        },
        other => panic!("SendGrid has no {other:?}"),
    }
}

/// Tokens with policies, two on a page so that there are pages.
pub fn cloudflare(keys: &mut DoubleKeys, asked: &Asked) -> Told {
    let said = |status, result: Value| {
        told(
            status,
            json!({"success": status == 200, "errors": [], "messages": [],
            "result": result}),
        )
    };
    match (asked.method.as_str(), asked.segments().as_slice()) {
        ("GET", [.., "tokens", "verify"]) => match keys.lets_in(asked.bearer()) {
            Some(id) => said(200, json!({"id": id, "status": "active"})),
            None => said(401, Value::Null),
        },
        _ if asked.bearer() != ADMIN => said(403, Value::Null),
        ("POST", [.., "tokens"]) => {
            let body = asked.json();
            let key = issued(keys, body["name"].as_str());
            let mut granted = body.clone();
            granted.as_object_mut().unwrap().remove("name");
            keys.grant(&key.id, granted.to_string());
            said(200, json!({"id": key.id, "value": key.value, "status": "active"}))
        }
        ("GET", [.., "tokens"]) => {
            let page: usize = asked.query["page"].parse().unwrap();
            let all = keys.list();
            let page = all.chunks(2).nth(page - 1).unwrap_or_default().iter().map(
                |key| json!({"id": key.id, "name": name(key), "issued_on": moment(key.created)}),
            );
            said(200, page.collect::<Vec<_>>().into())
        }
        ("GET", [.., "tokens", id]) if keys.all().any(|key| key.id == *id) => {
            let mut token = rights(keys, id, json!({"policies": [{"effect": "allow"}]}));
            token["id"] = json!(id);
            said(200, token)
        }
        ("DELETE", [.., "tokens", id]) => match keys.revoke(id) {
            true => said(200, json!({"id": id})),
            false => said(404, Value::Null),
        },
        other => panic!("Cloudflare has no {other:?}"),
    }
}

/// An app's client secrets: two at most, no names, and switched off before they are deleted.
pub fn okta(keys: &mut DoubleKeys, asked: &Asked) -> Told {
    let error = |status, code: &str| told(status, json!({"errorCode": code}));
    if asked.path == "/oauth2/v1/introspect" {
        assert_eq!(asked.form("token").as_deref(), Some("none"));
        let (client, secret) = basic(asked);
        return match keys.lets_in(&secret) {
            Some(_) if client == "0oaclient" => told(200, json!({"active": false})),
            _ => told(401, json!({"error": "invalid_client"})),
        };
    }
    if asked.header("authorization") != format!("SSWS {ADMIN}") {
        return error(401, "E0000011");
    }
    let shown = |key: &DoubleKey| {
        json!({"id": key.id, "client_secret": key.value, "created": moment(key.created),
            "status": if key.active { "ACTIVE" } else { "INACTIVE" }})
    };
    match (asked.method.as_str(), asked.segments().split_off(2).as_slice()) {
        ("POST", ["apps", "0oaclient", "credentials", "secrets"]) => match keys.issue(None) {
            Some(key) => told(201, shown(&key)),
            None => error(400, "E0000001"),
        },
        ("GET", ["apps", "0oaclient", "credentials", "secrets"]) => {
            told(200, keys.list().iter().map(shown).collect())
        }
        ("GET", ["apps", "0oaclient", "credentials", "secrets", id]) => {
            match keys.all().find(|key| key.id == *id) {
                Some(key) => told(200, shown(key)),
                None => error(404, "E0000007"),
            }
        }
        ("POST", [.., "secrets", id, "lifecycle", "deactivate"])
            if keys.all().any(|key| key.id == *id && !key.active) =>
        {
            error(400, "E0000001")
        }
        ("POST", [.., "secrets", id, "lifecycle", "deactivate"]) => match keys.deactivate(id) {
            true => told(200, json!({"status": "INACTIVE"})),
            false => error(404, "E0000007"),
        },
        ("DELETE", [.., "secrets", id]) => {
            let active = keys.all().any(|key| key.id == *id && key.active);
            match !active && keys.revoke(id) {
                true => Told::new(204, ""),
                false if active => error(403, "E0000001"),
                false => error(404, "E0000007"),
            }
        }
        other => panic!("Okta has no {other:?}"),
    }
}

/// An app that changes its own client secrets, by tokens that it gets for them.
pub fn entra(keys: &mut DoubleKeys, asked: &Asked) -> Told {
    if asked.path == "/tenant/oauth2/v2.0/token" {
        let form = |name| asked.form(name).unwrap_or_default();
        assert_eq!(form("grant_type"), "client_credentials");
        assert_eq!(form("scope"), "https%3A%2F%2Fgraph.microsoft.com%2F.default");
        assert_eq!(form("client_id"), "app");
        let secret = form("client_secret");
        return match keys.lets_in(&secret) {
            Some(_) => told(
                200,
                json!({"token_type": "Bearer", "expires_in": 3599,
                "access_token": format!("token-for-{secret}")}),
            ),
            None => told(401, json!({"error": "invalid_client", "error_codes": [7000215]})),
        };
    }
    let secret = asked.bearer().strip_prefix("token-for-").unwrap_or_default();
    if keys.lets_in(secret).is_none() {
        return told(401, json!({"error": {"code": "InvalidAuthenticationToken"}}));
    }
    let credential = |key: &DoubleKey| {
        json!({"keyId": key.id, "displayName": name(key), "hint": "val", "secretText": null,
            "startDateTime": moment(key.created)})
    };
    match (asked.method.as_str(), asked.segments().split_off(1).as_slice()) {
        ("GET", ["applications", "object"]) if asked.query["%24select"] == "id" => {
            told(200, json!({"id": "object"}))
        }
        ("GET", ["applications", "object"]) => {
            let all: Vec<Value> = keys.list().iter().map(credential).collect();
            told(200, json!({"passwordCredentials": all}))
        }
        ("POST", ["applications", "object", "addPassword"]) => {
            let body = asked.json();
            let key = issued(keys, body["passwordCredential"]["displayName"].as_str());
            let mut shown = credential(&key);
            shown["secretText"] = key.value.into();
            told(200, shown)
        }
        ("POST", ["applications", "object", "removePassword"]) => {
            match keys.revoke(asked.json()["keyId"].as_str().unwrap()) {
                true => Told::new(204, ""),
                false => told(400, json!({"error": {"code": "Request_BadRequest"}})),
            }
        }
        other => panic!("Microsoft Graph has no {other:?}"),
    }
}

/// A user who changes a password by naming the old one.
pub fn grafana(keys: &mut DoubleKeys, asked: &Asked) -> Told {
    let (user, password) = basic(asked);
    if user != "rotated" || keys.lets_in(&password).is_none() {
        return told(401, json!({"message": "Invalid username or password"}));
    }
    match (asked.method.as_str(), asked.path.as_str()) {
        ("GET", "/api/user") => told(200, json!({"login": "rotated"})),
        ("PUT", "/api/user/password") => {
            let body = asked.json();
            let [old, new] = ["oldPassword", "newPassword"].map(|one| body[one].as_str().unwrap());
            match keys.update(old, new) {
                true => told(200, json!({"message": "User password changed"})),
                false => told(401, json!({"message": "Invalid old password"})),
            }
        }
        other => panic!("Grafana has no {other:?}"),
    }
}

/// Authorizations with a description.
pub fn influxdb(keys: &mut DoubleKeys, asked: &Asked) -> Told {
    let token = asked.header("authorization").strip_prefix("Token ").unwrap_or_default();
    let refused = || told(401, json!({"code": "unauthorized"}));
    let shown = |key: &DoubleKey| {
        json!({"id": key.id, "token": key.value, "status": "active",
            "description": name(key), "createdAt": moment(key.created)})
    };
    match (asked.method.as_str(), asked.segments().split_off(2).as_slice()) {
        ("GET", ["buckets"]) => match keys.lets_in(token) {
            Some(_) => told(200, json!({"buckets": []})),
            None => refused(),
        },
        _ if token != ADMIN => refused(),
        ("POST", ["authorizations"]) => {
            let body = asked.json();
            assert_eq!(body["orgID"], "org");
            let key = issued(keys, body["description"].as_str());
            keys.grant(&key.id, body["permissions"].to_string());
            told(201, shown(&key))
        }
        ("GET", ["authorizations"]) => {
            assert_eq!(asked.query["orgID"], "org");
            let all: Vec<Value> = keys.list().iter().map(shown).collect();
            told(200, json!({"authorizations": all}))
        }
        ("GET", ["authorizations", id]) => match keys.all().find(|key| key.id == *id) {
            Some(key) => {
                let mut body = shown(key);
                body["orgID"] = "org".into();
                body["permissions"] = rights(keys, id, json!([{"action": "read"}]));
                told(200, body)
            }
            None => told(404, json!({"code": "not found"})),
        },
        ("DELETE", ["authorizations", id]) => match keys.revoke(id) {
            true => Told::new(204, ""),
            false => told(404, json!({"code": "not found"})),
        },
        other => panic!("InfluxDB has no {other:?}"),
    }
}

/// Keys with a friendly name, made by forms, listed by pages that link to one another.
pub fn twilio(keys: &mut DoubleKeys, asked: &Asked) -> Told {
    let (sid, secret) = basic(asked);
    let error = |status| told(status, json!({"status": status, "code": 20003}));
    let shown = |key: &DoubleKey| {
        let created = OffsetDateTime::from(key.created).format(&Rfc2822).unwrap();
        json!({"sid": key.id, "friendly_name": name(key), "date_created": created})
    };
    let segments = asked.segments();
    match (asked.method.as_str(), segments.get(1..).unwrap_or_default()) {
        ("GET", ["Accounts", "AC1", "Messages.json"]) => match keys.lets_in(&secret) {
            Some(id) if id == sid => told(200, json!({"messages": []})),
            _ => error(401),
        },
        _ if (sid.as_str(), secret.as_str()) != ("SKmain", ADMIN) => error(401),
        ("POST", ["Accounts", "AC1", "Keys.json"]) => {
            let key = issued(keys, asked.form("FriendlyName").as_deref());
            let mut body = shown(&key);
            body["secret"] = key.value.into();
            told(201, body)
        }
        ("GET", ["Accounts", "AC1", "Keys.json"]) => {
            let page: usize = asked.query.get("Page").map_or(0, |page| page.parse().unwrap());
            let all = keys.list();
            let mut pages = all.chunks(2).skip(page);
            let items: Vec<Value> = pages.next().unwrap_or_default().iter().map(shown).collect();
            let next = pages.next().map(|_| {
                let page = page + 1;
                format!("/2010-04-01/Accounts/AC1/Keys.json?PageSize=2&Page={page}")
            });
            told(200, json!({"keys": items, "next_page_uri": next}))
        }
        ("DELETE", ["Accounts", "AC1", "Keys", id]) => {
            match keys.revoke(id.strip_suffix(".json").unwrap()) {
                true => Told::new(204, ""),
                false => error(404),
            }
        }
        other => panic!("Twilio has no {other:?}"),
    }
}
