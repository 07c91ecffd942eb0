//! Commands that messages name, for a person to type: whatever stands in them may be worded by others.

use crate::ids::{SecretId, VersionId};

/// What a terminal acts upon, by something that it does not: control characters (escapes among them)
/// and characters that turn the direction of writing.
pub fn harmless(c: char) -> char {
    match c {
        c if c.is_control() => char::REPLACEMENT_CHARACTER,
        '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}'
        | '\u{061c}' => char::REPLACEMENT_CHARACTER,
        c => c,
    }
}

/// A text as one word of a shell's command: as it is where no character means anything to a shell, else
/// in quotes.
///
/// A message also stands in a line of the log, where JSON doubles each backslash. What is pasted from
/// there must be one word too, if another one, and `'\''` would be none: so a quote in the text is
/// written as its number.
pub fn word(text: &str) -> String {
    let text: String = text.chars().map(harmless).collect();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_/.:=@+,%".contains(c);
    if !text.is_empty() && !text.starts_with(['-', '=']) && text.chars().all(plain) {
        return text;
    }
    match text.contains('\'') {
        false => format!("'{text}'"),
        true => format!("$'{}'", text.replace('\\', r"\\").replace('\'', r"\047")),
    }
}

/// The command that takes AWSPENDING off a version. Whoever may store a value words the version's id.
pub(crate) fn discard_command(secret: &SecretId, token: &VersionId) -> String {
    format!(
        "aws secretsmanager update-secret-version-stage --secret-id {} \
         --version-stage AWSPENDING --remove-from-version-id {}",
        word(secret.as_str()),
        word(token.as_str())
    )
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_name_is_one_word_of_a_command() {
        assert_eq!(word("app/db"), "app/db");
        assert_eq!(word("a b; rm"), "'a b; rm'");
        assert_eq!(word(r"a b'; rm \"), r"$'a b\047; rm \\'");
        assert_eq!((word(""), word("-x"), word("=x")), ("''".into(), "'-x'".into(), "'=x'".into()));
        assert_eq!(word("a\u{1b}[2J\n"), "'a\u{fffd}[2J\u{fffd}'");
    }

    /// What a shell makes of a word.
    fn words(written: &str) -> String {
        let script = format!("printf '<%s>' {written}");
        let ran = Command::new("bash").args(["-c", &script]).output().unwrap();
        assert!(ran.status.success(), "{written}: {ran:?}");
        String::from_utf8(ran.stdout).unwrap()
    }

    /// From a message, and from a line of the log, which is JSON.
    #[test]
    fn no_text_of_others_is_run_or_is_two_words() {
        let texts = [
            "x;$(touch made)",
            "x';$(touch made);'",
            r"x\';$(touch made);\'",
            "\"';touch made;'\"",
            "`touch made` $HOME ~ * # \\ \\\\ ' '' \\' & | > made",
            "--yes",
            "!!'",
        ];
        for text in texts {
            assert_eq!(words(&word(text)), format!("<{text}>"));
            let line = serde_json::Value::from(word(text)).to_string();
            let pasted = words(line.trim_matches('"'));
            assert_eq!(pasted.matches('<').count(), 1 + text.matches('<').count(), "{pasted}");
            assert!(!std::path::Path::new("made").exists(), "{text}");
        }
    }

    #[test]
    fn a_version_that_is_named_like_a_command_is_one_word_of_the_way_out() {
        let token = VersionId::parse("x;$(touch /tmp/made);aaaaaaaaaaaaaaaa").unwrap();
        let secret = SecretId::parse("app db").unwrap();
        assert_eq!(
            discard_command(&secret, &token),
            "aws secretsmanager update-secret-version-stage --secret-id 'app db' --version-stage \
             AWSPENDING --remove-from-version-id 'x;$(touch /tmp/made);aaaaaaaaaaaaaaaa'"
        );
    }
}
