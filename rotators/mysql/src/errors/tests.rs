use super::*;
use proptest::prelude::*;

fn error(number: u16, state: &str) -> ServerError {
    ServerError { number, state: state.into(), message: ServerMessage::new("mot de passe") }
}

#[test]
fn an_error_is_read_with_and_without_a_state() {
    let refusal = ServerError::parse(b"\xff\x15\x04#28000Access denied");
    assert_eq!(refusal.quote(), "the server said \"Access denied\" (error 1045, SQLSTATE 28000)");
    let early = ServerError::parse(b"\xff\x10\x04Too many connections");
    assert_eq!(early.quote(), "the server said \"Too many connections\" (error 1040)");
    assert_eq!(ServerError::parse(b"\xff"), ServerError::default());
}

#[test]
fn only_1045_is_a_refused_password() {
    assert!(of_login(&error(1045, "28000")).unwrap().contains("1045"));
    for (number, state, kind) in [
        (1040, "08004", ErrorKind::Throttled),
        (1226, "42000", ErrorKind::Throttled),
        (1129, "HY000", ErrorKind::Forbidden),
        (1130, "HY000", ErrorKind::Forbidden),
        (1044, "42000", ErrorKind::Forbidden),
        (1049, "42000", ErrorKind::NotFound),
        (1698, "28000", ErrorKind::Forbidden),
        (1862, "HY000", ErrorKind::Forbidden),
        (3118, "HY000", ErrorKind::Forbidden),
        (4151, "HY000", ErrorKind::Forbidden),
        (3159, "HY000", ErrorKind::Forbidden),
        (3955, "HY000", ErrorKind::Rejected),
        (4150, "HY000", ErrorKind::Rejected),
        (1053, "08S01", ErrorKind::Unreachable),
        (3032, "HY000", ErrorKind::Unreachable),
        (9999, "28000", ErrorKind::Forbidden),
        (9999, "08S01", ErrorKind::Unreachable),
        (9999, "", ErrorKind::Unsupported),
    ] {
        let sorted = of_login(&error(number, state)).unwrap_err();
        assert_eq!(sorted.kind(), kind, "{number}: {sorted}");
        assert!(sorted.to_string().contains("mot de passe"), "{sorted}");
    }
}

#[test]
fn an_error_of_the_change_keeps_its_number_only() {
    for (number, value, kind) in [
        (1819, true, ErrorKind::Unsupported),
        (3638, true, ErrorKind::Unsupported),
        (1227, false, ErrorKind::Forbidden),
        (1290, false, ErrorKind::Unsupported),
        (1836, false, ErrorKind::Unsupported),
        (1205, false, ErrorKind::Conflict),
        (1213, false, ErrorKind::Conflict),
        (1317, false, ErrorKind::OutOfTime),
        (1969, false, ErrorKind::OutOfTime),
        (1053, false, ErrorKind::Unreachable),
        (9999, false, ErrorKind::Unsupported),
    ] {
        let (refused, sorted) = match of_password_change(&error(number, "HY000")) {
            Ok(Swap::Refused(error)) => (true, error),
            Err(error) => (false, error),
            other => panic!("{other:?}"),
        };
        assert_eq!((refused, sorted.kind()), (value, kind), "{number}: {sorted}");
        let text = sorted.to_string();
        assert!(text.ends_with(&format!("error {number}, SQLSTATE HY000")), "{text}");
        assert!(!text.contains("mot de passe"), "{text}");
    }
    assert_eq!(of_password_change(&error(3891, "HY000")), Ok(Swap::NotPrimary));
    assert_eq!(of_password_change(&error(3892, "HY000")), Ok(Swap::CurrentRequired));
    // The statement itself is not quoted: a syntax error would show it.
    let syntax = error(1064, "42000").of_statement("the account's lock");
    assert_eq!(syntax.to_string(), "the account's lock failed: error 1064, SQLSTATE 42000");
}

proptest! {
    #[test]
    fn any_payload_is_read_and_quoted_safely(payload in prop::collection::vec(any::<u8>(), 0..400)) {
        let quote = ServerError::parse(&payload).quote();
        prop_assert!(!quote.chars().any(char::is_control));
    }

    #[test]
    fn a_message_that_repeats_the_password_is_forgotten(around in ".{0,9}") {
        let payload = [b"\xff\x15\x04#28000", format!("{around}canary{around}").as_bytes()].concat();
        let mut error = ServerError::parse(&payload);
        error.message.redact(&"canary".into(), false);
        let quote = error.quote();
        prop_assert!(!quote.contains("canary"));
    }
}
