//! The Redshift Serverless API: which host is the workgroup of which namespace, and which secret its admin's
//! password is in. Each is asked for by its name, so that no list is read, of however many pages.
//!
//! Source: Amazon Redshift Serverless API Reference, GetWorkgroup and GetNamespace; botocore's model.

use serde_json::Value;

use crate::error::Result;
use crate::invocation::Invocation;

#[cfg(feature = "redshift")]
pub(crate) use super::aws::Serverless;
#[cfg(not(feature = "redshift"))]
pub(crate) use without::Serverless;

/// A workgroup: what queries are run by, and where.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Workgroup {
    /// `endpoint.address`; absent while the workgroup is being made.
    pub(crate) host: Option<String>,
    /// `endpoint.port`.
    pub(crate) port: Option<u16>,
    /// `namespaceName`.
    pub(crate) namespace: String,
}

/// A namespace: databases and users.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Namespace {
    /// `namespaceArn`.
    pub(crate) arn: String,
    /// `adminPasswordSecretArn`; absent where Secrets Manager does not hold the admin's password.
    pub(crate) secret: Option<String>,
}

impl Serverless {
    /// GetWorkgroup. `None` if the function's account has none of this name in its Region.
    pub(crate) async fn workgroup(&self, name: &str, cx: &Invocation) -> Result<Option<Workgroup>> {
        let found = self.get("GetWorkgroup", "workgroupName", name, cx).await?;
        Ok(found.map(|answer| {
            let text = |pointer| text(&answer, pointer);
            let port = answer.pointer("/workgroup/endpoint/port").and_then(Value::as_u64);
            Workgroup {
                host: text("/workgroup/endpoint/address"),
                port: port.and_then(|port| port.try_into().ok()),
                namespace: text("/workgroup/namespaceName").unwrap_or_default(),
            }
        }))
    }

    /// GetNamespace, likewise.
    pub(crate) async fn namespace(&self, name: &str, cx: &Invocation) -> Result<Option<Namespace>> {
        let found = self.get("GetNamespace", "namespaceName", name, cx).await?;
        Ok(found.map(|answer| Namespace {
            arn: text(&answer, "/namespace/namespaceArn").unwrap_or_default(),
            secret: text(&answer, "/namespace/adminPasswordSecretArn"),
        }))
    }
}

fn text(answer: &Value, pointer: &str) -> Option<String> {
    let text = answer.pointer(pointer)?.as_str()?;
    (!text.is_empty()).then(|| text.to_owned())
}

/// What a function does that was built without the feature `redshift`.
#[cfg(not(feature = "redshift"))]
mod without {
    use super::{Invocation, Value};
    use crate::config::Environment;
    use crate::error::{Error, ErrorKind, Result};

    #[derive(Debug)]
    pub(crate) struct Serverless;

    impl Serverless {
        pub(crate) fn read(_: &Environment) -> Result<Self> {
            Ok(Self)
        }

        pub(super) async fn get(
            &self,
            _: &'static str,
            _: &'static str,
            _: &str,
            _: &Invocation,
        ) -> Result<Option<Value>> {
            let what = "this function was built without the feature redshift, and cannot ask the Redshift \
                        Serverless API";
            Err(Error::new(ErrorKind::Unsupported, what))
        }
    }
}
