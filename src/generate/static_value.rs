//! `static`: text and `{{field}}` put together, matched as a whole against `validation`, and decoded.

use super::GenerateError;
use super::validation::validate;
use crate::manifest::{Part, StaticSettings};
use crate::secret::{Encoding, SecretValue};

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
    match settings.encoding {
        Encoding::Text => Ok(value),
        Encoding::Base64 => value.from_base64().ok_or_else(|| GenerateError::Encoding { subject: subject.to_owned() }),
    }
}
