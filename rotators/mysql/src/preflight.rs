//! What would make a change of one's own password fail, found out without changing anything.

use fourstep::{Error, ErrorKind, Finding, Invocation, Result};

use crate::Mysql;
use crate::password::PasswordFormat;
use crate::server::Flavour;
use crate::session::{At, Session};

/// The most logins that one delivery of setSecret can have refused: AWSCURRENT, AWSPENDING,
/// AWSPREVIOUS and two older versions. A healthy rotation has none refused.
pub(crate) const MOST_REFUSED: u32 = 5;

impl Mysql {
    /// Most of what stands in the way was asked for when the session was opened.
    pub(crate) async fn look(&self, at: &mut At<'_>) -> Result<Vec<Finding>> {
        let weak = self.obstacle_of(&at.session, at.session.terms.plugin);
        let obstacles = [at.session.server.obstacle(), weak];
        let mut findings: Vec<_> = obstacles.into_iter().flatten().map(Finding::Fails).collect();
        if at.session.server.expired {
            findings.push(Finding::Warns(format!(
                "the password of {} has expired, and the rotation sets another",
                at.login.account()
            )));
            return Ok(findings);
        }
        match at.session.server.flavour {
            Flavour::Mysql => findings.extend(lock_out(at).await?),
            Flavour::Mariadb => {
                let other = other_methods(&mut at.session, at.cx).await?;
                findings.extend(other.map(Finding::Fails));
                findings.extend(self.hash_refused(&mut at.session, at.cx).await?);
                findings.extend(blocked_early(at).await?);
            }
        }
        Ok(findings)
    }
}

/// Whether MariaDB blocks a user after fewer refused logins than one step may have.
async fn blocked_early(at: &mut At<'_>) -> Result<Option<Finding>> {
    let query = "SELECT @@global.max_password_errors";
    let [most] = at.session.ask("a look at the limit of refused logins", query, at.cx).await?;
    let most = most.and_then(|most| most.parse::<u32>().ok());
    Ok(most.filter(|most| (1..=MOST_REFUSED).contains(most)).map(|most| {
        Finding::Warns(format!(
            "max_password_errors is {most}: a step that has to try older passwords may have \
             {MOST_REFUSED} refused and have {} blocked; more than {MOST_REFUSED} for each retry is safe",
            at.login.account()
        ))
    }))
}

/// How many plugins of MariaDB check passwords, and refuse a hash because they cannot.
const VALIDATION: &str = "SELECT COUNT(*) FROM information_schema.PLUGINS \
    WHERE PLUGIN_TYPE = 'PASSWORD VALIDATION' AND PLUGIN_STATUS = 'ACTIVE' \
    AND @@global.strict_password_validation";

impl Mysql {
    async fn hash_refused(
        &self,
        session: &mut Session,
        cx: &Invocation,
    ) -> Result<Option<Finding>> {
        let [plugins] = session.ask("a look at the password policy", VALIDATION, cx).await?;
        let refused = plugins.as_deref() != Some("0") && self.format == PasswordFormat::Hash;
        Ok(refused.then(|| {
            Finding::Fails(Error::new(
                ErrorKind::Unsupported,
                "the server takes no hash of a password, because a plugin checks passwords \
                 (strict_password_validation); set MARIADB_PASSWORD_FORMAT to plaintext",
            ))
        }))
    }
}

/// The session's own account, in one row of one column.
const ACCOUNT: &str = "SHOW CREATE USER CURRENT_USER()";

/// The error of an account of MariaDB's that logs in by one method or by another: `SET PASSWORD`
/// changes one alone, and the old password goes on logging in by the other.
pub(crate) async fn other_methods(session: &mut Session, cx: &Invocation) -> Result<Option<Error>> {
    let [account] = session.ask("a look at the account", ACCOUNT, cx).await?;
    Ok(account.is_none_or(|account| names_other_methods(&account)).then(|| {
        Error::new(
            ErrorKind::Unsupported,
            "the account has more than one authentication plugin (IDENTIFIED VIA ... OR ...), and \
             by another than the first the old password would go on working; run ALTER USER ... \
             IDENTIFIED VIA mysql_native_password USING PASSWORD(...)",
        )
    }))
}

/// Whether OR, which stands between methods only, is outside the quotes in what MariaDB's SHOW
/// CREATE USER says. By `sql_mode` names are in backticks or quotation marks.
pub(crate) fn names_other_methods(account: &str) -> bool {
    outside_quotes(account).split_whitespace().any(|word| word == "OR")
}

