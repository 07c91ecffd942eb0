//! What is told of a rotation once AWSCURRENT has moved, for whoever acts on it: which secret, which version,
//! and which login. Never a value, never a reason for a rotation to fail, and never twice on purpose.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::error::Result;
use crate::ids::VersionId;
use crate::invocation::Invocation;
use crate::net::within;
use crate::rotator::{Form, Rotator};
use crate::secret::Secret;
use crate::store::{SecretClient, SecretDescription};

/// The most that it may take, and the most of the time that is left: what is to be retired comes after it.
const MOST: Duration = Duration::from_secs(3);
const PART: u32 = 4;

/// Where it is told.
#[async_trait]
pub trait Announce: Debug + Send + Sync {
    /// Tells of a rotation: the secret's ARN, and an object with `arn`, `version`, `replaced_version`,
    /// `login` and `replaced_login`, of which the last two may be null.
    ///
    /// # Errors
    /// Whatever kept it from being told; the rotation goes on.
    async fn announce(&self, arn: &str, detail: &Value, cx: &Invocation) -> Result<()>;
}

/// A promotion that has just been made.
pub(crate) struct Promoted<'a> {
    pub(crate) description: &'a SecretDescription,
    pub(crate) version: &'a VersionId,
    pub(crate) secret: &'a Secret,
    pub(crate) replaced: &'a VersionId,
}

impl Promoted<'_> {
    /// Tells of it. A failure is a warning.
    pub(crate) async fn tell(
        &self,
        bus: &dyn Announce,
        rotator: &dyn Rotator,
        calls: &SecretClient<'_>,
        cx: &Invocation,
    ) {
        let Self { description, version, replaced, .. } = self;
        let told = async {
            let before = calls.version(replaced).await.ok().flatten();
            let login = |secret: &Secret| self.login(rotator, secret);
            let detail = json!({
                "arn": description.arn,
                "version": version.as_str(),
                "replaced_version": replaced.as_str(),
                "login": login(self.secret),
                "replaced_login": before.and_then(|before| login(before.secret())),
            });
            bus.announce(&description.arn, &detail, cx).await
        };
        let most = MOST.min(cx.deadline().remaining() / PART);
        let told = within(cx, "the event of this rotation", most, told).await.flatten();
        if let Err(error) = told {
            cx.warn(format!("AWSCURRENT was moved, and no event tells of it: {error}"));
        }
    }

    /// The user that a secret names. Of a vendor's keys nothing is told: any field may be a part of them.
    fn login(&self, rotator: &dyn Rotator, secret: &Secret) -> Option<String> {
        let (_, form) = rotator.form(secret, self.description)?;
        let named = secret.document().ok()?.field("username")?.as_str()?;
        (form != Form::Keys).then(|| named.to_owned())
    }
}
