//! The states of a secret with a vendor's keys, at a double: each key works until it is revoked.

use fourstep::store::{AWSCURRENT, AWSPENDING, AWSPREVIOUS, Select};
use fourstep::{SecretId, Step};
use fourstep_local::NewValue;
use fourstep_testing::Double;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::killed::{Point, begun, killed};
use super::states::{CURRENT, End, NONE, PENDING, PREVIOUS, State, document, once};
use crate::api::hostile::{SPEC, plain};
use crate::support::door::Moment;
use crate::support::host::{Host, days};
use crate::support::stage::new_token;

const API: &str = "fourstep-api";

/// A vendor, and the file that says how to ask it.
pub struct Vendor {
    double: Double,
    folder: TempDir,
}

impl Vendor {
    pub async fn start() -> Self {
        let double = Double::start(plain).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let spec = SPEC.replace("https://plain.example", &double.url());
        std::fs::write(folder.path().join("spec.toml"), spec).unwrap();
        Self { double, folder }
    }

    pub fn lets_in(&self, document: &Value) -> bool {
        self.double.works(document["key"].as_str().unwrap())
    }

    fn secret(&self, host: &Host, name: &str) {
        let key = self.made();
        host.secret(name, &key, Some((API, days(30))));
    }

    /// A key that a person made.
    fn made(&self) -> Value {
        let key = self.double.arrange(Some("made by hand"));
        json!({"key": key.value, "key_id": key.id})
    }

    /// Somebody revokes the keys of the versions with these labels.
    fn revoke(&self, host: &Host, name: &str, labels: &[&str]) {
        for label in labels {
            let document = document(host.store(), name, Select::Label(label)).unwrap();
            self.double.revoke(document["key_id"].as_str().unwrap());
        }
    }

    /// A person has the vendor make a key, and stores it.
    pub fn by_hand(&self, host: &Host, name: &str) {
        let value = NewValue::current(&new_token(), self.made().to_string().as_str());
        host.store().put(&SecretId::parse(name).unwrap(), value).unwrap();
    }

    /// Every state, of secrets of a function that this makes.
    pub async fn states(&self, host: &Host) -> Vec<State> {
        let spec = self.folder.path().join("spec.toml");
        host.ours(API, "rotate-api", &[("ROTATION_SPEC", spec.to_str().unwrap())]);
        let put = |moment| Point::Call("PutSecretValue", moment);
        let move_current = Point::Call("UpdateSecretVersionStage", Moment::Before);
        let names = ["unrecorded", "recorded", "tested", "revoked", "older", "none"]
            .map(|one| format!("keys/{one}"));
        let [unrecorded, recorded, tested, revoked, older, none] =
            names.each_ref().map(String::as_str);
        for name in &names {
            self.secret(host, name);
        }
        killed(host, unrecorded, Step::Create, put(Moment::Before)).await;
        killed(host, recorded, Step::Create, put(Moment::After)).await;
        killed(host, tested, Step::Finish, move_current).await;
        begun(host, revoked, Step::Test).await;
        self.revoke(host, revoked, &[AWSCURRENT]);
        host.rotate(older).await;
        killed(host, older, Step::Create, put(Moment::After)).await;
        self.revoke(host, older, &[AWSCURRENT, AWSPENDING]);
        host.rotate(none).await;
        killed(host, none, Step::Create, put(Moment::After)).await;
        self.revoke(host, none, &[AWSCURRENT, AWSPENDING, AWSPREVIOUS]);
        vec![
            once(unrecorded, CURRENT, "discard", End::Mended),
            once(recorded, CURRENT, "discard", End::Mended),
            once(tested, CURRENT, "discard", End::Mended),
            once(revoked, PENDING, "retry", End::Mended),
            once(older, PREVIOUS, "discard", End::Mended),
            once(none, NONE, "", End::Left),
        ]
    }
}