/// What of SHOW CREATE USER is no name and no text.
fn outside_quotes(account: &str) -> String {
    let mut quote = None;
    let mut outside = String::new();
    let mut letters = account.chars();
    while let Some(letter) = letters.next() {
        match quote {
            // A doubled one ends the quote and begins it again.
            Some(open) if letter == open => quote = None,
            // In texts, not in names, MariaDB doubles backslashes, whatever the `sql_mode`.
            Some('\'') if letter == '\\' => drop(letters.next()),
            Some(_) => {}
            None if matches!(letter, '\'' | '"' | '`') => {
                // What it parts is not one word.
                outside.push(' ');
                quote = Some(letter);
            }
            None => outside.push(letter),
        }
    }
    outside
}

/// Whether the account is locked after fewer refused logins than one step may have.
async fn lock_out(at: &mut At<'_>) -> Result<Option<Finding>> {
    let [account] = at.session.ask("a look at the account", ACCOUNT, at.cx).await?;
    let attempts = attempts(account.as_deref().unwrap_or_default());
    Ok(attempts.filter(|attempts| *attempts <= MOST_REFUSED).map(|attempts| {
        Finding::Warns(format!(
            "FAILED_LOGIN_ATTEMPTS of {} is {attempts}: a step that has to try older passwords may \
             have {MOST_REFUSED} refused and lock the account; more than {MOST_REFUSED} for each \
             retry is safe",
            at.login.account()
        ))
    }))
}

/// FAILED_LOGIN_ATTEMPTS in what SHOW CREATE USER says; not there, or 0, where nothing locks.
pub(crate) fn attempts(account: &str) -> Option<u32> {
    let outside = outside_quotes(account);
    // Behind ATTRIBUTE stands JSON in which a quote may be a quote, by `sql_mode`.
    let mut words = outside.split_whitespace().take_while(|word| *word != "ATTRIBUTE");
    words.find(|word| *word == "FAILED_LOGIN_ATTEMPTS")?;
    let number = words.next()?.parse().ok()?;
    (number > 0).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_or_outside_quotes_stands_between_methods() {
        let native = "IDENTIFIED VIA mysql_native_password USING '*A0'";
        for (account, several) in [
            (format!("CREATE USER `a OR b`@`127.%` {native}"), false),
            ("CREATE USER `app`@`%` IDENTIFIED BY PASSWORD '*A0'".to_owned(), false),
            (format!("CREATE USER `app`@`%` {native} OR ed25519 USING 'kLw'"), true),
            (format!("CREATE USER `t``o OR b`@`%` {native} OR unix_socket"), true),
            (format!("CREATE USER \"o'a`\"@\"%\" {native} OR unix_socket REQUIRE SSL"), true),
            (format!("CREATE USER `back\\`@`%` {native} OR unix_socket"), true),
            (r"CREATE USER `a`@`%` IDENTIFIED VIA pam USING 'x\\' OR ed25519".to_owned(), true),
            (r"CREATE USER `a`@`%` IDENTIFIED VIA pam USING 'it''s OR \\ x'".to_owned(), false),
            (format!("CREATE USER `a`@`%` {native} REQUIRE SUBJECT '/O=a OR b'"), false),
        ] {
            assert_eq!(names_other_methods(&account), several, "{account}");
        }
    }

    #[test]
    fn the_attempts_are_read_where_they_are_limited() {
        let account = "CREATE USER `app`@`%` IDENTIFIED WITH 'caching_sha2_password' AS <secret> \
                       REQUIRE NONE PASSWORD REQUIRE CURRENT DEFAULT";
        assert_eq!(attempts(account), None);
        let with = |rest: &str| attempts(&format!("{account} FAILED_LOGIN_ATTEMPTS {rest}"));
        assert_eq!(with("4 PASSWORD_LOCK_TIME 1"), Some(4));
        assert_eq!(with("3"), Some(3));
        assert_eq!(with("0 PASSWORD_LOCK_TIME 0"), None);
        // As MySQL 9.7.4 writes it with NO_BACKSLASH_ESCAPES: what a user's comment says is no limit.
        let said = r#"ATTRIBUTE '{"comment": "it's after FAILED_LOGIN_ATTEMPTS 1 x"}'"#;
        assert_eq!(attempts(&format!("{account} {said}")), None);
        assert_eq!(with(&format!("9 PASSWORD_LOCK_TIME 4 {said}")), Some(9));
        let named = account.replace("`app`", "`a FAILED_LOGIN_ATTEMPTS 1 b`");
        assert_eq!(attempts(&named), None);
    }
}
