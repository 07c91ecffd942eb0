//! The secret of a database's admin, where it and the rotated secret are another account's.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use fourstep::Step;
use fourstep::store::{AWSCURRENT, StoreError, StoreErrorCode};
use fourstep_cli::events;
use fourstep_local::{Fault, NewRotation, NewSecret};
use serde_json::{Value, json};

use super::{Front, ROLE};
use crate::function::{error, function};
use crate::support::postgres::server;
use crate::support::stage::{FUNCTION, new_token, read};

/// The front takes no call but with the role's credentials.
#[tokio::test]
async fn an_admins_secret_of_another_account_is_read_as_its_role() {
    let Some(server) = server() else { return };
    let (user, admin) = (server.user("accounts").await, server.user("accounts_admin").await);
    server.arrange(&format!("ALTER ROLE \"{}\" CREATEROLE", admin.name)).await;
    if server.version().await >= 16 {
        let grant = format!("GRANT \"{}\" TO \"{}\" WITH ADMIN OPTION", user.name, admin.name);
        server.arrange(&grant).await;
    }
    let front = Front::start(3600, None).await;
    let value = Some(server.document(&admin).to_string().as_str().into());
    let new = NewSecret { value, ..NewSecret::default() };
    let admins = front.store.create("accounts/admin", new).unwrap().arn;
    let mut document = server.document(&user);
    document["masterarn"] = json!(admins);
    let secret = front.secret(&document.to_string());
    let called = Arc::new(Mutex::new(BTreeSet::new()));
    let (calls, whose) = (Arc::clone(&called), admins.clone());
    front.store.set_faults(move |_, call| {
        if call.secret == whose {
            calls.lock().unwrap().insert(call.operation);
        }
        Fault::Proceed
    });
    let variables = [
        ("SECRETS_ROLE_ARN", ROLE),
        ("AWS_ENDPOINT_URL_STS", &front.url),
        ("ROTATION_STRATEGY", "single-user-by-admin"),
        ("TLS_CA_BUNDLE", &server.ca),
    ];
    let function = function(&front.url, &variables, 30);
    let begin = || {
        let token = new_token();
        front.store.rotate(&secret, &NewRotation::now(&token, FUNCTION)).unwrap();
        token
    };
    let token = begin();
    for step in Step::ALL {
        let event = events::step(step, secret.as_str(), token.as_str());
        let invocation = function.invoke(&event).await.unwrap();
        assert!(invocation.answer.is_ok(), "{step:?}: {:?}", invocation.answer);
    }
    let after: Value = serde_json::from_str(&read(&front.store, &secret, AWSCURRENT)).unwrap();
    assert_ne!(after["password"], document["password"]);
    assert!(server.logs_in(&user.name, after["password"].as_str().unwrap()).await);
    assert_eq!(*called.lock().unwrap(), ["GetSecretValue"].into());

    // Where the role may read the one and not the other, the error names both.
    let whose = admins.clone();
    front.store.set_faults(move |_, call| match call.secret == whose {
        true => Fault::Fail(StoreError::new(StoreErrorCode::AccessDenied, "not authorized")),
        false => Fault::Proceed,
    });
    let token = begin();
    let mut refused = None;
    for step in [Step::Create, Step::Set] {
        let event = events::step(step, secret.as_str(), token.as_str());
        let invocation = function.invoke(&event).await.unwrap();
        refused = invocation.answer.is_err().then_some(invocation).or(refused);
    }
    let refused = refused.expect("the admin's secret is needed");
    let (kind, said) = error(&refused);
    assert_eq!(kind, "Forbidden", "{said}");
    assert!(said.contains(&format!("the admin secret {admins}")), "{said}");
    assert!(said.contains(&format!("as the role {ROLE}")), "{said}");
}
