//! Two passwords: the strategy as functions have it. What each part of it is for is shown with a
//! rotator of the same order and one defect at a time, in `dual_password`.

use super::{assert_safe, effort};
use crate::models::{PasswordRules, TwoPasswords};
use crate::sweep::only;
use crate::{Effort, conformance};

fn with(rules: PasswordRules) -> TwoPasswords {
    TwoPasswords { rules }
}

#[test]
fn the_dual_password_strategy_survives_every_sweep() {
    assert_safe(&TwoPasswords::default());
}

#[test]
fn it_survives_them_with_an_account_that_forbids_all_it_can() {
    // So many refused logins that nothing here locks the account: two or three at each of as many
    // deliveries as there are faults and one.
    let failed_login_attempts = if effort() == Effort::Short { 5 } else { 7 };
    assert_safe(&with(PasswordRules {
        require_current: true,
        history: true,
        failed_login_attempts,
        lagging_reader: false,
    }));
}

#[test]
fn it_survives_a_reader_that_lags_behind() {
    let rules = PasswordRules { lagging_reader: true, ..PasswordRules::default() };
    for scenario in ["race: setSecret", "one crash, every step twice", "cancelled twice"] {
        let section = only(&with(rules), Effort::Short, scenario).unwrap();
        assert!(section.violations.is_empty(), "{:#?}", section.violations);
    }
}

#[tokio::test]
async fn the_dual_password_strategy_conforms() {
    let report = conformance(&TwoPasswords::default()).await;
    eprintln!("{report}");
    report.assert_safe();
}
