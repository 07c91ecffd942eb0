//! How a rotation of a managed user fails: each fault with its kind and its whole message in the table.

use expect_test::expect_file;
use fourstep::{Question, Step};
use serde_json::{Value, json};

use super::double::{Double, Lasts};
use super::{arn_of, server};
use crate::support::fault_table::FaultTable;

fn with(mut document: Value, field: &str, value: Value) -> Value {
    document[field] = value;
    document
}

#[tokio::test]
async fn every_fault_of_a_managed_user_ends_in_a_class_of_its_own() {
    let Some(server) = server().await else { return };
    let mut table = FaultTable::default();
    let double = Double::elasticache(&server).await;
    table.mask([(&double.arn(), "ARN"), (&double.user.name, "USER"), (&server.port, "PORT")]);
    let document = double.document();
    let stage = || double.stage(&document, &[]);

    let bad = with(document.clone(), "user_arn", json!("canary"));
    table.create("the ARN is none of a user", &double.stage(&bad, &[])).await;
    table
        .create("SECRET_ARN names another", &double.stage(&document, &[("SECRET_ARN", "another")]))
        .await;
    table
        .create("USER_NAME names another", &double.stage(&document, &[("USER_NAME", "another")]))
        .await;
    table.create("no list has the secret", &double.beside(&stage(), &[])).await;
    let first = stage();
    let listed = format!("{}={}2", arn_of(&first), double.arn());
    let other = double.beside(&first, &[("MANAGED_USERS", listed.as_str())]);
    table.create("the list has another user for the secret", &other).await;
    let admin = [("ROTATION_STRATEGY", "single-user-by-admin")];
    table.create("another strategy", &double.stage(&document, &admin)).await;
    let short = [("PASSWORD_LENGTH", "15")];
    table.create("passwords too short", &double.stage(&document, &short)).await;
    let mut unrecorded = document.clone();
    unrecorded.as_object_mut().unwrap().remove("password");
    table.create("no password is recorded", &double.stage(&unrecorded, &[])).await;

    double.state().missing = true;
    table.create("there is no such user", &stage()).await;
    double.state().missing = false;
    double.state().authentication = "iam";
    table.create("the user logs in by IAM", &stage()).await;
    double.state().authentication = "password";
    double.state().account = "444455556666";
    table.create("the user is another account's", &stage()).await;
    double.state().account = "111122223333";
    double.state().name = "other".to_owned();
    table.create("the user has another name", &stage()).await;
    double.state().name.clone_from(&double.user.name);
    double.state().refuses = Some(("DescribeUsers", "AccessDenied"));
    table.create("the role may not look", &stage()).await;
    double.state().refuses = Some(("ModifyUser", "AccessDenied"));
    table.set("the role may not change", &stage()).await;
    double.state().refuses = Some(("ModifyUser", "InvalidUserState"));
    table.set("somebody else changes the user", &stage()).await;
    double.state().refuses = Some(("ModifyUser", "InvalidParameterValue"));
    table.set("the API refuses the password", &stage()).await;
    double.state().refuses = Some(("ModifyUser", "SomethingNew"));
    table.set("the API says something new", &stage()).await;
    double.state().refuses = None;
    double.state().deleting = true;
    table.set("the user is being deleted", &stage()).await;
    double.state().deleting = false;

    let wrong = with(document.clone(), "password", json!("canary-and-a-wrong-one"));
    table.set("every password is refused", &double.stage(&wrong, &[])).await;
    assert!(double.state().sent.is_empty());
    double.state().lasts = Lasts::UntilTold;
    let mut slow = stage();
    slow.timeout = std::time::Duration::from_secs(10);
    table.set("the change lasts longer than the function", &slow).await;
    double.finish().await;
    expect_file!["table.txt"].assert_eq(&table.text);
}

#[tokio::test]
async fn preflight_finds_all_that_would_fail_and_plan_says_what_is_done() {
    let Some(server) = server().await else { return };
    let double = Double::elasticache(&server).await;
    let stage = double.stage(&double.document(), &[]);
    let answer = stage.ask(Question::Preflight).await;
    assert_eq!(answer["ready"], json!(true), "{answer}");
    assert!(answer.to_string().contains("raise its timeout"), "{answer}");
    let plan = stage.ask(Question::Plan).await.to_string();
    let told = format!("elasticache:ModifyUser {}", double.arn());
    assert!(plan.contains(&told) && !plan.contains("canary"), "{plan}");
    (double.state().groups, double.state().authentication) = (0, "iam");
    let wrong = with(double.hostless(), "username", json!("other"));
    let answer = double.stage(&wrong, &[("PASSWORD_LENGTH", "129")]).ask(Question::Preflight).await;
    assert_eq!(answer["ready"], json!(false));
    let answer = answer.to_string();
    for words in
        ["PASSWORD_LENGTH", "by \\\"iam", "no server knows it", "not the name of", "names no"]
    {
        assert!(answer.contains(words), "{words}: {answer}");
    }
    assert!(double.state().sent.is_empty());
    // Where nothing is to be rotated yet: what a schedule does first.
    (double.state().groups, double.state().authentication) = (1, "password");
    let token = stage.begin();
    stage.put_pending(&token, &stage.document("AWSCURRENT"));
    stage.step(Step::Test, &token).await.why();
}
