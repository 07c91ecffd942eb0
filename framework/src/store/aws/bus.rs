//! Amazon EventBridge: one event of each rotation, where the owner of the function names a bus.

use async_trait::async_trait;
use aws_config::SdkConfig;
use serde_json::{Value, json};

use super::{JsonService, LazyClient};
use crate::announce::Announce;
use crate::config::Environment;
use crate::error::{Error, ErrorKind, Result};
use crate::invocation::Invocation;

/// As every AWS SDK names the endpoint of one service.
const ENDPOINT: &str = "AWS_ENDPOINT_URL_EVENTBRIDGE";

const EVENTBRIDGE: JsonService =
    JsonService { name: "EventBridge", prefix: "events", target: "AWSEvents", known: &[] };

/// The bus that `ROTATION_EVENT_BUS` names.
#[derive(Debug, Clone)]
pub(crate) struct EventBus {
    settings: LazyClient<SdkConfig>,
    /// Its name or ARN.
    name: String,
}

impl EventBus {
    /// Reads `ROTATION_EVENT_BUS` and `AWS_ENDPOINT_URL_EVENTBRIDGE`; `None` without a bus. Nothing is
    /// prepared before the first event: most invocations have none.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`], naming the variable.
    pub(crate) fn read(environment: &Environment) -> Result<Option<Self>> {
        let Some(name) = environment.text("ROTATION_EVENT_BUS")? else { return Ok(None) };
        let settings = LazyClient::read(environment, ENDPOINT)?;
        Ok(Some(Self { settings, name: name.to_owned() }))
    }
}

#[async_trait]
impl Announce for EventBus {
    /// PutEvents. Source: EventBridge API reference, "PutEvents", "PutEventsRequestEntry": an entry may fail in
    /// an answer that is a success.
    async fn announce(&self, arn: &str, detail: &Value, cx: &Invocation) -> Result<()> {
        let settings = self.settings.get(SdkConfig::clone).await?;
        let question = json!({"Entries": [{
            "Source": "fourstep",
            "DetailType": "Secret Rotated",
            "Detail": detail.to_string(),
            "Resources": [arn],
            "EventBusName": self.name,
        }]});
        let answer = EVENTBRIDGE.ask(settings, "PutEvents", &question, cx).await?;
        let answer = answer.unwrap_or_default();
        if answer.get("FailedEntryCount").and_then(Value::as_u64) == Some(0) {
            return Ok(());
        }
        let text = |name: &str| answer.pointer(name).and_then(Value::as_str).unwrap_or_default();
        let why = [text("/Entries/0/ErrorCode"), text("/Entries/0/ErrorMessage")].join(": ");
        let what = format!("PutEvents did not take it for the bus {:?}", self.name);
        Err(Error::new(ErrorKind::Unsupported, what).caused_by(format!("{why:.300}")))
    }
}
