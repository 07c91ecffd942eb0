//! A user without rights that tries to make what only an admin should be able to say, and one that may
//! write its own secret too (rule 18): neither gets an account that is not the secret's.

use fourstep::Step;
use fourstep::store::AWSCURRENT;
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, Executor, Row};

use super::Shop;
use crate::support::postgres::{User, both_versions};

/// Everything that the server keeps of a role and of who is a member of whom by it.
async fn kept(shop: &Shop, role: &str) -> String {
    let mut connection = shop.server.superuser().await;
    let sql = "SELECT concat_ws('|', a::text, shobj_description(a.oid, 'pg_authid'),
            (SELECT string_agg(concat(m.roleid::regrole, '>', m.member::regrole, m.admin_option), ',' ORDER BY 1)
             FROM pg_auth_members AS m WHERE a.oid IN (m.roleid, m.member)),
            (SELECT string_agg(s.setconfig::text, ',') FROM pg_db_role_setting AS s WHERE s.setrole = a.oid))
        FROM pg_authid AS a WHERE a.rolname = $1";
    sqlx::query(sql).bind(role).fetch_one(&mut connection).await.unwrap().get(0)
}

/// A user of somebody's, and what is kept of it.
async fn victim(shop: &Shop) -> (User, String) {
    let victim = shop.server.user("ledger").await;
    let before = kept(shop, &victim.name).await;
    (victim, before)
}

async fn assert_untouched(shop: &Shop, (victim, before): &(User, String)) {
    assert_eq!(kept(shop, &victim.name).await, *before);
    assert!(shop.server.logs_in(&victim.name, &victim.password).await);
}

#[tokio::test]
async fn rule_18_a_user_without_rights_writes_no_mark() {
    for server in both_versions() {
        let shop = Shop::bare(&server, "app", &[]).await;
        let victim = victim(&shop).await;
        shop.rotate().await;
        let arn = shop.stage.store.describe(&shop.stage.secret).unwrap().arn;
        let (own, other, second) = (&shop.app.name, &victim.0.name, shop.clone_name());
        let mark = format!("fourstep: {}", json!({"partner": own, "secret": arn}));
        let before = [kept(&shop, own).await, kept(&shop, &second).await];
        for (label, session_user) in [("AWSCURRENT", &second), ("AWSPREVIOUS", own)] {
            let mut session = shop.session(label, &shop.databases[0]).await;
            for sql in [
                format!("COMMENT ON ROLE \"{session_user}\" IS '{mark}'"),
                format!("COMMENT ON ROLE \"{own}\" IS '{mark}'"),
                format!("COMMENT ON ROLE \"{second}\" IS '{mark}'"),
                format!("COMMENT ON ROLE \"{other}\" IS '{mark}'"),
                format!(
                    "INSERT INTO pg_shdescription SELECT oid, 'pg_authid'::regclass, '{mark}' FROM pg_roles WHERE rolname = '{other}'"
                ),
                format!("GRANT \"{other}\" TO \"{own}\""),
                format!("GRANT \"{other}\" TO \"{second}\""),
                format!("SET ROLE \"{other}\""),
                format!("SET SESSION AUTHORIZATION \"{other}\""),
                format!("ALTER ROLE \"{other}\" SET search_path = x"),
                format!("ALTER ROLE \"{other}\" PASSWORD 'chosen-1'"),
                format!("ALTER ROLE \"{other}\" RENAME TO x"),
                format!("CREATE ROLE \"{own}_made\" LOGIN"),
                format!("REASSIGN OWNED BY \"{other}\" TO \"{own}\""),
            ] {
                let tried = session.execute(sqlx::raw_sql(AssertSqlSafe(sql.clone()))).await;
                assert!(tried.is_err(), "{session_user}: {sql}");
            }
            session.close().await.unwrap();
        }
        assert_untouched(&shop, &victim).await;
        assert_eq!([kept(&shop, own).await, kept(&shop, &second).await], before);
        shop.close().await;
    }
}

#[tokio::test]
async fn rule_18_who_may_write_the_secret_too_logs_in_as_nobody_else() {
    for server in both_versions() {
        for own_name in [true, false] {
            let shop = Shop::bare(&server, "app", &[]).await;
            let victim = if own_name {
                shop.arrange("CREATE ROLE $clone LOGIN PASSWORD 'a-stranger-1'").await;
                let user = User { name: shop.clone_name(), password: "a-stranger-1".to_owned() };
                let before = kept(&shop, &user.name).await;
                (user, before)
            } else {
                victim(&shop).await
            };
            let current = shop.stage.document(AWSCURRENT);
            let mut chosen = current.clone();
            chosen["username"] = json!(victim.0.name);
            chosen["password"] = json!("chosen-by-the-forger-1");
            // As AWSPENDING.
            let token = shop.stage.begin();
            shop.stage.put_pending(&token, &chosen);
            let set = shop.stage.step(Step::Set, &token).await;
            assert!(set.result.is_err(), "{:?}", set.result);
            shop.stage.cancel();
            assert_untouched(&shop, &victim).await;
            // As AWSCURRENT, and then as if it had been in use once.
            shop.stage.put_current(&chosen);
            shop.refusal().await;
            shop.stage.put_current(&current);
            for _ in 0..2 {
                let token = shop.stage.begin();
                for step in Step::ALL {
                    if shop.stage.step(step, &token).await.result.is_err() {
                        shop.stage.cancel();
                        break;
                    }
                }
            }
            assert_untouched(&shop, &victim).await;
            assert!(!server.logs_in(&victim.0.name, "chosen-by-the-forger-1").await);
            shop.close().await;
        }
    }
}
