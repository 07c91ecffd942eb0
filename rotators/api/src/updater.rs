//! A vendor that takes a value, as its specification says.

use std::time::Duration;

use async_trait::async_trait;
use fourstep::vendor::{Caller, Paired, Updater};
use fourstep::{
    Error, ErrorKind, ExposeSecret, Invocation, PasswordPolicy, Result, Secret, SecretId, Verdict,
    vendor,
};
use serde_json::Value;

use crate::admin::Admin;
use crate::answer::{Reading, strange};
use crate::client::{Client, Sent, values};
use crate::hosts;
use crate::spec::{Alike, Caller as By, Parts, Update, Values};
use crate::verify::{negative_control, unheeded, verify};

/// A vendor that takes a value.
pub(crate) struct ApiUpdater {
    pub(crate) client: Client,
    pub(crate) update: Update,
    /// Whether the request shows the value that it replaces, and nothing else that may let it in.
    pub(crate) compares: bool,
    pub(crate) fields: Vec<String>,
    pub(crate) policy: PasswordPolicy,
    pub(crate) admin: Admin,
}

impl ApiUpdater {
    /// What the vendor says of this user.
    async fn read(
        &self,
        (name, parts): (&str, &Parts<'_>),
        user: &str,
        caller: &Caller<'_>,
        cx: &Invocation,
    ) -> Result<Value> {
        let placed = Values { id: Some(user), ..values(caller.own, caller.admin) };
        let answer = self.client.call(name, parts, &[], &placed, cx).await?;
        Reading::of(&answer).map(|reading| reading.0).map_err(|error| error.while_doing(name))
    }
}

#[async_trait]
impl Updater for ApiUpdater {
    fn admin(&self, secret: &Secret) -> Result<Option<SecretId>> {
        self.admin.of(secret)
    }

    fn fields(&self) -> &[String] {
        &self.fields
    }

    fn propagation(&self) -> Duration {
        Duration::from_secs(self.client.document.terms.propagation_seconds)
    }

    fn attempts(&self) -> usize {
        self.client.document.terms.attempts
    }

    fn compares(&self) -> bool {
        self.compares
    }

    fn same_place(&self, version: &Secret, own: &Secret) -> bool {
        hosts::alike(&self.client.document, version, own)
    }

    fn propose(&self, base: &Secret) -> Result<Secret> {
        let shape = &self.client.document.secret;
        let value = self.policy.generate()?;
        if shape.plain_text {
            if base.document().is_ok() {
                let what = "the secret is a JSON object, and the specification says plain text";
                return Err(Error::new(ErrorKind::Malformed, what));
            }
            return Ok(Secret::decode(&value));
        }
        let document = base.document()?;
        document.required(&shape.key)?;
        Ok(document.with(&shape.key, value.expose_secret()).into())
    }

    async fn kept(&self, to: &Secret, caller: &Caller<'_>, cx: &Invocation) -> Result<Value> {
        let Some(describe) = &self.client.document.describe else { return Ok(Value::Null) };
        self.read(("describe", &describe.parts()), &self.client.id(to)?, caller, cx).await
    }

    async fn update(
        &self,
        using: &Secret,
        to: &Secret,
        kept: &Value,
        caller: &Caller<'_>,
        cx: &Invocation,
    ) -> Result<vendor::Update> {
        let (stale, refused) = (self.update.stale(), &self.update.refused);
        let described = Some(kept);
        let placed = Values { new: Some(to), described, ..values(using, caller.admin) };
        let parts = Parts { fenced: true, ..self.update.parts() };
        let others: Vec<u16> = stale.iter().chain(refused).copied().collect();
        let answer = match self.client.send("update", &parts, &placed, cx).await? {
            // The token endpoint refused the old value: nothing was asked for with it. Where it
            // refused the admin, that says nothing about the value.
            Sent::Refused if self.update.by == By::Credential => return Ok(vendor::Update::Stale),
            sent => self.client.expected("update", sent, &parts, &others)?,
        };
        if stale.contains(&answer.status) {
            return Ok(vendor::Update::Stale);
        }
        if refused.contains(&answer.status) {
            let what = format!("the vendor refuses the new value, with status {}", answer.status);
            let error = Error::new(ErrorKind::Unsupported, what);
            return Ok(vendor::Update::Refused(
                error.caused_by("see PASSWORD_LENGTH, EXCLUDE_CHARACTERS and the like"),
            ));
        }
        Ok(vendor::Update::Made)
    }

