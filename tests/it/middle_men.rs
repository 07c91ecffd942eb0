//! Somebody between the function and the server who answers logins by itself: that proves nothing.

use fourstep::store::AWSCURRENT;
use fourstep::{ErrorKind, Question, SecretId, Step};
use fourstep_local::NewValue;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use crate::support::mysql::servers;
use crate::support::postgres::{Server, User, server_with_neighbours};
use crate::support::stage::{Stage, new_token};
use crate::{alternating, mysql};

/// A secret that leads to PgBouncer, in this database of it.
fn pooled(server: &Server, user: &User, database: &str) -> Value {
    let mut document = server.document(user);
    document["port"] = json!(server.pooler);
    document["dbname"] = json!(database);
    document
}

/// Why AWSCURRENT was neither accepted nor refused.
async fn inspected(stage: &Stage) -> String {
    let answer = stage.ask(Question::Inspect).await;
    let current = answer["versions"]
        .as_array()
        .unwrap()
        .iter()
        .find(|version| version["labels"].as_array().unwrap().contains(&json!(AWSCURRENT)));
    current.unwrap().to_string()
}

/// Fails unless nobody takes this secret's login for the server's: before anything is changed, in a
/// preflight and where somebody looks.
async fn assert_refused(stage: &Stage) {
    let looked_at = inspected(stage).await;
    assert!(looked_at.contains("not the server itself"), "{looked_at}");
    assert!(!looked_at.contains("accepted"), "{looked_at}");
    assert_stopped(stage, "single-user").await;
}

/// Fails unless a preflight and the rotation itself stop there.
async fn assert_stopped(stage: &Stage, what: &str) {
    let answer = stage.ask(Question::Preflight).await;
    assert_eq!(answer["ready"], json!(false), "{what}: {answer}");
    assert!(answer.to_string().contains("not the server itself"), "{what}: {answer}");
    let token = stage.begin();
    let mut ended = stage.step(Step::Create, &token).await;
    // Whose a pair is, is asked before anything is stored.
    if ended.result.is_ok() {
        ended = stage.step(Step::Set, &token).await;
    }
    let error = ended.error();
    assert_eq!(ended.result.unwrap_err().kind(), ErrorKind::Unsupported, "{what}: {error}");
    assert!(error.contains("not the server itself"), "{what}: {error}");
    stage.cancel();
}

/// Stores these documents of a user and its admin.
fn put_both(stage: &Stage, mut user: Value, admin: &Value) {
    user["masterarn"] = json!("admin");
    stage.put_current(&user);
    let value = NewValue::current(&new_token(), admin.to_string().as_str());
    stage.store.put(&SecretId::parse("admin").unwrap(), value).unwrap();
}

const WITH_ADMIN: [&str; 2] = ["single-user-by-admin", "alternating-users"];

/// Whichever of the two logins it is that he answers.
#[tokio::test]
async fn rule_19_who_answers_for_a_postgresql_proves_neither_a_user_nor_its_admin() {
    let Some(server) = server_with_neighbours() else { return };
    let kept = User { name: "kept".to_owned(), password: server.arrangers_password() };
    for strategy in WITH_ADMIN {
        let shop =
            alternating::Shop::bare(&server, "app", &[("ROTATION_STRATEGY", strategy)]).await;
        let before = server.verifier(&shop.app).await;
        for (who, user, admin) in
            [("the user", &kept, &shop.admin), ("the admin", &shop.app, &kept)]
        {
            let [user, admin] = [user, admin].map(|one| pooled(&server, one, "postgres"));
            put_both(&shop.stage, user, &admin);
            assert_stopped(&shop.stage, &format!("{strategy}, {who}")).await;
        }
        assert_eq!(server.verifier(&shop.app).await, before, "{strategy}");
        assert!(server.logs_in(&kept.name, &kept.password).await, "{strategy}");
        shop.close().await;
    }
}

#[tokio::test]
async fn rule_19_a_pooler_that_keeps_passwords_itself_is_not_taken_for_the_server() {
    let Some(server) = server_with_neighbours() else { return };
    // scripts/lib/neighbours.sh: the pooler has this user's password in its file.
    let kept = User { name: "kept".to_owned(), password: server.arrangers_password() };
    for database in ["postgres", "transaction"] {
        let stage = Stage::new(&pooled(&server, &kept, database), &[]);
        assert_refused(&stage).await;
        assert!(server.logs_in(&kept.name, &kept.password).await, "it was changed");
    }
}

#[tokio::test]
async fn rule_19_a_pooler_that_asks_the_server_goes_on_working() {
    let Some(server) = server_with_neighbours() else { return };
    for database in ["postgres", "transaction"] {
        let user = server.user("asked").await;
        let stage = Stage::new(&pooled(&server, &user, database), &[]);
        let answer = stage.ask(Question::Preflight).await;
        assert_eq!(answer["ready"], json!(true), "{answer}");
        for _ in 0..2 {
            stage.play(&Step::ALL).await;
            assert!(server.logs_in(&user.name, &stage.password(AWSCURRENT)).await);
        }
        assert!(!inspected(&stage).await.contains("not the server itself"));
    }
}

/// Somebody who numbers connections by himself, as whoever answers for a server does. The number
/// stands behind the version in the greeting, which comes before TLS.
async fn numbering(server: u16) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut far = TcpStream::connect(("127.0.0.1", server)).await.unwrap();
                let mut greeting = vec![0; 4096];
                let length = far.read(&mut greeting).await.unwrap();
                greeting.truncate(length);
                let version = greeting[5..].iter().position(|&byte| byte == 0).unwrap();
                for byte in &mut greeting[version + 6..version + 10] {
                    *byte = !*byte;
                }
                near.write_all(&greeting).await.unwrap();
                let _ = copy_bidirectional(&mut near, &mut far).await;
            });
        }
    });
    port
}

#[tokio::test]
async fn rule_19_who_answers_for_a_mysql_is_not_taken_for_it() {
    for server in servers() {
        let user = server.user("between").await;
        let mut document = server.document(&user);
        document["port"] = json!(numbering(server.port).await);
        let before = server.kept(&user).await;
        assert_refused(&server.stage(&document, &[])).await;
        assert_eq!(server.kept(&user).await, before);
    }
}

#[tokio::test]
async fn rule_19_who_answers_for_a_mysql_proves_neither_a_user_nor_its_admin() {
    for server in servers() {
        let between = numbering(server.port).await;
        // Or a user and an admin of two ports would not be of one server.
        let same = format!("{0}:{between}={0}:{1}", server.host, server.port);
        for strategy in WITH_ADMIN {
            let variables = [("ROTATION_STRATEGY", strategy), ("SAME_DATABASE_HOSTS", &same)];
            let shop = mysql::alternating::Shop::bare(&server, "app", &variables).await;
            let before = server.kept(&shop.app).await;
            for (who, ports) in
                [("the user", [between, server.port]), ("the admin", [server.port, between])]
            {
                let [mut user, mut admin] =
                    [&shop.app, &shop.admin].map(|one| server.document(one));
                (user["port"], admin["port"]) = (json!(ports[0]), json!(ports[1]));
                put_both(&shop.stage, user, &admin);
                assert_stopped(&shop.stage, &format!("{strategy}, {who}")).await;
            }
            assert_eq!(server.kept(&shop.app).await, before, "{strategy}");
        }
    }
}
