//! Secrets of an AWS account: asked about, looked over, mended. [`aws`] makes the calls and is the only
//! folder that names an SDK type; [`doctor`], [`migrate`] and [`Attach`] decide; what is printed goes through [`text`] first.

mod ask;
mod attach;
pub mod aws;
pub mod doctor;
pub mod migrate;
pub mod text;

use ask::agreed;
pub use ask::{ask, invoked};
pub use attach::Attach;
