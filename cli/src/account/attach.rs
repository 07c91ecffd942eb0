//! `fourstep attach`: makes a function a secret's rotation function, waits for the test that Secrets
//! Manager has it do, and puts back what was there before if the test fails. Nothing rotates.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use fourstep::Question;
use serde_json::json;

use super::aws::{Account, Found, Function, Rules, Tested};
use super::invoked;
use super::text::{clean, now};
use crate::replay::{Format, show};

/// How long it waits between two looks into the log, where lines arrive seconds late.
pub(super) const PAUSE: Duration = Duration::from_secs(2);

/// How far the clock of the log may be behind this machine's, in seconds.
pub(super) const CLOCKS: i64 = 60;

/// What is to be attached to what.
#[derive(Debug, Clone)]
pub struct Attach {
    /// The name or ARN of the secret.
    pub secret: String,
    /// The name or ARN of the function.
    pub function: String,
    /// When it rotates from then on. Without, as the secret's own rules say.
    pub schedule: Option<String>,
    /// How long the window of the schedule is, such as `3h`.
    pub window: Option<String>,
    /// How long the outcome of the test is waited for.
    pub patience: Duration,
}

impl Attach {
    /// Attaches. True if the function tested the secret and found that a rotation would succeed.
    ///
    /// # Errors
    /// If the secret or the function is not one to be attached, before anything is changed; if AWS
    /// refuses or does not answer; if no outcome is in the log in time.
    pub async fn run(
        &self,
        account: &Account,
        format: Format,
        out: &mut dyn Write,
    ) -> io::Result<bool> {
        let before = account.describe(&self.secret).await?;
        let name = clean(&before.name);
        self.refuse(account, &before)?;
        let function = self.function(account).await?;
        let rules = self.rules(&before)?;
        if !preflight(account, &before, &function, format, out).await? {
            say(format, out, "not attached", "the function would fail; nothing was changed")?;
            return Ok(false);
        }
        let since = now().saturating_sub(CLOCKS);
        let token = uuid::Uuid::new_v4().to_string();
        let named = account.attach(&before.arn, &function.arn, Some(&rules), Some(&token)).await?;
        let (version, log) = (named.unwrap_or(token), &function.log_group);
        let version = version.as_str();
        let Some(tested) =
            outcome(account, log, &before.arn, Some(version), since, self.patience).await?
        else {
            return Err(io::Error::other(format!(
                "{name} is attached, and the log {} has no outcome of its test after {} s: look there, \
                 or run fourstep preflight {name} {}",
                clean(&function.log_group),
                self.patience.as_secs(),
                account.options(),
            )));
        };
        if !tested.failed {
            say(format, out, "attached", &tested.why)?;
            return Ok(true);
        }
        let put_back = put_back(account, &before, version).await?;
        say(format, out, "not attached", &format!("{}. {put_back}", tested.why))?;
        Ok(false)
    }

    /// Refuses a secret that is not to be attached now.
    fn refuse(&self, account: &Account, secret: &Found) -> io::Result<()> {
        let (name, options) = (clean(&secret.name), account.options());
        if let Some(owner) = &secret.owner {
            return Err(io::Error::other(format!("{name} is rotated by {owner} itself")));
        }
        if let Some(region) = secret.primary.as_deref().filter(|one| *one != account.region()) {
            return Err(io::Error::other(format!(
                "{name} is a replica here; attach the secret in its own Region: --region {}",
                clean(region)
            )));
        }
        if secret.current.is_none() {
            return Err(io::Error::other(format!("{name} has no value yet: store one first")));
        }
        match secret.pending {
            None => Ok(()),
            Some(_) => Err(io::Error::other(format!(
                "a rotation of {name} is under way, or stuck: fourstep doctor {} {options}",
                super::text::word(&secret.name)
            ))),
        }
    }

    async fn function(&self, account: &Account) -> io::Result<Function> {
        let named = clean(&self.function);
        let found = account.function(&self.function).await?;
        let function = found.ok_or_else(|| {
            io::Error::other(format!("there is no function {named} in {}", account.region()))
        })?;
        match function.ours {
            true => Ok(function),
            false => Err(io::Error::other(format!(
                "{named} is no function of Fourstep's ({})",
                clean(&function.kind)
            ))),
        }
    }

    fn rules(&self, before: &Found) -> io::Result<Rules> {
        if let Some(schedule) = self.schedule.clone() {
            return Ok(Rules { schedule: Some(schedule), window: self.window.clone(), days: None });
        }
        before.rules.clone().ok_or_else(|| {
            io::Error::other(
                "the secret has no schedule: give one, as --schedule 'rate(30 days)' or \
                 --schedule 'cron(0 3 ? * SUN *)' --window 3h",
            )
        })
    }
}

/// What the log says of a test of a secret, or of one version of it. `None` if nothing in time.
///
/// # Errors
/// If CloudWatch Logs refuses or does not answer.
pub(super) async fn outcome(
    account: &Account,
    log_group: &str,
    secret: &str,
    version: Option<&str>,
    since: i64,
    patience: Duration,
) -> io::Result<Option<Tested>> {
    let began = Instant::now();
    loop {
        if let Some(tested) = account.tested(log_group, secret, version, since).await? {
            return Ok(Some(tested));
        }
        if began.elapsed() >= patience {
            return Ok(None);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Asks the function before anything is changed. A function may be allowed to read only secrets that
/// name it, as those of this project are: then the test is the first that it can say.
async fn preflight(
    account: &Account,
    secret: &Found,
    function: &Function,
    format: Format,
    out: &mut dyn Write,
) -> io::Result<bool> {
    let asked = invoked(account, Question::Preflight, &secret.arn, &function.arn).await?;
    if asked.answer.as_ref().is_err_and(|(kind, _)| kind == "Forbidden") {
        let why = "the function may read the secret only once it is attached, and tests it then";
        say(format, out, "preflight", why)?;
        return Ok(true);
    }
    show(&asked, Question::Preflight, format, out)
}

/// Puts the rotation back as it was; what was done for that.
async fn put_back(account: &Account, before: &Found, version: &str) -> io::Result<String> {
    let after = account.describe(&before.arn).await?;
    // Nothing was applied: the test of a schedule sets nothing.
    if let Some(pending) = after.pending.as_ref().filter(|pending| *pending == version) {
        account.remove_pending(&before.arn, pending).await?;
    }
    match (&before.function, before.rotation, &before.rules) {
        (Some(function), Some(true), Some(rules)) => {
            account.attach(&before.arn, function, Some(rules), None).await?;
            Ok(format!("The rotation function is {} again, as before", clean(function)))
        }
        _ => {
            account.cancel(&before.arn).await?;
            Ok("Rotation is off, as before".to_owned())
        }
    }
}

fn say(format: Format, out: &mut dyn Write, what: &str, why: &str) -> io::Result<()> {
    match format {
        Format::Json => writeln!(out, "{}", json!({"outcome": what, "why": clean(why)})),
        Format::Table => writeln!(out, "{what}: {}", clean(why)),
    }
}
