//! Random requests: whatever comes, the answer is AWS's and the state makes sense.

use proptest::prelude::*;
use serde_json::Map;

use super::*;
use crate::serve::hostile::{Reply as Ended, Service};
use crate::serve::operations::OPERATIONS;

/// Every field that any operation reads.
const FIELDS: [&str; 36] = [
    "Name",
    "SecretId",
    "SecretString",
    "SecretBinary",
    "ClientRequestToken",
    "VersionId",
    "VersionStage",
    "VersionStages",
    "MoveToVersionId",
    "RemoveFromVersionId",
    "RotationToken",
    "RotationLambdaARN",
    "RotationRules",
    "RotateImmediately",
    "IncludeDeprecated",
    "ForceDeleteWithoutRecovery",
    "RecoveryWindowInDays",
    "Tags",
    "Description",
    "KmsKeyId",
    "TagKeys",
    "Filters",
    "SecretIdList",
    "PasswordLength",
    "ExcludeNumbers",
    "IncludeSpace",
    "ExcludeCharacters",
    "ResourcePolicy",
    "PolicyName",
    "BlockPublicPolicy",
    "AddReplicaRegions",
    "RemoveReplicaRegions",
    "SortOrder",
    "SortBy",
    "MaxResults",
    "NextToken",
];

/// A value that some field takes, or that none does.
fn value() -> impl Strategy<Value = Value> {
    let words = prop::sample::select(vec![
        json!("s"),
        json!(ONE),
        json!(TWO),
        json!("AWSCURRENT"),
        json!("AWSPENDING"),
        json!(["AWSPENDING"]),
        json!(["AWSCURRENT", "blue"]),
        json!([]),
        json!({}),
        json!(null),
        json!(true),
        json!(7),
        json!(-1.5),
        json!("AP8="),
        json!(FUNCTION),
        json!([{"Key": "k", "Value": "v"}]),
        json!({"AutomaticallyAfterDays": 30}),
        json!(CANARY),
        json!("r".repeat(36)),
        json!("x".repeat(2049)),
        json!([{"Region": "eu-west-1"}]),
        json!(["eu-west-1"]),
        json!([{"Key": "name", "Values": ["s"]}]),
        json!("{\"Statement\": {\"Effect\": \"Allow\", \"Principal\": \"*\"}}"),
        json!("cron(0 3 ? * SUN *)"),
        json!({"ScheduleExpression": "rate(4 hours)", "Duration": "2h"}),
    ]);
    prop_oneof![4 => words, 1 => "\\PC{0,40}".prop_map(Value::from)]
}

/// A request that is right as far as it goes, so that there is a state to spoil.
fn sensible() -> impl Strategy<Value = (&'static str, Value)> {
    let version = || prop::sample::select(vec![ONE, TWO]);
    let label = || prop::sample::select(vec!["AWSCURRENT", "AWSPENDING", "AWSPREVIOUS", "blue"]);
    prop_oneof![
        Just((
            "CreateSecret",
            json!({"Name": "s", "SecretString": "one", "ClientRequestToken": ONE})
        )),
        (version(), label(), any::<bool>()).prop_map(|(version, label, labelled)| {
            let mut put =
                json!({"SecretId": "s", "ClientRequestToken": version, "SecretString": "two"});
            if labelled {
                put["VersionStages"] = json!([label]);
            }
            ("PutSecretValue", put)
        }),
        (version(), version(), label()).prop_map(|(to, from, label)| {
            let (id, to, from) = ("s", json!(to), json!(from));
            (
                "UpdateSecretVersionStage",
                json!({"SecretId": id, "VersionStage": label,
                "MoveToVersionId": to, "RemoveFromVersionId": from}),
            )
        }),
        any::<bool>().prop_map(|added| match added {
            true => {
                let regions = json!([{"Region": "eu-west-1"}, {"Region": "eu-west-3"}]);
                ("ReplicateSecretToRegions", json!({"SecretId": "s", "AddReplicaRegions": regions}))
            }
            false => ("DescribeSecret", json!({"SecretId": "s"})),
        }),
        (version(), any::<bool>()).prop_map(|(version, now)| {
            (
                "RotateSecret",
                json!({"SecretId": "s", "ClientRequestToken": version,
                "RotationLambdaARN": FUNCTION, "RotateImmediately": now}),
            )
        }),
    ]
}

/// Any request: a sensible one, one that was spoilt, or nothing but fields and values.
fn request() -> impl Strategy<Value = (&'static str, String)> {
    let field = || prop::sample::select(&FIELDS[..]);
    let spoilt = (sensible(), field(), value(), any::<prop::sample::Index>(), 0..4).prop_map(
        |((operation, mut body), field, value, cut, how)| {
            if how > 1 {
                body[field] = value;
            }
            let mut text = body.to_string();
            if how == 3 {
                let end = text.floor_char_boundary(cut.index(text.len()));
                text.truncate(end);
            }
            (operation, text)
        },
    );
    let operation = prop::sample::select(&OPERATIONS[..]);
    let fields = prop::collection::vec((field(), value()), 0..6);
    let random = (operation, fields).prop_map(|(operation, fields)| {
        let fields: Map<String, Value> =
            fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        (operation, Value::Object(fields).to_string())
    });
    prop_oneof![3 => spoilt, 2 => random]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_requests_are_answered_in_awss_words_and_leave_a_state_that_makes_sense(
        requests in prop::collection::vec(request(), 1..24)
    ) {
        let mut service = Service::default();
        for (operation, body) in requests {
            match service.request(operation, body.as_bytes()) {
                Ok(Ended::Answered(_)) => {}
                Ok(Ended::Refused(name, message)) => {
                    prop_assert!(name.ends_with("Exception"), "{}", name);
                    // Ids, labels and names may be told, so they are told apart from values.
                    let told = body.matches(CANARY).count() > 0 && message.contains(CANARY);
                    let value = ["SecretString", "SecretBinary", "RotationToken"]
                        .iter()
                        .any(|field| body.contains(&format!("\"{field}\":\"{CANARY}\"")));
                    prop_assert!(!(told && value), "{} quotes {}", message, body);
                }
                Err(contradiction) => prop_assert!(false, "{operation} {body}: {contradiction}"),
            }
        }
    }
}

