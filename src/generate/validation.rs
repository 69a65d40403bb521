//! `validation`: a regular expression that all of a value must match.

use regex::Regex;

use super::GenerateError;
use crate::manifest::{GeneratorKind, Source};
use crate::secret::{Encoding, SecretValue, Value};

/// Refuses a text that does not match as a whole.
pub(super) fn validate(subject: &str, pattern: &str, text: &SecretValue) -> Result<(), GenerateError> {
    let bad_pattern = |_| GenerateError::Pattern { subject: subject.to_owned() };
    // By itself first: `a)|(b` is no expression, but would become one inside the brackets.
    Regex::new(pattern).map_err(bad_pattern)?;
    let whole = Regex::new(&format!(r"\A(?:{pattern})\z")).map_err(bad_pattern)?;
    if text.expose_text().is_some_and(|text| whole.is_match(text)) {
        return Ok(());
    }
    Err(GenerateError::Mismatch { subject: subject.to_owned() })
}

/// Refuses a value that was made elsewhere and is not what the declaration says: one that breaks a
/// `validation`, its own or that of a static field. A value of bytes is matched in base64.
///
/// # Errors
/// [`GenerateError`], which names the field and never shows a value.
pub fn is_valid(source: &Source, found: &Value) -> Result<(), GenerateError> {
    let of_field = |name: &str, kind: &GeneratorKind| match (kind, found.field(name)) {
        (GeneratorKind::Static(settings), Some(value)) => settings
            .validation
            .as_ref()
            .map_or(Ok(()), |pattern| validate(&format!("the field `{name}`"), &pattern.value, value)),
        _ => Ok(()),
    };
    match (source, found) {
        (Source::Template(fields), _) => {
            fields.iter().try_for_each(|field| of_field(&field.name.value, &field.generator.kind))
        }
        (Source::Single(_), Value::Single(value)) => {
            let Some(pattern) = source.validation() else { return Ok(()) };
            match source.encoding() {
                Encoding::Text => validate("the value", &pattern.value, value),
                Encoding::Base64 => validate("the value", &pattern.value, &value.to_base64()),
            }
        }
        (Source::Single(_), Value::Fields(_)) => Ok(()),
    }
}
