//! Whether a credential works: asked once, and believed only where the vendor says so itself.

use fourstep::{Error, Secret, Turn, Verdict};

use crate::answer::{Reading, expect};
use crate::client::{Client, Sent};
use crate::spec::Values;

/// Asks the vendor.
///
/// # Errors
/// Whatever is neither a yes nor a no.
pub(crate) async fn verify(
    client: &Client,
    secret: &Secret,
    turn: &Turn,
) -> Result<Verdict, Error> {
    let verify = &client.document.verify;
    let parts = verify.parts();
    let refused = |why: String| {
        turn.count_rejected_login();
        Ok(Verdict::Rejected(why))
    };
    let answer = match client.send("verify", &parts, &Values::of(secret), turn).await? {
        Sent::Refused => return refused("the token endpoint refused the credential".to_owned()),
        Sent::Answered(answer) => answer,
    };
    if verify.rejected.contains(&answer.status) {
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
        let id = client.id(secret)?;
        if reading.text(pointer).map_err(named)? != id {
            return Ok(Verdict::Rejected(format!("the key works, and is not key {id:?}")));
        }
    }
    Ok(Verdict::Accepted)
}
