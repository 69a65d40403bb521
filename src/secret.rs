//! A secret value that cannot speak: it neither prints, serialises nor compares itself with `==`.
//!
//! Values are exposed only at the wire, by [`SecretValue::expose`], and are wiped from memory when
//! dropped. Whatever is derived from one (a JSON object of fields, a decoded field) is a value again.

use data_encoding::BASE64;
use serde_json::{Map, Value as Json};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Opaque bytes of one secret; no `Debug`, `Display`, `Serialize` or `PartialEq` on purpose.
#[derive(Clone)]
pub struct SecretValue(Zeroizing<Vec<u8>>);

impl SecretValue {
    /// Takes the bytes over.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes, for the wire and nothing else.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The value as text, if it is UTF-8; for stores that take strings.
    #[must_use]
    pub fn expose_text(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// Whether both hold the same bytes, in constant time for equal lengths.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        self.0.as_slice().ct_eq(other.0.as_slice()).into()
    }

    /// The same bytes as base64 text (RFC 4648 §4, padded, in one line).
    #[must_use]
    pub fn to_base64(&self) -> Self {
        let mut text = vec![0; BASE64.encode_len(self.0.len())];
        BASE64.encode_mut(&self.0, &mut text);
        Self::new(text)
    }

    /// The bytes that this value is the base64 text of; white space, such as line ends, does not count.
    #[must_use]
    pub fn from_base64(&self) -> Option<Self> {
        let dense: Zeroizing<Vec<u8>> =
            Zeroizing::new(self.0.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect());
        let mut bytes = Zeroizing::new(vec![0; BASE64.decode_len(dense.len()).ok()?]);
        let length = BASE64.decode_mut(&dense, &mut bytes).ok()?;
        bytes.truncate(length);
        Some(Self(bytes))
    }

    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is stored.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<String> for SecretValue {
    fn from(text: String) -> Self {
        Self::new(text.into_bytes())
    }
}

impl From<&str> for SecretValue {
    fn from(text: &str) -> Self {
        Self::new(text.as_bytes().to_vec())
    }
}

/// What the declared text of a value stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Encoding {
    /// The text is the value.
    #[default]
    Text,
    /// The value is the bytes that the text encodes. Stores of bytes hold them, stores of text hold them
    /// in base64, in one line.
    Base64,
}

/// How a secret's value is built: one text, or named fields that form one value together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One value.
    Single,
    /// The fields of a template secret, in the order of their declaration.
    Fields(Vec<String>),
}

/// One value of one secret, as it is generated, written and read back.
#[derive(Clone)]
pub enum Value {
    /// One text.
    Single(SecretValue),
    /// Named fields in the order of their declaration; one JSON object where a store takes text.
    Fields(Vec<(String, SecretValue)>),
}

/// A stored text that was expected to be a JSON object of fields and is none.
#[derive(Debug, thiserror::Error)]
#[error("the stored value is not a JSON object with the fields of the template")]
pub struct NotAnObject;

impl Value {
    /// The text that a store of plain strings holds: the value itself, or one JSON object.
    #[must_use]
    pub fn to_text(&self) -> SecretValue {
        match self {
            Self::Single(value) => value.clone(),
            Self::Fields(fields) => {
                let mut object = Map::new();
                for (name, value) in fields {
                    let text = String::from_utf8_lossy(value.expose()).into_owned();
                    object.insert(name.clone(), Json::String(text));
                }
                SecretValue::from(Json::Object(object).to_string())
            }
        }
    }

    /// Reads back what [`Value::to_text`] wrote; members that are not strings keep their JSON text.
    ///
    /// # Errors
    /// [`NotAnObject`] if fields are expected and the text is no JSON object.
    pub fn from_text(text: SecretValue, shape: &Shape) -> Result<Self, NotAnObject> {
        if *shape == Shape::Single {
            return Ok(Self::Single(text));
        }
        let object: Map<String, Json> = serde_json::from_slice(text.expose()).map_err(|_| NotAnObject)?;
        let fields = object.into_iter().map(|(name, member)| match member {
            Json::String(text) => (name, SecretValue::from(text)),
            other => (name, SecretValue::from(other.to_string())),
        });
        Ok(Self::Fields(fields.collect()))
    }

    /// Whether both are the same value; the order of fields does not count.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Single(a), Self::Single(b)) => a.matches(b),
            (Self::Fields(a), Self::Fields(b)) => {
                a.len() == b.len() && a.iter().all(|(name, value)| b.iter().any(|(n, v)| n == name && v.matches(value)))
            }
            _ => false,
        }
    }

    /// The value of one field.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&SecretValue> {
        match self {
            Self::Single(_) => None,
            Self::Fields(fields) => fields.iter().find(|(n, _)| n == name).map(|(_, v)| v),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> Value {
        Value::Fields(pairs.iter().map(|(n, v)| ((*n).to_owned(), SecretValue::from(*v))).collect())
    }

    #[test]
    fn fields_become_one_json_object_in_declared_order() {
        let text = fields(&[("user", "a\"b"), ("pass", "ü\n")]).to_text();
        assert_eq!(text.expose_text(), Some(r#"{"user":"a\"b","pass":"ü\n"}"#));
    }

    #[test]
    fn bytes_and_their_base64_text_are_one_value() {
        let bytes = SecretValue::new((0..=255).collect());
        assert!(bytes.to_base64().from_base64().is_some_and(|back| back.matches(&bytes)));
        let wrapped = SecretValue::from("AAEC\r\nAw==\n");
        assert!(wrapped.from_base64().is_some_and(|back| back.matches(&SecretValue::new(vec![0, 1, 2, 3]))));
        for wrong in ["AAECAw", "AAEC=Aw=", "AA-_", "ä"] {
            assert!(SecretValue::from(wrong).from_base64().is_none(), "{wrong}");
        }
    }

    #[test]
    fn what_was_written_is_read_back_and_order_does_not_matter() {
        let shape = Shape::Fields(vec!["user".into(), "pass".into()]);
        let written = fields(&[("user", "a"), ("pass", "b")]);
        let read = Value::from_text(SecretValue::from(r#"{"pass":"b","user":"a"}"#), &shape);
        assert!(read.is_ok_and(|read| read.matches(&written)));
        assert!(Value::from_text(SecretValue::from("plain"), &shape).is_err());
    }
}
