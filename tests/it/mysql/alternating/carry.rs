//! Pairs that were kept equal another way, on MySQL: made by copying, by AWS's template, by hand. Each
//! is carried over by its next rotations, with sessions of both users open throughout.

use fourstep::store::{AWSCURRENT, AWSPENDING, AWSPREVIOUS};
use fourstep::{Question, Step};
use serde_json::json;

use super::Shop;
use crate::support::mysql::{Server, Session, mysqls};

/// What both users may do.
const RIGHTS: &str = "
    GRANT SELECT, INSERT ON $schema.* TO $one; GRANT SELECT (id) ON $orders TO $one;
    GRANT EXECUTE ON FUNCTION $schema.tax TO $one WITH GRANT OPTION;
    GRANT BACKUP_ADMIN, RELOAD ON *.* TO $one; GRANT $reader TO $one; ALTER USER $one DEFAULT ROLE $reader;
    GRANT DELETE ON $orders TO $reader;";

const SECOND: &str = "of-the-second-1!";

/// Sessions of both users, which ask the same all the time.
struct Sessions {
    open: Vec<Session>,
    query: String,
}

impl Sessions {
    async fn of(shop: &Shop) -> Self {
        let open = vec![
            shop.server.open(&shop.app.name, &shop.app.password).await,
            shop.server.open(&shop.clone_name(), SECOND).await,
        ];
        let query = shop.fill("SELECT COUNT(*) + $schema.tax() FROM $orders");
        Self { open, query }
    }

    async fn assert_work(&mut self) {
        for session in &mut self.open {
            assert_eq!(session.ask(&self.query).await, "2");
        }
    }
}

/// A shop with both users, of which `current` is the one in use, and both passwords recorded.
async fn pair(server: &Server, current: &str, of_second: &str) -> Shop {
    let shop = Shop::bare(server, "app", &[]).await;
    shop.arrange(&format!("CREATE USER $clone IDENTIFIED BY '{SECOND}';")).await;
    shop.arrange(&RIGHTS.replace("$one", "$app")).await;
    shop.arrange(&of_second.replace("$one", "$clone")).await;
    let (mut first, mut second) =
        (shop.stage.document(AWSCURRENT), shop.stage.document(AWSCURRENT));
    first["username"] = json!(shop.app.name);
    (second["username"], second["password"]) = (json!(shop.clone_name()), json!(SECOND));
    let order = if current == "app" { [second, first] } else { [first, second] };
    for document in order {
        shop.stage.put_current(&document);
    }
    shop
}

/// The mark of the version before, on the second user alone.
async fn mark(shop: &Shop) {
    let secret = shop.stage.store.describe(&shop.stage.secret).unwrap().arn;
    let mark = json!({"fourstep": {"partner": shop.app.name, "secret": secret}});
    shop.arrange(&format!("ALTER USER $clone ATTRIBUTE '{mark}';")).await;
}

/// Rotates, with the sessions working all the time and the server's tables read again after it.
async fn rotate(shop: &Shop, sessions: &mut Sessions) -> String {
    let token = shop.stage.begin();
    let mut warnings = String::new();
    for step in Step::ALL {
        let ended = shop.stage.step(step, &token).await;
        ended.why();
        warnings += &ended.stats.warnings.join("\n");
        sessions.assert_work().await;
        shop.server.reload().await;
        sessions.assert_work().await;
    }
    shop.stage.end(&token);
    for label in [AWSCURRENT, AWSPREVIOUS] {
        assert!(shop.logs_in(&shop.stage.document(label)).await, "{label}");
    }
    warnings
}

/// Whether the second user has anything of its own.
async fn has_own(shop: &Shop) -> bool {
    shop.arrange("SHOW GRANTS FOR $clone").await.lines().count() > 2
}

async fn is_carried_over(shop: &Shop) {
    let mut sessions = Sessions::of(shop).await;
    let mut kept = 0;
    for _ in 0..4 {
        let warnings = rotate(shop, &mut sessions).await;
        kept += usize::from(warnings.contains("takes them"));
    }
    assert_eq!(kept, 2, "both turns of the second found its session open");
    assert!(has_own(shop).await, "a session from before needs it");
    sessions.open.remove(1);
    end_sessions(shop).await;
    let mut last = Sessions { open: sessions.open, query: sessions.query };
    rotate(shop, &mut last).await;
    rotate(shop, &mut last).await;
    assert!(!has_own(shop).await);
    shop.assert_alike_at_one_host().await;
}

