//! A million characters of each kind, counted: no character, place or class is likelier than it must be.
//!
//! The entropy is seeded, so a bound that holds once holds always. Each is the 99.99 % quantile of the
//! chi-squared distribution, by Wilson and Hilferty's approximation.

use super::*;
use crate::diagnostic::Source as Text;
use crate::manifest::{Inputs, load};

/// What is counted of the usual kinds, and of the others.
const MANY: usize = 1_000_000;
const FEWER: usize = 200_000;

/// Asserts that counts are what they are expected to be, and no better than chance.
#[track_caller]
fn assert_expected(what: &str, counts: &[usize], expected: &[f64]) {
    /// The standard normal deviate of 99.99 %.
    const DEVIATE: f64 = 3.719;
    assert_eq!(counts.len(), expected.len(), "{what}");
    let statistic: f64 = counts.iter().zip(expected).map(|(n, e)| (*n as f64 - e).powi(2) / e).sum();
    let freedom = (counts.len() - 1) as f64;
    let spread = 2.0 / (9.0 * freedom);
    let bound = freedom * (1.0 - spread + DEVIATE * spread.sqrt()).powi(3);
    assert!(statistic < bound, "{what}: {statistic} of at most {bound}");
}

/// Asserts that the characters of an alphabet occur equally often.
#[track_caller]
fn assert_uniform(what: &str, alphabet: &str, drawn: impl Iterator<Item = char>) {
    let mut counts: BTreeMap<char, usize> = alphabet.chars().map(|c| (c, 0)).collect();
    let mut total = 0_usize;
    for character in drawn {
        *counts.get_mut(&character).unwrap() += 1;
        total += 1;
    }
    let counts: Vec<usize> = counts.into_values().collect();
    assert_expected(what, &counts, &vec![total as f64 / counts.len() as f64; counts.len()]);
}

/// The generator that a Secretfile declares.
fn declared(kind: &str, config: &str) -> GeneratorKind {
    let text = format!(
        "metadata: {{project: p}}\nproviders: {{local: {{kind: local}}}}\nsecrets:\n  - name: s\n    kind: {kind}\n    config: {config}\n    targets: [{{provider: local, kind: file, config: {{path: .env}}}}]\n"
    );
    let nothing = |_: &str| None;
    let loaded = load(&Text::new("Secretfile.yml", text), &Inputs::new(&nothing, jiff::Timestamp::UNIX_EPOCH));
    let Source::Single(generator) = &loaded.manifest.unwrap().secrets[0].source else { unreachable!("no template") };
    generator.kind.clone()
}

fn passwords(settings: &PasswordSettings, characters: usize, seed: u64) -> Vec<Vec<char>> {
    let entropy = Seeded::new(seed);
    let one = || single(GeneratorKind::Password(settings.clone()), &entropy).unwrap().chars().collect();
    (0..characters / settings.length as usize).map(|_| one()).collect()
}

/// How often each class stands at one place, if all strings that hold every class are equally likely:
/// those with a character of the class there, by inclusion and exclusion over the classes that lack.
fn chances(sizes: &[usize], length: u32) -> Vec<f64> {
    let union: usize = sizes.iter().sum();
    let strings = |needed: &[usize], length: u32| -> f64 {
        let lacking =
            |set: usize| needed.iter().enumerate().filter(move |(i, _)| set >> i & 1 == 1).map(|(_, size)| size);
        let term = |set: usize| {
            let left = (union - lacking(set).sum::<usize>()) as f64 / union as f64;
            let sign = if set.count_ones().is_multiple_of(2) { 1.0 } else { -1.0 };
            sign * left.powi(i32::try_from(length).unwrap())
        };
        (0..1_usize << needed.len()).map(term).sum()
    };
    let all = strings(sizes, length);
    let others =
        |index: usize| sizes.iter().enumerate().filter(|(i, _)| *i != index).map(|(_, size)| *size).collect::<Vec<_>>();
    let chance =
        |(index, size): (usize, &usize)| *size as f64 / union as f64 * strings(&others(index), length - 1) / all;
    sizes.iter().enumerate().map(chance).collect()
}

