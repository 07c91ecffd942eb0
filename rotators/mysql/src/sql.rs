//! Statements, put together from parts that cannot break out of them.

use std::time::Duration;

use fourstep::{ExposeSecret, SecretString};

use crate::server::Flavour;
use crate::wire::{Plugin, account_key, native_hash};

/// A statement that carries a password or its hash. Has no `Debug`.
pub(crate) struct Statement {
    text: String,
    /// How long the password in it is, where the server has a limit.
    bytes: usize,
}

impl Statement {
    /// The text, for the one place that sends it.
    pub(crate) fn expose(&self) -> &str {
        &self.text
    }

    /// How long the password is, if it is longer than the server takes.
    pub(crate) fn too_long(&self) -> Option<usize> {
        (self.bytes > LONGEST_PASSWORD).then_some(self.bytes)
    }

    /// MySQL's change of the session's own password. The server itself keeps the passwords out of
    /// its logs: it writes `<secret>` (MySQL 9.7 reference manual, section 8.1.2.3).
    ///
    /// `replace` is compared with the primary password only, which makes this a compare-and-swap.
    /// With `retain` the primary password becomes the secondary one, whose place it takes.
    pub(crate) fn alter_user(
        password: &SecretString,
        replace: Option<&SecretString>,
        retain: bool,
    ) -> Self {
        let mut text = format!("ALTER USER CURRENT_USER() IDENTIFIED BY {}", literal(password));
        if let Some(replace) = replace {
            text.push_str(&format!(" REPLACE {}", literal(replace)));
        }
        if retain {
            text.push_str(" RETAIN CURRENT PASSWORD");
        }
        Self { text, bytes: password.expose_secret().len() }
    }

    /// MariaDB's. It logs statements as they came, so they carry a hash that is computed here.
    pub(crate) fn set_hash(password: &SecretString) -> Self {
        // Letters and digits behind a star.
        Self { text: format!("SET PASSWORD = '{}'", native_hash(password)), bytes: 0 }
    }

    /// The same for a server whose plugins check passwords, and so must see them.
    pub(crate) fn set_plaintext(password: &SecretString) -> Self {
        Self { text: format!("SET PASSWORD = PASSWORD({})", literal(password)), bytes: 0 }
    }
}

impl Statement {
    /// MySQL's change of other accounts' passwords: each account as it stands in statements, with
    /// its plugin's name. With `unlock` they may log in from then on.
    pub(crate) fn alter_accounts(
        accounts: &[(String, Plugin)],
        password: &SecretString,
        unlock: bool,
    ) -> Self {
        let (bytes, password) = (password.expose_secret().len(), literal(password));
        let one = |(account, plugin): &(String, Plugin)| {
            format!("{account} IDENTIFIED WITH '{}' BY {password}", plugin.name())
        };
        Self { text: of_accounts(accounts.iter().map(one), unlock), bytes }
    }

    /// MariaDB's, with the hash or, where the server is to check the password, the password.
    pub(crate) fn alter_hashes(
        accounts: &[(String, Plugin)],
        password: &SecretString,
        plaintext: bool,
        unlock: bool,
    ) -> Self {
        let password = match plaintext {
            true => format!("PASSWORD({})", literal(password)),
            false => format!("'{}'", native_hash(password)),
        };
        let one = |(account, _): &(String, Plugin)| {
            format!("{account} IDENTIFIED VIA mysql_native_password USING {password}")
        };
        Self { text: of_accounts(accounts.iter().map(one), unlock), bytes: 0 }
    }
}

fn of_accounts(accounts: impl Iterator<Item = String>, unlock: bool) -> String {
    let accounts = accounts.collect::<Vec<_>>().join(", ");
    let unlock = if unlock { " ACCOUNT UNLOCK" } else { "" };
    format!("ALTER USER {accounts}{unlock}")
}

/// The longest password that MySQL takes, in bytes (`MAX_PLAINTEXT_LENGTH` of its source). MariaDB,
/// which is given a hash, has no limit.
pub(crate) const LONGEST_PASSWORD: usize = 256;

/// Whether a password can be written only where a backslash means itself.
pub(crate) fn has_backslash(password: &SecretString) -> bool {
    password.expose_secret().contains('\\')
}

/// A string, whatever is in it but NUL. Holds only where [`limits`] was run: without
/// NO_BACKSLASH_ESCAPES a backslash would be taken for the beginning of something else.
fn literal(password: &SecretString) -> String {
    format!("'{}'", password.expose_secret().replace('\'', "''"))
}

/// MySQL's secondary password goes. Needs APPLICATION_PASSWORD_ADMIN.
pub(crate) const DISCARD: &str = "ALTER USER CURRENT_USER() DISCARD OLD PASSWORD";

/// Names of users come and go in UTF-8, whatever the server gives to sessions.
pub(crate) const NAMES: &str = "SET NAMES utf8mb4 COLLATE utf8mb4_general_ci, autocommit = 1";

/// Sets up a session that only looks: names come in backticks, always, a backslash is itself, and
/// no row is left out.
pub(crate) const READING: &str = "SET SESSION sql_mode = 'NO_BACKSLASH_ESCAPES', \
                                  sql_quote_show_create = 1, sql_select_limit = 18446744073709551615";

