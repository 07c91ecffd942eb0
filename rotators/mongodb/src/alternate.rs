//! Two users that an admin keeps equal: roles, customData, addresses, and how passwords are proven.
//!
//! No command of these can be rolled back, and each leaves something that the next run goes on from. A
//! user is made with a password that nobody knows, with its mark and its roles; the last command gives
//! it the recorded one. The mark stands in customData. Who has `changeOwnCustomData` can write that on
//! itself, so that it is only a claim there; everybody else's mark was written by an admin.

use std::collections::BTreeSet;

use async_trait::async_trait;
use bson::raw::{RawArrayBuf, RawDocumentBuf, cstr};
use bson::rawdoc;
use fourstep::users::{
    Account, Accounts, Alternates, Assessment, Install, LoggedIn, Login, Mark, Ownership, Part,
    Step, driver,
};
use fourstep::{Error, ErrorKind, Invocation, Result, SecretString, hex, random_bytes};

use crate::admin::{TO_RESET, find, lacks};
use crate::change::{Prepared, exchange, quoted};
use crate::session::{At, database};
use crate::user::{MARK, Privileges, Role, User, marked, named};
use crate::{CACHED, Mongodb, errors};

/// What else an admin needs in the database of a pair.
const TO_PAIR: [&str; 2] = ["createUser", "changeCustomData"];

/// What the password of a pair's user is set with.
#[derive(Debug, Default)]
pub struct Found {
    mechanisms: Option<Vec<String>>,
    /// Whether the user was made, so that its mark has to be there.
    made: bool,
}

/// What the admin lacks to keep these users equal.
fn lacks_for_pair<'a>(
    own: &Privileges,
    login: &Login,
    users: impl Iterator<Item = &'a User>,
) -> BTreeSet<String> {
    let here = database(login);
    let mut needs: Vec<_> = TO_RESET.iter().chain(&TO_PAIR).map(|action| (*action, here)).collect();
    for user in users {
        let roles = user.roles.iter().map(|role| role.database.as_str());
        needs.extend(roles.flat_map(|here| [("grantRole", here), ("revokeRole", here)]));
        needs.extend(user.is_restricted().then_some(("setAuthenticationRestriction", here)));
    }
    lacks(own, &login.username, &needs)
}

/// The commands that make a user as its source is, each with how mongosh would be told.
struct Commands<'a> {
    here: &'a str,
    target: &'a str,
    list: Vec<(String, RawDocumentBuf)>,
}

