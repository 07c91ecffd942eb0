//! `fourstep attach`: makes a function a secret's rotation function, waits for the test that Secrets
//! Manager has it do, and puts back what was there before if the test fails. Nothing rotates.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use fourstep::Question;
use serde_json::json;

use super::ask::about;
use super::aws::{Account, Found, Function, Rules, Tested};
use super::migrate::schedule;
use super::text::{clean, now, word};
use crate::replay::{Format, show};

/// How long it waits between two looks into the log, where lines arrive seconds late.
pub(super) const PAUSE: Duration = Duration::from_secs(2);

/// How often, and how long after each other, it is looked whether Secrets Manager has ended its test.
pub(super) const LOOKS: u32 = 30;
const BETWEEN: Duration = Duration::from_secs(1);

/// How often it is looked whether a function that was named is there: what DescribeSecret says may be a
/// moment old.
pub(super) const NAMED: u32 = 5;

/// How far the clock of the log may be behind this machine's, in seconds. A test is known by its version.
pub(super) const CLOCKS: i64 = 3_600;

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
        let (secret, log) = (&before.arn, &function.log_group);
        // Whoever may not read the log would not learn the outcome.
        outcome(account, log, secret, Some(&token), since, Duration::ZERO).await?;
        let was = was(&before);
        let version = named(account, secret, &function.arn, Some(&rules), token).await;
        let version = version.map_err(|error| io::Error::other(format!("{error}; {was}")))?;
        let attached = |what: &str| {
            let secret = account.of(before.in_command());
            io::Error::other(format!(
                "{name} is attached, and {what}: fourstep preflight {secret}; {was}"
            ))
        };
        let tested = outcome(account, log, secret, Some(&version), since, self.patience).await;
        let Some(tested) = tested.map_err(|error| attached(&error.to_string()))? else {
            let (log, waited) = (clean(log), self.patience.as_secs());
            let what = format!(
                "the log {log} has no outcome of its test after {waited} s: look there, or"
            );
            return Err(attached(&what));
        };
        if !tested.failed {
            say(format, out, "attached", &tested.why)?;
            return Ok(true);
        }
        let put_back = put_back(account, &before, &function.arn, &rules, &version).await;
        let put_back = put_back.map_err(|error| {
            attached(&format!(
                "its test failed ({}), and putting it back failed: {error}",
                tested.why
            ))
        })?;
        say(format, out, "not attached", &format!("{}. {put_back}", tested.why))?;
        Ok(false)
    }

    /// Refuses a secret that is not to be attached now.
    fn refuse(&self, account: &Account, secret: &Found) -> io::Result<()> {
        let name = clean(&secret.name);
        if let Some(owner) = &secret.owner {
            return Err(io::Error::other(format!("{name} is rotated by {owner} itself")));
        }
        if let Some(region) = secret.primary.as_deref().filter(|one| *one != account.region()) {
            return Err(io::Error::other(format!(
                "{name} is a replica here; attach the secret in its own Region: --region {}",
                word(region)
            )));
        }
        if secret.current.is_none() {
            return Err(io::Error::other(format!("{name} has no value yet: store one first")));
        }
        match secret.pending {
            None => Ok(()),
            Some(_) => Err(io::Error::other(format!(
                "a rotation of {name} is under way, or stuck: {}",
                account.doctor(secret.in_command())
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
    let asked = about(account, Question::Preflight, &secret.arn, &function.arn).await?;
    if asked.answer.as_ref().is_err_and(|(kind, _)| kind == "Forbidden") {
        let why = "the function may read the secret only once it is attached, and tests it then";
        say(format, out, "preflight", why)?;
        return Ok(true);
    }
    show(&asked, Question::Preflight, format, out)
}

/// What a secret had before.
fn was(before: &Found) -> String {
    let function = before.function.as_deref().map_or("no function".to_owned(), clean);
    let off = if before.rotation == Some(true) { "" } else { ", rotation off" };
    format!("it was {function}, {}{off}", schedule(before.rules.as_ref()))
}

/// Names a function; the id of the version that it tests.
async fn named(
    account: &Account,
    secret: &str,
    function: &str,
    rules: Option<&Rules>,
    token: String,
) -> io::Result<String> {
    match account.attach(secret, function, rules, Some(&token)).await {
        Ok(named) => Ok(named.unwrap_or(token)),
        // An answer that was lost is no refusal.
        Err(error) if error.code.is_empty() => {
            let is = |seen: &Found| seen.function.as_deref() == Some(function);
            if until(account, secret, NAMED, is).await.is_ok_and(|seen| is(&seen)) {
                return Ok(token);
            }
            let what = format!("it is not known whether {} is attached: look", clean(function));
            Err(io::Error::other(format!("{}; {what}", error.message)))
        }
        Err(error) => Err(error.into()),
    }
}

/// The secret once it is as it is to be, or as it is when it was looked at so often.
pub(super) async fn until(
    account: &Account,
    secret: &str,
    times: u32,
    is: impl Fn(&Found) -> bool,
) -> io::Result<Found> {
    let mut seen = account.describe(secret).await?;
    for _ in 1..times {
        if is(&seen) {
            break;
        }
        tokio::time::sleep(BETWEEN).await;
        seen = account.describe(secret).await?;
    }
    Ok(seen)
}

/// Takes AWSPENDING off the version that Secrets Manager made for its test, which a test that failed
/// leaves. Nothing was applied with it. True if it was there.
pub(super) async fn clear(account: &Account, seen: &Found, version: &str) -> io::Result<bool> {
    let is = |seen: &Found| seen.pending.as_deref() == Some(version);
    if !is(seen) {
        return Ok(false);
    }
    match account.remove_pending(&seen.arn, version).await {
        // Secrets Manager may have taken it off itself.
        Err(error) if is(&account.describe(&seen.arn).await?) => Err(error.into()),
        _ => Ok(true),
    }
}

/// Puts the rotation back as it was, unless somebody changed it since; what was done for that.
async fn put_back(
    account: &Account,
    before: &Found,
    ours: &str,
    rules: &Rules,
    version: &str,
) -> io::Result<String> {
    let after = account.describe(&before.arn).await?;
    clear(account, &after, version).await?;
    // What DescribeSecret says may be a moment old.
    let function = after.function.as_deref();
    if function != Some(ours) && function != before.function.as_deref() {
        let function = clean(function.unwrap_or("none"));
        return Ok(format!("It is left: somebody gave it another function since: {function}"));
    }
    match &before.function {
        Some(_) if before.rotation == Some(true) && after.rotation != Some(true) => {
            Ok("It is left: somebody turned its rotation off since".to_owned())
        }
        Some(function) if before.rotation == Some(true) => {
            let failed = given_back(account, before, function).await?;
            let stays = match before.rules {
                Some(_) => "as before".to_owned(),
                // RotateSecret can set a schedule, and take none away.
                None => format!("it had no schedule, and has {} now", schedule(Some(rules))),
            };
            let failed = if failed {
                "; Secrets Manager's test of it did not succeed: look into its log"
            } else {
                ""
            };
            Ok(format!("The rotation function is {} again, {stays}{failed}", clean(function)))
        }
        _ => {
            account.cancel(&before.arn).await?;
            let stays = "the function and its schedule stay named in the secret, and do nothing";
            Ok(format!("Rotation is off, as before; {stays}"))
        }
    }
}

/// Names the function that was there, which Secrets Manager has test the secret, too. True if that did not
/// succeed: the label that it left is taken off.
async fn given_back(account: &Account, before: &Found, function: &str) -> io::Result<bool> {
    let secret = &before.arn;
    let token = uuid::Uuid::new_v4().to_string();
    let token = named(account, secret, function, before.rules.as_ref(), token).await?;
    let ended = async {
        let is = |seen: &Found| seen.function.as_deref() == Some(function);
        until(account, secret, NAMED, is).await?;
        let over = |seen: &Found| seen.pending.as_deref() != Some(&token);
        let seen = until(account, secret, LOOKS, over).await?;
        clear(account, &seen, &token).await
    };
    ended.await.map_err(|error| {
        io::Error::other(format!("{} is named again, and {error}", clean(function)))
    })
}

fn say(format: Format, out: &mut dyn Write, what: &str, why: &str) -> io::Result<()> {
    match format {
        Format::Json => writeln!(out, "{}", json!({"outcome": what, "why": clean(why)})),
        Format::Table => writeln!(out, "{what}: {}", clean(why)),
    }
}
