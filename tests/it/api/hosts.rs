//! A host that the secret names: of the specification's list and no other, the same in AWSPENDING, and
//! the one of the admin whose credential goes there.

use fourstep::store::{AWSCURRENT, AWSPENDING, Select};
use fourstep::{ErrorKind, SecretId, Step, VersionId};
use fourstep_local::NewValue;
use fourstep_testing::{Asked, Double, DoubleKeys, Told};
use serde_json::{Value, json};

use super::doubles;
use super::hostile::{SPEC, plain};
use super::support::{ADMIN, Place, specification};

/// Keys that an admin makes, at two hosts.
fn spec(hosts: [&Double; 2]) -> String {
    let hosts = hosts.map(host);
    let admin = "[admin]\nbearer = \"{admin.token}\"\n\n[verify]";
    let base = format!("base_url = \"http://{{secret.host}}\"\nhosts = {hosts:?}");
    let by = ["POST", "DELETE"].map(|method| format!("method = \"{method}\"\n"));
    let text = SPEC
        .replace("base_url = \"https://plain.example\"", &base)
        .replace("[verify]", admin)
        .replace("path = \"/me\"", "path = \"/me\"\nid = \"/id\"")
        .replace("[list]\n", "[list]\nby = \"admin\"\n");
    by.iter().fold(text, |text, one| text.replace(one, &format!("{one}by = \"admin\"\n")))
}

fn host(double: &Double) -> String {
    double.url().trim_start_matches("http://").to_owned()
}

/// The plain vendor, where an admin does what is done to keys.
fn admins(keys: &mut DoubleKeys, asked: &Asked) -> Told {
    let Some("keys") = asked.segments().first().copied() else { return plain(keys, asked) };
    if asked.bearer() != ADMIN {
        return Told::json(401, "{}");
    }
    let first = keys.all().next().unwrap().value.clone();
    let mut headers = asked.headers.clone();
    headers.insert("authorization".to_owned(), format!("Bearer {first}"));
    let (method, path) = (asked.method.clone(), asked.path.clone());
    let (query, body) = (asked.query.clone(), asked.body.clone());
    plain(keys, &Asked { method, path, query, headers, body })
}

/// Two hosts; at the second there are keys of others with the ids that ours have at the first.
struct Hosts {
    doubles: [Double; 2],
    place: Place,
    secrets: [Value; 2],
}

impl Hosts {
    async fn new() -> Self {
        let doubles = [Double::start(admins).await.unwrap(), Double::start(admins).await.unwrap()];
        for _ in 0..4 {
            doubles[1].arrange(Some("another's"));
        }
        let secrets = [&doubles[0], &doubles[1]].map(|double| {
            let key = double.arrange(None);
            json!({"host": host(double), "key": key.value, "key_id": key.id})
        });
        let place = Place::new(&spec([&doubles[0], &doubles[1]]), &secrets[0].to_string());
        let hosts = Self { doubles, place, secrets };
        hosts.admin(&host(&hosts.doubles[0]), 90);
        hosts
    }

    /// Stores AWSCURRENT; where a rotation is under way it goes on only if that is said by the label.
    fn put(&self, secret: &str, number: u32, value: &Value, labels: &[&str]) {
        let token = VersionId::from_store(format!("{number:032}"));
        let secret = SecretId::parse(secret).unwrap();
        let value = value.to_string();
        let new = NewValue::labelled(&token, value.as_str(), labels);
        self.place.store.put(&secret, new).unwrap();
    }

    fn admin(&self, host: &str, number: u32) {
        self.put("admin", number, &json!({"token": ADMIN, "host": host}), &[]);
    }
}

#[tokio::test]
async fn rule_08_a_host_that_is_not_listed_is_sent_nothing() {
    let hosts = Hosts::new().await;
    let own = host(&hosts.doubles[0]);
    let port = own.rsplit(':').next().unwrap().to_owned();
    let strange = [
        String::new(),
        "evil.example".to_owned(),
        format!("{own}@evil.example"),
        format!("user@{own}"),
        format!("{own}/"),
        format!("{own}/../x"),
        format!("{own}#"),
        format!("{own}?"),
        format!(" {own}"),
        format!("{own}\n"),
        format!("{own}\u{0}"),
        format!("127.0.0.1:0{port}"),
        "127.0.0.1".to_owned(),
        format!("127.0.0.1.:{port}"),
        format!("127.1:{port}"),
        format!("2130706433:{port}"),
        format!("0x7f000001:{port}"),
        format!("[::ffff:127.0.0.1]:{port}"),
        format!("localhost:{port}"),
        format!("\u{ff11}27.0.0.1:{port}"),
        format!("{own}, {own}"),
        "{secret.key}".to_owned(),
        "*".to_owned(),
    ];
    let token = hosts.place.begin(1);
    for (number, host) in (100..).zip(strange) {
        let secret = json!({"host": host, "key": "a-key", "key_id": "id000001"});
        hosts.put("rotated", number, &secret, &[AWSCURRENT]);
        let error = hosts.place.step(Step::Create, &token).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed, "{host:?}: {error}");
        let error = error.to_string();
        assert!(error.contains("\"host\"") && !error.contains("a-key"), "{host:?}: {error}");
        assert!(host.is_empty() || !error.contains("evil"), "{error}");
    }
    assert!(hosts.doubles.iter().all(|double| double.asked().is_empty()));
}

