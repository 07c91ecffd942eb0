//! The author's kit asks rotate-iam at the double.

use std::time::Duration;

use async_trait::async_trait;
use fourstep::{Rotator, Secret};
use fourstep_testing::{Overlap, Remote, Testbed, Wire, conformance};
use futures_util::future::join;

use super::double::{Double, Key};
use super::rotations::has_credentials;

struct Doubled {
    dedicated: bool,
}

#[async_trait]
impl Testbed for Doubled {
    fn overlap(&self) -> Overlap {
        Overlap::Full
    }

    async fn fresh(&self, _: &Wire) -> Box<dyn Remote> {
        let double = Double::start().await;
        let first = double.arrange("app", Duration::from_secs(3600));
        Box::new(OneUser { double, first, dedicated: self.dedicated })
    }
}

struct OneUser {
    double: Double,
    first: Key,
    dedicated: bool,
}

#[async_trait]
impl Remote for OneUser {
    fn rotator(&self) -> Box<dyn Rotator> {
        rotate_iam::rotator(&self.double.environment(self.dedicated)).unwrap()
    }

    fn secret(&self) -> String {
        self.first.document().to_string()
    }

    async fn accepts(&self, secret: &Secret) -> bool {
        let document = secret.document().unwrap();
        let field = |name| document.required(name).unwrap();
        self.double.works(field("access_key_id"), field("secret_access_key"))
    }

    fn credential(&self) -> &'static [&'static str] {
        &["access_key_id", "secret_access_key"]
    }

    async fn credentials(&self) -> Option<usize> {
        Some(self.double.live("app").len())
    }
}

#[tokio::test]
async fn rotate_iam_conforms_at_the_double_with_users_of_both_kinds() {
    if !has_credentials() {
        return;
    }
    let [stored, account] = [false, true].map(|dedicated| Doubled { dedicated });
    let (stored, account) = join(conformance(&stored), conformance(&account)).await;
    for report in [stored, account] {
        eprintln!("{report}");
        report.assert_safe();
    }
}
