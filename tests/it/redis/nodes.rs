//! A real cluster: three primaries with a replica each, on Redis 7 and Valkey 9, over TLS.

use fourstep::store::{AWSCURRENT, AWSPENDING};
use fourstep::{ErrorKind, Question, Step};
use serde_json::json;

use super::{BY_ADMIN, DUAL};
use crate::leaks::Planted;
use crate::support::program::{binary, every_point, fourstep, secret_file};
use crate::support::redis::{flavours, redis};
use crate::support::redis_nodes::Cluster;

#[tokio::test]
async fn a_client_that_is_a_whole_rotation_late_never_fails_on_a_cluster_that_fails_over() {
    for flavour in flavours().into_iter().filter(|one| one.is_one_of_two()) {
        let mut cluster = Cluster::start(&flavour).await;
        let user = cluster.user("app").await;
        let stage = cluster.nodes[0].stage(&cluster.nodes[0].document(&user), &DUAL);
        let first = user.password.clone();
        let mut planted = Planted::default();
        let mut monitors = Vec::new();
        for node in &cluster.nodes {
            monitors.push(node.monitor().await);
        }
        let token = stage.begin();
        for (number, step) in Step::ALL.into_iter().enumerate() {
            cluster.fail_over(number % 3).await;
            stage.step(step, &token).await.why();
            assert_eq!(cluster.takes(&user, &first).await, 6, "{step:?}");
        }
        stage.end(&token);
        let second = stage.password(AWSCURRENT);
        let token = stage.begin();
        for (number, step) in [Step::Create, Step::Set, Step::Test].into_iter().enumerate() {
            cluster.fail_over((number + 1) % 3).await;
            stage.step(step, &token).await.why();
            for password in [&first, &second] {
                assert_eq!(cluster.takes(&user, password).await, 6, "{step:?}");
            }
        }
        cluster.fail_over(1).await;
        stage.step(Step::Finish, &token).await.why();
        stage.end(&token);
        let third = stage.password(AWSCURRENT);
        let mut shown = String::new();
        for (node, monitor) in cluster.nodes.iter().zip(monitors) {
            node.arrange(&["ECHO", "the last one"]).await;
            let text = monitor.end("the last one").await;
            assert!(text.to_lowercase().contains("cluster"), "{text}");
            shown += &text;
        }
        for restarted in [false, true] {
            if restarted {
                cluster.restart().await;
            }
            for (password, count) in [(&first, 0), (&second, 6), (&third, 6)] {
                assert_eq!(cluster.takes(&user, password).await, count, "{restarted}");
            }
        }
        for password in [&first, &second, &third] {
            planted.add("a password", password);
        }
        planted.assert_absent("MONITOR", &shown);
        for node in &cluster.nodes {
            let slow = node.arrange(&["SLOWLOG", "GET", "-1"]).await;
            planted.assert_absent("SLOWLOG and the log", &(slow + &node.log()));
        }
    }
}

#[tokio::test]
async fn what_is_half_done_on_a_cluster_is_resumed_and_whoever_comes_is_met() {
    let Some(flavour) = redis() else { return };
    let mut cluster = Cluster::start(&flavour).await;
    let user = cluster.user("app").await;
    let stage = cluster.nodes[0].stage(&cluster.nodes[0].document(&user), &DUAL);
    // A node is away: nothing is changed anywhere, and it is named.
    let token = stage.play(&[Step::Create]).await;
    cluster.nodes[5].stop().await;
    let ended = stage.step(Step::Set, &token).await;
    assert_eq!(ended.result.as_ref().unwrap_err().kind(), ErrorKind::Unreachable);
    for words in [cluster.nodes[5].port.to_string(), "bring it back, or have it taken".to_owned()] {
        assert!(ended.error().contains(&words), "{}", ended.error());
    }
    for node in &cluster.nodes[..5] {
        assert_eq!(node.kept(&user.name).await.len(), 1);
    }
    cluster.nodes[5].start_again().await;
    cluster.is_whole().await;
    // An earlier run ended half-way.
    cluster.nodes[4].set(&user.name, &[&format!(">{}", stage.password(AWSPENDING))]).await;
    stage.step(Step::Set, &token).await.why();
    let pending = stage.password(AWSPENDING);
    assert_eq!(cluster.takes(&user, &pending).await, 6);
    // One comes back with what it had kept: testSecret says so, and setSecret repairs it.
    let old = ["resetpass", &format!(">{}", user.password)];
    cluster.nodes[2].set(&user.name, &old).await;
    let ended = stage.step(Step::Test, &token).await;
    assert_eq!(ended.result.as_ref().unwrap_err().kind(), ErrorKind::Rejected);
    let port = format!("localhost:{}", cluster.nodes[2].port);
    assert!(ended.error().contains(&port), "{}", ended.error());
    stage.step(Step::Set, &token).await.why();
    stage.step(Step::Test, &token).await.why();
    // A replica joins before the promotion, with the users of before.
    let late = cluster.late(&user, 0).await;
    cluster.nodes.push(late);
    let ended = stage.step(Step::Finish, &token).await;
    ended.why();
    assert!(ended.stats.warnings[0].contains("has it now"), "{:?}", ended.stats.warnings);
    stage.end(&token);
    assert_eq!(cluster.takes(&user, &pending).await, 7);
    differs(&cluster, &user, &stage).await;
}

