//! Whose users are, and which of them are more than an application's.

use fourstep::users::{Account, Accounts};
use fourstep::{Invocation, Result};

use crate::alternate::quoting::{AccountName, quote_literals};
use crate::alternate::read::table;
use crate::alternate::settings::Settings;
use crate::alternate::{compose, copy, role};
use crate::server::Flavour;
use crate::session::Session;

/// These users; on MariaDB every user, too, whose mark names the secret.
pub(crate) async fn read(
    session: &mut Session,
    usernames: &[&str],
    secret: &str,
    admin: &str,
    cx: &Invocation,
) -> Result<Accounts> {
    let flavour = session.server.flavour;
    let mut accounts = match flavour {
        Flavour::Mysql => role::whose::read(session, usernames, secret, admin, cx).await?,
        Flavour::Mariadb => copy::whose::read(session, usernames, secret, admin, cx).await?,
    };
    for (user, why) in other_logins(session, usernames, cx).await? {
        if let Some(account) = accounts.get_mut(&user) {
            account.other_login.get_or_insert(why);
        }
    }
    for name in usernames {
        if let Some(why) = too_long(flavour, name) {
            let account = Account { protected: Some(why), ..Account::default() };
            accounts.entry((*name).to_owned()).or_insert(account);
        }
    }
    Ok(accounts)
}

/// Why these users log in by something else than one password, of those of which an account that is not
/// locked does. What is locked may be half made.
async fn other_logins(
    session: &mut Session,
    usernames: &[&str],
    cx: &Invocation,
) -> Result<Vec<(String, String)>> {
    let users = quote_literals(usernames);
    let query = match session.server.flavour {
        Flavour::Mysql => format!(
            "SELECT User, Host, plugin, \
             IFNULL(JSON_CONTAINS_PATH(User_attributes, 'one', '$.multi_factor_authentication'), 0) \
             FROM mysql.user WHERE User IN ({users}) AND account_locked = 'N'"
        ),
        Flavour::Mariadb => format!(
            "SELECT User, Host, IFNULL(JSON_VALUE(Priv, '$.plugin'), ''), JSON_EXISTS(Priv, '$.auth_or') \
             FROM mysql.global_priv WHERE User IN ({users}) AND NOT JSON_EXISTS(Priv, '$.is_role') \
             AND IFNULL(JSON_VALUE(Priv, '$.account_locked'), '0') NOT IN ('1', 'true')"
        ),
    };
    let rows: Vec<[String; 4]> = table(session, &query, cx).await?;
    let why = |[user, host, plugin, others]: [String; 4]| {
        let settings = Settings::of_plugin(plugin, others == "1");
        let refused = compose::plugin(&AccountName::new(&user, &host), &settings).err()?;
        Some((user, refused.to_string()))
    };
    Ok(rows.into_iter().filter_map(why).collect())
}

/// What makes an account more than an application's, by its own rights and those of its roles.
pub(crate) async fn power(
    session: &mut Session,
    account: &AccountName,
    cx: &Invocation,
) -> Result<Option<String>> {
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
