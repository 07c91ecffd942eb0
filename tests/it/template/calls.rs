//! What rotations call beside their own secret, by the parameter of the stack that lets them; and that a role
//! allows this, and no more, for every combination of these parameters.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fourstep::Step;
use fourstep::store::SecretStore;
use fourstep_local::{Fault, NewSecret};
use serde_json::{Value, json};

use super::permissions::{KMS, allow, concerns, recorded, statements};
use super::resolve::template;
use super::{EVERY, functions};
use crate::accounts::{Front, ROLE, store};
use crate::blue_green::{captured, drop_slot, follow, slot};
use crate::proxy::{Fronted, SECRETS};
use crate::rds::Account;
use crate::redis::managed;
use crate::redshift::pairs::PAIR;
use crate::redshift::serverless;
use crate::support::postgres::server;
use crate::support::redshift_serverless::{Double, host};
use crate::support::stage::Stage;

type Calls = BTreeSet<String>;

/// What the secrets are called whose ARNs a parameter lists, in the recordings.
const ADMIN: (&str, &[&str]) = ("AdminSecretArns", &["admin"]);
const PROXIES: (&str, &[&str]) = ("ProxySecretArns", &SECRETS);

/// Secrets Manager's, which statistics count for every secret alike.
const OF_SECRETS: [&str; 5] = [
    "DescribeSecret",
    "GetSecretValue",
    "ListSecretVersionIds",
    "PutSecretValue",
    "UpdateSecretVersionStage",
];

