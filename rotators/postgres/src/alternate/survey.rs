//! A look at everything that a change of the two users will meet, and what it will run.

use std::collections::BTreeSet;

use fourstep::users::{Install, Login, Standing};
use fourstep::{Error, ErrorKind, Finding};

use crate::session::Session;
use crate::sql::{quote, quote_identifier};
use crate::{accounts, admin, transaction};

use super::databases::{self, Concerned};
use super::install::Job;
use super::roles::Roles;
use super::settings::Settings;
use super::{Names, extra, identity, roles, settings};

/// What is run in one database.
#[derive(Debug)]
pub(crate) struct Place {
    /// The admin's login there.
    pub(crate) login: Login,
    pub(crate) statements: Vec<String>,
}

/// What was found. Everything that follows is in here, so that a plan shows what a change runs.
#[derive(Debug)]
pub(crate) struct Survey {
    /// In this order, each a transaction; the first is the one that was looked in.
    pub(crate) places: Vec<Place>,
    obstacles: Vec<Error>,
    missing: BTreeSet<String>,
    pub(crate) warnings: BTreeSet<String>,
}

/// What was read of a pair.
struct Read<'a> {
    names: Names<'a>,
    version: u32,
    /// Whether the second is the one that gets a password: it is at rest, and can be taken from.
    at_rest: bool,
    roles: Roles,
    settings: Settings,
    concerned: Vec<Concerned>,
    /// Whether the second acts as the first already: what it has besides does not count.
    acts: bool,
}

impl Job<'_> {
    /// Looks, in a transaction of its own that is left open.
    pub(crate) async fn survey(
        &self,
        session: &mut Session,
        version: u32,
    ) -> Result<Survey, Error> {
        transaction::begin(session, self.turn).await?;
        self.look(session, version).await
    }

    /// Looks, in an open transaction.
    ///
    /// # Errors
    /// Those of a lost connection; what stands in the way of the change is no error here, but of
    /// the survey.
    pub(crate) async fn look(&self, session: &mut Session, version: u32) -> Result<Survey, Error> {
        let Install { pair, target, source, .. } = *self.install;
        let users = [target, source];
        let known = accounts::read(session, &users, Some(pair.secret()), self.turn).await?;
        let standing = self.install.judge(&known);
        let lacks = admin::lacks(session, &users, version, self.turn).await?;
        let mut survey = Survey {
            places: Vec::new(),
            obstacles: Vec::new(),
            missing: BTreeSet::new(),
            warnings: BTreeSet::new(),
        };
        // Rights on a user that is not ours are not asked for: who has them is believed its mark.
        let lacks = lacks.into_iter().filter(|(role, _)| standing.is_ok() || role != target);
        survey.missing.extend(lacks.map(|(_, statement)| statement));
        let standing = standing.map_err(|error| survey.obstacles.push(error)).ok();
        if target == source || !known.contains_key(source) {
            return Ok(survey);
        }
        let first = pair.first(&known, source, target);
        let names = Names { first, second: if first == source { target } else { source } };
        let settings = settings::read(session, &names, version, self.turn).await?;
        let about = (&settings.identities()[..], version);
        let roles = roles::read(session, &names, about, self.turn).await?;
        let concerned = databases::concerned(session, names.second, self.turn).await?;
        let acts = roles.member && settings.act(&names).is_empty();
        let at_rest = names.second == target;
        let read = Read { names, version, at_rest, roles, settings, concerned, acts };
        let open = databases::sessions(session, target, self.turn).await?;
        survey.open_sessions(open, target, self.install.refuse_open_sessions);
        survey.obstacles.extend(read.roles.expired.then(|| admin::expired(first)));
        let early = databases::sessions(session, names.second, self.turn).await?;
        let early = if read.acts { 0 } else { early };
        survey.warnings.extend(read.roles.said(&names, early, at_rest));
        let turned = if read.roles.exists { None } else { read.settings.turned(&names) };
        survey.warnings.extend(turned);
        survey.warnings.extend(identity::forgets(version).map(str::to_owned));
        let loses = self.beside(session, &read, &mut survey).await?;
        let mark = match standing {
            Some(Standing::Absent | Standing::Adopted) => Some(self.mark(session).await?),
            _ => None,
        };
        survey.compose(&read, (mark, loses), self.admin);
        Ok(survey)
    }

    /// The statement that writes the mark, behind what somebody else wrote there.
    async fn mark(&self, session: &mut Session) -> Result<String, Error> {
        let Install { pair, target, source, .. } = *self.install;
        let query = format!(
            "SELECT (SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = {})",
            quote(target)
        );
        let [comment] = session.ask("a look at the comment", &query, self.turn).await?;
        let mark = quote(&pair.mark(source).in_comment(comment.as_deref()));
        Ok(format!("COMMENT ON ROLE {} IS {mark}", quote_identifier(target)))
    }

    /// What the second has beside the first, in every database in which it is mentioned. Returns
    /// whether it loses any of that.
    async fn beside(
        &self,
        session: &mut Session,
        read: &Read<'_>,
        survey: &mut Survey,
    ) -> Result<bool, Error> {
        let Read { names, settings, acts, .. } = read;
        if !read.roles.exists {
            return Ok(false);
        }
        let here = self.admin.dbname.as_deref().unwrap_or_default();
        let about = (settings.identity(Some(here)), true, read.version);
        let found = extra::beside(session, names, about, self.turn).await?;
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
                    let admin = quote_identifier(&self.admin.username);
                    format!("GRANT CONNECT ON DATABASE {} TO {admin}", quote_identifier(name))
                }));
            } else if !acts {
                let login = self.admin.with_database(name);
                let (mut session, _) = self.postgres.open_admin(&login, self.turn).await?;
                let found = async {
                    transaction::begin(&mut session, self.turn).await?;
                    let about = (settings.identity(Some(name)), false, read.version);
                    extra::beside(&mut session, names, about, self.turn).await
                }
                .await;
                session.close(self.turn).await;
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
            survey.obstacles.push(refused);
        } else {
            survey.warnings.insert(format!("user {second:?} loses what {first:?} has not: {all}"));
        }
        Ok(!acts)
    }
}

