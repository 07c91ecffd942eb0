//! Two users that a secret names in turn: which they are, and whether they are ours.
//!
//! A suffix proves nothing, and neither does AWSPREVIOUS. What proves a user is the mark that was
//! written when it was made, or the function's own configuration.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Error, ErrorKind, Result};
use crate::users::mark::Mark;

mod errors;
mod settings;

use errors::ambiguous;
pub(crate) use errors::{protected, unproven};
use settings::DROP_EXTRA_RIGHTS;
pub(crate) use settings::{PairSettings, words};

/// What the second user's name ends in where nothing else is said. As AWS's templates have it.
const SUFFIX: &str = "_clone";

/// What the server knows of a user.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    /// The mark that proves whose it is: only an admin can have made it.
    pub mark: Option<Mark>,
    /// A mark that the user could have written on itself. It proves nothing alone.
    pub claim: Option<Mark>,
    /// The users whose rights this one has, because an admin made it a member of them or made them
    /// its roles. Empty where the two users of a pair are kept equal by copying.
    pub acts_as: BTreeSet<String>,
    /// Why it is never touched, whatever proves it: it is the admin itself, a superuser, or may
    /// make other users.
    pub protected: Option<String>,
    /// Why no password lets it in, where the server checks something else of it, with the ways out.
    pub other_login: Option<String>,
    /// What the admin lacks to change it, as statements to be run.
    pub lacks: Vec<String>,
    /// Whether it may log in. One that was made and not finished may not, and has no rights yet
    /// that another should be given.
    pub usable: bool,
}

impl Account {
    /// The mark or the claim on it.
    fn named(&self) -> Option<&Mark> {
        self.mark.as_ref().or(self.claim.as_ref())
    }
}

/// Users by name, as the server spells them.
pub type Accounts = BTreeMap<String, Account>;

/// Whose a user is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ownership {
    /// It does not exist.
    Absent,
    /// A mark on it or on its partner names the other and the secret.
    Ours,
    /// The function's configuration gives it to us; the mark is to be written.
    Adopted,
    /// Somebody claims on it or on its partner that it is ours. A recorded password of it that logs
    /// in confirms that.
    Claimed,
    /// A mark or claim on it, or a mark on its partner, names another secret: no password proves it.
    Anothers,
    /// Nothing proves that it is ours.
    Unproven,
}

/// The pair of one secret.
#[derive(Debug, Clone, Copy)]
pub struct Pair<'a> {
    settings: &'a PairSettings,
    secret: &'a str,
}

impl<'a> Pair<'a> {
    pub(crate) fn new(settings: &'a PairSettings, secret: &'a str) -> Self {
        Self { settings, secret }
    }

    /// The ARN of the secret.
    pub fn secret(&self) -> &str {
        self.secret
    }

    /// The mark of a user whose partner is this one.
    pub fn mark(&self, partner: &str) -> Mark {
        Mark { partner: partner.to_owned(), secret: self.secret.to_owned() }
    }

    /// The names that [`other`](Self::other) may ask about.
    pub(crate) fn candidates(&self, user: &str) -> Vec<String> {
        let configured = self.configured(user).map(str::to_owned);
        let base = user.strip_suffix(SUFFIX).map(str::to_owned);
        let named = configured.into_iter().chain(base).chain([format!("{user}{SUFFIX}")]);
        std::iter::once(user.to_owned()).chain(named).collect()
    }

    fn configured(&self, user: &str) -> Option<&str> {
        self.settings.partner(user)
    }

