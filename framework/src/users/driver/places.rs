//! The servers that have one user, each by itself, as they are found anew in every step: by asking each that
//! is known for those that it knows.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;

use super::{Driver, PasswordSets, Peer, Peers, close, open_admin};
use crate::error::{Error, ErrorKind, Result};
use crate::invocation::Invocation;
use crate::users::{LoggedIn, Login};

/// The most servers that are changed together. More are refused before anything is stored.
const MOST_SERVERS: usize = 256;

/// At how many of them something is done at once.
pub(super) const AT_ONCE: usize = 4;

/// One of the servers that have the user.
pub(crate) struct Place<'a, Session> {
    pub(super) admin: LoggedIn<'a, Session>,
    /// The user, there.
    pub(crate) user: Login,
}

/// A server that is to be gone to.
struct Target {
    admin: Login,
    user: Login,
    /// Whether those that it follows are gone to.
    upward: bool,
    /// What it is said to call itself, or nothing.
    id: String,
    /// Who told of it; none of the one that the secret names.
    told_by: Option<String>,
}

impl<S: PasswordSets> Driver<S> {
    /// Opens a session of the admin's at every server that has `user`, the one that the secret names
    /// first. `may_go` says whether a password may be sent to a server of which another one told.
    ///
    /// # Errors
    /// Those of [`open_admin`]; [`ErrorKind::Unsupported`] if there are too many, or if the
    /// password may not be sent to one.
    pub(crate) async fn open_everywhere<'a>(
        &self,
        admin: &Login,
        user: &Login,
        may_go: &(dyn Fn(&Login) -> Result<()> + Sync),
        cx: &'a Invocation,
    ) -> Result<Vec<Place<'a, S::Session>>> {
        let (mut places, mut known) = (Vec::new(), Known::default());
        known.addresses.insert((admin.host.to_ascii_lowercase(), admin.port), String::new());
        let mut targets = vec![Target {
            admin: admin.clone(),
            user: user.clone(),
            upward: true,
            id: String::new(),
            told_by: None,
        }];
        while !targets.is_empty() {
            let mut next = Vec::new();
            for some in targets.chunks(AT_ONCE) {
                let opened = join_all(some.iter().map(|target| self.open_place(target, cx))).await;
                for (target, opened) in some.iter().zip(opened) {
                    let (place, peers) = opened?;
                    target.expects(&peers.id)?;
                    // Another name of one that was met.
                    if !peers.id.is_empty() && !known.ids.insert(peers.id) {
                        close(&self.server, place.admin).await;
                        continue;
                    }
                    let told_by = place.admin.login.server();
                    places.push(place);
                    let others = peers.others.into_iter();
                    for peer in others.filter(|peer| target.upward || !peer.leads) {
                        next.extend(known.target(peer, (admin, user), &told_by)?);
                    }
                }
            }
            // One that was met meanwhile by its own name is not gone to again.
            next.retain(|one| one.id.is_empty() || !known.ids.contains(&one.id));
            targets = next;
            if places.len() + targets.len() > MOST_SERVERS {
                return Err(too_many(places.len() + targets.len()));
            }
            targets.iter().try_for_each(|target| may_go(&target.admin))?;
        }
        known.all_were_met()?;
        Ok(places)
    }

    async fn open_place<'a>(
        &self,
        target: &Target,
        cx: &'a Invocation,
    ) -> Result<(Place<'a, S::Session>, Peers)> {
        let opened = async {
            let mut admin = open_admin(&self.server, &target.admin, cx).await?;
            match self.server.peers(&mut admin).await {
                Ok(peers) => Ok((Place { admin, user: target.user.clone() }, peers)),
                Err(error) => {
                    close(&self.server, admin).await;
                    Err(error.while_doing(format!("the admin, {}", target.admin.account())))
                }
            }
        };
        opened.await.map_err(|error| match &target.told_by {
            None => error,
            Some(told_by) if error.kind() == ErrorKind::Unreachable => error.caused_by(format!(
                "{told_by} lists this server among those that have the user; bring it back, or have it \
                 taken off that list, then retry"
            )),
            Some(told_by) => error.caused_by(format!("{told_by} lists this server")),
        })
    }

    /// Ends what [`open_everywhere`](Self::open_everywhere) began.
    pub(crate) async fn close_everywhere(&self, places: Vec<Place<'_, S::Session>>) {
        for place in places {
            close(&self.server, place.admin).await;
        }
    }
}

/// Servers that were met or told of.
#[derive(Default)]
struct Known {
    /// Of those that were met.
    ids: BTreeSet<String>,
    /// Of those that were told of, with the address.
    listed: BTreeMap<String, String>,
    /// With what the server there is said to call itself, or nothing.
    addresses: BTreeMap<(String, u16), String>,
}

