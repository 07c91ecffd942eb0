//! Secrets Manager: which secrets there are, what is known of each, and the three changes that mend one.

use std::collections::BTreeMap;

use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_secretsmanager::operation::describe_secret::DescribeSecretOutput;
use aws_sdk_secretsmanager::types::{
    Filter, FilterNameStringType, RotationRulesType, SecretListEntry, StatusType,
};
use fourstep::store::{AWSCURRENT, AWSPENDING};

use super::signed::cause;
use super::{Account, CallError};
use crate::account::text::{clean, in_command};

/// More versions than this has no secret: a page holds a hundred.
const MOST_PAGES: usize = 10;

/// Which secrets are looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Only those with this tag, and with this value of it, if one is given.
    pub tag: Option<(String, Option<String>)>,
    /// Only those that this function rotates: its ARN or name.
    pub function: Option<String>,
}

impl Selection {
    /// Whether a secret has the tag that is asked for. AWS's filters take what begins with their text, the
    /// key of one tag with the value of another, and the opposite of what begins with `!`.
    fn tags(&self, secret: &SecretListEntry) -> bool {
        let Some((key, value)) = &self.tag else { return true };
        secret.tags().iter().any(|tag| {
            tag.key() == Some(key)
                && value.as_deref().is_none_or(|value| tag.value() == Some(value))
        })
    }
}

/// What Secrets Manager knows of a secret.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Its ARN.
    pub arn: String,
    /// Its name.
    pub name: String,
    /// Whether rotation is on; `None` if it never was.
    pub rotation: Option<bool>,
    /// The ARN of its rotation function.
    pub function: Option<String>,
    /// The service that owns and rotates it, such as `rds`.
    pub owner: Option<String>,
    /// Seconds since 1970, of the last rotation.
    pub last: Option<i64>,
    /// Seconds since 1970, until when the next rotation is due.
    pub next: Option<i64>,
    /// The version with AWSCURRENT.
    pub current: Option<String>,
    /// The version with AWSPENDING, if that is another one.
    pub pending: Option<String>,
    /// The tag `fourstep:strategy`.
    pub strategy: Option<String>,
    /// The tags that begin with `fourstep:`.
    pub tags: BTreeMap<String, String>,
    /// Whether it is to be deleted.
    pub deleted: bool,
    /// Its copies in other Regions.
    pub replicas: Vec<Replica>,
    /// The Region of the secret that this one is a copy of, or its own.
    pub primary: Option<String>,
    /// When it rotates.
    pub rules: Option<Rules>,
}

impl Found {
    /// How it is named in a command that a person types.
    pub fn in_command(&self) -> &str {
        in_command(&self.name, &self.arn)
    }
}

/// When a secret rotates: by a schedule, or by a number of days.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// `rate(...)` or `cron(...)`.
    pub schedule: Option<String>,
    /// How long after a moment of the schedule a rotation may begin, such as `3h`.
    pub window: Option<String>,
    /// Days between rotations.
    pub days: Option<i64>,
}

/// A copy of a secret in another Region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replica {
    /// The Region.
    pub region: String,
    /// Whether it is as the secret is.
    pub in_sync: bool,
    /// What Secrets Manager says about it.
    pub message: String,
}

impl Account {
    /// ListSecrets: the ARNs of one page of secrets, and where the next begins. By tag and name only:
    /// AWS has no filter by function.
    ///
    /// # Errors
    /// If Secrets Manager refuses or does not answer.
    pub async fn list(
        &self,
        selection: &Selection,
        next: Option<String>,
    ) -> Result<(Vec<String>, Option<String>), CallError> {
        let request = self.secrets.list_secrets().max_results(100);
        let mut request = request.set_next_token(next.clone());
        if let Some((key, value)) = &selection.tag {
            request = request.filters(filter(FilterNameStringType::TagKey, key));
            if let Some(value) = value {
                request = request.filters(filter(FilterNameStringType::TagValue, value));
            }
        }
        let page = request.send().await.map_err(|error| failed("ListSecrets", &error))?;
        let listed = page.secret_list.unwrap_or_default().into_iter();
        let arns = listed.filter(|one| selection.tags(one)).filter_map(|one| one.arn);
        let more = page.next_token.filter(|token| !token.is_empty());
        if more.is_some() && more == next {
            let what = "it gave the same page twice; run it again";
            return Err(CallError::new("secretsmanager:ListSecrets", "", what));
        }
        Ok((arns.collect(), more))
    }

