//! What a policy draws and what it refuses, for chosen settings and for any.

use super::*;
use proptest::prelude::*;
use secrecy::ExposeSecret;

const POSTGRES: &str = ":/@\"'\\";

fn read<const N: usize>(pairs: [(&str, &str); N]) -> Result<PasswordPolicy, String> {
    PasswordPolicy::read(&Environment::from(pairs), POSTGRES).map_err(|e| e.to_string())
}

fn make(policy: &PasswordPolicy) -> String {
    policy.generate().unwrap().expose_secret().to_owned()
}

#[test]
fn parity_15_defaults_are_those_of_aws() {
    let policy = read([]).unwrap();
    assert_eq!((policy.length, policy.exclude_characters.as_str()), (32, POSTGRES));
    for _ in 0..200 {
        let password = make(&policy);
        assert_eq!(password.len(), 32);
        assert!(!password.contains(|c| POSTGRES.contains(c)), "an excluded character");
        for characters in policy.types() {
            assert!(password.contains(|c| characters.contains(c)), "a type is missing");
        }
    }
}

#[test]
fn parity_15_each_variable_has_its_effect() {
    let without = |name: &str, characters: &str| {
        let password = make(&read([(name, "TRUE"), ("PASSWORD_LENGTH", "400")]).unwrap());
        assert!(!password.contains(|c| characters.contains(c)), "{name}");
    };
    without("EXCLUDE_NUMBERS", NUMBERS);
    without("EXCLUDE_PUNCTUATION", PUNCTUATION);
    without("EXCLUDE_UPPERCASE", UPPERCASE);
    without("EXCLUDE_LOWERCASE", LOWERCASE);
    let digits = [
        ("EXCLUDE_CHARACTERS", "0123456"),
        ("EXCLUDE_PUNCTUATION", "1"),
        ("EXCLUDE_UPPERCASE", "y"),
        ("EXCLUDE_LOWERCASE", "yes"),
        ("PASSWORD_LENGTH", "3"),
    ];
    assert!(make(&read(digits).unwrap()).chars().all(|c| "789".contains(c)));
    let lax = read([("REQUIRE_EACH_INCLUDED_TYPE", "false"), ("PASSWORD_LENGTH", "1")]);
    assert_eq!(make(&lax.unwrap()).len(), 1);
    let lax = read([("REQUIRE_EACH_INCLUDED_TYPE", "no"), ("PASSWORD_LENGTH", "4")]).unwrap();
    let digit = |password: &String| password.contains(|c: char| c.is_ascii_digit());
    assert!((0..200).map(|_| make(&lax)).any(|password| !digit(&password)));
}

#[test]
fn impossible_settings_are_refused_by_name() {
    for (pairs, message) in [
        ([("PASSWORD_LENGTH", "3"), ("", "")], "PASSWORD_LENGTH is too short for one"),
        ([("PASSWORD_LENGTH", "0"), ("", "")], "PASSWORD_LENGTH must be 1 to 4096"),
        ([("PASSWORD_LENGTH", "4097"), ("", "")], "PASSWORD_LENGTH must be 1 to 4096"),
        ([("PASSWORD_LENGTH", "-1"), ("", "")], "PASSWORD_LENGTH is not a whole number"),
        ([("EXCLUDE_NUMBERS", "perhaps"), ("", "")], "EXCLUDE_NUMBERS is neither true nor"),
    ] {
        let error = read(pairs).unwrap_err();
        assert!(error.contains(message), "{error}");
    }
    let all = read([
        ("EXCLUDE_CHARACTERS", NUMBERS),
        ("EXCLUDE_PUNCTUATION", "1"),
        ("EXCLUDE_UPPERCASE", "1"),
        ("EXCLUDE_LOWERCASE", "1"),
    ]);
    assert!(all.unwrap_err().contains("EXCLUDE_CHARACTERS"));
}

