//! Rotations of the real functions that are killed at a point, and stay as they are.

use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use fourstep::{SecretId, Step, VersionId};
use fourstep_cli::function::{KILLED, KillSwitch, kill_switch};
use fourstep_local::{NewRotation, serve};

use crate::support::door::{Door, Moment, Then, Way};
use crate::support::host::Host;
use crate::support::stage::new_token;

/// Where the process of a step is killed.
#[derive(Clone, Copy)]
pub enum Point<'a> {
    /// At this call to Secrets Manager.
    Call(&'static str, Moment),
    /// When it says this to the server, which is behind the door that the secret names.
    Said(&'a Door, u16, &'static [u8], Moment),
}

/// Begins a rotation and does the steps before this one, all of which succeed.
pub async fn begun(host: &Host, name: &str, step: Step) -> VersionId {
    let token = new_token();
    let new =
        NewRotation { token: token.clone(), lambda_arn: None, rules: None, immediately: true };
    host.store().rotate(&SecretId::parse(name).unwrap(), &new).unwrap();
    for earlier in Step::ALL.into_iter().take_while(|one| *one != step) {
        let answer = host.step(name, (earlier, &token), None, kill_switch().1).await;
        answer.unwrap_or_else(|error| panic!("{name}: {error:?}"));
    }
    token
}

/// The same, and kills this step at the point.
pub async fn killed(host: &Host, name: &str, step: Step, point: Point<'_>) {
    let token = begun(host, name, step).await;
    let (switch, killable) = kill_switch();
    let ended = match point {
        Point::Call(operation, moment) => {
            let endpoint = deadly(host, operation, moment, switch).await;
            host.step(name, (step, &token), Some(&endpoint), killable).await
        }
        Point::Said(door, port, text, moment) => {
            door.set(Way::Until(port, text, moment, Then::Silence));
            let kill = async {
                door.reached.notified().await;
                switch.pull().await;
                std::future::pending::<()>().await;
            };
            let ended = tokio::select! {
                ended = host.step(name, (step, &token), None, killable) => ended,
                () = kill => unreachable!(),
            };
            door.set(Way::To(port));
            ended
        }
    };
    assert_eq!(ended.expect_err(name).0, KILLED, "{name}");
}

/// Secrets Manager, whose next call of this operation is the last of whoever makes it.
async fn deadly(
    host: &Host,
    operation: &'static str,
    moment: Moment,
    switch: KillSwitch,
) -> String {
    let layer = from_fn(move |request: Request, next: Next| {
        let switch = switch.clone();
        async move {
            let named = request.headers()["x-amz-target"].to_str().unwrap().ends_with(operation);
            if named && moment == Moment::Before {
                switch.pull().await;
                return "dead".into_response();
            }
            let answer: Response = next.run(request).await;
            if named {
                switch.pull().await;
            }
            answer
        }
    });
    let router = serve::endpoint(host.store()).layer(layer);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, router).into_future());
    url
}
