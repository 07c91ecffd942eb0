//! Whose the other user is, and what is done about one that is not ours.

use fourstep::store::{AWSCURRENT, AWSPENDING};
use fourstep::{ErrorKind, Step};
use serde_json::json;

use super::Shop;
use crate::support::mysql::{Server, mariadb, mysql, mysqls, servers};

/// How many accounts the user has.
async fn accounts(server: &Server, user: &str) -> usize {
    let query = format!("SELECT COUNT(*) FROM mysql.user WHERE User = '{user}'");
    server.arrange(&query).await.trim().parse().unwrap()
}

#[tokio::test]
async fn beyond_02_a_stranger_is_never_taken_over_for_its_name() {
    for server in servers() {
        let shop = Shop::bare(&server, "app", &[]).await;
        shop.arrange("CREATE USER $clone IDENTIFIED BY 'a-stranger-1!';").await;
        let error = shop.refusal().await;
        assert!(error.contains("carries no mark") && error.contains("ADOPT_USERS"), "{error}");
        assert!(shop.stage.try_text(AWSPENDING).is_none(), "nothing was stored");
        assert!(server.logs_in(&shop.clone_name(), "a-stranger-1!").await);
    }
}

#[tokio::test]
async fn beyond_02_a_user_whose_own_name_ends_in_the_suffix_hijacks_nobody() {
    for server in servers() {
        let mut shop = Shop::bare(&server, "app", &[]).await;
        shop.arrange("CREATE USER $clone IDENTIFIED BY 'it-is-mine-1!';").await;
        let mut document = shop.stage.document(AWSCURRENT);
        document["username"] = json!(shop.clone_name());
        document["password"] = json!("it-is-mine-1!");
        shop.stage.put_current(&document);
        let error = shop.refusal().await;
        assert!(error.contains("does not make it the other half"), "{error}");
        assert!(server.logs_in(&shop.app.name, &shop.app.password).await);
        // A pair that is named.
        let other = format!("{}_b", shop.app.name);
        shop.configure(&[("USER_PAIRS", &format!("{}={other}", shop.clone_name()))]);
        assert_eq!(shop.rotate().await["username"], json!(other));
        assert!(server.logs_in(&shop.app.name, &shop.app.password).await);
        assert!(server.logs_in(&shop.clone_name(), "it-is-mine-1!").await);
    }
}

#[tokio::test]
async fn rule_07_a_pair_of_aws_s_template_is_adopted_by_configuration_and_marked() {
    for server in servers() {
        let mut shop = Shop::open(&server, &[]).await;
        // As the template leaves it: on one host, with fewer rights.
        shop.arrange("CREATE USER $clone IDENTIFIED BY 'of-the-template-1!';").await;
        shop.configure(&[("ADOPT_USERS", &shop.clone_name())]);
        assert_eq!(shop.rotate().await["username"], json!(shop.clone_name()));
        shop.assert_alike().await;
        // The mark stands without the configuration.
        shop.configure(&[]);
        assert_eq!(shop.rotate().await["username"], json!(shop.app.name));
        assert_eq!(shop.rotate().await["username"], json!(shop.clone_name()));
        shop.assert_alike().await;
    }
}

#[tokio::test]
async fn rule_07_an_admin_is_never_the_other_half() {
    for server in servers() {
        let mut shop = Shop::bare(&server, "app", &[]).await;
        shop.arrange(
            "CREATE USER $clone IDENTIFIED BY 'powerful-1!';
             GRANT CREATE USER ON *.* TO $boss; GRANT $boss TO $reader;
             GRANT $reader TO $clone;",
        )
        .await;
        shop.configure(&[("ADOPT_USERS", &shop.clone_name())]);
        let error = shop.refusal().await;
        assert!(error.contains("CREATE USER, and so is as good as an admin"), "{error}");
        let pair = format!("{}={}", shop.app.name, shop.admin.name);
        let admin = shop.admin.name.clone();
        shop.configure(&[("USER_PAIRS", &pair), ("ADOPT_USERS", &admin)]);
        let error = shop.refusal().await;
        assert!(error.contains("is never changed") || error.contains("the admin"), "{error}");
        assert!(server.logs_in(&shop.admin.name, &shop.admin.password).await);
        assert!(server.logs_in(&shop.clone_name(), "powerful-1!").await);
    }
}

#[tokio::test]
async fn parity_42_a_name_that_is_too_long_is_refused_before_anything_is_stored() {
    for server in servers() {
        let shop = Shop::bare(&server, "app", &[("USERNAME_CHARACTER_LIMIT", "12")]).await;
        let error = shop.refusal().await;
        assert!(error.contains("USERNAME_CHARACTER_LIMIT"), "{error}");
        assert!(shop.stage.try_text(AWSPENDING).is_none());
    }
    let Some(server) = mysql() else { return };
    let mut shop = Shop::bare(&server, "app", &[]).await;
    let long = "x".repeat(33);
    shop.configure(&[("USER_PAIRS", &format!("{}={long}", shop.app.name))]);
    let error = shop.refusal().await;
    assert!(error.contains("the server takes 32") && error.contains("USER_PAIRS"), "{error}");
    assert!(shop.stage.try_text(AWSPENDING).is_none());
    let other = format!("b{}", &shop.app.name[1..]);
    shop.configure(&[("USER_PAIRS", &format!("{}={other}", shop.app.name))]);
    assert_eq!(shop.rotate().await["username"], json!(other));
}

