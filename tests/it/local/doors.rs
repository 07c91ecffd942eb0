//! Where `fourstep serve` listens, by which names it is asked, and what it tells of a request.

use std::time::Duration;

use serde_json::json;

use super::serving::{Serving, refused};

const READ: &str = "x-amz-target: secretsmanager.GetSecretValue\r\n";
const BODY: &str = r#"{"SecretId": "app/db"}"#;

#[tokio::test]
async fn a_host_is_asked_by_if_it_is_allowed_and_the_refusal_says_how() {
    let plain = Serving::start(&[]).await;
    let allowed = Serving::start(&["--allow-host", "secrets", "--allow-host", "vault"]).await;
    for serving in [&plain, &allowed] {
        let new = json!({"Name": "app/db", "SecretString": "canary-value"});
        serving.ok("CreateSecret", new).await;
    }
    for (serving, host, status) in [
        (&plain, "localhost", 200),
        (&plain, "secrets", 403),
        (&allowed, "localhost", 200),
        (&allowed, "secrets:4566", 200),
        (&allowed, "Vault", 200),
        (&allowed, "evil.example", 403),
        (&allowed, "secrets.evil.example", 403),
    ] {
        let reply = serving.ask("/", &format!("host: {host}\r\n{READ}"), BODY).await.unwrap();
        assert_eq!(reply.status, status, "{host}: {}", reply.body);
        if status == 403 {
            assert!(reply.body.contains("--allow-host"), "{host}: {}", reply.body);
            assert!(!reply.body.contains("canary"), "{host}: {}", reply.body);
        }
        let path = "/2015-03-31/functions/f/invocations";
        let reply = serving.ask(path, &format!("host: {host}\r\n"), "{}").await.unwrap();
        let expected = if status == 200 { 404 } else { 403 };
        assert_eq!(reply.status, expected, "{host}: {}", reply.body);
    }
    // A page's plain POST names an address.
    let page = format!("origin: https://evil.example\r\n{READ}");
    assert_eq!(plain.ask("/", &page, BODY).await.unwrap().status, 403);
    let output = crate::support::program::fourstep(&["serve", "--allow-host", "*"]).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("a web page could read"));
}

#[tokio::test]
async fn an_address_is_taken_as_people_write_it() {
    for listen in ["localhost:0", ":0", "0", "127.0.0.1:0"] {
        let serving = Serving::start(&["--listen", listen]).await;
        assert!(serving.address.starts_with("127.0.0.1:"), "{listen}: {}", serving.address);
        serving.ok("ListSecrets", json!({})).await;
        assert!(!serving.err().contains("warning"), "{listen}: {}", serving.err());
    }
    let open = Serving::start(&["--listen", "0.0.0.0:0"]).await;
    assert!(open.address.starts_with("127.0.0.1:"), "{}", open.address);
    let said = open.says("warning: 0.0.0.0:").await;
    assert!(said.contains("can read every secret"), "{said}");
    open.ok("ListSecrets", json!({})).await;
    let output = crate::support::program::fourstep(&["serve", "--listen", "example.com:1"]).await;
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("localhost:PORT, :PORT or PORT"), "{said}");
}

#[tokio::test]
async fn a_port_that_is_taken_is_said_to_be_another_serve_s() {
    let first = Serving::start(&[]).await;
    let said = refused(&["--listen", &first.address]).await;
    assert!(said.contains("Another `fourstep serve` may have it"), "{said}");
    assert!(said.contains("--listen 0"), "{said}");
}

/// What must be in no line.
const PLANTED: [&str; 6] = [
    "canary-value",
    "canary-of-the-request-token-00000000",
    "canary-rotation-token-00000000000000",
    "canary-header",
    "canary-target",
    "canary-payload",
];

#[tokio::test]
async fn the_log_has_a_line_for_each_request_and_nothing_of_what_it_holds() {
    let serving = Serving::start(&["--log"]).await;
    let [value, token, rotation, header, target, payload] = PLANTED;
    let signed = format!(
        "authorization: AWS4-HMAC-SHA256 Credential={header}/20260101/us-east-1/secretsmanager/aws4_request, \
         SignedHeaders=host, Signature={header}\r\nuser-agent: {header}\r\n"
    );
    let ask = async |operation: &str, body: &str| {
        let headers = format!("{signed}x-amz-target: secretsmanager.{operation}\r\n");
        serving.ask("/", &headers, body).await.unwrap().status
    };
    let new =
        json!({"Name": "app/db", "SecretString": value, "ClientRequestToken": token}).to_string();
    assert_eq!(ask("CreateSecret", &new).await, 200);
    assert_eq!(ask("GetSecretValue", BODY).await, 200);
    assert_eq!(ask("GetSecretValue", r#"{"SecretId": "app/none"}"#).await, 400);
    let put = json!({"SecretId": "app/db", "SecretString": value, "RotationToken": rotation,
        "ClientRequestToken": "t".repeat(32)});
    assert_eq!(ask("PutSecretValue", &put.to_string()).await, 200);
    assert_eq!(ask("DescribeSecret", &format!("{{\"SecretId\": \"{{{value}}}\"}}")).await, 400);
    assert_eq!(ask("CreateSecret", &new[..new.len() - 3]).await, 400);
    assert_eq!(ask("NoSuchThing", "{}").await, 400);
    assert_eq!(ask(&format!("{target}\t"), "{}").await, 400);
    let several = json!({"SecretIdList": ["app/db", "app/none"]}).to_string();
    assert_eq!(ask("BatchGetSecretValue", &several).await, 200);
    let evil = format!("host: {header}.example\r\n{READ}");
    assert_eq!(serving.ask("/", &evil, BODY).await.unwrap().status, 403);
    serving
        .invoke("RequestResponse", &json!({"SecretId": "app/db", "x": payload}).to_string())
        .await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let said = serving.err();
    for planted in PLANTED {
        assert!(!said.contains(planted), "{planted}: {said}");
    }
    let lines: Vec<Vec<&str>> = said.lines().map(|line| line.split(' ').collect()).collect();
    for line in &lines {
        let [time, _, _, _, _, took, "ms"] = line[..] else { panic!("{line:?}") };
        assert!(time.ends_with('Z') && time.contains('T'), "{time}");
        took.parse::<u64>().unwrap();
    }
    let told: Vec<_> = lines.iter().map(|line| line[1..5].join(" ")).collect();
    assert_eq!(
        told,
        [
            "CreateSecret app/db 200 -",
            "GetSecretValue app/db 200 -",
            "GetSecretValue app/none 400 ResourceNotFoundException",
            "PutSecretValue app/db 200 -",
            "DescribeSecret - 400 ResourceNotFoundException",
            "CreateSecret - 400 SerializationException",
            "NoSuchThing - 400 UnknownOperationException",
            "UnknownOperation - 400 UnknownOperationException",
            "BatchGetSecretValue app/db,app/none 200 -",
            "GetSecretValue - 403 AccessDeniedException",
            "Invoke app/db 404 ResourceNotFoundException",
        ]
    );
}
