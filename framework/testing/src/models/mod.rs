//! Modelled remotes: servers and vendors in memory, as simple as what matters about them.
//!
//! They do what real ones cannot be made to do on demand: stand still at any call, lose an answer,
//! go back to an earlier state. Where Fourstep has a rotator for one, there is also a
//! [`Testbed`](super::Testbed) of both.

mod database;
mod dual_password;
mod mysql;
mod rights;
mod rolled;
mod server;
mod session;
mod shared_server;
mod single_user;
mod vendor;

pub(crate) use database::ModelDatabase;
#[cfg(test)]
pub(crate) use database::Prepared;
pub use dual_password::TwoPasswords;
pub use mysql::{DualPassword, Identified, PasswordRules, Refusal};
pub use rights::{Grant, Mark, Rights};
pub use rolled::Rolled;
pub use server::{Account, Accounts, Server, Trouble};
pub use session::Session;
pub use shared_server::SharedServer;
pub use single_user::{OneUser, SinglePassword, WithoutLocks};
pub use vendor::{IssuedKey, ListedKey, Terms, Vendor};
