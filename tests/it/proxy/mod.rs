//! Alternating users behind a proxy that knows each of them by a secret of its own (docs/rds-proxy.md):
//! the real strategy at real PostgreSQL, and a front that behaves as AWS documents RDS Proxy.

mod faults;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fourstep::store::{AWSCURRENT, StoreError, StoreErrorCode};
use fourstep::{Question, SecretId, Step, VersionId};
use fourstep_local::{Fault, MemoryStore, NewSecret};
use serde_json::{Value, json};
use sqlx::{ConnectOptions, Connection};

use crate::alternating::Shop;
use crate::support::postgres::{Server, both_versions, server};
use crate::support::program::every_point;
use crate::support::rds_proxy::RdsProxy;
use crate::support::stage::read;

/// The secrets that are registered with the proxy.
const SECRETS: [&str; 2] = ["proxy-first", "proxy-second"];

/// A shop whose application comes through a proxy.
pub struct Fronted {
    pub shop: Shop,
    pub proxy: RdsProxy,
}

impl Fronted {
    /// The proxy reads its secrets every so often.
    pub async fn open(server: &Server, every: Duration) -> Self {
        let mut shop = Shop::bare(server, "app", &[]).await;
        let (app, clone) = (shop.app.clone(), shop.clone_name());
        let held = [(&app.name, app.password.as_str()), (&clone, "canary-nothing-yet")];
        for (name, (user, password)) in SECRETS.into_iter().zip(held) {
            let document = json!({"username": user, "password": password, "team": "shop"});
            let value = Some(document.to_string().as_str().into());
            shop.stage.store.create(name, NewSecret { value, ..NewSecret::default() }).unwrap();
        }
        let proxy = RdsProxy::start(server, &shop.stage.store, &SECRETS, every).await;
        let mut document = shop.stage.document(AWSCURRENT);
        document["proxyHost"] = json!("127.0.0.1");
        document["proxyPort"] = json!(proxy.port);
        shop.stage.put_current(&document);
        let secrets = format!("{}={},{clone}={}", app.name, SECRETS[0], SECRETS[1]);
        shop.configure(&[("PROXY_SECRETS", &secrets)]);
        Self { shop, proxy }
    }

    /// What a proxy secret holds.
    pub fn held(&self, secret: &str) -> Value {
        let secret = SecretId::parse(secret).unwrap();
        serde_json::from_str(&read(&self.shop.stage.store, &secret, AWSCURRENT)).unwrap()
    }

    /// Each proxy secret's AWSCURRENT logs in at the server, and has what else stood in it.
    async fn assert_in_step(&self, what: &str) {
        for secret in SECRETS {
            let held = self.held(secret);
            assert!(self.shop.logs_in(&held).await, "{what}: {secret}");
            assert_eq!(held["team"], "shop", "{what}: {secret}");
        }
    }

    fn client(&self) -> Client {
        let store = Arc::clone(&self.shop.stage.store);
        Client::start(self.shop.server.clone(), self.proxy.port, store, &self.shop.stage.secret)
    }
}

/// A client that reads the secret and connects through the proxy, all the time.
struct Client {
    stop: Arc<AtomicBool>,
    logins: Arc<AtomicU32>,
    failures: Arc<AtomicU32>,
}

