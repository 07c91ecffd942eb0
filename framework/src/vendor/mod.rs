//! Keys of vendors, over three small traits: [`Issuer`], whose vendor makes keys, [`Updater`], whose
//! vendor takes the value that it is given, and [`Roller`], whose vendor makes a value anew.
//!
//! [`IssuedKeys`], [`UpdatedKey`], [`PairedKey`] and [`RolledKey`] turn them into a
//! [`Rotator`](crate::Rotator): what may be revoked when, which key is ours, how long to wait for an eventually consistent vendor. An author
//! supplies requests and reads answers, and decides none of that.

mod capacity;
mod control;
mod issued;
mod label;
mod listing;
mod paired;
pub(crate) mod pauses;
mod plan;
mod proof;
mod retention;
mod rolled;
mod roller;
mod secrets;
mod updated;

use std::fmt;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use serde_json::Value;

use crate::error::{Error, Result};
use crate::ids::SecretId;
use crate::invocation::Invocation;
use crate::rotator::Verdict;
use crate::secret::Secret;

pub use issued::IssuedKeys;
pub use label::Label;
pub use paired::{Paired, PairedKey};
pub use rolled::RolledKey;
pub use roller::Roller;
pub use updated::UpdatedKey;

use control::{control, heeds_fields, heeds_keys, in_use};
use pauses::{pauses, spread, wait};
use secrets::{admin, check};

/// The longest that AWS lets a function run, which is 15 minutes (AWS Lambda Developer Guide,
/// "Lambda quotas"), and five more for a vendor whose clock differs. Until then a key that nobody
/// has recorded may still be recorded by the run that issued it.
pub const LONGEST_RUN: Duration = Duration::from_secs(20 * 60);

/// A vendor that issues keys: new ones work beside the old until these are revoked.
///
/// Every request may be repeated after a first one whose answer was lost. No error may hold a key
/// or anything that a vendor's answer says.
#[async_trait]
pub trait Issuer: Send + Sync {
    /// What the vendor offers.
    fn terms(&self) -> &Terms;

    /// The secret of whoever may issue and revoke keys, where the key itself may not.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`](crate::ErrorKind::Malformed), naming the field that should name it.
    fn admin(&self, _secret: &Secret) -> Result<Option<SecretId>> {
        Ok(None)
    }

    /// Whether the function asks in its own name, as by its role, whatever the secret holds. As where an
    /// admin asks, a key of the account must prove itself before anything is made or revoked there.
    fn asks_for_itself(&self) -> bool {
        false
    }

    /// Whether a version's secret is about the server that `own` names. Keys at another are others, whatever their ids.
    fn same_place(&self, _version: &Secret, _own: &Secret) -> bool {
        true
    }

