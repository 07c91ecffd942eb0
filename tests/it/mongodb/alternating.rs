//! Two users that an admin without root keeps equal.

use fourstep::store::{AWSCURRENT, AWSPENDING, AWSPREVIOUS};
use fourstep::{Environment, ErrorKind, Question, Step};
use fourstep_local::NewSecret;
use serde_json::{Value, json};

use super::with;
use crate::support::mongodb::{SET, Server, User, mongodb, replica_set, secantus, servers};
use crate::support::stage::Stage;

pub struct Shop {
    server: Server,
    pub stage: Stage,
    pub app: User,
    pub admin: User,
}

impl Shop {
    pub async fn open(server: &Server, variables: &[(&str, &str)]) -> Self {
        let reader =
            json!([{"resource": {"db": "shop", "collection": "orders"}, "actions": ["find"]}]);
        server.role("shop", "reader", reader).await;
        let roles = json!([{"role": "readWrite", "db": "shop"}, {"role": "reader", "db": "shop"}]);
        let app = server.user_with("app", "admin", roles).await;
        Self::with(server, app, server.admin().await, variables)
    }

    pub fn with(server: &Server, app: User, admin: User, variables: &[(&str, &str)]) -> Self {
        let document = with(&server.document(&app), "masterarn", "admin");
        let always = [("ROTATION_STRATEGY", "alternating-users")];
        let stage = server.stage(&document, &[&always[..], variables].concat());
        let value = Some(server.document(&admin).to_string().as_str().into());
        stage.store.create("admin", NewSecret { value, ..NewSecret::default() }).unwrap();
        Self { server: server.clone(), stage, app, admin }
    }

    pub fn second(&self) -> String {
        format!("{}_clone", self.app.name)
    }

    async fn logs_in(&self, label: &str) -> bool {
        let document = self.stage.document(label);
        let field = |name: &str| document[name].as_str().unwrap().to_owned();
        self.server.logs_in(&field("username"), &field("password")).await
    }

    /// What must be the same of both users.
    async fn looks(&self, user: &str) -> Value {
        let mut info = self.server.info("admin", user).await;
        let fields = info.as_object_mut().unwrap();
        for own in ["_id", "user"] {
            fields.remove(own);
        }
        if let Some(data) = fields.get_mut("customData").and_then(Value::as_object_mut) {
            data.remove("fourstep");
        }
        if fields.get("customData").is_some_and(|data| *data == json!({})) {
            fields.remove("customData");
        }
        for list in ["roles", "inheritedRoles", "inheritedPrivileges"] {
            let mut sorted: Vec<_> =
                fields[list].as_array().unwrap().iter().map(Value::to_string).collect();
            sorted.sort();
            fields[list] = json!(sorted);
        }
        info
    }

    async fn assert_alike(&self) {
        assert_eq!(self.looks(&self.app.name).await, self.looks(&self.second()).await);
    }

    pub async fn set_password(&self, user: &str, password: &str) {
        self.change(json!({"updateUser": user, "pwd": password})).await;
    }

    pub async fn change(&self, command: Value) {
        self.server.arrange(command).await;
    }
}

#[tokio::test]
async fn parity_09_35_41_both_users_are_equal_in_turn_and_what_was_revoked_is_gone() {
    let _undisturbed = SET.read().await;
    for server in servers() {
        let shop = Shop::open(&server, &[]).await;
        let (app, second) = (shop.app.name.clone(), shop.second());
        let shop_role = |role: &str| json!([{"role": role, "db": "shop"}]);
        let data = json!({"team": "blue", "since": {"$date": "2020-01-01T00:00:00Z"}});
        shop.change(json!({
            "updateUser": app, "customData": data,
            "authenticationRestrictions": [{"clientSource": ["127.0.0.0/8", "::1"]}],
        }))
        .await;
        for (user, before) in [
            (&second, json!({"grantRolesToUser": app, "roles": shop_role("dbAdmin")})),
            (&app, json!({"revokeRolesFromUser": second, "roles": shop_role("reader")})),
            (
                &second,
                json!({"updateUser": app, "authenticationRestrictions": [], "customData": {}}),
            ),
            (&app, json!({"grantRolesToUser": second, "roles": ["readAnyDatabase"]})),
        ] {
            shop.change(match shop.server.info("admin", &second).await {
                // The first turn makes it.
                Value::Null => json!({"grantRolesToUser": app, "roles": shop_role("dbAdmin")}),
                _ => before,
            })
            .await;
            let old = shop.stage.document(AWSCURRENT);
            shop.stage.play(&Step::ALL).await;
            assert_eq!(shop.stage.document(AWSCURRENT)["username"], json!(user));
            shop.assert_alike().await;
            // Who has cached the secret since the last rotation goes on.
            assert_eq!(shop.stage.document(AWSPREVIOUS), old);
            assert!(shop.logs_in(AWSCURRENT).await && shop.logs_in(AWSPREVIOUS).await);
        }
        let roles = shop.looks(&app).await["roles"].to_string();
        assert!(roles.contains("dbAdmin") && roles.contains("readAnyDatabase"), "{roles}");
        assert!(!roles.contains("reader\\"), "{roles}");
        let mark = &shop.server.info("admin", &second).await["customData"]["fourstep"];
        assert_eq!(mark["partner"], json!(app));
    }
}

