//! Verified TLS that cannot be had. Certificates and servers are real.

use std::sync::Arc;

use fourstep::{ErrorKind, Step};

use super::case::{Case, Ground, Left, Row, Share};
use super::{Playing, play};
use crate::support::door::Way;

pub fn all(ground: &Arc<Ground>) -> Vec<Playing> {
    play!(ground; an_unknown_authority, another_name, an_expired_certificate, no_tls_at_all)
}

async fn an_unknown_authority(ground: Arc<Ground>) -> Row {
    let name = "a certificate of an unknown authority";
    let (case, _door) = Case::behind(&ground, name, 24).await;
    let mut case = case.with_tls();
    case.configure(&[("TLS_CA_BUNDLE", &ground.server.other_ca)]);
    case.ends(Step::Set, ErrorKind::Tls, Share::AtOnce, Left::Unchanged).await;
    case.configure(&[("TLS_CA_BUNDLE", &ground.server.ca)]);
    case.converges().await
}

async fn another_name(ground: Arc<Ground>) -> Row {
    let name = "a certificate for another name";
    let (case, _door) = Case::behind(&ground, name, 24).await;
    let mut case = case.with_tls();
    let ca = ("TLS_CA_BUNDLE", ground.server.ca.as_str());
    case.configure(&[ca, ("TLS_SERVER_NAME", "db.example")]);
    case.ends(Step::Set, ErrorKind::Tls, Share::AtOnce, Left::Unchanged).await;
    case.configure(&[ca]);
    case.converges().await
}

/// The replica has one; the server itself a good one.
async fn an_expired_certificate(ground: Arc<Ground>) -> Row {
    let (case, door) = Case::behind(&ground, "an expired certificate", 24).await;
    let mut case = case.with_tls();
    case.reach(Step::Set).await;
    door.set(Way::To(ground.server.replica));
    case.ends(Step::Set, ErrorKind::Tls, Share::AtOnce, Left::Unchanged).await;
    door.set(Way::To(ground.server.port));
    case.converges().await
}

/// The pooler has no certificate.
async fn no_tls_at_all(ground: Arc<Ground>) -> Row {
    let (case, door) = Case::behind(&ground, "a server without TLS", 24).await;
    let mut case = case.with_tls();
    case.reach(Step::Set).await;
    door.set(Way::To(ground.server.pooler));
    case.ends(Step::Set, ErrorKind::Tls, Share::AtOnce, Left::Unchanged).await;
    door.set(Way::To(ground.server.port));
    case.converges().await
}

impl Case {
    /// Has the secret ask for TLS, and the function trust the server.
    pub fn with_tls(mut self) -> Self {
        let ca = self.ground.server.ca.clone();
        self.configure(&[("TLS_CA_BUNDLE", &ca)]);
        self.edit(|document| document["ssl"] = true.into());
        self
    }
}
