//! The same at moto, which others wrote: the fleet is made as before, and then moved there, with each version under
//! its own id. What moto cannot do or does otherwise is told in `account.rs`. By hand, as the fleet at our own
//! Secrets Manager is tried each time: scripts/test --test it -- --ignored doctor::moto.

mod account;

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::types::{RotationRulesType, Tag};
use fourstep::store::{AWSCURRENT, AWSPENDING, AWSPREVIOUS, Select};
use fourstep::{Environment, ExposeSecret, SecretId, SecretValue};
use fourstep_local::{MemoryStore, SecretDetail};
use serde_json::Value;

use super::states::{End, Fleet, State};
use super::{dual, logs_in_with, made, named, of_every_kind, settled, told};
use crate::support::door::{Door, Way};
use crate::support::host::Host;
use crate::support::stage::new_token;
use crate::support::{mysql, postgres, skip};
use account::{Account, arn};

/// More than a page of ListSecrets.
const SIZE: usize = 110;

/// Pairs stay, as their second users have marks with the ARN that the secret had where it was made; and the key that a
/// person makes anew at the vendor.
const STAYS: [&str; 3] = ["two/", "pair/", "keys/none"];

/// Of this fleet, for others have secrets at this moto, too.
const TAG: &str = "fourstep-fleet";

impl Account {
    /// Moves every secret of a store there.
    async fn moved(&self, store: &MemoryStore, fleet: &str) {
        for detail in store.secrets(false).unwrap().iter().filter(|one| is_moved(&one.name)) {
            self.values(store, detail, fleet).await;
            self.rotation(store, detail).await;
        }
    }

    /// The versions that were never empty: moto has no call that makes one without a label.
    async fn values(&self, store: &MemoryStore, detail: &SecretDetail, fleet: &str) {
        let (name, id) = (&detail.name, SecretId::parse(&detail.name).unwrap());
        let _ = self
            .secrets
            .delete_secret()
            .secret_id(name)
            .force_delete_without_recovery(true)
            .send()
            .await;
        let value = |version: &str| text(store, &id, version);
        let with = |label: &str| holder(detail, label);
        let current = with(AWSCURRENT).unwrap();
        let first = with(AWSPREVIOUS).unwrap_or_else(|| current.clone());
        let tags = detail.tags.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let tags = tags.chain([(TAG, fleet)]);
        let tags = tags.map(|(key, value)| Tag::builder().key(key).value(value).build());
        let create = self.secrets.create_secret().name(name).set_tags(Some(tags.collect()));
        let create = create.client_request_token(&first).secret_string(value(&first).unwrap());
        create.send().await.unwrap();
        let put = async |version: &str, label: &str| {
            let put = self.secrets.put_secret_value().secret_id(name).version_stages(label);
            let put = put.client_request_token(version).secret_string(value(version).unwrap());
            put.send().await.unwrap();
        };
        if first != current {
            put(&current, AWSCURRENT).await;
        }
        for version in store.list(&id, true).unwrap().versions {
            let version = version.version.as_str();
            let labelled =
                detail.labels.iter().any(|(one, on)| one.as_str() == version && !on.is_empty());
            if !labelled && value(version).is_some() {
                put(version, "old").await;
                self.stage(name, "old", Some(version), None).await;
            }
        }
    }

    async fn stage(&self, name: &str, label: &str, from: Option<&str>, to: Option<&str>) {
        let update = self.secrets.update_secret_version_stage().secret_id(name);
        let update = update.version_stage(label).set_move_to_version_id(to.map(str::to_owned));
        update.set_remove_from_version_id(from.map(str::to_owned)).send().await.unwrap();
    }

    /// Whether it rotates, and the version of a rotation that is under way.
    async fn rotation(&self, store: &MemoryStore, detail: &SecretDetail) {
        let Some(function) = &detail.rotation_lambda_arn else { return };
        let (name, id) = (&detail.name, SecretId::parse(&detail.name).unwrap());
        let [current, pending] = [AWSCURRENT, AWSPENDING].map(|label| holder(detail, label));
        let stuck = pending.clone().filter(|_| pending != current);
        let token = stuck.clone().unwrap_or_else(|| new_token().as_str().to_owned());
        let days = RotationRulesType::builder().automatically_after_days(30).build();
        let rotate = self.secrets.rotate_secret().secret_id(name).rotation_rules(days);
        let rotate = rotate.client_request_token(&token).rotation_lambda_arn(arn(function));
        let began = rotate.rotate_immediately(stuck.is_some()).send().await;
        // A function that is gone is refused, and all is as if it was not.
        if let Err(error) = began {
            let error = error.into_service_error();
            assert!(error.is_resource_not_found_exception(), "{name}: {error}");
        }
        match (stuck, pending) {
            (Some(stuck), _) => {
                if let Some(value) = text(store, &id, &stuck) {
                    let put = self.secrets.put_secret_value().secret_id(name);
                    let put = put.version_stages(AWSPENDING).client_request_token(stuck);
                    put.secret_string(value).send().await.unwrap();
                }
            }
            (None, to) => self.stage(name, AWSPENDING, Some(&token), to.as_deref()).await,
        }
        if detail.rotation_enabled == Some(false) {
            self.secrets.cancel_rotate_secret().secret_id(name).send().await.unwrap();
        }
    }

    /// The labels of a secret, and where they are.
    async fn labels(&self, name: &str) -> BTreeMap<String, String> {
        let found = self.secrets.describe_secret().secret_id(name).send().await.unwrap();
        let found = found.version_ids_to_stages.unwrap().into_iter();
        let each = found
            .flat_map(|(version, on)| on.into_iter().map(move |label| (label, version.clone())));
        each.collect()
    }

