//! Secrets Manager fails, through HTTP and the real SDK.

use std::sync::Arc;

use fourstep::store::{AWSPENDING, StoreError, StoreErrorCode};
use fourstep::{ErrorKind, Step};
use fourstep_local::Fault;

use super::case::{Case, Ground, Left, Row, Share};
use super::{Playing, play};
use crate::support::door::Way;

pub fn all(ground: &Arc<Ground>) -> Vec<Playing> {
    let mut all = play!(ground; a_service_that_never_answers, a_service_that_is_cut_off,
        a_service_that_nobody_listens_for, a_service_that_does_not_resolve,
        a_service_that_speaks_something_else, an_answer_that_is_lost_at_the_end,
        a_secret_marked_for_deletion, a_rotation_turned_off, a_rotation_that_was_cancelled,
        a_version_without_a_value);
    all.extend(FAILING.iter().map(|failing| -> Playing {
        let ground = Arc::clone(ground);
        Box::pin(async move { failing.play(&ground).await })
    }));
    all
}

/// One operation of the service fails in one step, however often the SDK tries again.
struct Failing {
    name: &'static str,
    step: Step,
    operation: &'static str,
    code: StoreErrorCode,
    /// AWS's own words, where they are known.
    words: &'static str,
    kind: ErrorKind,
}

const FAILING: [Failing; 11] = [
    Failing {
        name: "throttled by Secrets Manager",
        step: Step::Create,
        operation: "GetSecretValue",
        code: StoreErrorCode::Throttled,
        words: "Rate exceeded",
        kind: ErrorKind::Throttled,
    },
    Failing {
        name: "credentials that have ended",
        step: Step::Set,
        operation: "GetSecretValue",
        code: StoreErrorCode::Expired,
        words: "The security token included in the request is expired",
        kind: ErrorKind::Unreachable,
    },
    Failing {
        name: "a role that may not read the secret",
        step: Step::Create,
        operation: "GetSecretValue",
        code: StoreErrorCode::AccessDenied,
        words: "User: arn:aws:sts::111122223333:assumed-role/rotate/rotate is not authorized to \
                perform: secretsmanager:GetSecretValue on resource: app/db because no \
                identity-based policy allows the secretsmanager:GetSecretValue action",
        kind: ErrorKind::Forbidden,
    },
    Failing {
        name: "a role that may not use the key to read",
        step: Step::Create,
        operation: "GetSecretValue",
        code: StoreErrorCode::AccessDenied,
        words: "Access to KMS is not allowed",
        kind: ErrorKind::Forbidden,
    },
    Failing {
        name: "a role that may not use the key to write",
        step: Step::Create,
        operation: "PutSecretValue",
        code: StoreErrorCode::AccessDenied,
        words: "Access to KMS is not allowed",
        kind: ErrorKind::Forbidden,
    },
    Failing {
        name: "a key that does not decrypt",
        step: Step::Set,
        operation: "GetSecretValue",
        code: StoreErrorCode::DecryptionFailure,
        words: "Secrets Manager can't decrypt the protected secret text using the provided KMS key.",
        kind: ErrorKind::Forbidden,
    },
    Failing {
        name: "a key that does not encrypt",
        step: Step::Create,
        operation: "PutSecretValue",
        code: StoreErrorCode::EncryptionFailure,
        words: "Secrets Manager can't encrypt the protected secret text using the provided KMS key.",
        kind: ErrorKind::Forbidden,
    },
    Failing {
        name: "a secret with too many versions",
        step: Step::Create,
        operation: "PutSecretValue",
        code: StoreErrorCode::LimitExceeded,
        words: "The request failed because it would exceed one of the Secrets Manager quotas.",
        kind: ErrorKind::Throttled,
    },
    Failing {
        name: "a service that fails",
        step: Step::Set,
        operation: "DescribeSecret",
        code: StoreErrorCode::Internal,
        words: "An error occurred on the server side.",
        kind: ErrorKind::Unreachable,
    },
    Failing {
        name: "a role that may not move AWSCURRENT",
        step: Step::Finish,
        operation: "UpdateSecretVersionStage",
        code: StoreErrorCode::AccessDenied,
        words: "User: arn:aws:sts::111122223333:assumed-role/rotate/rotate is not authorized to \
                perform: secretsmanager:UpdateSecretVersionStage",
        kind: ErrorKind::Forbidden,
    },
    Failing {
        name: "a secret that is not there",
        step: Step::Create,
        operation: "DescribeSecret",
        code: StoreErrorCode::NotFound,
        words: "Secrets Manager can't find the specified secret.",
        kind: ErrorKind::NotFound,
    },
];

impl Failing {
    async fn play(&'static self, ground: &Arc<Ground>) -> Row {
        let (mut case, _door) =
            Case::new(ground, self.name, &[], |_| ()).await.through_the_sdk().await;
        case.reach(self.step).await;
        case.stage.store.set_faults(|_, call| {
            if call.operation == self.operation {
                Fault::Fail(StoreError::new(self.code, self.words))
            } else {
                Fault::Proceed
            }
        });
        case.ends(self.step, self.kind, Share::AtOnce, Left::Unchanged).await;
        case.converges().await
    }
}

