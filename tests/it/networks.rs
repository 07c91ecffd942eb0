//! A database that has an IPv6 address and no other.

use std::net::Ipv6Addr;

use fourstep::Step;
use fourstep::store::AWSCURRENT;
use serde_json::Value;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

use crate::function::Scene;
use crate::support::postgres::server;
use crate::support::program::binary;
use crate::support::skip;

#[tokio::test]
async fn a_secret_is_rotated_whose_host_is_an_ipv6_address() {
    let Some(server) = server() else { return };
    let Ok(listener) = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).await else {
        return skip("an IPv6 loopback address");
    };
    let mut document = server.document(&server.user("ipv6").await);
    let far = (document["host"].as_str().unwrap().to_owned(), server.port);
    document["host"] = "::1".into();
    document["port"] = listener.local_addr().unwrap().port().into();
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let mut far = TcpStream::connect(far.clone()).await.unwrap();
            tokio::spawn(async move { copy_bidirectional(&mut near, &mut far).await });
        }
    });
    // The server's certificate names no address.
    let variables = [("TLS_CA_BUNDLE", server.ca.as_str()), ("TLS_SERVER_NAME", "localhost")];
    let program = binary("rotate-postgres");
    let scene = Scene::of(&program, &document.to_string(), &variables, 30).await;
    let token = scene.begin();
    for step in Step::ALL {
        let invocation = scene.step(step, &token).await;
        assert!(invocation.answer.is_ok(), "{step:?}: {:?}", invocation.answer);
    }
    let after: Value = scene.document(AWSCURRENT);
    assert_ne!(after["password"], document["password"]);
    assert_eq!(after["host"], "::1");
}
