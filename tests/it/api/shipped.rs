//! What goes wrong at every shipped specification's vendor: an id that a person mistyped, a key that
//! was revoked by hand, and an answer that says that something was done which was not.

use std::time::Duration;

use fourstep::store::{AWSCURRENT, AWSPREVIOUS, Select};
use fourstep::{Deadline, ExposeSecret, Invocation, SecretValue, Step, VersionId};
use fourstep_local::NewValue;
use fourstep_testing::{Fault, Told};
use serde_json::{Value, json};

use super::rows::VENDORS;
use super::support::{ADMIN, Place, specification};
use super::vendors::{Account, Shape, Vendor, bare};

struct Rotated {
    vendor: &'static Vendor,
    account: Account,
    place: Place,
}

impl Rotated {
    /// A secret that was rotated twice, so that AWSCURRENT and AWSPREVIOUS are keys of ours.
    async fn new(vendor: &'static Vendor) -> Self {
        let account = vendor.quick_account().await;
        // Ids and keys are what is looked at, and no vendor's time.
        let text = account.text.lines().filter(|line| !line.starts_with("propagation_seconds"));
        let text = text.collect::<Vec<_>>().join("\n");
        let place = Place::new(&text, &account.secret.to_string());
        let admin = json!({"token": ADMIN, "api_token": ADMIN, "api_key": ADMIN, "sid": "SKmain",
            "secret": ADMIN, "masterarn": "admin"});
        let mut admin = admin;
        for (name, value) in (vendor.admin)().as_object().into_iter().flatten() {
            admin[name] = value.clone();
        }
        let token = VersionId::from_store(format!("{:032}", 99));
        let admins = fourstep::SecretId::parse("admin").unwrap();
        place.store.put(&admins, NewValue::current(&token, admin.to_string().as_str())).unwrap();
        let rotated = Self { vendor, account, place };
        for number in [1, 2] {
            rotated.place.rotate(number).await.unwrap();
            tokio::time::sleep(Duration::from_millis(1100)).await;
        }
        rotated
    }

    fn labelled(&self, label: &'static str) -> (VersionId, Value) {
        let read = self.place.store.get(&self.place.secret, Select::Label(label)).unwrap();
        let SecretValue::Text(text) = read.value else { panic!("a text was stored") };
        (read.version, serde_json::from_str(text.expose_secret()).unwrap())
    }

    fn key(&self, label: &'static str) -> String {
        let (_, secret) = self.labelled(label);
        secret[self.vendor.key].as_str().unwrap().to_owned()
    }

    fn works(&self, value: &str) -> bool {
        self.account.double.works(bare(value))
    }

    /// Every step that can be done; what was said: warnings, and the error that ended it.
    async fn go(&self, steps: &[Step], token: &VersionId) -> String {
        let mut said = String::new();
        for step in steps {
            let cx = Invocation::new(Deadline::after(Duration::from_secs(30)));
            let ended = self.place.step_in(*step, token, &cx).await;
            said += &cx.stats().warnings.join("; ");
            if let Err(error) = ended {
                return format!("{said}; {error}");
            }
        }
        said
    }

    /// What is answered from now on, by the method and path of a table of the specification.
    fn answers(&self, table: &str, told: Told) {
        let text = specification(self.vendor.file);
        let base = text.split_once("base_url = \"https://").unwrap().1.split('"').next().unwrap();
        let base = base.split_once('/').map_or(String::new(), |(_, path)| format!("/{path}"));
        let of = |name: &str| {
            let table = text.rsplit_once(&format!("[{table}]")).unwrap().1;
            let rest = table.split_once(&format!("\n{name} = \"")).unwrap().1;
            rest.split('"').next().unwrap().to_owned()
        };
        let mut path = format!("{base}{}", of("path"));
        for (name, value) in self.account.secret.as_object().unwrap() {
            let value = value.as_str().unwrap_or_default();
            path = path.replace(&format!("{{secret.{name}}}"), value);
        }
        let path = path.split('{').next().unwrap();
        self.account.double.plan(&of("method"), path, Fault::Answer(told), u32::MAX);
    }

    /// What the vendor answers to a request of a table that went well.
    fn fine(&self, table: &str) -> u16 {
        let text = specification(self.vendor.file);
        let table = text.rsplit_once(&format!("[{table}]")).unwrap().1;
        let ok = table.split_once("\nok = [").map_or("200", |(_, rest)| rest);
        ok.split([']', ',']).next().unwrap().parse().unwrap()
    }
}

const TYPOS: [fn(&str) -> String; 3] =
    [|id| format!("{id}.0"), |id| id.to_uppercase(), |id| format!("x{id}")];

