//! `fourstep inspect`, `preflight` and `plan` of a secret in AWS: its function answers. And what is asked
//! of the person who types.

use std::io::{self, BufRead as _, Write};

use fourstep::Question;

use super::aws::Account;
use crate::events::{self, text};
use crate::function::Invocation;

/// Asks the function that the secret names.
///
/// # Errors
/// If the secret or its function cannot be reached. What the function reports is its answer.
pub async fn ask(account: &Account, question: Question, secret: &str) -> io::Result<Invocation> {
    let found = account.describe(secret).await?;
    let Some(function) = &found.function else {
        return Err(io::Error::other(format!(
            "the secret {} names no rotation function; attach one, or ask a function on this \
             machine with --rotator and --secret",
            super::text::clean(&found.name)
        )));
    };
    about(account, question, &found.arn, function).await
}

/// Asks a function about a secret, of which it may know nothing.
///
/// # Errors
/// If Lambda cannot be reached, or refuses; if the answer is about no secret, or another.
pub(super) async fn about(
    account: &Account,
    question: Question,
    secret: &str,
    function: &str,
) -> io::Result<Invocation> {
    let asked = invoked(account, question, secret, function).await?;
    match &asked.answer {
        Ok(answer) if text(answer, "secret") != secret => Err(io::Error::other(format!(
            "the answer of {} is none about this secret: it is no function of Fourstep's",
            super::text::clean(function)
        ))),
        _ => Ok(asked),
    }
}

/// Asks a function about a secret.
///
/// # Errors
/// If Lambda cannot be reached, or refuses.
pub async fn invoked(
    account: &Account,
    question: Question,
    secret: &str,
    function: &str,
) -> io::Result<Invocation> {
    let begun = std::time::Instant::now();
    let answer = account.invoke(function, &events::question(question, secret)).await?;
    Ok(Invocation { answer, lines: Vec::new(), output: String::new(), duration: begun.elapsed() })
}

/// Asks the person, on the terminal. Nobody there means no.
///
/// # Errors
/// If it cannot be written or read.
pub(super) fn agreed(question: &str, out: &mut dyn Write) -> io::Result<bool> {
    out.flush()?;
    write!(io::stderr(), "{question} [y/N] ")?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str()))
}
