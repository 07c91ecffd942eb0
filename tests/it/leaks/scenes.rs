//! Rotations of a function binary, healthy ones and failing ones, with a canary in every value;
//! and all that is heard of them.

use fourstep::store::{AWSCURRENT, AWSPENDING, AWSPREVIOUS, Select, StoreError, StoreErrorCode};
use fourstep::{ExposeSecret, SecretId, SecretValue, Step, VersionId};
use fourstep_cli::events;
use fourstep_local::{Fault, MemoryStore, NewValue, PendingLabel};
use serde_json::{Value, json};

use super::Planted;
use crate::function::Scene;
use crate::support::hostile::echoing_server;
use crate::support::postgres::Server;
use crate::support::program::both_outputs;
use crate::support::stage::new_token;

/// What one scene lets be heard, and what may not be in it.
pub struct Heard {
    pub scene: &'static str,
    pub planted: Planted,
    /// The answers, and every line of both outputs.
    pub lines: Vec<Value>,
    /// How each invocation ended: the step, and the kind of error.
    pub ended: Vec<String>,
}

/// A way in which a rotation fails, by what is in the secret and what the store does.
struct Failing(&'static str, fn(&mut Value), fn(&MemoryStore));

const FAILING: [Failing; 6] = [
    Failing(
        "a wrong password",
        |document| document["password"] = json!("canary-that-never-was-right"),
        |_| (),
    ),
    Failing("an untrusted certificate", |document| document["ssl"] = json!(true), |_| ()),
    Failing(
        "a host that does not exist",
        |document| document["host"] = json!("no-such-host.invalid"),
        |_| (),
    ),
    Failing(
        "a throttled write",
        |_| (),
        |store| {
            on_put(store, |_| {
                Fault::Fail(StoreError::new(StoreErrorCode::Throttled, "Rate exceeded"))
            });
        },
    ),
    Failing("a write whose answer is lost", |_| (), |store| on_put(store, |_| Fault::LoseAnswer)),
    // As services do with what they cannot take.
    Failing(
        "a service that quotes the secret",
        |_| (),
        |store| {
            on_put(store, |text| {
                let message = format!("cannot take {text:?}");
                Fault::Fail(StoreError::new(StoreErrorCode::InvalidRequest, message))
            });
        },
    ),
];

/// What becomes of each PutSecretValue; the hook is told the current value.
fn on_put(store: &MemoryStore, fault: fn(&str) -> Fault) {
    store.set_faults(move |store, call| {
        let secret = SecretId::parse(call.secret).unwrap();
        match call.operation {
            "PutSecretValue" => fault(&stored(store, &secret, AWSCURRENT).unwrap()),
            _ => Fault::Proceed,
        }
    });
}

/// Plays every scene with this binary of the workspace.
pub async fn play_all(server: &Server, program: &str) -> Vec<Heard> {
    let mut all = vec![healthy(server, program).await];
    for Failing(name, change, disturb) in FAILING {
        let mut player = Player::new(server, program, name, change).await;
        disturb(player.scene.server.store());
        player.rotate().await;
        assert!(player.heard.ended.iter().any(|end| end.contains(' ')), "{name} went well");
        all.push(player.heard);
    }
    all.push(echoing(server, program).await);
    all.push(malformed(server, program).await);
    all
}

/// Two whole rotations, so that there is a previous password as well, and a look at the secret.
async fn healthy(server: &Server, program: &str) -> Heard {
    let mut player = Player::new(server, program, "a healthy rotation", |_| ()).await;
    for _ in 0..2 {
        let token = player.rotate().await;
        let store = player.scene.server.store();
        store.finish_rotation(&player.scene.secret, &token, PendingLabel::Left).unwrap();
    }
    let event = events::question(fourstep::Question::Inspect, &player.scene.arn);
    player.invoke("inspect", &event).await;
    assert!(!player.heard.ended.iter().any(|end| end.contains(' ')), "{:?}", player.heard.ended);
    player.heard
}

/// A server that asks for the password in cleartext and repeats it wherever a server may speak.
async fn echoing(server: &Server, program: &str) -> Heard {
    let name = "a server that repeats the password";
    let mut player = Player::new(server, program, name, |_| ()).await;
    let mut document = player.document.clone();
    document["port"] = json!(echoing_server().await);
    player.put_current(&document.to_string());
    player.rotate().await;
    player.heard
}

/// Events and secrets that cannot be read.
async fn malformed(server: &Server, program: &str) -> Heard {
    let mut player = Player::new(server, program, "what cannot be read", |_| ()).await;
    let token = player.scene.begin();
    for field in ["Step", "SecretId", "ClientRequestToken", "RotationToken"] {
        let mut event = events::step(Step::Create, &player.scene.arn, token.as_str());
        // No field may have this character, so none may be quoted.
        event[field] = json!(format!("{}é", player.heard.planted.new_one("the event's field")));
        player.invoke(field, &event).await;
    }
    for text in
        ["{\"password\": CANARY}", "CANARY", "{\"engine\": \"CANARY\", \"password\": \"CANARY\"}"]
    {
        let value = player.heard.planted.new_one("the unreadable secret");
        player.put_current(&text.replace("CANARY", &value));
        let event = events::step(Step::Create, &player.scene.arn, token.as_str());
        player.invoke("createSecret", &event).await;
    }
    player.heard
}

/// A scene under way.
struct Player {
    scene: Scene,
    document: Value,
    heard: Heard,
}

impl Player {
    async fn new(
        server: &Server,
        program: &str,
        name: &'static str,
        change: impl FnOnce(&mut Value),
    ) -> Self {
        let mut planted = Planted::default();
        let user = server.user_with("leak", &planted.new_one("the first password")).await;
        let mut document = server.document(&user);
        document["note"] = json!(planted.new_one("another field of the secret"));
        change(&mut document);
        let (script, both) = both_outputs(program);
        let key = planted.new_one("the function's secret access key");
        let session = planted.new_one("the function's session token");
        let variables = [
            (both.0, both.1.as_str()),
            ("AWS_LAMBDA_LOG_LEVEL", "TRACE"),
            ("RUST_LOG", "trace"),
            ("RUST_BACKTRACE", "full"),
            ("AWS_SECRET_ACCESS_KEY", &key),
            ("AWS_SESSION_TOKEN", &session),
            ("ALLOW_WEAK_AUTHENTICATION", "true"),
        ];
        let scene = Scene::of(&script, &document.to_string(), &variables, 12).await;
        let heard = Heard { scene: name, planted, lines: Vec::new(), ended: Vec::new() };
        let mut player = Self { scene, document, heard };
        player.plant_stored();
        player
    }

    fn put_current(&mut self, text: &str) {
        let value = NewValue::current(&new_token(), text);
        self.scene.server.store().put(&self.scene.secret, value).unwrap();
        self.plant_stored();
    }

    /// The four steps, until one fails.
    async fn rotate(&mut self) -> VersionId {
        let token = self.scene.begin();
        for step in Step::ALL {
            let mut event = events::step(step, &self.scene.arn, token.as_str());
            event["RotationToken"] = json!(self.heard.planted.new_one("the RotationToken"));
            if !self.invoke(step.name(), &event).await {
                break;
            }
        }
        token
    }

    async fn invoke(&mut self, what: &str, event: &Value) -> bool {
        let invocation = self.scene.function.invoke(event).await.unwrap();
        self.plant_stored();
        let kind = invocation.answer.as_ref().err().map(|(kind, _)| format!(" {kind}"));
        self.heard.ended.push(format!("{what}{}", kind.unwrap_or_default()));
        let answer = json!({"target": "the answer", "said": format!("{:?}", invocation.answer)});
        self.heard.lines.extend(invocation.lines.into_iter().chain([answer]));
        invocation.answer.is_ok()
    }

    /// Looks for everything that is stored by now.
    fn plant_stored(&mut self) {
        for label in [AWSCURRENT, AWSPENDING, AWSPREVIOUS] {
            let Some(text) = stored(self.scene.server.store(), &self.scene.secret, label) else {
                continue;
            };
            self.heard.planted.add("a whole secret", &text);
            let password = serde_json::from_str::<Value>(&text).ok();
            if let Some(password) = password.as_ref().and_then(|it| it["password"].as_str()) {
                self.heard.planted.add("a password", password);
            }
        }
    }
}

/// The text under a label, if there is one.
fn stored(store: &MemoryStore, secret: &SecretId, label: &str) -> Option<String> {
    match store.get(secret, Select::Label(label)).ok()?.value {
        SecretValue::Text(text) => Some(text.expose_secret().to_owned()),
        SecretValue::Binary(_) => None,
    }
}
