//! What stands before the local Secrets Manager: it counts the requests and disturbs one.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use fourstep::store::{StoreError, StoreErrorCode};
use fourstep_local::serve;
use serde_json::{Map, Value};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::address::Detour;
use super::line::{Line, Lines};
use super::points::{Disturbance, Kind, When};
use super::watch::{Fate, Watch};
use crate::replay::LocalSecret;

/// How long requests that are under way are waited for at the end. Their process is dead by then.
const LAST_REQUESTS_TIME: Duration = Duration::from_secs(5);

/// A local Secrets Manager for one invocation, over the store of all and for the same access key id.
pub(super) struct StoreProxy {
    url: String,
    stop: oneshot::Sender<()>,
    task: JoinHandle<io::Result<()>>,
}

struct Before {
    watch: Arc<Watch>,
    detour: Option<Detour>,
}

impl StoreProxy {
    /// Starts it. Whatever it hands out or takes in makes the detour, if there is one.
    pub(super) async fn start(
        secret: &LocalSecret,
        watch: Arc<Watch>,
        detour: Option<Detour>,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let before = Arc::new(Before { watch, detour });
        let endpoint = serve::endpoint_for(secret.key().clone(), secret.store());
        let router = endpoint.layer(from_fn_with_state(before, pass));
        let service = router.into_make_service_with_connect_info::<Line>();
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = axum::serve(Lines(listener), service).with_graceful_shutdown(async {
            // An error means that the sender was dropped, which is to stop it as well.
            let _stopped = stopped.await;
        });
        Ok(Self { url, stop, task: tokio::spawn(serving.into_future()) })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Stops it when every request that it has was counted.
    pub(super) async fn stop(self) {
        let Self { stop, mut task, .. } = self;
        drop(stop);
        if tokio::time::timeout(LAST_REQUESTS_TIME, &mut task).await.is_err() {
            task.abort();
        }
    }
}

async fn pass(
    State(before): State<Arc<Before>>,
    ConnectInfo(line): ConnectInfo<Line>,
    request: Request,
    next: Next,
) -> Response {
    let (mut head, body) = request.into_parts();
    let Ok(body) = to_bytes(body, serve::LARGEST_BODY).await else {
        // It was never sent whole.
        line.cut();
        return Response::default();
    };
    let fate = before.watch.arrived(kind(&head.headers, &body));
    if let Fate::Disturbed(When::Before, disturbance) = fate {
        return before.disturb(disturbance, &line).await;
    }
    // Its length may be another one now.
    head.headers.remove(header::CONTENT_LENGTH);
    let body = before.led(body, Detour::back);
    let answer = next.run(Request::from_parts(head, Body::from(body))).await;
    if let Fate::Disturbed(When::After, disturbance) = fate {
        return before.disturb(disturbance, &line).await;
    }
    let (head, body) = answer.into_parts();
    match to_bytes(body, usize::MAX).await {
        Ok(body) => Response::from_parts(head, Body::from(before.led(body, Detour::there))),
        Err(_) => {
            line.cut();
            Response::default()
        }
    }
}

impl Before {
    async fn disturb(&self, disturbance: Disturbance, line: &Line) -> Response {
        let error = match disturbance {
            Disturbance::Throttling => StoreError::new(StoreErrorCode::Throttled, "Rate exceeded"),
            Disturbance::ServerError => {
                StoreError::new(StoreErrorCode::Internal, "An error occurred on the server side.")
            }
            Disturbance::Kill | Disturbance::Slow | Disturbance::Reset => {
                match disturbance {
                    Disturbance::Kill => self.watch.kill().await,
                    Disturbance::Slow => self.watch.ended().await,
                    _ => {}
                }
                line.cut();
                return Response::default();
            }
        };
        serve::refused(error)
    }

    /// The same request or answer, with the value in it led to the proxy or back.
    fn led(&self, body: Bytes, way: fn(&Detour, &str) -> Option<String>) -> Bytes {
        let led = || {
            let detour = self.detour.as_ref()?;
            let mut fields: Map<String, Value> = serde_json::from_slice(&body).ok()?;
            let value = fields.get_mut("SecretString")?;
            *value = way(detour, value.as_str()?)?.into();
            Some(Value::Object(fields).to_string().into())
        };
        led().unwrap_or(body)
    }
}

/// What a request asks for: `DescribeSecret`, `GetSecretValue AWSPENDING`.
fn kind(headers: &HeaderMap, body: &[u8]) -> Kind {
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok());
    let operation = target.and_then(|target| target.rsplit('.').next()).unwrap_or("a request");
    if operation != "GetSecretValue" {
        return Kind::Store(operation.to_owned());
    }
    // Two reads that are sent together are told apart by what they name.
    let fields: Map<String, Value> = serde_json::from_slice(body).unwrap_or_default();
    let of = match (fields.get("VersionStage").and_then(Value::as_str), fields.get("VersionId")) {
        (Some(label), _) => label,
        (None, Some(_)) => "by version",
        (None, None) => "AWSCURRENT",
    };
    Kind::Store(format!("{operation} {of}"))
}