    /// What a person does where the vendor's limit is reached and no key of the secret's may go.
    fn at_the_limit(&self) -> &'static str {
        "raise the limit or revoke another key"
    }

    /// The fields of the secret that a rotation changes; none where the secret is a plain text.
    fn fields(&self) -> &[String];

    /// The vendor's name for the key that a secret holds. Not a secret: it stands in errors. It is
    /// read without looking at the key: an id whose key is missing still names a key to keep.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`](crate::ErrorKind::Malformed), naming the field.
    fn id(&self, secret: &Secret) -> Result<String>;

    /// The field of the secret that holds the id, for messages.
    fn id_field(&self) -> Option<&str> {
        None
    }

    /// Makes a key that carries `label`, where the vendor keeps labels, and answers with `base`
    /// changed to hold it.
    ///
    /// `base` is AWSCURRENT and gives the document only: nobody has proven its key or its id. What
    /// the new key may do is what [`Caller::own`]'s key may, which is proven where an admin asks.
    async fn issue(
        &self,
        base: &Secret,
        label: &Label,
        caller: &Caller<'_>,
        cx: &Invocation,
    ) -> Result<Issued>;

    /// Shows `each` key of the account, or as many as the vendor shows, as they are read: an account
    /// may have more than fit into memory. Never a value.
    async fn list(
        &self,
        each: &mut (dyn FnMut(ListedKey) + Send),
        caller: &Caller<'_>,
        cx: &Invocation,
    ) -> Result<()>;

    /// Asks once whether a secret's key works; see [`Rotator::verify`](crate::Rotator::verify).
    ///
    /// # Errors
    /// [`ErrorKind::Mismatch`](crate::ErrorKind::Mismatch) if the vendor lets the key in and says that it is not the one that
    /// the secret's id names: that is no refusal, since the key is in use.
    async fn verify(&self, secret: &Secret, cx: &Invocation) -> Result<Verdict>;

    /// Whether the id that a secret holds is the id of the key beside it: `Some` only if the vendor
    /// says so, in this answer or in every one to [`verify`](Self::verify), which is asked as well.
    ///
    /// A key that carries no label of ours, as the one that a person stored first, is revoked only
    /// with `Some(true)`: the id beside it may have been pasted from another key.
    async fn belongs(
        &self,
        _secret: &Secret,
        _caller: &Caller<'_>,
        _turn: &Invocation,
    ) -> Result<Option<bool>> {
        Ok(None)
    }

    /// Revokes a key. One that is gone already is no error.
    async fn revoke(&self, id: &str, caller: &Caller<'_>, cx: &Invocation) -> Result<()>;

    /// Whether [`list`](Self::list) says when keys end by themselves: an inspection lists them then.
    fn tells_ends(&self) -> bool {
        false
    }

    /// Asks once about a key that is wrong and looks like the one that a secret holds: whoever lets
    /// that in proves nothing by letting in another, so each createSecret asks it before anything is
    /// made, and preflight does. `None` where that cannot be asked.
    async fn negative_control(
        &self,
        _secret: &Secret,
        _turn: &Invocation,
    ) -> Result<Option<Verdict>> {
        Ok(None)
    }

    /// The field of the secret that is taken for the credential's since `verify` names it, and that the
    /// vendor does not look at: with another value there it lets the key in all the same. Preflight
    /// asks of a key that works. What is no answer is no sign of that.
    async fn unheeded(&self, _secret: &Secret, _turn: &Invocation) -> Option<String> {
        None
    }

    /// Makes ready the request for a key, with all that it copies from another, and does not send it:
    /// preflight asks, so that what [`issue`](Self::issue) would refuse is known before.
    ///
    /// # Errors
    /// Those of `issue` that need no answer to it.
    async fn may_issue(&self, _caller: &Caller<'_>, _turn: &Invocation) -> Result<()> {
        Ok(())
    }

    /// Asks whether a key may be revoked, revoking none, where the vendor has a request for that.
    ///
    /// # Errors
    /// [`ErrorKind::Forbidden`](crate::ErrorKind::Forbidden) where none may be.
    async fn may_revoke(&self, _caller: &Caller<'_>, _turn: &Invocation) -> Result<()> {
        Ok(())
    }
}

/// A vendor, or a service of one's own, that takes a new value for a credential it has: the old one
/// stops working at that moment.
#[async_trait]
pub trait Updater: Send + Sync {
    /// The fields of the secret that a rotation changes; none where the secret is a plain text.
    fn fields(&self) -> &[String];

    /// The secret of whoever may set the value, where the credential itself may not.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`](crate::ErrorKind::Malformed), naming the field that should name it.
    fn admin(&self, _secret: &Secret) -> Result<Option<SecretId>> {
        Ok(None)
    }

    /// How long the vendor may take until a new value works everywhere.
    fn propagation(&self) -> Duration {
        Duration::ZERO
    }

    /// Whether [`update`](Self::update) has an effect only if `using` is the value until then, by
    /// logging in with it, or by naming it where nothing else lets the request in. A vendor may not
    /// look at the old value when an admin asks. Without that nothing stops an update that comes
    /// late, from a container that stood still, and it undoes a newer rotation; and `using` is
    /// asked about first, since whoever may write the secret must not take over an account by it.
    fn compares(&self) -> bool;

