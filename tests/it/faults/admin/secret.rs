//! The admin's secret: what names it, whether it can be read, what is in it.

use std::sync::Arc;

use fourstep::store::{AWSCURRENT, StoreError, StoreErrorCode};
use fourstep::{ErrorKind, SecretId, Step};
use fourstep_local::{Fault, NewValue};
use serde_json::{Value, json};

use super::{ALTERNATING, BY_ADMIN, Playing};
use crate::faults::case::{ADMIN_SECRET, Case, Ground, Left, Row, Share};
use crate::faults::play;
use crate::faults::site::Site;
use crate::support::stage::new_token;

pub fn all<S: Site>(ground: &Arc<Ground<S>>) -> Vec<Playing> {
    let mut all: Vec<Playing> = Vec::new();
    for named in &NAMED {
        let ground = Arc::clone(ground);
        all.push(Box::pin(async move { named.play(&ground).await }));
    }
    for held in &HELD {
        let ground = Arc::clone(ground);
        all.push(Box::pin(async move { held.play(&ground).await }));
    }
    for unread in &UNREAD {
        let ground = Arc::clone(ground);
        all.push(Box::pin(async move { unread.play(&ground).await }));
    }
    all.extend(play!(ground; an_admin_that_is_not_there));
    all
}

/// What is in `masterarn`.
struct Named {
    name: &'static str,
    cause: &'static str,
    strategy: &'static str,
    masterarn: fn() -> Value,
    step: Step,
    kind: ErrorKind,
}

const MISSING: &str = "a secret that names no admin";

const NAMED: [Named; 6] = [
    Named {
        name: "no masterarn",
        cause: MISSING,
        strategy: BY_ADMIN,
        masterarn: || Value::Null,
        step: Step::Create,
        kind: ErrorKind::Malformed,
    },
    Named {
        name: "no masterarn, with two users",
        cause: MISSING,
        strategy: ALTERNATING,
        masterarn: || json!(""),
        step: Step::Create,
        kind: ErrorKind::Malformed,
    },
    Named {
        name: "a masterarn that is no ARN",
        cause: "",
        strategy: BY_ADMIN,
        masterarn: || json!("the secret of the admin, \u{fc}ber alles"),
        step: Step::Create,
        kind: ErrorKind::Malformed,
    },
    Named {
        name: "a masterarn that is a list",
        cause: "",
        strategy: BY_ADMIN,
        masterarn: || json!([ADMIN_SECRET]),
        step: Step::Create,
        kind: ErrorKind::Malformed,
    },
    Named {
        name: "a masterarn that names the secret itself",
        cause: "",
        strategy: BY_ADMIN,
        masterarn: || json!("stage"),
        step: Step::Set,
        kind: ErrorKind::Unsupported,
    },
    Named {
        name: "a masterarn of a secret that is not there",
        cause: "",
        strategy: ALTERNATING,
        masterarn: || json!("no-such-secret"),
        step: Step::Create,
        kind: ErrorKind::NotFound,
    },
];

impl Named {
    async fn play<S: Site>(&self, ground: &Arc<Ground<S>>) -> Row {
        let case = Case::administered(ground, self.name, self.strategy, &[]).await;
        let mut case = if self.cause.is_empty() { case } else { case.cause(self.cause) };
        case.edit(|document| document["masterarn"] = (self.masterarn)());
        case.ends(self.step, self.kind, Share::AtOnce, Left::Unchanged).await;
        case.correct();
        case.converges().await
    }
}

/// What is in the admin's secret.
pub struct Held {
    pub name: &'static str,
    pub strategy: &'static str,
    pub step: Step,
    pub kind: ErrorKind,
    pub change: fn(&mut Value),
}

