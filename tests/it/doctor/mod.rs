//! `fourstep doctor` at a fleet of 200 secrets in every state of the decision table: the functions are the
//! real binaries, killed while they rotated at real servers. Each state is named right, what is safe is
//! mended and nothing else, and in the end every AWSCURRENT logs in.

mod dual;
mod in_use;
mod keys;
mod killed;
mod moto;
mod others;
pub mod states;

use std::collections::BTreeMap;
use std::time::Duration;

use fourstep::SecretId;
use fourstep::store::{AWSCURRENT, AWSPENDING, Select};
use serde_json::Value;

use crate::support::door::{Door, Way};
use crate::support::host::{Host, Old};
use crate::support::{mysql, postgres};
use states::{End, Fleet, POSTGRES, State, document, drawn, versions};

/// How many secrets there are.
const SIZE: usize = 200;

/// Runs doctor with these arguments; what it says of each secret, by its name, and its status.
async fn doctor(host: &Host, more: &[&str]) -> (BTreeMap<String, Vec<Value>>, Option<i32>) {
    told(host, host.endpoints(), more).await
}

/// The same at these endpoints.
async fn told(
    host: &Host,
    endpoints: [&str; 2],
    more: &[&str],
) -> (BTreeMap<String, Vec<Value>>, Option<i32>) {
    let arguments =
        ["doctor", "--json", "--stuck-after", "0"].into_iter().chain(more.iter().copied());
    let arguments: Vec<_> = arguments.map(str::to_owned).collect();
    let (lines, code) = host.fourstep_at(endpoints, &arguments).await;
    let mut said: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for line in lines {
        let arn = line["secret"].as_str().unwrap();
        let name = arn.split(":secret:").nth(1).unwrap().rsplit_once('-').unwrap().0;
        said.entry(name.to_owned()).or_default().push(line);
    }
    (said, code)
}

fn text<'a>(said: &'a Value, field: &str) -> &'a str {
    said[field].as_str().unwrap_or_default()
}

/// Waits until the rotations that were begun have ended, however they end.
async fn quiet(host: &Host) {
    settled(|| host.under_way()).await;
}

/// The same of whoever counts them.
async fn settled(under_way: impl Fn() -> usize) {
    for _ in 0..3000 {
        if under_way() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("rotations do not end");
}

async fn logs_in(fleet: &Fleet<'_>, name: &str) -> bool {
    let document = document(fleet.host.store(), name, Select::Label(AWSCURRENT)).unwrap();
    logs_in_with(fleet, &document).await
}

async fn logs_in_with(fleet: &Fleet<'_>, document: &Value) -> bool {
    if document["key"].is_string() {
        return fleet.vendor.as_ref().unwrap().lets_in(document);
    }
    if let Some(others) = &fleet.others
        && let Some(let_in) = others.let_in(document).await
    {
        return let_in;
    }
    let field = |one: &str| document[one].as_str().unwrap();
    let (user, password) = (field("username"), field("password"));
    match field("engine") {
        "mysql" => fleet.mysql.unwrap().logs_in(user, password).await,
        _ => fleet.server.logs_in(user, password).await,
    }
}

/// The labels of every secret.
fn labels(host: &Host, states: &[State]) -> Vec<String> {
    let labels = |state: &State| {
        let id = SecretId::parse(&state.name).unwrap();
        format!("{:?}", host.store().describe(&id).unwrap().labels)
    };
    states.iter().map(labels).collect()
}

/// Every state, and as many secrets drawn after them as a fleet of this size has room for.
async fn made(fleet: &Fleet<'_>, closed: &Door, size: usize) -> Vec<State> {
    let mut states = fleet.one_password().await;
    states.extend(fleet.by_admin().await);
    states.extend(fleet.two_users().await);
    states.extend(fleet.unknown(closed).await);
    states.extend(dual::two_passwords(fleet.host, fleet.mysql.unwrap()).await);
    states.extend(dual::two_users(fleet.host, fleet.mysql.unwrap()).await);
    states.extend(fleet.vendor.as_ref().unwrap().states(fleet.host).await);
    if let Some(others) = &fleet.others {
        states.extend(others.states(fleet.host).await);
    }
    states.extend(functions_of_nobody(fleet).await);
    fleet.secret("one/quiet", "single-user").await;
    states.push(drawn("one/quiet", "", "", End::Healthy));
    let mut patterns: Vec<State> = states.iter().filter(|state| state.drawn).cloned().collect();
    // Most are quiet, as in an account, and so that this does not take minutes.
    let quiet = patterns.last().unwrap().clone();
    patterns.resize(4 * patterns.len(), quiet);
    let room = size - states.len();
    for (first, pattern) in patterns.iter().enumerate() {
        let alive = fleet.alive(&pattern.name).await;
        for number in (first..room).step_by(patterns.len()) {
            let name = format!("{}/{number}", pattern.name);
            fleet.draw((&pattern.name, &alive), &name).await;
            states.push(State { name, ..pattern.clone() });
        }
    }
    states
}

/// A fleet without secrets, at these servers and at a vendor of its own.
async fn of_every_kind<'a>(
    host: &'a Host,
    server: &'a postgres::Server,
    mysql: &'a mysql::Server,
) -> Fleet<'a> {
    let strategies = "single-user,single-user-by-admin,alternating-users";
    host.ours(POSTGRES, "rotate-postgres", &[("ROTATION_STRATEGY", strategies)]);
    let door = Door::new(Way::To(server.port)).await;
    let vendor = Some(keys::Vendor::start().await);
    let others = others::Others::start().await;
    Fleet { host, server, mysql: Some(mysql), vendor, others, door }
}

