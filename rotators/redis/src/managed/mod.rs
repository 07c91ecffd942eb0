//! Users of ElastiCache and MemoryDB, whose passwords an API of AWS's replaces.
//!
//! What is believed of the API, beside its references: a change takes minutes (terraform-provider-aws, pull request
//! 20530: "~4 minutes to update on an average basis"); a user that is not `active` cannot be changed (issue 49726
//! there: "Only active users can be modified"); and nothing says that a read sees the change before it, so the first
//! `active` after one, which AWS's own template takes, may be an old one.

mod aws;
mod user;

pub(crate) use aws::Aws;
pub(crate) use user::is_managed;
