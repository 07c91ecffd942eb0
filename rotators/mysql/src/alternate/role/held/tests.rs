use super::*;

/// What one account may do: lines of a kind, three names and privileges, with `|` between them.
fn held(lines: &[&str]) -> Held {
    let mut held = Held::default();
    for line in lines {
        let cells: Vec<_> = ["u", "%"].into_iter().chain(line.split('|')).collect();
        let cells: [&str; 7] = cells.try_into().unwrap();
        held.take(cells.map(str::to_owned)).unwrap();
    }
    held
}

fn lacking(first: &[&[&str]], second: &[&str]) -> Vec<String> {
    let first: Vec<_> = first.iter().map(|lines| held(lines)).collect();
    Together::of(first.iter()).lack(&held(second)).map(shown).collect()
}

#[test]
fn a_right_is_had_at_a_broader_level_too() {
    for (first, second) in [
        ("||||Select,Grant", "schema|a|||Select,Grant"),
        ("||||Select", "column|a|t|c|Select"),
        ("schema|a|||Execute", "PROCEDURE|a|p||Execute"),
        ("schema|a%|||Select", "table|abc|t||Select"),
        ("schema|a%|||Select", "schema|abc|||Select"),
        ("schema|a\\_b|||Select", "table|a_b|t||Select"),
        ("schema|a\\_b|||Select", "schema|a\\_b|||Select"),
        ("table|a|t||Select,Create View", "column|a|t|c|Select"),
        ("||||BACKUP_ADMIN,BACKUP_ADMIN WITH GRANT OPTION", "||||BACKUP_ADMIN"),
    ] {
        assert!(lacking(&[&[first]], &[second]).is_empty(), "{first} for {second}");
        assert!(!lacking(&[&[second]], &[first]).is_empty() || first == second, "{second}");
    }
    let roles: &[&[&str]] = &[&["||||"], &["table|a|t||Select"]];
    assert!(lacking(roles, &["column|a|t|c|Select"]).is_empty(), "by a role");
}

#[test]
fn what_one_has_beside_the_other_is_named() {
    let first: &[&[&str]] = &[&[
        "||||Select,Insert",
        "denied||||[{\"Database\": \"s\", \"Privileges\": [\"INSERT\"]}]",
    ]];
    let second = [
        "||||Insert,Reload,BACKUP_ADMIN WITH GRANT OPTION",
        "schema|x|||Insert,Update",
        "table|s|t||Insert,Select",
        "column|s|t|c`|Update",
        "FUNCTION|s|f||Execute,Grant",
    ];
    expect_test::expect![[r#"
        BACKUP_ADMIN WITH GRANT OPTION on *.*
        INSERT on *.*
        RELOAD on *.*
        UPDATE on `x`.*
        INSERT on `s`.`t`
        UPDATE on `c``` of `s`.`t`
        EXECUTE on function `s`.`f`
        GRANT OPTION on function `s`.`f`"#]]
    .assert_eq(&lacking(first, &second).join("\n"));
    let both = ["||||Insert", "denied||||[{\"Database\": \"s\", \"Privileges\": [\"INSERT\"]}]"];
    assert!(lacking(first, &both).is_empty(), "denied to both");
}

#[test]
fn what_is_not_understood_is_refused() {
    let row = ["u", "%", "denied", "", "", "", "{}"].map(str::to_owned);
    assert_eq!(Held::default().take(row), None);
}