/// The door to the service opens in this way for one step.
async fn behind_a_door(
    ground: &Arc<Ground>,
    name: &'static str,
    way: Way,
    kind: ErrorKind,
    (seconds, share): (u64, Share),
) -> Row {
    let (mut case, door) = Case::new(ground, name, &[], |_| ()).await.through_the_sdk().await;
    case.seconds = seconds;
    door.set(way);
    case.ends(Step::Create, kind, share, Left::Unchanged).await;
    door.set(Way::To(case.service_port()));
    case.converges().await
}

async fn a_service_that_never_answers(ground: Arc<Ground>) -> Row {
    let name = "Secrets Manager never answers";
    let (kind, time) = (ErrorKind::OutOfTime, (8, Share::AtDeadline));
    behind_a_door(&ground, name, Way::Silent, kind, time).await
}

async fn a_service_that_is_cut_off(ground: Arc<Ground>) -> Row {
    let name = "connections to Secrets Manager are closed";
    let (kind, time) = (ErrorKind::Unreachable, (24, Share::AtOnce));
    behind_a_door(&ground, name, Way::Closed, kind, time).await
}

async fn a_service_that_speaks_something_else(ground: Arc<Ground>) -> Row {
    let name = "something else answers for Secrets Manager";
    let (kind, time) = (ErrorKind::Unreachable, (24, Share::AtOnce));
    let answer =
        b"HTTP/1.1 403 Forbidden\r\nContent-Length: 7\r\nConnection: close\r\n\r\nno way\n";
    behind_a_door(&ground, name, Way::Says(answer), kind, time).await
}

/// The function calls Secrets Manager where nobody is, and then where it should.
async fn elsewhere(ground: &Arc<Ground>, name: &'static str, endpoint: &str) -> Row {
    let mut case = Case::new(ground, name, &[], |_| ()).await;
    case.call(endpoint).await;
    case.ends(Step::Create, ErrorKind::Unreachable, Share::Before, Left::Unchanged).await;
    let (case, _door) = case.through_the_sdk().await;
    case.converges().await
}

async fn a_service_that_nobody_listens_for(ground: Arc<Ground>) -> Row {
    elsewhere(&ground, "nobody listens for Secrets Manager", "http://127.0.0.1:1").await
}

async fn a_service_that_does_not_resolve(ground: Arc<Ground>) -> Row {
    let name = "the name of Secrets Manager does not resolve";
    elsewhere(&ground, name, "http://no-such-endpoint.invalid").await
}

/// AWSCURRENT was moved, and no answer says so.
async fn an_answer_that_is_lost_at_the_end(ground: Arc<Ground>) -> Row {
    let name = "the answer to the promotion is lost";
    let mut case = Case::new(&ground, name, &[], |_| ()).await;
    case.reach(Step::Finish).await;
    case.stage.store.set_faults(|_, call| match call.operation {
        "UpdateSecretVersionStage" => Fault::LoseAnswer,
        _ => Fault::Proceed,
    });
    case.ends(Step::Finish, ErrorKind::Unreachable, Share::AtOnce, Left::Unchanged).await;
    case.converges().await
}

async fn a_secret_marked_for_deletion(ground: Arc<Ground>) -> Row {
    let name = "a secret marked for deletion";
    let (mut case, _door) = Case::new(&ground, name, &[], |_| ()).await.through_the_sdk().await;
    // The store can delete, but not restore.
    let words =
        "You can't perform this operation on the secret because it was marked for deletion.";
    case.stage.store.set_faults(move |_, call| match call.operation {
        "GetSecretValue" => Fault::Fail(StoreError::new(StoreErrorCode::InvalidRequest, words)),
        _ => Fault::Proceed,
    });
    case.ends(Step::Create, ErrorKind::Conflict, Share::AtOnce, Left::Unchanged).await;
    case.converges().await
}

async fn a_rotation_turned_off(ground: Arc<Ground>) -> Row {
    let mut case = Case::new(&ground, "a rotation that was turned off", &[], |_| ()).await;
    case.reach(Step::Set).await;
    case.stage.store.cancel_rotation(&case.stage.secret).unwrap();
    case.ends(Step::Set, ErrorKind::NotStaged, Share::AtOnce, Left::Unchanged).await;
    case.discard();
    case.begin();
    case.converges().await
}

async fn a_rotation_that_was_cancelled(ground: Arc<Ground>) -> Row {
    let name = "a late step of a rotation that was discarded";
    let mut case = Case::new(&ground, name, &[], |_| ()).await;
    case.reach(Step::Set).await;
    case.discard();
    case.ends(Step::Set, ErrorKind::NotStaged, Share::AtOnce, Left::Unchanged).await;
    case.begin();
    case.converges().await
}

/// setSecret without a createSecret, or before its value can be read.
async fn a_version_without_a_value(ground: Arc<Ground>) -> Row {
    let mut case = Case::new(&ground, "a version that has no value", &[], |_| ()).await;
    case.reach(Step::Set).await;
    case.stage.store.set_faults(|_, call| match call.label {
        Some(AWSPENDING) => Fault::Fail(StoreError::new(StoreErrorCode::NotFound, "no value")),
        _ => Fault::Proceed,
    });
    case.ends(Step::Set, ErrorKind::NotFound, Share::AtOnce, Left::Unchanged).await;
    case.converges().await
}
