//! Patterns in which `_` and `%` stand for anything, as hosts and schemas have them.

/// Whether a name fits a pattern in which `_` is one character, `%` are any, and a backslash takes
/// that away from the next. Takes no more steps than the product of their lengths.
pub(crate) fn is_like(name: &str, pattern: &str) -> bool {
    let (mut name, mut pattern) = (name.chars(), pattern.chars());
    // Where the last % may take one character more: what is behind it, in both.
    let mut more = None;
    loop {
        let (mut letters, mut rest) = (name.clone(), pattern.clone());
        let fits = match (rest.next(), letters.next()) {
            (Some('%'), _) => {
                more = Some((name.clone(), rest.clone()));
                pattern = rest;
                continue;
            }
            (None, None) => return true,
            // With more of it behind a % there would be even less left.
            (Some(_), None) => return false,
            (Some('_'), Some(_)) => true,
            (Some('\\'), Some(letter)) => rest.next().unwrap_or('\\') == letter,
            (Some(first), Some(letter)) => first == letter,
            (None, Some(_)) => false,
        };
        if fits {
            (name, pattern) = (letters, rest);
            continue;
        }
        let Some((behind, rest)) = &mut more else { return false };
        behind.next();
        (name, pattern) = (behind.clone(), rest.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_the_server_s_do() {
        for (name, pattern, fits) in [
            ("app", "app", true),
            ("app", "a__", true),
            ("app", "%", true),
            ("app", "a%p", true),
            ("app", "a%q", false),
            ("a_p", "a\\_p", true),
            ("axp", "a\\_p", false),
            ("a_p", "a_p", true),
            ("", "%", true),
            ("", "_", false),
            ("größe", "gr__e", true),
            ("a", "a\\", false),
            ("a\\", "a\\", true),
            ("aab", "%ab", true),
            ("abab", "a%b_b", true),
            ("abcab", "a%b_b%", false),
            ("abcbab", "a%b_b%", true),
        ] {
            assert_eq!(is_like(name, pattern), fits, "{name} {pattern}");
        }
    }

    #[test]
    fn a_pattern_of_many_wildcards_is_soon_tried() {
        let name = "a".repeat(200);
        assert!(!is_like(&name, &format!("{}b", "%a".repeat(90))));
        assert!(is_like(&"a".repeat(100_000), &"_".repeat(100_000)), "and takes no stack");
    }
}
