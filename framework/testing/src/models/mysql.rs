//! MySQL's accounts: two passwords, and what may refuse a new one or a login.
//!
//! Source: MySQL's manual, "Password Management"; what it leaves open was run on 9.7.4 or read in
//! `set_and_validate_user_attributes` of the server.

use super::{Account, Session, Trouble};

/// What MySQL keeps of an account besides the password that [`Account`] has, the *primary* one.
///
/// `Debug` leaves the passwords out.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct DualPassword {
    /// The secondary password, which logs in too.
    pub retained: Option<String>,
    /// Every password that was primary before.
    pub former: Vec<String>,
    /// Refused logins since one succeeded.
    pub failed_logins: u32,
    /// How the account was made.
    pub rules: PasswordRules,
    /// The passwords before the last change, for a reader that did not see it yet.
    stale: Option<[Option<String>; 2]>,
}

impl std::fmt::Debug for DualPassword {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "DualPassword({:?})", self.rules)
    }
}

/// The options of `CREATE USER` about passwords. None is set unless asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PasswordRules {
    /// `PASSWORD REQUIRE CURRENT`: a change must name the primary password.
    pub require_current: bool,
    /// `PASSWORD HISTORY`: no password is taken twice.
    pub history: bool,
    /// `FAILED_LOGIN_ATTEMPTS`: so many refused logins in a row lock the account for longer than
    /// a rotation is repeated. 0: never.
    pub failed_login_attempts: u32,
    /// Logins are answered by a reader that sees a change only when an
    /// [hour](Account::catch_up) went by.
    pub lagging_reader: bool,
}

/// `ALTER USER USER() IDENTIFIED BY`.
///
/// `Debug` leaves the passwords out.
#[derive(Clone)]
pub struct Identified {
    by: String,
    replace: Option<String>,
    retain: bool,
}

impl Identified {
    /// `IDENTIFIED BY 'password'`: the secondary password stays what it is.
    pub fn by(password: &str) -> Self {
        Self { by: password.to_owned(), replace: None, retain: false }
    }

    /// `REPLACE 'current'`: only if this is the primary password.
    #[must_use]
    pub fn replace(self, current: &str) -> Self {
        Self { replace: Some(current.to_owned()), ..self }
    }

    /// `RETAIN CURRENT PASSWORD`: the primary password becomes the secondary one, and the
    /// secondary one is gone.
    #[must_use]
    pub fn retain(self) -> Self {
        Self { retain: true, ..self }
    }
}

impl std::fmt::Debug for Identified {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("ALTER USER IDENTIFIED BY")?;
        if self.replace.is_some() {
            formatter.write_str(" REPLACE")?;
        }
        if self.retain {
            formatter.write_str(" RETAIN CURRENT PASSWORD")?;
        }
        Ok(())
    }
}

/// Why MySQL did not change a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// 3638: the password was used before.
    History,
    /// 3891: what `REPLACE` names is not the primary password.
    IncorrectCurrent,
    /// 3892: there is no `REPLACE`, and the account requires it.
    MissingCurrent,
}

impl Account {
    /// This account, made with these options.
    #[must_use]
    pub fn with_rules(mut self, rules: PasswordRules) -> Self {
        self.dual.rules = rules;
        self
    }

    /// How many passwords log in.
    pub fn passwords(&self) -> usize {
        let second = self.dual.retained.as_ref().filter(|retained| **retained != self.password);
        1 + usize::from(second.is_some())
    }

    /// Does what `ALTER USER` says.
    ///
    /// # Errors
    /// A [`Refusal`]; nothing was changed then. The history is asked before `REPLACE` is compared.
    pub fn identify(&mut self, statement: Identified) -> Result<(), Refusal> {
        let Identified { by, replace, retain } = statement;
        let dual = &mut self.dual;
        if dual.rules.history && (by == self.password || dual.former.contains(&by)) {
            return Err(Refusal::History);
        }
        match replace {
            Some(current) if current != self.password => return Err(Refusal::IncorrectCurrent),
            None if dual.rules.require_current => return Err(Refusal::MissingCurrent),
            _ => {}
        }
        if dual.rules.lagging_reader && dual.stale.is_none() {
            dual.stale = Some([Some(self.password.clone()), dual.retained.clone()]);
        }
        let before = std::mem::replace(&mut self.password, by);
        dual.former.push(before.clone());
        if retain {
            dual.retained = Some(before);
        }
        Ok(())
    }

