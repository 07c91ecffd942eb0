//! A look at everything that a change of the two users will meet, and what it will run.

use fourstep::Result;
use fourstep::users::{
    Accounts, Assessment, Database, Install, Login, Ownership, Part, Step, driver,
};

use crate::session::At;
use crate::sql::{quote, quote_identifier};
use crate::{Postgres, admin};

use super::databases::{self, Concerned};
use super::roles::{DROP, REASSIGN, Roles};
use super::settings::Settings;
use super::{Names, extra, roles, settings, spare, versions};

/// A look at a pair.
pub(crate) struct Survey<'a, 'c> {
    pub(crate) postgres: &'a Postgres,
    pub(crate) admin: &'a mut At<'c>,
    pub(crate) install: &'a Install<'a>,
}

/// What was read of a pair.
struct Read<'a> {
    names: Names<'a>,
    version: i32,
    /// Whether the second is the one that gets a password: it is at rest, and can be taken from.
    at_rest: bool,
    roles: Roles,
    settings: Settings,
    concerned: Vec<Concerned>,
    /// Whether the second acts as the first already: what it has besides does not count.
    acts: bool,
}

impl Survey<'_, '_> {
    /// Looks, in an open transaction.
    ///
    /// # Errors
    /// Those of a lost connection; what stands in the way of the change is no error here.
    pub(crate) async fn assess(
        &mut self,
        accounts: &Accounts,
        ownership: Option<Ownership>,
    ) -> Result<Assessment<()>> {
        let Install { pair, target, source, .. } = *self.install;
        let session = &mut self.admin.session;
        let version = session.version;
        // Rights on a user that is not ours are not asked for: who has them is believed its mark.
        let ours = [Some(source), ownership.is_some().then_some(target)];
        let lacks = accounts.iter().filter(|(user, _)| ours.contains(&Some(user.as_str())));
        let lacks = lacks.flat_map(|(_, account)| account.lacks.iter().cloned());
        let mut found = Assessment { missing: lacks.collect(), ..Assessment::default() };
        if target == source || !accounts.contains_key(source) {
            return Ok(found);
        }
        let first = pair.first(accounts, source, target);
        let names = Names { first, second: if first == source { target } else { source } };
        let settings = settings::read(session, &names, self.admin.cx).await?;
        let roles = roles::read(session, &names, &settings.identities(), self.admin.cx).await?;
        let concerned = databases::concerned(session, names.second, self.admin.cx).await?;
        let acts = roles.member && settings.act(&names).is_empty();
        let at_rest = names.second == target;
        let read = Read { names, version, at_rest, roles, settings, concerned, acts };
        found.objections.extend(read.roles.expired.then(|| admin::expired(first)));
        let early = match read.acts {
            true => 0,
            false => databases::sessions(session, names.second, self.admin.cx).await?,
        };
        found.warnings.extend(read.roles.said(&names, early, at_rest));
        let turned = if read.roles.exists { None } else { read.settings.turned(&names) };
        found.warnings.extend(turned);
        found.warnings.extend(versions::forgets(version).map(str::to_owned));
        let loses = self.beside(&read, &mut found).await?;
        let mark = match ownership {
            Some(Ownership::Absent | Ownership::Adopted) => Some(self.mark().await?),
            _ => None,
        };
        compose(&mut found, &read, (mark, loses), &self.admin.login);
        Ok(found)
    }

    /// The statement that writes the mark, behind what somebody else wrote there.
    async fn mark(&mut self) -> Result<String> {
        let Install { pair, target, source, .. } = *self.install;
        let query = format!(
            "SELECT (SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = {})",
            quote(target)
        );
        let (comment,): (Option<String>,) =
            self.admin.session.ask("a look at the comment", query, self.admin.cx).await?;
        let mark = quote(&pair.mark(source).in_comment(comment.as_deref()));
        Ok(format!("COMMENT ON ROLE {} IS {mark}", quote_identifier(target)))
    }

    /// What the second has beside the first, in every database in which it is mentioned. Returns
    /// whether it loses any of that.
    async fn beside(&mut self, read: &Read<'_>, survey: &mut Assessment<()>) -> Result<bool> {
        let Read { names, settings, acts, .. } = read;
        if !read.roles.exists {
            return Ok(false);
        }
        let login = self.admin.login.clone();
        let here = login.dbname.as_deref().unwrap_or_default();
        let about = (settings.identity(Some(here)), true, read.version);
        let (session, cx) = (&mut self.admin.session, self.admin.cx);
        let found = match acts {
            true => extra::gifts(session, names, about, cx).await?,
            false => extra::beside(session, names, about, cx).await?,
        };
        let mut all: Vec<_> =
            found.map(|it| format!("in database {here:?} {it}")).into_iter().collect();
        for place in read.concerned.iter().filter(|place| !place.here) {
            let name = &place.name;
            if !place.open {
                survey.warnings.insert(format!(
                    "database {name:?} lets nobody in (ALLOW_CONNECTIONS) and is left as it is"
                ));
            } else if !place.enterable {
                // Otherwise it was given something, by anybody, that does not count.
                survey.missing.extend((place.owns || !acts).then(|| {
                    let admin = quote_identifier(&login.username);
                    format!("GRANT CONNECT ON DATABASE {} TO {admin}", quote_identifier(name))
                }));
            } else if !acts {
                let login = login.with_database(name);
                let mut there = driver::open_admin(self.postgres, &login, self.admin.cx).await?;
                let found = async {
                    self.postgres.begin(&mut there, &[]).await?;
                    let about = (settings.identity(Some(name)), false, read.version);
                    extra::beside(&mut there.session, names, about, self.admin.cx).await
                }
                .await;
                driver::close(self.postgres, there).await;
                all.extend(found?.map(|it| format!("in database {name:?} {it}")));
            }
        }
        if all.is_empty() {
            return Ok(false);
        }
        let (first, second, all) = (names.first, names.second, all.join("; "));
        if *acts {
            survey.warnings.insert(format!(
                "user {second:?} was given what {first:?} has not, which does not count because it \
                 acts as {first:?}: {all}"
            ));
        } else if let Err(refused) = self.install.pair.may_drop(first, second, &all) {
            survey.objections.push(refused);
        } else {
            survey.warnings.insert(format!("user {second:?} loses what {first:?} has not: {all}"));
        }
        Ok(!acts)
    }
}