#[tokio::test]
async fn parity_36_37_what_is_wrong_with_the_admin_or_with_current_is_told_apart() {
    for server in servers() {
        let shop = Shop::bare(&server, "app", &[]).await;
        let good = shop.stage.document(AWSCURRENT);
        let mut without = good.clone();
        without.as_object_mut().unwrap().remove("masterarn");
        shop.stage.put_current(&without);
        assert!(shop.refusal().await.contains("\"masterarn\""));
        let mut absent = good.clone();
        absent["masterarn"] = json!("absent");
        shop.stage.put_current(&absent);
        let error = shop.refusal().await;
        assert!(error.contains("absent") && error.contains("no AWSCURRENT value"), "{error}");
        shop.stage.put_current(&good);
        shop.arrange("ALTER USER $admin IDENTIFIED BY 'another-1!';").await;
        let error = shop.refusal().await;
        assert!(error.contains("the admin, user") && error.contains("1045"), "{error}");
        let password = &shop.admin.password;
        shop.arrange(&format!("ALTER USER $admin IDENTIFIED BY '{password}';")).await;
        // Current does not log in: nothing of the admin's is done.
        shop.arrange("ALTER USER $app IDENTIFIED BY 'recorded-nowhere-1!';").await;
        let error = shop.refusal().await;
        assert!(error.contains("logs in with what is recorded"), "{error}");
        assert_eq!(accounts(&server, &shop.clone_name()).await, 0);
    }
}

#[tokio::test]
async fn rule_08_an_admin_that_lacks_a_right_is_told_which_before_anything_is_stored() {
    for server in mysqls() {
        let shop = Shop::open(&server, &[]).await;
        shop.arrange("REVOKE CREATE USER, ROLE_ADMIN ON *.* FROM $admin;").await;
        let error = shop.refusal().await;
        assert!(shop.stage.try_text(AWSPENDING).is_none(), "nothing was stored");
        // The error is the way out.
        let begin = error.find("GRANT ").unwrap();
        let statements = &error[begin..];
        assert!(statements.contains("CREATE USER") && statements.contains("ROLE_ADMIN"), "{error}");
        server.arrange(&format!("{statements};")).await;
        shop.rotate().await;
        shop.assert_alike().await;
        // ADMIN OPTION for the first user, on each of its hosts, is as good.
        shop.arrange(
            "REVOKE ROLE_ADMIN ON *.* FROM $admin; GRANT $app TO $admin WITH ADMIN OPTION;",
        )
        .await;
        assert!(shop.refusal().await.contains("ROLE_ADMIN"));
        shop.arrange("GRANT $far TO $admin WITH ADMIN OPTION; DROP USER $clonefar;").await;
        shop.rotate().await;
        shop.rotate().await;
        shop.assert_alike().await;
        // For the second it is not.
        shop.arrange(
            "REVOKE $app, $far FROM $admin; GRANT $clone, $clonefar TO $admin WITH ADMIN OPTION;",
        )
        .await;
        let ended = shop.stage.step(Step::Create, &shop.stage.begin()).await;
        assert!(ended.error().contains("ROLE_ADMIN"), "{}", ended.error());
    }
}

#[tokio::test]
async fn rule_08_a_copying_admin_that_lacks_a_right_is_told_which_before_anything_changes() {
    if let Some(server) = mariadb() {
        let shop = Shop::open(&server, &[]).await;
        shop.arrange(
            "REVOKE PROCESS ON *.* FROM $admin; REVOKE PROXY ON $other FROM $admin;
             REVOKE $boss FROM $admin; REVOKE GRANT OPTION ON $archive.* FROM $admin;",
        )
        .await;
        let token = shop.stage.play(&[Step::Create]).await;
        let error = shop.stage.step(Step::Set, &token).await;
        assert_eq!(error.result.as_ref().unwrap_err().kind(), ErrorKind::Forbidden);
        let error = error.error();
        assert_eq!(accounts(&server, &shop.clone_name()).await, 0, "{error}");
        // The error is the way out.
        let begin = error.find("GRANT ").unwrap();
        let end = error.find(": nothing was changed").unwrap_or(error.len());
        let statements = error[begin..end].trim_end_matches("; nothing was changed");
        for part in ["PROCESS ON *.*", "PROXY ON", "WITH ADMIN OPTION", "WITH GRANT OPTION"] {
            assert!(statements.contains(part), "{part}: {error}");
        }
        server.arrange(&format!("{statements};")).await;
        for step in [Step::Set, Step::Test, Step::Finish] {
            shop.stage.step(step, &token).await.why();
        }
        shop.assert_alike().await;
    }
}

#[tokio::test]
async fn an_admin_that_may_not_look_is_told_so() {
    for server in servers() {
        let shop = Shop::bare(&server, "app", &[]).await;
        shop.arrange("REVOKE SELECT ON mysql.* FROM $admin;").await;
        let error = shop.refusal().await;
        assert!(error.contains("GRANT SELECT ON mysql.*"), "{error}");
        assert!(shop.stage.try_text(AWSPENDING).is_none());
    }
}
