//! Secrets of another account: STS is asked for a role, and Secrets Manager as that role. At moto, which
//! keeps the secrets of each account apart; and at a front that takes no other credentials than those it
//! gave, for as long as it said, and no value without the RotationToken.

mod admins;

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::types::ReplicaRegionType;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use expect_test::expect_file;
use fourstep::store::aws::{AwsStore, http_client};
use fourstep::store::{AWSCURRENT, SecretClient, SecretStore, Select, StoreError, StoreErrorCode};
use fourstep::{Deadline, Environment, ErrorKind, Invocation, Question, SecretId, Step};
use fourstep_cli::events;
use fourstep_local::serve::{self, AccessKey};
use fourstep_local::{Fault, MemoryStore, NewRotation, NewSecret};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::function::{error, function, unused};
use crate::support::fault_table::FaultTable;
use crate::support::postgres::server;
use crate::support::skip;
use crate::support::stage::{FUNCTION, new_token, read};

pub const ROLE: &str = "arn:aws:iam::444455556666:role/rotation";
/// What the front gives to whoever assumes the role.
const KEY: &str = "ASIAOFTHEROLE";

pub async fn store(url: &str, variables: &[(&str, &str)]) -> AwsStore {
    let endpoints = [("SECRETS_MANAGER_ENDPOINT", url), ("AWS_ENDPOINT_URL_STS", url)];
    let environment: Environment = endpoints.iter().chain(variables).copied().collect();
    AwsStore::connect(&environment).await.unwrap()
}

#[tokio::test]
async fn the_secrets_of_another_account_are_read_as_its_role() {
    let Ok(url) = std::env::var("FOURSTEP_TEST_MOTO") else { return skip("FOURSTEP_TEST_MOTO") };
    let http = http_client(&Environment::default()).unwrap();
    let shared = aws_config::defaults(aws_config::BehaviorVersion::v2026_01_12());
    let own = shared.http_client(http).endpoint_url(&url).load().await;
    let sts = aws_sdk_sts::Client::new(&own);
    let given = sts.assume_role().role_arn(ROLE).role_session_name("test").send().await.unwrap();
    let given = given.credentials.unwrap();
    let credentials = Credentials::new(
        given.access_key_id,
        given.secret_access_key,
        Some(given.session_token),
        None,
        "moto",
    );
    let shared = aws_config::defaults(aws_config::BehaviorVersion::v2026_01_12());
    let http = http_client(&Environment::default()).unwrap();
    let shared = shared.http_client(http).credentials_provider(credentials).endpoint_url(&url);
    let there = Client::new(&shared.load().await);
    let name = format!("accounts/{}", new_token());
    there.create_secret().name(&name).secret_string("theirs").send().await.unwrap();

    let secret = SecretId::parse(&name).unwrap();
    let read = async |variables: &[(&str, &str)]| {
        store(&url, variables).await.get_secret_value(&secret, Select::Label(AWSCURRENT)).await
    };
    assert_eq!(read(&[]).await.unwrap_err().code, StoreErrorCode::NotFound);
    let theirs = read(&[("SECRETS_ROLE_ARN", ROLE)]).await.unwrap();
    assert_eq!(theirs.value.expose_bytes(), b"theirs");
}

/// STS and Secrets Manager at one address, as AWS's own would answer in another account.
pub struct Front {
    pub url: String,
    store: Arc<MemoryStore>,
    state: Arc<Sts>,
}

struct Sts {
    /// How long credentials last, in seconds.
    lifetime: u64,
    external_id: Option<&'static str>,
    given: AtomicU64,
    /// How many of those given the service takes no more, although their time is not over.
    ended: AtomicU64,
    sessions: Mutex<Vec<String>>,
}

impl Front {
    pub async fn start(lifetime: u64, external_id: Option<&'static str>) -> Self {
        let (store, sessions) = (Arc::new(MemoryStore::new()), Mutex::default());
        let (given, ended) = Default::default();
        let state = Arc::new(Sts { lifetime, external_id, given, ended, sessions });
        let router = serve::endpoint_for(AccessKey::given(KEY), &store)
            .layer(from_fn_with_state(Arc::clone(&state), answer));
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(axum::serve(listener, router).into_future());
        Self { url, store, state }
    }

