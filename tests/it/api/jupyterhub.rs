//! rotate-api at a real JupyterHub, with the shipped specification: a user's tokens, while a client uses
//! what is current; killed at its calls; and tokens beside the wrong id or the wrong user.

use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use super::real::{Real, refused_before_anything_is_stored, used_without_a_refusal};
use super::support::{Files, specification};
use crate::support::program::{crash_points, survived};

struct Hub(Real);

/// A user with one token, and what the function is told of it.
struct User {
    name: String,
    files: Files,
}

fn hub() -> Option<Hub> {
    Real::of("JUPYTERHUB").map(Hub)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

impl Hub {
    async fn arrange(&self, [method, path]: [&str; 2], body: &Value) -> Value {
        let shown = format!("Bearer {}", self.0.arranger);
        let path = format!("/hub/api{path}");
        let (status, answer) = self.0.ask(&shown, [method, &path], Some(body)).await;
        assert!(status < 300, "{method} {path}: {status}");
        answer
    }

    async fn works(&self, secret: &Value) -> bool {
        let shown = format!("token {}", text(&secret["token"]));
        let (status, answer) = self.0.ask(&shown, ["GET", "/hub/api/user"], None).await;
        let own = answer["token_id"] == secret["token_id"];
        assert!([200, 403].contains(&status) && own == (status == 200), "{status}");
        status == 200
    }

    async fn token(&self, user: &str, scopes: &Value) -> Value {
        let body = json!({"note": "made by hand", "scopes": scopes});
        let made = self.arrange(["POST", &format!("/users/{user}/tokens")], &body).await;
        json!({"masterarn": "admin", "username": user, "token_id": made["id"],
            "token": made["token"]})
    }

    /// The user's tokens: the label, and the scopes in order.
    async fn tokens(&self, user: &str) -> Vec<(String, Vec<String>)> {
        let path = format!("/users/{user}/tokens");
        let all = self.arrange(["GET", &path], &Value::Null).await;
        let of = |token: &Value| {
            let scopes = token["scopes"].as_array().unwrap().iter();
            let mut scopes: Vec<String> = scopes.map(|scope| text(scope).to_owned()).collect();
            scopes.sort();
            (text(&token["note"]).to_owned(), scopes)
        };
        all["api_tokens"].as_array().unwrap().iter().map(of).collect()
    }

    async fn user(&self, scopes: &Value) -> User {
        static USERS: AtomicU32 = AtomicU32::new(1);
        let name = format!("user{}", USERS.fetch_add(1, Ordering::Relaxed));
        self.arrange(["POST", &format!("/users/{name}")], &json!({})).await;
        let secret = self.token(&name, scopes).await;
        let url = format!("http://127.0.0.1:{}/", self.0.port);
        let spec = specification("jupyterhub.toml").replace("https://jupyterhub.invalid/", &url);
        let admin = json!({"token": self.0.arranger});
        User { name, files: Files::new(&spec, &secret.to_string(), Some(&admin)) }
    }
}

#[tokio::test]
async fn three_rotations_at_a_real_jupyterhub_refuse_no_client_and_keep_what_a_token_may() {
    let Some(hub) = hub() else { return };
    let user = hub.user(&json!(["read:users:name!user", "read:servers!user"])).await;
    let before = hub.tokens(&user.name).await;
    let rotations = user.files.replay(true, &["--rotations", "3", "--twice", "--json"]);
    let works = async |secret: &Value| hub.works(secret).await;
    let used = used_without_a_refusal(&user.files, rotations, works).await;
    let mut works = Vec::new();
    for secret in &used.secrets {
        works.push(hub.works(secret).await);
    }
    assert_eq!(works, [false, false, true, true]);
    let after = hub.tokens(&user.name).await;
    assert_eq!(after.len(), 2, "{after:?}");
    for (label, scopes) in after {
        assert!(label.starts_with("fourstep-"), "{label}");
        assert_eq!(scopes, before[0].1);
    }
    let log = hub.0.log();
    assert!(log.contains(&format!("Deleting token {}", text(&used.secrets[0]["token_id"]))));
    for secret in &used.secrets {
        let token = text(&secret["token"]);
        assert!(!log.contains(token) && !used.printed.contains(token));
    }
    assert!(!log.contains(&hub.0.arranger) && !used.printed.contains(&hub.0.arranger));
}

#[tokio::test]
async fn a_function_killed_at_its_calls_to_a_real_jupyterhub_locks_nobody_out() {
    let Some(hub) = hub() else { return };
    // What a token has that was made with no scopes named: all that its user may.
    let user = hub.user(&json!(["inherit"])).await;
    let before = hub.tokens(&user.name).await;
    let (points, _) =
        survived(&user.files.replay(true, &["--crash", crash_points(), "--json"]).await);
    assert!(points.len() > 5, "{points:?}");
    let after = hub.tokens(&user.name).await;
    assert!(after.iter().all(|(_, scopes)| *scopes == before[0].1), "{after:?}");
}

#[tokio::test]
async fn a_wrong_id_or_user_at_a_real_jupyterhub_costs_no_token() {
    let Some(hub) = hub() else { return };
    let (user, other) = (hub.user(&json!(["inherit"])).await, hub.user(&json!(["inherit"])).await);
    let second = hub.token(&user.name, &json!(["inherit"])).await;
    let own: Value = serde_json::from_str(&user.files.secret()).unwrap();
    // The hub reads a12 and a012 as one id.
    let padded = text(&own["token_id"]).replacen('a', "a0", 1);
    for (field, wrong, says) in [
        ("token_id", &second["token_id"], "is not key"),
        ("token_id", &json!(padded), "is not key"),
        ("username", &json!(other.name), "does not list key"),
        ("username", &json!("nobody"), "404"),
    ] {
        let mut secret = own.clone();
        secret[field] = wrong.clone();
        std::fs::write(user.files.path("secret.json"), secret.to_string()).unwrap();
        refused_before_anything_is_stored(&user.files.replay(true, &["--json"]).await, says);
        assert!(hub.works(&own).await && hub.works(&second).await, "{field}: {wrong}");
        assert_eq!(
            (hub.tokens(&user.name).await.len(), hub.tokens(&other.name).await.len()),
            (2, 1)
        );
    }
}
