use super::*;
use crate::config::Environment;
use crate::users::{Install, Proof};
use expect_test::expect;

mod others;

const SECRET: &str = "arn:aws:secretsmanager:us-east-1:111122223333:secret:app-AbCdEf";

fn settings(pairs: &str, adopted: &str) -> PairSettings {
    let environment = Environment::from([("USER_PAIRS", pairs), ("ADOPT_USERS", adopted)]);
    PairSettings::read(&environment).unwrap()
}

fn mark(partner: &str, secret: &str) -> Option<Mark> {
    Some(Mark { partner: partner.to_owned(), secret: secret.to_owned() })
}

/// Users and the partner that a mark of this secret names.
fn accounts<const N: usize>(users: [(&str, Option<&str>); N]) -> Accounts {
    let account = |partner: Option<&str>| Account {
        mark: partner.and_then(|partner| mark(partner, SECRET)),
        usable: true,
        ..Account::default()
    };
    users.into_iter().map(|(name, partner)| (name.to_owned(), account(partner))).collect()
}

#[test]
fn the_other_half_is_configured_or_marked_or_named_by_the_suffix() {
    let marked = accounts([("app", None), ("app_clone", Some("app")), ("blue", Some("green"))]);
    let unmarked = accounts([("app", None)]);
    for (configured, accounts, user, other) in [
        ("app=app_b", &unmarked, "app", "app_b"),
        ("app=app_b", &unmarked, "app_b", "app"),
        ("app=app_b", &marked, "app", "app_b"),
        ("", &marked, "app", "app_clone"),
        ("", &marked, "app_clone", "app"),
        ("", &marked, "blue", "green"),
        ("", &unmarked, "app", "app_clone"),
        // Gone, as after a restored snapshot.
        ("", &unmarked, "app_clone", "app"),
    ] {
        let settings = settings(configured, "");
        let pair = Pair::new(&settings, SECRET);
        assert_eq!(pair.other(accounts, user).unwrap(), other, "{configured} {user}");
    }
}

#[test]
fn a_claim_names_the_other_half_where_the_name_does_too_and_stops_what_acts_as_another() {
    let plain = settings("", "");
    let pair = Pair::new(&plain, SECRET);
    let mut accounts = accounts([("app", None), ("app_clone", None), ("app_b", None)]);
    accounts.get_mut("app_clone").unwrap().claim = mark("app", SECRET);
    assert_eq!(pair.other(&accounts, "app_clone").unwrap(), "app");
    let second = accounts.get_mut("app_b").unwrap();
    second.claim = mark("app", SECRET);
    assert_eq!(pair.other(&accounts, "app_b").unwrap(), "app_b_clone");
    accounts.get_mut("app_b").unwrap().acts_as.insert("app".to_owned());
    let error = pair.other(&accounts, "app_b").unwrap_err();
    assert!(error.to_string().contains("USER_PAIRS, as app_b=OTHER"), "{error}");
    let named = settings("app_b=app", "");
    assert_eq!(Pair::new(&named, SECRET).other(&accounts, "app_b").unwrap(), "app");
}

