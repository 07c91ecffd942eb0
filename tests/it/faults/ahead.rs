//! Preflight is honest: what it calls ready, rotates. Every fault is played through it before the
//! step that fails. A row for which it says ready is on a list here, with the reason.

use std::time::Duration;

use fourstep::{Deadline, Engine, Invocation, Question};

use super::advice::{Remedy, remedies};
use super::case::{Case, Row};
use super::site::Site;

/// What a preflight said before the step that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ahead {
    /// Nothing was found that would fail a rotation.
    Ready,
    /// Something was.
    Refused,
    /// The fault strikes the first session there is, which has to be the step's.
    NotAsked,
}

/// Faults that strike the first session that they meet: a preflight would take it upon itself.
const NOT_ASKED: [&str; 3] = [
    "a statement that the server cancels",
    "a session that the server ends",
    "a session that is killed",
];

const AFTERWARDS: &str = "somebody changes it behind setSecret's back";
const BEHIND: &str = "what is rehearsed ends before it: nothing is committed, no lock is kept";
const LABELS: &str = "it is in the pending version of one rotation, and the next one has its own";
const PASSES: &str = "another session is at it for now, of which preflight warns";
const WRITES: &str = "Secrets Manager is asked to write, which a preflight never does";

/// Where a preflight says ready, and why it cannot know.
const READY: [(&str, &str); 27] = [
    ("a key that does not encrypt", WRITES),
    ("a late step of a rotation that was discarded", LABELS),
    ("a password that has expired since setSecret", AFTERWARDS),
    ("a password that was changed by hand after setSecret", AFTERWARDS),
    ("a pending value of another user", LABELS),
    ("a pending value of the user in use", LABELS),
    ("a pending value that is a list", LABELS),
    ("a role that another session is altering", PASSES),
    ("a role that may not move AWSCURRENT", WRITES),
    ("a role that may not use the key to write", WRITES),
    ("a rotation that was turned off", LABELS),
    ("a second user that somebody made itself again after setSecret", AFTERWARDS),
    ("a second user that stopped to act as the first after setSecret", AFTERWARDS),
    ("a secret with too many versions", WRITES),
    ("a server that dies after it has committed", BEHIND),
    ("a server that dies after the change", BEHIND),
    ("a server that dies before COMMIT reaches it", BEHIND),
    ("a server that dies before the account's lock is given", BEHIND),
    ("a server that dies before the change reaches it", BEHIND),
    ("a server that stalls after it has committed", BEHIND),
    ("a server that stalls after the change", BEHIND),
    ("a server that stalls at the account's lock", BEHIND),
    ("a table of the second user's that is in use while it is to be handed over", PASSES),
    ("a version that has no value", LABELS),
    ("an edit of AWSCURRENT after createSecret", LABELS),
    ("the account's lock held", PASSES),
    ("users that somebody made unequal after setSecret", AFTERWARDS),
];

impl<S: Site> Case<S> {
    /// Asks a preflight, in the state in which the next step will fail. And the ways out of what would
    /// fail that it prints.
    pub async fn ask_ahead(&self, name: &str) -> (Ahead, Vec<Remedy>) {
        if NOT_ASKED.contains(&name) {
            return (Ahead::NotAsked, Vec::new());
        }
        let cx = Invocation::new(Deadline::after(Duration::from_secs(self.seconds)));
        let engine = Engine::new(&*self.seen, &self.stage.rotator);
        match engine.answer(Question::Preflight, &self.stage.secret, &cx).await {
            Ok(answer) if answer["ready"] == true => (Ahead::Ready, Vec::new()),
            Ok(answer) => {
                let findings = answer["findings"].to_string();
                self.ground.planted.lock().await.assert_absent(name, &findings);
                // Whoever became a member of such a user would log in as it does.
                let otherwise = findings.contains("is not what it logs in with");
                assert!(!(otherwise && findings.contains("GRANT ")), "{name}: {findings}");
                let fails = answer["findings"].as_array().unwrap().iter();
                let fails = fails.filter(|one| one["severity"] == "fails");
                let ways = fails.flat_map(|one| remedies(one["finding"].as_str().unwrap()));
                (Ahead::Refused, ways.collect())
            }
            Err(error) => (Ahead::Refused, remedies(&error.to_string())),
        }
    }
}

/// Fails where a preflight said ready and the rotation then failed, but for those on the list.
pub fn assert_honest(server: &str, rows: &[Row]) {
    let of = |ahead| rows.iter().filter(move |row| row.ahead == ahead).map(|row| row.name);
    let known = |name: &str| READY.iter().any(|(listed, _)| *listed == name);
    let (ready, refused) = (of(Ahead::Ready).count(), of(Ahead::Refused).count());
    let not_asked = of(Ahead::NotAsked).count();
    println!(
        "{server}: of {} faults preflight finds {refused}, cannot know {ready}, was not asked of \
         {not_asked}",
        rows.len()
    );
    let wrong: Vec<_> = of(Ahead::Ready).filter(|name| !known(name)).collect();
    assert!(wrong.is_empty(), "{server}: preflight called these ready: {wrong:#?}");
}
