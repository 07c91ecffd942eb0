//! rotate-api at a real RabbitMQ, with the shipped specification: two users in turn, while a client uses
//! what is current; killed at its calls; and pairs that are none.

use std::sync::atomic::{AtomicU32, Ordering};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::real::{Real, refused_before_anything_is_stored, used_without_a_refusal};
use super::support::{Files, specification};
use crate::support::program::{crash_points, survived};

/// The management API.
struct Server(Real);

fn server() -> Option<Server> {
    Real::of("RABBITMQ").map(Server)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

impl Server {
    async fn ask(&self, user: [&str; 2], what: [&str; 2], body: Option<&Value>) -> (u16, Value) {
        let ([name, word], [method, path]) = (user, what);
        let shown = format!("Basic {}", STANDARD.encode(format!("{name}:{word}")));
        self.0.ask(&shown, [method, &format!("/api{path}")], body).await
    }

    async fn arrange(&self, what: [&str; 2], body: Option<Value>) -> Value {
        let (status, answer) = self.ask(["arranger", &self.0.arranger], what, body.as_ref()).await;
        assert!(status < 300, "{what:?}: {status}");
        answer
    }

    /// Whether the server takes this for the user's password: one that may not ask is told so.
    async fn works(&self, user: &str, password: &str) -> bool {
        let (status, answer) = self.ask([user, password], ["GET", "/whoami"], None).await;
        status == 200 || answer["reason"] == "Not management user"
    }

    /// A pair with these tags and with permissions, as "app=app_b"; what the function is told of it.
    async fn pair(&self, tags: &Value) -> Pair {
        static PAIRS: AtomicU32 = AtomicU32::new(1);
        let number = PAIRS.fetch_add(1, Ordering::Relaxed);
        let users = [format!("app{number}"), format!("app{number}_b")];
        for user in &users {
            let body = json!({"password": format!("first of {user}"), "tags": tags});
            self.arrange(["PUT", &format!("/users/{user}")], Some(body)).await;
            let body = json!({"configure": "", "write": "app-.*", "read": ".*"});
            self.arrange(["PUT", &format!("/permissions/%2F/{user}")], Some(body)).await;
        }
        let url = format!("http://127.0.0.1:{}/api", self.0.port);
        let text = specification("rabbitmq.toml").replace("https://rabbitmq.invalid/api", &url);
        let secret = json!({"masterarn": "admin", "username": users[0],
            "password": format!("first of {}", users[0])});
        let admin = json!({"username": "arranger", "password": self.0.arranger});
        let files = Files::new(&text, &secret.to_string(), Some(&admin));
        Pair { setting: format!("USER_PAIRS={}", users.join("=")), users, files }
    }
}

struct Pair {
    users: [String; 2],
    files: Files,
    setting: String,
}

impl Pair {
    async fn replay(&self, more: &[&str]) -> std::process::Output {
        let always = ["--env", &self.setting, "--json"];
        self.files.replay(true, &[&always[..], more].concat()).await
    }
}

#[tokio::test]
async fn three_rotations_at_a_real_rabbitmq_refuse_no_client_and_keep_what_users_may() {
    let Some(server) = server() else { return };
    for tags in [json!([]), json!(["management", "of our own"])] {
        let pair = server.pair(&tags).await;
        let logs_in = async |secret: &Value| {
            server.works(text(&secret["username"]), text(&secret["password"])).await
        };
        let rotations = pair.replay(&["--rotations", "3", "--twice"]);
        let used = used_without_a_refusal(&pair.files, rotations, logs_in).await;
        let [one, other] = [&pair.users[0], &pair.users[1]];
        let named: Vec<_> = used.secrets.iter().map(|secret| text(&secret["username"])).collect();
        assert_eq!(named, [one, other, one, other]);
        let mut works = Vec::new();
        for secret in &used.secrets {
            works.push(logs_in(secret).await);
            assert!(!used.printed.contains(text(&secret["password"])));
        }
        assert_eq!(works, [false, false, true, true]);
        assert!(!used.printed.contains(&server.0.arranger));
        for user in &pair.users {
            let known = server.arrange(["GET", &format!("/users/{user}")], None).await;
            assert_eq!(known["tags"], tags);
        }
    }
}

#[tokio::test]
async fn a_function_killed_at_its_calls_to_a_real_rabbitmq_locks_nobody_out() {
    let Some(server) = server() else { return };
    let pair = server.pair(&json!([])).await;
    let (points, _) = survived(&pair.replay(&["--crash", crash_points()]).await);
    assert!(points.len() > 5, "{points:?}");
}

#[tokio::test]
async fn a_pair_that_is_none_at_a_real_rabbitmq_is_refused_before_anything_is_stored() {
    let Some(server) = server() else { return };
    let pair = server.pair(&json!([])).await;
    let [one, other] = &pair.users;
    let before = pair.files.secret();
    let refused = async |says: &str| {
        refused_before_anything_is_stored(&pair.replay(&[]).await, says);
        assert_eq!(pair.files.secret(), before);
    };
    let body = json!({"configure": ".*", "write": "app-.*", "read": ".*"});
    server.arrange(["PUT", &format!("/permissions/%2F/{other}")], Some(body)).await;
    refused(&format!("users \\\"{one}\\\" and \\\"{other}\\\" differ in /vhost, /configure")).await;
    let body = json!({"password": "another", "tags": "administrator"});
    server.arrange(["PUT", &format!("/users/{other}")], Some(body)).await;
    refused("differ in /tags, /limits of GET /users/{id}").await;
    // A change of a user who is gone would make one.
    server.arrange(["DELETE", &format!("/users/{other}")], None).await;
    refused(&format!("user \\\"{other}\\\": alike")).await;
    let known = server.arrange(["GET", "/users"], None).await;
    assert!(known.as_array().unwrap().iter().all(|user| user["name"] != **other));
    assert!(server.works(one, &format!("first of {one}")).await);
}