/// Sets up a session in which no setting of the server makes a difference, and which the server
/// itself ends if this side falls silent.
///
/// `left` is the time until the function's deadline and `lock` how much of it may go into waiting
/// for a lock: the default of `lock_wait_timeout` is a year, that of `wait_timeout` eight hours. If
/// this container freezes, the server ends the session and gives the account's lock back when it
/// has waited `left` for the next statement.
///
/// A session may be one that only reads, which the server can make the default.
pub(crate) fn limits(flavour: Flavour, left: Duration, lock: Duration) -> String {
    // Zero would mean no limit, or be refused.
    let [left, lock] = [left, lock].map(|time| time.as_secs().clamp(1, 900));
    let statement = match flavour {
        Flavour::Mysql => ", transaction_read_only = 0".to_owned(),
        // With `old_passwords` its PASSWORD() makes hashes that let nobody in: error 1275.
        // MariaDB 11.1 has the newer name of MySQL's too, and this one still.
        Flavour::Mariadb => {
            format!(", max_statement_time = {left}, old_passwords = 0, tx_read_only = 0")
        }
    };
    format!(
        "SET SESSION sql_mode = 'NO_BACKSLASH_ESCAPES', time_zone = '+00:00', \
         sql_select_limit = 18446744073709551615, wait_timeout = {left}, \
         lock_wait_timeout = {lock}{statement}"
    )
}

/// Waits for the account's lock, which the end of the session gives back. The answer is 1 if it was
/// taken and 0 if another session has it.
///
/// Locks are held per server: with several writers (group replication, Galera) they do not see
/// each other's.
pub(crate) fn lock(account: &str, wait: Duration) -> String {
    let wait = wait.as_secs().clamp(1, 900);
    format!("SELECT GET_LOCK('{}', {wait})", lock_name(account))
}

/// The same for a user of MariaDB's whose password has expired, who may ask nothing and set variables
/// only: the server refuses two rows for one where the lock is not taken.
pub(crate) fn lock_unasked(wait: Duration) -> String {
    const TWO_ROWS: &str = "(SELECT 1 UNION SELECT 2)";
    let wait = wait.as_secs().clamp(1, 900);
    let name = "CONCAT('fourstep:', UPPER(LEFT(SHA2(CURRENT_USER(), 256), 32)))";
    format!("SET SESSION lock_wait_timeout = IF(GET_LOCK({name}, {wait}) = 1, {wait}, {TWO_ROWS})")
}

/// Asks for the number of the session that holds the account's lock.
pub(crate) fn lock_holder(account: &str) -> String {
    format!("SELECT IS_USED_LOCK('{}')", lock_name(account))
}

/// A lock's name has at most 64 characters and no case: a user's name may have more, and has one.
fn lock_name(account: &str) -> String {
    format!("fourstep:{}", account_key(account))
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use proptest::prelude::*;

    #[test]
    fn each_statement_is_what_it_should_be() {
        let (old, new) = ("o'ld".into(), "n\\e\"w".into());
        let text = [
            Statement::alter_user(&new, None, false).text,
            Statement::alter_user(&new, Some(&old), false).text,
            Statement::alter_user(&new, Some(&old), true).text,
            Statement::set_hash(&new).text,
            Statement::set_plaintext(&old).text,
            limits(Flavour::Mysql, Duration::from_secs(30), Duration::from_millis(400)),
            limits(Flavour::Mariadb, Duration::MAX, Duration::from_secs(26)),
            lock("app@%", Duration::from_secs(26)),
            lock_holder("app@%"),
        ];
        expect![[r#"
            ALTER USER CURRENT_USER() IDENTIFIED BY 'n\e"w'
            ALTER USER CURRENT_USER() IDENTIFIED BY 'n\e"w' REPLACE 'o''ld'
            ALTER USER CURRENT_USER() IDENTIFIED BY 'n\e"w' REPLACE 'o''ld' RETAIN CURRENT PASSWORD
            SET PASSWORD = '*0EB0849E594F7976DB8001E4F10843B3E54914AE'
            SET PASSWORD = PASSWORD('o''ld')
            SET SESSION sql_mode = 'NO_BACKSLASH_ESCAPES', time_zone = '+00:00', sql_select_limit = 18446744073709551615, wait_timeout = 30, lock_wait_timeout = 1, transaction_read_only = 0
            SET SESSION sql_mode = 'NO_BACKSLASH_ESCAPES', time_zone = '+00:00', sql_select_limit = 18446744073709551615, wait_timeout = 900, lock_wait_timeout = 26, max_statement_time = 900, old_passwords = 0, tx_read_only = 0
            SELECT GET_LOCK('fourstep:564817E20F0104A83AF74845082AAB62', 26)
            SELECT IS_USED_LOCK('fourstep:564817E20F0104A83AF74845082AAB62')
        "#]]
        .assert_eq(&format!("{}\n", text.join("\n")));
    }

    proptest! {
        #[test]
        fn a_literal_ends_where_it_should(password in "\\PC{0,20}") {
            let literal = literal(&password.as_str().into());
            let inside = literal.strip_prefix('\'').unwrap().strip_suffix('\'').unwrap();
            prop_assert_eq!(inside.replace("''", ""), password.replace('\'', ""));
        }
    }
}
