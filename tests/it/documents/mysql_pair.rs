//! The commands of docs/mysql-alternating.md, at each MySQL, as a reader types them.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::blocks::typed;
use super::commands::reading_folder;
use crate::support::mysql::{mariadb, mysqls};
use crate::support::program::shell;

#[tokio::test]
async fn two_mysql_users_take_turns_on_ones_own_machine_as_the_page_says() {
    let [arrange, rotate, unmark, drop_mark] = &typed(file!(), "docs/mysql-alternating.md")[..]
    else {
        panic!("other blocks")
    };
    mark_of_mariadb_is_dropped(rotate, drop_mark).await;
    for server in mysqls() {
        let (folder, path) = reading_folder();
        let at = |name: &str| folder.path().join(name);
        std::fs::copy(server.file("tls/ca.pem"), at("ca.pem")).unwrap();
        // The server's own client, as its administrator.
        let client = server.shell(Path::new("/dev/stdin"));
        std::fs::write(at("mysql"), format!("#!/bin/sh\n{client}\n")).unwrap();
        std::fs::set_permissions(at("mysql"), PermissionsExt::from_mode(0o700)).unwrap();
        let id = std::process::id();
        let types = async |block: &str| {
            let block = block
                .replace("app", &format!("page_app_{id}"))
                .replace("boss", &format!("page_boss_{id}"))
                .replace("shop", &format!("page_shop_{id}"))
                .replace("3306", &server.port.to_string());
            shell(&block, folder.path(), &[("PATH", &path)]).await
        };
        types(arrange).await;
        let said = types(rotate).await;
        assert!(
            said.contains("CREATE USER") && said.contains("A rotation would succeed."),
            "{said}"
        );
        assert!(said.contains(&format!("page_app_{id}_clone")), "{said}");
        let secret = std::fs::read_to_string(at("secret.json")).unwrap();
        assert!(
            secret.contains(&format!("\"page_app_{id}\"")),
            "the second turn is the first user's"
        );
        assert!(!secret.contains("first-password"));

        // The secret is made anew.
        let said = types(&with_another_arn(rotate, "preflight", "|| true")).await;
        assert!(!said.contains("would succeed") && said.contains("the mark"), "{said}");
        let unmark = unmark.replace("app", &format!("page_app_{id}"));
        let boss = format!("page_boss_{id}");
        server.run(&boss, "password-of-the-admin", &unmark).await.unwrap();
        let said = types(&with_another_arn(rotate, "replay", ADOPTING)).await;
        assert!(said.contains("1 rotation played"), "{said}");
    }
}

const ADOPTING: &str = "--env ADOPT_USERS=app_clone";

/// One command for the pair, as if its secret had been made anew.
fn with_another_arn(rotate: &str, command: &str, more: &str) -> String {
    let (pair, _) = rotate.split_once("target/debug/fourstep plan").unwrap();
    let arn = "arn:aws:secretsmanager:us-east-1:111122223333:secret:new-AbCdEf";
    format!("{pair}target/debug/fourstep {command} \"${{pair[@]}}\" --arn {arn} {more}")
}

/// MariaDB has no attributes to hold the mark. Its admin needs other rights than the page's for MySQL.
async fn mark_of_mariadb_is_dropped(rotate: &str, drop_mark: &str) {
    let Some(server) = mariadb() else { return };
    let (folder, path) = reading_folder();
    let at = |name: &str| folder.path().join(name);
    std::fs::copy(server.file("tls/ca.pem"), at("ca.pem")).unwrap();
    let app = server.user("page_app").await;
    let boss = server.user("page_boss").await;
    let [schema, account] = [app.name.replace("app", "shop"), format!("'{}'@'127.%'", boss.name)];
    server
        .arrange(&format!(
            "CREATE DATABASE {schema}; GRANT ALL PRIVILEGES ON {schema}.* TO '{}'@'127.%';
             GRANT CREATE USER ON *.* TO {account}; GRANT SELECT, UPDATE ON mysql.* TO {account};
             GRANT ALL PRIVILEGES ON {schema}.* TO {account} WITH GRANT OPTION;",
            app.name
        ))
        .await;
    let mut secret = server.document(&app);
    secret["masterarn"] = boss.name.as_str().into();
    std::fs::write(at("secret.json"), secret.to_string()).unwrap();
    std::fs::write(at("admin.json"), server.document(&boss).to_string()).unwrap();
    let types = async |block: &str| {
        let block = block.replace("app_clone", &format!("{}_clone", app.name));
        shell(&block, folder.path(), &[("PATH", &path)]).await
    };
    types(rotate).await;
    let said = types(&with_another_arn(rotate, "preflight", "|| true")).await;
    assert!(!said.contains("would succeed") && said.contains("the mark"), "{said}");
    let [list, drop] = &drop_mark.trim().lines().collect::<Vec<_>>()[..] else {
        panic!("{drop_mark}")
    };
    let as_admin = async |sql: &str| server.run(&boss.name, &boss.password, sql).await.unwrap();
    let marks = as_admin(list).await;
    let of_the_pair = marks.lines().filter(|mark| mark.contains(&app.name));
    for mark in of_the_pair {
        let [_, hash, user] = mark.split(':').collect::<Vec<_>>()[..] else { panic!("{mark}") };
        as_admin(&drop.replace("HASH", hash).replace("app_clone", user)).await;
    }
    let said = types(&with_another_arn(rotate, "replay", ADOPTING)).await;
    assert!(said.contains("1 rotation played"), "{said}");
}
