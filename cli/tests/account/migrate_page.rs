//! The manual says of AWS's templates and variables what the command goes by.

use fourstep_cli::account::migrate::{Origin, TEMPLATES, Template, Told, VARIABLES};

const MANUAL: &str = include_str!("../../../docs/move-from-aws.md");
const PAGE: &str = include_str!("../../../docs/migrate.md");

/// The cells of the rows of a page's table whose head begins so.
fn table(page: &'static str, head: &str) -> Vec<Vec<&'static str>> {
    let lines = page.lines().skip_while(|line| !line.starts_with(head)).skip(2);
    let rows = lines.take_while(|line| line.starts_with('|'));
    rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

/// Whether a cell of the manual names a template, written out or as `...MariaDB...SingleUser`.
fn names(cell: &str, template: &Template) -> bool {
    cell.split(['`', ',', ' ']).filter(|word| !word.is_empty()).any(|word| {
        let mut rest = template.name;
        let whole = word.split("...").all(|part| {
            let found = rest.find(part).map(|at| at + part.len());
            rest = found.map_or("", |at| &rest[at..]);
            found.is_some()
        });
        whole && rest.is_empty() && word.len() > 12
    })
}

#[test]
fn the_manual_has_the_same_table_of_templates() {
    let rows = table(MANUAL, "| AWS's template | function |");
    let mut seen = 0;
    for template in &TEMPLATES {
        let row: Vec<_> = rows.iter().filter(|row| names(row[0], template)).collect();
        let Some(program) = template.program else {
            assert!(row.is_empty(), "{}", template.name);
            continue;
        };
        let [row] = row[..] else { panic!("{}: {} rows", template.name, row.len()) };
        seen += 1;
        assert_eq!(row[1], format!("`{program}`"), "{}", template.name);
        let mut needs: Vec<_> = template.parameters.iter().map(|one| format!("`{one}`")).collect();
        let strategy = template.strategy().unwrap();
        if strategy != program.default_strategy() {
            needs.push(format!("`{}={strategy}`", program.strategy_parameter()));
        }
        for need in &needs {
            assert!(row[2].contains(need.as_str()), "{}: {need}: {}", template.name, row[2]);
        }
        assert_eq!(row[2].contains("RotationStrategy="), template.pair, "{}", template.name);
        assert_eq!(row[2].contains("AdminSecretArns"), template.pair, "{}", template.name);
    }
    let templates = |row: &Vec<&str>| TEMPLATES.iter().filter(|one| names(row[0], one)).count();
    assert_eq!(rows.iter().map(templates).sum::<usize>(), seen);
    assert!(rows.iter().all(|row| templates(row) > 0), "a row that the command does not know");
}

#[test]
fn the_page_has_the_same_table_of_variables() {
    let rows = table(PAGE, "| variable of AWS's function |");
    let page: Vec<_> = rows.iter().map(|row| (row[0].to_owned(), row[1].to_owned())).collect();
    let code = VARIABLES.iter();
    let code: Vec<_> =
        code.map(|one| (format!("`{}`", one.name), format!("`{}`", one.parameter))).collect();
    assert_eq!(page, code);
}

#[test]
fn a_function_is_told_by_its_tag_its_name_or_its_description_in_this_order() {
    let postgres = "Rotates a Secrets Manager secret for Amazon RDS PostgreSQL credentials using the \
                    single user rotation strategy.";
    for (engine, users, name) in [
        ("Amazon RDS PostgreSQL", "single user", "SecretsManagerRDSPostgreSQLRotationSingleUser"),
        ("Amazon RDS MariaDB", "alternating users", "SecretsManagerRDSMariaDBRotationMultiUser"),
        ("Amazon RDS oracle", "single user", "SecretsManagerRDSOracleRotationSingleUser"),
        ("Amazon RDS SQL Server", "multi user", "SecretsManagerRDSSQLServerRotationMultiUser"),
        ("Amazon DocumentDB", "single user", "SecretsManagerMongoDBRotationSingleUser"),
        ("Amazon Redshift", "alternating users", "SecretsManagerRedshiftRotationMultiUser"),
    ] {
        let text = format!(
            "Rotates a Secrets Manager secret for {engine} credentials using the {users} rotation strategy."
        );
        assert_eq!(Template::described(&text).map(|one| one.name), Some(name), "{text}");
        assert_eq!(Template::called(name).map(|one| one.name), Some(name));
        let within = format!("stack-{}-x1", name.to_ascii_lowercase());
        assert_eq!(Template::within(&within).map(|one| one.name), Some(name));
    }
    for none in ["", "rotates", "Rotates a Secrets Manager secret for x credentials using the y"] {
        assert_eq!(Template::described(none), None, "{none}");
    }
    let mut function = fourstep_cli::account::aws::Function {
        templated: true,
        name: "x-SecretsManagerRDSMySQLRotationMultiUser".to_owned(),
        description: postgres.to_owned(),
        ..Default::default()
    };
    let told = |function: &_, tag: Option<&str>| match Origin::of(function, tag) {
        Origin::Of(template, told) => (template.engine, template.pair, told),
        other => panic!("{other:?}"),
    };
    let tag =
        "arn:aws:serverlessrepo:us-east-1:1:applications/SecretsManagerMongoDBRotationMultiUser";
    assert_eq!(told(&function, Some(tag)), ("MongoDB", true, Told::Tag));
    assert_eq!(Origin::of(&function, Some("another")), Origin::Unclear, "two different words");
    function.description = "mine".to_owned();
    assert_eq!(told(&function, Some("another")), ("MySQL", true, Told::Name));
    function.description = postgres.to_owned();
    function.name = "mine".to_owned();
    assert_eq!(told(&function, None), ("PostgreSQL", false, Told::Description));
    function.description.clear();
    assert_eq!(Origin::of(&function, None), Origin::Another);
    function.variables.insert("SECRETS_MANAGER_ENDPOINT".to_owned(), "https://x".to_owned());
    assert_eq!(Origin::of(&function, None), Origin::Unclear);
    function.templated = false;
    assert_eq!(Origin::of(&function, Some(tag)), Origin::Another);
}