    pub fn secret(&self, value: &str) -> SecretId {
        let new = NewSecret { value: Some(value.into()), ..NewSecret::default() };
        SecretId::parse(&self.store.create("accounts/secret", new).unwrap().arn).unwrap()
    }

    pub fn given(&self) -> u64 {
        self.state.given.load(Ordering::SeqCst)
    }

    /// Ends what was given so far, as where the container's clock is late.
    fn end(&self) {
        self.state.ended.store(self.given(), Ordering::SeqCst);
    }
}

async fn answer(State(sts): State<Arc<Sts>>, request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, serve::LARGEST_BODY).await.unwrap();
    if body.starts_with(b"Action=AssumeRole") {
        return sts.assume(&String::from_utf8_lossy(&body));
    }
    if let Some(refusal) = sts.refusal(&head.headers, &body) {
        return refusal;
    }
    next.run(Request::from_parts(head, Body::from(body))).await
}

impl Sts {
    /// Source of both forms: AWS STS API Reference, AssumeRole and "Common errors".
    fn assume(&self, asked: &str) -> Response {
        let value = |name: &str| {
            let pair = asked.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}=")));
            pair.map(|value| value.replace("%3A", ":").replace("%2F", "/"))
        };
        assert_eq!(value("RoleArn").as_deref(), Some(ROLE));
        if value("ExternalId").as_deref() != self.external_id {
            let refusal = format!(
                "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>User: \
                 arn:aws:sts::111122223333:assumed-role/fourstep/f is not authorized to perform: \
                 sts:AssumeRole on resource: {ROLE}</Message></Error></ErrorResponse>"
            );
            return (StatusCode::FORBIDDEN, refusal).into_response();
        }
        self.sessions.lock().unwrap().push(value("RoleSessionName").unwrap());
        let number = self.given.fetch_add(1, Ordering::SeqCst) + 1;
        let ends = SystemTime::now() + Duration::from_secs(self.lifetime);
        let ends = OffsetDateTime::from(ends).format(&Rfc3339).unwrap();
        let seconds = OffsetDateTime::now_utc().unix_timestamp() + self.lifetime as i64;
        format!(
            "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>{KEY}</AccessKeyId>\
             <SecretAccessKey>s</SecretAccessKey><SessionToken>until-{seconds}-{number}</SessionToken>\
             <Expiration>{ends}</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"
        )
        .into_response()
    }

    /// What nobody gave, what is not in time, and a value whose source is not told. That KEY signed it is the local
    /// Secrets Manager's to look at.
    fn refusal(&self, headers: &HeaderMap, body: &Bytes) -> Option<Response> {
        let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap());
        let given = header("x-amz-security-token").and_then(|token| token.strip_prefix("until-"));
        let (until, number) = given.and_then(|given| given.split_once('-')).unwrap_or_default();
        let until: i64 = until.parse().unwrap_or_default();
        let over = until < OffsetDateTime::now_utc().unix_timestamp();
        let ended = number.parse().is_ok_and(|one: u64| one <= self.ended.load(Ordering::SeqCst));
        let action = header("x-amz-target").unwrap_or_default();
        let (code, message) = if given.is_none() {
            let user =
                "User: arn:aws:sts::111122223333:assumed-role/fourstep/f is not authorized to";
            let action = action.replace("secretsmanager.", "secretsmanager:");
            ("AccessDeniedException", format!("{user} perform: {action}"))
        } else if over || ended {
            let message = "The security token included in the request is expired";
            ("ExpiredTokenException", message.to_owned())
        } else if action == "secretsmanager.PutSecretValue"
            && !String::from_utf8_lossy(body).contains("\"RotationToken\"")
        {
            ("AccessDeniedException", "the request carries no RotationToken".to_owned())
        } else {
            return None;
        };
        let text = format!(r#"{{"__type": "{code}", "Message": "{message}"}}"#);
        Some((StatusCode::BAD_REQUEST, text).into_response())
    }
}

