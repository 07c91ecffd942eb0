//! A store under test, and the other way into what is behind it: where a body arranges what only
//! Secrets Manager itself or another caller can do.

use std::net::SocketAddr;
use std::sync::Arc;

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::types::{RotationRulesType, Tag};
use fourstep::store::aws::{AwsStore, http_client};
use fourstep::store::{AWSPENDING, SecretStore};
use fourstep::{Environment, SecretId, VersionId};
use fourstep_local::serve;
use fourstep_local::{MemoryStore, NewRotation, NewSecret, NewValue};

use super::CommandLine;
use crate::support::skip;
use crate::support::stage::{FUNCTION, new_token};

/// A store under test with one secret, whose current value is `first`.
pub struct Bench {
    pub tested: Box<dyn SecretStore>,
    pub secret: SecretId,
    behind: Behind,
    _server: Option<serve::Server>,
}

/// What a store's calls end at.
enum Behind {
    Memory(Arc<MemoryStore>),
    Moto(Client),
}

/// The way to a Secrets Manager.
#[derive(Clone, Copy, PartialEq)]
pub enum Through {
    Memory,
    Sdk,
    CommandLine,
    Moto,
}

impl Bench {
    /// A new bench. None after skipping aloud.
    pub async fn new(through: Through) -> Option<Self> {
        if through == Through::Moto {
            return Self::of_moto().await;
        }
        let memory = Arc::new(MemoryStore::new());
        let new = NewSecret {
            value: Some("first".into()),
            tags: [("team".to_owned(), "blue".to_owned())].into_iter().collect(),
            ..NewSecret::default()
        };
        memory.create("bench/secret", new).unwrap();
        let secret = SecretId::parse("bench/secret").unwrap();
        let behind = Behind::Memory(Arc::clone(&memory));
        if through == Through::Memory {
            return Some(Self { tested: Box::new(memory), secret, behind, _server: None });
        }
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let server = serve::start(listen, memory, None).await.unwrap();
        let tested: Box<dyn SecretStore> = match through {
            Through::CommandLine => Box::new(CommandLine::find(&server.url())?),
            _ => Box::new(store_at(&server.url()).await),
        };
        Some(Self { tested, secret, behind, _server: Some(server) })
    }

    /// The server that scripts/test starts is one for all tests: the secret has a name of its own.
    async fn of_moto() -> Option<Self> {
        let Ok(url) = std::env::var("FOURSTEP_TEST_MOTO") else {
            skip("FOURSTEP_TEST_MOTO");
            return None;
        };
        let client = client(&url).await;
        let name = format!("bench/{}", new_token());
        let tag = Tag::builder().key("team").value("blue").build();
        let create = client.create_secret().name(&name).secret_string("first").tags(tag);
        create.send().await.unwrap();
        let secret = SecretId::parse(&name).unwrap();
        let tested = Box::new(store_at(&url).await);
        Some(Self { tested, secret, behind: Behind::Moto(client), _server: None })
    }

    /// The memory store, for what only that can be told to do.
    pub fn memory(&self) -> &MemoryStore {
        match &self.behind {
            Behind::Memory(memory) => memory,
            Behind::Moto(_) => panic!("there is no way to arrange this at moto"),
        }
    }

    /// moto's own client, for what no store of the framework asks.
    pub fn moto(&self) -> &Client {
        match &self.behind {
            Behind::Moto(client) => client,
            Behind::Memory(_) => panic!("this is asked of moto only"),
        }
    }

    /// RotateSecret: an empty version with AWSPENDING. moto makes it before it looks for the
    /// function, finds none, and refuses the call; AWS would keep nothing of a refused one.
    pub async fn begin(&self) -> VersionId {
        let token = new_token();
        match &self.behind {
            Behind::Memory(memory) => {
                memory.rotate(&self.secret, &NewRotation::now(&token, FUNCTION)).unwrap();
            }
            Behind::Moto(client) => {
                let rules = RotationRulesType::builder().automatically_after_days(30).build();
                let rotate = client.rotate_secret().secret_id(self.secret.as_str());
                let rotate = rotate.client_request_token(token.as_str());
                let rotate = rotate.rotation_lambda_arn(FUNCTION).rotation_rules(rules);
                let refused = rotate.send().await.unwrap_err().into_service_error();
                assert!(refused.is_resource_not_found_exception(), "{refused}");
            }
        }
        token
    }

    /// CancelRotateSecret.
    pub async fn cancel(&self) {
        match &self.behind {
            Behind::Memory(memory) => drop(memory.cancel_rotation(&self.secret).unwrap()),
            Behind::Moto(client) => {
                let cancel = client.cancel_rotate_secret().secret_id(self.secret.as_str());
                cancel.send().await.unwrap();
            }
        }
    }

    /// PutSecretValue by another caller; without labels the value becomes AWSCURRENT.
    pub async fn put_as(&self, token: &VersionId, value: &str, labels: &[&str]) {
        match &self.behind {
            Behind::Memory(memory) => {
                memory.put(&self.secret, NewValue::labelled(token, value, labels)).unwrap();
            }
            Behind::Moto(client) => {
                let mut put = client.put_secret_value().secret_id(self.secret.as_str());
                for &label in labels {
                    put = put.version_stages(label);
                }
                put = put.client_request_token(token.as_str()).secret_string(value);
                put.send().await.unwrap();
            }
        }
    }

    /// Takes AWSPENDING from a version.
    pub async fn unstage(&self, token: &VersionId) {
        match &self.behind {
            Behind::Memory(memory) => {
                memory.update_stage(&self.secret, AWSPENDING, None, Some(token)).unwrap();
            }
            Behind::Moto(client) => {
                let update = client.update_secret_version_stage().secret_id(self.secret.as_str());
                let update = update.version_stage(AWSPENDING);
                update.remove_from_version_id(token.as_str()).send().await.unwrap();
            }
        }
    }
}

/// The framework's own store.
async fn store_at(url: &str) -> AwsStore {
    AwsStore::connect(&Environment::from([("SECRETS_MANAGER_ENDPOINT", url)])).await.unwrap()
}

/// The SDK's client, for what the framework never calls.
async fn client(url: &str) -> Client {
    let http = http_client(&Environment::default()).unwrap();
    let shared = aws_config::defaults(aws_config::BehaviorVersion::v2026_01_12());
    Client::new(&shared.http_client(http).endpoint_url(url).load().await)
}