impl Survey {
    /// What is run. First the second becomes a member of the first, so that it has all that the
    /// first has whatever follows; then what it owns is handed over, elsewhere first: who logs in
    /// once it acts as the first finds everything.
    fn compose(&mut self, read: &Read<'_>, (mark, loses): (Option<String>, bool), admin: &Login) {
        let Read { names, version, at_rest, roles, settings, .. } = read;
        let [first, second] = [names.first, names.second].map(quote_identifier);
        let mut options = vec![roles.inherit.as_str()];
        if *at_rest {
            options.extend([roles.login.as_str(), &roles.surplus]);
            let beyond = !roles.surplus_within_reach && !roles.surplus.is_empty();
            self.missing.extend(beyond.then(|| format!("ALTER ROLE {second} {}", roles.surplus)));
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
            self.missing.extend(missing);
            self.memberships(read, &mut end);
        }
        let mut others = Vec::new();
        for place in read.concerned.iter().filter(|place| place.owns || *at_rest) {
            let identity = (settings.heir(&place.name), *version);
            let statements = roles.hand_over(names, identity, *at_rest);
            if place.here {
                end.extend(statements);
            } else if place.open && place.enterable {
                others.push(Place { login: admin.with_database(&place.name), statements });
            }
        }
        if others.is_empty() {
            begin.append(&mut end);
        }
        let here = |statements| Place { login: admin.clone(), statements };
        self.places = std::iter::once(here(begin)).chain(others).collect();
        self.places.extend((!end.is_empty()).then(|| here(end)));
    }

