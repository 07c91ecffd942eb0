//! How a rotation behind a proxy fails: each fault, made for real, with its whole message in the table.

use std::time::Duration;

use expect_test::expect_file;
use fourstep::store::{AWSCURRENT, AWSPENDING};
use fourstep::{SecretId, SecretValue, Step};
use fourstep_local::{NewRotation, NewValue};
use serde_json::{Value, json};

use super::{Fronted, SECRETS};
use crate::support::fault_table::FaultTable;
use crate::support::postgres::server;
use crate::support::stage::{FUNCTION, new_token};

fn put(fronted: &Fronted, secret: &str, value: &Value) {
    let value = SecretValue::from(value.to_string().as_str());
    let new = NewValue::current(&new_token(), value);
    fronted.shop.stage.store.put(&SecretId::parse(secret).unwrap(), new).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_of_a_proxy_secret_is_said() {
    let Some(server) = server() else { return };
    let mut table = FaultTable::default();
    let mut fronted = Fronted::open(&server, Duration::from_millis(40)).await;
    let (app, clone) = (fronted.shop.app.name.clone(), fronted.shop.clone_name());
    let port = fronted.proxy.port;
    table.mask([(&app, "USER"), (&format!("127.0.0.1:{port}"), "HOST:PORT")]);

    let list = format!("{app}={}", SECRETS[0]);
    fronted.shop.configure(&[("PROXY_SECRETS", &list)]);
    table.create("one user of the pair is not named", &fronted.shop.stage).await;
    fronted.shop.stage.cancel();
    fronted.shop.configure(&[("PROXY_SECRETS", "other=proxy-other")]);
    table.create("neither user is named", &fronted.shop.stage).await;
    fronted.shop.stage.cancel();
    let list = format!("{app}={},{clone}={}", SECRETS[0], SECRETS[1]);
    fronted.shop.configure(&[("PROXY_SECRETS", &list)]);
    let sound = fronted.shop.stage.document(AWSCURRENT);
    let mut without = sound.clone();
    without.as_object_mut().unwrap().remove("proxyHost");
    fronted.shop.stage.put_current(&without);
    table.create("a proxyPort without proxyHost", &fronted.shop.stage).await;
    fronted.shop.stage.cancel();
    fronted.shop.stage.put_current(&sound);
    let list = format!("{app}={},{clone}=nowhere", SECRETS[0]);
    fronted.shop.configure(&[("PROXY_SECRETS", &list)]);
    table.create("no such proxy secret", &fronted.shop.stage).await;
    fronted.shop.stage.cancel();
    let list = format!("{app}=stage,{clone}={}", SECRETS[1]);
    fronted.shop.configure(&[("PROXY_SECRETS", &list)]);
    table.create("the rotated secret itself", &fronted.shop.stage).await;
    fronted.shop.stage.cancel();
    let list = format!("{app}={},{clone}={}", SECRETS[0], SECRETS[1]);
    fronted.shop.configure(&[("PROXY_SECRETS", &list)]);

    let right = SECRETS.map(|secret| fronted.held(secret));
    put(&fronted, SECRETS[1], &json!({"username": "other", "password": "canary"}));
    table.create("a proxy secret of another user", &fronted.shop.stage).await;
    fronted.shop.stage.cancel();
    put(&fronted, SECRETS[1], &right[1]);
    put(&fronted, SECRETS[0], &json!({"username": app, "password": "canary-other"}));
    table.create("another password of the user in use", &fronted.shop.stage).await;
    fronted.shop.stage.cancel();
    put(&fronted, SECRETS[0], &right[0]);

    let stage = &fronted.shop.stage;
    let token = stage.begin();
    stage.step(Step::Create, &token).await.why();
    let second = SecretId::parse(SECRETS[1]).unwrap();
    let other = json!({"username": clone, "password": "canary-other"}).to_string();
    let other = NewValue::labelled(&token, other.as_str(), &["SOMEBODYS"]);
    stage.store.put(&second, other).unwrap();
    table.mask([(&app, "USER"), (&format!("127.0.0.1:{port}"), "HOST:PORT"), (&token, "TOKEN")]);
    table.step("something else under the same id", stage, (Step::Set, &token)).await;
    stage.cancel();

    let token = stage.begin();
    for step in [Step::Create, Step::Set, Step::Test] {
        stage.step(step, &token).await.why();
    }
    put(&fronted, SECRETS[1], &right[1]);
    table.step("a proxy secret that was put back", stage, (Step::Finish, &token)).await;
    // The value is stored, and is labelled again.
    stage.step(Step::Set, &token).await.why();
    stage.store.update_stage(&stage.secret, AWSPENDING, None, Some(&token)).unwrap();

    // A proxy that has not got the secret: here, one that reads it no more.
    let mut late = Fronted::open(&server, Duration::from_secs(3600)).await;
    table.mask([
        (&late.shop.app.name, "USER"),
        (&format!("127.0.0.1:{}", late.proxy.port), "HOST:PORT"),
    ]);
    let token = late.shop.stage.play(&[Step::Create, Step::Set]).await;
    late.shop.stage.timeout = Duration::from_secs(9);
    let stage = &late.shop.stage;
    table.step("a proxy that does not learn", stage, (Step::Test, &token)).await;
    late.shop.close().await;

    let rotation = NewRotation::now(&new_token(), FUNCTION);
    fronted.shop.stage.store.rotate(&second, &rotation).unwrap();
    table.mask([(&app, "USER"), (&format!("127.0.0.1:{port}"), "HOST:PORT")]);
    table.create("a proxy secret with a rotation of its own", &fronted.shop.stage).await;
    fronted.shop.close().await;
    expect_file!["table.txt"].assert_eq(&table.text);
}
