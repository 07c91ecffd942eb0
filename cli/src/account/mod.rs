//! Secrets of an AWS account: asked about, looked over, mended. [`aws`] makes the calls and is the only
//! folder that names an SDK type; [`doctor`] decides, and so does [`Attach`]; what is printed goes through [`text`] first.

mod ask;
mod attach;
pub mod aws;
pub mod doctor;
pub mod text;

pub use ask::{ask, invoked};
pub use attach::Attach;