    /// The user that alternates with this one: the one that the configuration names, the one that
    /// a mark names, or the one with the suffix.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] if the name ends in the suffix and nothing says that the user is
    /// the second half of a pair.
    pub fn other(&self, accounts: &Accounts, user: &str) -> Result<String> {
        if let Some(other) = self.configured(user) {
            return Ok(other.to_owned());
        }
        let account = accounts.get(user);
        let mark = account.and_then(|account| account.mark.as_ref());
        if let Some(mark) = mark.filter(|mark| mark.secret == self.secret) {
            return Ok(mark.partner.clone());
        }
        // Who acts as a user of another name may be its second, or was let for another reason.
        let acts = |account: &Account| {
            let claim = account.claim.as_ref().filter(|claim| claim.secret == self.secret)?;
            account.acts_as.contains(&claim.partner).then(|| claim.partner.clone())
        };
        match account.and_then(acts) {
            Some(first) if !self.candidates(user).contains(&first) => {
                return Err(ambiguous(user, &[&first]));
            }
            _ => {}
        }
        let ours = Some(self.mark(user));
        let marked = accounts.iter().filter(|(_, account)| account.mark == ours);
        match marked.map(|(name, _)| name).collect::<Vec<_>>()[..] {
            [] => {}
            [name] if user.strip_suffix(SUFFIX).is_some() || *name == format!("{user}{SUFFIX}") => {
                return Ok(name.clone());
            }
            ref names => return Err(ambiguous(user, names)),
        }
        match user.strip_suffix(SUFFIX).filter(|base| !base.is_empty()) {
            None => Ok(format!("{user}{SUFFIX}")),
            // A user that is gone, as after a restored snapshot, can be nobody else's.
            Some(base) if account.is_none() || self.is_adopted(user) => Ok(base.to_owned()),
            // Whether it is confirmed by a recorded password is asked next.
            Some(base) if self.is_claimed(accounts, user, base) => Ok(base.to_owned()),
            Some(base) => Err(unproven(user).caused_by(format!(
                "its name ends in {SUFFIX:?}, which does not make it the other half of {base:?}; \
                 if it is, list it in ADOPT_USERS; if not, name its own other half in USER_PAIRS, \
                 as {user}=OTHER"
            ))),
        }
    }

    /// Whose `user` is, in a pair with `partner`.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for an account that is never touched.
    pub fn ownership(&self, accounts: &Accounts, user: &str, partner: &str) -> Result<Ownership> {
        let Some(account) = accounts.get(user) else { return Ok(Ownership::Absent) };
        if let Some(why) = &account.protected {
            return Err(protected(user, why));
        }
        let names = |account: &Account, other| account.mark == Some(self.mark(other));
        let linked =
            names(account, partner) || accounts.get(partner).is_some_and(|one| names(one, user));
        Ok(match linked {
            true => Ownership::Ours,
            // That secret may be in use.
            false if self.anothers_mark(accounts, user, partner).is_some() => Ownership::Anothers,
            false if self.adopts(user, partner) => Ownership::Adopted,
            false if self.is_claimed(accounts, user, partner) => Ownership::Claimed,
            false => Ownership::Unproven,
        })
    }

    /// Refuses a user that does not log in with its password.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`], with the ways out.
    pub fn uses_password(&self, accounts: &Accounts, user: &str) -> Result<()> {
        let other_login = accounts.get(user).and_then(|account| account.other_login.as_ref());
        other_login.map_or(Ok(()), |why| {
            let what = format!("the password of user {user:?} is not what it logs in with");
            Err(Error::new(ErrorKind::Unsupported, what).caused_by(why))
        })
    }

    /// Which of the two users is the first, as which the other acts. Once they are a pair, the
    /// server says so; until then the one that exists, the configuration, the suffix or a mark. Where
    /// nothing says so, it is `one`.
    pub fn first<'b>(&self, accounts: &Accounts, one: &'b str, other: &'b str) -> &'b str {
        let account = |user: &str| accounts.get(user);
        let acts = |user, on: &str| account(user).is_some_and(|user| user.acts_as.contains(on));
        let appears = |user, of| account(user).is_none() && account(of).is_some();
        let marked = |user| account(user).is_some_and(|user| user.named().is_some());
        let evidence = [
            [acts(other, one), acts(one, other)],
            [appears(other, one), appears(one, other)],
            [self.is_named_second(other, one), self.is_named_second(one, other)],
            [marked(other), marked(one)],
        ];
        match evidence.into_iter().find(|[other_is, one_is]| other_is != one_is) {
            Some([false, true]) => other,
            _ => one,
        }
    }

    /// Refuses to take from the second user what it has beside the first, unless the function's
    /// configuration names either in `DROP_EXTRA_RIGHTS`. `extra` says what that is.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`], with the ways out.
    pub fn may_drop(&self, first: &str, second: &str, extra: &str) -> Result<()> {
        if self.settings.leveled.iter().any(|user| user == first || user == second) {
            return Ok(());
        }
        let what = format!("user {second:?} has what user {first:?} has not: {extra}");
        Err(Error::new(ErrorKind::Unsupported, what).caused_by(format!(
            "both will have what {first:?} has; give it to {first:?} too, or list {second:?} in \
             {DROP_EXTRA_RIGHTS} to have it taken from {second:?}; nothing was changed"
        )))
    }

    /// Whether the configuration or, where that says nothing, the suffix makes it the second.
    fn is_named_second(&self, user: &str, of: &str) -> bool {
        match self.configured(user) {
            Some(_) => self.settings.pairs.iter().any(|(one, other)| one == of && other == user),
            None => user.strip_suffix(SUFFIX) == Some(of),
        }
    }