/// What a node lacks is told by preflight and inspect, and given back by the next rotation.
async fn differs(
    cluster: &Cluster,
    user: &crate::support::redis::User,
    stage: &crate::support::stage::Stage,
) {
    let node = &cluster.nodes[3];
    node.set(&user.name, &["resetpass", &format!(">{}", user.password)]).await;
    let place = format!("localhost:{}", node.port);
    let answer = stage.ask(Question::Preflight).await;
    assert_eq!(answer["ready"], json!(true), "{answer}");
    let said = answer.to_string();
    assert!(said.contains(&format!("{place}: AWSCURRENT does not log in there")), "{said}");
    let answer = stage.ask(Question::Inspect).await.to_string();
    assert!(answer.contains(&place) && answer.contains("rejected"), "{answer}");
    let plan = stage.ask(Question::Plan).await.to_string();
    assert!(plan.contains(&format!("{place}: adds AWSCURRENT")), "{plan}");
    cluster.nodes[1].set("admin", &["-acl|save"]).await;
    let answer = stage.ask(Question::Preflight).await;
    let said = answer.to_string();
    assert_eq!(answer["ready"], json!(false), "{answer}");
    let other = format!("localhost:{}: the admin lacks rights", cluster.nodes[1].port);
    assert!(said.contains(&other), "{said}");
    cluster.nodes[1].set("admin", &["+acl|save"]).await;
    let current = stage.password(AWSCURRENT);
    let token = stage.play(&[Step::Create, Step::Set]).await;
    assert_eq!(cluster.takes(user, &current).await, cluster.nodes.len());
    stage.step(Step::Test, &token).await.why();
    stage.step(Step::Finish, &token).await.why();
    assert_eq!(cluster.takes(user, &user.password).await, 0);
}

/// The points at which the real function is killed: within setSecret, testSecret and finishSecret. With
/// FOURSTEP_TEST_EVERY_POINT it is all of them, for both strategies.
const POINTS: [&str; 3] = ["40", "65", "90"];

#[tokio::test]
async fn the_real_function_survives_kills_on_a_cluster() {
    let Some(flavour) = redis() else { return };
    let cluster = Cluster::start(&flavour).await;
    for strategy in [DUAL, BY_ADMIN].into_iter().take(if every_point() { 2 } else { 1 }) {
        let user = cluster.user("killed").await;
        let file = secret_file(&cluster.nodes[0].document(&user).to_string());
        let admin = secret_file(&cluster.nodes[0].admin_document().to_string());
        let function = binary("rotate-redis");
        let [function, secret, admin] =
            [&function, &file.path, &admin.path].map(|path| path.to_str().unwrap());
        let mut always = vec!["replay", "--json", "--rotator", function, "--secret", secret];
        always.extend(["--admin", admin, "--timeout", "60"]);
        let [(name, value)] = strategy;
        let mut variables = cluster.nodes[0].variables();
        variables.push((name.to_owned(), value.to_owned()));
        // The function is led to a proxy at another address than the certificate names.
        variables.push(("TLS_SERVER_NAME".to_owned(), "localhost".to_owned()));
        let variables = variables.iter().map(|(name, value)| format!("--env={name}={value}"));
        let variables: Vec<String> = variables.collect();
        always.extend(variables.iter().map(String::as_str));
        let points = match every_point() {
            true => vec!["all".to_owned()],
            false => POINTS.map(str::to_owned).to_vec(),
        };
        for point in points {
            let output = fourstep(&[&always[..], &["--crash", &point]].concat()).await;
            let shown = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success(), "{shown}{}", String::from_utf8_lossy(&output.stderr));
            assert!(shown.contains("\"converged\":true"), "{shown}");
            assert!(!shown.contains("canary"), "{shown}");
        }
        let text = std::fs::read_to_string(&file.path).unwrap();
        let document: serde_json::Value = serde_json::from_str(&text).unwrap();
        let password = document["password"].as_str().unwrap();
        assert_eq!(cluster.takes(&user, password).await, 6);
    }
}
