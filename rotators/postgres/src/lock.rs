//! The lock of an account, which keeps two rotations of it apart, and who holds it.

use fourstep::{Error, ErrorKind, Invocation, Result};

use crate::session::Session;
use crate::sql;
use crate::wire::Method;

/// Takes the lock of this account, or waits for whoever may be rotating it. Anybody who may connect can
/// hold it, so a session that could not change the password does not stop a rotation.
pub(crate) async fn take(session: &mut Session, user: &str, cx: &Invocation) -> Result<()> {
    let what = "the account's lock";
    let (taken,): (bool,) = session.ask(what, sql::try_lock(user), cx).await?;
    if taken {
        return Ok(());
    }
    let holders = session.rows(what, sql::lock_holder(user), cx).await?;
    let holder: Option<(i32, String, bool)> = holders.into_iter().next();
    // Who was told a password may call itself so.
    let names = session.channel.method != Method::Cleartext;
    let holds = holder.as_ref().map(|(process, name, _)| {
        let name = if names { format!(" of user {name:?}") } else { String::new() };
        format!(
            "the server's process {process}{name} has it; if that is no rotation, an administrator \
             ends it with SELECT pg_terminate_backend({process})"
        )
    });
    if let (Some((.., false)), Some(who)) = (&holder, &holds) {
        session.unlocked = true;
        cx.warn(format!("went on without the account's lock, which a stranger keeps: {who}"));
        return Ok(());
    }
    session.run(what, sql::lock(user), cx).await.map_err(|failure| {
        let error = failure.of(what);
        let held = holds.filter(|_| error.kind() == ErrorKind::Conflict);
        held.into_iter().fold(error, Error::caused_by)
    })
}