#[test]
fn tags_shape_passwords_and_bad_ones_are_named() {
    let policy = read([]).unwrap();
    let tags = |name: &str, value: &str| {
        policy.with_tags(&BTreeMap::from([(name.to_owned(), value.to_owned())]))
    };
    assert_eq!(make(&tags("fourstep:password-length", "64").unwrap()).len(), 64);
    let plain = make(&tags("fourstep:exclude-punctuation", "true").unwrap());
    assert!(!plain.contains(|c| PUNCTUATION.contains(c)));
    assert_eq!(tags("team", "x").unwrap(), policy);
    assert_eq!(tags("fourstep:exclude-characters", "abc").unwrap(), policy, "no such tag");
    for (name, value) in
        [("fourstep:password-length", "x"), ("fourstep:exclude-numbers", "perhaps")]
    {
        let error = tags(name, value).unwrap_err().to_string();
        assert!(error.contains(name), "{error}");
    }
    for length in ["0", "3", "8", "14", "5000"] {
        tags("fourstep:password-length", length).unwrap_err();
    }
    tags("fourstep:password-length", "15").unwrap();
    // A function that is set to less may go on with less, and with no less than that.
    let weak = read([("PASSWORD_LENGTH", "8")]).unwrap();
    weak.with_tags(&BTreeMap::new()).unwrap();
    let tag = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
    weak.with_tags(&tag("fourstep:exclude-punctuation", "yes")).unwrap_err();
}

#[test]
fn a_server_s_own_demands_are_met_whatever_is_set() {
    let mixed = |settings: &[(&str, &str)]| {
        let environment: Environment = settings.iter().copied().collect();
        PasswordPolicy::read(&environment, ":").unwrap().mixed(8..=64, "'\"\\/@")
    };
    for settings in [
        &[][..],
        &[("PASSWORD_LENGTH", "8"), ("REQUIRE_EACH_INCLUDED_TYPE", "false")],
        &[
            ("PASSWORD_LENGTH", "64"),
            ("EXCLUDE_CHARACTERS", "abc"),
            ("EXCLUDE_PUNCTUATION", "true"),
        ],
    ] {
        let policy = mixed(settings).unwrap();
        for _ in 0..50 {
            let password = make(&policy);
            for characters in [LOWERCASE, UPPERCASE, NUMBERS] {
                assert!(password.contains(|c| characters.contains(c)), "{settings:?}");
            }
            assert!(!password.contains(['\'', '"', '\\', '/', '@']), "{settings:?}");
        }
    }
    for (setting, value, why) in [
        ("PASSWORD_LENGTH", "7", "PASSWORD_LENGTH (or the secret's tag) must be 8 to 64"),
        ("PASSWORD_LENGTH", "65", "must be 8 to 64"),
        ("EXCLUDE_NUMBERS", "true", "EXCLUDE_NUMBERS (or the secret's tag) must leave lower-case"),
        ("EXCLUDE_CHARACTERS", NUMBERS, "EXCLUDE_CHARACTERS (or the secret's tag) must leave"),
    ] {
        let error = mixed(&[(setting, value)]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed);
        assert!(error.to_string().contains(why), "{error}");
    }
}

proptest! {
    #[test]
    fn every_password_meets_its_policy(
        length in 1_usize..80,
        exclude in "[ -~]{0,40}",
        flags in prop::array::uniform5(any::<bool>()),
    ) {
        let [numbers, punctuation, uppercase, lowercase, required] = flags;
        let policy = PasswordPolicy {
            length,
            exclude_characters: exclude.clone(),
            exclude_numbers: numbers,
            exclude_punctuation: punctuation,
            exclude_uppercase: uppercase,
            exclude_lowercase: lowercase,
            require_each_included_type: required,
            ..PasswordPolicy::default()
        };
        prop_assume!(policy.check().is_ok());
        let password = make(&policy);
        prop_assert_eq!(password.chars().count(), length);
        for (excluded, characters) in [
            (true, exclude.as_str()), (numbers, NUMBERS), (punctuation, PUNCTUATION),
            (uppercase, UPPERCASE), (lowercase, LOWERCASE),
        ] {
            prop_assert!(!excluded || !password.contains(|c| characters.contains(c)));
        }
        for characters in policy.types() {
            prop_assert!(!required || password.contains(|c| characters.contains(c)));
        }
    }
}
