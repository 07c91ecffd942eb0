//! A user that writes on itself what only an admin should be able to say (rule 18): whose a pair is,
//! the server's edge says, which no user without rights can make.

use fourstep::store::{AWSCURRENT, AWSPENDING};
use fourstep::{SecretId, Step};
use fourstep_local::NewValue;
use serde_json::{Value, json};

use super::{COPIER, Shop};
use crate::support::mysql::{User, mariadb, mysqls, servers};
use crate::support::stage::new_token;

/// The ARN of a shop's secret, which its own user can read where a pair is marked.
fn arn(shop: &Shop) -> String {
    shop.stage.store.describe(&shop.stage.secret).unwrap().arn
}

/// Everything that the server keeps of a user and of what it may do.
async fn kept(shop: &Shop, user: &User) -> String {
    let grants = format!("SHOW GRANTS FOR '{}'@'127.%'", user.name);
    shop.server.kept(user).await + &shop.server.arrange(&grants).await
}

/// Writes a mark on the session's own user, as anybody may.
async fn write_on_itself(shop: &Shop, user: &User, partner: &str, secret: &str) {
    let mark = json!({"fourstep": {"partner": partner, "secret": secret}});
    let sql =
        format!("ALTER USER CURRENT_USER() IDENTIFIED BY '{}' ATTRIBUTE '{mark}'", user.password);
    shop.server.run(&user.name, &user.password, &sql).await.unwrap();
}

/// Rotates twice, whatever comes of it.
async fn try_to_rotate(shop: &Shop) {
    for _ in 0..2 {
        let token = shop.stage.begin();
        for step in Step::ALL {
            if shop.stage.step(step, &token).await.result.is_err() {
                shop.stage.cancel();
                return;
            }
        }
        shop.stage.end(&token);
    }
}

/// A user of somebody's, with a right, and what is kept of it.
async fn victim(shop: &Shop, stem: &str) -> (User, String) {
    let victim = shop.server.user(stem).await;
    shop.arrange(&format!("GRANT SELECT ON $orders TO '{}'@'127.%'", victim.name)).await;
    let before = kept(shop, &victim).await;
    (victim, before)
}

async fn assert_untouched(shop: &Shop, (victim, before): &(User, String)) {
    assert_eq!(kept(shop, victim).await, *before);
    assert!(shop.server.logs_in(&victim.name, &victim.password).await);
}

#[tokio::test]
async fn rule_18_a_forged_mark_takes_no_foreign_account() {
    for server in mysqls() {
        let shop = Shop::bare(&server, "app", &[]).await;
        let victim = victim(&shop, "ledger").await;
        write_on_itself(&shop, &shop.app, &victim.0.name, &arn(&shop)).await;
        try_to_rotate(&shop).await;
        assert_untouched(&shop, &victim).await;
        assert_ne!(shop.stage.document(AWSCURRENT)["username"], json!(victim.0.name));
        // And where it has the very name that the other half would have.
        let shop = Shop::bare(&server, "app", &[]).await;
        shop.arrange("CREATE USER $clone IDENTIFIED BY 'a-stranger-1!'").await;
        let stranger = User { name: shop.clone_name(), password: "a-stranger-1!".to_owned() };
        let before = kept(&shop, &stranger).await;
        write_on_itself(&shop, &shop.app, &stranger.name, &arn(&shop)).await;
        let error = shop.refusal().await;
        assert!(error.contains("a user can write on itself"), "{error}");
        assert!(shop.stage.try_text(AWSPENDING).is_none(), "nothing was stored");
        assert_untouched(&shop, &(stranger, before)).await;
    }
}

#[tokio::test]
async fn rule_18_a_forged_mark_takes_no_half_of_another_secret_s_pair() {
    for server in mysqls() {
        let theirs = Shop::bare(&server, "ledger", &[]).await;
        theirs.rotate().await;
        let second = theirs.stage.document(AWSCURRENT);
        let text = |field: &str| second[field].as_str().unwrap().to_owned();
        let second = User { name: text("username"), password: text("password") };
        for victim in [&second, &theirs.app] {
            let shop = Shop::bare(&server, "app", &[]).await;
            let before = kept(&theirs, victim).await;
            write_on_itself(&shop, &shop.app, &victim.name, &arn(&shop)).await;
            try_to_rotate(&shop).await;
            assert_eq!(kept(&theirs, victim).await, before);
            assert!(theirs.logs_in(&theirs.stage.document(AWSCURRENT)).await);
        }
        theirs.rotate().await;
        theirs.rotate().await;
        theirs.assert_alike_at_one_host().await;
    }
}

