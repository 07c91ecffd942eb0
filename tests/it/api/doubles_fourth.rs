//! The doubles of vendors that take forms, and of RabbitMQ, where two users take turns. The specification's file names the documents.

use fourstep_testing::{Asked, DoubleKey, DoubleKeys, Told};
use serde_json::{Value, json};

use super::doubles::{issued, moment, name, rights, told};
use super::support::{ADMIN, basic};

/// A field of a form, as it was sent.
fn field(asked: &Asked, name: &str) -> String {
    asked.form(name).unwrap_or_default()
}

/// What the double knows of a key, which ends with its id.
fn mailgun_key(keys: &DoubleKeys, shown: &str) -> String {
    let ends = |key: &&DoubleKey| shown.ends_with(&format!("-{}", key.id));
    let id = keys.all().find(ends).map(|key| format!("-{}", key.id)).unwrap_or_default();
    shown.strip_suffix(&id).unwrap_or(shown).to_owned()
}

/// Sending keys of a domain; moments have no offset.
pub fn mailgun(keys: &mut DoubleKeys, asked: &Asked) -> Told {
    let without_offset = |key: &DoubleKey| moment(key.created).trim_end_matches('Z').to_owned();
    let shown = |key: &DoubleKey| {
        json!({"id": key.id, "description": name(key), "kind": "domain", "role": "sending",
            "created_at": without_offset(key), "expires_at": null, "is_disabled": false,
            "domain_name": "mg.example.com"})
    };
    let (user, word) = basic(asked);
    match (asked.method.as_str(), asked.segments().as_slice()) {
        ("POST", ["v3", "mg.example.com", "messages"]) => {
            let known = mailgun_key(keys, &word);
            match keys.lets_in(&known) {
                Some(_) => told(400, json!({"message": "from parameter is missing"})),
                None => Told::new(401, "Forbidden"),
            }
        }
        _ if (user.as_str(), word.as_str()) != ("api", ADMIN) => Told::new(401, "Forbidden"),
        ("POST", ["v1", "keys"]) => {
            for (name, value) in
                [("kind", "domain"), ("role", "sending"), ("domain_name", "mg.example.com")]
            {
                assert_eq!(field(asked, name), value);
            }
            let key = issued(keys, Some(&field(asked, "description")));
            let mut made = shown(&key);
            made["secret"] = json!(format!("{}-{}", key.value, key.id));
            told(200, json!({"message": "great success", "key": made}))
        }
        ("GET", ["v1", "keys"]) => {
            assert_eq!(asked.query.get("domain_name").map(String::as_str), Some("mg.example.com"));
            let items: Vec<Value> = keys.list().iter().map(shown).collect();
            told(200, json!({"total_count": items.len(), "items": items}))
        }
        ("DELETE", ["v1", "keys", id]) => match keys.revoke(id) {
            true => told(200, json!({"message": "key deleted"})),
            false => told(404, json!({"message": "no key matching id"})),
        },
        other => panic!("Mailgun has no {other:?}"),
    }
}

/// The services of a form, which is a pair for each.
fn services(asked: &Asked) -> Vec<String> {
    let pairs = asked.body.split('&').filter_map(|pair| pair.strip_prefix("services%5B%5D="));
    pairs.map(|value| value.replace("%20", " ")).collect()
}

/// A user's tokens, each with its scope and its services; made with a name and a password.
pub fn fastly(keys: &mut DoubleKeys, asked: &Asked) -> Told {
    let refused = |status| told(status, json!({"msg": "Provided credentials are invalid"}));
    let shown = |keys: &DoubleKeys, key: &DoubleKey| {
        let may = rights(keys, &key.id, json!({"scope": "global", "services": []}));
        json!({"id": key.id, "name": name(key), "scope": may["scope"], "services": may["services"],
            "created_at": moment(key.created), "expires_at": null})
    };
    let (method, segments) = (asked.method.as_str(), asked.segments());
    if (method, segments.as_slice()) == ("POST", ["tokens"].as_slice()) {
        if [field(asked, "username"), field(asked, "password")]
            != ["me%40example.com", "p%26w%20%2B1"]
        {
            return refused(401);
        }
        assert!(field(asked, "expires_at").ends_with('Z'));
        let key = issued(keys, Some(&field(asked, "name")));
        let may = json!({"scope": field(asked, "scope"), "services": services(asked)});
        keys.grant(&key.id, may.to_string());
        let mut made = shown(keys, &key);
        made["access_token"] = json!(key.value);
        return told(200, made);
    }
    let asking = asked.header("fastly-key");
    let own = keys.lets_in(asking);
    if own.is_none() && asking != ADMIN {
        return refused(if asking.is_empty() { 401 } else { 403 });
    }
    match (method, segments.as_slice()) {
        ("GET", ["tokens", id]) => {
            let id = if *id == "self" { own.unwrap_or_default() } else { (*id).to_owned() };
            match keys.all().find(|key| key.id == id).cloned() {
                Some(key) => told(200, shown(keys, &key)),
                None => refused(404),
            }
        }
        ("GET", ["tokens"]) => {
            let listed = keys.list();
            told(200, listed.iter().map(|key| shown(keys, key)).collect())
        }
        ("DELETE", ["tokens", id]) => match keys.revoke(id) {
            true => Told::new(204, ""),
            false => refused(404),
        },
        other => panic!("Fastly has no {other:?}"),
    }
}

/// Users, who are keys with their names. They have a tag that a change of a password without it takes,
/// and that lets nobody ask anything.
pub fn rabbitmq(keys: &mut DoubleKeys, asked: &Asked) -> Told {
    let (user, word) = basic(asked);
    let value = |keys: &DoubleKeys, user: &str| {
        let key = keys.all().find(|key| key.name.as_deref() == Some(user));
        key.map(|key| key.value.clone())
    };
    let refused = |reason: &str| told(401, json!({"error": "not_authorised", "reason": reason}));
    let segments = asked.segments();
    match (asked.method.as_str(), segments.as_slice()) {
        ("GET", ["api", "whoami"]) => {
            let own =
                keys.lets_in(&word).is_some() && value(keys, &user).is_some_and(|it| it == word);
            refused(if own { "Not management user" } else { "Login failed" })
        }
        _ if (user.as_str(), word.as_str()) != ("admin", ADMIN) => refused("Login failed"),
        (_, ["api", "users", name, ..]) if value(keys, name).is_none() => {
            told(404, json!({"error": "Object Not Found", "reason": "Not Found"}))
        }
        ("GET", ["api", "users", name]) => told(
            200,
            json!({"name": name, "password_hash": "h", "tags": ["of our own"], "limits": {}}),
        ),
        ("GET", ["api", "users", name, "permissions"]) => {
            let of = |vhost| json!({"user": name, "vhost": vhost, "configure": "", "write": ".*", "read": ".*"});
            // In whatever order.
            let all = if *name == "app" { ["/", "app"] } else { ["app", "/"] };
            told(200, json!(all.map(of)))
        }
        ("GET", ["api", "users", _, "topic-permissions"]) => told(200, json!([])),
        ("PUT", ["api", "users", name]) => {
            let body = asked.json();
            assert_eq!(body["tags"], json!(["of our own"]));
            let (old, new) = (value(keys, name).unwrap(), body["password"].as_str().unwrap());
            // What is said where a credential validator refuses a value.
            if new.len() < 12 {
                let reason = "minimum required password length: 12";
                return told(400, json!({"error": "bad_request", "reason": reason}));
            }
            assert!(keys.update(&old, new));
            Told::new(204, "")
        }
        other => panic!("RabbitMQ has no {other:?}"),
    }
}