    /// How often the vendor may refuse a value in one step: AWSCURRENT's, AWSPENDING's, then older
    /// ones, and while it learns of a new one. It must be less than what the vendor locks an account
    /// after. Fewer than six may not find the value
    /// that a rotation left which was cancelled before another one was.
    fn attempts(&self) -> usize {
        6
    }

    /// Makes the next secret: `base` with a new value. Asks nobody.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`](crate::ErrorKind::Malformed), naming the field.
    fn propose(&self, base: &Secret) -> Result<Secret>;

    /// Reads what [`update`](Self::update) sets again beside the value, where the vendor would reset
    /// it. It is asked before the fence, so that nothing stands between that and the change.
    async fn kept(&self, _to: &Secret, _caller: &Caller<'_>, _turn: &Invocation) -> Result<Value> {
        Ok(Value::Null)
    }

    /// Sets the value of `to`, with what was [`kept`](Self::kept). `using` is what works until then, as
    /// far as is known.
    async fn update(
        &self,
        using: &Secret,
        to: &Secret,
        kept: &Value,
        caller: &Caller<'_>,
        cx: &Invocation,
    ) -> Result<Update>;

    /// As [`Issuer::same_place`]: a value for one server is shown to no other.
    fn same_place(&self, _version: &Secret, _own: &Secret) -> bool {
        true
    }

    /// Asks once whether a secret works; see [`Rotator::verify`](crate::Rotator::verify).
    async fn verify(&self, secret: &Secret, cx: &Invocation) -> Result<Verdict>;

    /// As [`Issuer::negative_control`].
    async fn negative_control(
        &self,
        _secret: &Secret,
        _turn: &Invocation,
    ) -> Result<Option<Verdict>> {
        Ok(None)
    }

    /// As [`Issuer::unheeded`].
    async fn unheeded(&self, _secret: &Secret, _turn: &Invocation) -> Option<String> {
        None
    }
}

/// What a vendor of keys offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// How a key is known to be ours.
    pub ownership: Ownership,
    /// How many keys may live at once, if there is a limit. Where the vendor only says so when it
    /// is reached, `None` does as well.
    pub cap: Option<usize>,
    /// How long the vendor may take until a new key works and is listed everywhere.
    pub propagation: Duration,
    /// How long a key works on, at the least, after the one behind it was issued. Without a grace
    /// period it works until the next rotation, which may follow at once. Of a vendor without
    /// labels, no more than the newest 20 versions without a label are known, so it should be less
    /// than so many intervals between rotations.
    pub grace: Duration,
}

/// How a key is known to be ours. Only such a key is ever revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ownership {
    /// It carries our label, or a version of the secret holds it.
    Labels,
    /// A version of the secret holds it: the vendor keeps no labels. A key whose answer was lost looks like a
    /// stranger's and stays; under a narrow limit a person makes room then.
    Stored,
    /// The account is for this secret only, so every key of it is ours. Whoever configures this
    /// says that nobody makes keys there by hand.
    Account,
}

/// Who asks the vendor.
#[derive(Clone, Copy)]
pub struct Caller<'a> {
    /// A secret whose key works: the current one, or the one just promoted; where the current one's
    /// key is gone, another version of the same account.
    pub own: &'a Secret,
    /// The current value of the vendor's admin secret, where there is one.
    pub admin: Option<&'a Secret>,
}

impl fmt::Debug for Caller<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Caller(redacted)")
    }
}

/// How a request for a key ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Issued {
    /// The secret that holds the new key.
    Key(Secret),
    /// The account may have no more keys; none was made.
    Full,
}

/// A key as the vendor lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedKey {
    /// The vendor's name for it.
    pub id: String,
    /// The label it was issued with, where the vendor keeps labels.
    pub label: Option<String>,
    /// When it was issued by the vendor's clock, where the vendor says so.
    pub created: Option<SystemTime>,
    /// When it ends by itself, where the vendor says so.
    pub expires: Option<SystemTime>,
}

/// How an update ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Update {
    /// The value is set.
    Made,
    /// `using` is not the value that works; nothing was changed.
    Stale,
    /// The vendor refuses this very value, as a policy does, and nothing was changed. The error is
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) and says what to look at.
    Refused(Error),
}
