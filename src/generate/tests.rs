#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::sync::Mutex;

use super::*;
use crate::diagnostic::{Span, Spanned};
use crate::manifest::{Part, PasswordSettings, StaticSettings, TextSettings};
use crate::secret::Encoding;

/// Numbers that look random and are the same in every run (xorshift64*).
struct Seeded(Mutex<u64>);

impl Seeded {
    fn new(seed: u64) -> Self {
        Self(Mutex::new(seed))
    }
}

impl Entropy for Seeded {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), NoEntropy> {
        let mut state = self.0.lock().unwrap();
        for chunk in buffer.chunks_mut(4) {
            *state ^= *state >> 12;
            *state ^= *state << 25;
            *state ^= *state >> 27;
            let number = state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32;
            chunk.copy_from_slice(&number.to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

/// An operating system without random bytes.
struct Empty;

impl Entropy for Empty {
    fn fill(&self, _: &mut [u8]) -> Result<(), NoEntropy> {
        Err(NoEntropy)
    }
}

fn generator(kind: GeneratorKind) -> Generator {
    Generator { kind, declaration: String::new(), span: Span::default() }
}

fn password_of(length: u32, classes: &[&str]) -> GeneratorKind {
    GeneratorKind::Password(PasswordSettings { length, classes: classes.iter().map(|c| (*c).to_owned()).collect() })
}

fn text_of(length: u32, alphabet: &str) -> GeneratorKind {
    GeneratorKind::Text(TextSettings { length, alphabet: alphabet.to_owned() })
}

/// `"a{{b}}c"` as parts.
fn static_of(text: &str, validation: Option<&str>) -> GeneratorKind {
    let parts = text.split("{{").enumerate().flat_map(|(index, piece)| match piece.split_once("}}") {
        Some((field, rest)) if index > 0 => vec![Part::Field(field.to_owned()), Part::Text(rest.into())],
        _ => vec![Part::Text(piece.into())],
    });
    let validation = validation.map(|pattern| Spanned::new(pattern.to_owned(), Span::default()));
    GeneratorKind::Static(StaticSettings { value: Some(parts.collect()), validation, encoding: Encoding::Text })
}

fn template(fields: Vec<(&str, GeneratorKind)>) -> Source {
    let field = |(name, kind): (&str, _)| Field {
        name: Spanned::new(name.to_owned(), Span::default()),
        generator: generator(kind),
    };
    Source::Template(fields.into_iter().map(field).collect())
}

fn single(kind: GeneratorKind, entropy: &dyn Entropy) -> Result<String, GenerateError> {
    match generate(&Source::Single(generator(kind)), None, entropy)? {
        Value::Single(value) => Ok(value.expose_text().unwrap().to_owned()),
        Value::Fields(_) => unreachable!("a single source makes a single value"),
    }
}

fn field<'a>(value: &'a Value, name: &str) -> &'a str {
    value.field(name).unwrap().expose_text().unwrap()
}

fn failure(source: &Source) -> String {
    generate(source, None, &Seeded::new(1)).err().unwrap().to_string()
}

const ASCII: [&str; 4] =
    ["ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz", "0123456789", "!#$%&()*+,-./:;<=>?[]^_{|}~"];

#[test]
fn every_class_is_in_every_password_even_in_the_shortest() {
    let entropy = Seeded::new(7);
    for length in [4, 5, 6, 8, 32, 200] {
        for _ in 0..200 {
            let password = single(password_of(length, &ASCII), &entropy).unwrap();
            assert_eq!(password.chars().count(), length as usize);
            assert!(ASCII.iter().all(|class| password.chars().any(|c| class.contains(c))), "{length}");
            assert!(password.chars().all(|c| ASCII.concat().contains(c)));
        }
    }
}

#[test]
fn no_excluded_character_and_no_other_class_appears() {
    let password = single(password_of(2_000, &["AC", "z", "é€"]), &Seeded::new(3)).unwrap();
    assert!(password.chars().all(|c| "ACzé€".contains(c)));
    assert!("ACzé€".chars().all(|c| password.contains(c)));
}

/// Pearson's statistic over the values that were drawn, against equal chances.
fn chi_squared(counts: &BTreeMap<String, u32>, draws: u32) -> f64 {
    let expected = f64::from(draws) / counts.len() as f64;
    counts.values().map(|count| (f64::from(*count) - expected).powi(2) / expected).sum()
}

#[test]
fn all_passwords_with_every_class_are_equally_likely() {
    // Of 27 strings, 18 hold both classes (27 − 2³ − 1³); of length 2 it is 4. Length 3 fills, length
    // 2 plants. The bounds are the 99.9 % quantiles for 17 and 3 degrees of freedom.
    for (length, expected, bound) in [(3, 18, 40.8), (2, 4, 16.3)] {
        let entropy = Seeded::new(11);
        let mut counts = BTreeMap::new();
        for _ in 0..18_000 {
            *counts.entry(single(password_of(length, &["ab", "1"]), &entropy).unwrap()).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), expected);
        let statistic = chi_squared(&counts, 18_000);
        assert!(statistic < bound, "{statistic}");
    }
}

