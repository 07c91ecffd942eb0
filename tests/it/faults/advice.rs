//! Advice is code: every way out that a fault's message prints as a statement, a command or a setting
//! is followed literally in the state in which it was printed. The next rotation succeeds by it alone,
//! and nothing else about who may log in how, or act as whom, has changed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use fourstep_local::serve;
use tokio::process::Command;

use super::ahead::Ahead;
use super::case::{Case, Row};
use super::site::Site;

/// Something that a message says to do, as it stands there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remedy {
    /// To be run at the server.
    Sql(String),
    /// To be run in a shell.
    Command(String),
    /// A variable of the function, and its value. `OTHER` in it is for the operator to choose.
    Setting(&'static str, String),
}

/// What introduces a statement, and what is to be added to it.
const STATEMENTS: [(&str, &str); 3] =
    [("have this run: ", ""), ("run this with CASCADE: ", " CASCADE"), ("ends it with ", "")];

/// Where a statement ends, if not at the message's end.
const BEHIND: [&str; 5] =
    [": error ", ": SQLSTATE ", ": nothing was changed", "; retry", "; wait "];

/// All that a message says can be done.
pub fn remedies(message: &str) -> Vec<Remedy> {
    let mut all = Vec::new();
    for (before, added) in STATEMENTS {
        if let Some((_, rest)) = message.split_once(before) {
            let end = BEHIND.iter().filter_map(|end| rest.find(end)).min();
            all.push(Remedy::Sql(format!("{}{added}", &rest[..end.unwrap_or(rest.len())])));
        }
    }
    if let Some((_, rest)) = message.split_once("`aws ") {
        all.push(Remedy::Command(format!("aws {}", rest.split('`').next().unwrap())));
    }
    let subject = message.split('"').nth(1).unwrap_or_default();
    for list in ["ADOPT_USERS", "DROP_EXTRA_RIGHTS", "REPAIR_USERS"] {
        let Some((before, _)) = message.split_once(&format!(" in {list}")) else { continue };
        let listed = before.rsplit("list ").next().unwrap();
        let named = listed.strip_prefix('"').and_then(|name| name.strip_suffix('"'));
        all.push(Remedy::Setting(list, named.unwrap_or(subject).to_owned()));
    }
    for map in ["USER_PAIRS", "SAME_DATABASE_HOSTS"] {
        if let Some((_, rest)) = message.split_once(&format!("in {map}, as ")) {
            let value = rest.split([';', ' ']).next().unwrap();
            all.push(Remedy::Setting(map, value.to_owned()));
        }
    }
    if message.contains("(ROTATION_STRATEGY=single-user)") {
        all.push(Remedy::Setting("ROTATION_STRATEGY", "single-user".to_owned()));
    }
    if message.contains("or set ALLOW_WEAK_AUTHENTICATION") {
        all.push(Remedy::Setting("ALLOW_WEAK_AUTHENTICATION", "true".to_owned()));
    }
    if let Some((_, rest)) = message.split_once(" but for ")
        && let Some((carried, _)) = rest.split_once(
            "; write a name it carries into the secret's \"host\", or set TLS_SERVER_NAME",
        )
    {
        all.push(Remedy::Setting("TLS_SERVER_NAME", carried.to_owned()));
    }
    all
}

/// A name that nobody has, short enough for every limit that a fault sets.
fn short_name() -> String {
    static NAMES: AtomicU32 = AtomicU32::new(0);
    format!("o{:04x}{}", std::process::id() & 0xffff, NAMES.fetch_add(1, Ordering::Relaxed))
}

/// How the rotation went that followed a way out.
#[derive(Debug)]
pub enum Led {
    /// It succeeded.
    Out,
    /// It met the next obstacle, which says something else.
    Further(String),
}

/// Where a way out leads to another obstacle, and why.
const FURTHER: [(&str, &str); 3] = [
    ("an admin of another host", NOT_SO),
    ("an admin of another port", NOT_SO),
    (
        "a stranger's role under the second user's name",
        "from PostgreSQL 16 on the admin needs a right on it besides, which is said next",
    ),
];

const NOT_SO: &str = "it is said to be for one database of two names, which it is not here";

/// Where a way out is not followed, and why.
const NOT_FOLLOWED: [(&str, &str); 1] = [(
    "a hostile server that asks for the password in cleartext",
    "it would be given the password, as the setting's page says",
)];

/// Where a preflight does not say the way out, and why.
const NOT_AHEAD: [(&str, &str); 1] = [(
    "a user whose password is lost",
    "it tries AWSCURRENT alone, and says to have others tried first",
)];

impl<S: Site> Case<S> {
    /// Follows the way out whose turn it is, if there are so many, and rotates. What a play does on
    /// its own to have the fault gone is done only where that did not lead out. What a preflight had
    /// said to do must be that too; whatever it says besides is followed in the same way.
    pub async fn follow_what_was_said(&mut self, message: &str, said_ahead: Vec<Remedy>) {
        let choice = self.ground.choice.load(Ordering::Relaxed);
        let row = self.row.as_mut().unwrap();
        if NOT_FOLLOWED.iter().any(|(name, _)| *name == row.name) {
            return;
        }
        let mut remedies = remedies(message);
        let known = NOT_AHEAD.iter().any(|(name, _)| *name == row.name);
        assert!(
            known
                || row.ahead != Ahead::Refused
                || remedies.iter().all(|one| said_ahead.contains(one)),
            "{}: of {remedies:?} a preflight says {said_ahead:?}",
            row.name
        );
        let only_ahead = said_ahead.into_iter().filter(|said| !remedies.contains(said));
        remedies.extend(only_ahead.collect::<Vec<_>>());
        row.ways = remedies.len();
        let Some(remedy) = remedies.get(choice) else { return };
        self.follow_literally(remedy).await;
        let led = match self.rotate_again().await {
            Ok(()) => Led::Out,
            Err(error) => Led::Further(self.masked(&error)),
        };
        self.followed = matches!(led, Led::Out);
        self.row.as_mut().unwrap().led.push((remedy.clone(), led));
    }