    /// Takes the memberships of a second user that is at rest. One that the first has as well, or
    /// that does not count, may stay where the admin cannot take it.
    fn memberships(&mut self, read: &Read<'_>, statements: &mut Vec<String>) {
        for membership in &read.roles.memberships {
            let revoke = membership.revoke.clone();
            if membership.within_reach {
                statements.push(revoke);
            } else if !membership.covered && !read.acts {
                self.missing.insert(revoke);
            }
        }
    }

    fn open_sessions(&mut self, open: u64, user: &str, refuse: bool) {
        match open {
            0 => {}
            _ if refuse => self.obstacles.push(still_open(user, open)),
            _ => {
                self.warnings.insert(open_warning(user, open));
            }
        }
    }

    fn lacks(&self) -> Option<Error> {
        let missing = self.missing.iter().map(String::as_str).collect::<Vec<_>>();
        (!missing.is_empty()).then(|| admin::forbidden(&missing.join("; ")))
    }

    /// What stands in the way, as one error.
    pub(crate) fn first_obstacle(&self) -> Option<Error> {
        self.obstacles.first().cloned().or_else(|| self.lacks())
    }

    /// All that stands in the way, and all that is worth knowing.
    pub(crate) fn findings(&self) -> Vec<Finding> {
        let fails = self.obstacles.iter().cloned().chain(self.lacks()).map(Finding::Fails);
        fails.chain(self.warnings.iter().cloned().map(Finding::Warns)).collect()
    }

    /// The statements of the change, as a person could run them.
    pub(crate) fn lines(&self, target: &str) -> Vec<String> {
        let mut lines = Vec::new();
        for obstacle in &self.obstacles {
            lines.extend(comment(&format!("in the way: {obstacle}")));
        }
        for statement in &self.missing {
            lines.extend(comment("the admin lacks a right; somebody who may must run first:"));
            lines.extend(statement_lines(statement));
        }
        lines.extend(self.warnings.iter().flat_map(|warning| comment(warning)));
        for place in &self.places {
            let database = place.login.dbname.as_deref().unwrap_or_default();
            let nothing = if place.statements.is_empty() { ": nothing to change" } else { "" };
            lines.extend(comment(&format!("database {database:?}, one transaction{nothing}")));
            lines.extend(place.statements.iter().flat_map(|one| statement_lines(one)));
        }
        lines.extend(comment(&format!("then the password of {target:?}, and LOGIN")));
        lines
    }
}

/// A text as comments, each of its lines by itself: names are anybody's who may make a database, a
/// schema or a role. Source: PostgreSQL 18 documentation, section 4.1.5: a comment ends with its
/// line; psql ends one at a carriage return too.
fn comment(text: &str) -> Vec<String> {
    let lines = text.split(['\n', '\r']).map(|line| {
        let harmless = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
        format!("-- {}", line.chars().map(harmless).collect::<String>())
    });
    lines.collect()
}

/// A statement of a plan. In comments if it does not fit into a line.
fn statement_lines(statement: &str) -> Vec<String> {
    match statement.chars().any(char::is_control) {
        false => vec![format!("{statement};")],
        true => comment(&format!("{statement};")),
    }
}

fn open_warning(user: &str, open: u64) -> String {
    format!(
        "user {user:?} still has {open} open session(s), and its password is about to be replaced: a \
         client that does not read the secret before it connects again will be refused"
    )
}

pub(crate) fn still_open(user: &str, open: u64) -> Error {
    Error::new(
        ErrorKind::Conflict,
        format!("user {user:?} still has {open} open session(s), and REFUSE_OPEN_SESSIONS is set"),
    )
    .caused_by(
        "its password was not changed; let its clients read the secret and connect again, then retry",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_a_comment_is_one() {
        assert_eq!(comment("a\n\\! b\rc\u{1b}[0m"), ["-- a", "-- \\! b", "-- c\u{fffd}[0m"]);
        assert_eq!(statement_lines("SELECT 1"), ["SELECT 1;"]);
        assert_eq!(statement_lines("A \"b\n\\! c\""), ["-- A \"b", "-- \\! c\";"]);
    }
}
