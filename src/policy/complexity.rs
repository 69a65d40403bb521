//! `kind: complexity`: generated values are long and varied enough.

use super::Breach;
use crate::diagnostic::Span;
use crate::manifest::{Generator, GeneratorKind, Secret, Source};

/// Characters of a UUID in its usual form.
const UUID_CHARS: u32 = 36;

/// Generators whose settings promise too little. Static values are left out: to judge one would tell
/// something of it; external ones are made elsewhere.
pub(super) fn check(secret: &Secret, min_length: Option<u32>, min_classes: Option<u32>) -> Vec<(Span, Breach)> {
    let name = &secret.name.value;
    match &secret.source {
        Source::Single(generator) => judge(&format!("`{name}`"), generator, min_length, min_classes),
        Source::Template(fields) => {
            let judged = fields.iter().flat_map(|field| {
                let subject = format!("the field `{}` of `{name}`", field.name.value);
                judge(&subject, &field.generator, min_length, min_classes)
            });
            judged.collect()
        }
    }
}

fn judge(
    subject: &str,
    generator: &Generator,
    min_length: Option<u32>,
    min_classes: Option<u32>,
) -> Vec<(Span, Breach)> {
    let Some((length, classes)) = strength(&generator.kind) else { return Vec::new() };
    let short = min_length.filter(|min| length < *min).map(|min| Breach {
        rule: "complexity-length",
        message: format!("{subject} has {length} characters, but at least {min} are required"),
        help: format!("set `length: {min}` or more"),
    });
    let plain = min_classes.filter(|min| classes < *min).map(|min| Breach {
        rule: "complexity-classes",
        message: format!("{subject} draws from {}, but at least {min} are required", counted(classes)),
        help: "allow more of upper case, lower case, digits and special characters".to_owned(),
    });
    [short, plain].into_iter().flatten().map(|breach| (generator.span, breach)).collect()
}

fn counted(classes: u32) -> String {
    format!("{classes} character {}", if classes == 1 { "class" } else { "classes" })
}

/// Length and number of character classes, if the settings tell.
fn strength(kind: &GeneratorKind) -> Option<(u32, u32)> {
    match kind {
        GeneratorKind::Password(settings) => Some((settings.length, classes_of(&settings.classes.concat()))),
        GeneratorKind::Text(settings) => Some((settings.length, classes_of(&settings.alphabet))),
        // Its hyphens stand in fixed places, so they are no class of their own.
        GeneratorKind::Uuid => Some((UUID_CHARS, 2)),
        GeneratorKind::Static(_) | GeneratorKind::External(_) => None,
    }
}

/// How many of upper case, lower case, digits and everything else an alphabet has.
fn classes_of(alphabet: &str) -> u32 {
    let tests: [fn(char) -> bool; 4] =
        [char::is_uppercase, char::is_lowercase, char::is_numeric, |c| !c.is_alphanumeric()];
    tests.iter().map(|test| u32::from(alphabet.chars().any(test))).sum()
}
