//! Whether a credential works: asked once, and believed only where the vendor says so itself.

use fourstep::{Error, ErrorKind, Invocation, Result, Secret, Verdict};

use crate::answer::{Reading, expect, written};
use crate::client::{Client, Sent};
use crate::spec::{Parts, Values, named_only};

/// Ids longer than this are not quoted: a vendor may say anything.
const LONGEST_ID: usize = 200;

/// Asks the vendor.
///
/// # Errors
/// Whatever is neither a yes nor a no; [`ErrorKind::Mismatch`] if it lets the key in and says that
/// it is another one than the secret's id names.
pub(crate) async fn verify(client: &Client, secret: &Secret, cx: &Invocation) -> Result<Verdict> {
    let verdict = ask(client, client.document.verify.parts(), secret, cx).await?;
    if let Verdict::Rejected(_) = verdict {
        cx.count_rejected_login();
    }
    Ok(verdict)
}

/// Asks about a key that is wrong: the last third of its letters and digits is another. `None` for a
/// key without any there. It is asked once: a vendor that limits wrong keys is not waited for.
///
/// # Errors
/// As for [`verify`].
pub(crate) async fn negative_control(
    client: &Client,
    secret: &Secret,
    cx: &Invocation,
) -> Result<Option<Verdict>> {
    let shape = &client.document.secret;
    let wrong = match shape.plain_text {
        true => Secret::decode(&mangled(&secret.expose()?).into()),
        false => {
            let document = secret.document()?;
            document.with(&shape.key, &mangled(document.required(&shape.key)?)).into()
        }
    };
    if wrong == *secret {
        return Ok(None);
    }
    let parts = Parts { fenced: true, ..client.document.verify.parts() };
    ask(client, parts, &wrong, cx).await.map(Some)
}

/// The field of a secret that proves nothing though `[verify]` names it: asked with another value there,
/// the vendor lets the key in all the same. Asked once for each.
///
/// This finds only what the vendor ignores. A value that nobody has may be refused where that of another
/// account is not, and no such value is known here.
pub(crate) async fn unheeded(client: &Client, secret: &Secret, cx: &Invocation) -> Option<String> {
    for field in named_only(&client.document) {
        let document = secret.document().ok()?;
        let Some(own) = document.field(&field).and_then(written) else { continue };
        let other: Secret = document.with(&field, &another(&own)).into();
        let parts = Parts { fenced: true, ..client.document.verify.parts() };
        // Any error says that it was not let in.
        if other != *secret
            && let Ok(Verdict::Accepted) = ask(client, parts, &other, cx).await
        {
            return Some(field);
        }
    }
    None
}

/// What names no account: every letter and digit is another, and a short name is repeated, since a
/// neighbour's may be one that the key may look at.
fn another(name: &str) -> String {
    const LEAST: usize = 8;
    let other: String = name.chars().map(next).collect();
    other.repeat(LEAST.div_ceil(other.len().max(1)))
}

fn next(one: char) -> char {
    match one {
        'z' => 'a',
        'Z' => 'A',
        '9' => '0',
        'a'..='y' | 'A'..='Y' | '0'..='8' => char::from_u32(u32::from(one) + 1).unwrap_or(one),
        _ => one,
    }
}

fn mangled(key: &str) -> String {
    let from = key.chars().count() * 2 / 3;
    let other = |(at, one): (usize, char)| if at < from { one } else { next(one) };
    key.chars().enumerate().map(other).collect()
}

async fn ask(
    client: &Client,
    parts: Parts<'_>,
    secret: &Secret,
    cx: &Invocation,
) -> Result<Verdict> {
    let verify = &client.document.verify;
    let parts = Parts { proves: true, ..parts };
    let refused = |why: String| Ok(Verdict::Rejected(why));
    let answer = match client.send("verify", &parts, &Values::of(secret), cx).await? {
        Sent::Refused => return refused("the token endpoint refused the credential".to_owned()),
        Sent::Answered(answer) => answer,
    };
    if verify.rejected.contains(&answer.status) {
        let stands = |reading: Reading| {
            let mut told = verify.accepted_when.iter();
            told.all(|(pointer, value)| reading.0.pointer(pointer) == Some(value))
        };
        if !verify.accepted_when.is_empty() && Reading::of(&answer).is_ok_and(stands) {
            return Ok(Verdict::Accepted);
        }
        return refused(format!("the vendor answered with status {}", answer.status));
    }
    let named = |error: Error| error.while_doing("verify");
    if !verify.rejected_when.is_empty() && verify.ok.contains(&answer.status) {
        let reading = Reading::of(&answer).map_err(named)?;
        for (pointer, value) in &verify.rejected_when {
            if reading.0.pointer(pointer) == Some(value) {
                return refused(format!("the vendor's answer says so at {pointer:?}"));
            }
        }
    }
    expect(&answer, &parts, &[]).map_err(named)?;
    if let Some(pointer) = &verify.id {
        let reading = Reading::of(&answer).map_err(named)?;
        named_as(client, secret, reading.text(pointer).map_err(named)?)?;
    }
    Ok(Verdict::Accepted)
}

/// Refuses a key that works and is another one than its secret says. Nobody refused it, so it is in
/// use, and its own id stands in no version that would keep it.
fn named_as(client: &Client, secret: &Secret, told: &str) -> Result<()> {
    let (id, field) = (client.id(secret)?, &client.document.secret.id);
    if told == id {
        return Ok(());
    }
    // One that gives its key away is not quoted; it is no less another one.
    let shown = client.shown(told.to_owned(), secret).ok().filter(|id| id.len() <= LONGEST_ID);
    let (told, by) = match shown {
        Some(told) => (format!("key {told:?}"), "to that id"),
        None => ("another key".to_owned(), "to its id"),
    };
    let what = format!("the key works, and is not key {id:?}: the vendor says that it is {told}");
    Err(Error::new(ErrorKind::Mismatch, what)
        .caused_by(format!("correct the secret's field {field:?} {by}; nothing was revoked")))
}
