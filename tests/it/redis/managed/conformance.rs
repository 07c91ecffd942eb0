//! The author's kit asks rotate-redis at the doubles, with a real server behind them.

use std::sync::Arc;

use async_trait::async_trait;
use fourstep::{Rotator, Secret};
use fourstep_testing::{Overlap, Remote, SECRET_ARN, Testbed, Wire, conformance};

use super::double::Double;
use super::server;
use crate::support::redis::Server;

struct Doubled(Arc<Server>);

#[async_trait]
impl Testbed for Doubled {
    fn overlap(&self) -> Overlap {
        Overlap::Full
    }

    async fn fresh(&self, _: &Wire) -> Box<dyn Remote> {
        Box::new(OneUser(Double::elasticache(&self.0).await))
    }
}

struct OneUser(Double);

#[async_trait]
impl Remote for OneUser {
    fn rotator(&self) -> Box<dyn Rotator> {
        let listed = format!("{SECRET_ARN}={}", self.0.arn());
        let environment = self.0.environment(&[("MANAGED_USERS", listed.as_str())]);
        Box::new(rotate_redis::strategies(&environment).unwrap())
    }

    fn secret(&self) -> String {
        self.0.document().to_string()
    }

    async fn accepts(&self, secret: &Secret) -> bool {
        self.0.logs_in(secret.document().unwrap().required("password").unwrap()).await
    }

    fn out_of_reach(&self) -> Option<String> {
        let mut document = self.0.document();
        document["port"] = serde_json::json!(1);
        Some(document.to_string())
    }
}

#[tokio::test]
async fn rotate_redis_conforms_at_the_double_of_elasticache() {
    let Some(server) = server().await else { return };
    let report = conformance(&Doubled(server)).await;
    eprintln!("{report}");
    report.assert_safe();
}
