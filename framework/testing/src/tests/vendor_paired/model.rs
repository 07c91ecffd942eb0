//! The model: users of a vendor whose changes reset tags; the framework's rotator over it, and what may be
//! left out there.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use fourstep::vendor::{Caller, Paired, PairedKey, Update, Updater};
use fourstep::{
    Applied, CreateContext, Environment, Error, ErrorKind, ExposeSecret, Fence, Finding,
    InspectContext, Invocation, PasswordPolicy, PromoteContext, Rotator, Secret, SecretId,
    SetContext, Verdict,
};
use serde_json::{Value, json};

use crate::models::{IssuedKey, Terms, Vendor};
use crate::tests::vendor_issuer::key;
use crate::tests::vendor_keys::ADMIN;
use crate::{Effort, Lost, Overlap, Remote, Testbed, Wire};

const FIELDS: [&str; 2] = ["key_id", "key"];

/// One safeguard left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Defect {
    /// The request names the user in use, as one that places `{secret.username}` would.
    SetsTheOneInUse,
    /// The request resets what it does not name.
    ResetsTags,
    /// It does, and nobody compares the two users.
    ResetsTagsUnseen,
    /// The fence is always open.
    NoFence,
    /// AWSCURRENT is not set again.
    NoRepair,
    /// The vendor takes no value again that a user ever had: its own rule, and nothing is left out.
    RefusesReuse,
    /// The vendor does not tell `K1` from `k1`: its own rule as well.
    OneUser,
}

/// A vendor with users, whose keys' names are theirs. A change of a value resets the tags.
#[derive(Clone)]
pub(super) struct Users {
    vendor: Vendor,
    wire: Wire,
    /// The users without their tags.
    pub(super) bare: Arc<Mutex<Vec<String>>>,
    /// Users and the values that were sent for them, and whether each was seen in force. A restored
    /// backup does not take that back.
    sent: Arc<Mutex<Vec<(String, String, bool)>>>,
    fields: Vec<String>,
    late: bool,
    defect: Option<Defect>,
}

impl Users {
    pub(super) fn new(wire: &Wire, delay: u32, defect: Option<Defect>) -> (Self, IssuedKey) {
        let vendor = Vendor::new(wire, Terms { delay, ..Terms::default() });
        let first = vendor.arrange();
        vendor.arrange();
        vendor.arrange_stranger();
        let fields = FIELDS.map(str::to_owned).to_vec();
        let known = (first.id.clone(), first.value.expose_secret().to_owned(), true);
        let sent = Arc::new(Mutex::new(vec![known]));
        let (wire, bare, late) = (wire.clone(), Arc::default(), delay > 0);
        (Self { vendor, wire, bare, sent, fields, late, defect }, first)
    }

    fn is(&self, defect: Defect) -> bool {
        self.defect == Some(defect)
    }

    /// Whether this value was ever in force for this user; notes that it is sent now.
    fn had(&self, user: &str, value: &str) -> bool {
        let mut sent = self.sent.lock().unwrap();
        for (user, value, set) in sent.iter_mut() {
            *set |= self.vendor.accepts(user, value);
        }
        let had = sent.contains(&(user.to_owned(), value.to_owned(), true));
        sent.push((user.to_owned(), value.to_owned(), false));
        had
    }

    /// The user that the vendor takes this for.
    fn known_as(&self, user: &str) -> String {
        if self.is(Defect::OneUser) { user.to_lowercase() } else { user.to_owned() }
    }

    async fn tags(&self, user: &str) -> Result<Value, Lost> {
        let bare = || self.bare.lock().unwrap().iter().any(|one| one == user);
        self.wire.call(&format!("tags of {user}"), || json!({"tags": !bare()})).await
    }

    fn rotator(&self) -> PairedKey<Self> {
        let settings = Environment::from([("USER_PAIRS", "k1=k2")]);
        PairedKey::read(&settings, self.clone()).unwrap()
    }
}

