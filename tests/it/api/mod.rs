//! rotate-api: specifications, and the real function at doubles of the vendors they describe.

mod accounts;
mod conformance;
mod control;
mod doubles;
mod doubles_more;
mod faults;
mod guide;
mod hostile;
mod iam;
mod ids;
mod misnamed;
mod pages;
mod plan;
mod proof;
mod rolled;
mod schema;
mod shipped;
mod stand_in;
mod support;
mod updater;
mod vendors;