async fn end_sessions(shop: &Shop) {
    let sessions = "SELECT COUNT(*) = 0 FROM information_schema.PROCESSLIST WHERE USER";
    shop.server.end_sessions(&shop.clone_name()).await;
    let query = format!("{sessions} = '{}'", shop.clone_name());
    while shop.server.arrange(&query).await.trim() != "1" {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_pair_that_was_made_by_copying_is_carried_over_whichever_is_in_use() {
    for server in mysqls() {
        for current in ["app", "clone"] {
            let shop = pair(&server, current, RIGHTS).await;
            mark(&shop).await;
            is_carried_over(&shop).await;
        }
    }
}

#[tokio::test]
async fn a_pair_of_aws_s_template_is_carried_over_whichever_is_in_use() {
    for server in mysqls() {
        for current in ["app", "clone"] {
            // It copies without GRANT OPTION, and no default role.
            let copied = RIGHTS.replace(" WITH GRANT OPTION", "");
            let mut shop = pair(&server, current, &copied).await;
            shop.configure(&[("ADOPT_USERS", &shop.clone_name())]);
            is_carried_over(&shop).await;
        }
    }
}

#[tokio::test]
async fn rule_18_a_mark_without_a_recorded_password_carries_nothing_over() {
    for server in mysqls() {
        let shop = pair(&server, "app", RIGHTS).await;
        mark(&shop).await;
        shop.arrange("ALTER USER $clone IDENTIFIED BY 'of-somebody-else-1!'").await;
        let error = shop.refusal().await;
        assert!(error.contains("ADOPT_USERS"), "{error}");
        assert!(shop.stage.try_text(AWSPENDING).is_none(), "nothing was stored");
        assert!(server.logs_in(&shop.clone_name(), "of-somebody-else-1!").await);
    }
}

#[tokio::test]
async fn what_the_second_has_beside_the_first_stops_both_turns_unless_it_may_be_taken() {
    for server in mysqls() {
        for current in ["app", "clone"] {
            let beside = "GRANT UPDATE ON $schema.* TO $clone; GRANT $boss TO $clone;
                GRANT CLONE_ADMIN ON *.* TO $clone; GRANT EXECUTE ON PROCEDURE $schema.`close it` TO $clone;";
            let mut shop = pair(&server, current, &format!("{RIGHTS}{beside}")).await;
            mark(&shop).await;
            let mut sessions = Sessions::of(&shop).await;
            let before = shop.arrange("SHOW GRANTS FOR $clone").await;
            let error = shop.refusal().await;
            assert!(error.contains("DROP_EXTRA_RIGHTS") && error.contains("and 1 more"), "{error}");
            assert_eq!(shop.arrange("SHOW GRANTS FOR $clone").await, before);
            let found = shop.stage.ask(Question::Preflight).await.to_string();
            assert!(found.contains("DROP_EXTRA_RIGHTS"), "{found}");
            let plan = shop.stage.ask(Question::Plan).await.to_string();
            assert!(plan.contains("-- in the way: ") && plan.contains("CLONE_ADMIN"), "{plan}");
            shop.configure(&[("DROP_EXTRA_RIGHTS", &shop.clone_name())]);
            rotate(&shop, &mut sessions).await;
            sessions.open.remove(1);
            end_sessions(&shop).await;
            rotate(&shop, &mut sessions).await;
            rotate(&shop, &mut sessions).await;
            assert!(!has_own(&shop).await);
            shop.assert_alike_at_one_host().await;
        }
    }
}

#[tokio::test]
async fn an_admin_that_sees_no_sessions_is_told_what_it_takes() {
    for server in mysqls() {
        let shop = pair(&server, "app", RIGHTS).await;
        mark(&shop).await;
        shop.arrange("REVOKE PROCESS ON *.* FROM $admin").await;
        let grant = shop.fill("GRANT PROCESS ON *.* TO $admin");
        let answer = shop.stage.ask(Question::Preflight).await;
        let found = answer.to_string();
        assert!(found.contains(&grant), "{grant}: {found}");
        let token = shop.stage.play(&[Step::Create]).await;
        let set = shop.stage.step(Step::Set, &token).await;
        set.why();
        assert!(set.stats.warnings.iter().any(|one| one.contains(&grant)), "{:?}", set.stats);
        assert!(has_own(&shop).await);
        // The advice is followed.
        shop.arrange(&grant).await;
        shop.stage.step(Step::Set, &token).await.why();
        assert!(!has_own(&shop).await);
        shop.stage.step(Step::Test, &token).await.why();
    }
}