impl Client {
    fn start(server: Server, port: u16, store: Arc<MemoryStore>, secret: &SecretId) -> Self {
        let client =
            Self { stop: Arc::default(), logins: Arc::default(), failures: Arc::default() };
        let (stop, logins) = (Arc::clone(&client.stop), Arc::clone(&client.logins));
        let (failures, secret) = (Arc::clone(&client.failures), secret.clone());
        tokio::spawn(async move {
            while !stop.load(Ordering::SeqCst) {
                let now: Value = serde_json::from_str(&read(&store, &secret, AWSCURRENT)).unwrap();
                let text = |field: &str| now[field].as_str().unwrap().to_owned();
                let options = server.options(&text("username"), &text("password"), "postgres");
                match options.host("127.0.0.1").port(port).connect().await {
                    Ok(mut connection) => {
                        sqlx::raw_sql("SELECT 1").execute(&mut connection).await.unwrap();
                        let _ = connection.close().await;
                        logins.fetch_add(1, Ordering::SeqCst);
                    }
                    Err(error) => {
                        eprintln!("{}: {error}", text("username"));
                        failures.fetch_add(1, Ordering::SeqCst);
                    }
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        client
    }

    /// How many logins it made, none of which failed.
    fn end(&self) -> u32 {
        self.stop.store(true, Ordering::SeqCst);
        assert_eq!(self.failures.load(Ordering::SeqCst), 0);
        self.logins.load(Ordering::SeqCst)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn four_rotations_behind_a_proxy_and_its_client_never_fails() {
    for server in both_versions() {
        let fronted = Fronted::open(&server, Duration::from_millis(400)).await;
        let (shop, client) = (&fronted.shop, fronted.client());
        let answer = shop.stage.ask(Question::Preflight).await;
        assert_eq!((&answer["ready"], &answer["findings"]), (&json!(true), &json!([])), "{answer}");
        let recorded = Arc::new(Mutex::new(BTreeSet::new()));
        let calls = Arc::clone(&recorded);
        shop.stage.store.set_faults(move |_, call| {
            if SECRETS.contains(&call.secret) {
                calls.lock().unwrap().insert(format!("secretsmanager:{}", call.operation));
            }
            Fault::Proceed
        });
        let plan = shop.plan().await;
        assert!(plan.iter().any(|line| line.contains(SECRETS[1])), "{plan:?}");
        for round in 1..=4 {
            let token = shop.stage.play(&Step::ALL).await;
            let current = shop.stage.document(AWSCURRENT);
            let own = SECRETS[usize::from(round % 2 == 1)];
            let held = fronted.held(own);
            for field in ["username", "password"] {
                assert_eq!(held[field], current[field], "round {round}");
            }
            let versions = shop.stage.store.describe(&SecretId::parse(own).unwrap()).unwrap();
            assert!(versions.labels.contains_key(&token), "round {round}");
            tokio::time::sleep(Duration::from_millis(60)).await;
            fronted.assert_in_step(&format!("round {round}")).await;
        }
        // What the role may do, which tests/it/template/ compares with template.yaml's.
        let policy = include_str!("../../../deploy/terraform/policies/proxy-secrets.json");
        let policy = policy.replace("${jsonencode(secrets)}", "[]");
        let policy: Value = serde_json::from_str(&policy).unwrap();
        let allowed = policy["Statement"][0]["Action"].as_array().unwrap().iter();
        let allowed: BTreeSet<_> = allowed.map(|one| one.as_str().unwrap().to_owned()).collect();
        assert_eq!(*recorded.lock().unwrap(), allowed);
        let logins = client.end();
        eprintln!("PostgreSQL {}: {logins} logins through the proxy", server.version().await);
        assert!(logins > 20, "{logins}");
        fronted.shop.close().await;
    }
}

/// Each of the four actions on either secret, tried without a change: labels and values stay as they are.
#[tokio::test(flavor = "multi_thread")]
async fn preflight_finds_every_permission_that_is_missing_on_a_proxy_secret() {
    let Some(server) = server() else { return };
    // The proxy itself reads once.
    let fronted = Fronted::open(&server, Duration::from_secs(3600)).await;
    let stage = &fronted.shop.stage;
    let state = || {
        SECRETS.map(|secret| {
            let listed = stage.store.list(&SecretId::parse(secret).unwrap(), true).unwrap();
            format!("{:?} {}", listed.versions, fronted.held(secret))
        })
    };
    let before = state();
    for operation in
        ["DescribeSecret", "GetSecretValue", "PutSecretValue", "UpdateSecretVersionStage"]
    {
        for denied in SECRETS {
            stage.store.set_faults(move |_, call| match (call.operation, call.secret) {
                (one, other) if one == operation && other == denied => {
                    Fault::Fail(StoreError::new(StoreErrorCode::AccessDenied, "not authorized"))
                }
                _ => Fault::Proceed,
            });
            let answer = stage.ask(Question::Preflight).await;
            stage.store.clear_faults();
            let findings = answer["findings"].as_array().unwrap();
            assert_eq!((findings.len(), &answer["ready"]), (1, &json!(false)), "{answer}");
            let found = findings[0].to_string();
            assert!(found.contains(denied), "{operation} {denied}: {found}");
            assert!(found.contains(&format!("{operation} failed")), "{operation}: {found}");
        }
    }
    assert_eq!(stage.ask(Question::Preflight).await["ready"], json!(true));
    assert_eq!(state(), before);
    fronted.shop.close().await;
}

/// The answers of these steps, until one fails.
async fn steps(shop: &Shop, token: &VersionId) -> Result<(), String> {
    for step in Step::ALL {
        let ended = shop.stage.step(step, token).await;
        ended.result.map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// Each call to Secrets Manager of a rotation fails once, without effect or with its answer lost. The
/// calls at the database are stopped in the kit's sweeps, over models, and in `alternating/kills.rs`.
#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_behind_a_proxy_that_stops_at_any_call_goes_on() {
    let Some(server) = server() else { return };
    let fronted = Fronted::open(&server, Duration::from_millis(40)).await;
    let (shop, client) = (&fronted.shop, fronted.client());
    shop.stage.play(&Step::ALL).await;
    let mut played = 0;
    let stride = if every_point() { 1 } else { 3 };
    for lost in [false, true] {
        for at in (1..).step_by(stride) {
            let token = shop.stage.begin();
            let calls = Arc::new(AtomicU32::new(0));
            let counted = Arc::clone(&calls);
            shop.stage.store.set_faults(move |_, call| {
                // The client and the proxy read AWSCURRENT by the same call.
                let reads = call.operation == "GetSecretValue" && call.label == Some(AWSCURRENT);
                if reads || counted.fetch_add(1, Ordering::SeqCst) + 1 != at {
                    return Fault::Proceed;
                }
                match lost {
                    true => Fault::LoseAnswer,
                    false => {
                        Fault::Fail(StoreError::new(StoreErrorCode::Throttled, "Rate exceeded"))
                    }
                }
            });
            let first = steps(shop, &token).await;
            shop.stage.store.clear_faults();
            if calls.load(Ordering::SeqCst) < at {
                first.unwrap();
                shop.stage.end(&token);
                break;
            }
            if let Err(error) = first {
                steps(shop, &token).await.unwrap_or_else(|again| panic!("{at}: {error}: {again}"));
            }
            shop.stage.end(&token);
            fronted.assert_in_step(&format!("call {at}")).await;
            played += 1;
        }
    }
    eprintln!("{played} rotations that were stopped, {} logins", client.end());
    assert!(played > 6, "{played}");
    fronted.shop.close().await;
}
