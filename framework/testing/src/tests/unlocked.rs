//! Targets that have neither locks nor a change that compares, as MongoDB: all strategies, swept. Only a
//! statement that comes late does harm there, and the next rotation repairs it.

use fourstep::{Environment, Rotator};

use super::careless;
use super::database::{Commit, Model};
use super::{assert_safe, effort};
use crate::models::{Server, SharedServer, WithoutLocks};
use crate::{Overlap, conformance, sweep};

fn alternating() -> SharedServer<impl Fn(&Server) -> Box<dyn Rotator> + Clone + Send + Sync> {
    SharedServer::new(Overlap::Full, |server: &Server| {
        let model = Model::new(server, Commit::Unlocked, None);
        careless::alternating(model, &Environment::default(), None)
    })
}

fn by_admin() -> SharedServer<impl Fn(&Server) -> Box<dyn Rotator> + Clone + Send + Sync> {
    SharedServer::new(Overlap::None, |server: &Server| {
        let model = Model::new(server, Commit::Unlocked, None);
        careless::by_admin(model, &Environment::default(), None)
    })
}

#[test]
fn one_user_without_locks_survives_every_sweep() {
    assert_safe(&WithoutLocks);
}

#[test]
fn an_admin_without_locks_survives_every_sweep() {
    assert_safe(&by_admin().without_locks());
}

#[test]
fn alternating_users_without_locks_survive_every_sweep() {
    assert_safe(&alternating().without_locks());
}

#[tokio::test]
async fn strategies_without_locks_conform() {
    conformance(&WithoutLocks).await.assert_safe();
    conformance(&by_admin().without_locks()).await.assert_safe();
    conformance(&alternating().without_locks()).await.assert_safe();
}

/// What docs/safety.md says is not proven of such targets.
#[test]
fn nothing_but_a_statement_that_comes_late_breaks_a_promise() {
    let broken = ["no labelled version logs in", "AWSCURRENT does not log in"];
    for report in [sweep(&by_admin(), effort()), sweep(&alternating(), effort())] {
        let found: Vec<_> =
            report.sections.iter().filter(|one| !one.violations.is_empty()).collect();
        assert!(!found.is_empty(), "the late statement was not found");
        for section in found {
            assert!(section.name.starts_with("frozen in setSecret"), "{}", section.name);
            for violation in &section.violations {
                assert!(broken.contains(&violation.what.to_string().as_str()), "{violation:?}");
            }
        }
    }
}
