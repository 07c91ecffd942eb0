//! Killing a function's process in the middle of its work, from outside.

use tokio::sync::{mpsc, oneshot};

/// Kills the process of one invocation.
#[derive(Debug, Clone)]
pub struct KillSwitch(mpsc::UnboundedSender<oneshot::Sender<()>>);

/// The other end of a [`KillSwitch`], for the invocation that it is to end.
#[derive(Debug)]
pub struct Killable(mpsc::UnboundedReceiver<oneshot::Sender<()>>);

/// A switch for one invocation, and what to hand to that.
pub fn kill_switch() -> (KillSwitch, Killable) {
    let (switch, killable) = mpsc::unbounded_channel();
    (KillSwitch(switch), Killable(killable))
}

impl KillSwitch {
    /// Sends SIGKILL to the process, and returns when it is dead. One that has ended already stays
    /// as it is.
    pub async fn pull(&self) {
        let (dying, dead) = oneshot::channel();
        if self.0.send(dying).is_ok() {
            // Nothing is ever sent: that the other end is dropped is the answer.
            let _ = dead.await;
        }
    }
}

impl Killable {
    /// What an invocation has that nobody wants to kill.
    pub(super) fn never() -> Self {
        kill_switch().1
    }

    /// Waits for the switch. What it returns must be dropped when the process is dead, not before.
    pub(super) async fn pulled(&mut self) -> oneshot::Sender<()> {
        match self.0.recv().await {
            Some(dying) => dying,
            None => std::future::pending().await,
        }
    }
}
