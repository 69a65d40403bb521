//! One edit of one file's text, without any disk: what the store does to a file, for whoever has only
//! its text.

use zeroize::Zeroizing;

use super::document::{Document, Refusal};
use crate::secret::{Shape, Value};
use crate::target::FileFormat;

/// The text with a value put under a key; every byte that does not belong to that key stays.
///
/// # Errors
/// A clause that says why the text cannot be read or edited, without any value of it.
pub fn edited(format: FileFormat, text: &str, key: &str, value: &Value) -> Result<Zeroizing<String>, Refusal> {
    let shape = match value {
        Value::Single(_) => Shape::Single,
        Value::Fields(fields) => Shape::Fields(fields.iter().map(|(name, _)| name.clone()).collect()),
    };
    let mut document = parsed(format, text)?;
    document.put(key, value, &shape)?;
    document.render()
}

/// The value under a key; `None` if it is not there.
///
/// # Errors
/// A clause that says why the text cannot be read.
pub fn value_in(format: FileFormat, text: &str, key: &str, shape: &Shape) -> Result<Option<Value>, Refusal> {
    Ok(parsed(format, text)?.value(key, shape))
}

/// The names in a text, sorted.
///
/// # Errors
/// A clause that says why the text cannot be read.
pub fn names_in(format: FileFormat, text: &str) -> Result<Vec<String>, Refusal> {
    Ok(parsed(format, text)?.names().map(str::to_owned).collect())
}

fn parsed(format: FileFormat, text: &str) -> Result<Document, Refusal> {
    Document::parse(format, Zeroizing::new(text.to_owned()))
}