/// The binary itself, each step a new process with credentials of its own; the secret is one that no
/// other credentials reach.
#[tokio::test]
async fn a_secret_of_another_account_is_rotated_and_the_rotation_token_arrives() {
    let Some(server) = server() else { return };
    let user = server.user("accounts").await;
    let front = Front::start(3600, Some("shop")).await;
    let before = server.document(&user).to_string();
    let secret = front.secret(&before);
    let variables = [
        ("SECRETS_ROLE_ARN", ROLE),
        ("SECRETS_ROLE_EXTERNAL_ID", "shop"),
        ("AWS_ENDPOINT_URL_STS", &front.url),
    ];
    let trusted = [&variables[..], &[("TLS_CA_BUNDLE", &server.ca)]].concat();
    let function = function(&front.url, &trusted, 30);
    let token = new_token();
    front.store.rotate(&secret, &NewRotation::now(&token, FUNCTION)).unwrap();

    // As a caller that drops the RotationToken would fare.
    let mut event = events::step(Step::Create, secret.as_str(), token.as_str());
    event.as_object_mut().unwrap().remove("RotationToken");
    let refused = function.invoke(&event).await.unwrap();
    assert_eq!(error(&refused).0, "Forbidden", "{:?}", refused.answer);
    assert!(error(&refused).1.contains("no RotationToken"), "{:?}", refused.answer);

    for step in Step::ALL {
        let event = events::step(step, secret.as_str(), token.as_str());
        let invocation = function.invoke(&event).await.unwrap();
        assert!(invocation.answer.is_ok(), "{step:?}: {:?}", invocation.answer);
    }
    let after = read(&front.store, &secret, AWSCURRENT);
    assert_ne!(after, before);
    let password = serde_json::from_str::<serde_json::Value>(&after).unwrap()["password"].clone();
    assert!(server.logs_in(&user.name, password.as_str().unwrap()).await);
    assert_eq!(front.given(), 5, "one for each process");
    let sessions = front.state.sessions.lock().unwrap();
    assert!(sessions.iter().all(|name| !name.is_empty() && name != "fourstep"), "{sessions:?}");
}

#[tokio::test]
async fn credentials_are_kept_while_they_last_and_renewed_before_they_end() {
    // The SDK asks anew within five seconds of the end in any case.
    for (lifetime, asked) in [(3600, 1), (4, 4)] {
        let front = Front::start(lifetime, None).await;
        let secret = front.secret("first");
        let store = store(&front.url, &[("SECRETS_ROLE_ARN", ROLE)]).await;
        assert_eq!(front.given(), 0, "nothing is asked before the first call");
        for _ in 0..4 {
            store.describe_secret(&secret).await.unwrap();
        }
        assert_eq!(front.given(), asked, "credentials of {lifetime} s");
    }
}

/// The SDK would use them for as long as STS said, and every retry that comes to this container would fail.
#[tokio::test]
async fn credentials_that_the_service_calls_ended_fail_one_call_and_are_not_used_again() {
    let front = Front::start(3600, None).await;
    let secret = front.secret("first");
    let store = store(&front.url, &[("SECRETS_ROLE_ARN", ROLE)]).await;
    let cx = Invocation::new(Deadline::after(Duration::from_secs(30)));
    let calls = SecretClient::new(&store, &secret, &cx);
    let said = format!(
        "the credentials of {ROLE}: The security token included in the request is expired \
         (ExpiredTokenException)"
    );
    calls.describe().await.unwrap();
    front.end();
    let error = calls.current().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
    assert!(error.to_string().contains(&said), "{error}");
    calls.current().await.unwrap();
    front.end();
    // A write's message is kept too: it quotes nothing.
    let put = store.put_pending(&secret, &new_token(), &"canary".into(), None).await;
    assert_eq!(put.unwrap_err().to_string(), said);
    calls.current().await.unwrap();
    assert_eq!(front.given(), 3);
    assert_eq!(read(&front.store, &secret, AWSCURRENT), "first");
}

