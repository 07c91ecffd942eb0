//! A database that has an IPv6 address and no other; and where AWS's services are asked, in each partition.

use std::fmt::Write as _;
use std::net::Ipv6Addr;
use std::sync::{Arc, Mutex};

use aws_config::{Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_sdk_secretsmanager::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_secretsmanager::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_secretsmanager::error::BoxError;
use expect_test::expect_file;
use fourstep::store::AWSCURRENT;
use fourstep::store::aws::client_settings;
use fourstep::{Environment, Step};
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

/// Keeps where a request would go, which is not sent.
#[derive(Debug, Clone, Default)]
struct Asked(Arc<Mutex<String>>);

impl Intercept for Asked {
    fn name(&self) -> &'static str {
        "Asked"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        context.request().uri().clone_into(&mut self.0.lock().unwrap());
        Err("it is not sent".into())
    }
}

/// Every API that a function calls, by the settings that its clients are made of.
async fn urls(settings: &SdkConfig, region: &'static str) -> [String; 6] {
    macro_rules! url {
        ($sdk:ident, $question:ident) => {{
            let asked = Asked::default();
            let config = $sdk::config::Builder::from(settings)
                .region(Region::from_static(region))
                .credentials_provider(Credentials::new("k", "s", None, None, "test"))
                .interceptor(asked.clone());
            let _ = $sdk::Client::from_conf(config.build()).$question().send().await;
            let url = asked.0.lock().unwrap().clone();
            url
        }};
    }
    [
        url!(aws_sdk_secretsmanager, list_secrets),
        url!(aws_sdk_sts, get_caller_identity),
        url!(aws_sdk_rds, describe_db_instances),
        url!(aws_sdk_elasticache, describe_users),
        url!(aws_sdk_memorydb, describe_users),
        url!(aws_sdk_iam, list_access_keys),
    ]
}

/// The table is for a person to compare with AWS's lists of endpoints; what must hold of each is asserted.
#[tokio::test]
async fn every_service_is_asked_in_its_partition_and_at_the_kind_of_endpoint_that_is_set() {
    let (mut table, mut all) = (String::new(), Vec::new());
    for (region, suffixes) in [
        ("us-east-1", ["amazonaws.com", "api.aws"]),
        ("us-gov-west-1", ["amazonaws.com", "api.aws"]),
        ("cn-north-1", ["amazonaws.com.cn", "api.amazonwebservices.com.cn"]),
    ] {
        for (fips, dual) in [(false, false), (true, false), (false, true), (true, true)] {
            let flag = |on: bool| if on { "true" } else { "false" };
            let variables =
                [("AWS_USE_FIPS_ENDPOINT", flag(fips)), ("AWS_USE_DUALSTACK_ENDPOINT", flag(dual))];
            let settings = client_settings(&Environment::from(variables), &[]).await.unwrap();
            writeln!(table, "{region}, FIPS {fips}, dual stack {dual}").unwrap();
            for url in urls(&settings, region).await {
                let host = url.strip_prefix("https://").unwrap_or_default().trim_end_matches('/');
                // Secrets Manager has IPv6 at its ordinary name, so that either is right there.
                let least = usize::from(dual && !host.starts_with("secretsmanager"));
                // IAM is one for a partition.
                let place = if host.starts_with("iam") { "" } else { region };
                let ends = |suffix: &&str| host.ends_with(&format!("{place}.{suffix}"));
                assert!(suffixes[least..=usize::from(dual)].iter().any(ends), "{url}");
                writeln!(table, "    {url}").unwrap();
                all.push(url);
            }
            // The only one without an SDK: the test of `store/aws/json.rs` asserts this of its address.
            let name = if fips { "redshift-serverless-fips" } else { "redshift-serverless" };
            let suffix = suffixes[usize::from(dual)];
            writeln!(table, "    https://{name}.{region}.{suffix}/").unwrap();
        }
    }
    assert_eq!(all.len(), 72);
    expect_file!["networks.txt"].assert_eq(&table);
}
