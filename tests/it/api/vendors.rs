//! Every shipped specification at a double of its vendor: three rotations by the real function,
//! while a client uses what is current.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fourstep_testing::{Double, DoubleKey, Fault, Manner};
use rotate_api::Specification;
use serde_json::Value;

use super::rows::VENDORS;
use super::support::{ADMIN, Files, redirected, shipped, specification};
use crate::support::program::fourstep;

/// A shipped specification and its vendor's double.
pub struct Vendor {
    pub file: &'static str,
    pub manner: Manner,
    /// The fields of the secret besides the key.
    pub secret: fn(&DoubleKey) -> Value,
    /// The field that holds the key.
    pub key: &'static str,
    /// The fields that a rotation changes.
    pub fields: &'static [&'static str],
    /// The admin's secret.
    pub admin: fn() -> Value,
    pub cap: Option<usize>,
    /// What the first key may do, as the vendor writes it.
    pub rights: &'static str,
    /// Whether the vendor says that a key is the one that the id beside it names.
    pub proves_ids: bool,
    /// The two slots or users, where there are such; the first is in use.
    pub slots: &'static [&'static str],
}

/// What a rotation does to keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// The vendor makes another.
    Issued,
    /// The value of one is set.
    Set,
    /// That of the user who is not in use is set.
    Turns,
    /// The value of the slot that is not in use is made anew.
    Slots,
    /// The value of one is made anew, and what it was works on.
    Lasting,
}

/// A vendor's double with one key, and the secret that holds it.
pub struct Account {
    pub double: Double,
    pub secret: Value,
    /// The specification, sent to the double.
    pub text: String,
}

impl Vendor {
    /// What a rotation does to keys.
    pub fn shape(&self) -> Shape {
        let specification = Specification::read(&specification(self.file)).unwrap();
        match (specification.issues(), specification.rolls()) {
            (true, _) => Shape::Issued,
            (false, false) if self.slots.is_empty() => Shape::Set,
            (false, false) => Shape::Turns,
            (false, true) if self.slots.is_empty() => Shape::Lasting,
            (false, true) => Shape::Slots,
        }
    }

    /// Whether the vendor makes keys.
    pub fn issues(&self) -> bool {
        self.shape() == Shape::Issued
    }

    /// Whether two keys are all that may be: the previous one goes before the next is made.
    pub fn is_narrow(&self) -> bool {
        self.cap == Some(2)
    }

    /// One whose keys are made a second apart: some vendors date them to the second.
    pub async fn account(&self) -> Account {
        let account = self.quick_account().await;
        let slow = Fault::Slow(Duration::from_millis(1100));
        if self.issues() {
            let path = issue_path(&specification(self.file));
            account.double.plan("POST", &path, slow, u32::MAX);
        }
        account
    }

    pub async fn quick_account(&self) -> Account {
        let double = Double::start(self.manner).await.unwrap();
        double.limits(self.cap, 0);
        let first = double.arrange(self.slots.first().copied());
        for slot in self.slots.iter().skip(1) {
            double.arrange(Some(slot));
        }
        double.grant(&first.id, self.rights);
        let mut secret = (self.secret)(&first);
        if secret[self.key].is_null() {
            secret[self.key] = first.value.as_str().into();
        }
        let text = redirected(&specification(self.file), &double);
        Account { double, secret, text }
    }
}

#[tokio::test]
async fn every_shipped_specification_is_here_and_passes_its_check() {
    let files = std::fs::read_dir(shipped()).unwrap();
    let files: BTreeSet<String> =
        files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    let listed: BTreeSet<String> = VENDORS.iter().map(|vendor| vendor.file.to_owned()).collect();
    assert_eq!(files, listed);
    let built_in: BTreeSet<String> =
        rotate_api::SHIPPED.iter().map(|(name, _)| format!("{name}.toml")).collect();
    assert_eq!(files, built_in);
    for file in files {
        let path = shipped().join(&file);
        let output = fourstep(&["spec", "check", path.to_str().unwrap()]).await;
        assert!(output.status.success(), "{file}: {}", String::from_utf8_lossy(&output.stdout));
        let text = specification(&file);
        assert!(text.contains("read_on = \"20") && text.contains("Not run against the live"));
    }
}

