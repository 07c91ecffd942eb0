//! The commands of docs/mysql-alternating.md, at each MySQL, as a reader types them.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::commands::{reading_folder, run_by};
use crate::support::mysql::mysqls;
use crate::support::program::shell;

#[tokio::test]
async fn two_mysql_users_take_turns_on_ones_own_machine_as_the_page_says() {
    let blocks = run_by("tests/it/documents/mysql_pair.rs", "docs/mysql-alternating.md");
    let [arrange, rotate] = &blocks[..] else { panic!("other blocks") };
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
    }
}