#[tokio::test]
async fn rule_25_a_mistyped_id_costs_no_key_and_the_message_names_the_field() {
    let named = VENDORS.iter().filter(|vendor| vendor.fields.len() > 1);
    let all = named.flat_map(|vendor| TYPOS.map(|typo| (vendor, typo)));
    let ended = futures_util::future::join_all(all.map(async |(vendor, typo)| {
        let rotated = Rotated::new(vendor).await;
        let (current, previous) = (rotated.key(AWSCURRENT), rotated.key(AWSPREVIOUS));
        let (_, mut secret) = rotated.labelled(AWSCURRENT);
        let id = vendor.fields[0];
        secret[id] = json!(typo(secret[id].as_str().unwrap()));
        let edited = VersionId::from_store(format!("{:032}", 88));
        let text = secret.to_string();
        let put = NewValue::current(&edited, text.as_str());
        rotated.place.store.put(&rotated.place.secret, put).unwrap();
        let said = rotated.go(&Step::ALL, &rotated.place.begin(3)).await;
        let live = rotated.works(&current) && rotated.works(&previous);
        assert!(live, "{}: {said}", vendor.file);
        assert!(said.contains(&format!("{id:?}")), "{}: {said}", vendor.file);
        assert!(!said.contains(bare(&current)), "{}", vendor.file);
    }));
    ended.await;
}

#[tokio::test]
async fn a_key_that_is_revoked_by_hand_after_testsecret_is_not_promoted() {
    futures_util::future::join_all(VENDORS.iter().map(async |vendor| {
        let rotated = Rotated::new(vendor).await;
        let (current, previous) = (rotated.key(AWSCURRENT), rotated.key(AWSPREVIOUS));
        let (before, token) = (rotated.labelled(AWSCURRENT), rotated.place.begin(3));
        let said = rotated.go(&[Step::Create, Step::Set, Step::Test], &token).await;
        assert_eq!(said, "", "{}", vendor.file);
        rotated.account.double.revoke(rotated.account.double.live().last().unwrap());
        let said = rotated.go(&[Step::Finish], &token).await;
        assert!(said.contains("AWSPENDING"), "{}: {said}", vendor.file);
        assert_eq!(rotated.labelled(AWSCURRENT), before, "{}", vendor.file);
        let live = rotated.works(&current) && (rotated.works(&previous) || vendor.is_narrow());
        assert!(live || vendor.shape() == Shape::Set, "{}: {said}", vendor.file);
    }))
    .await;
}

#[tokio::test]
async fn an_answer_that_says_what_was_not_done_costs_no_key() {
    futures_util::future::join_all(VENDORS.iter().map(async |vendor| {
        let rotated = Rotated::new(vendor).await;
        let (current, previous) = (rotated.key(AWSCURRENT), rotated.key(AWSPREVIOUS));
        let before = rotated.labelled(AWSCURRENT);
        let (table, named) = match vendor.shape() {
            Shape::Issued => ("issue", "the answer has no \"/"),
            Shape::Set | Shape::Turns => ("update", "does not log in"),
            Shape::Slots | Shape::Lasting => ("roll", "the vendor shows the old value"),
        };
        rotated.answers(table, Told::json(rotated.fine(table), r#"{"success":true}"#));
        let said = rotated.go(&Step::ALL, &rotated.place.begin(3)).await;
        assert!(said.contains(named) || vendor.is_narrow(), "{}: {said}", vendor.file);
        assert_eq!(rotated.labelled(AWSCURRENT), before, "{}", vendor.file);
        assert!(rotated.works(&current), "{}: {said}", vendor.file);
        // What is set in place is one value, and where two keys are all the older one makes room.
        let gone = vendor.shape() == Shape::Set || vendor.is_narrow();
        assert!(rotated.works(&previous) || gone, "{}: {said}", vendor.file);
    }))
    .await;
}

#[tokio::test]
async fn a_revocation_that_was_not_made_is_told() {
    let issuing = VENDORS.iter().filter(|vendor| vendor.issues());
    let all = issuing.map(async |vendor| {
        let rotated = Rotated::new(vendor).await;
        let (current, previous) = (rotated.labelled(AWSCURRENT).1, rotated.labelled(AWSPREVIOUS).1);
        rotated.answers("[revoke]", Told::json(rotated.fine("[revoke]"), r#"{"success":true}"#));
        let said = rotated.go(&Step::ALL, &rotated.place.begin(3)).await;
        let id = previous[vendor.fields[0]].as_str().unwrap();
        let told = match vendor.is_narrow() {
            // There is no room for another key then.
            true => "createSecret: issue".to_owned(),
            false => format!("the vendor lists key {id:?}, which it says is revoked"),
        };
        assert!(said.contains(&told), "{}: {said}", vendor.file);
        assert!(rotated.works(current[vendor.key].as_str().unwrap()), "{}", vendor.file);
        assert!(rotated.works(&rotated.key(AWSCURRENT)), "{}", vendor.file);
    });
    futures_util::future::join_all(all).await;
}

#[tokio::test]
async fn a_new_key_has_the_rights_of_the_old_one_and_no_more() {
    let issuing = VENDORS.iter().filter(|vendor| vendor.issues());
    let all = issuing.map(async |vendor| {
        let rotated = Rotated::new(vendor).await;
        let rights = rotated.account.double.rights();
        let same = |one: &String| {
            let read = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
            read(one) == read(vendor.rights)
        };
        assert!(rights.len() >= 2 && rights.iter().all(same), "{}: {rights:?}", vendor.file);
    });
    futures_util::future::join_all(all).await;
}
