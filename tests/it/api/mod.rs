//! rotate-api: specifications, and the real function at doubles of the vendors they describe.

mod accounts;
mod conformance;
mod control;
mod doubles;
mod doubles_fourth;
mod doubles_more;
mod doubles_rolled;
mod doubles_third;
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
mod rows;
mod schema;
mod shipped;
mod stand_in;
mod support;
mod unproven;
mod updater;
mod vendors;
