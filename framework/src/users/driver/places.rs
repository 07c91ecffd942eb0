//! The servers that have one user, each by itself, as they are found anew in every step: by asking each that
//! is known for those that it knows.

use std::collections::BTreeSet;

use futures_util::future::join_all;

use super::{Driver, PasswordSets, Peer, Peers, close};
use crate::error::{Error, ErrorKind};
use crate::invocation::Invocation;
use crate::users::{AdminSession, Login};

/// The most servers that are changed together. More are refused before anything is stored.
const MOST_SERVERS: usize = 256;

/// At how many of them something is done at once.
pub(super) const AT_ONCE: usize = 4;

/// One of the servers that have the user.
pub(crate) struct Place<Session> {
    pub(super) admin: AdminSession<Session>,
    /// The user, there.
    pub(crate) user: Login,
}

/// A server that is to be gone to.
struct Target {
    admin: Login,
    user: Login,
    /// Whether those that it follows are gone to.
    upward: bool,
    /// Who told of it; none of the one that the secret names.
    told_by: Option<String>,
}

impl<S: PasswordSets> Driver<S> {
    /// Opens a session of the admin's at every server that has `user`, the one that the secret names
    /// first. `may_go` says whether a password may be sent to a server of which another one told.
    ///
    /// # Errors
    /// Those of [`Driver::open_admin`]; [`ErrorKind::Unsupported`] if there are too many, or if the
    /// password may not be sent to one.
    pub(crate) async fn open_everywhere(
        &self,
        admin: &Login,
        user: &Login,
        may_go: &(dyn Fn(&Login) -> Result<(), Error> + Sync),
        cx: &Invocation,
    ) -> Result<Vec<Place<S::Session>>, Error> {
        let (mut places, mut known) = (Vec::new(), Known::default());
        known.addresses.insert((admin.host.to_ascii_lowercase(), admin.port));
        let first =
            Target { admin: admin.clone(), user: user.clone(), upward: true, told_by: None };
        let mut targets = vec![first];
        while !targets.is_empty() {
            let mut next = Vec::new();
            for some in targets.chunks(AT_ONCE) {
                let opened = join_all(some.iter().map(|target| self.open_place(target, cx))).await;
                for (target, opened) in some.iter().zip(opened) {
                    let (place, peers) = opened?;
                    // Another name of one that was met.
                    if !peers.id.is_empty() && !known.ids.insert(peers.id) {
                        close(&self.server, place.admin.session, cx).await;
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
            next.retain(|(id, _)| id.is_empty() || !known.ids.contains(id));
            targets = next.into_iter().map(|(_, target)| target).collect();
            if places.len() + targets.len() > MOST_SERVERS {
                return Err(too_many(places.len() + targets.len()));
            }
            targets.iter().try_for_each(|target| may_go(&target.admin))?;
        }
        Ok(places)
    }

    async fn open_place(
        &self,
        target: &Target,
        cx: &Invocation,
    ) -> Result<(Place<S::Session>, Peers), Error> {
        let opened = async {
            let mut admin = self.open_admin(&target.admin, cx).await?;
            match self.server.peers(&mut admin, cx).await {
                Ok(peers) => Ok((Place { admin, user: target.user.clone() }, peers)),
                Err(error) => {
                    close(&self.server, admin.session, cx).await;
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
    pub(crate) async fn close_everywhere(&self, places: Vec<Place<S::Session>>, cx: &Invocation) {
        for place in places {
            close(&self.server, place.admin.session, cx).await;
        }
    }
}

/// Servers that were met or told of.
#[derive(Default)]
struct Known {
    ids: BTreeSet<String>,
    addresses: BTreeSet<(String, u16)>,
}

impl Known {
    /// The server to go to, and what it is said to call itself; none for one that is known.
    fn target(
        &mut self,
        peer: Peer,
        (admin, user): (&Login, &Login),
        told_by: &str,
    ) -> Result<Option<(String, Target)>, Error> {
        let Peer { id, host, port, leads } = peer;
        if (!id.is_empty() && self.ids.contains(&id))
            || !self.addresses.insert((host.to_ascii_lowercase(), port))
        {
            return Ok(None);
        }
        if self.addresses.len() > MOST_SERVERS {
            return Err(too_many(self.addresses.len()));
        }
        let (admin, user) = (admin.at(&host, port), user.at(&host, port));
        let told_by = Some(told_by.to_owned());
        Ok(Some((id, Target { admin, user, upward: leads, told_by })))
    }
}

fn too_many(count: usize) -> Error {
    let what =
        format!("{count} servers have this user, and no more than {MOST_SERVERS} are changed");
    Error::new(ErrorKind::Unsupported, what)
}