    async fn logs_in(&self, fleet: &Fleet<'_>, name: &str) -> bool {
        let current = self.secrets.get_secret_value().secret_id(name).version_stage(AWSCURRENT);
        let current = current.send().await.unwrap().secret_string.unwrap();
        logs_in_with(fleet, &serde_json::from_str(&current).unwrap()).await
    }

    async fn doctor(&self, more: &[&str]) -> (BTreeMap<String, Vec<Value>>, Option<i32>) {
        told(&self.host, [self.url(), self.url()], more).await
    }

    async fn quiet(&self) {
        settled(|| self.under_way()).await;
    }
}

fn is_moved(name: &str) -> bool {
    !STAYS.iter().any(|stays| name.starts_with(stays))
}

fn holder(detail: &SecretDetail, label: &str) -> Option<String> {
    let mut found = detail.labels.iter().filter(|(_, on)| on.iter().any(|one| one == label));
    found.next().map(|(version, _)| version.as_str().to_owned())
}

/// The value of a version, if it has one.
fn text(store: &MemoryStore, id: &SecretId, version: &str) -> Option<String> {
    let version = fourstep::VersionId::from_store(version.to_owned());
    match store.get(id, Select::Version(&version)).ok()?.value {
        SecretValue::Text(text) => Some(text.expose_secret().to_string()),
        SecretValue::Binary(_) => None,
    }
}

async fn client(moto: &str) -> Client {
    let http = fourstep::store::aws::http_client(&Environment::default()).unwrap();
    let shared = aws_config::defaults(aws_config::BehaviorVersion::v2026_01_12());
    Client::new(&shared.http_client(http).endpoint_url(moto).load().await)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "by hand: it takes minutes of both processors"]
async fn a_fleet_at_moto_is_named_and_mended_where_it_is_safe() {
    let Ok(moto) = std::env::var("FOURSTEP_TEST_MOTO") else { return skip("FOURSTEP_TEST_MOTO") };
    let Some(server) = postgres::server() else { return };
    let Some(mysql) = mysql::mysql() else { return };
    let _undisturbed = postgres::undisturbed().await;
    let host = Arc::new(Host::start().await);
    let fleet = of_every_kind(&host, &server, &mysql).await;
    let closed = Door::new(Way::Closed).await;
    let begun = std::time::Instant::now();
    let mut states = made(&fleet, &closed, SIZE).await;
    states.retain(|state| is_moved(&state.name));
    let account = Account::start(&moto, client(&moto).await, Arc::clone(&host)).await;
    account.functions(&crate::iam::role(&moto, "fleet").await).await;
    let tag = new_token().as_str().to_owned();
    account.moved(host.store(), &tag).await;
    eprintln!("made in {:?}", begun.elapsed());

    let before = labels(&account, &states).await;
    let every = ["--tag".to_owned(), format!("{TAG}={tag}")];
    let every = every.each_ref().map(String::as_str);
    let (said, code) = account.doctor(&every).await;
    eprintln!("looked at {:?}", begun.elapsed());
    assert_eq!(code, Some(1));
    named(&states, &said);
    assert_eq!(labels(&account, &states).await, before, "a look changed something");

    let fix = ["--fix", "--yes", "--wait", "0"];
    account.doctor(&[&every[..], &fix].concat()).await;
    account.quiet().await;
    eprintln!("mended at {:?}", begun.elapsed());
    let after = labels(&account, &states).await;
    for (state, (before, after)) in states.iter().zip(before.iter().zip(&after)) {
        let name = &state.name;
        let pending = after.get(AWSPENDING).filter(|one| Some(*one) != after.get(AWSCURRENT));
        match state.end {
            End::Healthy | End::Left => assert_eq!(before, after, "{name}"),
            End::Mended => {
                assert_eq!(pending, None, "{name}: {before:?} {after:?}");
                assert!(account.logs_in(&fleet, name).await, "{name}: {before:?} {after:?}");
            }
            End::ByHand => {
                assert!(pending.is_some() && before != after, "{name}");
                assert!(!account.logs_in(&fleet, name).await, "{name}");
            }
        }
    }
    by_people(&account, &fleet, &closed).await;
    for state in &states {
        assert!(account.logs_in(&fleet, &state.name).await, "{}", state.name);
    }
    eprintln!("all at {:?}", begun.elapsed());
}

async fn labels(account: &Account, states: &[State]) -> Vec<BTreeMap<String, String>> {
    let mut all = Vec::new();
    for state in states {
        all.push(account.labels(&state.name).await);
    }
    all
}

/// What people must do, and doctor after them.
async fn by_people(account: &Account, fleet: &Fleet<'_>, closed: &Door) {
    closed.set(Way::To(fleet.server.port));
    for name in ["one/by-hand", "dual/by-hand"] {
        // The log at moto has the failure.
        let (said, _) = account.doctor(&[name]).await;
        assert_eq!(said[name][0]["last_failure"]["error_type"], "Rejected", "{said:#?}");
        // AWSCURRENT is what it was where the fleet was made.
        match name {
            "dual/by-hand" => dual::set_current(fleet.host, fleet.mysql.unwrap(), name).await,
            _ => fleet.set(name, AWSCURRENT, None).await,
        }
    }
    fleet.set("off/restored", AWSCURRENT, None).await;
    let away = ["one/by-hand", "dual/by-hand"];
    let away = [&away[..], &["away/recorded", "away/committed"]].concat();
    account.doctor(&[&away[..], &["--fix", "--yes", "--wait", "0"]].concat()).await;
    account.quiet().await;
}
