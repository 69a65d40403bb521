//! `random_password`: uniform among all strings of its length that hold each enabled class.
//!
//! "Place one of each class, fill up, shuffle" is not uniform: a string with three digits can arise in
//! three ways and becomes likelier than one with a single digit. Two exact methods exist, and the one
//! that needs fewer tries is taken:
//!
//! - *Fill*: draw every position from the union, throw the string away unless all classes are in it.
//!   Every string is equally likely, so those that are kept are. Good for long passwords.
//! - *Plant*: choose a position for each class and draw it from that class, fill the rest from the
//!   union. A string whose classes occur a, b, … times arises in a·b·… ways; keeping it with chance
//!   1 / (a·b·…) makes all equally likely again. Good where length is close to the number of classes.
//!
//! With k disjoint classes of sizes s₁…sₖ, length n and a union of A characters, Fill draws from Aⁿ
//! strings and Plant from n·(n−1)·…·(n−k+1) · s₁·…·sₖ · Aⁿ⁻ᵏ ways; the smaller number wastes fewer
//! tries. With classes of printable ASCII, whatever is excluded, at least one try in thirty is kept, so
//! [`TRIES_MAX`] is out of reach; beyond it nothing is generated rather than something biased.

use zeroize::Zeroizing;

use super::draw::Draws;
use super::{GenerateError, LENGTH_CHARS_MAX, impossible};
use crate::clock::NoEntropy;
use crate::manifest::PasswordSettings;
use crate::secret::SecretValue;

/// Tries before giving up.
const TRIES_MAX: u32 = 10_000;

pub(super) fn password(
    subject: &str,
    settings: &PasswordSettings,
    draws: &mut Draws<'_>,
) -> Result<SecretValue, GenerateError> {
    let alphabet = Alphabet::new(&settings.classes);
    let length = settings.length as usize;
    if alphabet.union.is_empty() || alphabet.classes.iter().any(Vec::is_empty) {
        return Err(impossible(subject, "a class has no character left; exclude fewer characters"));
    }
    if settings.length > LENGTH_CHARS_MAX {
        return Err(impossible(subject, "its length is above 65,536; choose a smaller one"));
    }
    if alphabet.disjoint && length < alphabet.classes.len() {
        return Err(impossible(subject, "it is shorter than the number of its classes; make it longer"));
    }
    let plants = alphabet.prefers_planting(length);
    let mut characters = Zeroizing::new(vec![' '; length]);
    for _ in 0..TRIES_MAX {
        let kept =
            if plants { alphabet.plant(&mut characters, draws)? } else { alphabet.fill(&mut characters, draws)? };
        if kept {
            return Ok(encode(&characters));
        }
    }
    Err(impossible(subject, "its classes are too uneven to all appear in so few characters; make it longer"))
}

/// The characters of a password, class by class and all together.
struct Alphabet {
    classes: Vec<Vec<char>>,
    union: Vec<char>,
    /// No character belongs to two classes.
    disjoint: bool,
}

impl Alphabet {
    fn new(classes: &[String]) -> Self {
        let classes: Vec<Vec<char>> = classes.iter().map(|class| class.chars().collect()).collect();
        let mut union: Vec<char> = classes.concat();
        let with_duplicates = union.len();
        union.sort_unstable();
        union.dedup();
        Self { disjoint: union.len() == with_duplicates, classes, union }
    }

    /// Whether Plant needs fewer tries than Fill; it counts ways per class, so classes must be disjoint.
    fn prefers_planting(&self, length: usize) -> bool {
        let planted = self.classes.iter().enumerate().map(|(index, class)| ((length - index) * class.len()) as f64);
        self.disjoint && planted.product::<f64>() < (self.union.len() as f64).powf(self.classes.len() as f64)
    }

    /// How often each class occurs.
    fn counts(&self, characters: &[char]) -> impl Iterator<Item = u64> {
        self.classes.iter().map(|class| characters.iter().filter(|c| class.contains(c)).count() as u64)
    }

    /// Draws every position from the union; whether the string may be kept.
    fn fill(&self, characters: &mut [char], draws: &mut Draws<'_>) -> Result<bool, NoEntropy> {
        for character in characters.iter_mut() {
            *character = draws.one_of(&self.union)?;
        }
        Ok(self.counts(characters).all(|count| count > 0))
    }

    /// Draws one position per class from that class, the rest from the union; whether to keep it.
    fn plant(&self, characters: &mut [char], draws: &mut Draws<'_>) -> Result<bool, NoEntropy> {
        for character in characters.iter_mut() {
            *character = draws.one_of(&self.union)?;
        }
        let mut free: Vec<usize> = (0..characters.len()).collect();
        for class in &self.classes {
            let chosen = usize::try_from(draws.below(free.len() as u64)?).unwrap_or(0);
            characters[free.swap_remove(chosen)] = draws.one_of(class)?;
        }
        // Saturation would need counts far above the longest password.
        let ways = self.counts(characters).fold(1_u64, u64::saturating_mul);
        Ok(draws.below(ways)? == 0)
    }
}

fn encode(characters: &[char]) -> SecretValue {
    let mut text = Vec::with_capacity(characters.len() * 4);
    for character in characters {
        text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    }
    SecretValue::new(text)
}
