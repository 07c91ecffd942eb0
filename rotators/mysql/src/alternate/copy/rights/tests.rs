use super::*;
use expect_test::expect;
use proptest::prelude::*;

fn shown(lines: &[&str]) -> String {
    let mut text = String::new();
    for line in lines {
        match parse(line) {
            None => text.push_str("not understood\n"),
            Some(rights) if rights.is_empty() => text.push_str("nothing\n"),
            Some(rights) => {
                for right in rights {
                    text.push_str(&format!("{right:?}\n"));
                }
            }
        }
    }
    text
}

#[test]
fn lines_of_mariadb_are_understood() {
    // As 10.11.19 wrote them.
    let text = shown(&[
        "GRANT USAGE ON *.* TO `s1`@`%`",
        "GRANT SELECT, CREATE USER ON *.* TO `s1`@`%` WITH GRANT OPTION",
        "GRANT ALL PRIVILEGES ON `x\\_y`.* TO `s1`@`%`",
        "GRANT USAGE ON `a TO b`.* TO `s2`@`%` WITH GRANT OPTION",
        "GRANT SELECT, SELECT (`c TO d`, `e`), UPDATE (`e`) ON `a TO b`.`t``1` TO `s2`@`%`",
        "GRANT EXECUTE, ALTER ROUTINE ON PROCEDURE `x_y`.`p\"'q` TO `s1`@`%`",
        "GRANT EXECUTE ON PACKAGE BODY `x_y`.`p` TO `s1`@`%`",
        "GRANT PROXY ON ``@`%` TO `s1`@`%` WITH GRANT OPTION",
        "GRANT `r1`@`%`,`r2`@`%` TO `s1`@`%`",
        "GRANT `r1` TO `s1`@`%` WITH ADMIN OPTION",
        "GRANT INSERT ON *.* TO `s1`@`%` IDENTIFIED BY PASSWORD '*69' REQUIRE ISSUER 'WITH GRANT \
         OPTION' SUBJECT 'it''s \\\\ \"x\"' WITH GRANT OPTION MAX_STATEMENT_TIME 1.500000",
        "GRANT INSERT ON *.* TO `s1`@`%` REQUIRE ISSUER 'WITH GRANT OPTION' WITH MAX_QUERIES_PER_HOUR 5",
        "SET DEFAULT ROLE `r1` FOR `s1`@`%`",
        "GRANT CREATE USER, READ_ONLY ADMIN ON *.* TO `s1`@`%` WITH GRANT OPTION",
    ]);
    expect![[r#"
        nothing
        Held { on: Server, name: "SELECT", column: None }
        Held { on: Server, name: "CREATE USER", column: None }
        Held { on: Server, name: "GRANT OPTION", column: None }
        Held { on: Schema("x\\_y"), name: "ALL PRIVILEGES", column: None }
        Held { on: Schema("a TO b"), name: "GRANT OPTION", column: None }
        Held { on: Table("a TO b", "t`1"), name: "SELECT", column: None }
        Held { on: Table("a TO b", "t`1"), name: "SELECT", column: Some("c TO d") }
        Held { on: Table("a TO b", "t`1"), name: "SELECT", column: Some("e") }
        Held { on: Table("a TO b", "t`1"), name: "UPDATE", column: Some("e") }
        Held { on: Routine("PROCEDURE", "x_y", "p\"'q"), name: "EXECUTE", column: None }
        Held { on: Routine("PROCEDURE", "x_y", "p\"'q"), name: "ALTER ROUTINE", column: None }
        Held { on: Routine("PACKAGE BODY", "x_y", "p"), name: "EXECUTE", column: None }
        Proxy { of: AccountName { user: "", host: Some("%") }, option: false }
        Proxy { of: AccountName { user: "", host: Some("%") }, option: true }
        Role { role: AccountName { user: "r1", host: Some("%") }, option: false }
        Role { role: AccountName { user: "r2", host: Some("%") }, option: false }
        Role { role: AccountName { user: "r1", host: None }, option: false }
        Role { role: AccountName { user: "r1", host: None }, option: true }
        Held { on: Server, name: "INSERT", column: None }
        Held { on: Server, name: "GRANT OPTION", column: None }
        Held { on: Server, name: "INSERT", column: None }
        nothing
        Held { on: Server, name: "CREATE USER", column: None }
        Held { on: Server, name: "READ_ONLY ADMIN", column: None }
        Held { on: Server, name: "GRANT OPTION", column: None }
    "#]]
    .assert_eq(&text);
}

#[test]
fn what_is_not_understood_is_refused() {
    for line in [
        "",
        "GRANT",
        "GRANT SELECT",
        "GRANT SELECT ON app.* TO `s1`@`%`",
        "GRANT SELECT ON \"app\".* TO `s1`@`%`",
        "GRANT SELECT ON `app` TO `s1`@`%`",
        "GRANT SELECT (a) ON `app`.`t` TO `s1`@`%`",
        "GRANT SELECT ON PROCEDURE `app`.* TO `s1`@`%`",
        "GRANT SELECT FOR `app`.* TO `s1`@`%`",
        "REVOKE SELECT ON *.* FROM `s1`@`%`",
        "REVOKE SELECT ON `app`.* TO `s1`@`%`",
        "GRANT `r1`@`%` `r2`@`%` TO `s1`@`%`",
        "DENY SELECT ON *.* TO `s1`@`%`",
        "SET `r1` FOR `s1`@`%`",
        // A part of each would be lost, or be said otherwise.
        "GRANT SELECT (`c`) ON *.* TO `s1`@`%`",
        "GRANT SELECT (`c`) ON `app`.* TO `s1`@`%`",
        "GRANT GRANT OPTION (`c`) ON `app`.`t` TO `s1`@`%`",
        "GRANT SELECT, PROXY ON `app`.`t` TO `s1`@`%`",
        // Names of privileges stand in statements without quotes.
        "GRANT select ON *.* TO `s1`@`%`",
        "GRANT SELÉCT ON *.* TO `s1`@`%`",
        "GRANT EXECUTE ON procedure `app`.`p` TO `s1`@`%`",
    ] {
        assert_eq!(parse(line), None, "{line}");
    }
}

#[test]
fn a_line_that_would_become_very_much_is_refused() {
    let long = "x".repeat(256);
    assert_eq!(parse(&format!("GRANT SELECT ON `{long}`.* TO `s1`@`%`")), None);
    let words = vec!["A"; 40].join(" ");
    assert_eq!(parse(&format!("GRANT {words} ON *.* TO `s1`@`%`")), None);
    let name = "x".repeat(255);
    let line = |count| {
        let names = vec!["A"; count].join(",");
        format!("GRANT {names} ON `{name}`.`{name}` TO `s1`@`%`")
    };
    assert!(parse(&line(1_000)).is_some());
    assert_eq!(parse(&line(400_000)), None);
    assert_eq!(parse(&line(600_000)), None);
    let lines = vec![line(20_000); 10];
    let error = read(lines.iter().map(String::as_str)).unwrap_err().to_string();
    assert!(
        error.contains("more than 32 MB of rights") && error.contains("whole schemas"),
        "{error}"
    );
    assert!(read(lines.iter().take(1).map(String::as_str)).is_ok());
    assert!(read(["GRANT"]).unwrap_err().to_string().contains("is not understood"));
}

/// A name as a server quotes it.
fn quote(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

proptest! {
    #[test]
    fn any_name_is_the_same_behind_the_parser(
        schema in "\\PC{1,12}",
        table in "[` TOFRMWIHGAN()'\".,*@%\\\\]{1,24}",
        column in "\\PC{1,12}",
        user in "[` TOFRMWIHGAN()'\".,*@%\\\\]{1,24}",
        option in any::<bool>(),
    ) {
        let [schema, table, column, user] = [schema, table, column, user];
        let line = format!(
            "GRANT SELECT ({}) ON {}.{} TO {}@`%`{}",
            quote(&column), quote(&schema), quote(&table), quote(&user),
            if option { " WITH GRANT OPTION" } else { "" },
        );
        let on = Object::Table(schema, table);
        let mut expected =
            vec![Right::Held { on: on.clone(), name: "SELECT".into(), column: Some(column) }];
        if option {
            expected.push(Right::Held { on, name: GRANT_OPTION.into(), column: None });
        }
        prop_assert_eq!(parse(&line), Some(expected));
    }

    #[test]
    fn no_line_is_a_panic(line in "(GRANT|REVOKE|ON|TO|FROM|WITH|OPTION|[`'.,*@() a])*") {
        let _ = parse(&line);
    }
}