#[tokio::test]
async fn rule_08_an_admins_credential_goes_to_its_own_host_whatever_the_secret_names() {
    let hosts = Hosts::new().await;
    hosts.put("rotated", 80, &hosts.secrets[1], &[AWSCURRENT]);
    let token = hosts.place.begin(1);
    let error = hosts.place.step(Step::Create, &token).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Mismatch, "{error}");
    assert!(error.to_string().contains("the admin's secret has another \"host\""), "{error}");
    assert!(hosts.doubles[1].asked().iter().all(|asked| asked == "GET /me"));
    hosts.put("admin", 91, &json!({"token": ADMIN}), &[]);
    let error = hosts.place.step(Step::Create, &token).await.unwrap_err();
    assert!(error.to_string().contains("the admin's secret: "), "{error}");
    assert!(hosts.doubles[1].asked().iter().all(|asked| asked == "GET /me"));
    hosts.admin(&host(&hosts.doubles[1]), 92);
    for step in Step::ALL {
        hosts.place.step(step, &token).await.unwrap();
    }
    assert!(hosts.doubles[0].asked().is_empty());
}

#[tokio::test]
async fn rule_08_a_host_that_is_edited_between_steps_moves_no_label_and_costs_no_key() {
    for before in [Step::Set, Step::Test, Step::Finish] {
        let hosts = Hosts::new().await;
        let token = hosts.place.begin(1);
        for step in Step::ALL.into_iter().take_while(|step| *step != before) {
            hosts.place.step(step, &token).await.unwrap();
        }
        hosts.put("rotated", 80, &hosts.secrets[1], &[AWSCURRENT]);
        hosts.admin(&host(&hosts.doubles[1]), 91);
        let mut ended = Ok(());
        for step in Step::ALL.into_iter().skip_while(|step| *step != before) {
            ended = match ended {
                Ok(()) => hosts.place.step(step, &token).await.map(drop),
                failed => failed,
            };
        }
        let error = ended.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Mismatch, "{before:?}: {error}");
        assert!(error.to_string().contains("\"host\""), "{before:?}: {error}");
        let current = hosts.place.store.get(&hosts.place.secret, Select::Label(AWSCURRENT));
        assert_eq!(current.unwrap().version, VersionId::from_store(format!("{:032}", 80)));
        assert!(hosts.doubles[1].asked().is_empty(), "{before:?}");
        assert!(hosts.place.store.get(&hosts.place.secret, Select::Label(AWSPENDING)).is_ok());
    }
}

#[tokio::test]
async fn rule_25_ids_of_keys_at_another_host_revoke_none_of_this_one() {
    let hosts = Hosts::new().await;
    for number in 1..3 {
        hosts.place.rotate(number).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    }
    hosts.put("rotated", 80, &hosts.secrets[1], &[]);
    hosts.admin(&host(&hosts.doubles[1]), 91);
    let before = hosts.doubles[0].live();
    for number in 3..6 {
        hosts.place.rotate(number).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    }
    let live = hosts.doubles[1].live();
    let others = ["id000001", "id000002", "id000003", "id000004"];
    assert!(others.iter().all(|id| live.iter().any(|one| one == id)), "{live:?}");
    assert_eq!(live.len(), 6, "{live:?}");
    // What lives at the first host is nobody's to revoke from here.
    assert_eq!(hosts.doubles[0].live(), before);
}

/// An older version's value works here by chance; what is stored of the other host is not shown here.
#[tokio::test]
async fn rule_08_a_value_that_was_set_at_one_host_is_never_tried_at_another() {
    let mut doubles = Vec::new();
    for _ in 0..2 {
        doubles.push(Double::start(doubles::grafana).await.unwrap());
    }
    let hosts = [host(&doubles[0]), host(&doubles[1])];
    let base = |line: &str| match line.strip_prefix("base_url = ") {
        Some(_) => format!("base_url = \"http://{{secret.host}}\"\nhosts = {hosts:?}"),
        None => line.to_owned(),
    };
    let text = specification("grafana-password.toml");
    let text = text.lines().map(base).collect::<Vec<_>>().join("\n");
    let value = doubles[1].arrange(None).value;
    let secret =
        |host: &str, value: &str| json!({"host": host, "username": "rotated", "password": value});
    let place = Place::new(&text, &secret(&hosts[0], &value).to_string());
    let edited = VersionId::from_store(format!("{:032}", 80));
    let typo = secret(&hosts[1], "mistyped").to_string();
    place.store.put(&place.secret, NewValue::labelled(&edited, typo.as_str(), &[])).unwrap();
    let token = place.begin(1);
    place.step(Step::Create, &token).await.unwrap();
    let error = place.step(Step::Set, &token).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected, "{error}");
    assert!(doubles[0].asked().is_empty());
}