    /// DescribeSecret.
    ///
    /// # Errors
    /// If Secrets Manager refuses or does not answer.
    pub async fn describe(&self, secret: &str) -> Result<Found, CallError> {
        let answer = self.secrets.describe_secret().secret_id(secret).send().await;
        Ok(found(answer.map_err(|error| failed("DescribeSecret", &error))?))
    }

    /// ListSecretVersionIds: since when the pending version is there, in seconds since 1970.
    ///
    /// # Errors
    /// If Secrets Manager refuses or does not answer.
    pub async fn pending_since(
        &self,
        secret: &str,
        pending: &str,
    ) -> Result<Option<i64>, CallError> {
        let mut next = None;
        for _ in 0..MOST_PAGES {
            let request = self.secrets.list_secret_version_ids().secret_id(secret);
            let page = request.set_next_token(next).send().await;
            let page = page.map_err(|error| failed("ListSecretVersionIds", &error))?;
            let mut versions = page.versions.unwrap_or_default().into_iter();
            if let Some(found) = versions.find(|one| one.version_id.as_deref() == Some(pending)) {
                return Ok(found.created_date.map(|at| at.secs()));
            }
            next = page.next_token.filter(|token| !token.is_empty());
            if next.is_none() {
                break;
            }
        }
        Ok(None)
    }

    /// RotateSecret with the rules that the secret has. A refusal because a rotation is not complete
    /// says that this one is attempted again, which is what was asked for.
    ///
    /// # Errors
    /// If Secrets Manager refuses for another reason, or does not answer.
    pub async fn rotate(&self, secret: &str) -> Result<(), CallError> {
        match self.secrets.rotate_secret().secret_id(secret).send().await {
            Ok(_) => Ok(()),
            Err(error) => {
                let again = error.message().is_some_and(|one| one.contains("will be reattempted"));
                if again { Ok(()) } else { Err(failed("RotateSecret", &error)) }
            }
        }
    }

    /// RotateSecret with a function and rules, without a rotation: Secrets Manager has the function test
    /// the secret. Without rules those that are stored stay, untouched. The version that is tested has
    /// `token` as its id, or one of Secrets Manager's; which it has is in the answer.
    ///
    /// # Errors
    /// If Secrets Manager refuses or does not answer.
    pub async fn attach(
        &self,
        secret: &str,
        function: &str,
        rules: Option<&Rules>,
        token: Option<&str>,
    ) -> Result<Option<String>, CallError> {
        let request = self.secrets.rotate_secret().secret_id(secret).rotation_lambda_arn(function);
        let rules = rules.map(|rules| {
            RotationRulesType::builder()
                .set_schedule_expression(rules.schedule.clone())
                .set_duration(rules.window.clone())
                .set_automatically_after_days(rules.days)
                .build()
        });
        let request = request.set_rotation_rules(rules).rotate_immediately(false);
        let request = request.set_client_request_token(token.map(str::to_owned));
        let sent = request.send().await.map_err(|error| failed("RotateSecret", &error))?;
        Ok(sent.version_id)
    }

    /// CancelRotateSecret: turns rotation off.
    ///
    /// # Errors
    /// If Secrets Manager refuses or does not answer.
    pub async fn cancel(&self, secret: &str) -> Result<(), CallError> {
        let sent = self.secrets.cancel_rotate_secret().secret_id(secret).send().await;
        sent.map(drop).map_err(|error| failed("CancelRotateSecret", &error))
    }

