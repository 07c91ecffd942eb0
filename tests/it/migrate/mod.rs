//! `fourstep migrate` on a fleet at real PostgreSQL and MySQL: the functions are the real binaries, each
//! step a new process, and AWS's templates do what their testSecret does, which is to log in. Nobody's
//! password changes, no login is refused, and everything is as before after `--back`. By hand, AWS's own
//! code does it too: `own`.

mod fleet;
mod own;

use std::collections::BTreeMap;
use std::path::Path;

use fourstep::SecretId;
use fourstep_local::RotationRules;
use serde_json::{Value, json};

use crate::support::host::{self, Host, Old, arn};
use crate::support::logs::Logs;
use crate::support::{mysql, postgres};

const SINGLE: &str = "SecretsManagerRDSPostgreSQLRotationSingleUser";
const MULTI: &str = "SecretsManagerRDSPostgreSQLRotationMultiUser";
const MYSQL: &str = "SecretsManagerRDSMySQLRotationSingleUser";

/// A pair as AWS's template makes it, and the admin that its secret names.
struct Pair {
    user: postgres::User,
    clone: String,
}

async fn pair(server: &postgres::Server, host: &Host, name: &str) -> Pair {
    let (user, admin) = (server.user("moved").await, server.user("admin").await);
    let clone = format!("{}_clone", user.name);
    let (app, by) = (&user.name, &admin.name);
    let only = match server.version().await {
        16.. => "WITH ADMIN TRUE, INHERIT FALSE, SET FALSE",
        _ => "WITH ADMIN OPTION",
    };
    let sql = format!(
        "CREATE ROLE \"{clone}\" LOGIN PASSWORD 'canary-of-the-clone'; GRANT \"{app}\" TO \"{clone}\";
         ALTER ROLE \"{by}\" CREATEROLE; GRANT \"{app}\", \"{clone}\" TO \"{by}\" {only}"
    );
    server.arrange_quietly(&sql).await;
    let master = format!("{name}/admin");
    host.secret(&master, &server.document(&admin), None);
    let mut document = server.document(&user);
    document["masterarn"] = json!(master);
    host.secret(name, &document, Some((MULTI, host::cron())));
    Pair { user, clone }
}

/// The lines of a run with `--json` that are about a secret, by its name or the name in its ARN.
fn about<'a>(lines: &'a [Value], name: &str) -> Vec<&'a Value> {
    let part = format!(":secret:{name}-");
    lines.iter().filter(|line| line["secret"].as_str().unwrap().contains(&part)).collect()
}

/// Labels, function, rules and value of each secret.
fn portrait(host: &Host, names: &[&str]) -> BTreeMap<String, Value> {
    let each = names.iter().map(|name| {
        let detail = host.store().describe(&SecretId::parse(name).unwrap()).unwrap();
        let rules = detail.rotation_rules.unwrap();
        let labels: Vec<_> = detail
            .labels
            .iter()
            .map(|(version, labels)| json!([version.as_str(), labels]))
            .collect();
        let seen = json!({
            "labels": labels, "function": detail.rotation_lambda_arn, "on": detail.rotation_enabled,
            "rules": [rules.automatically_after_days, rules.schedule_expression, rules.duration],
            "value": host.value(name), "last": detail.last_rotated.is_some(),
        });
        ((*name).to_owned(), seen)
    });
    each.collect()
}