#[tokio::test]
async fn rule_18_who_may_write_the_secret_too_logs_in_as_nobody_else() {
    for server in servers() {
        for own_name in [true, false] {
            let shop = Shop::bare(&server, "app", &[]).await;
            let victim = match own_name {
                true => {
                    shop.arrange("CREATE USER $clone IDENTIFIED BY 'a-stranger-1!'").await;
                    let user =
                        User { name: shop.clone_name(), password: "a-stranger-1!".to_owned() };
                    let before = kept(&shop, &user).await;
                    (user, before)
                }
                false => victim(&shop, "ledger").await,
            };
            // On MariaDB nobody keeps attributes of users.
            if server.is_mysql() {
                write_on_itself(&shop, &shop.app, &victim.0.name, &arn(&shop)).await;
            }
            let mut chosen: Value = shop.stage.document(AWSCURRENT);
            chosen["username"] = json!(victim.0.name);
            chosen["password"] = json!("chosen-by-the-forger-1!");
            let token = shop.stage.begin();
            shop.stage.put_pending(&token, &chosen);
            let set = shop.stage.step(Step::Set, &token).await;
            assert!(set.result.is_err(), "{:?}", set.result);
            shop.stage.cancel();
            // As if it had been in use once.
            let current = shop.stage.document(AWSCURRENT);
            shop.stage.put_current(&chosen);
            shop.stage.put_current(&current);
            try_to_rotate(&shop).await;
            assert_untouched(&shop, &victim).await;
            assert!(!server.logs_in(&victim.0.name, "chosen-by-the-forger-1!").await);
        }
    }
}

#[tokio::test]
async fn rule_18_a_user_without_rights_makes_no_edge() {
    for server in mysqls() {
        let shop = Shop::bare(&server, "app", &[]).await;
        let victim = victim(&shop, "ledger").await;
        let (own, other) = (shop.fill("$app"), format!("'{}'@'127.%'", victim.0.name));
        for sql in [
            format!("GRANT {own} TO {other}"),
            format!("GRANT {other} TO {own}"),
            format!("GRANT {other} TO CURRENT_USER()"),
            format!("SET ROLE {other}"),
            format!("SET DEFAULT ROLE {other} TO {own}"),
            format!("ALTER USER {own} DEFAULT ROLE {other}"),
            format!("ALTER USER CURRENT_USER() DEFAULT ROLE {other}"),
            format!("SET DEFAULT ROLE {own} TO {other}"),
            format!("ALTER USER {other} DEFAULT ROLE {own}"),
            format!("ALTER USER {other} ATTRIBUTE '{{\"fourstep\": {{}}}}'"),
            format!("ALTER USER {other} IDENTIFIED BY 'x'"),
            format!("CREATE USER 'x{0}' DEFAULT ROLE {other}", shop.unique),
            format!(
                "INSERT INTO mysql.role_edges VALUES ('127.%', '{0}', '127.%', 'x', 'N')",
                victim.0.name
            ),
        ] {
            let tried = server.run(&shop.app.name, &shop.app.password, &sql).await;
            assert!(tried.is_err_and(|why| why.contains("ERROR")), "{sql}");
        }
        let edges = format!(
            "SELECT COUNT(*) FROM mysql.role_edges WHERE '{0}' IN (FROM_USER, TO_USER)",
            victim.0.name
        );
        assert_eq!(server.arrange(&edges).await.trim(), "0");
        assert_untouched(&shop, &victim).await;
    }
}

#[tokio::test]
async fn rule_18_a_claim_of_another_secret_keeps_this_one_away_and_a_pair_goes_on_without_any() {
    for server in mysqls() {
        let shop = Shop::bare(&server, "app", &[]).await;
        let document = shop.rotate().await;
        shop.rotate().await;
        let text = |field: &str| document[field].as_str().unwrap().to_owned();
        let second = User { name: text("username"), password: text("password") };
        write_on_itself(&shop, &second, &shop.app.name, "arn:of:another").await;
        let error = shop.refusal().await;
        assert!(error.contains("arn:of:another"), "{error}");
        assert!(shop.stage.try_text(AWSPENDING).is_none(), "nothing was stored");
        // As the guide says to remove it.
        shop.arrange("ALTER USER $clone ATTRIBUTE '{\"fourstep\": null}';").await;
        for _ in 0..2 {
            shop.rotate().await;
        }
        let marked = "SELECT COUNT(*) FROM information_schema.USER_ATTRIBUTES \
                      WHERE USER = '{}' AND ATTRIBUTE->>'$.fourstep.secret' = '{}'";
        let marked = marked.replacen("{}", &shop.clone_name(), 1).replacen("{}", &arn(&shop), 1);
        assert_eq!(server.arrange(&marked).await.trim(), "1", "it is written again");
    }
}

