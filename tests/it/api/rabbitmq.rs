//! rotate-api at a real RabbitMQ, with the shipped specification: two users in turn, while a client uses
//! what is current; killed at its calls; and pairs that are none.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::support::{Files, specification};
use crate::support::program::{crash_points, survived};
use crate::support::skip;

/// The management API, asked by an own client.
struct Server {
    port: u16,
    arranger: String,
}

fn server() -> Option<Server> {
    let variable = |name: &str| std::env::var(format!("FOURSTEP_TEST_RABBITMQ_{name}")).ok();
    let (Some(port), Some(arranger)) = (variable("PORT"), variable("ARRANGER_PASSWORD")) else {
        skip("FOURSTEP_TEST_RABBITMQ_PORT and its companions");
        return None;
    };
    Some(Server { port: port.parse().unwrap(), arranger })
}

impl Server {
    /// The status and the JSON of an answer.
    async fn ask(&self, user: [&str; 2], what: [&str; 2], body: Option<Value>) -> (u16, Value) {
        let ([name, word], [method, path]) = (user, what);
        let shown = STANDARD.encode(format!("{name}:{word}"));
        let body = body.map_or(String::new(), |body| body.to_string());
        let length = body.len();
        let request = format!(
            "{method} /api{path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic {shown}\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        );
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap_or_default())
    }

    async fn arrange(&self, what: [&str; 2], body: Option<Value>) -> Value {
        let (status, answer) = self.ask(["arranger", &self.arranger], what, body).await;
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
        let url = format!("http://127.0.0.1:{}/api", self.port);
        let text = specification("rabbitmq.toml").replace("https://rabbitmq.invalid/api", &url);
        let secret = json!({"masterarn": "admin", "username": users[0],
            "password": format!("first of {}", users[0])});
        let admin = json!({"username": "arranger", "password": self.arranger});
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
    fn current(&self) -> [String; 2] {
        let secret: Value = serde_json::from_str(&self.files.secret()).unwrap();
        ["username", "password"].map(|field| secret[field].as_str().unwrap().to_owned())
    }

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
        let ended = AtomicBool::new(false);
        let rotations = async {
            let output = pair.replay(&["--rotations", "3", "--twice"]).await;
            ended.store(true, Ordering::Relaxed);
            output
        };
        let client = async {
            let (mut calls, mut seen) = (0, vec![pair.current()]);
            while !ended.load(Ordering::Relaxed) {
                let current = pair.current();
                assert!(server.works(&current[0], &current[1]).await, "{calls} calls");
                if seen.last() != Some(&current) {
                    seen.push(current);
                }
                calls += 1;
            }
            seen.push(pair.current());
            seen.dedup();
            (calls, seen)
        };
        let (output, (calls, seen)) = tokio::join!(rotations, client);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
        assert!(calls > 20, "{calls}");
        let [one, other] = [&pair.users[0], &pair.users[1]];
        let named: Vec<_> = seen.iter().map(|[user, _]| user).collect();
        assert_eq!(named, [one, other, one, other]);
        let mut works = Vec::new();
        for [user, password] in &seen {
            works.push(server.works(user, password).await);
            assert!(!text.contains(password), "{user}");
        }
        assert_eq!(works, [false, false, true, true]);
        assert!(!text.contains(&server.arranger));
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
        let output = pair.replay(&[]).await;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(!output.status.success() && text.contains(says), "{says}: {text}");
        assert!(text.contains("createSecret") && !text.contains("stored the proposed"), "{text}");
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
