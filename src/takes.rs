//! What each kind of place takes of a value, said once: for the check of a Secretfile, and for the
//! moment before the first write of a run.
//!
//! A secret goes to all its targets or to none, so the strictest of them decides for all.
//!
//! | place | limits of the vendor |
//! |---|---|
//! | Secrets Manager | 1–65,536 bytes, text or binary (<https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html>) |
//! | SSM | text of 1–4,096 bytes, 8,192 in the advanced tier, without `{{` (<https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html>) |
//! | Key Vault | text of 1–25,600 bytes (<https://learn.microsoft.com/en-us/azure/key-vault/secrets/about-secrets>) |
//! | Vault KV | text within JSON, 1 MiB for an entry (<https://developer.hashicorp.com/vault/docs/internals/limits>) |
//! | Secret Manager | 1–65,536 bytes of any kind (<https://cloud.google.com/secret-manager/quotas>) |
//! | local file | text up to 1 MiB; dotenv without NUL, which no environment can hold |

use std::borrow::Cow;

use crate::secret::{Encoding, SecretValue, Value};
use crate::target::{FileFormat, ParameterTier, TargetSettings};

/// What one place takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Takes {
    /// What a sentence calls the store.
    pub store: &'static str,
    /// Fewest bytes.
    pub bytes_min: usize,
    /// Most bytes, of the whole value as it is held: a template counts as one JSON object.
    pub bytes_max: usize,
    /// Bytes of any kind come back as they were; otherwise only UTF-8 does.
    pub any_bytes: bool,
    /// A NUL may be in it.
    pub nul: bool,
    /// `{{` may be in it.
    pub braces: bool,
}

/// Why a place does not take a value; says nothing of the value but its length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfit {
    /// The code of a finding.
    pub code: &'static str,
    /// `the value is empty, which Vault refuses`.
    pub why: String,
    /// What to do about it.
    pub help: &'static str,
}

impl Takes {
    /// What a place takes; `None` where no value is held, and for certificates, which are no plain values.
    #[must_use]
    pub fn of(settings: &TargetSettings) -> Option<Self> {
        let text =
            |store, bytes_max| Self { store, bytes_min: 1, bytes_max, any_bytes: false, nul: true, braces: true };
        Some(match settings {
            TargetSettings::File(file) => {
                Self { bytes_min: 0, nul: !matches!(file.format, FileFormat::Dotenv), ..text("a local file", 1 << 20) }
            }
            TargetSettings::SecretsManager(_) => Self { any_bytes: true, ..text("Secrets Manager", 65_536) },
            TargetSettings::SsmParameter(parameter) => {
                let bytes_max = if matches!(parameter.tier, ParameterTier::Standard) { 4096 } else { 8192 };
                Self { braces: false, ..text("this tier of SSM", bytes_max) }
            }
            TargetSettings::KeyVault(_) => text("Key Vault", 25 * 1024),
            TargetSettings::Kv(_) => text("Vault", 1 << 20),
            TargetSettings::SecretManager(_) => Self { any_bytes: true, ..text("Secret Manager", 64 * 1024) },
            TargetSettings::KeyVaultCertificate(_)
            | TargetSettings::DatabaseRole(_)
            | TargetSettings::TransitKey(_) => return None,
        })
    }

    /// Why a value, as it would be held, is not taken.
    #[must_use]
    pub fn refuses(&self, value: &Value) -> Option<Unfit> {
        let fields: Vec<&SecretValue> = match value {
            Value::Single(value) => vec![value],
            Value::Fields(fields) => fields.iter().map(|(_, value)| value).collect(),
        };
        let is_text = |value: &&SecretValue| value.expose_text().is_some();
        let whole = value.to_text();
        match value {
            Value::Fields(_) if !fields.iter().all(is_text) => return Some(self.no_text("a field")),
            Value::Single(_) if !self.any_bytes && !fields.iter().all(is_text) => {
                return Some(self.no_text("the value"));
            }
            _ => {}
        }
        if !self.nul && fields.iter().any(|field| field.expose().contains(&0)) {
            return Some(self.nul());
        }
        if !self.braces && whole.expose().windows(2).any(|pair| pair == b"{{") {
            return Some(Unfit {
                code: "ssm-braces",
                why: format!("the value contains `{{{{`, which {} takes for one of its own expressions", self.store),
                help: "leave `{{` out of the value, or choose another store",
            });
        }
        match whole.len() {
            0 if self.bytes_min > 0 => Some(self.empty()),
            bytes if bytes > self.bytes_max => Some(self.too_large("has", bytes)),
            _ => None,
        }
    }

    /// A finding about a value of so many bytes, which `said` connects: `has`, `has at least`.
    #[must_use]
    pub fn too_large(&self, said: &str, bytes: usize) -> Unfit {
        let (store, most) = (self.store, self.bytes_max);
        let why = format!("the value {said} {bytes} bytes, more than the {most} that {store} takes");
        Unfit { code: "value-too-large", why, help: "shorten it, or choose another store" }
    }