#[async_trait]
impl Updater for Users {
    fn fields(&self) -> &[String] {
        &self.fields
    }

    fn admin(&self, _: &Secret) -> Result<Option<SecretId>, Error> {
        SecretId::parse(ADMIN.0).map(Some)
    }

    fn propagation(&self) -> Duration {
        Duration::from_secs(if self.late { 2 } else { 0 })
    }

    fn compares(&self) -> bool {
        false
    }

    fn propose(&self, base: &Secret) -> Result<Secret, Error> {
        let value = PasswordPolicy::default().generate()?;
        Ok(base.document()?.with("key", value.expose_secret()).into())
    }

    async fn kept(&self, to: &Secret, _: &Caller<'_>, _: &Invocation) -> Result<Value, Error> {
        Ok(self.tags(&key(to)?.id).await?)
    }

    async fn update(
        &self,
        using: &Secret,
        to: &Secret,
        kept: &Value,
        caller: &Caller<'_>,
        _: &Invocation,
    ) -> Result<Update, Error> {
        assert!(caller.admin.is_some_and(|admin| admin.expose().unwrap() == ADMIN.1));
        let (named, to) = (if self.is(Defect::SetsTheOneInUse) { using } else { to }, key(to)?);
        let user = self.known_as(&key(named)?.id);
        if self.is(Defect::RefusesReuse) && self.had(&user, to.value.expose_secret()) {
            let what = "the vendor takes no value again";
            return Ok(Update::Refused(Error::new(ErrorKind::Unsupported, what)));
        }
        assert!(self.vendor.update(&user, None, &to.value).await?);
        let mut bare = self.bare.lock().unwrap();
        bare.retain(|one| *one != user);
        let resets = self.is(Defect::ResetsTags) || self.is(Defect::ResetsTagsUnseen);
        if resets || kept["tags"] != json!(true) {
            bare.push(user);
        }
        Ok(Update::Made)
    }

    async fn verify(&self, secret: &Secret, _: &Invocation) -> Result<Verdict, Error> {
        let key = key(secret)?;
        Ok(match self.vendor.verify(&self.known_as(&key.id), &key.value).await? {
            true => Verdict::Accepted,
            false => Verdict::Rejected("the vendor does not know the value".to_owned()),
        })
    }
}

#[async_trait]
impl Paired for Users {
    fn user_field(&self) -> &str {
        "key_id"
    }

    fn user(&self, secret: &Secret) -> Result<String, Error> {
        Ok(key(secret)?.id)
    }

    fn naming(&self, secret: &Secret, user: &str) -> Result<Secret, Error> {
        Ok(secret.document()?.with("key_id", user).into())
    }

    async fn differences(
        &self,
        users: [&str; 2],
        _: &Caller<'_>,
        _: &Invocation,
    ) -> Result<Vec<String>, Error> {
        let listed = self.vendor.list().await?;
        for user in users {
            let known = self.known_as(user);
            if !self.late && listed.iter().all(|key| key.id != known) {
                let what = format!("the vendor has no user {user:?}");
                return Err(Error::new(ErrorKind::NotFound, what));
            }
        }
        let same = self.tags(users[0]).await? == self.tags(users[1]).await?;
        let seen = !same && !self.is(Defect::ResetsTagsUnseen);
        Ok(seen.then(|| "their tags".to_owned()).into_iter().collect())
    }
}

/// The framework's rotator, but for what is said.
struct Careless(PairedKey<Users>, Option<Defect>);

struct AlwaysOpen;

#[async_trait]
impl Fence for AlwaysOpen {
    async fn pass(&self) -> Result<(), Error> {
        Ok(())
    }
}

#[async_trait]
impl Rotator for Careless {
    fn check(&self, versions: &SetContext<'_>) -> Result<(), Error> {
        self.0.check(versions)
    }

    async fn propose(&self, known: &CreateContext<'_>, cx: &Invocation) -> Result<Secret, Error> {
        self.0.propose(known, cx).await
    }