#[tokio::test]
async fn a_role_that_cannot_be_had_is_named_with_what_to_do() {
    let front = Front::start(3600, Some("shop")).await;
    let secret = front.secret("first");
    // Its clock and the service's are hours apart.
    let apart = Front::start(3600, None).await;
    apart.state.ended.store(u64::MAX, Ordering::SeqCst);
    let event = events::step(Step::Create, secret.as_str(), new_token().as_str());
    let mut table = FaultTable::default();
    let (role, once) = (("SECRETS_ROLE_ARN", ROLE), ("AWS_MAX_ATTEMPTS", "1"));
    let sts = |url| ("AWS_ENDPOINT_URL_STS", url);
    for (name, front, variables) in [
        ("a role that may not be assumed", &front, &[role, once, sts(front.url.as_str())][..]),
        ("no way to STS", &front, &[role, once, sts("http://127.0.0.1:1")]),
        ("a secret of another account without its role", &front, &[once]),
        ("credentials that have ended", &apart, &[role, once, sts(apart.url.as_str())]),
        ("an endpoint beside FIPS", &front, &[once, ("AWS_USE_FIPS_ENDPOINT", "true")]),
    ] {
        let invocation = function(&front.url, variables, 30).invoke(&event).await.unwrap();
        let (said, message) = error(&invocation);
        let kind = ErrorKind::ALL.into_iter().find(|kind| kind.name() == said).unwrap();
        table.add(name, kind, message.to_owned());
    }
    assert_eq!(front.given(), 0);
    let theirs = Front::start(3600, None).await;
    let there = theirs.secret("first");
    let event = events::step(Step::Create, there.as_str(), new_token().as_str());
    let variables = [role, once, sts(theirs.url.as_str())];
    for (name, message) in [
        (
            "a role that may not read the secret",
            "User: arn:aws:sts::444455556666:assumed-role/rotation/f is not authorized to perform: \
             secretsmanager:DescribeSecret",
        ),
        ("a role that may not use the key", "Access to KMS is not allowed"),
    ] {
        theirs.store.set_faults(move |_, _| {
            Fault::Fail(StoreError::new(StoreErrorCode::AccessDenied, message))
        });
        let invocation = function(&theirs.url, &variables, 30).invoke(&event).await.unwrap();
        let (said, message) = error(&invocation);
        let kind = ErrorKind::ALL.into_iter().find(|kind| kind.name() == said).unwrap();
        table.add(name, kind, message.to_owned());
    }
    expect_file!["accounts.txt"].assert_eq(&table.text);
}

/// At moto: the primary in one Region, the replica in another, each asked by a function of its Region.
#[tokio::test]
async fn a_replica_is_refused_where_it_is_and_its_primary_is_not() {
    let Ok(url) = std::env::var("FOURSTEP_TEST_MOTO") else { return skip("FOURSTEP_TEST_MOTO") };
    let http = http_client(&Environment::default()).unwrap();
    let shared = aws_config::defaults(aws_config::BehaviorVersion::v2026_01_12());
    let client = Client::new(&shared.http_client(http).endpoint_url(&url).load().await);
    let region = ReplicaRegionType::builder().region("eu-west-1").build();
    let create = client.create_secret().name(format!("replicated/{}", new_token()));
    let value = unused().to_string();
    let made = create.secret_string(value).add_replica_regions(region).send().await.unwrap();
    let primary = made.arn.unwrap();
    let replica = primary.replace(":us-east-1:", ":eu-west-1:");
    for (region, arn, refused) in [("us-east-1", &primary, false), ("eu-west-1", &replica, true)] {
        let variables = [("AWS_REGION", region)];
        let event = events::question(Question::Preflight, arn);
        let answer = function(&url, &variables, 30).invoke(&event).await.unwrap().answer.unwrap();
        let says = "this secret is a replica in eu-west-1 of the one in us-east-1";
        assert_eq!(answer.to_string().contains(says), refused, "{region}: {answer}");
    }
}
