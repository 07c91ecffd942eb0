//! Whether passwords are as random as they look: chi-square tests.

use proptest::prelude::*;
use secrecy::ExposeSecret;

use super::*;

/// Natural logarithm of the chance to fail by accident, of each test: e^-25 is below 1e-10.
const CHANCE: f64 = 25.0;

/// Pearson's statistic is above this with a chance of e^-CHANCE at most. Source: Laurent and
/// Massart, "Adaptive estimation of a quadratic functional by model selection" (2000), lemma 1.
fn limit(cells: usize) -> f64 {
    let freedom = cells as f64 - 1.0;
    freedom + 2.0 * (freedom * CHANCE).sqrt() + 2.0 * CHANCE
}

/// Pearson's statistic of draws against the chance of each cell.
fn statistic(draws: impl Iterator<Item = char>, chances: &BTreeMap<char, f64>) -> f64 {
    let mut counts: BTreeMap<char, f64> = BTreeMap::new();
    for draw in draws {
        assert!(chances.contains_key(&draw), "a character that the policy leaves out");
        *counts.entry(draw).or_default() += 1.0;
    }
    let all: f64 = counts.values().sum();
    let deviation = |(cell, chance): (&char, &f64)| {
        let expected = chance * all;
        (counts.get(cell).copied().unwrap_or_default() - expected).powi(2) / expected
    };
    chances.iter().map(deviation).sum()
}

/// The chance that `draws` draws hold each of these types, by inclusion and exclusion. A type is
/// given by its share of the alphabet.
fn covered(shares: &[f64], draws: i32) -> f64 {
    let subsets = 0..1_usize << shares.len();
    let term = |subset: usize| {
        let inside = |index: &usize| subset >> index & 1 == 1;
        let without: f64 = (0..shares.len()).filter(inside).map(|index| shares[index]).sum();
        let sign = if subset.count_ones().is_multiple_of(2) { 1.0 } else { -1.0 };
        sign * (1.0 - without).powi(draws)
    };
    subsets.map(term).sum()
}

/// The chance of each character to stand in any one place of a password, if every password that
/// meets the policy is equally likely.
fn chances(policy: &PasswordPolicy) -> BTreeMap<char, f64> {
    let types = policy.types();
    let size: usize = types.iter().map(String::len).sum();
    let shares: Vec<f64> = types.iter().map(|one| one.len() as f64 / size as f64).collect();
    let length = i32::try_from(policy.length).unwrap();
    let mut chances = BTreeMap::new();
    for (index, characters) in types.iter().enumerate() {
        let mut others = shares.clone();
        others.remove(index);
        let given = match policy.require_each_included_type {
            true => covered(&others, length - 1) / covered(&shares, length),
            false => 1.0,
        };
        chances.extend(characters.chars().map(|character| (character, given / size as f64)));
    }
    let sum: f64 = chances.values().sum();
    assert!((sum - 1.0).abs() < 1e-9, "the chances add up to {sum}");
    chances
}

fn policy() -> impl Strategy<Value = PasswordPolicy> {
    let flags = prop::array::uniform5(any::<bool>());
    let policy = (4_usize..10, "[ -~]{0,12}", flags).prop_map(|(length, exclude, flags)| {
        let [numbers, punctuation, uppercase, lowercase, required] = flags;
        PasswordPolicy {
            length,
            exclude_characters: exclude,
            exclude_numbers: numbers,
            exclude_punctuation: punctuation,
            exclude_uppercase: uppercase,
            exclude_lowercase: lowercase,
            require_each_included_type: required,
            ..PasswordPolicy::default()
        }
    });
    policy.prop_filter("no password meets it", |policy| policy.check().is_ok())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, max_shrink_iters: 0, ..ProptestConfig::default() })]

    /// Of each password one character, so that the draws are independent.
    #[test]
    fn every_character_is_as_likely_as_the_policy_makes_it_in_every_place(
        policy in policy(),
        place in any::<prop::sample::Index>(),
    ) {
        let chances = chances(&policy);
        let place = place.index(policy.length);
        let draws = (0..chances.len() * 40).map(|_| {
            let password = policy.generate().unwrap();
            password.expose_secret().chars().nth(place).unwrap()
        });
        let statistic = statistic(draws, &chances);
        prop_assert!(statistic < limit(chances.len()), "{} for {:?}", statistic, policy);
    }
}

/// What makes some passwords likelier than others is found: one character of each type in front.
#[test]
fn a_generator_with_a_bias_is_found_out() {
    let policy = PasswordPolicy::read(&Environment::default(), "").unwrap();
    let chances = chances(&policy);
    let biased = (0..chances.len() * 40).map(|number| {
        let password = policy.generate().unwrap();
        let character = password.expose_secret().chars().next().unwrap();
        // Every fourth password begins with a digit.
        if number % 4 == 0 {
            char::from(b'0' + u8::try_from(number / 4 % 10).unwrap())
        } else {
            character
        }
    });
    assert!(statistic(biased, &chances) > limit(chances.len()));
}

#[test]
fn the_chance_to_hold_every_type_is_the_one_that_counting_gives() {
    // Two types of one character each: of the four passwords of two places, two hold both.
    assert!((covered(&[0.5, 0.5], 2) - 0.5).abs() < 1e-12);
    // Three of equal size in three places: 3! of 27.
    assert!((covered(&[1.0 / 3.0; 3], 3) - 6.0 / 27.0).abs() < 1e-12);
    assert!((covered(&[], 5) - 1.0).abs() < 1e-12);
}
