//! What would make a change of one's own password fail, found out without changing anything.

use fourstep::users::Login;
use fourstep::{Error, Finding, Turn};

use crate::Mysql;
use crate::session::Session;

impl Mysql {
    /// What stands in the way was asked for when the session was opened.
    pub(crate) async fn look(
        &self,
        session: Session,
        _: &Login,
        turn: &Turn,
    ) -> Result<Vec<Finding>, Error> {
        let weak = self.transport.allow_weak_authentication;
        let obstacles = [session.server.obstacle(), self.format.obstacle(&session, weak)];
        session.close(turn).await;
        Ok(obstacles.into_iter().flatten().map(Finding::Fails).collect())
    }
}