    /// Does what the message says, literally, and looks at what else changed.
    async fn follow_literally(&mut self, remedy: &Remedy) {
        match remedy {
            Remedy::Sql(sql) => {
                let before = self.standing().await;
                self.ground.server.arrange(sql).await;
                let after = self.standing().await;
                for line in after.symmetric_difference(&before) {
                    let all_named = line.split('\t').take(2).all(|name| sql.contains(name));
                    assert!(all_named, "{sql:?} also changes: {line}");
                }
            }
            Remedy::Command(command) => {
                self.run(command).await;
                self.begin();
            }
            Remedy::Setting(name, value) => {
                let value = value.replace("OTHER", &short_name());
                let mut variables = self.variables.clone();
                variables.retain(|(known, _)| known != name);
                variables.push(((*name).to_owned(), value));
                let variables: Vec<_> =
                    variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
                self.configure(&variables);
            }
        }
    }

    /// Runs a command of the AWS CLI against the store of this stage.
    async fn run(&self, command: &str) {
        let program = std::env::var("FOURSTEP_TEST_AWS").expect("the AWS CLI, from scripts/test");
        let store = Arc::clone(&self.stage.store);
        let service = serve::start(([127, 0, 0, 1], 0).into(), store, None).await.unwrap();
        let rest = command.strip_prefix("aws ").unwrap();
        let line = format!("{program} --endpoint-url http://{} {rest}", service.address());
        let output = Command::new("sh")
            .args(["-c", &line])
            .env("AWS_ACCESS_KEY_ID", "local")
            .env("AWS_SECRET_ACCESS_KEY", "local")
            .env("AWS_DEFAULT_REGION", "us-east-1")
            .env("AWS_PAGER", "")
            .output();
        let output = output.await.unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command}: {complaint}");
    }

    /// Who of this case may log in how, and act as whom: a line each, which begins with two names.
    async fn standing(&self) -> BTreeSet<String> {
        self.ground.server.standing(&self.names()).await.lines().map(str::to_owned).collect()
    }
}

/// Every way out was followed, and those that lead further are on a list. Prints what was counted.
pub fn assert_followed(server: &str, rows: &[Row]) {
    let mut counts = [0; 3];
    let mut further = Vec::new();
    for row in rows {
        assert_eq!(row.led.len(), row.ways, "{server}: {:?} has ways not followed", row.name);
        for (remedy, led) in &row.led {
            let kind = match remedy {
                Remedy::Sql(_) => 0,
                Remedy::Command(_) => 1,
                Remedy::Setting(..) => 2,
            };
            counts[kind] += 1;
            if let Led::Further(next) = led {
                assert_ne!(*next, row.message, "{server}: {remedy:?} changes nothing");
                further.push((row.name, next));
            }
        }
    }
    let without: Vec<_> = rows.iter().filter(|row| row.ways == 0).map(|row| row.name).collect();
    let [statements, commands, settings] = counts;
    println!(
        "{server}: {statements} statements, {commands} commands and {settings} settings that {} \
         faults print were followed; {} led to another obstacle; {} faults print none: {}",
        rows.len() - without.len(),
        further.len(),
        without.len(),
        without.join(", ")
    );
    let known = |name: &str| FURTHER.iter().any(|(listed, _)| *listed == name);
    further.retain(|(name, _)| !known(name));
    assert!(further.is_empty(), "{server}: these ways out lead no further than: {further:#?}");
}

#[test]
fn what_a_message_says_to_do_is_read_from_it() {
    let sql = |text: &str| Remedy::Sql(text.to_owned());
    let set = |name, value: &str| Remedy::Setting(name, value.to_owned());
    let cases = [
        ("setSecret: refused; nothing was changed", vec![]),
        ("x: have this run: GRANT a TO b", vec![sql("GRANT a TO b")]),
        ("x: have this run: GRANT a TO b: error 1, SQLSTATE 4: no", vec![sql("GRANT a TO b")]),
        (
            "x or run this with CASCADE: REVOKE a FROM b: SQLSTATE 4",
            vec![sql("REVOKE a FROM b CASCADE")],
        ),
        (
            "user \"a\" is: list it in ADOPT_USERS; if not, choose another in USER_PAIRS, as b=OTHER",
            vec![set("ADOPT_USERS", "a"), set("USER_PAIRS", "b=OTHER")],
        ),
        (
            "user \"a\" has: or list \"b\" in DROP_EXTRA_RIGHTS to",
            vec![set("DROP_EXTRA_RIGHTS", "b")],
        ),
        (
            "not for \"a\" but for b; write a name it carries into the secret's \"host\", or set TLS_SERVER_NAME",
            vec![set("TLS_SERVER_NAME", "b")],
        ),
        ("discard with `aws x --y z`, then", vec![Remedy::Command("aws x --y z".to_owned())]),
    ];
    for (message, expected) in cases {
        assert_eq!(remedies(message), expected, "{message}");
    }
}
