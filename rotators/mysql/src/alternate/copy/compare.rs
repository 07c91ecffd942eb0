//! What two users differ in.

use fourstep::{Invocation, Result};

use crate::alternate::copy::compose::Users;
use crate::alternate::copy::plan::difference;
use crate::alternate::quoting::{AccountName, quote_literal};
use crate::session::Session;

/// The statements that would make the second user what the first one is: none if they are alike.
pub(crate) async fn differences(
    session: &mut Session,
    [user, other]: [&str; 2],
    cx: &Invocation,
) -> Result<Vec<String>> {
    let mut users = Users::read(session, [user, other], cx).await?;
    users.drop_stale(session, cx).await?;
    Ok(between(&users, other))
}

/// The same of users that were read.
pub(crate) fn between(users: &Users, other: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for (host, wanted) in &users.source {
        let name = AccountName::new(other, host);
        let Some(found) = users.target.get(host) else {
            lines.push(format!("CREATE USER {}", name.sql()));
            continue;
        };
        let difference = difference(wanted, found, &name);
        let steps = difference.give.into_iter().chain(difference.take);
        lines.extend(steps.map(|step| step.text));
        if wanted.settings.locked != found.settings.locked {
            let lock = if wanted.settings.locked { "LOCK" } else { "UNLOCK" };
            lines.push(format!("ALTER USER {} ACCOUNT {lock}", name.sql()));
        }
        if wanted.settings.plugin != found.settings.plugin {
            let plugin = quote_literal(&wanted.settings.plugin);
            lines.push(format!("ALTER USER {} IDENTIFIED WITH {plugin}", name.sql()));
        }
    }
    let lone = users.target.keys().filter(|host| !users.source.contains_key(*host));
    lines.extend(lone.map(|host| format!("DROP USER {}", AccountName::new(other, host).sql())));
    lines
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::alternate::copy::read::{Account, User};
    use crate::alternate::copy::rights::Rights;
    use crate::alternate::settings::Settings;

    #[test]
    fn a_plugin_s_name_stands_in_quotes() {
        let user = |plugin: &str| {
            let mut settings = Settings::default();
            settings.plugin = plugin.to_owned();
            let (rights, default_roles) = (Rights::new(), BTreeSet::new());
            User::from([("%".to_owned(), Account { rights, default_roles, settings })])
        };
        let users = Users { source: user("it's; DROP"), target: user("auth_pam") };
        let lines = between(&users, "app");
        assert_eq!(lines, ["ALTER USER 'app'@'%' IDENTIFIED WITH 'it''s; DROP'"]);
    }
}