    async fn verify(&self, secret: &Secret, cx: &Invocation) -> Result<Verdict> {
        verify(&self.client, secret, cx).await
    }

    async fn negative_control(&self, secret: &Secret, cx: &Invocation) -> Result<Option<Verdict>> {
        negative_control(&self.client, secret, cx).await
    }

    async fn unheeded(&self, secret: &Secret, cx: &Invocation) -> Option<String> {
        unheeded(&self.client, secret, cx).await
    }
}

#[async_trait]
impl Paired for ApiUpdater {
    fn user_field(&self) -> &str {
        &self.client.document.secret.id
    }

    fn user(&self, secret: &Secret) -> Result<String> {
        self.client.id(secret)
    }

    fn naming(&self, secret: &Secret, user: &str) -> Result<Secret> {
        Ok(secret.document()?.with(self.user_field(), user).into())
    }

    async fn differences(
        &self,
        users: [&str; 2],
        caller: &Caller<'_>,
        cx: &Invocation,
    ) -> Result<Vec<String>> {
        let mut differ = Vec::new();
        for alike in self.client.document.pair.iter().flat_map(|pair| &pair.alike) {
            let mut seen = Vec::new();
            for user in users {
                let asked = ("alike", &alike.parts());
                let answer = self.read(asked, user, caller, cx).await;
                let parts = answer.and_then(|answer| parts(alike, &answer));
                seen.push(parts.map_err(|error| error.while_doing(format!("user {user:?}")))?);
            }
            if let [one, other] = seen.as_slice()
                && !same(alike, one, other)?
            {
                let at = alike.at.join(", ");
                differ.push(format!("{at} of {} {}", alike.method, alike.path));
            }
        }
        Ok(differ)
    }

    async fn may_set(&self, to: &Secret, caller: &Caller<'_>, cx: &Invocation) -> Result<()> {
        let kept = self.kept(to, caller, cx).await?;
        let placed =
            Values { new: Some(to), described: Some(&kept), ..values(caller.own, caller.admin) };
        self.client.made_ready("update", &self.update.parts(), &placed)?;
        let verify = self.client.document.verify.parts();
        self.client.made_ready("verify", &verify, &Values::of(to))
    }
}

/// What stands at each pointer: one row of an answer, or one of each item of its list.
type Rows = Vec<Vec<Option<Value>>>;

/// Whether two users have the same there.
///
/// # Errors
/// [`ErrorKind::Unsupported`] where a pointer names nothing of either answer, as a misspelt one does:
/// that would make any two alike. Of items one may lack what another has.
fn same(alike: &Alike, one: &Rows, other: &Rows) -> Result<bool> {
    let both = one.iter().flatten().zip(other.iter().flatten());
    let mut named = alike.at.iter().zip(both);
    let nowhere = named.find(|(_, (one, other))| one.is_none() && other.is_none());
    match nowhere.filter(|_| alike.items.is_none()) {
        None => Ok(one == other),
        Some((at, _)) => Err(strange(format!(
            "{at:?} in the answers to alike ({} {}) stands for neither user; correct at in \
             [[pair.alike]], or leave it out",
            alike.method, alike.path
        ))),
    }
}

/// The same value where the order of a list does not count, as that of tags.
fn unordered(mut value: Value) -> Value {
    let scalar = |one: &Value| !one.is_array() && !one.is_object();
    if let Value::Array(list) = &mut value
        && list.iter().all(scalar)
    {
        list.sort_by_cached_key(Value::to_string);
    }
    value
}

/// What stands at the pointers that must be alike: in the answer, or in each item of its list.
fn parts(alike: &Alike, answer: &Value) -> Result<Rows> {
    let of =
        |item: &Value| alike.at.iter().map(|at| item.pointer(at).cloned().map(unordered)).collect();
    let Some(items) = &alike.items else { return Ok(vec![of(answer)]) };
    let list = answer.pointer(items).and_then(Value::as_array);
    let list = list.ok_or_else(|| strange(format!("{items:?} in the answer is no list")))?;
    let mut all: Rows = list.iter().map(of).collect();
    all.sort_by_cached_key(|item| format!("{item:?}"));
    Ok(all)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn alike(number: usize) -> Alike {
        let text = include_str!("../specs/rabbitmq.toml");
        crate::Specification::read(text).unwrap().document.pair.unwrap().alike.remove(number)
    }

    #[test]
    fn two_users_are_alike_by_what_stands_there_and_not_by_what_is_missing() {
        let user = alike(0);
        let rows = |answer: Value| parts(&user, &answer).unwrap();
        let compared = |one: Value, other: Value| same(&user, &rows(one), &rows(other));
        let [bare, other] =
            [json!({"tags": [], "limits": {}}), json!({"tags": ["x"], "limits": {}})];
        assert_eq!(compared(bare.clone(), bare.clone()), Ok(true));
        assert_eq!(compared(bare.clone(), other), Ok(false));
        assert_eq!(compared(bare.clone(), json!({"limits": {}})), Ok(false));
        for (one, other, at) in [
            (json!({}), json!({}), "/tags"),
            (json!([]), json!([]), "/tags"),
            (json!({"tags": []}), json!({"tags": []}), "/limits"),
        ] {
            let error = compared(one, other).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported);
            assert!(error.to_string().contains(&format!("{at:?}")), "{error}");
        }
        let tags = |tags: Value| json!({"tags": tags, "limits": {}});
        assert_eq!(compared(tags(json!(["a", "b"])), tags(json!(["b", "a"]))), Ok(true));
        assert_eq!(compared(tags(json!(["a", "b"])), tags(json!(["a", "a"]))), Ok(false));
    }

