//! The picture of every strategy's timeline, docs/timelines.svg, drawn from rotations that are played
//! here: which stored version logs in after each step, and which labels it has.
//!
//! `UPDATE_EXPECT=1` writes the picture anew.

use std::fmt::Write as _;
use std::time::Duration;

use expect_test::expect_file;
use fourstep::store::{AWSCURRENT, AWSPENDING, SecretStore, Select};
use fourstep::{Deadline, Environment, Invocation, RotationEvent, Secret, SecretId, Step};
use fourstep_local::{MemoryStore, NewRotation, NewSecret};

use super::careless;
use super::database::{Commit, Model};
use super::vendor::{Issuing, LABELS};
use crate::models::{Server, SharedServer, SinglePassword, TwoPasswords};
use crate::simulation::version;
use crate::{Overlap, Testbed, Wire};

const ROTATIONS: u32 = 2;
const FUNCTION: &str = "arn:aws:lambda:eu-central-1:111122223333:function:rotate";

/// One stored version at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    logs_in: bool,
    current: bool,
    pending: bool,
}

/// What each version is, the oldest first; `None` where it has no value yet.
type Moment = Vec<Option<Seen>>;

/// After each step, beginning with the moment before the first.
async fn play(testbed: &dyn Testbed) -> Vec<Moment> {
    let (remote, store) = (testbed.fresh(&Wire::default()).await, MemoryStore::new());
    let value = Some(remote.secret().as_str().into());
    let new = NewSecret { value, token: Some(version(0)), ..NewSecret::default() };
    let secret = SecretId::parse(&store.create("drawn", new).unwrap().arn).unwrap();
    for (name, value) in remote.other_secrets() {
        let value = Some(value.as_str().into());
        store.create(name, NewSecret { value, ..NewSecret::default() }).unwrap();
    }
    let mut moments = Vec::new();
    for rotation in 1..=ROTATIONS {
        let token = version(rotation);
        if rotation == 1 {
            moments.push(look(&store, &secret, &*remote).await);
        }
        store.rotate(&secret, &NewRotation::now(&token, FUNCTION)).unwrap();
        for step in Step::ALL {
            let (secret, token) = (secret.clone(), token.clone());
            let event = RotationEvent { step, secret, token, rotation_token: None };
            let cx = Invocation::new(Deadline::after(Duration::from_secs(60)));
            remote.function().step(&store, &event, &cx).await.unwrap();
            moments.push(look(&store, &event.secret, &*remote).await);
        }
    }
    moments
}

async fn look(
    store: &MemoryStore,
    secret: &SecretId,
    remote: &dyn crate::Remote,
) -> Vec<Option<Seen>> {
    let labels = store.describe_secret(secret).await.unwrap().labels;
    let mut seen = Vec::new();
    for id in (0..=ROTATIONS).map(version) {
        let stored = store.get_secret_value(secret, Select::Version(&id)).await;
        let has =
            |label: &str| labels.get(&id).is_some_and(|all| all.iter().any(|one| one == label));
        seen.push(match stored {
            Ok(stored) => {
                let logs_in = remote.accepts(&Secret::of_value(&stored.value)).await;
                Some(Seen { logs_in, current: has(AWSCURRENT), pending: has(AWSPENDING) })
            }
            Err(_) => None,
        });
    }
    seen
}

/// Pixels: a step's width, a version's height, where the first step begins.
const STEP: usize = 74;
const ROW: usize = 22;
const LEFT: usize = 164;

