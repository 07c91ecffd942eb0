//! The logins tried in one step: none is tried twice, and a failure lists them all.

use secrecy::ExposeSecret;

use crate::error::{Error, ErrorKind, Result};
use crate::invocation::Invocation;
use crate::rotator::{Recorded, SetContext};
use crate::secret::Previous;
use crate::users::{Attempt, Database, Driver, LoggedIn, Login, common};

/// A session, and what opened it.
pub(super) struct Open<'a, Session> {
    pub(super) at: LoggedIn<'a, Session>,
    /// For messages: which version of the secret it was.
    pub(super) name: String,
}

/// Where an older password may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Older {
    /// In AWSPREVIOUS.
    Previous,
    /// In the newest versions that carry none of AWS's labels.
    Others,
}

/// The logins tried in this step.
pub(super) struct LoginAttempts<'a, S> {
    database: &'a Driver<S>,
    cx: &'a Invocation,
    refused: Vec<(String, Login, String)>,
    /// Why older versions could not be looked at.
    unseen: Vec<Error>,
    /// How many older versions were left alone.
    untried: usize,
}

impl<'a, S: Database> LoginAttempts<'a, S> {
    pub(super) fn new(database: &'a Driver<S>, cx: &'a Invocation) -> Self {
        Self { database, cx, refused: Vec::new(), unseen: Vec::new(), untried: 0 }
    }

    /// Logs in, unless this very login was refused before.
    pub(super) async fn open(
        &mut self,
        name: &str,
        login: &Login,
    ) -> Result<Option<Open<'a, S::Session>>> {
        if self.was_refused(login) {
            return Ok(None);
        }
        let attempt = self.database.log_in(login, self.cx).await;
        match attempt.map_err(|error| error.while_doing(name))? {
            Attempt::Accepted(at) => Ok(Some(Open { at, name: name.to_owned() })),
            Attempt::Refused(why) => {
                self.refused.push((name.to_owned(), login.clone(), why));
                Ok(None)
            }
        }
    }

    fn was_refused(&self, login: &Login) -> bool {
        let password = login.password.expose_secret();
        self.refused.iter().any(|(_, tried, _)| {
            tried.username == login.username && tried.password.expose_secret() == password
        })
    }

    /// The first older version that logs in as current's own user: AWSPREVIOUS, then the others.
    pub(super) async fn older(
        &mut self,
        versions: &SetContext<'_>,
        current: &Login,
    ) -> Result<Option<Open<'a, S::Session>>> {
        self.older_of(&versions.recorded(), current, &current.username).await
    }

    /// The first older version that logs in as this user: AWSPREVIOUS, then the others.
    pub(super) async fn older_of(
        &mut self,
        recorded: &Recorded<'_>,
        current: &Login,
        user: &str,
    ) -> Result<Option<Open<'a, S::Session>>> {
        match self.older_in(Older::Previous, recorded, current, &[user]).await? {
            None => self.older_in(Older::Others, recorded, current, &[user]).await,
            open => Ok(open),
        }
    }

    /// The first older version of one place that logs in, of those that name one of these users
    /// on current's host. The store is asked only now, because a healthy rotation never needs to.
    pub(super) async fn older_in(
        &mut self,
        place: Older,
        recorded: &Recorded<'_>,
        current: &Login,
        users: &[&str],
    ) -> Result<Option<Open<'a, S::Session>>> {
        let most = self.most(place);
        let (what, found) = match place {
            _ if most == 0 => return Ok(None),
            Older::Previous => {
                let previous = recorded.previous().await;
                ("AWSPREVIOUS", previous.map(|one| one.into_iter().collect::<Vec<_>>()))
            }
            Older::Others => ("older version", recorded.others().await),
        };
        let dialect = self.database.dialect();
        let logins: Vec<_> = self
            .allowed(found)?
            .iter()
            .filter_map(|previous| {
                let login = common::older(current, users, previous.secret(), dialect)?;
                Some((format!("{what} {}", previous.version()), login))
            })
            .collect();
        self.any(logins, most).await
    }

    /// How many passwords of one place may be tried.
    fn most(&self, place: Older) -> usize {
        match place {
            Older::Previous => 1,
            Older::Others => self.database.dialect().most_older_logins,
        }
    }

    /// The first of these that logs in, of at most `most` that were not tried yet.
    async fn any(
        &mut self,
        logins: Vec<(String, Login)>,
        most: usize,
    ) -> Result<Option<Open<'a, S::Session>>> {
        let mut tried = 0;
        for (name, login) in logins {
            if self.was_refused(&login) {
                continue;
            }
            if tried == most {
                self.untried += 1;
                continue;
            }
            tried += 1;
            if let Some(open) = self.open(&name, &login).await? {
                return Ok(Some(open));
            }
        }
        Ok(None)
    }

    /// A role made for AWS's template may not list versions: that must not hide what happened.
    fn allowed(&mut self, older: Result<Vec<Previous>>) -> Result<Vec<Previous>> {
        match older {
            Err(error) if error.kind() == ErrorKind::Forbidden => {
                self.unseen.push(error);
                Ok(Vec::new())
            }
            older => older,
        }
    }

    /// Nothing logs in, so `what` cannot be done: every attempt and its answer.
    pub(super) fn exhausted(self, what: String) -> Error {
        let count = self.refused.len();
        let mut tried: Vec<String> =
            self.refused.into_iter().map(|(name, _, why)| format!("{name}: {why}")).collect();
        let unseen = self.unseen.iter();
        tried.extend(unseen.map(|error| format!("older versions were not looked at: {error}")));
        if self.untried > 0 {
            tried.push(format!("{} more older passwords were not tried", self.untried));
        }
        Error::new(ErrorKind::Rejected, what).caused_by(format!(
            "the passwords of {count} versions were tried and refused; nothing was changed ({})",
            tried.join("; ")
        ))
    }
}
