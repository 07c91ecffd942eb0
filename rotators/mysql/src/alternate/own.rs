//! What the admin itself may do.

use std::sync::Arc;

use fourstep::{Invocation, Result};

use crate::alternate::quoting::AccountName;
use crate::alternate::read::look;
use crate::session::Session;

/// What SHOW GRANTS says to the session's own user, with what the roles in force give.
pub(crate) struct Own {
    pub(crate) lines: Vec<String>,
    /// The account, as it stands in a statement.
    pub(crate) account: String,
}

impl Own {
    /// Asked once in a session.
    pub(crate) async fn read(session: &mut Session, cx: &Invocation) -> Result<Arc<Self>> {
        if let Some(own) = &session.own {
            return Ok(Arc::clone(own));
        }
        let rows = look(session, "SHOW GRANTS", cx).await?;
        let account = AccountName::new(session.server.user(), session.server.host()).sql();
        let lines = rows.into_iter().flatten().flatten().collect();
        Ok(Arc::clone(session.own.insert(Arc::new(Self { lines, account }))))
    }

    /// Whether there is any of these privileges on the whole server.
    pub(crate) fn has_any(&self, privileges: &[&str]) -> bool {
        self.lines.iter().any(|line| gives_everywhere(line, privileges))
    }

    /// The statement that gives the admin this privilege on the whole server, if it lacks it.
    pub(crate) fn lacks(&self, privilege: &str) -> Option<String> {
        let lacks = !self.has_any(&[privilege]);
        lacks.then(|| format!("GRANT {privilege} ON *.* TO {}", self.account))
    }
}

/// Whether this line of SHOW GRANTS gives any of these privileges, or all, on the whole server.
pub(crate) fn gives_everywhere(line: &str, wanted: &[&str]) -> bool {
    let everywhere = |line: &str| {
        let (privileges, rest) = line.strip_prefix("GRANT ")?.split_once(" ON ")?;
        rest.starts_with("*.* TO ").then(|| privileges.to_owned())
    };
    everywhere(line).is_some_and(|privileges| {
        let mut given = privileges.split(',').map(str::trim);
        given.any(|one| one == "ALL PRIVILEGES" || wanted.contains(&one))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_privilege_is_found_wherever_it_is_granted() {
        for (line, enough) in [
            ("GRANT APPLICATION_PASSWORD_ADMIN ON *.* TO `app`@`%`", true),
            ("GRANT AUDIT_ADMIN,APPLICATION_PASSWORD_ADMIN ON *.* TO `app`@`%`", true),
            ("GRANT SELECT, CREATE USER ON *.* TO `app`@`%`", true),
            ("GRANT ALL PRIVILEGES ON *.* TO `app`@`%` WITH GRANT OPTION", true),
            ("GRANT USAGE ON *.* TO `app`@`%`", false),
            ("GRANT ALL PRIVILEGES ON `app`.* TO `app`@`%`", false),
            ("GRANT SELECT (`x ON *.* TO `) ON `CREATE USER`.`t` TO `app`@`%`", false),
            ("GRANT `APPLICATION_PASSWORD_ADMIN`@`%` TO `app`@`%`", false),
            ("", false),
        ] {
            let wanted = ["APPLICATION_PASSWORD_ADMIN", "CREATE USER"];
            assert_eq!(gives_everywhere(line, &wanted), enough, "{line}");
        }
    }
}
