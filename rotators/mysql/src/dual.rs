//! Two passwords for one user, as MySQL has them since 8.0.14.
//!
//! Source: MySQL 9.7 reference manual, section 8.2.15, "Password Management"; what it leaves open
//! was tried on 9.7.4.

use async_trait::async_trait;
use fourstep::users::{Database, DualPasswords, NewPrimary, Swap};
use fourstep::{Error, ErrorKind, Fence, Finding, Result};

use crate::Mysql;
use crate::alternate::{AccountName, gives_everywhere};
use crate::change::exchange;
use crate::server::Flavour;
use crate::session::{At, Session};
use crate::sql::Statement;

#[async_trait]
impl DualPasswords for Mysql {
    async fn begin_two(&self, at: &mut At<'_>) -> Result<()> {
        if let Some(error) = one_password(&at.session) {
            return Err(error.caused_by("nothing was changed"));
        }
        at.session.server.usable()?;
        self.changeable(&mut at.session, at.cx).await?;
        let locks = [at.session.server.account(&at.login)];
        self.begin(at, &locks).await
    }

    async fn set_primary(
        &self,
        at: &mut At<'_>,
        new: &NewPrimary<'_>,
        fence: &dyn Fence,
    ) -> Result<Swap> {
        fence.pass().await?;
        let statement = Statement::alter_user(new.password, new.replace, new.retain);
        exchange(&mut at.session, &statement, at.cx).await.map_err(|error| match error.kind() {
            ErrorKind::Forbidden if new.retain => error.caused_by(way_to_retain(&at.session)),
            _ => error,
        })
    }

    async fn preflight_two(&self, at: &mut At<'_>) -> Result<Vec<Finding>> {
        if let Some(error) = one_password(&at.session) {
            return Ok(vec![Finding::Fails(error)]);
        }
        if let Err(error) = at.session.server.usable() {
            return Ok(vec![Finding::Fails(error)]);
        }
        let what = "a look at the user's privileges";
        // A user with rights on thousands of tables has a row for each.
        let lets_retain = |grant: &String| gives_everywhere(grant, &RETAINING);
        let enough = |row: &[_]| row.iter().flatten().any(lets_retain);
        let grants = at.session.find(what, "SHOW GRANTS", enough, at.cx).await;
        let none = grants.map_err(|fail| fail.of(what))?.is_empty();
        Ok(none.then(|| Finding::Fails(not_privileged(&at.session))).into_iter().collect())
    }
}

/// The error of a server whose users have one password each.
fn one_password(session: &Session) -> Option<Error> {
    (session.server.flavour == Flavour::Mariadb).then(|| {
        Error::new(
            ErrorKind::Unsupported,
            "MariaDB keeps one password for each user; use the strategy single-user or \
             alternating-users",
        )
    })
}

/// What lets a user keep two passwords.
const RETAINING: [&str; 2] = ["APPLICATION_PASSWORD_ADMIN", "CREATE USER"];

fn not_privileged(session: &Session) -> Error {
    let what = "the user may not keep its old password beside the new one";
    Error::new(ErrorKind::Forbidden, what).caused_by(way_to_retain(session))
}

/// What lets the session's user keep two passwords, and nothing else.
fn way_to_retain(session: &Session) -> String {
    let account = AccountName::new(session.server.user(), session.server.host());
    format!("have this run: GRANT APPLICATION_PASSWORD_ADMIN ON *.* TO {}", account.sql())
}