/// A Host that is always served.
const OWN: &str = "localhost";

/// How a request is written on the wire.
#[derive(Debug, Clone)]
struct Written {
    method: &'static str,
    path: &'static str,
    host: String,
    target: String,
    headers: Vec<String>,
    body: Vec<u8>,
    /// What is said of the body's length, more or less than it is.
    length: i64,
}

fn written() -> impl Strategy<Value = Written> {
    let target = prop_oneof![
        4 => request().prop_map(|(operation, _)| format!("secretsmanager.{operation}")),
        1 => "[ -~]{0,40}",
    ];
    let body = prop_oneof![
        4 => request().prop_map(|(_, body)| body.into_bytes()),
        1 => prop::collection::vec(any::<u8>(), 0..200),
    ];
    let headers = prop::collection::vec("[a-z-]{1,12}: [ -~]{0,40}", 0..4);
    let method = prop::sample::select(vec!["POST", "POST", "POST", "GET", "PUT", "PURGE"]);
    let path = prop::sample::select(vec!["/", "/", "/", "/x", "/?a=b", "*"]);
    let length = prop_oneof![6 => Just(0_i64), 1 => -3_i64..40];
    let host = prop_oneof![6 => Just(OWN.to_owned()), 1 => "[ -~]{0,40}"];
    (method, path, host, target, headers, body, length).prop_map(
        |(method, path, host, target, headers, body, length)| {
            // Headers that change how the request is framed would only test the HTTP library.
            let framing = ["content-length", "transfer-encoding", "connection", "host", "expect"];
            let plain = |header: &String| !framing.iter().any(|name| header.starts_with(name));
            let headers = headers.into_iter().filter(plain).collect();
            Written { method, path, host, target, headers, body, length }
        },
    )
}

/// The whole answer, as bytes; a client that sends less than it announced closes its side.
async fn exchanged(address: SocketAddr, written: &Written) -> Vec<u8> {
    let Written { method, path, host, target, headers, body, length } = written;
    let length = i64::try_from(body.len()).unwrap().saturating_add(*length).max(0);
    let mut head = format!(
        "{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\nx-amz-target: {target}\r\n\
         content-length: {length}\r\n"
    );
    for header in headers {
        head += &format!("{header}\r\n");
    }
    let mut stream = TcpStream::connect(address).await.unwrap();
    let _sent = stream.write_all(&[head.as_bytes(), b"\r\n", body].concat()).await;
    if written.length > 0 {
        // The rest never comes.
        let _closed = stream.shutdown().await;
    }
    let mut answer = Vec::new();
    let reading = stream.read_to_end(&mut answer);
    let read = tokio::time::timeout(Duration::from_secs(60), reading).await;
    assert!(read.is_ok(), "the server hangs on {written:?}");
    answer
}

/// An answer of ours, or of the HTTP library to what is not HTTP; nothing if a body was cut short.
fn judge(written: &Written, answer: &[u8]) -> Result<(), String> {
    let text = String::from_utf8_lossy(answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return if written.length > 0 { Ok(()) } else { Err(format!("no answer: {text}")) };
    };
    let status = head.split(' ').nth(1).unwrap_or_default();
    let refused = status == "403" && written.host != OWN;
    if !refused && !["200", "400", "404", "405", "413"].contains(&status) {
        return Err(format!("status {status}"));
    }
    if ["404", "405"].contains(&status) || !head.contains("x-amzn-requestid") {
        return Ok(());
    }
    let body: Value = serde_json::from_str(body).map_err(|error| error.to_string())?;
    let named = body.get("__type").is_some_and(Value::is_string);
    match (status, named) {
        ("200", false) | ("400" | "403" | "413", true) => Ok(()),
        _ => Err(format!("status {status} with {body}")),
    }
}

#[test]
fn any_bytes_over_http_are_answered_and_never_with_a_failure_of_the_server() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = runtime.block_on(created());
    let config = ProptestConfig { cases: 512, max_shrink_iters: 64, ..ProptestConfig::default() };
    proptest!(config, |(written in written())| {
        let answer = runtime.block_on(exchanged(server.address(), &written));
        if let Err(complaint) = judge(&written, &answer) {
            prop_assert!(false, "{complaint}");
        }
    });
    // And it still serves.
    let list = json!({"SecretId": "app/db", "IncludeDeprecated": true});
    let reply = runtime.block_on(call(&server, "ListSecretVersionIds", list));
    assert!([200, 400].contains(&reply.status));
}