#[test]
fn beyond_02_a_user_whose_name_ends_in_the_suffix_is_not_taken_for_a_second_half() {
    let accounts = accounts([("x", None), ("x_clone", None)]);
    let plain = settings("", "");
    let error = Pair::new(&plain, SECRET).other(&accounts, "x_clone").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    expect![[r#"user "x_clone" is not known to be this secret's: its name ends in "_clone", which does not make it the other half of "x"; if it is, list it in ADOPT_USERS; if not, name its own other half in USER_PAIRS, as x_clone=OTHER"#]]
        .assert_eq(&error.to_string());
    let paired = settings("x_clone=x_blue", "");
    assert_eq!(Pair::new(&paired, SECRET).other(&accounts, "x_clone").unwrap(), "x_blue");
    let adopted = settings("", "x_clone");
    assert_eq!(Pair::new(&adopted, SECRET).other(&accounts, "x_clone").unwrap(), "x");
}

#[test]
fn rule_07_a_mark_alone_does_not_make_any_name_the_other_half() {
    let settings = settings("", "");
    let pair = Pair::new(&settings, SECRET);
    for accounts in [
        accounts([("app", None), ("aaa", Some("app"))]),
        accounts([("app", None), ("aaa", Some("app")), ("app_clone", Some("app"))]),
    ] {
        let error = pair.other(&accounts, "app").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        let text = error.to_string();
        assert!(text.contains("\"aaa\"") && text.contains("USER_PAIRS"), "{text}");
    }
    let paired = self::settings("app=aaa", "");
    let accounts = accounts([("app", None), ("aaa", Some("app"))]);
    assert_eq!(Pair::new(&paired, SECRET).other(&accounts, "app").unwrap(), "aaa");
}

#[test]
fn what_is_never_touched_is_no_model_either() {
    let settings = settings("", "");
    let mut accounts = accounts([("app", None), ("app_clone", Some("app"))]);
    accounts.entry("app".to_owned()).or_default().protected = Some("it is a superuser".into());
    let install = Install {
        pair: Pair::new(&settings, SECRET),
        target: "app_clone",
        source: "app",
        proof: None,
        refuse_open_sessions: false,
    };
    assert_eq!(install.authorize(&accounts).unwrap_err().kind(), ErrorKind::Unsupported);
}

#[test]
fn only_a_mark_of_this_secret_or_the_configuration_proves_a_user() {
    let another = mark("app", "arn:another");
    for (pairs, adopted, of_clone, of_app, ownership) in [
        ("", "", None, None, Ownership::Unproven),
        ("app=app_clone", "", None, None, Ownership::Unproven),
        ("", "app_clone", None, None, Ownership::Adopted),
        // Whoever adopts a second half adopts the first, not the other way round.
        ("", "app", None, None, Ownership::Unproven),
        ("", "", mark("app", SECRET), None, Ownership::Ours),
        ("", "", None, mark("app_clone", SECRET), Ownership::Ours),
        ("", "", another.clone(), None, Ownership::Anothers),
        ("", "app_clone", another, None, Ownership::Anothers),
        ("", "", mark("web", SECRET), None, Ownership::Unproven),
    ] {
        let settings = settings(pairs, adopted);
        let mut accounts = accounts([("app", None), ("app_clone", None)]);
        accounts.entry("app_clone".to_owned()).or_default().mark = of_clone;
        accounts.entry("app".to_owned()).or_default().mark = of_app;
        let pair = Pair::new(&settings, SECRET);
        assert_eq!(pair.ownership(&accounts, "app_clone", "app").unwrap(), ownership);
    }
    let settings = settings("", "app_clone");
    let accounts = accounts([("app", None), ("app_clone", None)]);
    let pair = Pair::new(&settings, SECRET);
    assert_eq!(pair.ownership(&accounts, "app", "app_clone").unwrap(), Ownership::Adopted);
    assert_eq!(pair.ownership(&accounts, "web", "app").unwrap(), Ownership::Absent);
}

/// A second secret names the second half of another's pair, which the function's configuration still
/// lists from when that one adopted it.
#[test]
fn rule_07_the_first_half_of_another_secret_s_pair_is_not_adopted_through_its_second() {
    for (pairs, adopted) in [("", "app_clone"), ("app=app_clone", "app"), ("", "app,app_clone")] {
        let settings = settings(pairs, adopted);
        let pair = Pair::new(&settings, SECRET);
        let mut accounts = accounts([("app", None), ("app_clone", None)]);
        accounts.entry("app_clone".to_owned()).or_default().mark = mark("app", "arn:another");
        assert_eq!(pair.ownership(&accounts, "app", "app_clone").unwrap(), Ownership::Anothers);
        let error = pair.not_ours(&accounts, "app", "app_clone").to_string();
        assert!(error.contains("user \"app_clone\", whose other half it is, carries"), "{error}");
        assert!(error.contains("arn:another"), "{error}");
        assert!(error.contains("remove that mark from \"app_clone\""), "{error}");
        assert!(error.contains("and list \"app_clone\" in ADOPT_USERS"), "{error}");
        // One that does not tell its partner may be the pair's.
        accounts.entry("app_clone".to_owned()).or_default().mark = mark("", "arn:another");
        assert_eq!(pair.ownership(&accounts, "app", "app_clone").unwrap(), Ownership::Anothers);
        // It says nothing of a third user, nor does what the second may have written itself.
        for (partner, claims) in [("web", false), ("app", true)] {
            let said = mark(partner, "arn:another");
            let second = accounts.entry("app_clone".to_owned()).or_default();
            (second.mark, second.claim) = if claims { (None, said) } else { (said, None) };
            let ownership = pair.ownership(&accounts, "app", "app_clone").unwrap();
            assert_eq!(ownership, Ownership::Adopted);
        }
    }
}

/// Why no mark is written on the first half, which stands before the pair and outlives it: it would speak
/// for whoever is made anew by the name of the second.
#[test]
fn rule_07_a_second_half_that_somebody_made_anew_is_not_taken_over() {
    let settings = settings("", "");
    let pair = Pair::new(&settings, SECRET);
    let anew = accounts([("app", None), ("app_clone", None)]);
    assert_eq!(pair.ownership(&anew, "app_clone", "app").unwrap(), Ownership::Unproven);
    let marked = accounts([("app", Some("app_clone")), ("app_clone", None)]);
    assert_eq!(pair.ownership(&marked, "app_clone", "app").unwrap(), Ownership::Ours);
}

#[test]
fn a_mark_of_another_secret_is_named_since_adopting_the_user_would_not_help() {
    let settings = settings("", "app_clone");
    let mut accounts = accounts([("app", None), ("app_clone", None)]);
    let pair = Pair::new(&settings, SECRET);
    let error = pair.not_ours(&accounts, "app_clone", "app").to_string();
    assert!(error.contains("no mark") && !error.contains("arn:another"), "{error}");
    accounts.entry("app_clone".to_owned()).or_default().mark = mark("app", "arn:another");
    let error = pair.not_ours(&accounts, "app_clone", "app").to_string();
    assert!(error.contains("it carries the mark of arn:another"), "{error}");
    assert!(error.contains("remove the mark") && error.contains("ADOPT_USERS"), "{error}");
    for page in ["postgres-admin", "mysql-alternating", "mongodb", "redshift"] {
        assert!(error.contains(&format!("docs/{page}.md")), "{page}: {error}");
    }
}

#[test]
fn where_the_first_half_has_another_secret_s_mark_the_second_is_to_be_listed() {
    let settings = settings("", "");
    let pair = Pair::new(&settings, SECRET);
    let mut accounts = accounts([("app", None), ("app_clone", None)]);
    accounts.entry("app".to_owned()).or_default().mark = mark("app_clone", "arn:another");
    let error = pair.not_ours(&accounts, "app_clone", "app").to_string();
    assert!(error.contains("remove that mark from \"app\""), "{error}");
    assert!(error.contains("and list \"app_clone\" in ADOPT_USERS"), "{error}");
}

#[test]
fn a_pair_that_two_secrets_marked_is_warned_about() {
    let settings = settings("", "");
    let pair = Pair::new(&settings, SECRET);
    let mut accounts = accounts([("app", None), ("app_clone", Some("app"))]);
    assert_eq!(pair.contradicted(&accounts, "app", "app_clone"), None);
    accounts.entry("app".to_owned()).or_default().mark = mark("app_clone", "arn:another");
    for (one, other) in [("app", "app_clone"), ("app_clone", "app")] {
        let told = pair.contradicted(&accounts, one, other).unwrap();
        assert!(told.contains("\"app\" carries the mark of arn:another"), "{told}");
    }
    // A pair that is not this secret's is refused, and not warned about.
    accounts.entry("app_clone".to_owned()).or_default().mark = None;
    assert_eq!(pair.contradicted(&accounts, "app", "app_clone"), None);
}

#[test]
fn what_is_barred_is_never_touched_even_if_it_is_ours() {
    let settings = settings("", "app_clone");
    let mut accounts = accounts([("app", None), ("app_clone", Some("app"))]);
    accounts.entry("app_clone".to_owned()).or_default().protected =
        Some("it is a superuser".into());
    let pair = Pair::new(&settings, SECRET);
    let error = pair.ownership(&accounts, "app_clone", "app").unwrap_err();
    assert_eq!(error.to_string(), "user \"app_clone\" is never changed: it is a superuser");
}

#[test]
fn a_user_that_does_not_log_in_with_its_password_is_refused_by_name() {
    let settings = settings("", "app_clone");
    let pair = Pair::new(&settings, SECRET);
    let (source, target) = ("app", "app_clone");
    let install = Install { pair, target, source, proof: None, refuse_open_sessions: false };
    for user in ["app", "app_clone"] {
        let mut accounts = accounts([("app", None), ("app_clone", Some("app"))]);
        assert!(install.authorize(&accounts).is_ok());
        accounts.entry(user.to_owned()).or_default().other_login = Some("it is in rds_iam".into());
        let error = install.authorize(&accounts).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        let said =
            format!("the password of user {user:?} is not what it logs in with: it is in rds_iam");
        assert_eq!(error.to_string(), said);
    }
}

#[test]
fn lists_that_cannot_be_read_are_refused_by_name() {
    for (variable, text) in [
        ("USER_PAIRS", "app"),
        ("USER_PAIRS", "app="),
        ("USER_PAIRS", "=app"),
        ("USER_PAIRS", "app=app"),
        ("USER_PAIRS", "app=b=c"),
        ("USER_PAIRS", "app=b,c=app"),
    ] {
        let error = PairSettings::read(&Environment::from([(variable, text)])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed);
        assert!(error.to_string().contains(variable), "{error}");
    }
    let read = settings(" app = app_b , web=web_b,", " one ,two");
    assert_eq!(read.pairs.len(), 2);
    assert_eq!(read.adopted, ["one", "two"]);
}

#[test]
fn a_mark_survives_a_comment_and_is_replaced_there() {
    let mark = Mark { partner: "a \"b\"\nc".into(), secret: SECRET.into() };
    let first = mark.in_comment(Some("ours\nsince 2019"));
    assert_eq!(Mark::of_comment(&first), Some(mark));
    let other = Mark { partner: "d".into(), secret: SECRET.into() };
    let second = other.in_comment(Some(&first));
    assert_eq!(Mark::of_comment(&second), Some(other));
    assert_eq!(second.lines().count(), 3);
    let twice = format!("{second}\n{second}");
    assert_eq!(Mark::of_comment(&twice), None, "which of the two counts is not known");
    assert_eq!(Mark::of_comment("fourstep: {"), None);
}

#[test]
fn the_first_of_two_is_said_by_the_server_then_by_the_configuration_then_by_the_name() {
    let both = || accounts([("app", None), ("app_clone", None)]);
    let acting = |user: &str, on: &str| {
        let mut accounts = both();
        accounts.entry(user.to_owned()).or_default().acts_as.insert(on.to_owned());
        accounts
    };
    let claimed = |user: &str, of: &str| {
        let mut accounts = accounts([("a", None), ("b", None)]);
        accounts.entry(user.to_owned()).or_default().claim = mark(of, SECRET);
        accounts
    };
    for (configured, accounts, users, first) in [
        ("", both(), ["app", "app_clone"], "app"),
        ("app_clone=app", both(), ["app", "app_clone"], "app_clone"),
        ("app_clone=app", acting("app_clone", "app"), ["app", "app_clone"], "app"),
        ("", acting("app", "app_clone"), ["app", "app_clone"], "app_clone"),
        // What is made anew takes its rights from the one that is there.
        ("", accounts([("app_clone", None)]), ["app", "app_clone"], "app_clone"),
        ("", accounts([("app_clone", Some("app"))]), ["app", "app_clone"], "app_clone"),
        ("", accounts([("a", None), ("b", Some("a"))]), ["a", "b"], "a"),
        ("", claimed("a", "b"), ["a", "b"], "b"),
    ] {
        let settings = settings(configured, "");
        let pair = Pair::new(&settings, SECRET);
        let [one, other] = users;
        assert_eq!(pair.first(&accounts, one, other), first, "{configured} {accounts:?}");
        assert_eq!(pair.first(&accounts, other, one), first, "{configured} {accounts:?}");
    }
}

#[test]
fn rule_18_a_claim_proves_nothing_without_a_recorded_password() {
    let settings = settings("", "");
    let pair = Pair::new(&settings, SECRET);
    let mut accounts = accounts([("mallory", None), ("ledger", None)]);
    accounts.entry("mallory".to_owned()).or_default().claim = mark("ledger", SECRET);
    // Nor does it name anybody.
    assert_eq!(pair.other(&accounts, "mallory").unwrap(), "mallory_clone");
    let install = |proof| Install {
        pair,
        target: "ledger",
        source: "mallory",
        proof,
        refuse_open_sessions: false,
    };
    let error = install(None).authorize(&accounts).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    for proof in [Proof::Pending, Proof::Older] {
        assert_eq!(install(Some(proof)).authorize(&accounts).unwrap(), Ownership::Adopted);
    }
    // Without the claim, a password from elsewhere is no proof.
    accounts.entry("mallory".to_owned()).or_default().claim = None;
    assert!(install(Some(Proof::Older)).authorize(&accounts).is_err());
    // Another secret's claim is asked for before anything else that is said of the user.
    accounts.entry("ledger".to_owned()).or_default().claim = mark("x", "arn:other");
    let adopting = self::settings("", "ledger");
    let ownership = Pair::new(&adopting, SECRET).ownership(&accounts, "ledger", "mallory");
    assert_eq!(ownership.unwrap(), Ownership::Anothers);
}
