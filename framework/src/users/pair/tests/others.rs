//! Users that are somebody else's, whoever knows a password of them or lists them.

use super::*;

/// Whoever may write another secret and knows the user's password, such as its application, would take it.
#[test]
fn rule_07_no_password_makes_another_secret_s_user_ours() {
    let settings = settings("", "");
    let pair = Pair::new(&settings, SECRET);
    for (on, partner) in [("app_clone", "web"), ("app_clone", ""), ("app", "app_clone")] {
        let mut accounts = accounts([("app", None), ("app_clone", None)]);
        accounts.entry(on.to_owned()).or_default().mark = mark(partner, "arn:another");
        for proof in [Proof::Pending, Proof::Older] {
            let install = Install {
                pair,
                target: "app_clone",
                source: "app",
                proof: Some(proof),
                refuse_open_sessions: false,
            };
            let error = install.authorize(&accounts).unwrap_err().to_string();
            assert!(error.contains("arn:another") && error.contains("remove"), "{error}");
        }
    }
}

/// ADOPT_USERS names a user and neither its partner nor the secret.
#[test]
fn rule_07_a_listed_user_is_adopted_by_whom_its_name_or_the_configuration_leads_to() {
    for (pairs, user, partner, ownership) in [
        ("", "report_clone", "report", Ownership::Adopted),
        ("", "report_clone", "mallory", Ownership::Unproven),
        ("", "report", "mallory", Ownership::Unproven),
        ("mallory=report", "report", "mallory", Ownership::Adopted),
        ("report=mallory", "report", "mallory", Ownership::Adopted),
        ("mallory=web", "report", "mallory", Ownership::Unproven),
        // Who lists both lets the second adopt the first.
        ("", "report", "report_clone", Ownership::Adopted),
    ] {
        let settings = settings(pairs, "report_clone, report");
        let accounts = accounts([(user, None), (partner, None)]);
        let found = Pair::new(&settings, SECRET).ownership(&accounts, user, partner).unwrap();
        assert_eq!(found, ownership, "{pairs} {user} {partner}");
    }
}
