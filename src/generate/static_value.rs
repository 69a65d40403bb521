//! `static`: text and `{{field}}` put together, and matched as a whole against `validation`.

use regex::Regex;

use super::GenerateError;
use crate::manifest::{Part, StaticSettings};
use crate::secret::SecretValue;

/// The value of a static field; `value_of` gives the value of another field of this generation.
pub(super) fn static_value(
    subject: &str,
    settings: &StaticSettings,
    mut value_of: impl FnMut(&str) -> Result<SecretValue, GenerateError>,
) -> Result<SecretValue, GenerateError> {
    let Some(parts) = &settings.value else {
        return Err(GenerateError::Unresolved { subject: subject.to_owned() });
    };
    let pieces = parts.iter().map(|part| match part {
        Part::Text(text) => Ok(text.clone()),
        Part::Field(name) => value_of(name),
    });
    let pieces: Vec<SecretValue> = pieces.collect::<Result<_, _>>()?;
    // Reserved in full, so that no half-made copy stays behind in freed memory.
    let mut bytes = Vec::with_capacity(pieces.iter().map(SecretValue::len).sum());
    for piece in &pieces {
        bytes.extend_from_slice(piece.expose());
    }
    let value = SecretValue::new(bytes);
    if let Some(pattern) = &settings.validation {
        validate(subject, &pattern.value, &value)?;
    }
    Ok(value)
}

fn validate(subject: &str, pattern: &str, value: &SecretValue) -> Result<(), GenerateError> {
    let bad_pattern = |_| GenerateError::Pattern { subject: subject.to_owned() };
    // By itself first: `a)|(b` is no expression, but would become one inside the brackets.
    Regex::new(pattern).map_err(bad_pattern)?;
    let whole = Regex::new(&format!(r"\A(?:{pattern})\z")).map_err(bad_pattern)?;
    if value.expose_text().is_some_and(|text| whole.is_match(text)) {
        return Ok(());
    }
    Err(GenerateError::Mismatch { subject: subject.to_owned() })
}
