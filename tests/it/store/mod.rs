//! One set of bodies for every way to reach a Secrets Manager: the memory store itself, `fourstep
//! serve` through the AWS SDK and through the AWS CLI, and moto, which others wrote, through the
//! AWS SDK.

mod bench;
mod bodies;
mod command_line;
mod moto;

use bench::{Bench, Through};
pub use command_line::CommandLine;

async fn run(through: Through, body: impl AsyncFn(&Bench)) {
    if let Some(bench) = Bench::new(through).await {
        body(&bench).await;
    }
}

macro_rules! benches {
    ($($body:ident),+ $(,)?) => {
        mod memory {
            $(#[tokio::test]
            async fn $body() {
                super::run(super::Through::Memory, super::bodies::$body).await;
            })+
        }

        mod sdk {
            $(#[tokio::test]
            async fn $body() {
                super::run(super::Through::Sdk, super::bodies::$body).await;
            })+
        }

        mod cli {
            $(#[tokio::test]
            async fn $body() {
                super::run(super::Through::CommandLine, super::bodies::$body).await;
            })+
        }

        /// Every body there is: against moto each of them holds, or is known not to.
        const BODIES: &[&str] = &[$(stringify!($body)),+];
    };
}

benches!(
    the_current_value_is_read_by_label_and_names_its_version,
    a_description_shows_labels_tags_and_whether_rotation_is_on,
    an_empty_pending_version_is_described_but_not_found,
    the_placeholder_is_filled_once_and_the_same_value_may_be_put_again,
    a_label_on_another_version_is_an_invalid_request,
    what_does_not_exist_is_not_found,
    moving_current_moves_previous_and_leaves_pending,
    moving_current_from_the_wrong_version_is_an_invalid_parameter,
    every_version_is_listed_unlabelled_ones_too,
    the_rotation_token_arrives,
    any_text_survives,
    bytes_survive,
    a_value_too_long_is_refused_and_not_quoted,
    failures_of_the_service_keep_their_code,
);
