//! Single user: one password.

use super::assert_safe;
use crate::conformance;
use crate::models::SinglePassword;

#[test]
fn the_single_user_strategy_survives_every_sweep() {
    assert_safe(&SinglePassword);
}

#[tokio::test]
async fn the_single_user_strategy_conforms() {
    let report = conformance(&SinglePassword).await;
    eprintln!("{report}");
    report.assert_safe();
}
