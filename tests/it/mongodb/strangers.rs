//! Users that are not the secret's are refused, whatever they are called and whatever stands on them.

use fourstep::store::{AWSCURRENT, AWSPENDING};
use fourstep::{ErrorKind, Step};
use serde_json::json;

use super::alternating::Shop;
use super::{CREATE_AND_SET, with};
use crate::support::mongodb::{SET, User, mongodb, servers};

#[tokio::test]
async fn rule_07_a_stranger_is_refused_before_anything_is_stored() {
    let _undisturbed = SET.read().await;
    for server in servers() {
        let shop = Shop::open(&server, &[]).await;
        let stranger = User { name: shop.second(), password: "canary-stranger".to_owned() };
        server.create(&stranger, "admin", json!(["readAnyDatabase"])).await;
        let kept = server.kept(&stranger.name).await;
        let error = shop.stage.step(Step::Create, &shop.stage.begin()).await.result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("ADOPT_USERS"), "{error}");
        assert_eq!(shop.stage.try_text(AWSPENDING), None);
        assert_eq!(server.kept(&stranger.name).await, kept);
    }
}

/// `x_clone` exists and has nothing to do with `x`; and the secret is pointed at somebody else's user.
#[tokio::test]
async fn rule_07_a_suffix_proves_nothing() {
    let Some(server) = mongodb() else { return };
    let x = server.user("x").await;
    let alone = User { name: format!("{}_clone", x.name), password: "canary-alone".to_owned() };
    server.create(&alone, "admin", json!([])).await;
    let shop = Shop::with(&server, alone, server.admin().await, &[]);
    let kept = server.kept(&x.name).await;
    let error = shop.stage.step(Step::Create, &shop.stage.begin()).await.error();
    assert!(error.contains("USER_PAIRS"), "{error}");
    assert_eq!(server.kept(&x.name).await, kept);

    let shop = Shop::open(&server, &[]).await;
    shop.stage.play(&Step::ALL).await;
    let (y, clone) = (server.user("y").await, shop.second());
    // Another user with its right password: its other half is made anew, and the one that was there,
    // which is the first user's, stays as it is.
    let named = with(&shop.stage.document(AWSCURRENT), "username", y.name.as_str());
    shop.stage.put_current(&with(&named, "password", y.password.as_str()));
    let (kept, clone_kept) = (server.kept(&y.name).await, server.kept(&clone).await);
    shop.stage.play(&CREATE_AND_SET).await;
    assert_ne!(shop.stage.document(AWSPENDING)["username"], json!(clone));
    assert_eq!((server.kept(&y.name).await, server.kept(&clone).await), (kept, clone_kept));
}

/// Who may write customData of its own can write a mark there.
#[tokio::test]
async fn rule_18_a_mark_that_a_user_can_write_on_itself_proves_nothing() {
    let Some(server) = mongodb() else { return };
    let shop = Shop::open(&server, &[]).await;
    let own = json!([{"resource": {"db": "admin", "collection": ""}, "actions": ["changeOwnCustomData"]}]);
    server.role("admin", "ownData", own).await;
    let forger = User { name: shop.second(), password: "canary-forger".to_owned() };
    server.create(&forger, "admin", json!(["ownData"])).await;
    let mark = json!({"partner": shop.app.name, "secret": shop.stage.secret.as_str()});
    let arn = shop.stage.store.describe(&shop.stage.secret).unwrap().arn;
    let mark = with(&mark, "secret", arn);
    let forged = json!({"updateUser": forger.name, "customData": {"fourstep": mark}});
    let answer = server.ask(&forger, "admin", "admin", forged).await;
    assert!(answer["ok"].is_object(), "{answer}");
    let error = shop.stage.step(Step::Create, &shop.stage.begin()).await.error();
    assert!(error.contains("a mark says so that a user can write on itself"), "{error}");
    assert_eq!(server.info("admin", &forger.name).await["roles"].as_array().unwrap().len(), 1);
}

/// A second secret names the second half of another's pair, which the function still lists from when that
/// one adopted it: the first half is in use there.
#[tokio::test]
async fn rule_07_the_first_half_of_another_secret_s_pair_is_not_adopted_through_its_second() {
    let Some(server) = mongodb() else { return };
    let shop = Shop::open(&server, &[]).await;
    let second = User { name: shop.second(), password: "canary-second".to_owned() };
    let (app, admin) = (shop.app.clone(), shop.admin.clone());
    shop.stage.play(&Step::ALL).await;
    shop.stage.play(&Step::ALL).await;
    assert_eq!(shop.stage.document(AWSCURRENT)["username"], json!(app.name));
    shop.set_password(&second.name, &second.password).await;
    let kept = server.kept(&app.name).await;
    let other = Shop::with(&server, second, admin, &[("ADOPT_USERS", &shop.second())]);
    let error = other.stage.step(Step::Create, &other.stage.begin()).await.result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let arn = shop.stage.store.describe(&shop.stage.secret).unwrap().arn;
    assert!(error.to_string().contains(&format!("carries the mark of {arn}")), "{error}");
    assert_eq!(other.stage.try_text(AWSPENDING), None);
    assert_eq!(server.kept(&app.name).await, kept);
}
