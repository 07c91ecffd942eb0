//! Alternating users behind a proxy that knows each of them by a secret of its own (docs/rds-proxy.md):
//! the real strategy at real servers, and a front that behaves as AWS documents RDS Proxy.

mod faults;
mod mysql;

use std::collections::BTreeSet;
use std::fmt::Display;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fourstep::store::{AWSCURRENT, StoreError, StoreErrorCode};
use fourstep::{Question, SecretId, Step, VersionId};
use fourstep_local::{Fault, NewSecret};
use serde_json::{Value, json};
use sqlx::{ConnectOptions, Connection};

use crate::alternating::Shop;
use crate::support::postgres::{Server, User, both_versions, server};
use crate::support::program::every_point;
use crate::support::rds_proxy::{Behind, RdsProxy};
use crate::support::stage::{Stage, read};

/// The secrets that are registered with the proxy.
pub const SECRETS: [&str; 2] = ["proxy-first", "proxy-second"];
/// For a proxy that reads them once.
const LONG: Duration = Duration::from_secs(3600);

/// A shop whose application comes through a proxy.
pub struct Fronted {
    pub shop: Shop,
    pub proxy: RdsProxy,
}

impl Fronted {
    /// The proxy reads its secrets every so often.
    pub async fn open(server: &Server, every: Duration) -> Self {
        let mut shop = Shop::bare(server, "app", &[]).await;
        let (behind, clone) = (Behind::Postgres(server.clone()), shop.clone_name());
        let users = (&shop.app, clone.as_str());
        let (proxy, list) = put_before(&shop.stage, behind, users, "127.0.0.1", every).await;
        shop.configure(&[("PROXY_SECRETS", &list)]);
        Self { shop, proxy }
    }

    /// What a proxy secret holds.
    pub fn held(&self, secret: &str) -> Value {
        held(&self.shop.stage, secret)
    }

    async fn assert_in_step(&self, what: &str) {
        let logs_in = async |document: &Value| self.shop.logs_in(document).await;
        assert_in_step(&self.shop.stage, logs_in, what).await;
    }

    fn client(&self) -> Client {
        let (server, port) = (self.shop.server.clone(), self.proxy.port);
        Client::start(&self.shop.stage, move |user, password| {
            let options = server.options(&user, &password, "postgres");
            async move {
                let mut connection = options.host("127.0.0.1").port(port).connect().await?;
                sqlx::raw_sql("SELECT 1").execute(&mut connection).await.unwrap();
                let _ = connection.close().await;
                Ok::<_, sqlx::Error>(())
            }
        })
    }
}

/// Makes a proxy secret for each of two users, of which the second has no password yet, puts a proxy
/// before the server and names it in the rotated secret; with what `PROXY_SECRETS` lists.
async fn put_before(
    stage: &Stage,
    behind: Behind,
    (app, clone): (&User, &str),
    host: &str,
    every: Duration,
) -> (RdsProxy, String) {
    let held = [(app.name.as_str(), app.password.as_str()), (clone, "canary-nothing-yet")];
    for (name, (user, password)) in SECRETS.into_iter().zip(held) {
        let document = json!({"username": user, "password": password, "team": "shop"});
        let value = Some(document.to_string().as_str().into());
        stage.store.create(name, NewSecret { value, ..NewSecret::default() }).unwrap();
    }
    let proxy = RdsProxy::start(behind, &stage.store, &SECRETS, every).await;
    let mut document = stage.document(AWSCURRENT);
    document["proxyHost"] = json!(host);
    document["proxyPort"] = json!(proxy.port);
    stage.put_current(&document);
    (proxy, format!("{}={},{clone}={}", app.name, SECRETS[0], SECRETS[1]))
}

fn held(stage: &Stage, secret: &str) -> Value {
    let secret = SecretId::parse(secret).unwrap();
    serde_json::from_str(&read(&stage.store, &secret, AWSCURRENT)).unwrap()
}

/// Each proxy secret's AWSCURRENT logs in at the server, and has what else stood in it.
async fn assert_in_step(stage: &Stage, logs_in: impl AsyncFn(&Value) -> bool, what: &str) {
    for secret in SECRETS {
        let held = held(stage, secret);
        assert!(logs_in(&held).await, "{what}: {secret}");
        assert_eq!(held["team"], "shop", "{what}: {secret}");
    }
}

/// Four rotations, after each of which both proxy secrets are as they should be.
async fn four_rotations(stage: &Stage, logs_in: impl AsyncFn(&Value) -> bool) {
    for round in 1..=4 {
        let token = stage.play(&Step::ALL).await;
        let current = stage.document(AWSCURRENT);
        let own = SECRETS[usize::from(round % 2 == 1)];
        let held = held(stage, own);
        for field in ["username", "password"] {
            assert_eq!(held[field], current[field], "round {round}");
        }
        let versions = stage.store.describe(&SecretId::parse(own).unwrap()).unwrap();
        assert!(versions.labels.contains_key(&token), "round {round}");
        tokio::time::sleep(Duration::from_millis(60)).await;
        assert_in_step(stage, &logs_in, &format!("round {round}")).await;
    }
}

/// A client that reads the secret and connects through the proxy, all the time.
struct Client {
    stop: Arc<AtomicBool>,
    logins: Arc<AtomicU32>,
    failures: Arc<AtomicU32>,
}

impl Client {
    /// `log_in` makes one session with a user's name and password.
    fn start<Failure: Display + Send + 'static, Login>(
        stage: &Stage,
        log_in: impl Fn(String, String) -> Login + Send + 'static,
    ) -> Self
    where
        Login: Future<Output = Result<(), Failure>> + Send + 'static,
    {
        let client =
            Self { stop: Arc::default(), logins: Arc::default(), failures: Arc::default() };
        let (stop, logins) = (Arc::clone(&client.stop), Arc::clone(&client.logins));
        let (failures, secret) = (Arc::clone(&client.failures), stage.secret.clone());
        let store = Arc::clone(&stage.store);
        tokio::spawn(async move {
            while !stop.load(Ordering::SeqCst) {
                let now: Value = serde_json::from_str(&read(&store, &secret, AWSCURRENT)).unwrap();
                let text = |field: &str| now[field].as_str().unwrap().to_owned();
                let began = Instant::now();
                let failed = log_in(text("username"), text("password")).await.err();
                if let Some(error) = failed.map(|error| error.to_string()) {
                    eprintln!("{}: {error}", text("username"));
                    // One that stood still came after the next rotation, too, had changed its user.
                    let current = read(&store, &secret, AWSCURRENT);
                    let late = began.elapsed() > Duration::from_millis(100)
                        && serde_json::from_str::<Value>(&current).unwrap() != now;
                    failures.fetch_add(u32::from(!late), Ordering::SeqCst);
                } else {
                    logins.fetch_add(1, Ordering::SeqCst);
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
        four_rotations(&shop.stage, async |document: &Value| shop.logs_in(document).await).await;
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
    let fronted = Fronted::open(&server, LONG).await;
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

    // A proxy that has not got the secret of the user in use does not ask for a password.
    let behind = Behind::Postgres(server.clone());
    let lacks = RdsProxy::start(behind, &stage.store, &SECRETS[1..], LONG).await;
    let mut document = stage.document(AWSCURRENT);
    document["proxyPort"] = json!(lacks.port);
    stage.put_current(&document);
    let answer = stage.ask(Question::Preflight).await;
    let found = &answer["findings"][0];
    assert_eq!(found["kind"], "Rejected", "{answer}");
    assert!(found["finding"].as_str().unwrap().contains("among those of the proxy"), "{answer}");
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