impl Commands<'_> {
    fn push(&mut self, method: &str, shown: &str, command: RawDocumentBuf) {
        let here = quoted(self.here);
        self.list.push((format!("db.getSiblingDB({here}).{method}({shown})"), command));
    }

    fn begun(&self, name: &'static bson::raw::CStr) -> RawDocumentBuf {
        let mut command = RawDocumentBuf::new();
        command.append(name, self.target);
        command.append(cstr!("$db"), self.here);
        command
    }

    fn create(&mut self, source: &User, mark: &Mark) -> Result<()> {
        let mut command = self.begun(cstr!("createUser"));
        command.append(cstr!("pwd"), nobodys_password()?);
        command.append(cstr!("roles"), array(&source.roles));
        let settings = self.settings(&mut command, None, source, Some(mark));
        let (user, roles) = (quoted(self.target), shown(&source.roles));
        let told = format!("{{user: {user}, pwd: passwordPrompt(), roles: {roles}, {settings}}}");
        self.push("createUser", &told, command);
        Ok(())
    }

    fn level(&mut self, target: &User, source: &User, mark: Option<&Mark>) {
        let differ = |one: &User, other: &User| -> BTreeSet<Role> {
            one.roles.difference(&other.roles).cloned().collect()
        };
        for (roles, name, method) in [
            (differ(source, target), cstr!("grantRolesToUser"), "grantRolesToUser"),
            (differ(target, source), cstr!("revokeRolesFromUser"), "revokeRolesFromUser"),
        ] {
            if !roles.is_empty() {
                let mut command = self.begun(name);
                command.append(cstr!("roles"), array(&roles));
                self.push(method, &format!("{}, {}", quoted(self.target), shown(&roles)), command);
            }
        }
        let present = target.mark();
        let mark = mark.or(present.as_ref());
        if target.settings_differ(source) || mark != present.as_ref() {
            let mut command = self.begun(cstr!("updateUser"));
            let settings = self.settings(&mut command, Some(target), source, mark);
            self.push("updateUser", &format!("{}, {{{settings}}}", quoted(self.target)), command);
        }
    }

    /// Appends customData, with the mark, and the addresses; and says so.
    fn settings(
        &self,
        command: &mut RawDocumentBuf,
        target: Option<&User>,
        source: &User,
        mark: Option<&Mark>,
    ) -> String {
        let mut data = source.owners_data();
        let their = |option: &str, field: &str| {
            let [here, name] = [self.here, &source.name].map(quoted);
            format!("db.getSiblingDB({here}).getUser({name}{option}).{field}")
        };
        let mut told = Vec::new();
        if !data.is_empty() {
            // The source's own mark stays with the source.
            let theirs = their("", "customData");
            told.push(format!("...(({{{MARK}, ...rest}}) => rest)({theirs})"));
        }
        if let Some(Mark { partner, secret }) = mark {
            let (partner, secret) = (partner.as_str(), secret.as_str());
            data.append(cstr!("fourstep"), rawdoc! { "partner": partner, "secret": secret });
            let [partner, secret] = [partner, secret].map(quoted);
            told.push(format!("{MARK}: {{partner: {partner}, secret: {secret}}}"));
        }
        command.append(cstr!("customData"), data);
        let mut told = format!("customData: {{{}}}", told.join(", "));
        // The right to set them is asked for as soon as the field is there, though it be empty.
        let some_have = [target, Some(source)].into_iter().flatten().any(User::is_restricted);
        if let Some(restrictions) = source.restrictions.clone().filter(|_| some_have) {
            let option = ", {showAuthenticationRestrictions: true}";
            let theirs = match restrictions.is_empty() {
                true => "[]".to_owned(),
                false => their(option, "authenticationRestrictions"),
            };
            told.push_str(&format!(", authenticationRestrictions: {theirs}"));
            command.append(cstr!("authenticationRestrictions"), restrictions);
        }
        told
    }
}

fn array(roles: &BTreeSet<Role>) -> RawArrayBuf {
    let role = |role: &Role| rawdoc! { "role": role.name.as_str(), "db": role.database.as_str() };
    roles.iter().map(role).collect()
}

fn shown(roles: &BTreeSet<Role>) -> String {
    let roles: Vec<_> = roles.iter().map(Role::shown).collect();
    format!("[{}]", roles.join(", "))
}

/// A password that is kept nowhere: no user can be made without one.
fn nobodys_password() -> Result<String> {
    random_bytes::<32>().map(|bytes| hex(&bytes))
}

#[async_trait]
impl Alternates for Mongodb {
    type Found = Found;

    const COMMENT: &'static str = "//";

    async fn accounts(
        &self,
        admin: &mut At<'_>,
        usernames: &[&str],
        secret: &str,
    ) -> Result<Accounts> {
        let LoggedIn { login, session, cx } = admin;
        let here = database(login);
        let own = Privileges::own(session, cx).await?;
        let missing = lacks(&own, &login.username, &TO_RESET.map(|action| (action, here)));
        if !missing.is_empty() {
            return Err(driver::lacks_rights(missing.iter().map(String::as_str)));
        }
        let mut names: BTreeSet<_> = marked(session, here, secret, cx).await?.into_iter().collect();
        names.extend(usernames.iter().map(|name| (*name).to_owned()));
        let users = named(session, here, names.iter().map(String::as_str), cx).await?;
        let account = |user: &User| {
            let writes = user.writes_marks(here);
            let lacks = lacks_for_pair(&own, login, std::iter::once(user)).into_iter().collect();
            Account {
                mark: user.mark().filter(|_| !writes),
                claim: user.mark().filter(|_| writes),
                protected: user.power(),
                lacks,
                usable: true,
                ..Account::default()
            }
        };
        Ok(users.iter().map(|(name, user)| (name.clone(), account(user))).collect())
    }

