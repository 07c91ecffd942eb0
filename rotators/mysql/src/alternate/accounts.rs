//! Whose users are, and which of them are more than an application's.

use fourstep::users::{Account, Accounts};
use fourstep::{Error, Invocation};

use crate::alternate::copy;
use crate::alternate::quoting::AccountName;
use crate::alternate::role;
use crate::server::Flavour;
use crate::session::Session;

/// These users; on MariaDB every user, too, whose mark names the secret.
pub(crate) async fn read(
    session: &mut Session,
    usernames: &[&str],
    secret: &str,
    admin: &str,
    cx: &Invocation,
) -> Result<Accounts, Error> {
    let flavour = session.server.flavour;
    let mut accounts = match flavour {
        Flavour::Mysql => role::whose::read(session, usernames, secret, admin, cx).await?,
        Flavour::Mariadb => copy::whose::read(session, usernames, secret, admin, cx).await?,
    };
    for name in usernames {
        if let Some(why) = too_long(flavour, name) {
            let account = Account { protected: Some(why), ..Account::default() };
            accounts.entry((*name).to_owned()).or_insert(account);
        }
    }
    Ok(accounts)
}

/// What makes an account more than an application's, by its own rights and those of its roles.
pub(crate) async fn power(
    session: &mut Session,
    account: &AccountName,
    cx: &Invocation,
) -> Result<Option<String>, Error> {
    match session.server.flavour {
        Flavour::Mysql => role::power::of_account(session, account, cx).await,
        Flavour::Mariadb => copy::whose::power(session, vec![account.clone()], cx).await,
    }
}

/// How it is said that an account is one.
pub(crate) fn powerful(privilege: &str) -> String {
    format!("it has {privilege}, and so is as good as an admin")
}

/// Why the server would not take a user of this name. MySQL 9.7 reference manual, section 8.2.1,
/// "Account User Names and Passwords"; MariaDB 10.11 says 128.
fn too_long(flavour: Flavour, name: &str) -> Option<String> {
    let most = match flavour {
        Flavour::Mysql => 32,
        Flavour::Mariadb => 128,
    };
    let length = name.chars().count();
    (length > most)
        .then(|| format!("its name has {length} characters, and the server takes {most}"))
}
