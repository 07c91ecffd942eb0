//! Lists, dates and passwords.

use std::time::{SystemTime, UNIX_EPOCH};

use super::*;

async fn ok(server: &Server, operation: &str, body: Value) -> Value {
    let reply = call(server, operation, body).await;
    assert_eq!(reply.status, 200, "{operation}: {}", reply.body);
    reply.body
}

/// Secrets a to c, and one of another service.
async fn several() -> Server {
    let server = started(None).await;
    for (name, description, tag) in [
        ("app/c", "Orders of the shop", "Blue"),
        ("app/a", "PaymentService", "blue"),
        ("Web/b", "", "green"),
        ("rds!cluster-1", "managed", "red"),
    ] {
        let new = json!({"Name": name, "Description": description, "SecretString": name,
            "Tags": [{"Key": format!("team-{tag}"), "Value": tag}]});
        ok(&server, "CreateSecret", new).await;
    }
    let regions = json!([{"Region": "eu-west-1"}]);
    let add = json!({"SecretId": "Web/b", "AddReplicaRegions": regions});
    ok(&server, "ReplicateSecretToRegions", add).await;
    server
}

fn names(listed: &Value) -> String {
    let rows = listed["SecretList"].as_array().unwrap();
    rows.iter().map(|row| row["Name"].as_str().unwrap()).collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn filters_find_what_aws_says_they_find() {
    let server = several().await;
    for (key, values, found) in [
        ("name", vec!["app/"], "app/c app/a"),
        ("name", vec!["APP/"], ""),
        ("name", vec!["app/a", "Web"], "app/a Web/b"),
        ("name", vec!["!app/"], "Web/b rds!cluster-1"),
        ("description", vec!["shop order"], "app/c"),
        ("description", vec!["service"], "app/a"),
        ("description", vec!["hop"], ""),
        ("tag-key", vec!["team-b"], "app/a"),
        ("tag-key", vec!["team-"], "app/c app/a Web/b rds!cluster-1"),
        ("tag-value", vec!["Bl"], "app/c"),
        ("tag-value", vec!["!Bl", "!bl"], "app/c app/a Web/b rds!cluster-1"),
        ("primary-region", vec!["us-east-1"], "Web/b"),
        ("primary-region", vec!["eu"], ""),
        ("owning-service", vec!["rds"], "rds!cluster-1"),
        ("all", vec!["BLUE"], "app/c app/a"),
        ("all", vec!["web b"], "Web/b"),
        ("all", vec!["!app"], "Web/b rds!cluster-1"),
    ] {
        let filters = json!({"Filters": [{"Key": key, "Values": values}]});
        assert_eq!(names(&ok(&server, "ListSecrets", filters).await), found, "{key} {values:?}");
    }
    let both = json!({"Filters": [{"Key": "name", "Values": ["app/"]}, {"Key": "all", "Values": ["shop"]}]});
    assert_eq!(names(&ok(&server, "ListSecrets", both).await), "app/c");
    let eleven: Vec<_> = (0..11).map(|number| number.to_string()).collect();
    for (filter, name) in [
        (json!({"Key": "colour", "Values": ["x"]}), "ValidationException"),
        (json!({"Key": "name", "Values": ["a*"]}), "ValidationException"),
        (json!({"Key": "name", "Values": eleven}), "ValidationException"),
        (json!({"Key": "name"}), "InvalidParameterException"),
        (json!({"Values": ["x"]}), "InvalidParameterException"),
    ] {
        let filters = json!({"Filters": [filter]});
        assert_eq!(refused(&server, "ListSecrets", filters).await.0, name, "{filter}");
    }
}

#[tokio::test]
async fn a_list_comes_in_the_order_and_the_pages_that_are_asked_for() {
    let server = several().await;
    ok(&server, "UpdateSecret", json!({"SecretId": "app/a", "Description": ""})).await;
    for (asked, order) in [
        (json!({}), "app/c app/a Web/b rds!cluster-1"),
        (json!({"SortOrder": "desc"}), "rds!cluster-1 Web/b app/a app/c"),
        (json!({"SortBy": "name"}), "Web/b app/a app/c rds!cluster-1"),
        (
            json!({"SortBy": "last-changed-date", "SortOrder": "desc", "MaxResults": 2}),
            "app/a Web/b",
        ),
    ] {
        assert_eq!(names(&ok(&server, "ListSecrets", asked.clone()).await), order, "{asked}");
    }
    let wrong = refused(&server, "ListSecrets", json!({"SortOrder": "up"})).await;
    assert!(wrong.1.ends_with("enum value set: [asc, desc]"), "{}", wrong.1);
    // What waits for its deletion is listed where it is asked for.
    let window = json!({"SecretId": "app/a", "RecoveryWindowInDays": 7});
    let due = ok(&server, "DeleteSecret", window).await["DeletionDate"].clone();
    assert_eq!(names(&ok(&server, "ListSecrets", json!({})).await), "app/c Web/b rds!cluster-1");
    let planned = json!({"IncludePlannedDeletion": true, "SortBy": "name"});
    let planned = ok(&server, "ListSecrets", planned).await;
    assert_eq!(names(&planned), "Web/b app/a app/c rds!cluster-1");
    let asked = planned["SecretList"][1]["DeletedDate"].as_f64().unwrap();
    assert!((due.as_f64().unwrap() - asked - 7.0 * 86_400.0).abs() < 0.01);
    let detail = ok(&server, "DescribeSecret", json!({"SecretId": "app/a"})).await;
    assert_eq!((&detail["DeletedDate"], detail.get("Description")), (&due, None));
}

#[tokio::test]
async fn several_values_come_by_names_or_by_filters_with_an_error_for_each_that_has_none() {
    let server = several().await;
    ok(&server, "CreateSecret", json!({"Name": "app/b"})).await;
    ok(&server, "DeleteSecret", json!({"SecretId": "rds!cluster-1"})).await;
    let filters = json!([{"Key": "name", "Values": ["app/"]}]);
    let first = json!({"Filters": filters, "MaxResults": 2});
    let first = ok(&server, "BatchGetSecretValue", first).await;
    let values = |page: &Value| page["SecretValues"].as_array().unwrap().len();
    assert_eq!((values(&first), &first["Errors"]), (2, &json!([])));
    let next = json!({"Filters": filters, "MaxResults": 2, "NextToken": first["NextToken"]});
    let next = ok(&server, "BatchGetSecretValue", next).await;
    assert_eq!((values(&next), next.get("NextToken")), (0, None));
    assert_eq!(next["Errors"][0]["ErrorCode"], "ResourceNotFoundException");
    let named = json!({"SecretIdList": ["app/a", "rds!cluster-1", "none"]});
    let named = ok(&server, "BatchGetSecretValue", named).await;
    assert_eq!((values(&named), &named["SecretValues"][0]["SecretString"]), (1, &json!("app/a")));
    let codes: Vec<_> =
        named["Errors"].as_array().unwrap().iter().map(|row| &row["ErrorCode"]).collect();
    assert_eq!(codes, ["InvalidRequestException", "ResourceNotFoundException"]);
    let many: Vec<_> = (0..21).map(|number| number.to_string()).collect();
    for (body, name) in [
        (json!({}), "InvalidParameterException"),
        (json!({"SecretIdList": ["a"], "Filters": filters}), "InvalidParameterException"),
        (json!({"SecretIdList": ["a"], "MaxResults": 2}), "InvalidParameterException"),
        (json!({"SecretIdList": many}), "ValidationException"),
        (json!({"Filters": filters, "MaxResults": 21}), "ValidationException"),
    ] {
        assert_eq!(refused(&server, "BatchGetSecretValue", body.clone()).await.0, name, "{body}");
    }
}

#[tokio::test]
async fn dates_are_told_as_exactly_as_aws_tells_them() {
    let server = created().await;
    let id = || json!({"SecretId": "app/db"});
    let day = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() / 86_400;
    let before = day();
    let fresh = ok(&server, "DescribeSecret", id()).await;
    for field in
        ["LastAccessedDate", "NextRotationDate", "LastRotatedDate", "DeletedDate", "OwningService"]
    {
        assert!(fresh.get(field).is_none(), "{field}: {fresh}");
    }
    ok(&server, "GetSecretValue", id()).await;
    let rotate = json!({"SecretId": "app/db", "ClientRequestToken": TWO, "RotationLambdaARN": FUNCTION,
        "RotationRules": {"AutomaticallyAfterDays": 30}});
    ok(&server, "RotateSecret", rotate).await;
    let detail = ok(&server, "DescribeSecret", id()).await;
    let versions = ok(&server, "ListSecretVersionIds", id()).await;
    if before != day() {
        return;
    }
    #[expect(clippy::cast_precision_loss, reason = "days since 1970 are few")]
    let midnight = (before * 86_400) as f64;
    let number = |value: &Value| value.as_f64().unwrap();
    assert!((number(&detail["LastAccessedDate"]) - midnight).abs() < 0.1);
    let next = midnight + 31.0 * 86_400.0 - 1.0;
    assert!((number(&detail["NextRotationDate"]) - next).abs() < 0.1, "{detail}");
    let read: Vec<_> = versions["Versions"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| row.get("LastAccessedDate").is_some())
        .map(|row| row["VersionId"].clone())
        .collect();
    assert_eq!(read, [ONE]);
    ok(&server, "CancelRotateSecret", id()).await;
    assert!(ok(&server, "DescribeSecret", id()).await.get("NextRotationDate").is_none());
    for (rules, words) in [
        (json!({"ScheduleExpression": "rate(1 minute)"}), "4 at least"),
        (json!({"ScheduleExpression": "rate(4 hours)", "Duration": "5h"}), "must not extend"),
        (
            json!({"AutomaticallyAfterDays": 1, "ScheduleExpression": "rate(1 day)"}),
            "You cannot specify both rotation frequency and schedule expression together.",
        ),
    ] {
        let body = json!({"SecretId": "app/db", "ClientRequestToken": "3".repeat(32), "RotationRules": rules});
        let (name, message) = refused(&server, "RotateSecret", body).await;
        assert_eq!(name, "InvalidParameterException");
        assert!(message.contains(words), "{message}");
    }
}

#[tokio::test]
async fn a_secret_that_waits_for_its_deletion_refuses_what_aws_refuses() {
    let server = created().await;
    let text =
        json!({"Statement": {"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*"}});
    ok(&server, "DeleteSecret", json!({"SecretId": "app/db"})).await;
    for (operation, more) in [
        ("PutResourcePolicy", json!({"ResourcePolicy": text.to_string()})),
        ("GetResourcePolicy", json!({})),
        ("DeleteResourcePolicy", json!({})),
        ("ReplicateSecretToRegions", json!({"AddReplicaRegions": [{"Region": "eu-west-1"}]})),
        ("RemoveRegionsFromReplication", json!({"RemoveReplicaRegions": ["eu-west-1"]})),
        ("UntagResource", json!({"TagKeys": ["team"]})),
        ("UpdateSecret", json!({"Description": "x"})),
        ("CancelRotateSecret", json!({})),
    ] {
        let mut body = more;
        body["SecretId"] = json!("app/db");
        assert_eq!(
            refused(&server, operation, body).await.0,
            "InvalidRequestException",
            "{operation}"
        );
    }
    for _ in 0..2 {
        // Of a secret that is gone already, AWS does not complain either.
        let now = json!({"SecretId": "app/db", "ForceDeleteWithoutRecovery": true});
        assert_eq!(ok(&server, "DeleteSecret", now).await["Name"], "app/db");
    }
}

#[tokio::test]
async fn a_password_has_what_is_asked_for_and_nothing_else() {
    let server = started(None).await;
    let all = |length: u32, on: &[&str], without: &str| {
        let mut asked = json!({"PasswordLength": length, "ExcludeCharacters": without});
        for switch in on {
            asked[*switch] = json!(true);
        }
        asked
    };
    let no_type = ["ExcludeLowercase", "ExcludeUppercase", "ExcludeNumbers", "ExcludePunctuation"];
    for length in [4, 32, 4096] {
        let made = ok(&server, "GetRandomPassword", all(length, &[], "")).await;
        let made = made["RandomPassword"].as_str().unwrap();
        assert_eq!(made.len(), length as usize);
        for each in [char::is_lowercase, char::is_uppercase] {
            assert!(made.contains(each), "{made}");
        }
        assert!(made.contains(|one: char| one.is_ascii_digit()), "{made}");
        assert!(made.contains(|one: char| one.is_ascii_punctuation()) && !made.contains(' '));
    }
    let mut only = all(9, &[&no_type[..], &["IncludeSpace"]].concat(), "");
    assert_eq!(
        ok(&server, "GetRandomPassword", only.clone()).await["RandomPassword"],
        " ".repeat(9)
    );
    only["ExcludeCharacters"] = json!(" ");
    assert_eq!(refused(&server, "GetRandomPassword", only).await.0, "InvalidParameterException");
    let digits =
        all(10, &["ExcludeLowercase", "ExcludeUppercase", "ExcludePunctuation"], "12345678");
    let digits = ok(&server, "GetRandomPassword", digits).await;
    assert!(digits["RandomPassword"].as_str().unwrap().chars().all(|one| "09".contains(one)));
    let mut short = all(3, &[], "");
    let text = "Password length is too short based on the required types.";
    let refusal = refused(&server, "GetRandomPassword", short.clone()).await;
    assert_eq!(refusal, ("InvalidParameterException".into(), text.into()));
    short["RequireEachIncludedType"] = json!(false);
    let made = ok(&server, "GetRandomPassword", short).await;
    assert_eq!(made["RandomPassword"].as_str().map(str::len), Some(3));
    for length in [0, 4097] {
        let name = refused(&server, "GetRandomPassword", all(length, &[], "")).await.0;
        assert_eq!(name, "ValidationException");
    }
}