    /// Whether the second name follows from the first: who adopts that one gives us both.
    fn is_second_half(&self, user: &str, of: &str) -> bool {
        user.strip_suffix(SUFFIX) == Some(of) || self.configured(user) == Some(of)
    }

    /// Whether one of the two claims to be the other's.
    fn is_claimed(&self, accounts: &Accounts, user: &str, partner: &str) -> bool {
        let claims = |one, other| {
            accounts.get(one).is_some_and(|account| account.claim == Some(self.mark(other)))
        };
        claims(user, partner) || claims(partner, user)
    }

    /// The mark that makes the user another secret's, and on whom it stands: as a mark of this secret, one
    /// on either of two users speaks for both, and so does one that does not tell its partner. A claim on the
    /// partner is none, which it may have written itself.
    fn anothers_mark<'b>(
        &self,
        accounts: &'b Accounts,
        user: &'b str,
        partner: &'b str,
    ) -> Option<(&'b str, &'b Mark)> {
        let own = accounts.get(user).and_then(Account::named).map(|mark| (user, mark));
        let others = accounts.get(partner).and_then(|account| account.mark.as_ref());
        let names = |mark: &&Mark| mark.partner == user || mark.partner.is_empty();
        let others = others.filter(names).map(|mark| (partner, mark));
        own.into_iter().chain(others).find(|(_, mark)| mark.secret != self.secret)
    }

    /// What to know of a pair of this secret where one of the two has another secret's mark: either secret
    /// would take it for its own.
    pub(crate) fn contradicted(
        &self,
        accounts: &Accounts,
        user: &str,
        partner: &str,
    ) -> Option<String> {
        let ours = matches!(self.ownership(accounts, user, partner), Ok(Ownership::Ours));
        let marks = [user, partner].map(|on| Some((on, accounts.get(on)?.mark.as_ref()?)));
        let mut marks = marks.into_iter().flatten();
        let (on, mark) = marks.find(|(_, mark)| ours && mark.secret != self.secret)?;
        Some(format!(
            "users {user:?} and {partner:?} are marked as this secret's, and {on:?} carries the mark of {} \
             too: where that secret is in use, both change the pair; give one of them another in \
             USER_PAIRS, or remove the mark that is wrong",
            mark.secret
        ))
    }

    /// The error about a user that exists and is not known to be ours, and the ways out.
    pub(crate) fn not_ours(&self, accounts: &Accounts, user: &str, partner: &str) -> Error {
        match self.anothers_mark(accounts, user, partner) {
            Some((on, mark)) => {
                // Who adopts a second half adopts the first.
                let second = if self.is_named_second(partner, user) { partner } else { user };
                let [carrier, removed, listed] = match on == user {
                    true => ["it carries the mark", "the mark", "it"].map(str::to_owned),
                    false => [
                        format!("user {on:?}, whose other half it is, carries the mark"),
                        format!("that mark from {on:?}"),
                        format!("{second:?}"),
                    ],
                };
                unproven(user).caused_by(format!(
                    "{carrier} of {}; where that is another secret in use, choose another in \
                     USER_PAIRS, as {partner}=OTHER; if it is gone, as after this secret was made \
                     anew or a snapshot was restored, remove {removed} as the page of the server says \
                     (docs/postgres-admin.md, docs/mysql-alternating.md, docs/mongodb.md, \
                     docs/redshift.md), and list {listed} in ADOPT_USERS",
                    mark.secret
                ))
            }
            None if self.is_claimed(accounts, user, partner) => unproven(user).caused_by(format!(
                "a mark says so that a user can write on itself, and no recorded password of it \
                     logs in; if it is the other half of {partner:?}, list it in ADOPT_USERS"
            )),
            None => unproven(user).caused_by(format!(
                "it exists already and carries no mark of this secret; if it is the other half of \
                 {partner:?}, list it in ADOPT_USERS; if not, choose another in USER_PAIRS, as \
                 {partner}=OTHER"
            )),
        }
    }

    /// Whether the configuration gives the user to whoever has its partner, to which its name must lead or
    /// from which it follows.
    fn adopts(&self, user: &str, partner: &str) -> bool {
        let own = self.is_adopted(user);
        (own && self.is_second_half(user, partner))
            || (self.is_second_half(partner, user) && (own || self.is_adopted(partner)))
    }

    fn is_adopted(&self, user: &str) -> bool {
        self.settings.adopted.iter().any(|adopted| adopted == user)
    }
}

#[cfg(test)]
mod tests;
