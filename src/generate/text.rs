//! `random_string`: each character drawn uniformly from one alphabet.

use super::draw::Draws;
use super::{GenerateError, LENGTH_CHARS_MAX, impossible};
use crate::manifest::TextSettings;
use crate::secret::SecretValue;

pub(super) fn text(
    subject: &str,
    settings: &TextSettings,
    draws: &mut Draws<'_>,
) -> Result<SecretValue, GenerateError> {
    let alphabet: Vec<char> = settings.alphabet.chars().collect();
    if alphabet.is_empty() {
        return Err(impossible(subject, "its alphabet is empty; allow some characters"));
    }
    if settings.length > LENGTH_CHARS_MAX {
        return Err(impossible(subject, "its length is above 65,536; choose a smaller one"));
    }
    // Reserved in full, so that no half-made copy stays behind in freed memory.
    let mut text = Vec::with_capacity(settings.length as usize * 4);
    for _ in 0..settings.length {
        let mut bytes = [0; 4];
        text.extend_from_slice(draws.one_of(&alphabet)?.encode_utf8(&mut bytes).as_bytes());
    }
    Ok(SecretValue::new(text))
}
