//! The admin secret of a namespace of Redshift Serverless, at a double of the API.

use fourstep::{ErrorKind, Question, Step};
use fourstep_local::NewSecret;
use serde_json::{Value, json};

use super::pairs::PAIR;
use crate::support::fault_table::FaultTable;
use crate::support::redshift_serverless::{ACCOUNT, Double, Mood, host, namespace_arn, secret_arn};
use crate::support::stage::Stage;
use crate::support::witness;

/// The admin's secret of this namespace, as Redshift makes it.
fn admin(index: usize) -> NewSecret {
    let value = Some(r#"{"username": "admin", "password": "canary-admin"}"#.into());
    let tags = [("aws:redshift-serverless:namespaceArn".to_owned(), namespace_arn(index))].into();
    NewSecret { value, tags, arn: Some(secret_arn(index)), ..NewSecret::default() }
}

/// A user at this host.
pub fn user(host: &str) -> Value {
    json!({
        "engine": "redshift", "host": host, "port": 5439, "username": "app", "password": "canary-first",
        "masterarn": "admin",
    })
}

/// A stage of such a user, by the admin of this namespace.
pub fn stage(double: &Double, user: &Value, index: usize, more: &[(&str, &str)]) -> Stage {
    let variables =
        [("AWS_ENDPOINT_URL_REDSHIFT_SERVERLESS", double.url.as_str()), ("AWS_MAX_ATTEMPTS", "1")];
    let stage = Stage::new(user, &[&variables[..], more].concat());
    stage.store.create("admin", admin(index)).unwrap();
    stage
}

/// A list of the namespaces shows the last one on its second page. None is read: workgroup and namespace are asked
/// for by their names.
#[tokio::test]
async fn parity_22_the_admin_of_a_serverless_namespace_on_page_2_is_found() {
    let Some(double) = Double::start().await else { return };
    let variables = [("AWS_ENDPOINT_URL_REDSHIFT_SERVERLESS", double.url.as_str())];
    for index in [0, 99, 100, 149] {
        let went = witness::set(&variables, user(&host(index)), admin(index)).await.unwrap();
        assert_eq!(went, format!("{}:5439", host(index)));
        let questions = [
            format!("GetWorkgroup {}", json!({"workgroupName": format!("workgroup-{index}")})),
            format!("GetNamespace {}", json!({"namespaceName": format!("namespace-{index}")})),
        ];
        // By setSecret, after the user's own login.
        assert_eq!(double.asked(), questions);
    }
    // As another writes the host, and the port that is absent.
    let mut other = user(&format!("{}.", host(149).to_ascii_uppercase()));
    let went = witness::set(&variables, other.clone(), admin(149)).await.unwrap();
    assert!(went.starts_with("WORKGROUP-149."), "{went}");
    // The secret of another namespace is not this one's.
    other["host"] = json!(host(148));
    let error = witness::set(&variables, other, admin(149)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Mismatch, "{error}");
}

/// Nothing is stored before a refusal, and none of them leads to another host.
#[tokio::test]
async fn parity_22_what_is_not_the_namespaces_own_workgroup_is_refused_by_name() {
    let Some(double) = Double::start().await else { return };
    let own = host(149);
    let mut table = FaultTable::default();
    for (name, at, index) in [
        ("a domain name of one's own", "warehouse.example.org".to_owned(), 149),
        ("a workgroup of another account", own.replace(ACCOUNT, "444455556666"), 149),
        ("a workgroup of another Region", own.replace("us-east-1", "eu-west-1"), 149),
        ("a VPC endpoint", own.replace("workgroup-149", "mine-endpoint-abcdef012345"), 149),
        ("a workgroup of another namespace", host(148), 149),
    ] {
        table.create(name, &stage(&double, &user(&at), index, &[PAIR])).await;
    }
    let mut other = user(&own);
    other["port"] = json!(5440);
    table.create("another port", &stage(&double, &other, 149, &[PAIR])).await;
    other["engine"] = json!("postgres");
    table.create("another engine", &stage(&double, &other, 149, &[PAIR])).await;
    for (name, pointer, value) in [
        ("a workgroup that is being made", "/workgroup/endpoint", json!({"vpcEndpoints": []})),
        // Of this name in the function's Region, where the host's is another's account.
        ("a namesake of another account", "/workgroup/endpoint/address", json!("10.0.0.7")),
        ("another admin secret", "/namespace/adminPasswordSecretArn", json!("arn:other")),
        ("no admin secret any more", "/namespace/adminPasswordSecretArn", Value::Null),
        ("an answer that says nothing", "/workgroup", json!([null])),
    ] {
        let Some(double) = Double::start().await else { return };
        double.change(pointer, value);
        table.create(name, &stage(&double, &user(&own), 149, &[PAIR])).await;
    }
    // A question to the function tells of it before.
    let pair = stage(&double, &user(&host(148)), 149, &[PAIR]);
    let ready = pair.ask(Question::Preflight).await;
    assert_eq!(ready["ready"], false);
    assert!(ready.to_string().contains("is of another one"), "{ready}");

    for (name, mood) in [
        ("the workgroup may not be read", Mood::Refuses("GetWorkgroup", "AccessDeniedException")),
        ("the namespace may not be read", Mood::Refuses("GetNamespace", "AccessDeniedException")),
        ("a login page", Mood::Nonsense(200)),
        ("a gateway's error", Mood::Nonsense(502)),
        ("an answer of 1 MB", Mood::Large(1024 * 1024)),
        ("an answer of 10 MB", Mood::Large(10 * 1024 * 1024)),
    ] {
        double.is(mood);
        table.create(name, &stage(&double, &user(&own), 149, &[PAIR])).await;
    }
    let nowhere = [PAIR, ("AWS_ENDPOINT_URL_REDSHIFT_SERVERLESS", "http://127.0.0.1:1")];
    table.create("nobody at the API", &stage(&double, &user(&own), 149, &nowhere)).await;
    let fips = [PAIR, ("AWS_USE_FIPS_ENDPOINT", "true")];
    table.create("FIPS with an endpoint", &stage(&double, &user(&own), 149, &fips)).await;
    double.is(Mood::Silent);
    let mut silent = stage(&double, &user(&own), 149, &[PAIR]);
    silent.timeout = std::time::Duration::from_secs(4);
    table.create("an API that does not answer", &silent).await;
    expect_test::expect_file!["serverless.txt"].assert_eq(&table.text);
}

/// As every call of the SDK, it is repeated; then the retry of the step is what helps.
#[tokio::test]
async fn an_api_that_throttles_is_asked_again_and_then_named() {
    let Some(double) = Double::start().await else { return };
    let twice = [PAIR, ("AWS_MAX_ATTEMPTS", "2")];
    let stage = stage(&double, &user(&host(149)), 149, &twice);
    double.is(Mood::Refuses("GetNamespace", "ThrottlingException"));
    let ended = stage.step(Step::Create, &stage.begin()).await;
    assert_eq!(ended.result.as_ref().unwrap_err().kind(), ErrorKind::Throttled);
    assert!(ended.error().contains("GetNamespace failed: Rate exceeded"), "{}", ended.error());
    let asked = double.asked();
    assert_eq!(asked.len(), 3, "{asked:?}");
    assert_eq!((ended.stats.calls["GetWorkgroup"], ended.stats.calls["GetNamespace"]), (1, 1));
}
