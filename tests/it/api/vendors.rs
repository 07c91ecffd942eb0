//! Every shipped specification at a double of its vendor: three rotations by the real function,
//! while a client uses what is current.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fourstep_testing::{Double, DoubleKey, Fault, Manner};
use rotate_api::Specification;
use serde_json::{Value, json};

use super::support::{ADMIN, Files, redirected, shipped, specification};
use super::{doubles, doubles_more};
use crate::support::program::fourstep;

/// A shipped specification and its vendor's double.
pub struct Vendor {
    pub file: &'static str,
    manner: Manner,
    /// The fields of the secret besides the key.
    secret: fn(&DoubleKey) -> Value,
    /// The field that holds the key.
    pub key: &'static str,
    /// The fields that a rotation changes.
    pub fields: &'static [&'static str],
    /// The admin's secret.
    pub admin: fn() -> Value,
    cap: Option<usize>,
    /// What the first key may do, as the vendor writes it.
    pub rights: &'static str,
    /// Whether the vendor says that a key is the one that the id beside it names.
    pub proves_ids: bool,
}

/// A vendor's double with one key, and the secret that holds it.
pub struct Account {
    pub double: Double,
    pub secret: Value,
    /// The specification, sent to the double.
    pub text: String,
    /// Whether the vendor makes keys, and does not set the value of one.
    pub issues: bool,
}

impl Vendor {
    /// Whether the vendor makes keys, and does not set the value of one.
    pub fn issues(&self) -> bool {
        specification(self.file).contains("\n[issue]")
    }

    /// Whether two keys are all that may be: the previous one goes before the next is made.
    pub fn is_narrow(&self) -> bool {
        self.cap == Some(2)
    }

    /// One whose keys are made a second apart: some vendors date them to the second.
    pub async fn account(&self) -> Account {
        let account = self.quick_account().await;
        let slow = Fault::Slow(Duration::from_millis(1100));
        let path = issue_path(&specification(self.file));
        account.double.plan("POST", &path, slow, u32::MAX);
        account
    }

    pub async fn quick_account(&self) -> Account {
        let double = Double::start(self.manner).await.unwrap();
        double.limits(self.cap, 0);
        let first = double.arrange(None);
        double.grant(&first.id, self.rights);
        let mut secret = (self.secret)(&first);
        if secret[self.key].is_null() {
            secret[self.key] = first.value.as_str().into();
        }
        let text = specification(self.file);
        let issues = Specification::read(&text).unwrap().issues();
        let text = redirected(&text, &double);
        Account { double, secret, text, issues }
    }
}

/// What most vendors are.
const USUAL: Vendor = Vendor {
    file: "",
    manner: |_, _| panic!("every vendor has a manner of its own"),
    secret: |_| Value::Null,
    key: "",
    fields: &[],
    admin: || Value::Null,
    cap: None,
    rights: "",
    proves_ids: true,
};

