//! Codes and what they mean.

use super::*;
use proptest::prelude::*;

fn error(code: &str, routine: &str) -> ServerError {
    ServerError {
        code: code.into(),
        routine: routine.into(),
        message: ServerMessage::new("mot de passe"),
    }
}

#[test]
fn an_error_response_is_read_by_its_fields() {
    let body = b"SFATAL\0VFATAL\0C28P01\0Mpassword authentication failed\0Rauth_failed\0\0";
    let refusal = ServerError::parse(body);
    assert_eq!(
        refusal.quote(),
        "the server said \"password authentication failed\" (SQLSTATE 28P01)"
    );
    assert_eq!(refusal.routine, "auth_failed");
    assert_eq!(ServerError::parse(b""), ServerError::default());
}

#[test]
fn only_a_password_that_was_asked_for_is_refused() {
    assert!(
        of_login(&error("28P01", "auth_failed"), Moment::Answered).unwrap().contains("VALID UNTIL")
    );
    let (before, answered, let_in) = (Moment::Before, Moment::Answered, Moment::LetIn);
    for (code, routine, moment, kind) in [
        ("28P01", "auth_failed", before, ErrorKind::Forbidden),
        ("28000", "ClientAuthentication", before, ErrorKind::Forbidden),
        ("28000", "InitializeSessionUserId", answered, ErrorKind::Forbidden),
        ("28000", "auth_failed", answered, ErrorKind::Forbidden),
        ("28000", "", answered, ErrorKind::Forbidden),
        ("3D000", "", answered, ErrorKind::NotFound),
        ("42501", "", answered, ErrorKind::Forbidden),
        ("53300", "", before, ErrorKind::Throttled),
        ("53400", "", answered, ErrorKind::Throttled),
        ("57P03", "", before, ErrorKind::Unreachable),
        ("55000", "", answered, ErrorKind::Unreachable),
        ("25006", "", answered, ErrorKind::Unsupported),
        ("08P01", "", answered, ErrorKind::Unreachable),
        ("99999", "", answered, ErrorKind::Unsupported),
        ("é", "", answered, ErrorKind::Unsupported),
        ("", "", answered, ErrorKind::Unsupported),
        ("28P01", "exec_stmt_raise", let_in, ErrorKind::Forbidden),
        ("P0001", "exec_stmt_raise", let_in, ErrorKind::Unsupported),
    ] {
        let sorted = of_login(&error(code, routine), moment).unwrap_err();
        assert_eq!(sorted.kind(), kind, "{code} {routine}: {sorted}");
    }
}

#[test]
fn what_comes_after_the_password_was_right_is_no_error_of_the_login() {
    for (routine, connect) in [("CheckMyDatabase", true), ("exec_stmt_raise", false)] {
        let text = of_login(&error("42501", routine), Moment::LetIn).unwrap_err().to_string();
        assert_eq!(text.contains("may not CONNECT"), connect, "{text}");
        assert_eq!(text.contains("found the password right"), !connect, "{text}");
    }
}

#[test]
fn an_error_of_the_change_keeps_its_code_only() {
    for (code, kind) in [
        ("42501", ErrorKind::Forbidden),
        ("25006", ErrorKind::Unsupported),
        ("0A000", ErrorKind::Unsupported),
        ("55P03", ErrorKind::Conflict),
        ("57014", ErrorKind::OutOfTime),
        ("25P03", ErrorKind::OutOfTime),
        ("57P01", ErrorKind::Unreachable),
        ("22023", ErrorKind::Unsupported),
        ("P0001", ErrorKind::Unsupported),
        ("40P01", ErrorKind::Conflict),
        ("42601", ErrorKind::Forbidden),
        ("XX000", ErrorKind::Unreachable),
    ] {
        let refused_value = matches!(code, "22023" | "P0001");
        let sorted = of_alter(&error(code, ""));
        assert_eq!(sorted.is_ok(), refused_value, "{code}");
        let sorted = sorted.unwrap_or_else(|error| error);
        assert_eq!(sorted.kind(), kind, "{code}");
        assert!(sorted.to_string().ends_with(&format!("SQLSTATE {code}")), "{sorted}");
        assert!(!sorted.to_string().contains("mot de passe"), "{sorted}");
    }
    let mut race = error("XX000", "simple_heap_update");
    race.message = ServerMessage::new("tuple concurrently updated");
    assert_eq!(of_alter(&race).unwrap_err().kind(), ErrorKind::Conflict);
}

proptest! {
    #[test]
    fn any_body_is_read_and_quoted_safely(body in prop::collection::vec(any::<u8>(), 0..400)) {
        let quote = ServerError::parse(&body).quote();
        prop_assert!(!quote.chars().any(char::is_control));
    }

    #[test]
    fn a_message_that_repeats_the_password_is_forgotten(around in ".{0,9}") {
        let body = format!("C28P01\0M{around}canary{around}\0");
        let mut error = ServerError::parse(body.as_bytes());
        error.message.redact(&"canary".into(), false);
        let quote = error.quote();
        prop_assert!(!quote.contains("canary"));
    }
}

#[test]
fn a_code_that_is_none_is_not_shown() {
    for code in ["echoe", "28p01", "28P01X", "", "\u{1}\u{1}"] {
        assert_eq!(error(code, "").state(), "no readable SQLSTATE");
    }
    assert_eq!(error("28P01", "").state(), "SQLSTATE 28P01");
}

#[test]
fn a_shutdown_in_answer_to_commit_leaves_its_outcome_open() {
    for (code, open) in
        [("57P01", true), ("57P02", true), ("08006", true), ("40001", false), ("57014", false)]
    {
        assert_eq!(leaves_commit_open(&error(code, "")), open, "{code}");
    }
}