/// Draws the strategies below each other.
fn draw(strategies: &[(&str, &str, Vec<Moment>)]) -> String {
    let columns = 1 + ROTATIONS as usize * Step::ALL.len();
    let (width, panel) = (LEFT + columns * STEP + 16, 46 + (ROTATIONS as usize + 1) * ROW + 14);
    let height = 62 + strategies.len() * panel;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\">\n\
         <title>Which version of a secret logs in after each step, by strategy</title>\n\
         <style>text {{ font: 12px sans-serif; fill: #24292f }} .title {{ font-weight: bold }} .note {{ font-size: 11px; fill: #57606a }} \
         .in {{ fill: #1a7f37 }} .out {{ fill: #eaeef2 }} .current {{ stroke: #24292f; stroke-width: 3 }}</style>\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n"
    );
    let legend = [("in", "logs in"), ("out", "is stored, does not log in"), ("out current", "")];
    for (index, (class, text)) in legend.iter().enumerate() {
        let x = 16 + index * 200;
        let text =
            if text.is_empty() { "border: has AWSCURRENT, which applications read" } else { text };
        writeln!(svg, "<rect x=\"{x}\" y=\"16\" width=\"24\" height=\"14\" class=\"{class}\"/><text x=\"{}\" y=\"28\">{text}</text>", x + 32).unwrap();
    }
    writeln!(svg, "<text x=\"16\" y=\"48\" class=\"note\">Two rotations, after each step. p: has AWSPENDING</text>").unwrap();
    for (index, (name, note, moments)) in strategies.iter().enumerate() {
        let top = 62 + index * panel;
        writeln!(svg, "<text x=\"16\" y=\"{}\" class=\"title\">{name}</text><text x=\"{LEFT}\" y=\"{}\" class=\"note\">{note}</text>", top + 14, top + 14).unwrap();
        draw_steps(&mut svg, top + 34);
        for (column, moment) in moments.iter().enumerate() {
            for (row, seen) in moment.iter().enumerate() {
                draw_version(&mut svg, LEFT + column * STEP, top + 42 + row * ROW, *seen);
            }
        }
        for row in 0..=ROTATIONS as usize {
            writeln!(
                svg,
                "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">v{row}</text>",
                LEFT - 8,
                top + 55 + row * ROW
            )
            .unwrap();
        }
    }
    svg + "</svg>\n"
}

fn draw_steps(svg: &mut String, y: usize) {
    let steps = (0..ROTATIONS).flat_map(|_| Step::ALL).map(|step| step.to_string());
    let names = std::iter::once("before".to_owned()).chain(steps);
    for (column, name) in names.enumerate() {
        let x = LEFT + column * STEP + STEP / 2 - 2;
        writeln!(
            svg,
            "<text x=\"{x}\" y=\"{y}\" text-anchor=\"middle\" class=\"note\">{name}</text>"
        )
        .unwrap();
    }
}

fn draw_version(svg: &mut String, x: usize, y: usize, seen: Option<Seen>) {
    let Some(Seen { logs_in, current, pending }) = seen else { return };
    let class =
        [if logs_in { "in" } else { "out" }, if current { " current" } else { "" }].concat();
    let width = STEP - 6;
    writeln!(svg, "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"16\" class=\"{class}\"/>")
        .unwrap();
    if pending {
        let fill = if logs_in { " fill=\"#ffffff\" style=\"fill:#ffffff\"" } else { "" };
        writeln!(
            svg,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\"{fill}>p</text>",
            x + width / 2,
            y + 12
        )
        .unwrap();
    }
}

#[tokio::test]
async fn the_picture_shows_what_rotations_do() {
    let by_admin = SharedServer::new(Overlap::None, |server: &Server| {
        careless::by_admin(
            Model::new(server, Commit::PerDatabase, None),
            &Environment::default(),
            None,
        )
    });
    let pair = SharedServer::new(Overlap::Full, |server: &Server| {
        careless::alternating(
            Model::new(server, Commit::PerDatabase, None),
            &Environment::default(),
            None,
        )
    });
    let strategies: [(&str, &str, &dyn Testbed); 5] = [
        ("single-user", "the old password is refused from setSecret on", &SinglePassword),
        ("single-user-by-admin", "the same, but an admin sets the password", &by_admin),
        ("alternating-users", "two users in turn: AWSCURRENT logs in at every moment", &pair),
        ("dual-password", "one user, two passwords: the same", &TwoPasswords::default()),
        (
            "vendor keys",
            "keys side by side: the one before the last is revoked",
            &Issuing::at(LABELS),
        ),
    ];
    let mut drawn = Vec::new();
    for (name, note, testbed) in strategies {
        let moments = play(testbed).await;
        // What the notes promise. With an overlap the version that applications read logs in always.
        let alive = |seen: &Option<Seen>| seen.is_some_and(|seen| seen.current && seen.logs_in);
        let always = moments.iter().all(|moment| moment.iter().any(alive));
        assert_eq!(always, testbed.overlap() == Overlap::Full, "{name}");
        drawn.push((name, note, moments));
    }
    expect_file!["../../../../docs/timelines.svg"].assert_eq(&draw(&drawn));
}
