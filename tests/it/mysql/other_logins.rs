//! Users that log in by something else than their password, at a server that the function knows as RDS's:
//! createSecret refuses them, and nothing is stored.

use fourstep::store::{AWSCURRENT, AWSPENDING};
use fourstep::{ErrorKind, Question, Step};

use super::alternating::Shop;
use crate::support::mysql::{PLUGINS, servers};

/// The name that the server has at RDS.
const AT_RDS: &str = "db.abcdefghijkl.us-east-1.rds.amazonaws.com";

#[tokio::test]
async fn a_user_whose_password_is_not_used_is_refused_before_anything_is_stored() {
    for server in servers() {
        let mut shop = Shop::bare(&server, "app", &[]).await;
        // The plugin is Amazon's own: its name is written into the row. MariaDB has one of its own.
        let plugin = |name: &str| match server.is_mysql() {
            true => {
                format!("UPDATE mysql.user SET plugin = '{name}' WHERE user = '{}'", shop.app.name)
            }
            false => "ALTER USER $app IDENTIFIED VIA unix_socket".to_owned(),
        };
        let begin = plugin("AWSAuthenticationPlugin");
        let password = shop.app.password.clone();
        let end = match server.is_mysql() {
            true => plugin("caching_sha2_password"),
            false => format!("ALTER USER $app IDENTIFIED BY '{password}'"),
        };
        let alias = format!("{}:{}={AT_RDS}:3306", server.host, server.port);
        for strategy in ["single-user", "single-user-by-admin", "alternating-users"] {
            shop.configure(&[("ROTATION_STRATEGY", strategy), ("SAME_DATABASE_HOSTS", &alias)]);
            // MariaDB could ask somebody for that plugin whom it does not know.
            let strange = if server.is_mysql() { None } else { Some(PLUGINS.write().await) };
            shop.arrange(&begin).await;
            server.reload().await;
            let token = shop.stage.begin();
            let ended = shop.stage.step(Step::Create, &token).await;
            let kind = ended.result.as_ref().unwrap_err().kind();
            let of_login = [ErrorKind::Unsupported, ErrorKind::Forbidden];
            assert!(of_login.contains(&kind), "{strategy}: {}", ended.error());
            if strategy != "single-user" {
                let way = "or stop rotating it";
                assert!(ended.error().contains(way), "{strategy}: {}", ended.error());
                let iam = ended.error().contains("logs in by IAM (AWSAuthenticationPlugin)");
                assert_eq!(iam, server.is_mysql(), "{strategy}: {}", ended.error());
            }
            assert_eq!(shop.stage.try_text(AWSPENDING), None, "{strategy}: nothing may be stored");
            let answer = shop.stage.ask(Question::Preflight).await;
            assert_eq!(answer["ready"], false, "{strategy}: {answer}");
            shop.arrange(&end).await;
            server.reload().await;
            drop(strange);
            // The same rotation goes on.
            for step in Step::ALL {
                shop.stage.step(step, &token).await.why();
            }
            shop.stage.end(&token);
            let current = shop.stage.document(AWSCURRENT);
            let text = |field: &str| current[field].as_str().unwrap().to_owned();
            assert!(server.logs_in(&text("username"), &text("password")).await, "{strategy}");
            if current["username"] == shop.app.name.as_str() {
                server
                    .arrange(&shop.fill(&format!("ALTER USER $app IDENTIFIED BY '{password}'")))
                    .await;
                let mut document = current.clone();
                document["password"] = password.as_str().into();
                shop.stage.put_current(&document);
            }
        }
    }
}