    #[test]
    fn of_the_items_of_a_list_none_must_be_there() {
        let list = alike(1);
        let rows = |answer: Value| parts(&list, &answer).unwrap();
        assert_eq!(same(&list, &rows(json!([])), &rows(json!([]))), Ok(true));
        let one = json!([{"vhost": "/", "read": ".*"}]);
        assert_eq!(same(&list, &rows(one.clone()), &rows(one.clone())), Ok(true));
        assert_eq!(same(&list, &rows(one), &rows(json!([]))), Ok(false));
    }

    /// Of the shipped specification, which shows users by Basic.
    #[tokio::test]
    async fn a_user_that_cannot_be_shown_is_found_before_its_value_is_set() {
        let mut text = include_str!("../specs/rabbitmq.toml").to_owned();
        // Nothing is asked here.
        let describe =
            "[describe]\nmethod = \"GET\"\npath = \"/users/{id}\"\nby = \"admin\"\nok = [200]\n";
        for part in [describe, ", tags = \"{described./tags?}\""] {
            assert!(text.contains(part), "{part}");
            text = text.replace(part, "");
        }
        let document = crate::Specification::read(&text).unwrap().document;
        let update = document.update.clone().unwrap();
        let updater = ApiUpdater {
            client: Client::new(document, fourstep::net::TlsSettings::default()),
            update,
            compares: false,
            fields: Vec::new(),
            policy: PasswordPolicy::default(),
            admin: Admin::None,
        };
        let cx = Invocation::new(fourstep::Deadline::after(Duration::from_secs(5)));
        let named = |name: &str| {
            Secret::decode(&json!({"username": name, "password": "w"}).to_string().into())
        };
        let (own, admin) = (named("app"), named("admin"));
        let caller = Caller { own: &own, admin: Some(&admin) };
        updater.may_set(&named("app_b"), &caller, &cx).await.unwrap();
        let error = updater.may_set(&named("app:b"), &caller, &cx).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed);
        let text = error.to_string();
        assert!(text.starts_with("verify (GET") && text.contains("with a colon"), "{text}");
        let colon = named("an:admin");
        let caller = Caller { own: &own, admin: Some(&colon) };
        let error = updater.may_set(&named("app_b"), &caller, &cx).await.unwrap_err();
        assert!(error.to_string().starts_with("update (PUT"), "{error}");
    }
}