    /// UpdateSecretVersionStage: takes AWSPENDING off a version. Refused if it is on another by now.
    ///
    /// # Errors
    /// If Secrets Manager refuses or does not answer.
    pub async fn remove_pending(&self, secret: &str, from: &str) -> Result<(), CallError> {
        let request = self.secrets.update_secret_version_stage().secret_id(secret);
        let sent = request.version_stage(AWSPENDING).remove_from_version_id(from).send().await;
        sent.map(drop).map_err(|error| failed("UpdateSecretVersionStage", &error))
    }

    /// UpdateSecretVersionStage: moves AWSCURRENT from a version to another. Refused if it is not on
    /// the first by now.
    ///
    /// # Errors
    /// If Secrets Manager refuses or does not answer.
    pub async fn move_current(&self, secret: &str, from: &str, to: &str) -> Result<(), CallError> {
        let request = self.secrets.update_secret_version_stage().secret_id(secret);
        let request = request.version_stage(AWSCURRENT).move_to_version_id(to);
        let sent = request.remove_from_version_id(from).send().await;
        sent.map(drop).map_err(|error| failed("UpdateSecretVersionStage", &error))
    }
}

fn filter(name: FilterNameStringType, value: &str) -> Filter {
    Filter::builder().key(name).values(value).build()
}

/// Nothing that is sent holds a value of a secret, so the SDK's own words hold none either.
fn failed<E, R>(operation: &str, error: &SdkError<E, R>) -> CallError
where
    E: std::error::Error + ProvideErrorMetadata + 'static,
    R: std::fmt::Debug,
{
    let operation = format!("secretsmanager:{operation}");
    match (error.code(), error) {
        (Some(code), _) => CallError::new(&operation, code, error.message().unwrap_or_default()),
        (None, SdkError::DispatchFailure(failure)) => {
            let why = failure.as_connector_error().map(|error| cause(error));
            CallError::new(&operation, "", &why.unwrap_or_else(|| "it cannot be sent".to_owned()))
        }
        (None, SdkError::TimeoutError(_)) => CallError::new(&operation, "", "timed out"),
        (None, _) => CallError::new(&operation, "", "the answer cannot be read"),
    }
}

fn found(answer: DescribeSecretOutput) -> Found {
    let labels = answer.version_ids_to_stages.unwrap_or_default();
    let holder = |label: &str| {
        let mut versions = labels.iter().filter(|(_, on)| on.iter().any(|one| one == label));
        versions.next().map(|(version, _)| version.clone())
    };
    let (current, pending) = (holder(AWSCURRENT), holder(AWSPENDING));
    let tags = answer.tags.unwrap_or_default().into_iter();
    let tags = tags.filter_map(|tag| Some((tag.key?, tag.value?)));
    let tags: BTreeMap<_, _> = tags.filter(|(key, _)| key.starts_with("fourstep:")).collect();
    let replicas = answer.replication_status.unwrap_or_default().into_iter();
    Found {
        pending: pending.filter(|pending| Some(pending) != current.as_ref()),
        current,
        arn: answer.arn.unwrap_or_default(),
        name: answer.name.unwrap_or_default(),
        rotation: answer.rotation_enabled,
        function: answer.rotation_lambda_arn.filter(|arn| !arn.is_empty()),
        owner: answer.owning_service.map(|owner| clean(&owner)),
        last: answer.last_rotated_date.map(|at| at.secs()),
        next: answer.next_rotation_date.map(|at| at.secs()),
        strategy: tags.get("fourstep:strategy").cloned(),
        tags,
        deleted: answer.deleted_date.is_some(),
        replicas: replicas
            .map(|one| Replica {
                in_sync: one.status == Some(StatusType::InSync),
                region: clean(&one.region.unwrap_or_default()),
                message: clean(&one.status_message.unwrap_or_default()),
            })
            .collect(),
        primary: answer.primary_region,
        rules: answer.rotation_rules.map(|rules| Rules {
            // AWS gives the days beside a schedule too, and takes one of them.
            days: rules.automatically_after_days.filter(|_| rules.schedule_expression.is_none()),
            schedule: rules.schedule_expression,
            window: rules.duration,
        }),
    }
}