/// What names the role that marks a user of MariaDB's, as SQL.
fn marker(user: &str, partner: &str, secret: &str) -> String {
    let marked = json!([user, partner, secret]);
    format!("CONCAT('fourstep:', UPPER(LEFT(SHA2('{marked}', 256), 32)), ':', LEFT('{user}', 40))")
}

/// INSERT on *.*, as many an application has it, lets its holder make roles, and write into the tables in
/// which the server keeps who made which.
#[tokio::test]
async fn rule_18_a_role_that_the_admin_did_not_make_marks_nobody() {
    let Some(server) = mariadb() else { return };
    for by_table in [false, true] {
        for on_victim in [false, true] {
            let shop = Shop::bare(&server, "app", &[]).await;
            let victim = victim(&shop, "ledger").await;
            let forger = server.user("forger").await;
            let rights = "GRANT SELECT, INSERT ON *.* TO '{}'@'127.%'";
            shop.arrange(&rights.replace("{}", &forger.name)).await;
            let [user, partner] = match on_victim {
                true => [&victim.0.name, &shop.app.name],
                false => [&shop.app.name, &victim.0.name],
            };
            let role = marker(user, partner, &arn(&shop));
            let forged = match by_table {
                true => format!(
                    "INSERT INTO mysql.global_priv \
                     VALUES ('', {role}, '{{\"access\":0,\"is_role\":true}}'); \
                     INSERT INTO mysql.roles_mapping VALUES ('127.%', '{}', {role}, 'Y');",
                    shop.admin.name
                ),
                false => format!("EXECUTE IMMEDIATE CONCAT('CREATE ROLE ', QUOTE({role}));"),
            };
            server.run(&forger.name, &forger.password, &forged).await.unwrap();
            try_to_rotate(&shop).await;
            assert_untouched(&shop, &victim).await;
            assert_ne!(shop.stage.document(AWSCURRENT)["username"], json!(victim.0.name));
        }
    }
}

#[tokio::test]
async fn rule_18_a_user_without_rights_makes_no_role() {
    let Some(server) = mariadb() else { return };
    let shop = Shop::bare(&server, "app", &[]).await;
    shop.rotate().await;
    let role = marker(&shop.clone_name(), &shop.app.name, &arn(&shop));
    let role = server.arrange(&format!("SELECT {role}")).await.trim().to_owned();
    for sql in [
        "CREATE ROLE forged".to_owned(),
        format!("CREATE OR REPLACE ROLE '{role}'"),
        format!("DROP ROLE '{role}'"),
        format!("GRANT '{role}' TO CURRENT_USER()"),
        format!("SET ROLE '{role}'"),
        format!("INSERT INTO mysql.roles_mapping VALUES ('127.%', 'x', '{role}', 'Y')"),
        "INSERT INTO mysql.global_priv VALUES ('', 'forged', '{}')".to_owned(),
    ] {
        let tried = server.run(&shop.app.name, &shop.app.password, &sql).await;
        assert!(tried.is_err_and(|why| why.contains("ERROR")), "{sql}");
    }
}

/// Its roles are the old admin's, so that they only claim: a recorded password confirms it, and they are
/// made anew.
#[tokio::test]
async fn a_pair_whose_admin_is_another_one_now_goes_on() {
    let Some(server) = mariadb() else { return };
    let mut shop = Shop::bare(&server, "app", &[]).await;
    shop.rotate().await;
    shop.rotate().await;
    shop.admin = server.user("admin").await;
    shop.arrange(COPIER).await;
    let document = server.document(&shop.admin).to_string();
    let new = NewValue::current(&new_token(), document.as_str());
    shop.stage.store.put(&SecretId::parse("admin").unwrap(), new).unwrap();
    for _ in 0..3 {
        shop.rotate().await;
    }
    let role = marker(&shop.clone_name(), &shop.app.name, &arn(&shop));
    let made = "SELECT COUNT(*) FROM mysql.roles_mapping WHERE User = '{}' AND Role = ";
    let made = server.arrange(&(made.replace("{}", &shop.admin.name) + &role)).await;
    assert_eq!(made.trim(), "1");
}
