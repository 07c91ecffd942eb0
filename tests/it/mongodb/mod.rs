//! rotate-mongodb at a real MongoDB 3.6, by itself, as a replica set and behind mongos; and at an
//! independent server of today's protocol. `parity_NN` are here the cases of AWS's MongoDB templates
//! but in `common.rs`, which has those of every engine.

mod alternating;
mod by_admin;
mod common;
mod conformance;
mod faults;
mod kills;
mod leaks;
mod single_user;
mod strangers;
mod topology;

use fourstep::Step;

use crate::every_server::with;

const CREATE_AND_SET: [Step; 2] = [Step::Create, Step::Set];
