//! What a healthy rotation asks of Secrets Manager and of the database: the budget that times hang on.

use std::time::Duration;

use fourstep_bench::figures::Demands;
use fourstep_bench::host::Program;
use fourstep_bench::rotations::Scene;
use fourstep_bench::server_log::{Logins, ServerLog};

use crate::support::postgres::server;
use crate::support::program::binary;

#[tokio::test]
async fn a_rotation_keeps_to_its_budget_of_calls_sequences_and_logins() {
    let Some(server) = server() else { return };
    let user = server.user("demands").await;
    let scene = Scene::new(&server.document(&user)).await.unwrap();
    // Long enough for a step on a busy machine to send what it sends together.
    scene.manager.set_latency(Duration::from_millis(600));
    let command = binary("rotate-postgres");
    let folder = command.parent().unwrap().to_owned();
    let function = Program { command, arguments: Vec::new(), folder, environment: Vec::new() };
    let log = ServerLog { path: server.log_path(), user: user.name };
    let before = log.end().unwrap();
    let rotation = scene.cold(&function).await.unwrap();
    let sequences = rotation.sequences();
    let demands = Demands::of(&rotation, log.logins_since(before).unwrap());
    assert_eq!(demands.calls, 14);
    assert_eq!(demands.logins, Logins { connections: 2, failed: 0 });
    assert!(demands.sequence_in_set <= 3, "{sequences:?}");
    assert!(demands.sequence_elsewhere <= 2, "{sequences:?}");
    // Reads go out together: were they in sequence, this would say so.
    assert!(rotation.calls.iter().any(|(_, calls)| calls.len() > 3), "{rotation:?}");
}
