//! What is around the operations: who keeps the store, who plays a rotation and how often, who hears of a
//! request.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Semaphore;

use super::*;

/// Counts how often it kept, and fails when it is told to.
#[derive(Default)]
struct Disk {
    kept: AtomicUsize,
    full: AtomicUsize,
}

impl Keeper for Disk {
    fn keep(&self, store: &MemoryStore) -> io::Result<()> {
        if self.full.load(Ordering::SeqCst) > 0 {
            return Err(io::Error::other("the disk is full"));
        }
        assert!(store.revision() > 0);
        self.kept.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

async fn with(settings: Settings) -> Server {
    let listener = bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    serve_with(listener, Arc::new(MemoryStore::new()), settings).unwrap()
}

#[tokio::test]
async fn the_store_is_kept_after_each_change_and_before_its_answer() {
    let disk = Arc::new(Disk::default());
    let kept = || disk.kept.load(Ordering::SeqCst);
    let server = with(Settings { keeper: Some(disk.clone()), ..Settings::default() }).await;
    let new = |name: &str| json!({"Name": name, "SecretString": CANARY});
    assert_eq!(call(&server, "CreateSecret", new("a")).await.status, 200);
    assert_eq!(kept(), 1);
    call(&server, "DescribeSecret", json!({"SecretId": "a"})).await;
    refused(&server, "CreateSecret", new("a")).await;
    assert_eq!(kept(), 1, "nothing changed");

    disk.full.store(1, Ordering::SeqCst);
    let reply = call(&server, "CreateSecret", new("b")).await;
    assert_eq!((reply.status, reply.error().0), (500, "InternalServiceError"));
    assert!(reply.error().1.contains("in memory only") && reply.error().1.contains("disk is full"));
    assert!(!reply.body.to_string().contains(CANARY), "{}", reply.body);
    disk.full.store(0, Ordering::SeqCst);
    // With the next request, whatever that is.
    assert_eq!(call(&server, "DescribeSecret", json!({"SecretId": "b"})).await.status, 200);
    assert_eq!(kept(), 2);
}

/// Plays nothing, and ends when it is let.
struct Waiting {
    begun: AtomicUsize,
    let_go: Semaphore,
}

#[async_trait]
impl OnRotate for Waiting {
    async fn rotation_started(&self, _: &Arc<MemoryStore>, _: StartedRotation) {
        self.begun.fetch_add(1, Ordering::SeqCst);
        self.let_go.acquire().await.unwrap().forget();
    }
}

#[tokio::test]
async fn a_rotation_that_is_not_at_its_end_is_played_again_but_not_twice_at_a_time() {
    let waiting = Arc::new(Waiting { begun: AtomicUsize::new(0), let_go: Semaphore::new(0) });
    let server = with(Settings { on_rotate: Some(waiting.clone()), ..Settings::default() }).await;
    let begun = async |count: usize| {
        for _ in 0..100 {
            if waiting.begun.load(Ordering::SeqCst) == count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{} and not {count}", waiting.begun.load(Ordering::SeqCst));
    };
    let new = json!({"Name": "app/db", "SecretString": CANARY, "ClientRequestToken": ONE});
    call(&server, "CreateSecret", new).await;
    let rotate = |token: &str| {
        json!({"SecretId": "app/db", "RotationLambdaARN": FUNCTION, "ClientRequestToken": token,
            "RotationRules": {"AutomaticallyAfterDays": 1}})
    };
    assert_eq!(call(&server, "RotateSecret", rotate(TWO)).await.status, 200);
    begun(1).await;
    let (name, said) = refused(&server, "RotateSecret", rotate(&"3".repeat(32))).await;
    assert_eq!(name, "InvalidRequestException");
    assert!(said.contains("will be reattempted"), "{said}");
    assert_eq!(server.resume(), 1);
    begun(1).await;
    waiting.let_go.add_permits(1);
    for _ in 0..100 {
        refused(&server, "RotateSecret", rotate(&"3".repeat(32))).await;
        if waiting.begun.load(Ordering::SeqCst) > 1 {
            break;
        }
    }
    begun(2).await;
    // It is in the way of what is due.
    let late = std::time::SystemTime::now() + Duration::from_secs(3 * 24 * 60 * 60);
    assert!(server.begin_due(late).is_empty());
    // Whoever turned rotation off does not want that.
    call(&server, "CancelRotateSecret", json!({"SecretId": "app/db"})).await;
    assert_eq!(server.resume(), 0);
}

#[tokio::test]
async fn what_is_due_is_begun_once() {
    let waiting = Arc::new(Waiting { begun: AtomicUsize::new(0), let_go: Semaphore::new(0) });
    let server = with(Settings { on_rotate: Some(waiting.clone()), ..Settings::default() }).await;
    let secret = SecretId::parse("app/db").unwrap();
    server
        .store()
        .create("app/db", NewSecret { value: Some("one".into()), ..NewSecret::default() })
        .unwrap();
    let rules = crate::RotationRules { automatically_after_days: Some(10), ..Default::default() };
    let token = VersionId::from_store(TWO);
    let test = crate::NewRotation {
        rules: Some(rules),
        immediately: false,
        ..crate::NewRotation::now(&token, FUNCTION)
    };
    server.store().rotate(&secret, &test).unwrap();
    server.store().end_test(&secret, &token).unwrap();
    let days = |days: u64| std::time::SystemTime::now() + Duration::from_secs(days * 24 * 60 * 60);
    assert!(server.begin_due(days(8)).is_empty());
    let begun = server.begin_due(days(11));
    let [(name, Ok(version))] = &begun[..] else { panic!("{begun:?}") };
    assert_eq!(name, "app/db");
    assert!(server.begin_due(days(11)).is_empty());
    // The target refuses what was proposed, so that nothing is left of the rotation.
    server.store().update_stage(&secret, "AWSPENDING", None, Some(version)).unwrap();
    waiting.let_go.add_permits(1);
    for _ in 0..20 {
        assert!(server.begin_due(days(12)).is_empty(), "it is begun in each window once");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(server.begin_due(days(22)).len(), 1);
}

/// A test ends with its own version, and a rotation would promote that.
#[tokio::test]
async fn a_test_of_the_configuration_is_not_played_again_as_a_rotation() {
    let waiting = Arc::new(Waiting { begun: AtomicUsize::new(0), let_go: Semaphore::new(0) });
    let server = with(Settings { on_rotate: Some(waiting.clone()), ..Settings::default() }).await;
    let new = json!({"Name": "app/db", "SecretString": CANARY, "ClientRequestToken": ONE});
    call(&server, "CreateSecret", new).await;
    let rotate = |token: &str| {
        json!({"SecretId": "app/db", "RotationLambdaARN": FUNCTION, "ClientRequestToken": token,
            "RotateImmediately": false, "RotationRules": {"AutomaticallyAfterDays": 1}})
    };
    assert_eq!(call(&server, "RotateSecret", rotate(TWO)).await.status, 200);
    for _ in 0..20 {
        refused(&server, "RotateSecret", rotate(&"3".repeat(32))).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(waiting.begun.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_copy_that_is_let_go_does_not_rotate_the_user_of_its_primary() {
    let store = MemoryStore::new();
    let secret = SecretId::parse("app/db").unwrap();
    store
        .create("app/db", NewSecret { value: Some("one".into()), ..NewSecret::default() })
        .unwrap();
    let regions = json!({"SecretId": "app/db", "AddReplicaRegions": [{"Region": "eu-west-1"}]});
    let listener = bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let server = serve_with(listener, Arc::new(store), Settings::default()).unwrap();
    assert_eq!(call(&server, "ReplicateSecretToRegions", regions).await.status, 200);
    let rotation = crate::NewRotation::now(&VersionId::from_store(TWO), FUNCTION);
    server.store().rotate(&secret, &rotation).unwrap();
    let own = server.store().promote(&secret, "eu-west-1").unwrap();
    let own = server.store().describe(&SecretId::parse(&own.arn).unwrap()).unwrap();
    assert_eq!((own.rotation_enabled, own.rotation_lambda_arn), (None, None));
    assert_eq!(own.labels.len(), 1, "AWSCURRENT alone: {:?}", own.labels);
    assert_eq!(server.store().describe(&secret).unwrap().rotation_enabled, Some(true));
}
