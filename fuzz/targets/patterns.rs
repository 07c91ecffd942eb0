//! Whatever patterns of hosts and schemas a server has, they are tried in little time and as its
//! manual says, and in whichever order they come.
//!
//! An input is a name, and in each further line a pattern.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rotate_mysql::fuzzing::{is_like, matching};

/// What one place of a pattern stands for.
enum Place {
    Any,
    One,
    Just(char),
}

fn places(pattern: &str) -> Vec<Place> {
    let mut places = Vec::new();
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        places.push(match letter {
            '%' => Place::Any,
            '_' => Place::One,
            '\\' => Place::Just(letters.next().unwrap_or('\\')),
            letter => Place::Just(letter),
        });
    }
    places
}

/// By a table: after each place, which beginnings of the name fit.
fn fits(name: &str, pattern: &str) -> bool {
    let name: Vec<char> = name.chars().collect();
    let mut fitting = vec![false; name.len() + 1];
    fitting[0] = true;
    for place in places(pattern) {
        let mut next = vec![false; name.len() + 1];
        for at in 0..=name.len() {
            next[at] = match place {
                Place::Any => fitting[at] || at > 0 && next[at - 1],
                Place::One => at > 0 && fitting[at - 1],
                Place::Just(letter) => at > 0 && fitting[at - 1] && name[at - 1] == letter,
            };
        }
        fitting = next;
    }
    fitting[name.len()]
}

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut lines = text.split('\n');
    let Some(name) = lines.next() else { return };
    let mut patterns: Vec<_> = lines.take(8).collect();
    for pattern in &patterns {
        assert_eq!(is_like(name, pattern), fits(name, pattern), "{name:?} like {pattern:?}");
    }
    let chosen = matching(&patterns, name);
    assert!(chosen.is_none_or(|one| patterns.contains(&one)));
    patterns.reverse();
    assert_eq!(matching(&patterns, name), chosen);
});