fn moved(lines: &[Value], name: &str) -> String {
    let about = about(lines, name);
    about.last().unwrap_or_else(|| panic!("{name}: {lines:#?}"))["outcome"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_of_awss_templates_is_moved_and_put_back_without_a_refused_login() {
    let Some(server) = postgres::server() else { return };
    let Some(sql) = mysql::mysql() else { return };
    let host = Host::start().await;
    let (one, two) = (server.user("moved").await, sql.user("moved").await);
    host.secret("fleet/one", &server.document(&one), Some((SINGLE, host::days(30))));
    let adopted = pair(&server, &host, "fleet/pair").await;
    host.secret("fleet/sql", &sql.document(&two), Some((MYSQL, host::days(7))));
    // Listed by age: what cannot be moved ends the run.
    let stranger = pair(&server, &host, "fleet/stranger").await;
    for (name, server) in [
        (SINGLE, Old::Postgres(server.clone())),
        (MULTI, Old::Postgres(server.clone())),
        (MYSQL, Old::Mysql(sql.clone())),
    ] {
        host.template(name, server);
    }
    let strategies = [("ROTATION_STRATEGY", "single-user,alternating-users")];
    let adopt = [("ADOPT_USERS", adopted.clone.as_str())];
    host.ours("fourstep-postgres", "rotate-postgres", &[strategies, adopt].concat());
    let trust = sql.variables();
    let trust: Vec<_> = trust.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    host.ours("fourstep-mysql", "rotate-mysql", &trust);
    for name in ["fleet/pair", "fleet/stranger"] {
        host.tag(name, "fourstep:strategy", "alternating-users");
    }

    let names = ["fleet/one", "fleet/pair", "fleet/sql", "fleet/stranger"];
    let before = portrait(&host, &names);
    let verifiers = [server.verifier(&one).await, server.verifier(&adopted.user).await];
    let kept = sql.kept(&two).await;
    let logs = Logs::from_now([
        server.log_path(),
        sql.file("error.log").into(),
        sql.file("general.log").into(),
    ]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("moves.json");
    let functions = ["--function", "fourstep-postgres", "--function", "fourstep-mysql"];
    let run = |more: &[&str]| {
        [&["migrate", "--json"], &functions[..], more]
            .concat()
            .iter()
            .map(|one| one.to_string())
            .collect::<Vec<_>>()
    };

    // Functions that may read every secret are asked before anything is changed.
    host.reads_everything(true);
    let (lines, _) = host.fourstep(&run(&[])).await;
    let ready: Vec<_> = names.iter().map(|name| about(&lines, name)[0]["ready"] == true).collect();
    assert_eq!(ready, [true, true, true, false], "{lines:#?}");
    let why = about(&lines, "fleet/stranger")[0]["obstacles"].to_string();
    assert!(why.contains("ADOPT_USERS") && why.contains(&stranger.clone), "{why}");
    assert!(names[..3].iter().all(|name| about(&lines, name)[0]["asked"] == true), "{lines:#?}");
    assert_eq!(portrait(&host, &names), before, "a look changed something");

    // With the roles of this project the test at the move says it.
    host.reads_everything(false);
    let all = run(&["--move", "--yes", "--file", path(&file)]);
    let (lines, code) = host.fourstep(&all).await;
    assert_eq!(code, Some(1), "{lines:#?}");
    let ended: Vec<_> = names.iter().map(|name| moved(&lines, name)).collect();
    assert_eq!(ended, ["moved", "moved", "moved", "not moved"], "{lines:#?}");
    let why = about(&lines, "fleet/stranger").last().unwrap()["text"].to_string();
    assert!(why.contains("ADOPT_USERS"), "{why}");
    let now = portrait(&host, &names);
    for (name, function) in [("fleet/one", "fourstep-postgres"), ("fleet/sql", "fourstep-mysql")] {
        let mut then = before[name].clone();
        then["function"] = arn(function).into();
        assert_eq!(now[name], then);
    }
    assert_eq!(now["fleet/stranger"], before["fleet/stranger"]);

    let back = ["migrate", "--json", "--yes", "--back", path(&file)].map(str::to_owned);
    let (lines, code) = host.fourstep(&back).await;
    assert_eq!(code, Some(0), "{lines:#?}");
    assert_eq!(portrait(&host, &names), before);
    assert_eq!([server.verifier(&one).await, server.verifier(&adopted.user).await], verifiers);
    assert_eq!(sql.kept(&two).await, kept);
    assert_eq!(host.rotations(), 0);
    let users = [
        &one.name,
        &two.name,
        &adopted.user.name,
        &adopted.clone,
        &stranger.user.name,
        &stranger.clone,
    ];
    let said = logs.read();
    assert_eq!(refused(&said, &users), Vec::<&str>::new());
    assert!(users[..2].iter().all(|user| said.contains(user.as_str())), "nobody logged in");
}

/// What servers logged of refused logins of these users.
fn refused<'a, U: AsRef<str>>(said: &'a str, users: &[U]) -> Vec<&'a str> {
    let words = ["authentication failed", "Access denied"];
    let about = |line: &&str| {
        let refused = words.iter().any(|word| line.contains(word));
        refused && users.iter().any(|user| line.contains(user.as_ref()))
    };
    said.lines().filter(about).collect()
}

fn path(file: &Path) -> &str {
    file.to_str().unwrap()
}

/// What a moved secret does next, with its own schedule: it rotates.
#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_was_moved_rotates_by_the_new_function() {
    let Some(server) = postgres::server() else { return };
    let host = Host::start().await;
    let user = server.user("moved").await;
    let rules = RotationRules { automatically_after_days: Some(1), ..RotationRules::default() };
    host.secret("fleet/one", &server.document(&user), Some((SINGLE, rules)));
    host.template(SINGLE, Old::Postgres(server.clone()));
    host.ours("fourstep-postgres", "rotate-postgres", &[]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("moves.json");
    let run = [
        "migrate",
        "--json",
        "--function",
        "fourstep-postgres",
        "--wave",
        "1",
        "--yes",
        "--file",
        path(&file),
    ];
    let (lines, code) = host.fourstep(&run.map(str::to_owned)).await;
    assert_eq!(code, Some(0), "{lines:#?}");
    host.rotate("fleet/one").await;
    let value: Value = serde_json::from_str(&host.value("fleet/one")).unwrap();
    assert_ne!(value["password"], user.password.as_str());
    assert!(server.logs_in(&user.name, value["password"].as_str().unwrap()).await);
    // AWS's function takes it back as it is now.
    let back = ["migrate", "--json", "--yes", "--back", path(&file)].map(str::to_owned);
    let (lines, code) = host.fourstep(&back).await;
    assert_eq!(code, Some(0), "{lines:#?}");
    let detail = host.store().describe(&SecretId::parse("fleet/one").unwrap()).unwrap();
    assert_eq!(detail.rotation_lambda_arn, Some(arn(SINGLE)));
}
