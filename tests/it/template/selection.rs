//! Which functions a deployment makes: all, or those that are named.

use super::resolve::template;

/// The logical ids of a rotator's resources and outputs, without those of the others.
const NAMES: [(&str, &str); 7] = [
    ("postgres", "RotatePostgres"),
    ("mysql", "RotateMysql"),
    ("mongodb", "RotateMongodb"),
    ("sqlserver", "RotateSqlserver"),
    ("redis", "RotateRedis"),
    ("iam", "RotateIam"),
    ("api", "RotateApi"),
];

/// What the stack had before it could be chosen.
const BEFORE: [&str; 3] = ["postgres", "mysql", "api"];

/// Who never heard of the parameter has what was there before it.
#[test]
fn without_a_choice_every_function_is_made() {
    let Some(template) = template(&[]) else { return };
    let (resources, outputs) = (template.resources(), template.outputs());
    for (_, id) in NAMES.iter().filter(|(name, _)| BEFORE.contains(name)) {
        for part in ["", "Role", "Logs", "Permission", "Errors", "Slow"] {
            assert!(resources.contains_key(&format!("{id}{part}")), "{id}{part}");
        }
        for part in ["Arn", "RoleArn", "LogGroup"] {
            assert!(outputs.contains_key(&format!("{id}{part}")), "{id}{part}");
        }
    }
}

#[test]
fn a_function_that_is_not_named_leaves_nothing_behind() {
    for chosen in ["postgres", "mysql", "mongodb", "sqlserver", "redis", "iam", "api", "api,mysql"]
    {
        let Some(template) = template(&[("Rotators", chosen)]) else { return };
        let (resources, outputs) = (template.resources(), template.outputs());
        for (name, id) in NAMES {
            let named = chosen.split(',').any(|one| one == name);
            let has = |all: &serde_json::Map<_, _>| all.keys().any(|key| key.starts_with(id));
            assert_eq!((has(&resources), has(&outputs)), (named, named), "{id} of {chosen}");
        }
        // Nor is anything that is made about something that is not.
        let text = format!("{resources:?}{outputs:?}");
        for (_, id) in NAMES.iter().filter(|(name, _)| !chosen.contains(name)) {
            assert!(!text.contains(id), "{id} of {chosen}");
        }
        assert!(resources.contains_key("AlarmTopic"));
    }
}

#[test]
fn a_name_that_is_no_rotator_is_refused() {
    let Some(template) = template(&[]) else { return };
    // It must match the whole value. Source: AWS CloudFormation User Guide, "Parameters".
    let pattern = template.definition("Rotators")["AllowedPattern"].as_str().unwrap();
    // regex_lite has no look-ahead, which is there to refuse a comma at the end.
    let pattern = pattern.replace("(,(?!$)|$)", "(,|$)");
    let pattern = regex_lite::Regex::new(&format!("^(?:{pattern})$")).unwrap();
    for right in ["postgres", "mysql", "api", "api,postgres", "postgres,mysql,api"] {
        assert!(pattern.is_match(right), "{right} is refused");
    }
    for wrong in ["", "oracle", "postgresql", "postgres mysql", "postgres;mysql", "Postgres"] {
        assert!(!pattern.is_match(wrong), "{wrong:?} is taken");
    }
}