#[test]
fn the_chances_of_classes_add_up() {
    for length in [2, 3, 8, 32] {
        assert!((chances(&[26, 10], length).iter().sum::<f64>() - 1.0).abs() < 1e-9, "{length}");
    }
    // Of the eight strings with both of {a} and {b, c} in length 2 … there are four: ab, ac, ba, ca.
    assert!((chances(&[1, 2], 2)[0] - 0.5).abs() < 1e-9);
}

/// Every class is in every password, every place holds each class as often as it must, and within a
/// class every character is as likely: neither the guarantee nor an exclusion favours any.
#[test]
fn a_million_characters_of_passwords_show_no_bias() {
    for (seed, characters, config) in [
        // Planted, drawn anew until all classes are there, and long; exclusions that leave classes uneven.
        (21, FEWER, "{length: 4}"),
        (22, MANY, "{length: 8, exclude_characters: '\"@/\\`'}"),
        (23, FEWER, "{length: 8, exclude_characters: '0O1lI234569', special_characters: '!?'}"),
        (24, MANY, "{length: 32, special: false}"),
    ] {
        let GeneratorKind::Password(settings) = declared("random_password", config) else { unreachable!("{config}") };
        let passwords = passwords(&settings, characters, seed);
        let class_of = |c: char| settings.classes.iter().position(|class| class.contains(c)).unwrap();
        for password in &passwords {
            let found: std::collections::BTreeSet<usize> = password.iter().map(|c| class_of(*c)).collect();
            assert_eq!(found.len(), settings.classes.len(), "{config}: a class lacks");
        }
        for (index, class) in settings.classes.iter().enumerate() {
            let drawn = passwords.iter().flatten().copied().filter(|c| class_of(*c) == index);
            assert_uniform(&format!("{config}, class {index}"), class, drawn);
        }
        let sizes: Vec<usize> = settings.classes.iter().map(|class| class.chars().count()).collect();
        let expected: Vec<f64> =
            chances(&sizes, settings.length).iter().map(|chance| chance * passwords.len() as f64).collect();
        for place in 0..settings.length as usize {
            let mut counts = vec![0; sizes.len()];
            passwords.iter().for_each(|password| counts[class_of(password[place])] += 1);
            assert_expected(&format!("{config}, place {place}"), &counts, &expected);
        }
    }
}

#[test]
fn a_million_characters_of_each_charset_are_uniform() {
    for (seed, characters, config, alphabet) in [
        (31, MANY, "{charset: alphanumeric}", "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"),
        (32, FEWER, "{charset: base64url}", "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"),
        (33, FEWER, "{charset: base32}", "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"),
        (34, FEWER, "{charset: hex, exclude_characters: '0a'}", "123456789bcdef"),
        (35, FEWER, "{alphabet: 'aé€𝄞xyz'}", "aé€𝄞xyz"),
    ] {
        let entropy = Seeded::new(seed);
        let GeneratorKind::Text(settings) = declared("random_string", config) else { unreachable!("{config}") };
        let settings = TextSettings { length: 50_000, ..settings };
        let texts: Vec<String> = (0..characters / 50_000)
            .map(|_| single(GeneratorKind::Text(settings.clone()), &entropy).unwrap())
            .collect();
        assert_uniform(config, alphabet, texts.iter().flat_map(|text| text.chars()));
    }
}

/// A character says nothing of the next one.
#[test]
fn neighbours_are_independent() {
    let text = single(text_of(LENGTH_CHARS_MAX, "0123456789"), &Seeded::new(41)).unwrap();
    let digits: Vec<usize> = text.bytes().map(|byte| usize::from(byte - b'0')).collect();
    let mut counts = vec![0; 100];
    for pair in digits.chunks_exact(2) {
        counts[10 * pair[0] + pair[1]] += 1;
    }
    assert_expected("pairs", &counts, &[(digits.len() / 2) as f64 / 100.0; 100]);
}
