//! rotate-api at a real PocketBase, with the shipped specification: two users in turn, while a client uses
//! what is current; killed at its calls; and pairs that are none.

use std::process::Output;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use super::real::{Real, refused_before_anything_is_stored, used_without_a_refusal};
use super::support::{Files, specification};
use crate::support::program::{crash_points, survived};

const RECORDS: &str = "/api/collections/users/records";

/// The server, and a superuser's token of the kind that an admin's secret holds.
struct Base {
    real: Real,
    token: String,
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

async fn base() -> Option<Base> {
    let real = Real::of("POCKETBASE")?;
    let superusers = "/api/collections/_superusers";
    let body = json!({"identity": "arranger@example.com", "password": real.arranger});
    let path = format!("{superusers}/auth-with-password");
    let (_, answer) = real.ask("", ["POST", &path], Some(&body)).await;
    let (path, shown) = (
        format!("{superusers}/impersonate/{}", text(&answer["record"]["id"])),
        format!("Bearer {}", text(&answer["token"])),
    );
    let (_, answer) = real.ask(&shown, ["POST", &path], Some(&json!({"duration": 3600}))).await;
    Some(Base { real, token: text(&answer["token"]) })
}

/// What a user has at first: nothing of its email, which stands in logs.
fn first(email: &str) -> String {
    email.replace("app", "old password ").replace("@example.com", "")
}

/// Two users: the names of their records, and what the function is told of them.
struct Pair {
    emails: [String; 2],
    records: [String; 2],
    files: Files,
    setting: String,
}

impl Base {
    async fn arrange(&self, [method, path]: [&str; 2], body: &Value) -> Value {
        let shown = format!("Bearer {}", self.token);
        let (status, answer) = self.real.ask(&shown, [method, path], Some(body)).await;
        assert!(status < 300, "{method} {path}: {status} {answer}");
        answer
    }

    async fn works(&self, email: &str, password: &str) -> bool {
        let path = "/api/collections/users/auth-with-password";
        let body = json!({"identity": email, "password": password});
        let (status, answer) = self.real.ask("", ["POST", path], Some(&body)).await;
        assert!(
            status == 200
                || (status, &answer["message"]) == (400, &json!("Failed to authenticate."))
        );
        status == 200
    }

    async fn pair(&self) -> Pair {
        static PAIRS: AtomicU32 = AtomicU32::new(1);
        let number = PAIRS.fetch_add(1, Ordering::Relaxed);
        let emails = ["", "_b"].map(|end| format!("app{number}{end}@example.com"));
        let mut records = [String::new(), String::new()];
        for (email, record) in emails.iter().zip(&mut records) {
            let first = first(email);
            let body = json!({"email": email, "password": first, "passwordConfirm": first,
                "verified": true, "name": email});
            *record = text(&self.arrange(["POST", RECORDS], &body).await["id"]);
        }
        let url = format!("http://127.0.0.1:{}/", self.real.port);
        let spec = specification("pocketbase-password.toml");
        let spec = spec.replace("https://pocketbase.invalid/", &url);
        let secret = json!({"masterarn": "admin", "email": emails[0],
            "password": first(&emails[0])});
        let files = Files::new(&spec, &secret.to_string(), Some(&json!({"token": self.token})));
        Pair { setting: format!("USER_PAIRS={}", emails.join("=")), emails, records, files }
    }
}

impl Pair {
    async fn replay(&self, more: &[&str]) -> Output {
        let always = ["--env", &self.setting, "--json"];
        self.files.replay(true, &[&always[..], more].concat()).await
    }
}

#[tokio::test]
async fn three_rotations_at_a_real_pocketbase_refuse_no_client_and_change_only_passwords() {
    let Some(base) = base().await else { return };
    let pair = base.pair().await;
    let logs_in = async |secret: &Value| {
        base.works(&text(&secret["email"]), &text(&secret["password"])).await
    };
    let rotations = pair.replay(&["--rotations", "3", "--twice"]);
    let used = used_without_a_refusal(&pair.files, rotations, logs_in).await;
    let [one, other] = &pair.emails;
    let named: Vec<_> = used.secrets.iter().map(|secret| text(&secret["email"])).collect();
    assert_eq!(named.iter().collect::<Vec<_>>(), [one, other, one, other]);
    let mut works = Vec::new();
    for secret in &used.secrets {
        works.push(logs_in(secret).await);
    }
    assert_eq!(works, [false, false, true, true]);
    for (email, record) in pair.emails.iter().zip(&pair.records) {
        let known = base.arrange(["GET", &format!("{RECORDS}/{record}")], &Value::Null).await;
        let kept = [&known["email"], &known["name"], &known["verified"]];
        assert_eq!(kept, [&json!(email), &json!(email), &json!(true)]);
    }
    // The server writes its statements there.
    let log = base.real.log();
    assert!(log.contains("auth-with-password") && log.contains(other), "{log}");
    for secret in &used.secrets {
        let password = text(&secret["password"]);
        assert!(!log.contains(&password) && !used.printed.contains(&password));
    }
    assert!(!log.contains(&base.token) && !used.printed.contains(&base.token));
}

#[tokio::test]
async fn a_function_killed_at_its_calls_to_a_real_pocketbase_locks_nobody_out() {
    let Some(base) = base().await else { return };
    let pair = base.pair().await;
    let (points, _) = survived(&pair.replay(&["--crash", crash_points()]).await);
    assert!(points.len() > 5, "{points:?}");
}

#[tokio::test]
async fn a_pair_that_is_none_at_a_real_pocketbase_is_refused_before_anything_is_stored() {
    let Some(base) = base().await else { return };
    let pair = base.pair().await;
    let ([one, other], before) = (&pair.emails, pair.files.secret());
    let second = format!("{RECORDS}/{}", pair.records[1]);
    base.arrange(["PATCH", &second], &json!({"verified": false})).await;
    let differ = format!("users \\\"{one}\\\" and \\\"{other}\\\" differ in /items/0/verified");
    refused_before_anything_is_stored(&pair.replay(&[]).await, &differ);
    base.arrange(["DELETE", &second], &json!({})).await;
    let missing = format!("user \\\"{other}\\\": alike");
    refused_before_anything_is_stored(&pair.replay(&[]).await, &missing);
    assert_eq!(pair.files.secret(), before);
    assert!(base.works(one, &first(one)).await);
}