    async fn apply(
        &self,
        versions: &SetContext<'_>,
        fence: &dyn Fence,
        cx: &Invocation,
    ) -> Result<Applied, Error> {
        let current = versions.current().secret();
        if self.1 == Some(Defect::NoRepair)
            && let Verdict::Rejected(why) = self.0.verify(current, cx).await?
        {
            return Err(Error::new(ErrorKind::Rejected, why));
        }
        match self.1 {
            Some(Defect::NoFence) => self.0.apply(versions, &AlwaysOpen, cx).await,
            _ => self.0.apply(versions, fence, cx).await,
        }
    }

    async fn verify(&self, secret: &Secret, cx: &Invocation) -> Result<Verdict, Error> {
        self.0.verify(secret, cx).await
    }

    async fn compare(&self, versions: &SetContext<'_>, cx: &Invocation) -> Result<(), Error> {
        self.0.compare(versions, cx).await
    }

    async fn confirm(&self, versions: &PromoteContext<'_>, cx: &Invocation) -> Result<(), Error> {
        self.0.confirm(versions, cx).await
    }

    async fn preflight(
        &self,
        subject: &InspectContext<'_>,
        cx: &Invocation,
    ) -> Result<Vec<Finding>, Error> {
        self.0.preflight(subject, cx).await
    }
}

/// Accounts with two users and a stranger; new values are known so late.
pub(super) struct Turns {
    pub(super) delay: u32,
    pub(super) defect: Option<Defect>,
}

#[async_trait]
impl Testbed for Turns {
    fn overlap(&self) -> Overlap {
        Overlap::Full
    }

    /// Every step makes many calls.
    fn turns(&self, effort: Effort) -> u32 {
        if effort == Effort::Short { 2 } else { 5 }
    }

    async fn fresh(&self, wire: &Wire) -> Box<dyn Remote> {
        let (users, first) = Users::new(wire, self.delay, self.defect);
        Box::new(Account { users, first })
    }
}

struct Account {
    users: Users,
    first: IssuedKey,
}

#[async_trait]
impl Remote for Account {
    fn rotator(&self) -> Box<dyn Rotator> {
        Box::new(Careless(self.users.rotator(), self.users.defect))
    }

    fn secret(&self) -> String {
        let IssuedKey { id, value } = &self.first;
        format!(r#"{{"key_id":"{id}","key":"{}"}}"#, value.expose_secret())
    }

    fn other_secrets(&self) -> Vec<(&'static str, String)> {
        vec![(ADMIN.0, ADMIN.1.to_owned())]
    }

    async fn accepts(&self, secret: &Secret) -> bool {
        key(secret).is_ok_and(|key| self.users.vendor.accepts(&key.id, key.value.expose_secret()))
    }

    fn credential(&self) -> &'static [&'static str] {
        &FIELDS
    }

    async fn credentials(&self) -> Option<usize> {
        Some(self.users.vendor.live())
    }

    fn complaint(&self) -> Option<String> {
        let touched = !self.users.vendor.accepts("k3", "value of k3");
        let bare = !self.users.bare.lock().unwrap().is_empty();
        let bare = bare && !self.users.is(Defect::ResetsTags);
        let touched = touched.then(|| "a user of no pair was changed".to_owned());
        touched.or_else(|| bare.then(|| "a user lost its tags".to_owned()))
    }

    fn replaces(&self) -> bool {
        true
    }

    fn applies_late(&self) -> bool {
        true
    }

    fn propagates(&self) -> bool {
        self.users.late
    }

    fn hour_passes(&self) {
        self.users.vendor.hour_passes();
    }

    fn remember(&self) {
        self.users.vendor.remember();
    }

    /// What is set again after a restored backup is learnt late too, and until then nothing may work.
    fn forget(&self) -> bool {
        if !self.users.late {
            self.users.vendor.forget();
        }
        !self.users.late
    }
}
