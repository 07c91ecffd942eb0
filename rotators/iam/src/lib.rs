//! The access keys of AWS IAM users for Fourstep. A user may have two, so that a new one works beside the old.
//!
//! The secret is `{"user_arn": "...", "access_key_id": "...", "secret_access_key": "..."}`. The function's role makes
//! and deletes keys; a key itself needs no permission. Facts are from the IAM User Guide ("Manage access keys for IAM
//! users", "IAM and AWS STS quotas") and the IAM and STS API References. What may be revoked when is not decided here,
//! but by [`IssuedKeys`].

mod aws;
mod user;

use std::time::Duration;

use async_trait::async_trait;
use fourstep::vendor::{Caller, Issued, IssuedKeys, Issuer, Label, ListedKey, Ownership, Terms};
use fourstep::{Environment, Error, ErrorKind, Invocation, Result, Rotator, Secret, Verdict};

use aws::{AccessKey, Aws};
use user::User;

const USER: &str = "user_arn";
const ID: &str = "access_key_id";
const KEY: &str = "secret_access_key";

/// The variable that says that nobody else makes keys for these users.
const DEDICATED: &str = "DEDICATED_USERS";

/// An id that no key can have: ids are of the letters and the digits from 2 to 7 only.
const NO_KEY: &str = "AKIA0000000000000000";

/// The rotator of access keys. `DEDICATED_USERS` says that each user is for one secret only, so that every key of it
/// is the secret's; without it, only a key that the secret held is ever deleted.
///
/// # Errors
/// [`ErrorKind::Malformed`], naming the variable.
pub fn rotator(environment: &Environment) -> Result<Box<dyn Rotator>> {
    let terms = Terms {
        // An access key has no label.
        ownership: match environment.flag(DEDICATED)? {
            true => Ownership::Account,
            false => Ownership::Stored,
        },
        // There may be two. It is tried first all the same: where a key may not be made, none is deleted for it.
        cap: None,
        // "Changes that you make are not always immediately visible", which says no number.
        propagation: Duration::from_secs(20),
        grace: Duration::ZERO,
    };
    let fields = [ID, KEY].map(str::to_owned);
    Ok(Box::new(IssuedKeys::new(AccessKeys { terms, fields, aws: Aws::of(environment)? })))
}

struct AccessKeys {
    terms: Terms,
    fields: [String; 2],
    aws: Aws,
}

#[async_trait]
impl Issuer for AccessKeys {
    fn terms(&self) -> &Terms {
        &self.terms
    }

    fn asks_for_itself(&self) -> bool {
        true
    }

    fn at_the_limit(&self) -> &'static str {
        "IAM lets a user have two: delete the one that is inactive by hand; if both are active, the one that no \
         labelled version of this secret holds, if it is older than an hour and nothing uses it (aws iam \
         list-access-keys, aws iam get-access-key-last-used)"
    }

    fn fields(&self) -> &[String] {
        &self.fields
    }

    fn id(&self, secret: &Secret) -> Result<String> {
        AccessKey::id(secret)
    }

    fn id_field(&self) -> Option<&str> {
        Some(ID)
    }

    async fn issue(
        &self,
        base: &Secret,
        _label: &Label,
        caller: &Caller<'_>,
        cx: &Invocation,
    ) -> Result<Issued> {
        Ok(match self.aws.create(&User::of(caller.own)?, cx).await? {
            Some(key) => Issued::Key(key.put_into(base)?),
            None => Issued::Full,
        })
    }

    async fn list(
        &self,
        each: &mut (dyn FnMut(ListedKey) + Send),
        caller: &Caller<'_>,
        cx: &Invocation,
    ) -> Result<()> {
        self.aws.list(&User::of(caller.own)?, cx).await?.into_iter().for_each(each);
        Ok(())
    }

    async fn verify(&self, secret: &Secret, cx: &Invocation) -> Result<Verdict> {
        let user = User::of(secret)?;
        match self.aws.identity(&AccessKey::of(secret)?, cx).await? {
            Ok(arn) if arn == user.arn => Ok(Verdict::Accepted),
            // Whoever may write the secret must not have keys made for a user by naming it.
            Ok(arn) => {
                let what =
                    format!("the key is of {arn:?}, and the secret's {USER:?} is {:?}", user.arn);
                Err(Error::new(ErrorKind::Mismatch, what))
            }
            Err(code) => {
                cx.count_rejected_login();
                Ok(Verdict::Rejected(code.to_owned()))
            }
        }
    }

    /// A request is signed with both, so none is let in with another key's id.
    async fn belongs(
        &self,
        _secret: &Secret,
        _caller: &Caller<'_>,
        _turn: &Invocation,
    ) -> Result<Option<bool>> {
        Ok(Some(true))
    }

    async fn revoke(&self, id: &str, caller: &Caller<'_>, cx: &Invocation) -> Result<()> {
        self.aws.delete(&User::of(caller.own)?, id, cx).await
    }

    /// IAM looks whether a request is permitted before it looks for the key.
    async fn may_revoke(&self, caller: &Caller<'_>, cx: &Invocation) -> Result<()> {
        self.revoke(NO_KEY, caller, cx).await
    }
}