#[test]
fn planting_is_as_uniform_as_filling() {
    // Three classes of 3, 1 and 1 characters in length 4: planting has 4·3·2·3·1·1 · 5 = 360 ways,
    // filling 5⁴ = 625, so this plants with unequal multiplicities. 5⁴ − 2·4⁴ − 2⁴ + 3⁴ + 1 + 1 = 180.
    let entropy = Seeded::new(5);
    let mut counts = BTreeMap::new();
    for _ in 0..36_000 {
        *counts.entry(single(password_of(4, &["abc", "1", "!"]), &entropy).unwrap()).or_insert(0) += 1;
    }
    assert_eq!(counts.len(), 180);
    let statistic = chi_squared(&counts, 36_000);
    assert!(statistic < 242.6, "{statistic} is above the 99.9 % quantile for 179 degrees of freedom");
}

#[test]
fn an_impossible_password_is_refused_and_not_weakened() {
    for (kind, words) in [
        (password_of(2, &["a", "b", "c"]), "shorter than the number of its classes"),
        (password_of(8, &["a", ""]), "no character left"),
        (password_of(8, &[]), "no character left"),
        (text_of(8, ""), "alphabet is empty"),
        (text_of(LENGTH_CHARS_MAX + 1, "a"), "above 65,536"),
    ] {
        let message = failure(&Source::Single(generator(kind)));
        assert!(message.contains(words), "{message}");
    }
}

#[test]
fn a_text_draws_every_character_of_its_alphabet_equally_often() {
    // 10 does not divide 2^64 nor 256: a remainder would favour the first ones.
    let text = single(text_of(20_000, "0123456789"), &Seeded::new(2)).unwrap();
    let mut counts = BTreeMap::new();
    for character in text.chars() {
        *counts.entry(character.to_string()).or_insert(0) += 1;
    }
    assert_eq!(counts.len(), 10);
    let statistic = chi_squared(&counts, 20_000);
    assert!(statistic < 27.9, "{statistic} is above the 99.9 % quantile for 9 degrees of freedom");
}

#[test]
fn an_index_from_the_incomplete_last_run_is_drawn_again() {
    struct Sequence(Mutex<u8>);
    impl Entropy for Sequence {
        fn fill(&self, buffer: &mut [u8]) -> Result<(), NoEntropy> {
            // The first eight bytes are the largest number, then come zeros.
            buffer.fill(0);
            buffer[..8].fill(*self.0.lock().unwrap());
            Ok(())
        }
    }
    let entropy = Sequence(Mutex::new(0xFF));
    assert_eq!(Draws::new(&entropy).below(10).unwrap(), 0, "2^64 − 1 was kept, it would be 5");
    assert_eq!(Draws::new(&entropy).below(16).unwrap(), 15, "16 divides 2^64, so nothing is drawn again");
}

#[test]
fn a_uuid_is_a_random_one_of_version_4() {
    let entropy = Seeded::new(9);
    let (one, two) = (single(GeneratorKind::Uuid, &entropy).unwrap(), single(GeneratorKind::Uuid, &entropy).unwrap());
    assert_ne!(one, two);
    let parsed: ::uuid::Uuid = one.parse().unwrap();
    assert_eq!((parsed.get_version_num(), parsed.get_variant()), (4, ::uuid::Variant::RFC4122));
}

