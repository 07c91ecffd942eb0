//! Single user, by admin: the admin of another secret sets the password.
//!
//! | sequence | where it is played |
//! |---|---|
//! | F2, a cancelled rotation | every scenario that cancels |
//! | F3, a late container | frozen in setSecret, and cancelled; planted: [`Carelessness::NoFence`] |
//! | F8, an account that is none of the secret's | `takeover`; planted: [`Carelessness::NoProof`] |

use fourstep::{Environment, Rotator};

use super::careless::{self, Carelessness};
use super::database::{Commit, Defect, Model, Policy};
use super::{assert_caught_in, assert_safe};
use crate::models::{Server, SharedServer};
use crate::{Overlap, conformance};

fn testbed(
    defect: Option<Defect>,
    with: Option<Carelessness>,
) -> SharedServer<impl Fn(&Server) -> Box<dyn Rotator> + Clone + Send + Sync> {
    SharedServer::new(Overlap::None, move |server| {
        let model = Model::new(server, Commit::PerDatabase, defect);
        careless::by_admin(model, &Environment::default(), with)
    })
}

#[test]
fn single_user_by_admin_survives_every_sweep() {
    assert_safe(&testbed(None, None));
}

#[test]
fn single_user_by_admin_survives_where_no_password_may_be_used_again() {
    assert_safe(&SharedServer::new(Overlap::None, |server: &Server| {
        let model = Model::with_policy(server, Commit::PerDatabase, Policy::History);
        careless::by_admin(model, &Environment::default(), None)
    }));
}

#[tokio::test]
async fn single_user_by_admin_conforms() {
    conformance(&testbed(None, None)).await.assert_safe();
}

#[test]
fn an_admin_that_passes_no_fence_undoes_a_finished_rotation() {
    let broken = testbed(None, Some(Carelessness::NoFence));
    assert_caught_in(&broken, "frozen in setSecret, cancelled", "no labelled version logs in");
}

#[test]
fn an_admin_whose_session_has_no_limits_blocks_every_rotation_after_it() {
    let broken = testbed(Some(Defect::NoLimits), None);
    assert_caught_in(&broken, "frozen in setSecret", "repeating the rotation never succeeds");
}

#[test]
fn an_admin_that_takes_no_older_proof_does_not_survive_a_cancelled_rotation() {
    let broken = testbed(None, Some(Carelessness::OnlyCurrent));
    assert_caught_in(&broken, "cancelled twice", "the next rotation never succeeds");
}
