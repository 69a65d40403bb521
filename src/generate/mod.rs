//! Makes one new value of a secret from its declaration and from random bytes, and from nothing else.
//!
//! Every draw is uniform: indices come from rejection sampling, and a password is uniform among all
//! strings of its length that hold every enabled class (see `password.rs`).

mod draw;
mod password;
mod static_value;
mod text;
mod uuid;
mod validation;

use std::collections::BTreeMap;

use crate::clock::{Entropy, NoEntropy};
use crate::manifest::{Field, Generator, GeneratorKind, Source};
use crate::secret::{SecretValue, Value};
use draw::Draws;
use static_value::static_value;
pub use validation::is_valid;

/// Most characters that one generator makes.
pub const LENGTH_CHARS_MAX: u32 = 65_536;

/// Why no value could be made; names the field, never a value.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    /// The operating system gave no random bytes.
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
    /// A static value holds a variable that was left unresolved.
    #[error("{subject} needs an environment variable that is not set; set it, then run again")]
    Unresolved {
        /// The field, or the value as a whole.
        subject: String,
    },
    /// A static value does not match its pattern.
    #[error("{subject} does not match its `validation` pattern as a whole; correct the value or the pattern")]
    Mismatch {
        /// The field, or the value as a whole.
        subject: String,
    },
    /// A static value is declared to be base64 and is not.
    #[error("{subject} is not base64, as its `encoding` says; correct the value or the `encoding`")]
    Encoding {
        /// The field, or the value as a whole.
        subject: String,
    },
    /// The pattern is no regular expression.
    #[error("the `validation` pattern of {subject} is not a regular expression; correct it")]
    Pattern {
        /// The field, or the value as a whole.
        subject: String,
    },
    /// A `{{field}}` names a field that the template does not have.
    #[error(
        "{subject} refers to `{{{{{field}}}}}`, but there is no field of that name; declare it or correct the name"
    )]
    UnknownField {
        /// The field, or the value as a whole.
        subject: String,
        /// The name that is missing.
        field: String,
    },
    /// Fields refer to each other in a circle.
    #[error("{subject} refers to itself through its `{{{{…}}}}`; break the circle")]
    Circle {
        /// One field of the circle.
        subject: String,
    },
    /// The settings allow no value at all.
    #[error("{subject} cannot be generated: {reason}")]
    Impossible {
        /// The field, or the value as a whole.
        subject: String,
        /// What contradicts, and what to change.
        reason: &'static str,
    },
}

/// Makes a value.
///
/// With `carried` (a revised secret), random fields that it holds keep their value, and a single
/// random value is kept as it is; static ones are always made anew from the declaration.
///
/// # Errors
/// [`GenerateError`].
pub fn generate(source: &Source, carried: Option<&Value>, entropy: &dyn Entropy) -> Result<Value, GenerateError> {
    let mut draws = Draws::new(entropy);
    match source {
        Source::Single(generator) => {
            let kept = match carried {
                Some(Value::Single(value)) => Some(value),
                _ => None,
            };
            let no_fields = |subject: &str, field: &str| {
                Err(GenerateError::UnknownField { subject: subject.to_owned(), field: field.to_owned() })
            };
            let value = if let GeneratorKind::Static(settings) = &generator.kind {
                static_value("the value", settings, |field| no_fields("the value", field))?
            } else {
                random_or_kept("the value", generator, kept, &mut draws)?
            };
            Ok(Value::Single(value))
        }
        Source::Template(fields) => {
            let mut generation = Generation { fields, carried, draws, states: BTreeMap::new() };
            let values = fields
                .iter()
                .map(|field| Ok((field.name.value.clone(), generation.value_of(&field.name.value, "the template")?)));
            Ok(Value::Fields(values.collect::<Result<_, GenerateError>>()?))
        }
    }
}

/// How far a field is.
enum State {
    /// Its value is being made: who asks for it now closes a circle.
    Begun,
    /// Its value.
    Made(SecretValue),
}

/// The fields of one template while their values are made, each one once and on demand.
struct Generation<'a> {
    fields: &'a [Field],
    carried: Option<&'a Value>,
    draws: Draws<'a>,
    states: BTreeMap<&'a str, State>,
}

impl Generation<'_> {
    /// The value of a field; makes those it refers to first.
    fn value_of(&mut self, name: &str, asked_by: &str) -> Result<SecretValue, GenerateError> {
        let Some(field) = self.fields.iter().find(|field| field.name.value == name) else {
            return Err(GenerateError::UnknownField { subject: asked_by.to_owned(), field: name.to_owned() });
        };
        let subject = format!("the field `{name}`");
        match self.states.get(name) {
            Some(State::Made(value)) => return Ok(value.clone()),
            Some(State::Begun) => return Err(GenerateError::Circle { subject }),
            None => self.states.insert(&field.name.value, State::Begun),
        };
        let value = if let GeneratorKind::Static(settings) = &field.generator.kind {
            static_value(&subject, settings, |other| self.value_of(other, &subject))?
        } else {
            let kept = self.carried.and_then(|carried| carried.field(name));
            random_or_kept(&subject, &field.generator, kept, &mut self.draws)?
        };
        self.states.insert(&field.name.value, State::Made(value.clone()));
        Ok(value)
    }
}

/// The value that is carried over, or a new random one.
fn random_or_kept(
    subject: &str,
    generator: &Generator,
    kept: Option<&SecretValue>,
    draws: &mut Draws<'_>,
) -> Result<SecretValue, GenerateError> {
    if let Some(value) = kept {
        return Ok(value.clone());
    }
    match &generator.kind {
        GeneratorKind::Password(settings) => password::password(subject, settings, draws),
        GeneratorKind::Text(settings) => text::text(subject, settings, draws),
        GeneratorKind::Uuid => Ok(uuid::uuid(draws)?),
        GeneratorKind::External(_) => Err(impossible(subject, "its value is made elsewhere; put it there yourself")),
        GeneratorKind::Static(_) => Err(impossible(subject, "a static value is not random; this is a bug, report it")),
    }
}

fn impossible(subject: &str, reason: &'static str) -> GenerateError {
    GenerateError::Impossible { subject: subject.to_owned(), reason }
}

#[cfg(test)]
mod tests;
