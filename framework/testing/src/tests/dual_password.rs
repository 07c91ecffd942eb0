//! Dual password: one user, two passwords. Which sequences are found where, by what they do to a
//! rotator that does not know them:
//!
//! | sequence | scenario |
//! |---|---|
//! | two containers both retain, the second evicts the live password | race: setSecret |
//! | a cancelled rotation's password is retained in the live one's place | cancelled twice |
//! | the same after somebody moved AWSCURRENT back | rolled back after a rotation |
//! | the same after a reader that lags behind said that pending does not work | one crash, every step twice; with `lagging_reader` |
//! | a late container changes the password after a finished rotation | frozen in setSecret, cancelled |
//! | the same where AWSCURRENT was the secondary password, so that REPLACE does not help | `late` |
//! | AWSCURRENT is dead and an older password works: the remote forgot | forgotten after a rotation |
//! | AWSCURRENT is dead because a cancelled version was promoted late | frozen in finishSecret, cancelled |
//! | refused logins lock the account | forgotten after a rotation, with `failed_login_attempts`; `lock_out` |

mod late;
mod lock_out;
mod rotator;

use async_trait::async_trait;

use self::rotator::{Defect, DualPassword};
use super::{assert_caught, assert_caught_in, assert_safe, effort};
use crate::models::{Account, PasswordRules, Server};
use crate::sweep::only;
use crate::{Effort, Overlap, Remote, Testbed, Wire};
use fourstep::Rotator;
use fourstep::Secret;

const USER: &str = "app";

const DEAD: &str = "AWSCURRENT does not log in";
const STUCK: &str = "repeating the rotation never succeeds";

/// A server with one user that may keep two passwords.
#[derive(Clone, Copy)]
struct Dual {
    defect: Defect,
    rules: PasswordRules,
}

impl Dual {
    fn correct(rules: PasswordRules) -> Self {
        Self { defect: Defect::None, rules }
    }

    fn with(defect: Defect) -> Self {
        Self { defect, rules: PasswordRules::default() }
    }
}

#[async_trait]
impl Testbed for Dual {
    fn overlap(&self) -> Overlap {
        Overlap::Full
    }

    async fn fresh(&self, wire: &Wire) -> Box<dyn Remote> {
        let account = Account::with_password("first-password").with_rules(self.rules);
        let server = Server::new(wire, [(USER.to_owned(), account)].into());
        Box::new(OneUser { server, defect: self.defect })
    }
}

struct OneUser {
    server: Server,
    defect: Defect,
}

#[async_trait]
impl Remote for OneUser {
    fn rotator(&self) -> Box<dyn Rotator> {
        Box::new(DualPassword::new(&self.server, self.defect))
    }

    fn secret(&self) -> String {
        format!(
            r#"{{"engine":"mysql","host":"model","username":"{USER}","password":"first-password"}}"#
        )
    }

    async fn accepts(&self, secret: &Secret) -> bool {
        let Ok(document) = secret.document() else { return false };
        document.required("password").is_ok_and(|password| self.server.accepts(USER, password))
    }

    async fn credentials(&self) -> Option<usize> {
        self.server.arrange(|accounts| accounts.get(USER).map(Account::passwords))
    }

    fn replaces(&self) -> bool {
        true
    }

    fn hour_passes(&self) {
        self.server.hour_passes();
        self.server.arrange(|accounts| accounts.values_mut().for_each(Account::catch_up));
    }

    fn remember(&self) {
        self.server.remember();
    }

    fn forget(&self) -> bool {
        self.server.forget();
        true
    }
}

#[test]
fn the_dual_password_strategy_survives_every_sweep() {
    assert_safe(&Dual::correct(PasswordRules::default()));
}

/// So many refused logins that nothing here locks the account: two or three at each of as many
/// deliveries as there are faults and one.
fn enough_attempts() -> u32 {
    if effort() == Effort::Short { 5 } else { 7 }
}

#[test]
fn it_survives_them_with_an_account_that_forbids_all_it_can() {
    assert_safe(&Dual::correct(PasswordRules {
        require_current: true,
        history: true,
        failed_login_attempts: enough_attempts(),
        lagging_reader: false,
    }));
}

#[test]
fn it_survives_a_reader_that_lags_behind() {
    let rules = PasswordRules { lagging_reader: true, ..PasswordRules::default() };
    for scenario in ["race: setSecret", "one crash, every step twice", "cancelled twice"] {
        let section = only(&Dual::correct(rules), Effort::Short, scenario).unwrap();
        assert!(section.violations.is_empty(), "{:#?}", section.violations);
    }
}

#[test]
fn retaining_whatever_is_primary_evicts_the_live_password() {
    let dual = Dual::with(Defect::PlainRetain);
    assert_caught_in(&dual, "race: setSecret", DEAD);
    assert_caught_in(&dual, "cancelled twice", DEAD);
    assert_caught_in(&dual, "rolled back after a rotation", DEAD);
}

#[test]
fn retaining_because_a_reader_lags_behind_evicts_the_live_password() {
    let rules = PasswordRules { lagging_reader: true, ..PasswordRules::default() };
    let dual = Dual { defect: Defect::PlainRetain, rules };
    assert_caught_in(&dual, "one crash, every step twice", DEAD);
}

#[test]
fn retaining_a_cancelled_password_evicts_the_live_one() {
    let dual = Dual::with(Defect::EvictingFallback);
    assert_caught_in(&dual, "cancelled twice", DEAD);
    assert_caught_in(&dual, "rolled back after a rotation", DEAD);
}

#[test]
fn without_the_fence_a_late_container_undoes_a_finished_rotation() {
    assert_caught_in(&Dual::with(Defect::NoFence), "frozen in setSecret, cancelled", DEAD);
}

#[test]
fn without_the_lock_a_late_container_evicts_the_live_password() {
    let scenario = "frozen in setSecret, after a cancelled one";
    assert_caught_in(&Dual::with(Defect::NoLock), scenario, DEAD);
}

#[test]
fn a_password_drawn_anew_is_never_the_recorded_one() {
    assert_caught(&Dual::with(Defect::Regenerated), STUCK);
}

#[test]
fn a_remembered_proposal_is_lost_with_its_process() {
    assert_caught(&Dual::with(Defect::Remembered), STUCK);
}

#[test]
fn what_a_process_remembers_to_have_applied_is_no_longer_true_in_the_next_rotation() {
    assert_caught_in(
        &Dual::with(Defect::AppliedOnce),
        "one crash, the same process for all",
        STUCK,
    );
}

#[test]
fn discarding_the_old_password_at_once_breaks_who_still_has_it() {
    let name = "AWSPREVIOUS does not log in after a rotation";
    assert_caught_in(&Dual::with(Defect::DiscardsAtOnce), "one crash in three rotations", name);
}

#[test]
fn the_password_history_refuses_what_was_applied_already() {
    let rules = PasswordRules { history: true, ..PasswordRules::default() };
    let dual = Dual { defect: Defect::TrustsHistory, rules };
    assert_caught_in(&dual, "one crash in three rotations", STUCK);
}

#[test]
fn giving_up_where_awscurrent_is_dead_never_ends() {
    let name = "the next rotation never succeeds";
    let dual = Dual::with(Defect::CurrentOnly);
    assert_caught_in(&dual, "forgotten after a rotation", name);
    assert_caught_in(&dual, "frozen in finishSecret, cancelled", name);
}
