//! A pair that is marked in AWS, asked about on a laptop: it is known there by the secret's ARN alone.

use serde_json::{Value, json};

use super::Shop;
use crate::support::postgres::{Server, both_versions};
use crate::support::program::{SecretFile, binary, fourstep, secret_file};

/// The command's answer, one JSON object a line, and whether it was a success.
async fn run(
    command: &str,
    file: &SecretFile,
    admin: &SecretFile,
    more: &[&str],
) -> (Vec<Value>, bool) {
    let function = binary("rotate-postgres");
    let [function, secret, admin] =
        [&function, &file.path, &admin.path].map(|path| path.to_str().unwrap());
    let always = [command, "--json", "--rotator", function, "--secret", secret, "--admin", admin];
    let strategy = ["--env", "ROTATION_STRATEGY=alternating-users"];
    let output = fourstep(&[&always[..], &strategy, more].concat()).await;
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (lines, output.status.success())
}

/// What the server says about a role.
async fn comment(server: &Server, role: &str) -> String {
    let query =
        "SELECT coalesce(shobj_description(oid, 'pg_authid'), '') FROM pg_roles WHERE rolname = $1";
    let mut connection = server.superuser().await;
    sqlx::query_scalar(query).bind(role).fetch_one(&mut connection).await.unwrap()
}

#[tokio::test]
async fn a_pair_that_is_marked_with_an_arn_is_known_by_that_arn_and_no_other() {
    for server in both_versions() {
        let shop = Shop::bare(&server, "app", &[]).await;
        let mut document = server.document(&shop.app);
        document["dbname"] = json!(shop.databases[0]);
        document["masterarn"] = json!("admin");
        let file = secret_file(&document.to_string());
        let admin = secret_file(&server.document(&shop.admin).to_string());
        let arn = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:shop/app-AbC1eF";
        let (steps, fine) = run("replay", &file, &admin, &["--arn", arn]).await;
        assert!(fine, "{steps:?}");
        assert!(comment(&server, &shop.clone_name()).await.contains(arn));
        let (answer, fine) = run("plan", &file, &admin, &["--arn", arn]).await;
        assert!(fine && answer[0]["plan"].is_array(), "{answer:?}");
        let (answer, fine) = run("preflight", &file, &admin, &["--arn", arn]).await;
        assert!(fine && answer[0]["ready"] == json!(true), "{answer:?}");
        let other = arn.replace("AbC1eF", "AbC1eG");
        for more in [&[][..], &["--arn", other.as_str()]] {
            let (answer, fine) = run("preflight", &file, &admin, more).await;
            assert!(!fine && answer[0]["ready"] == json!(false), "{answer:?}");
            let said = answer[0]["findings"].to_string();
            assert!(said.contains("is not known to be this secret's"), "{said}");
        }
        // Nothing of that wrote another mark, and the next rotation takes the other user.
        assert!(run("replay", &file, &admin, &["--arn", arn]).await.1);
        assert!(comment(&server, &shop.clone_name()).await.contains(arn));
        shop.close().await;
    }
}
