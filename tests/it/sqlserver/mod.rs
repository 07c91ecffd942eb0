//! rotate-sqlserver at a server whose TDS, TLS and login others wrote (pysqlbridge), with FreeTDS's tsql
//! as the judge of passwords. What accounts, locks and statements do there is a double's: a real SQL
//! Server was not asked. `parity_NN` are here the cases of AWS's SQL Server templates but in `common.rs`,
//! which has those of every engine.

mod by_admin;
mod common;
mod conformance;
mod faults;
mod kills;
mod leaks;
mod locks;
mod logins;
mod parity;
mod transport;

use fourstep::Step;

use crate::every_server::with;

const CREATE_AND_SET: [Step; 2] = [Step::Create, Step::Set];