/// A rotation, until it ends; what it calls on the secrets that a parameter lists, and of another service.
async fn played(
    stage: &Stage,
    (parameter, secrets): (&'static str, &'static [&'static str]),
    service: &str,
) -> Calls {
    let calls = Arc::new(Mutex::new(Calls::new()));
    let kept = Arc::clone(&calls);
    stage.store.set_faults(move |_, call| {
        if secrets.contains(&call.secret) {
            let action = format!("secretsmanager:{} on {parameter}", call.operation);
            kept.lock().unwrap().insert(action);
        }
        Fault::Proceed
    });
    let token = stage.begin();
    for step in Step::ALL {
        let ended = stage.step(step, &token).await;
        let others = ended.stats.calls.keys().filter(|call| !OF_SECRETS.contains(call));
        calls.lock().unwrap().extend(others.map(|call| format!("{service}:{call}")));
        if ended.result.is_err() {
            // No database is behind the names that a service's double gives.
            break;
        }
    }
    stage.store.clear_faults();
    calls.lock().unwrap().clone()
}

/// Of an admin whose secret RDS manages, or Redshift; and at RDS, where a deployment may wait.
async fn for_admins() -> Option<Calls> {
    let (account, double, server) = (Account::new().await?, Double::start().await?, server()?);
    let mut calls = Calls::new();
    let rds = ("AWS_ENDPOINT_URL_RDS", account.url.as_str());
    let (instance, of_instance) = account.instance("one", None).await;
    let (cluster, _, of_cluster) = account.cluster("sea").await;
    for (host, tag, arn) in [
        (&instance, "aws:rds:primaryDBInstanceArn", of_instance),
        (&cluster, "aws:rds:primaryDBClusterArn", of_cluster),
    ] {
        let user = json!({
            "engine": "postgres", "host": host, "username": "app", "password": "q", "masterarn": "admin",
        });
        let mut stage = Stage::new(&user, &[PAIR, rds]);
        stage.timeout = Duration::from_secs(10);
        let value = Some(r#"{"username": "postgres", "password": "q"}"#.into());
        let tags = [(tag.to_owned(), arn)].into();
        stage.store.create("admin", NewSecret { value, tags, ..NewSecret::default() }).unwrap();
        calls.extend(played(&stage, ADMIN, "rds").await);
    }
    let mut stage = serverless::stage(&double, &serverless::user(&host(149)), 149, &[PAIR]);
    stage.timeout = Duration::from_secs(10);
    calls.extend(played(&stage, ADMIN, "redshift-serverless").await);

    let mut shop = captured(&server).await;
    slot(&shop, "rds").await;
    let alias = format!("{}:{}={instance}:5432", server.host, server.port);
    follow(&mut shop, "alternating-users", &[rds, ("SAME_DATABASE_HOSTS", &alias)]);
    calls.extend(played(&shop.stage, ADMIN, "rds").await);
    for stem in ["rds", "cdc"] {
        drop_slot(&shop, stem).await;
    }
    shop.close().await;
    Some(calls)
}

async fn for_managed_users() -> Option<Calls> {
    let server = managed::server().await?;
    let elasticache = managed::double::Double::elasticache(&server).await;
    let memorydb = managed::double::Double::memorydb(&server).await;
    let mut calls = Calls::new();
    for (double, service) in [(elasticache, "elasticache"), (memorydb, "memorydb")] {
        let stage = double.stage(&double.document(), &[]);
        calls.extend(played(&stage, ("ManagedUserArns", &[]), service).await);
    }
    Some(calls)
}

async fn for_proxies() -> Option<Calls> {
    let fronted = Fronted::open(&server()?, Duration::from_millis(40)).await;
    let calls = played(&fronted.shop.stage, PROXIES, "").await;
    fronted.shop.close().await;
    Some(calls)
}

async fn for_another_account() -> Calls {
    let front = Front::start(3600, None).await;
    let (secret, role) = (front.secret("first"), ("SECRETS_ROLE_ARN", ROLE));
    store(&front.url, &[role]).await.describe_secret(&secret).await.unwrap();
    assert_eq!(front.given(), 1);
    ["sts:AssumeRole".to_owned()].into()
}

/// What statements allow, but for the log and the network; of secrets, with the parameter that lists them.
fn allowed(statements: &[&Value], given: &[(&str, &str)]) -> Calls {
    let of = |resource: &Value| given.iter().find(|(_, value)| *resource == json!([value]));
    allow(statements)
        .filter(|(action, _)| !action.starts_with("logs:") && !action.starts_with("ec2:"))
        .map(|(action, resource)| match of(resource) {
            Some((parameter, _)) if action.starts_with("secretsmanager:") => {
                format!("{action} on {parameter}")
            }
            _ => action.to_owned(),
        })
        .collect()
}

/// An action that AdminSecretArns brings is called by some function, not by each that has it.
#[tokio::test(flavor = "multi_thread")]
async fn every_combination_of_parameters_allows_what_is_called_and_no_more() {
    if template(&[]).is_none() {
        return;
    }
    let Some(own) = recorded().await else { return };
    let (Some(admins), Some(users)) = (for_admins().await, for_managed_users().await) else {
        return;
    };
    let Some(proxies) = for_proxies().await else { return };
    let keys = KMS.iter().filter(|(call, _)| own.contains(call)).flat_map(|(_, actions)| *actions);
    let keys: Calls = keys.map(ToString::to_string).collect();
    let own: Calls = own.iter().map(|call| format!("secretsmanager:{call}")).collect();
    let arn =
        |service: &str, rest: &str| format!("arn:aws:{service}:us-east-1:111122223333:{rest}");
    let all = [
        ("KmsKeyArns", arn("kms", "key/one"), keys),
        ("AdminSecretArns", arn("secretsmanager", "secret:admin-AbCdEf"), admins),
        ("ProxySecretArns", arn("secretsmanager", "secret:proxy-AbCdEf"), proxies),
        ("ManagedUserArns", arn("elasticache", "user:app"), users),
        ("SecretsRoleArn", ROLE.to_owned(), for_another_account().await),
    ];
    for combination in 0..1 << all.len() {
        let chosen = all.iter().enumerate().filter(|(at, _)| combination & (1 << at) != 0);
        let chosen: Vec<_> = chosen.map(|(_, one)| one).collect();
        let given: Vec<_> = chosen.iter().map(|(name, value, _)| (*name, value.as_str())).collect();
        let resources = template(&[&given[..], &[EVERY]].concat()).unwrap().resources();
        for (id, _) in functions(&resources) {
            let called = chosen.iter().filter(|(parameter, _, _)| concerns(parameter, id));
            let called = called.flat_map(|(_, _, calls)| calls).chain(&own).cloned();
            let called: Calls = called.collect();
            assert_eq!(allowed(&statements(&resources, id), &given), called, "{id} {given:?}");
        }
    }
}