    async fn assess(
        &self,
        admin: &mut At<'_>,
        install: &Install<'_>,
        _: &Accounts,
        ownership: Option<Ownership>,
    ) -> Result<Assessment<Found>> {
        let Install { pair, target, source, .. } = *install;
        let Some(ownership) = ownership else { return Ok(Assessment::default()) };
        let LoggedIn { login, session, cx } = admin;
        let here = database(login);
        let users = named(session, here, [target, source], cx).await?;
        let Some(from) = users.get(source) else { return Ok(Assessment::default()) };
        if ownership == Ownership::Absent && users.contains_key(target) {
            // Judged a moment ago, when it was not there: it has whoever made it since.
            let what = format!("user {target:?} was made by somebody else meanwhile");
            let made = Error::new(ErrorKind::Conflict, what).caused_by("it was not changed; retry");
            return Ok(Assessment { objections: vec![made], ..Assessment::default() });
        }
        let mark =
            matches!(ownership, Ownership::Absent | Ownership::Adopted).then(|| pair.mark(source));
        let mut commands = Commands { here, target, list: Vec::new() };
        match (users.get(target), &mark) {
            (Some(to), mark) => commands.level(to, from, mark.as_ref()),
            (None, Some(mark)) => commands.create(from, mark)?,
            (None, None) => {}
        }
        let made = !users.contains_key(target);
        let own = Privileges::own(session, cx).await?;
        let missing = lacks_for_pair(&own, login, users.values());
        let steps = commands.list.iter().map(|(text, _)| Step::new(text.as_str())).collect();
        session.assessed = commands.list;
        Ok(Assessment {
            parts: vec![Part { login: login.clone(), steps }],
            found: Found { mechanisms: from.mechanisms.clone(), made },
            missing,
            warnings: session.router.then(|| CACHED.to_owned()).into_iter().collect(),
            ..Assessment::default()
        })
    }

    async fn run(&self, at: &mut At<'_>, statement: &str) -> Result<()> {
        let assessed = at.session.assessed.iter().find(|(text, _)| text == statement);
        let Some((_, command)) = assessed.cloned() else {
            return Err(Error::new(ErrorKind::Internal, "not a command of this assessment"));
        };
        exchange(&mut at.session, command, at.cx).await.map_err(|failure| {
            let error = failure.sorted(|refusal| errors::of_change(*refusal));
            error.while_doing(statement.to_owned())
        })
    }

    async fn prepare_install(
        &self,
        admin: &mut At<'_>,
        install: &Install<'_>,
        found: Found,
        password: &SecretString,
    ) -> Result<Prepared> {
        let here = database(&admin.login);
        let target = find(&mut admin.session, here, install.target, admin.cx).await?;
        if found.made && target.mark().is_none() {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "the server keeps no customData, in which the mark of a pair stands: drop the user that \
                 was made, which cannot log in, and use the strategy single-user-by-admin",
            ));
        }
        Ok(Prepared::new(here, install.target, password).proven_by(found.mechanisms))
    }

    async fn differences(
        &self,
        admin: &Login,
        pending: &Login,
        partner: &str,
        cx: &Invocation,
    ) -> Result<Vec<String>> {
        let mut admin = driver::open_admin(self, admin, cx).await?;
        let (session, here) = (&mut admin.session, database(pending));
        let pair = [pending.username.as_str(), partner];
        let users = named(session, here, pair, cx).await;
        driver::close(self, admin).await;
        let users = users?;
        match pair.map(|name| users.get(name)) {
            [Some(one), Some(other)] => Ok(one.differences(other)),
            _ => Ok(vec!["one of them is gone".to_owned()]),
        }
    }
}
