//! A table of faults, as a test of a rotator makes them: what is expected of it stands in a file.

use std::fmt::Write as _;

use fourstep::{ErrorKind, Step, VersionId};

use super::stage::Stage;

/// The table: a name, the step and the kind in which it ended, and the message without what differs
/// from run to run.
#[derive(Default)]
pub struct FaultTable {
    pub text: String,
    masks: Vec<(String, &'static str)>,
}

impl FaultTable {
    /// What stands in the messages from now on, and what the table holds in its place.
    pub fn mask<const N: usize>(&mut self, masks: [(&dyn ToString, &'static str); N]) {
        self.masks = masks.map(|(value, mask)| (value.to_string(), mask)).into();
    }

    /// One row. No message may hold a password of the tests.
    pub fn add(&mut self, name: &str, kind: ErrorKind, text: String) {
        let masks = self.masks.iter();
        let mut text = masks.fold(text, |text, (value, mask)| text.replace(value, mask));
        if let Some((before, time)) = text.split_once("gave up after ") {
            let after = time.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
            text = format!("{before}gave up after N{after}");
        }
        assert!(!text.contains("canary"), "{text}");
        let (step, _) = text.split_once(": ").unwrap();
        writeln!(self.text, "{name}\n    {step}, {kind}\n    {text}\n").unwrap();
    }

    /// The step createSecret of a new rotation, which must fail and store nothing.
    pub async fn create(&mut self, name: &str, stage: &Stage) {
        let token = stage.begin();
        self.step(name, stage, (Step::Create, &token)).await;
        assert!(stage.try_text("AWSPENDING").is_none(), "{name}: something was stored");
    }

    /// The step setSecret of a new rotation, which must fail.
    pub async fn set(&mut self, name: &str, stage: &Stage) {
        let token = stage.play(&[Step::Create]).await;
        self.step(name, stage, (Step::Set, &token)).await;
    }

    /// This step, which must fail.
    pub async fn step(&mut self, name: &str, stage: &Stage, (step, token): (Step, &VersionId)) {
        let ended = stage.step(step, token).await;
        let kind = ended.result.as_ref().err().map(fourstep::Error::kind);
        let kind = kind.unwrap_or_else(|| panic!("{name}: {step} succeeded"));
        // Its ARN ends differently in each run.
        let arn = stage.store.describe(&stage.secret).unwrap().arn;
        self.add(name, kind, ended.error().replace(&arn, "SECRET"));
    }

    /// testSecret, which must fail, of a secret that asks for what is there only.
    pub async fn test(&mut self, name: &str, stage: &Stage) {
        let token = stage.begin();
        stage.put_pending(&token, &stage.document("AWSCURRENT"));
        self.step(name, stage, (Step::Test, &token)).await;
    }
}
