//! One user whose password an admin sets.

use fourstep::store::AWSCURRENT;
use fourstep::{ErrorKind, Step};
use serde_json::json;

use super::Shop;
use crate::support::mysql::{mysql, server as named, servers};
use crate::support::twins;

const BY_ADMIN: (&str, &str) = ("ROTATION_STRATEGY", "single-user-by-admin");

#[tokio::test]
async fn beyond_08_a_user_whose_password_is_lost_is_repaired_if_the_function_names_it() {
    for server in servers() {
        let mut shop = Shop::bare(&server, "app", &[BY_ADMIN]).await;
        shop.rotate().await;
        shop.arrange("ALTER USER $app IDENTIFIED BY 'lost-1!';").await;
        let error = shop.refusal().await;
        assert!(error.contains("REPAIR_USERS"), "{error}");
        assert!(server.logs_in(&shop.app.name, "lost-1!").await, "no proof, no change");
        let app = shop.app.name.clone();
        shop.configure(&[BY_ADMIN, ("REPAIR_USERS", &app)]);
        let document = shop.rotate().await;
        assert!(shop.logs_in(&document).await);
        assert!(!server.logs_in(&app, "lost-1!").await);
    }
}

#[tokio::test]
async fn rule_08_neither_the_admin_nor_another_admin_is_reset() {
    for server in servers() {
        let mut shop = Shop::bare(&server, "app", &[BY_ADMIN]).await;
        let names = format!("{},{}", shop.app.name, shop.admin.name);
        shop.configure(&[BY_ADMIN, ("REPAIR_USERS", &names)]);
        shop.arrange("GRANT CREATE USER ON *.* TO $boss; GRANT $boss TO $app;").await;
        let error = shop.refusal().await;
        assert!(error.contains("CREATE USER, and so is as good as an admin"), "{error}");
        assert!(server.logs_in(&shop.app.name, &shop.app.password).await);
        let mut document = shop.stage.document(AWSCURRENT);
        document["username"] = json!(shop.admin.name);
        document["password"] = json!(shop.admin.password);
        shop.stage.put_current(&document);
        let error = shop.refusal().await;
        assert!(error.contains("admin"), "{error}");
        assert!(server.logs_in(&shop.admin.name, &shop.admin.password).await);
    }
}

/// Whoever may write the secret names there a server of its own at another port of the host, which
/// knows the victim's name with a made-up password.
#[tokio::test]
async fn rule_18_a_server_at_another_port_of_a_listed_host_proves_no_user() {
    let Some(theirs) = named("mysql", "MYSQL80_TWIN") else { return };
    let _turn = twins().await;
    for server in servers() {
        for strategy in [BY_ADMIN, ("ROTATION_STRATEGY", "alternating-users")] {
            let mut shop = Shop::bare(&server, "victim", &[]).await;
            let same = format!("{}=alias.example", server.host);
            shop.configure(&[strategy, ("SAME_DATABASE_HOSTS", &same)]);
            let before = shop.stage.document(AWSCURRENT);
            let mut document = before.clone();
            document["port"] = json!(theirs.port);
            document["password"] = json!("made-up-1!");
            document["ssl"] = json!(false);
            let make = format!(
                "CREATE USER '{}'@'127.%' IDENTIFIED WITH mysql_native_password BY 'made-up-1!';",
                shop.app.name
            );
            theirs.arrange(&make).await;
            shop.stage.put_current(&document);
            let error = shop.refusal().await;
            let listed = format!("as {0}:{1}={0}:{2}", server.host, server.port, theirs.port);
            assert!(error.contains("SAME_DATABASE_HOSTS") && error.contains(&listed), "{error}");
            assert!(shop.logs_in(&before).await, "{strategy:?}");
            let clone = shop.clone_name();
            let made = format!("SELECT COUNT(*) FROM mysql.user WHERE User = '{clone}'");
            assert_eq!(server.arrange(&made).await.trim(), "0", "{strategy:?}");
            shop.stage.put_current(&before);
            let document = shop.rotate().await;
            assert!(shop.logs_in(&document).await, "{strategy:?}");
        }
    }
}

#[tokio::test]
async fn of_several_accounts_only_the_one_that_lets_this_function_in_is_reset() {
    for server in servers() {
        let shop = Shop::bare(&server, "app", &[BY_ADMIN]).await;
        let kept = |host: &str| {
            let name = shop.app.name.clone();
            let host = host.to_owned();
            let server = server.clone();
            async move {
                let column =
                    if server.is_mysql() { "HEX(authentication_string)" } else { "Password" };
                let of = format!("WHERE User = '{name}' AND Host = '{host}'");
                server.arrange(&format!("SELECT {column} FROM mysql.user {of}")).await
            }
        };
        shop.arrange(
            "CREATE USER $far IDENTIFIED BY 'far-away-1!';
             CREATE USER $wide IDENTIFIED BY 'everywhere-1!';",
        )
        .await;
        let before = [kept("10.%").await, kept("%").await, kept("127.%").await];
        let document = shop.rotate().await;
        assert!(shop.logs_in(&document).await);
        let after = [kept("10.%").await, kept("%").await, kept("127.%").await];
        assert_eq!(before[..2], after[..2]);
        assert_ne!(before[2], after[2]);
    }
}

#[tokio::test]
async fn the_older_of_two_passwords_goes_with_the_change() {
    let Some(server) = mysql() else { return };
    let shop = Shop::bare(&server, "app", &[BY_ADMIN]).await;
    let second = "second-one-1!";
    shop.arrange(&format!("ALTER USER $app IDENTIFIED BY '{second}' RETAIN CURRENT PASSWORD;"))
        .await;
    let document = shop.rotate().await;
    assert!(shop.logs_in(&document).await);
    assert!(!server.logs_in(&shop.app.name, &shop.app.password).await);
    assert!(!server.logs_in(&shop.app.name, second).await);
}

#[tokio::test]
async fn an_admin_that_may_not_alter_users_is_told_so() {
    for server in servers() {
        let shop = Shop::bare(&server, "app", &[BY_ADMIN]).await;
        shop.arrange("REVOKE CREATE USER ON *.* FROM $admin;").await;
        let token = shop.stage.play(&[Step::Create]).await;
        let set = shop.stage.step(Step::Set, &token).await;
        assert_eq!(set.result.as_ref().unwrap_err().kind(), ErrorKind::Forbidden);
        assert!(set.error().contains("GRANT CREATE USER ON *.*"), "{}", set.error());
        assert!(server.logs_in(&shop.app.name, &shop.app.password).await);
    }
}
