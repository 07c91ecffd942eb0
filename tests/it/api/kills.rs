//! The real function killed at its calls, at the double of every shipped specification's vendor.

use crate::support::program::{every_point, survived};

use super::rows::VENDORS;
use super::support::Files;
use super::vendors::{Account, bare};

/// So many vendors share the points of a rotation, each another part: by hand each has them all.
const PARTS: usize = 9;

#[tokio::test]
async fn a_function_killed_at_its_calls_for_any_shipped_vendor_locks_nobody_out() {
    let all = VENDORS.iter().enumerate().map(async |(at, vendor)| {
        let Account { double, secret, text } = vendor.account().await;
        let admin = (vendor.admin)();
        let files = Files::new(&text, &secret.to_string(), Some(&admin));
        let points = match every_point() {
            true => "all".to_owned(),
            false => format!("{}/{PARTS}", at % PARTS + 1),
        };
        let output = files.replay(!admin.is_null(), &["--json", "--crash", &points]).await;
        let (points, shown) = survived(&output);
        assert!(!points.is_empty(), "{}: {shown}", vendor.file);
        let current: serde_json::Value = serde_json::from_str(&files.secret()).unwrap();
        let current = current[vendor.key].as_str().unwrap();
        assert!(double.works(bare(current)), "{}: {shown}", vendor.file);
        assert!(!shown.contains(bare(current)), "{}", vendor.file);
        eprintln!("{}: {} points, {} keys", vendor.file, points.len(), double.live().len());
    });
    futures_util::future::join_all(all).await;
}