#[tokio::test]
async fn no_login_fails_and_nothing_is_written_where_nothing_differs() {
    let _undisturbed = SET.read().await;
    let Some(server) = replica_set() else { return };
    let shop = Shop::open(&server, &[]).await;
    shop.stage.play(&Step::ALL).await;
    for _ in 0..2 {
        let plan = shop.stage.ask(Question::Plan).await.to_string();
        assert!(!plan.contains("getSiblingDB"), "{plan}");
        let token = shop.stage.begin();
        for step in Step::ALL {
            let ended = shop.stage.step(step, &token).await;
            ended.why();
            assert_eq!(ended.stats.rejected_logins, 0);
            assert_eq!(ended.stats.warnings, Vec::<String>::new());
        }
        shop.stage.end(&token);
    }
}

#[tokio::test]
async fn a_pair_of_aws_s_template_is_adopted_by_configuration() {
    let Some(server) = mongodb() else { return };
    let shop = Shop::open(&server, &[]).await;
    let second = User { name: shop.second(), password: "canary-second".to_owned() };
    server.create(&second, "admin", json!([{"role": "read", "db": "shop"}])).await;
    let stage = Shop::with(
        &server,
        shop.app.clone(),
        shop.admin.clone(),
        &[("ADOPT_USERS", &shop.second())],
    );
    stage.stage.play(&Step::ALL).await;
    stage.assert_alike().await;
    // From then on the mark does.
    stage.stage.play(&Step::ALL).await;
    assert!(stage.logs_in(AWSCURRENT).await);
}

#[tokio::test]
async fn an_admin_without_rights_is_told_what_to_run_before_anything_is_stored() {
    let Some(server) = mongodb() else { return };
    let shop = Shop::open(&server, &[]).await;
    let roles = json!([{"role": "userAdmin", "db": "admin"}]);
    let weak = server.user_with("weak", "admin", roles).await;
    let shop = Shop::with(&server, shop.app, weak, &[]);
    let token = shop.stage.begin();
    let error = shop.stage.step(Step::Create, &token).await.result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden);
    let advice = format!(
        "db.getSiblingDB(\"admin\").grantRolesToUser({:?}, [{{role: \"userAdmin\", db: \"shop\"}}])",
        shop.admin.name
    );
    assert!(error.to_string().contains(&advice), "{error}");
    assert_eq!(shop.stage.try_text(AWSPENDING), None);
    let given = json!([{"role": "userAdmin", "db": "shop"}]);
    shop.change(json!({"grantRolesToUser": shop.admin.name, "roles": given})).await;
    for step in Step::ALL {
        shop.stage.step(step, &token).await.why();
    }
    shop.assert_alike().await;
}

/// Made, and then stopped before its password: nobody logs in as it, and the retry goes on.
#[tokio::test]
async fn rule_06_a_user_that_was_made_half_way_cannot_log_in() {
    let Some(server) = mongodb() else { return };
    let shop = Shop::open(&server, &[]).await;
    let plan = shop.stage.ask(Question::Plan).await.to_string();
    for words in ["createUser({user:", "passwordPrompt()", "readWrite", "fourstep: {partner:"] {
        assert!(plan.contains(words), "{words}: {plan}");
    }
    let token = shop.stage.play(&[Step::Create]).await;
    let arn = shop.stage.store.describe(&shop.stage.secret).unwrap().arn;
    let mark = json!({"fourstep": {"partner": shop.app.name, "secret": arn}});
    let half = json!({"createUser": shop.second(), "pwd": "canary-nobodys", "roles": [], "customData": mark});
    shop.change(half).await;
    assert!(!server.logs_in(&shop.second(), &shop.stage.password(AWSPENDING)).await);
    shop.stage.step(Step::Set, &token).await.why();
    assert!(server.logs_in(&shop.second(), &shop.stage.password(AWSPENDING)).await);
    // What was granted since is taken along, although pending logs in already.
    let more = json!([{"role": "dbAdmin", "db": "shop"}]);
    shop.change(json!({"grantRolesToUser": shop.app.name, "roles": more})).await;
    let ended = shop.stage.step(Step::Test, &token).await;
    assert_eq!(ended.result.unwrap_err().kind(), ErrorKind::Conflict);
    shop.stage.step(Step::Set, &token).await.why();
    shop.stage.step(Step::Test, &token).await.why();
    shop.assert_alike().await;
}

#[tokio::test]
async fn what_cannot_be_asked_of_these_servers_is_refused_by_name() {
    for name in ["PROBE_QUERY", "REFUSE_OPEN_SESSIONS"] {
        let refused = rotate_mongodb::strategies(&Environment::from([(name, "true")])).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Malformed);
        assert!(refused.to_string().contains(name), "{refused}");
    }
}

/// A server that keeps no customData, as DocumentDB may: the pair is refused, and nobody is let in.
#[tokio::test]
async fn a_server_without_custom_data_takes_no_pair() {
    let Some(server) = secantus() else { return };
    let roles = json!([{"role": "readWrite", "db": "shop"}]);
    let app = server.user_with("app", "admin", roles).await;
    let admin = server.user_with("admin", "admin", json!(["root"])).await;
    let shop = Shop::with(&server, app, admin, &[]);
    let token = shop.stage.play(&[Step::Create]).await;
    let error = shop.stage.step(Step::Set, &token).await.error();
    assert!(error.contains("single-user-by-admin"), "{error}");
    assert!(!shop.logs_in(AWSPENDING).await && shop.logs_in(AWSCURRENT).await);
}