#[test]
fn nothing_is_generated_without_random_bytes() {
    let error = single(text_of(8, "ab"), &Empty).unwrap_err();
    assert!(matches!(error, GenerateError::NoEntropy(_)));
}

#[test]
fn a_static_field_holds_the_other_fields_of_the_same_generation_in_any_order() {
    let source = template(vec![
        ("url", static_of("db://{{user}}:{{password}}@host", None)),
        ("user", static_of("app-{{id}}", None)),
        ("id", GeneratorKind::Uuid),
        ("password", text_of(12, "xyz")),
    ]);
    let value = generate(&source, None, &Seeded::new(4)).unwrap();
    let expected = format!("db://app-{}:{}@host", field(&value, "id"), field(&value, "password"));
    assert_eq!(field(&value, "url"), expected);
    let Value::Fields(fields) = &value else { unreachable!("a template makes fields") };
    assert_eq!(fields.iter().map(|(n, _)| n.as_str()).collect::<Vec<_>>(), ["url", "user", "id", "password"]);
}

#[test]
fn a_revision_keeps_random_fields_and_makes_static_ones_anew() {
    let before = template(vec![("user", static_of("old", None)), ("password", text_of(12, "xyz"))]);
    let carried = generate(&before, None, &Seeded::new(4)).unwrap();
    let after = template(vec![
        ("user", static_of("new", None)),
        ("password", text_of(40, "abc")),
        ("token", text_of(4, "t")),
        ("url", static_of("{{user}}:{{password}}", None)),
    ]);
    let value = generate(&after, Some(&carried), &Seeded::new(99)).unwrap();
    assert_eq!(field(&value, "password"), field(&carried, "password"));
    assert_eq!((field(&value, "user"), field(&value, "token")), ("new", "tttt"));
    assert_eq!(field(&value, "url"), format!("new:{}", field(&carried, "password")));
    assert_ne!(field(&generate(&after, None, &Seeded::new(99)).unwrap(), "password"), field(&carried, "password"));
}

#[test]
fn a_single_random_value_is_carried_and_a_static_one_is_not() {
    let carried = Value::Single("kept".into());
    for (kind, expected) in [(text_of(4, "t"), "kept"), (static_of("new", None), "new")] {
        let value = generate(&Source::Single(generator(kind)), Some(&carried), &Seeded::new(1)).unwrap();
        assert!(value.matches(&Value::Single(expected.into())));
    }
}

#[test]
fn a_static_value_must_match_its_pattern_as_a_whole() {
    for (text, pattern, fits) in [
        ("5432", r"\d+", true),
        ("ab", "a|ab", true),
        ("5432x", r"\d+", false),
        ("x5432", r"\d+", false),
        ("5432\n", r"\d+", false),
    ] {
        assert_eq!(single(static_of(text, Some(pattern)), &Empty).is_ok(), fits, "{text} {pattern}");
    }
}

#[test]
fn an_error_names_the_field_and_never_the_value() {
    let unresolved = GeneratorKind::Static(StaticSettings { value: None, validation: None, encoding: Encoding::Text });
    let messages = [
        failure(&template(vec![("port", static_of("hunter2", Some(r"\d+")))])),
        failure(&template(vec![("port", static_of("hunter2", Some("a)|(b")))])),
        failure(&template(vec![("port", unresolved)])),
        failure(&template(vec![("port", static_of("hunter2{{prot}}", None))])),
        failure(&template(vec![("a", static_of("{{b}}", None)), ("b", static_of("{{a}}", None))])),
        failure(&Source::Single(generator(static_of("{{a}}", None)))),
    ];
    insta::assert_snapshot!(messages.join("\n"), @r"
    the field `port` does not match its `validation` pattern as a whole; correct the value or the pattern
    the `validation` pattern of the field `port` is not a regular expression; correct it
    the field `port` needs an environment variable that is not set; set it, then run again
    the field `port` refers to `{{prot}}`, but there is no field of that name; declare it or correct the name
    the field `a` refers to itself through its `{{…}}`; break the circle
    the value refers to `{{a}}`, but there is no field of that name; declare it or correct the name
    ");
}

mod statistics;