    /// A lagging reader sees what was changed.
    pub fn catch_up(&mut self) {
        self.dual.stale = None;
    }

    pub(super) fn is_password(&self, password: &str) -> bool {
        self.password == password || self.dual.retained.as_deref() == Some(password)
    }

    pub(super) fn locked_out(&self) -> bool {
        let most = self.dual.rules.failed_login_attempts;
        most > 0 && self.dual.failed_logins >= most
    }

    /// One login, which counts. The error is the answer of a locked account, 3955; the login that
    /// locks it gets that answer too.
    pub(super) fn log_in(&mut self, password: &str) -> Result<bool, Trouble> {
        let accepted = match &self.dual.stale {
            Some(stale) => stale.iter().flatten().any(|one| one == password),
            None => self.is_live() && self.is_password(password),
        };
        // Where nothing locks, nothing is counted.
        if self.dual.rules.failed_login_attempts > 0 && !self.locked_out() {
            self.dual.failed_logins = if accepted { 0 } else { self.dual.failed_logins + 1 };
        }
        if self.locked_out() {
            let count = self.dual.failed_logins;
            let why = format!("the account is locked for a day after {count} failed logins");
            return Err(Trouble::Refused(why));
        }
        Ok(accepted)
    }
}

impl Session {
    /// Changes the password of the session's own user.
    ///
    /// # Errors
    /// [`Trouble::Lost`]. The server's own refusal is the inner result.
    pub async fn identify(&self, statement: Identified) -> Result<Result<(), Refusal>, Trouble> {
        let name = format!("{statement:?}");
        self.execute(&name, |accounts| match accounts.get_mut(self.user()) {
            Some(account) => Ok(account.identify(statement)),
            None => Err(Trouble::Refused("the user is gone".to_owned())),
        })
        .await?
    }

    /// `ALTER USER USER() DISCARD OLD PASSWORD`: drops the secondary password.
    ///
    /// # Errors
    /// [`Trouble::Lost`].
    pub async fn discard_old_password(&self) -> Result<(), Trouble> {
        self.execute("ALTER USER DISCARD OLD PASSWORD", |accounts| {
            if let Some(account) = accounts.get_mut(self.user()) {
                account.dual.retained = None;
            }
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(rules: PasswordRules) -> Account {
        let mut account = Account::with_password("one").with_rules(rules);
        account.identify(Identified::by("two").replace("one").retain()).unwrap();
        account
    }

    fn accepted(account: &Account) -> Vec<&'static str> {
        ["one", "two", "three"].into_iter().filter(|one| account.accepts(one)).collect()
    }

    #[test]
    fn replace_is_compared_with_the_primary_password_only() {
        let mut account = account(PasswordRules::default());
        let statement = Identified::by("three").replace("one").retain();
        assert_eq!(account.identify(statement), Err(Refusal::IncorrectCurrent));
        assert_eq!(accepted(&account), ["one", "two"]);
    }

    #[test]
    fn retain_drops_the_secondary_password_and_a_plain_change_keeps_it() {
        let mut plain = account(PasswordRules::default());
        plain.identify(Identified::by("three")).unwrap();
        assert_eq!(accepted(&plain), ["one", "three"]);
        let mut retained = account(PasswordRules::default());
        retained.identify(Identified::by("three").retain()).unwrap();
        assert_eq!(accepted(&retained), ["two", "three"]);
    }

    #[test]
    fn an_account_may_require_the_current_password_and_refuse_former_ones() {
        let rules = PasswordRules { require_current: true, history: true, ..Default::default() };
        let mut account = account(rules);
        assert_eq!(account.identify(Identified::by("three")), Err(Refusal::MissingCurrent));
        let former = Identified::by("two").replace("wrong");
        assert_eq!(account.identify(former), Err(Refusal::History));
        assert_eq!(account.identify(Identified::by("three").replace("two")), Ok(()));
    }

    #[test]
    fn the_refused_login_that_locks_an_account_says_so_and_a_good_one_starts_again() {
        let rules = PasswordRules { failed_login_attempts: 2, ..Default::default() };
        let mut account = account(rules);
        assert_eq!(account.log_in("wrong"), Ok(false));
        assert_eq!(account.log_in("one"), Ok(true));
        assert_eq!(account.log_in("wrong"), Ok(false));
        assert!(matches!(account.log_in("wrong"), Err(Trouble::Refused(_))));
        assert!(matches!(account.log_in("two"), Err(Trouble::Refused(_))));
        assert!(accepted(&account).is_empty());
    }
}