/// To add a vendor: its specification (named in `SHIPPED`), how its double answers, and a row here.
pub const VENDORS: [Vendor; 13] = [
    Vendor {
        file: "sendgrid.toml",
        manner: doubles::sendgrid,
        secret: |key| {
            let value = format!("SG.{}.{}", key.id, key.value);
            json!({"masterarn": "admin", "api_key_id": key.id, "api_key": value})
        },
        key: "api_key",
        fields: &["api_key_id", "api_key"],
        admin: || json!({"api_key": ADMIN}),
        cap: Some(100),
        rights: r#"["mail.send"]"#,
        ..USUAL
    },
    Vendor {
        file: "cloudflare.toml",
        manner: doubles::cloudflare,
        secret: |key| json!({"masterarn": "admin", "token_id": key.id}),
        key: "token",
        fields: &["token_id", "token"],
        admin: || json!({"token": ADMIN}),
        rights: r#"{"condition":{"request_ip":{"in":["192.0.2.0/24"]}},"expires_on":"2030-01-01T00:00:00Z","policies":[{"effect":"allow"}]}"#,
        ..USUAL
    },
    Vendor {
        file: "okta-client-secret.toml",
        manner: doubles::okta,
        secret: |key| json!({"masterarn": "admin", "client_id": "0oaclient", "secret_id": key.id}),
        key: "client_secret",
        fields: &["secret_id", "client_secret"],
        admin: || json!({"api_token": ADMIN}),
        cap: Some(2),
        ..USUAL
    },
    Vendor {
        file: "entra-client-secret.toml",
        manner: doubles::entra,
        secret: |key| {
            let [tenant, object] = ["tenant", "object"];
            json!({"tenant_id": tenant, "object_id": object, "client_id": "app", "key_id": key.id})
        },
        key: "client_secret",
        fields: &["key_id", "client_secret"],
        proves_ids: false,
        ..USUAL
    },
    Vendor {
        file: "grafana-password.toml",
        manner: doubles::grafana,
        secret: |_| json!({"username": "rotated"}),
        key: "password",
        fields: &["password"],
        ..USUAL
    },
    Vendor {
        file: "influxdb.toml",
        manner: doubles::influxdb,
        secret: |key| json!({"masterarn": "admin", "authorization_id": key.id, "org_id": "org"}),
        key: "token",
        fields: &["authorization_id", "token"],
        admin: || json!({"token": ADMIN}),
        rights: r#"[{"action":"read"}]"#,
        ..USUAL
    },
    Vendor {
        file: "twilio.toml",
        manner: doubles::twilio,
        secret: |key| json!({"masterarn": "admin", "account_sid": "AC1", "sid": key.id}),
        key: "secret",
        fields: &["sid", "secret"],
        admin: || json!({"sid": "SKmain", "secret": ADMIN}),
        ..USUAL
    },
    Vendor {
        file: "cloudflare-account.toml",
        manner: doubles::cloudflare,
        secret: |key| json!({"masterarn": "admin", "account_id": "acc", "token_id": key.id}),
        key: "token",
        fields: &["token_id", "token"],
        admin: || json!({"token": ADMIN}),
        rights: r#"{"condition":{"request_ip":{"in":["192.0.2.0/24"]}},"policies":[{"effect":"allow"}]}"#,
        ..USUAL
    },
    Vendor {
        file: "elasticsearch-api-key.toml",
        manner: doubles_more::elasticsearch,
        secret: |key| json!({"masterarn": "admin", "id": key.id}),
        key: "encoded",
        fields: &["id", "encoded"],
        admin: || json!({"username": "rotator", "password": ADMIN}),
        rights: r#"{"r":{"cluster":["monitor"]}}"#,
        ..USUAL
    },
    Vendor {
        file: "gitlab-group-token.toml",
        manner: doubles_more::gitlab,
        secret: |key| json!({"masterarn": "admin", "group_id": "7", "token_id": key.id}),
        key: "token",
        fields: &["token_id", "token"],
        admin: || json!({"token": ADMIN}),
        rights: r#"{"access_level":20,"scopes":["read_api"]}"#,
        ..USUAL
    },
    Vendor {
        file: "gitlab-project-token.toml",
        manner: doubles_more::gitlab,
        secret: |key| json!({"masterarn": "admin", "project_id": "7", "token_id": key.id}),
        key: "token",
        fields: &["token_id", "token"],
        admin: || json!({"token": ADMIN}),
        rights: r#"{"access_level":20,"scopes":["read_api"]}"#,
        ..USUAL
    },
    Vendor {
        file: "launchdarkly.toml",
        manner: doubles_more::launchdarkly,
        secret: |key| json!({"masterarn": "admin", "token_id": key.id}),
        key: "token",
        fields: &["token_id", "token"],
        admin: || json!({"token": ADMIN}),
        rights: r#"{"inlineRole":[{"effect":"allow"}],"serviceToken":true}"#,
        ..USUAL
    },
    Vendor {
        file: "neon.toml",
        manner: doubles_more::neon,
        secret: |key| json!({"key_id": key.id}),
        key: "key",
        fields: &["key_id", "key"],
        proves_ids: false,
        ..USUAL
    },
];

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

/// What the double knows of a key: SendGrid puts the id before it. A password may have any sign.
pub fn bare(value: &str) -> &str {
    match value.strip_prefix("SG.") {
        Some(rest) => rest.rsplit('.').next().unwrap(),
        None => value,
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
    let Account { double, secret, text, issues } = vendor.account().await;
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
    let two = if issues { 2 } else { 1 };
    // The first one carries no label. Where nothing says that it is the key that the secret's id
    // names, it is left for a person to revoke.
    let first = usize::from(!vendor.proves_ids);
    assert_eq!(lived, [1, two, two + first, two + first], "{}", vendor.file);
    let cap = vendor.cap.unwrap_or(usize::MAX);
    assert!(seen.most <= cap.min(3 + first), "{}: {} keys lived at once", vendor.file, seen.most);
    let works: Vec<bool> = seen.values.iter().map(|(value, _)| double.works(bare(value))).collect();
    assert_eq!(works, [first == 1, false, issues, true], "{}", vendor.file);
    assert!(seen.values.iter().all(|(value, _)| !shown.contains(value)), "{}", vendor.file);
    assert!(!shown.contains(ADMIN) && seen.calls > 100, "{}: {} calls", vendor.file, seen.calls);
    // What is set in place cannot work beside what it replaces.
    assert!(seen.failed == 0 || !issues, "{}: {} calls failed", vendor.file, seen.failed);
}

#[tokio::test]
async fn three_rotations_leave_two_live_keys_and_current_always_works() {
    futures_util::future::join_all(VENDORS.iter().map(rotate_three_times)).await;
}
