//! One set of bodies for every way to reach a Secrets Manager: the memory store itself, and
//! `fourstep serve` through the AWS SDK and through the AWS CLI.

mod bodies;
mod command_line;

use std::net::SocketAddr;
use std::sync::Arc;

use fourstep::store::SecretStore;
use fourstep::store::aws::AwsStore;
use fourstep::store::memory::{MemoryStore, NewSecret};
use fourstep::{Environment, SecretId};
use fourstep_cli::serve;

pub use command_line::CommandLine;

/// A store under test, and the memory store behind it, in which a body arranges what it needs.
pub struct Bench {
    pub tested: Box<dyn SecretStore>,
    pub memory: Arc<MemoryStore>,
    pub secret: SecretId,
    _server: Option<serve::Server>,
}

/// The way a bench reaches its memory store.
#[derive(Clone, Copy, PartialEq)]
pub enum Through {
    Memory,
    Sdk,
    CommandLine,
}

impl Bench {
    /// A bench with one secret, `bench/secret`, whose current value is `first`. None after
    /// skipping aloud.
    pub async fn new(through: Through) -> Option<Self> {
        let memory = Arc::new(MemoryStore::new());
        let new = NewSecret {
            value: Some("first".into()),
            tags: [("team".to_owned(), "blue".to_owned())].into_iter().collect(),
            ..NewSecret::default()
        };
        memory.create("bench/secret", new).unwrap();
        let secret = SecretId::parse("bench/secret").unwrap();
        if through == Through::Memory {
            let tested = Box::new(Arc::clone(&memory));
            return Some(Self { tested, memory, secret, _server: None });
        }
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let server = serve::start(listen, Arc::clone(&memory), None).await.unwrap();
        let tested: Box<dyn SecretStore> = match through {
            Through::CommandLine => Box::new(CommandLine::find(&server.url())?),
            _ => {
                let endpoint = server.url();
                let environment =
                    Environment::from([("SECRETS_MANAGER_ENDPOINT", endpoint.as_str())]);
                Box::new(AwsStore::connect(&environment).await.unwrap())
            }
        };
        Some(Self { tested, memory, secret, _server: Some(server) })
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
    };
}

async fn run(through: Through, body: impl AsyncFn(&Bench)) {
    if let Some(bench) = Bench::new(through).await {
        body(&bench).await;
    }
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
    a_value_too_long_is_refused_and_not_quoted,
    failures_of_the_service_keep_their_code,
);
