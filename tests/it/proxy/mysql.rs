//! The same at real MySQL.

use std::time::Duration;

use fourstep::store::AWSCURRENT;
use fourstep::{ErrorKind, Question, Step};
use serde_json::{Value, json};

use super::{Client, LONG, SECRETS, four_rotations, put_before};
use crate::mysql::alternating::Shop;
use crate::support::mysql::mysqls;
use crate::support::rds_proxy::{Asks, Behind, RdsProxy};

/// The proxy asks MySQL 8.0's users by mysql_native_password, and the others', whose client has that no more, by
/// caching_sha2_password.
#[tokio::test(flavor = "multi_thread")]
async fn four_rotations_at_mysql_behind_a_proxy_and_its_client_never_fails() {
    for server in mysqls() {
        let version = server.arrange("SELECT VERSION()").await;
        let asks = if version.starts_with("8.0") { Asks::Native } else { Asks::CachingSha2 };
        let behind = Behind::Mysql(server.clone(), asks);
        let mut shop = Shop::bare(&server, "app", &[]).await;
        let clone = shop.clone_name();
        let (users, every) = ((&shop.app, clone.as_str()), Duration::from_millis(400));
        let (proxy, list) =
            put_before(&shop.stage, behind.clone(), users, &server.host, every).await;
        shop.configure(&[("PROXY_SECRETS", &list)]);
        let answer = shop.stage.ask(Question::Preflight).await;
        assert_eq!((&answer["ready"], &answer["findings"]), (&json!(true), &json!([])), "{answer}");

        let mut through = server.clone();
        through.port = proxy.port;
        let client = Client::start(&shop.stage, move |user, password| {
            let through = through.clone();
            async move { through.run(&user, &password, "SELECT 1").await.map(drop) }
        });
        four_rotations(&shop.stage, async |document: &Value| shop.logs_in(document).await).await;
        let logins = client.end();
        eprintln!("MySQL {}, {asks:?}: {logins} logins through the proxy", version.trim());
        assert!(logins > 8, "{logins}");

        // A proxy that reads its secrets once does not learn.
        let late = RdsProxy::start(behind, &shop.stage.store, &SECRETS, LONG).await;
        let mut document = shop.stage.document(AWSCURRENT);
        document["proxyPort"] = json!(late.port);
        shop.stage.put_current(&document);
        let token = shop.stage.play(&[Step::Create, Step::Set]).await;
        shop.stage.timeout = Duration::from_secs(10);
        let error = shop.stage.step(Step::Test, &token).await.result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Rejected, "{error}");
        let said = format!(
            "the proxy does not let user {clone:?} on {}:{} in with the password that secret {} has for it: \
             retry, which waits again",
            server.host, late.port, SECRETS[1]
        );
        let error = error.to_string();
        assert!(error.contains(&said) && error.contains("1045"), "{error}");
        // Who is in use was let in by it all the time.
        assert_eq!(shop.stage.document(AWSCURRENT)["username"], json!(shop.app.name));
    }
}
