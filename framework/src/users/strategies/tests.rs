//! How the list of strategies is read, and which of them a tag picks.

use super::*;

fn read(listed: &str) -> Result<Strategies, Error> {
    let environment = Environment::from([("ROTATION_STRATEGY", listed)]);
    Strategies::read(&environment, |strategy| match strategy {
        Strategy::DualPassword => Ok(None),
        _ => Ok(Some(Box::new(Nothing(strategy)) as Box<dyn Rotator>)),
    })
}

/// Not empty, or all of them would have one address.
struct Nothing(#[expect(dead_code)] Strategy);

#[async_trait]
impl Rotator for Nothing {
    fn check(&self, _: &SetContext<'_>) -> Result<(), Error> {
        unreachable!()
    }

    async fn propose(&self, _: &CreateContext<'_>, _: &Invocation) -> Result<Secret, Error> {
        unreachable!()
    }

    async fn apply(
        &self,
        _: &SetContext<'_>,
        _: &dyn Fence,
        _: &Invocation,
    ) -> Result<Applied, Error> {
        unreachable!()
    }

    async fn verify(&self, _: &Secret, _: &Invocation) -> Result<Verdict, Error> {
        unreachable!()
    }

    async fn preflight(
        &self,
        _: &InspectContext<'_>,
        _: &Invocation,
    ) -> Result<Vec<Finding>, Error> {
        unreachable!()
    }
}

#[test]
fn a_list_that_cannot_be_followed_is_refused_by_name() {
    for (listed, what) in [
        ("double-user", "must list strategies"),
        ("single-user,", "must list strategies"),
        ("single-user, single-user", "lists single-user twice"),
        ("dual-password", "lists dual-password, which this database lacks"),
    ] {
        let error = read(listed).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed);
        let text = error.to_string();
        assert!(text.contains("ROTATION_STRATEGY") && text.contains(what), "{text}");
    }
    assert_eq!(format!("{:?}", read("").unwrap()), "[SingleUser]");
}

#[test]
fn a_tag_picks_one_of_the_list_and_nothing_else() {
    let strategies = read("alternating-users, single-user").unwrap();
    let with_tag = |name: Option<&str>| {
        let mut description = SecretDescription::default();
        description.tags.extend(name.map(|name| (TAG.to_owned(), name.to_owned())));
        let picked = strategies.picked(&description)?.1;
        let place = strategies.list.iter().position(|(_, one)| std::ptr::eq(&**one, picked));
        Ok::<_, Error>(place)
    };
    assert_eq!(with_tag(None).unwrap(), Some(0));
    assert_eq!(with_tag(Some("")).unwrap(), Some(0));
    assert_eq!(with_tag(Some("single-user")).unwrap(), Some(1));
    for refused in ["single-user-by-admin", "none"] {
        let error = with_tag(Some(refused)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed);
        assert!(error.to_string().contains("fourstep:strategy"), "{error}");
    }
}

#[test]
fn a_secret_of_another_form_is_its_own_rotator_s_and_follows_one_strategy_only() {
    let is_theirs = |secret: &Secret| secret.document().is_ok_and(|one| one.field("arn").is_some());
    let (strategy, rotator) = (Strategy::SingleUserByAdmin, Nothing(Strategy::DualPassword));
    let strategies = read("single-user, single-user-by-admin").unwrap();
    let strategies = strategies.with_form(is_theirs, strategy, Box::new(rotator));
    let [ours, theirs] = ["{}", r#"{"arn": 1}"#].map(|text| Secret::decode(&text.into()));
    let mut description = SecretDescription::default();
    assert!(strategies.of(&ours, &description).is_ok());
    let error = strategies.of(&theirs, &description).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("single-user is none"), "{error}");
    description.tags.insert(TAG.to_owned(), strategy.name().to_owned());
    let picked = strategies.of(&theirs, &description).unwrap();
    assert!(std::ptr::addr_eq(picked, &*strategies.other.as_ref().unwrap().rotator));
}

/// Whoever may tag a secret picks the strategy, and with any other the proxy would keep the old password.
#[test]
fn a_user_behind_a_proxy_is_rotated_by_no_other_strategy() {
    let environment = Environment::from([
        ("ROTATION_STRATEGY", "alternating-users,single-user"),
        ("PROXY_SECRETS", "app=arn-one,app_clone=arn-two"),
    ]);
    let build = |strategy| Ok(Some(Box::new(Nothing(strategy)) as Box<dyn Rotator>));
    let strategies = Strategies::read(&environment, build).unwrap();
    for (user, tag, may) in [
        ("app", "alternating-users", true),
        ("app", "single-user", false),
        ("app_clone", "single-user", false),
        ("other", "single-user", true),
    ] {
        let text = format!(r#"{{"username": "{user}"}}"#);
        let tags = [(TAG.to_owned(), tag.to_owned())].into();
        let description = SecretDescription { tags, ..SecretDescription::default() };
        let picked = strategies.of(&Secret::decode(&text.into()), &description);
        assert_eq!(picked.is_ok(), may, "{user} {tag}");
        if let Err(error) = picked {
            assert_eq!(error.kind(), ErrorKind::Unsupported);
            assert!(error.to_string().contains("PROXY_SECRETS"), "{error}");
        }
    }
}
