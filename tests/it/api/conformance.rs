//! The author's kit asks rotate-api, with each shipped specification, at a double of its vendor.

use async_trait::async_trait;
use fourstep::{Environment, Rotator, Secret};
use fourstep_testing::{Overlap, Remote, Testbed, Wire, conformance};
use futures_util::future::join_all;
use tempfile::NamedTempFile;

use super::rows::VENDORS;
use super::support::PAIR;
use super::vendors::{Account, Shape, Vendor, bare};

struct Doubled(&'static Vendor);

#[async_trait]
impl Testbed for Doubled {
    fn overlap(&self) -> Overlap {
        // What is set in place cannot work beside what it replaces.
        match self.0.shape() {
            Shape::Issued | Shape::Slots | Shape::Turns | Shape::Lasting => Overlap::Full,
            Shape::Set => Overlap::None,
        }
    }

    async fn fresh(&self, _: &Wire) -> Box<dyn Remote> {
        let account = self.0.account().await;
        let specification = NamedTempFile::new().unwrap();
        // A double knows a new key at once: waiting for a wrong one would prove nothing.
        let text = account.text.lines().filter(|line| !line.starts_with("propagation_seconds"));
        let text = text.collect::<Vec<_>>().join("\n");
        std::fs::write(specification.path(), text).unwrap();
        Box::new(Known { vendor: self.0, account, specification })
    }
}

struct Known {
    vendor: &'static Vendor,
    account: Account,
    specification: NamedTempFile,
}

#[async_trait]
impl Remote for Known {
    fn rotator(&self) -> Box<dyn Rotator> {
        let environment = Environment::from([
            ("ROTATION_SPEC", self.specification.path().to_str().unwrap()),
            ("ADMIN_SECRET", "admin"),
            ("USER_PAIRS", PAIR),
        ]);
        rotate_api::rotator(&environment).unwrap()
    }

    fn secret(&self) -> String {
        self.account.secret.to_string()
    }

    fn other_secrets(&self) -> Vec<(&'static str, String)> {
        let admin = (self.vendor.admin)();
        let given = (!admin.is_null()).then(|| ("admin", admin.to_string()));
        given.into_iter().collect()
    }

    /// Asked of the double itself.
    async fn accepts(&self, secret: &Secret) -> bool {
        let document = secret.document().unwrap();
        self.account.double.works(bare(document.required(self.vendor.key).unwrap()))
    }

    fn credential(&self) -> &'static [&'static str] {
        self.vendor.fields
    }

    async fn credentials(&self) -> Option<usize> {
        let counts = self.vendor.proves_ids && self.vendor.shape() != Shape::Lasting;
        counts.then(|| self.account.double.live().len())
    }

    fn lingers(&self) -> bool {
        self.vendor.shape() == Shape::Lasting
    }
}

#[tokio::test]
async fn rotate_api_conforms_at_a_double_of_every_vendor() {
    let reports = VENDORS.iter().map(async |vendor| (vendor, conformance(&Doubled(vendor)).await));
    for (vendor, report) in join_all(reports).await {
        let file = vendor.file;
        let found: Vec<_> = report.defects().iter().map(ToString::to_string).collect();
        // The first key has no label, and Entra does not say that it is the one that the secret's
        // id names: it is left to a person, with a warning.
        let left: &[&str] = match vendor.proves_ids {
            true => &[],
            false => &["a credential that is not kept still works"],
        };
        assert_eq!(found, left, "{file}: {report}");
        // These vendors have no names that could be hostile, and a double that is reached by no wire
        // of the kit's. Few of the secrets name an account.
        let secret = Doubled(vendor).fresh(&Wire::default()).await.secret();
        // One that a rotation changes is none of another account.
        let named = ["host", "username"]
            .iter()
            .any(|one| secret.contains(&format!("\"{one}\"")) && !vendor.fields.contains(one));
        let mut expected = vec!["verify calls silence an error", "another account is refused"];
        expected.truncate(if named { 1 } else { 2 });
        expected.extend(["setSecret fails at every call", "hostile names and passwords"]);
        assert_eq!(report.left_out(), expected, "{file}: {report}");
    }
}
