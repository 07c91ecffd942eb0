//! Servers of somebody else at another port of the database's host.

use serde_json::json;

use super::Shop;
use super::rotations::exists;
use crate::support::postgres::both_versions;

/// Whoever may write the secret names there a server of its own, which knows the victim's name with a
/// made-up password. The admin would set that password on the real server.
#[tokio::test]
async fn rule_18_a_server_at_another_port_of_a_listed_host_proves_no_user() {
    let [old, new] = &both_versions()[..] else { return };
    let strategies = ["single-user-by-admin", "alternating-users"];
    let pairs = [(old, new), (new, old)].into_iter();
    for (server, theirs, strategy) in
        pairs.flat_map(|(server, theirs)| strategies.map(|strategy| (server, theirs, strategy)))
    {
        let mut shop = Shop::bare(server, "victim", &[]).await;
        let same = format!("{}=alias.example", server.host);
        shop.configure(&[("ROTATION_STRATEGY", strategy), ("SAME_DATABASE_HOSTS", &same)]);
        let victim = &shop.app.name;
        let make = format!("CREATE ROLE \"{victim}\" LOGIN PASSWORD 'canary-made-up'");
        theirs.arrange_quietly(&make).await;
        let mut document = server.document(&shop.app);
        document["masterarn"] = json!("admin");
        document["port"] = json!(theirs.port);
        document["password"] = json!("canary-made-up");
        let kept = server.verifier(&shop.app).await;
        shop.stage.put_current(&document);
        let error = shop.refusal().await;
        let listed = format!("as {0}:{1}={0}:{2}", server.host, server.port, theirs.port);
        assert!(error.contains("SAME_DATABASE_HOSTS") && error.contains(&listed), "{error}");
        assert_eq!(server.verifier(&shop.app).await, kept, "{strategy}");
        assert!(!exists(server, &shop.clone_name()).await, "{strategy}");
        // The user itself, on the admin's port, goes on.
        document["port"] = json!(server.port);
        document["password"] = json!(shop.app.password);
        shop.stage.put_current(&document);
        let document = shop.rotate().await;
        assert!(shop.logs_in(&document).await, "{strategy}");
        shop.close().await;
    }
}