const HELD: [Held; 7] = [
    Held {
        name: "an admin's secret without a password",
        strategy: BY_ADMIN,
        step: Step::Set,
        kind: ErrorKind::Malformed,
        change: |document| document["password"] = Value::Null,
    },
    Held {
        name: "an admin's secret that is no object",
        strategy: ALTERNATING,
        step: Step::Create,
        kind: ErrorKind::Malformed,
        change: |document| *document = json!(["canary-of-an-admin"]),
    },
    Held {
        name: "an admin's secret for another kind of server",
        strategy: ALTERNATING,
        step: Step::Create,
        kind: ErrorKind::Malformed,
        change: |document| document["engine"] = json!("oracle"),
    },
    Held {
        name: "an admin's secret that does not say where its database is",
        strategy: BY_ADMIN,
        step: Step::Set,
        kind: ErrorKind::Malformed,
        change: |document| {
            let document = document.as_object_mut().unwrap();
            document.retain(|field, _| ["username", "password"].contains(&field.as_str()));
        },
    },
    Held {
        name: "an admin of another host",
        strategy: BY_ADMIN,
        step: Step::Set,
        kind: ErrorKind::Mismatch,
        change: |document| document["host"] = json!("other.example"),
    },
    Held {
        name: "an admin of another port",
        strategy: ALTERNATING,
        step: Step::Create,
        kind: ErrorKind::Mismatch,
        change: |document| document["port"] = json!(1),
    },
    Held {
        name: "an admin whose password is refused",
        strategy: ALTERNATING,
        step: Step::Create,
        kind: ErrorKind::Rejected,
        change: |document| document["password"] = json!("canary-another-password"),
    },
];

impl Held {
    pub async fn play<S: Site>(&self, ground: &Arc<Ground<S>>) -> Row {
        let mut case = Case::administered(ground, self.name, self.strategy, &[]).await;
        store(&case, self.change);
        case.ends(self.step, self.kind, Share::AtOnce, Left::Unchanged).await;
        store(&case, |_| ());
        case.converges().await
    }
}

/// Stores what the admin's secret should hold, with this change.
fn store<S: Site>(case: &Case<S>, change: impl FnOnce(&mut Value)) {
    let mut document = case.ground.server.document(case.admin.as_ref().unwrap());
    change(&mut document);
    let value = document.to_string();
    let value = NewValue::labelled(&new_token(), value.as_str(), &[AWSCURRENT]);
    case.stage.store.put(&SecretId::parse(ADMIN_SECRET).unwrap(), value).unwrap();
}

/// The admin goes another way than the user does, and nobody is there.
async fn an_admin_that_is_not_there<S: Site>(ground: Arc<Ground<S>>) -> Row {
    let name = "an admin whose own port is closed";
    let (host, port) = (ground.server.host(), ground.server.port());
    let same = format!("{host}:1={host}:{port}");
    let variables = [("SAME_DATABASE_HOSTS", same.as_str())];
    let mut case = Case::administered(&ground, name, ALTERNATING, &variables).await;
    store(&case, |document| document["port"] = json!(1));
    case.ends(Step::Create, ErrorKind::Unreachable, Share::AtOnce, Left::Unchanged).await;
    store(&case, |_| ());
    case.converges().await
}

/// How reading the admin's secret fails, through HTTP and the real SDK.
struct Unread {
    name: &'static str,
    code: StoreErrorCode,
    words: &'static str,
    kind: ErrorKind,
}

const UNREAD: [Unread; 4] = [
    Unread {
        name: "an admin's secret that the role may not read",
        code: StoreErrorCode::AccessDenied,
        words: "User: arn:aws:sts::111122223333:assumed-role/rotate/rotate is not authorized to \
                perform: secretsmanager:GetSecretValue on resource: db-admin because no \
                identity-based policy allows the secretsmanager:GetSecretValue action",
        kind: ErrorKind::Forbidden,
    },
    Unread {
        name: "an admin's secret whose key the role may not use",
        code: StoreErrorCode::AccessDenied,
        words: "Access to KMS is not allowed",
        kind: ErrorKind::Forbidden,
    },
    Unread {
        name: "an admin's secret marked for deletion",
        code: StoreErrorCode::InvalidRequest,
        words: "You can't perform this operation on the secret because it was marked for deletion.",
        kind: ErrorKind::Conflict,
    },
    Unread {
        name: "a masterarn that Secrets Manager does not take for one",
        code: StoreErrorCode::InvalidParameter,
        words: "Invalid name. Must be a valid name containing alphanumeric characters, or any of \
                the following: -/_+=.@!",
        kind: ErrorKind::Malformed,
    },
];

impl Unread {
    async fn play<S: Site>(&self, ground: &Arc<Ground<S>>) -> Row {
        let case = Case::administered(ground, self.name, BY_ADMIN, &[]).await;
        let (mut case, _door) = case.through_the_sdk().await;
        let (code, words) = (self.code, self.words);
        case.reach(Step::Set).await;
        case.stage.store.set_faults(move |_, call| match (call.operation, call.secret) {
            ("GetSecretValue", ADMIN_SECRET) => Fault::Fail(StoreError::new(code, words)),
            _ => Fault::Proceed,
        });
        case.ends(Step::Set, self.kind, Share::AtOnce, Left::Unchanged).await;
        case.converges().await
    }
}
