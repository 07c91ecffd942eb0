//! What two users differ in.

use fourstep::{Error, Turn};

use crate::alternate::compose::{Users, attributes};
use crate::alternate::plan::difference;
use crate::alternate::rights::AccountName;
use crate::session::Session;

/// The statements that would make the second user what the first one is: none if they are alike.
pub(crate) async fn differences(
    session: &mut Session,
    [user, other]: [&str; 2],
    turn: &Turn,
) -> Result<Vec<String>, Error> {
    let mut users = Users::read(session, [user, other], turn).await?;
    users.drop_stale(session, turn).await?;
    let flavour = session.server.flavour;
    let mut lines = Vec::new();
    for (host, wanted) in &users.source {
        let name = AccountName::new(other, host);
        let Some(found) = users.target.get(host) else {
            lines.push(format!("CREATE USER {}", name.sql()));
            continue;
        };
        let difference = difference(flavour, wanted, found, &name);
        let steps = attributes(&name, wanted, found, None).into_iter();
        lines.extend(steps.chain(difference.give).chain(difference.take).map(|step| step.text));
        if wanted.settings.locked != found.settings.locked {
            let lock = if wanted.settings.locked { "LOCK" } else { "UNLOCK" };
            lines.push(format!("ALTER USER {} ACCOUNT {lock}", name.sql()));
        }
        if wanted.settings.plugin != found.settings.plugin {
            let plugin = &wanted.settings.plugin;
            lines.push(format!("ALTER USER {} IDENTIFIED WITH {plugin}", name.sql()));
        }
    }
    let lone = users.target.keys().filter(|host| !users.source.contains_key(*host));
    lines.extend(lone.map(|host| format!("DROP USER {}", AccountName::new(other, host).sql())));
    Ok(lines)
}