/// What a client saw that uses what is current, again and again.
#[derive(Debug, Default)]
struct Seen {
    calls: u32,
    failed: u32,
    /// Every value that was current, and how many keys lived when it came to be.
    values: Vec<(String, usize)>,
    most: usize,
}

/// What the double knows of a key: SendGrid puts the id before it, and Mailgun behind it. A password
/// may have any sign.
pub fn bare(value: &str) -> &str {
    match value.strip_prefix("SG.") {
        Some(rest) => rest.rsplit('.').next().unwrap(),
        None => value.rsplit_once("-id0").map_or(value, |(key, _)| key),
    }
}

async fn use_current(double: &Double, files: &Files, key: &str, ended: &AtomicBool) -> Seen {
    let mut seen = Seen::default();
    loop {
        // Asked before the look, so that the last rotation's value is seen however late this is.
        let last = ended.load(Ordering::Relaxed);
        // The file is replaced as a whole, when a rotation is done.
        let secret: Value = serde_json::from_str(&files.secret()).unwrap();
        let value = secret[key].as_str().unwrap();
        seen.calls += 1;
        seen.failed += u32::from(!double.works(bare(value)));
        let live = double.live().len();
        seen.most = seen.most.max(live);
        if seen.values.last().is_none_or(|(last, _)| last != value) {
            seen.values.push((value.to_owned(), live));
        }
        if last {
            return seen;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Where keys are made: some vendors date them to the second, so they are made a second apart.
fn issue_path(text: &str) -> String {
    let after = |text: &str, start: &str| text.split_once(start).map(|(_, rest)| rest.to_owned());
    let base = after(text, "base_url = \"https://").unwrap();
    let base = base.split('"').next().unwrap();
    let base = base.split_once('/').map_or(String::new(), |(_, path)| format!("/{path}"));
    let path =
        after(text, "[issue]").and_then(|issue| after(&issue, "path = \"")).unwrap_or_default();
    format!("{base}{}", path.split(['{', '"']).next().unwrap())
}

async fn rotate_three_times(vendor: &Vendor) {
    let Account { double, secret, text } = vendor.account().await;
    let admin = (vendor.admin)();
    let files = Files::new(&text, &secret.to_string(), Some(&admin));
    let ended = AtomicBool::new(false);
    let rotations = async {
        let output = files.replay(!admin.is_null(), &["--json", "--rotations", "3"]).await;
        ended.store(true, Ordering::Relaxed);
        output
    };
    let (output, seen) = tokio::join!(rotations, use_current(&double, &files, vendor.key, &ended));
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}: {shown}", vendor.file);
    let lived: Vec<usize> = seen.values.iter().map(|(_, live)| *live).collect();
    // The first one carries no label. Where nothing says that it is the key that the secret's id
    // names, it is left for a person to revoke.
    let first = usize::from(!vendor.proves_ids);
    let shape = vendor.shape();
    let (lives, work) = match shape {
        Shape::Issued => ([1, 2, 2 + first, 2 + first], [first == 1, false, true, true]),
        Shape::Set => ([1; 4], [false, false, false, true]),
        Shape::Slots | Shape::Turns => ([2; 4], [false, false, true, true]),
        Shape::Lasting => ([1, 2, 3, 4], [true; 4]),
    };
    assert_eq!(lived, lives, "{}", vendor.file);
    let cap = vendor.cap.unwrap_or(usize::MAX);
    assert!(seen.most <= cap.min(4), "{}: {} keys lived at once", vendor.file, seen.most);
    let works: Vec<bool> = seen.values.iter().map(|(value, _)| double.works(bare(value))).collect();
    assert_eq!(works, work, "{}", vendor.file);
    assert!(seen.values.iter().all(|(value, _)| !shown.contains(value)), "{}", vendor.file);
    assert!(!shown.contains(ADMIN) && seen.calls > 100, "{}: {} calls", vendor.file, seen.calls);
    // What is set in place cannot work beside what it replaces.
    let refused = seen.failed > 0 && shape != Shape::Set;
    assert!(!refused, "{}: {} calls failed", vendor.file, seen.failed);
}

#[tokio::test]
async fn three_rotations_leave_two_live_keys_and_current_always_works() {
    futures_util::future::join_all(VENDORS.iter().map(rotate_three_times)).await;
}