/// That each state was named right.
fn named(states: &[State], said: &BTreeMap<String, Vec<Value>>) {
    for state in states {
        let said = &said[&state.name][0];
        assert_eq!(text(said, "row"), state.row, "{}: {said:#}", state.name);
        assert_eq!(text(said, "advice"), state.advice, "{}: {said:#}", state.name);
        let stuck = said["troubles"].as_array().unwrap().iter().any(|one| one["kind"] == "stuck");
        assert_eq!(stuck, state.end != End::Healthy, "{}: {said:#}", state.name);
    }
}

/// Secrets whose function is gone, or is not ours.
async fn functions_of_nobody(fleet: &Fleet<'_>) -> Vec<State> {
    let put = killed::Point::Call("PutSecretValue", crate::support::door::Moment::After);
    for (name, function) in [("gone/recorded", "fourstep-gone"), ("another/recorded", "theirs")] {
        fleet.host.ours(function, "rotate-postgres", &[]);
        fleet.secret_of(name, "single-user", function).await;
        fleet.killed(name, fourstep::Step::Create, put).await;
    }
    fleet.host.remove("fourstep-gone");
    fleet.host.template("theirs", Old::Postgres(fleet.server.clone()));
    ["gone/recorded", "another/recorded"].map(|name| states::once(name, "", "", End::Left)).into()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_in_every_state_is_named_and_mended_where_it_is_safe() {
    let Some(server) = postgres::server() else { return };
    let Some(mysql) = mysql::mysql() else { return };
    let _undisturbed = postgres::undisturbed().await;
    let host = Host::start().await;
    let fleet = of_every_kind(&host, &server, &mysql).await;
    let closed = Door::new(Way::Closed).await;
    let begun = std::time::Instant::now();
    let states = made(&fleet, &closed, SIZE).await;
    assert_eq!(states.len(), SIZE);
    eprintln!("made in {:?}", begun.elapsed());
    tokio::time::sleep(Duration::from_millis(1_100)).await;

    let before = labels(&host, &states);
    let (said, code) = doctor(&host, &[]).await;
    eprintln!("looked at {:?}", begun.elapsed());
    assert_eq!(code, Some(1));
    named(&states, &said);
    assert_eq!(labels(&host, &states), before, "a look changed something");

    doctor(&host, &["--fix", "--yes", "--wait", "0"]).await;
    quiet(&host).await;
    eprintln!("mended at {:?}", begun.elapsed());
    let after = labels(&host, &states);
    let store = host.store();
    for (state, (before, after)) in states.iter().zip(before.iter().zip(&after)) {
        let name = &state.name;
        let pending = versions(store, name, AWSPENDING);
        let pending = pending.filter(|one| Some(one) != versions(store, name, AWSCURRENT).as_ref());
        match state.end {
            End::Healthy | End::Left => assert_eq!(before, after, "{name}"),
            End::Mended => {
                assert_eq!(pending, None, "{name}: {before} {after}");
                assert!(logs_in(&fleet, name).await, "{name}: {before} {after}");
            }
            End::ByHand => {
                assert!(pending.is_some() && before != after, "{name}");
                assert!(!logs_in(&fleet, name).await, "{name}");
            }
        }
    }
    by_people(&fleet, &closed).await;
    for state in &states {
        assert!(logs_in(&fleet, &state.name).await, "{}", state.name);
    }
    let (said, _) = doctor(&host, &[]).await;
    let wrong: Vec<_> =
        said.into_iter().filter(|(_, said)| said[0]["troubles"] != serde_json::json!([])).collect();
    let names: Vec<_> = wrong.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["another/recorded", "gone/recorded"], "{wrong:#?}");
    eprintln!("all at {:?}", begun.elapsed());
}

/// What people must do, and doctor after them.
async fn by_people(fleet: &Fleet<'_>, closed: &Door) {
    closed.set(Way::To(fleet.server.port));
    let by_hand = ["one/by-hand", "two/by-hand", "dual/by-hand"];
    for name in by_hand {
        let (said, _) = doctor(fleet.host, &[name]).await;
        let failure = &said[name][0]["last_failure"];
        assert_eq!(text(failure, "error_type"), "Rejected", "{said:#?}");
        // docs/operate.md: an administrator sets the password that AWSCURRENT holds.
        match name {
            "dual/by-hand" => dual::set_current(fleet.host, fleet.mysql.unwrap(), name).await,
            _ => fleet.set(name, AWSCURRENT, None).await,
        }
    }
    // Whoever turns a rotation on again begins a new one.
    fleet.take_off("off/restored");
    fleet.host.rotate("off/restored").await;
    // No key works: one is made at the vendor, and stored.
    fleet.vendor.as_ref().unwrap().by_hand(fleet.host, "keys/none");
    let away = ["keys/none", "away/recorded", "away/committed"];
    doctor(fleet.host, &[&away[..], &by_hand, &["--fix", "--yes", "--wait", "0"]].concat()).await;
    quiet(fleet.host).await;
}
