//! F9: a pending secret that was made of an outdated AWSCURRENT names the user that is in use.
//! Two safeguards stop it, and each is needed: without the first the rotation does not converge,
//! without both AWSCURRENT dies.

use fourstep::{Environment, Rotator};

use super::assert_caught_in;
use super::broken_engine::{Safeguard, Without};
use super::careless::{self, Carelessness};
use super::database::{Commit, Model};
use crate::models::{Server, SharedServer};
use crate::{Overlap, Testbed};

/// Alternating users with an engine that builds on a stale base.
fn broken(with: Option<Carelessness>) -> impl Testbed {
    let rotator = move |server: &Server| -> Box<dyn Rotator> {
        let model = Model::new(server, Commit::PerStatement, None);
        careless::alternating(model, &Environment::default(), with)
    };
    Without(Safeguard::FreshBase, SharedServer::new(Overlap::Full, rotator))
}

#[test]
fn a_stale_base_that_is_refused_by_setsecret_only_wedges_the_rotation() {
    assert_caught_in(&broken(None), "stale reads", "repeating the rotation never succeeds");
}

#[test]
fn a_stale_base_that_nobody_refuses_kills_the_user_in_use() {
    let broken = broken(Some(Carelessness::StaleBase));
    assert_caught_in(&broken, "stale reads", "AWSCURRENT does not log in");
}