impl Target {
    /// Refuses another server than the one of which was told. An address that a server had yesterday may lead
    /// to one of another cluster today, whose user of the same name is somebody else's.
    fn expects(&self, id: &str) -> Result<()> {
        if self.id.is_empty() || id.is_empty() || self.id == id {
            return Ok(());
        }
        let told_by = self.told_by.as_deref().unwrap_or_default();
        let what = format!(
            "the address of node {}, {}, leads to another server, {id}; nothing was changed",
            self.id,
            self.admin.server()
        );
        Err(Error::new(ErrorKind::Unsupported, what).caused_by(format!(
            "{told_by} lists it there; let each server announce an address of its own, and have those \
             forgotten that are gone"
        )))
    }
}

impl Known {
    /// The server to go to; none for one that is known.
    fn target(
        &mut self,
        peer: Peer,
        (admin, user): (&Login, &Login),
        told_by: &str,
    ) -> Result<Option<Target>> {
        let Peer { id, host, port, leads } = peer;
        let (admin, user) = (admin.at(&host, port), user.at(&host, port));
        if !id.is_empty() {
            self.listed.insert(id.clone(), admin.server());
            if self.ids.contains(&id) {
                return Ok(None);
            }
        }
        match self.addresses.entry((host.to_ascii_lowercase(), port)) {
            Entry::Vacant(free) => free.insert(id.clone()),
            Entry::Occupied(taken)
                if [taken.get(), &id].iter().all(|one| !one.is_empty()) && *taken.get() != id =>
            {
                return Err(shared(&admin.server(), [taken.get(), &id]));
            }
            Entry::Occupied(_) => return Ok(None),
        };
        if self.addresses.len() > MOST_SERVERS {
            return Err(too_many(self.addresses.len()));
        }
        let told_by = Some(told_by.to_owned());
        Ok(Some(Target { admin, user, upward: leads, id, told_by }))
    }

    /// Refuses to leave one out of which was told: behind its address another one was met.
    fn all_were_met(&self) -> Result<()> {
        match self.listed.iter().find(|(id, _)| !self.ids.contains(*id)) {
            None => Ok(()),
            Some((id, place)) => {
                let what =
                    format!("node {id} is said to be at {place}, and another server was met there");
                Err(unreachable_by_itself(what))
            }
        }
    }
}

fn shared(place: &str, [one, other]: [&str; 2]) -> Error {
    unreachable_by_itself(format!("nodes {one} and {other} are both said to be at {place}"))
}

fn unreachable_by_itself(what: String) -> Error {
    Error::new(ErrorKind::Unsupported, what).caused_by(
        "nothing was changed; let each server announce an address of its own, and have those \
         forgotten that are gone",
    )
}
fn too_many(count: usize) -> Error {
    let what =
        format!("{count} servers have this user, and no more than {MOST_SERVERS} are changed");
    Error::new(ErrorKind::Unsupported, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(peers: &[(&str, &str, u16)]) -> Result<(Known, Vec<Target>)> {
        let login = Login::new("first", 1, "app", "canary");
        let mut known = Known::default();
        known.addresses.insert(("first".to_owned(), 1), String::new());
        known.ids.insert("a".to_owned());
        let mut targets = Vec::new();
        for &(id, host, port) in peers {
            let peer = Peer { id: id.to_owned(), host: host.to_owned(), port, leads: false };
            targets.extend(known.target(peer, (&login, &login), "first:1")?);
        }
        Ok((known, targets))
    }

    #[test]
    fn each_that_is_listed_is_gone_to_once_and_none_is_left_out_silently() {
        let (mut known, targets) =
            listing(&[("a", "first", 1), ("b", "x", 1), ("b", "y", 1), ("", "Z", 1), ("", "z", 1)])
                .unwrap();
        let places: Vec<_> = targets.iter().map(|one| one.admin.host.as_str()).collect();
        assert_eq!(places, ["x", "y", "Z"]);
        assert!(known.all_were_met().unwrap_err().to_string().contains("node b"));
        known.ids.insert("b".to_owned());
        known.all_were_met().unwrap();
        // One is said to be where the secret's own host answered.
        let (known, targets) = listing(&[("c", "first", 1)]).unwrap();
        assert!(targets.is_empty());
        for error in [
            known.all_were_met().err(),
            listing(&[("b", "x", 1), ("c", "X", 1)]).err(),
            listing(&[("b", "x", 1), ("b", "y", 1), ("c", "y", 1)]).err(),
        ] {
            let error = error.unwrap();
            assert_eq!(error.kind(), ErrorKind::Unsupported);
            assert!(error.to_string().contains("announce an address of its own"), "{error}");
        }
    }

    #[test]
    fn an_address_that_leads_to_another_server_than_the_listed_is_refused() {
        let (_, targets) = listing(&[("b", "x", 1), ("", "y", 1)]).unwrap();
        for (target, id, expected) in
            [(0, "b", true), (0, "", true), (0, "c", false), (1, "c", true)]
        {
            let met = targets[target].expects(id).map_err(|error| error.kind());
            assert_eq!(met, if expected { Ok(()) } else { Err(ErrorKind::Unsupported) }, "{id}");
        }
    }
}