    /// A finding about an empty value.
    #[must_use]
    pub fn empty(&self) -> Unfit {
        let why = format!("the value is empty, which {} refuses", self.store);
        Unfit { code: "value-empty", why, help: "give `default` a text" }
    }

    /// A finding about a NUL in a value.
    #[must_use]
    pub fn nul(&self) -> Unfit {
        Unfit {
            code: "value-nul",
            why: "the value holds a NUL byte, which no environment variable can, so a dotenv file cannot either".into(),
            help: "leave it out of the value, or choose `format: json` or `yaml`",
        }
    }

    fn no_text(&self, what: &str) -> Unfit {
        let why = if what == "a field" {
            "a field of the value is not UTF-8 text, so no JSON object can hold it".to_owned()
        } else {
            format!("{what} is not UTF-8 text, and {} holds nothing else", self.store)
        };
        Unfit { code: "value-no-text", why, help: "declare it in base64 with `encoding: base64`" }
    }
}

/// A value as a place holds it: bytes that are declared in base64 stay in it where only text is held.
#[must_use]
pub fn held<'v>(settings: &TargetSettings, encoding: Encoding, value: &'v Value) -> Cow<'v, Value> {
    match value {
        Value::Single(bytes) if is_encoded(settings, encoding) => Cow::Owned(Value::Single(bytes.to_base64())),
        _ => Cow::Borrowed(value),
    }
}

/// What was held as a value; `None` if it should be base64 and is not.
#[must_use]
pub fn meant(settings: &TargetSettings, encoding: Encoding, held: Value) -> Option<Value> {
    match held {
        Value::Single(text) if is_encoded(settings, encoding) => text.from_base64().map(Value::Single),
        other => Some(other),
    }
}

/// Whether a place holds the base64 text of a value rather than its bytes.
fn is_encoded(settings: &TargetSettings, encoding: Encoding) -> bool {
    encoding == Encoding::Base64 && Takes::of(settings).is_some_and(|takes| !takes.any_bytes)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::target::{FileSettings, SecretsManagerSettings, SsmParameterSettings};

    fn secret() -> TargetSettings {
        TargetSettings::SecretsManager(SecretsManagerSettings::default())
    }

    fn parameter() -> TargetSettings {
        TargetSettings::SsmParameter(SsmParameterSettings::named("/a".into()))
    }

    fn dotenv() -> TargetSettings {
        let (path, key) = (".env".to_owned(), "A".to_owned());
        TargetSettings::File(FileSettings { path, format: FileFormat::Dotenv, merge: true, key })
    }

    fn code(settings: &TargetSettings, value: &[u8]) -> Option<&'static str> {
        let value = Value::Single(SecretValue::new(value.to_vec()));
        Takes::of(settings).unwrap().refuses(&value).map(|unfit| unfit.code)
    }

    #[test]
    fn each_place_refuses_what_its_vendor_refuses() {
        assert_eq!(code(&secret(), &[0xff, 0]), None);
        assert_eq!(code(&secret(), &[b'x'; 65_536]), None);
        assert_eq!(code(&secret(), &[b'x'; 65_537]), Some("value-too-large"));
        assert_eq!(code(&secret(), b""), Some("value-empty"));
        assert_eq!(code(&parameter(), &[0xff]), Some("value-no-text"));
        assert_eq!(code(&parameter(), b"a{{b"), Some("ssm-braces"));
        assert_eq!(code(&parameter(), &[b'x'; 4097]), Some("value-too-large"));
        assert_eq!((code(&dotenv(), b""), code(&dotenv(), b"a\0b")), (None, Some("value-nul")));
        let fields = Value::Fields(vec![("a".into(), SecretValue::new(vec![0xff]))]);
        let refused = Takes::of(&secret()).unwrap().refuses(&fields).map(|unfit| unfit.code);
        assert_eq!(refused, Some("value-no-text"), "a field stands in a JSON object even where bytes are taken");
    }

    #[test]
    fn bytes_go_to_stores_of_bytes_and_base64_to_stores_of_text() {
        let value = Value::Single(SecretValue::new(vec![0xff, 0x00]));
        for (settings, expected) in [(secret(), &[0xff, 0x00][..]), (parameter(), b"/wA="), (dotenv(), b"/wA=")] {
            let there = held(&settings, Encoding::Base64, &value).into_owned();
            assert_eq!(there.to_text().expose(), expected);
            assert!(meant(&settings, Encoding::Base64, there).unwrap().matches(&value));
        }
        let text = Value::Single(SecretValue::from("not:base64"));
        assert!(meant(&parameter(), Encoding::Base64, text.clone()).is_none());
        assert!(held(&parameter(), Encoding::Text, &text).matches(&text));
    }
}