/// What is run. First the second becomes a member of the first, so that it has all that the
/// first has whatever follows; then what it owns is handed over, elsewhere first: who logs in
/// once it acts as the first finds everything.
fn compose(
    found: &mut Assessment<()>,
    read: &Read<'_>,
    (mark, loses): (Option<String>, bool),
    admin: &Login,
) {
    let Read { names, version, at_rest, roles, settings, .. } = read;
    let [first, second] = [names.first, names.second].map(quote_identifier);
    let mut options = vec![roles.inherit.as_str()];
    if *at_rest {
        options.extend([roles.login.as_str(), &roles.surplus]);
        let beyond = !roles.surplus_within_reach && !roles.surplus.is_empty();
        found.missing.extend(beyond.then(|| format!("ALTER ROLE {second} {}", roles.surplus)));
    }
    options.retain(|option| !option.is_empty());
    let options: String = options.iter().map(|option| format!(" {option}")).collect();
    let mut begin = match roles.exists {
        false => vec![format!("CREATE ROLE {second} NOLOGIN{options}")],
        true if options.is_empty() => Vec::new(),
        true => vec![format!("ALTER ROLE {second}{options}")],
    };
    begin.extend(mark);
    if !roles.member {
        let old = *version < admin::ADMIN_OPTION;
        let options = if old { "" } else { " WITH INHERIT TRUE, SET TRUE" };
        begin.push(format!("GRANT {first} TO {second}{options}"));
    }
    // One that is in use goes on with all it has: it acts as the first from its own turn on.
    let stays = loses && !at_rest;
    let act = if stays { Vec::new() } else { settings.act(names) };
    let mut end = roles.acting(act, &settings.identities(), *version);
    if *at_rest {
        let [level, missing] = settings.level(names, &admin.username, *version);
        end.extend(level);
        found.missing.extend(missing);
    }
    let mut end = steps(end, false);
    if *at_rest {
        end.extend(steps(memberships(found, read), read.acts));
    }
    let taking = |statements| {
        let spare = |step: Step| Step { spare: read.acts && step.text.starts_with(DROP), ..step };
        steps(statements, false).into_iter().map(spare).collect::<Vec<_>>()
    };
    let mut others = Vec::new();
    for place in read.concerned.iter().filter(|place| place.owns || *at_rest) {
        let identity = (settings.heir(&place.name), *version);
        let statements = roles.hand_over(names, identity, *at_rest);
        if place.here {
            end.extend(taking(statements));
        } else if place.open && place.enterable {
            let login = admin.with_database(&place.name);
            others.push(match read.acts && !place.owns {
                true => spare_part(login, steps(statements, true)),
                false => Part { login, steps: taking(statements) },
            });
        }
    }
    let mut begin = steps(begin, false);
    if others.is_empty() {
        begin.append(&mut end);
    }
    let begin = Part { login: admin.clone(), steps: begin };
    found.parts = std::iter::once(begin).chain(others).collect();
    found.parts.extend((!end.is_empty()).then(|| match end.iter().all(|step| step.spare) {
        true => spare_part(admin.clone(), end),
        false => Part { login: admin.clone(), steps: end },
    }));
}

/// Takes the memberships of a second user that is at rest. One that the first has as well, or
/// that does not count, may stay where the admin cannot take it.
fn memberships(found: &mut Assessment<()>, read: &Read<'_>) -> Vec<String> {
    let mut statements = Vec::new();
    for membership in &read.roles.memberships {
        let revoke = membership.revoke.clone();
        if membership.within_reach {
            statements.push(revoke);
        } else if !membership.covered && !read.acts {
            found.missing.insert(revoke);
        }
    }
    statements
}

/// A part that is given up as a whole: it must not use up the time of what counts.
fn spare_part(login: Login, steps: Vec<Step>) -> Part {
    let limits = spare::SHORTLY.map(|text| Step { spare: true, ..Step::new(text) });
    Part { login, steps: limits.into_iter().chain(steps).collect() }
}

/// `spare` are those that take only what does not count.
fn steps(statements: Vec<String>, spare: bool) -> Vec<Step> {
    let step = |text: String| {
        let locks = text.starts_with(REASSIGN) || text.starts_with(DROP);
        Step { locks, spare, ..Step::new(text) }
    };
    statements.into_iter().map(step).collect()
}
