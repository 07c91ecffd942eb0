//! Pairs on MariaDB, where no user can be another's role: what one may do and is set to is read,
//! compared with what the other is, and the difference becomes statements.

pub(crate) mod compare;
pub(crate) mod compose;
pub(crate) mod needs;
pub(crate) mod plan;
pub(crate) mod read;
pub(crate) mod rights;
mod text;
mod tokens;
pub(crate) mod whose;

use fourstep::users::{Install, Ownership};
use fourstep::{Error, ErrorKind, Invocation, Result};

use crate::alternate::compose::{Composed, Step, locked};
use crate::alternate::own::Own;
use crate::alternate::quoting::AccountName;
use crate::session::Session;
use crate::wire::Plugin;

use compose::Users;
use needs::Admin;

/// What has to be done, and what speaks against it.
pub(crate) async fn compose(
    session: &mut Session,
    own: &Own,
    install: &Install<'_>,
    ownership: Ownership,
    cx: &Invocation,
) -> Result<Composed> {
    let mut users = Users::read(session, [install.source, install.target], cx).await?;
    let rights = rights::read(own.lines.iter().map(String::as_str))?;
    let admin = Admin { rights: &rights };
    // With rights on what the admin may not see, which would look as if it were gone.
    let mark_for = matches!(ownership, Ownership::Absent | Ownership::Adopted);
    let mark_for = mark_for.then_some(own.account.as_str());
    let lacks = admin.lacks(&users.compose(install, mark_for)?.steps, &own.account);
    let mut composed = Composed::default();
    composed.missing.extend(lacks);
    composed.warnings.extend(too_many(install.source, &users.source));
    let stale = users.drop_stale(session, cx).await?;
    let copied = users.compose(install, mark_for)?;
    composed.found.steps = copied.steps.into_iter().map(|step| Step::new(step.text)).collect();
    (composed.found.finish, composed.found.unlock) =
        (copied.finish, install.source != install.target);
    composed.objections.extend(composed.found.finish.is_empty().then(|| locked(install.source)));
    composed.warnings.extend(stale.into_iter().map(|on| {
        format!("rights on {on} are not given to user {:?}: it is gone", install.target)
    }));
    Ok(composed)
}

/// As many rights as were copied, two on each of 10,000 tables: they took 50 MB and five seconds, and what
/// it takes grows with their number.
const MOST_RIGHTS: usize = 20_000;

fn too_many(user: &str, accounts: &read::User) -> Option<String> {
    let rights: usize = accounts.values().map(|account| account.rights.len()).sum();
    (rights > MOST_RIGHTS).then(|| {
        format!(
            "user {user:?} has {rights} rights, which are copied one by one; {MOST_RIGHTS} were tried, \
             within 128 MB: give the function more memory (MemorySize), or grant on whole schemas"
        )
    })
}

/// The accounts that are to get the password, once everything was done.
///
/// # Errors
/// [`ErrorKind::Conflict`] if the users still differ.
pub(crate) async fn made_alike(
    session: &mut Session,
    install: &Install<'_>,
    cx: &Invocation,
) -> Result<Vec<(AccountName, Plugin)>> {
    let mut users = Users::read(session, [install.source, install.target], cx).await?;
    users.drop_stale(session, cx).await?;
    let copied = users.compose(install, None)?;
    match copied.steps.first() {
        None => Ok(copied.finish),
        Some(left) => {
            let what =
                "the users still differ after all statements; somebody else may be changing them";
            Err(Error::new(ErrorKind::Conflict, what).caused_by(left.text.clone()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_rights_than_were_tried_are_warned_about_by_their_number() {
        let of = |number: usize| {
            let line = |table| format!("GRANT SELECT ON `shop`.`t{table}` TO `app`@`%`");
            let lines: Vec<_> = (0..number).map(line).collect();
            let rights = rights::read(lines.iter().map(String::as_str)).unwrap();
            let account = read::Account {
                rights,
                default_roles: std::collections::BTreeSet::new(),
                settings: crate::alternate::settings::Settings::default(),
            };
            too_many("app", &read::User::from([("%".to_owned(), account)]))
        };
        assert_eq!(of(MOST_RIGHTS), None);
        assert!(of(MOST_RIGHTS + 1).unwrap().contains("has 20001 rights"));
    }
}

#[cfg(test)]
mod live_tests;
