//! What can be told of a secret's value before it is made, and which of its targets cannot hold it.
//!
//! A static value is known to the byte, a generated one by its length; an unresolved or external one is
//! known only when it is there, and then checked before the first write.

use std::collections::BTreeMap;

use super::{Field, Generator, GeneratorKind, Part, Source, StaticSettings};
use crate::secret::{Encoding, SecretValue};
use crate::takes::{Takes, Unfit};
use crate::target::TargetSettings;

/// What is known of one text.
#[derive(Debug, Clone, Copy, Default)]
struct Extent {
    /// Fewest and most bytes of the text itself; the most may be unknown.
    bytes: (usize, Option<usize>),
    /// The same as the inside of a JSON string.
    json: (usize, Option<usize>),
    /// A NUL is in it for certain.
    nul: bool,
}

impl Extent {
    const UNKNOWN: Self = Self { bytes: (0, None), json: (0, None), nul: false };

    fn of_text(text: &[u8]) -> Self {
        let json = text.iter().map(|byte| json_bytes(*byte)).sum();
        Self { bytes: (text.len(), Some(text.len())), json: (json, Some(json)), nul: text.contains(&0) }
    }

    /// So many characters of an alphabet.
    fn drawn(length: usize, alphabet: impl Iterator<Item = char> + Clone) -> Self {
        let inside = |c: char| if c.is_ascii() { json_bytes(c as u8) } else { c.len_utf8() };
        let bounds = |sizes: &mut dyn Iterator<Item = usize>| {
            let (least, most) = sizes.fold((usize::MAX, 0), |(least, most), size| (least.min(size), most.max(size)));
            (length.saturating_mul(least), Some(length.saturating_mul(most)))
        };
        let bytes = bounds(&mut alphabet.clone().map(char::len_utf8));
        Self { bytes, json: bounds(&mut alphabet.map(inside)), nul: false }
    }

    fn and(self, other: Self) -> Self {
        let sum = |a: (usize, Option<usize>), b: (usize, Option<usize>)| {
            (a.0.saturating_add(b.0), a.1.zip(b.1).map(|(a, b)| a.saturating_add(b)))
        };
        Self { bytes: sum(self.bytes, other.bytes), json: sum(self.json, other.json), nul: self.nul || other.nul }
    }
}

/// Bytes of one byte inside a JSON string as `serde_json` writes it.
const fn json_bytes(byte: u8) -> usize {
    match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 2,
        0..0x20 => 6,
        _ => 1,
    }
}

/// Why a target cannot hold the value of a secret, as far as it can be told.
pub(super) fn unfit(source: &Source, settings: &TargetSettings) -> Option<Unfit> {
    let takes = Takes::of(settings)?;
    let (bytes, nul) = match source {
        Source::Single(generator) => {
            let extent = single(generator, &takes);
            (extent.bytes, extent.nul)
        }
        Source::Template(fields) => template(fields),
    };
    match bytes {
        _ if nul && !takes.nul => Some(takes.nul()),
        (0, Some(0)) if takes.bytes_min > 0 => Some(takes.empty()),
        (least, most) if least > takes.bytes_max => {
            Some(takes.too_large(if most == Some(least) { "has" } else { "has at least" }, least))
        }
        (_, Some(most)) if most > takes.bytes_max => Some(takes.too_large("may have up to", most)),
        _ => None,
    }
}

fn single(generator: &Generator, takes: &Takes) -> Extent {
    let GeneratorKind::Static(settings) = &generator.kind else { return of_generator(&generator.kind) };
    if settings.encoding == Encoding::Text {
        return of_parts(settings, &mut |_| Extent::UNKNOWN);
    }
    let bytes = encoded(settings);
    bytes.map_or(Extent::UNKNOWN, |bytes| {
        let held = if takes.any_bytes { bytes } else { bytes.to_base64() };
        Extent::of_text(held.expose())
    })
}

/// The bytes of a value that is declared in base64, if they are known.
pub(super) fn encoded(settings: &StaticSettings) -> Option<SecretValue> {
    match settings.value.as_deref()? {
        [Part::Text(text)] => text.from_base64(),
        _ => None,
    }
}

fn of_generator(kind: &GeneratorKind) -> Extent {
    match kind {
        GeneratorKind::Password(settings) => {
            Extent::drawn(settings.length as usize, settings.classes.iter().flat_map(|class| class.chars()))
        }
        GeneratorKind::Text(settings) => Extent::drawn(settings.length as usize, settings.alphabet.chars()),
        GeneratorKind::Uuid => Extent::drawn(36, "0-".chars()),
        GeneratorKind::Static(_) | GeneratorKind::External(_) => Extent::UNKNOWN,
    }
}

fn of_parts(settings: &StaticSettings, of_field: &mut dyn FnMut(&str) -> Extent) -> Extent {
    let Some(parts) = &settings.value else { return Extent::UNKNOWN };
    let none = Extent { bytes: (0, Some(0)), json: (0, Some(0)), nul: false };
    parts.iter().fold(none, |sum, part| {
        sum.and(match part {
            Part::Text(text) => Extent::of_text(text.expose()),
            Part::Field(name) => of_field(name),
        })
    })
}

/// The bytes of the JSON object of a template: `{"name":"value",…}`.
fn template(fields: &[Field]) -> ((usize, Option<usize>), bool) {
    let mut known = BTreeMap::new();
    let mut sum = (fields.len().saturating_sub(1) + 2, Some(fields.len().saturating_sub(1) + 2));
    let mut nul = false;
    for field in fields {
        let name = &field.name.value;
        let extent = of_field(fields, name, &mut known);
        let frame = Extent::of_text(name.as_bytes()).json.0 + 5;
        sum = (
            sum.0.saturating_add(extent.json.0 + frame),
            sum.1.zip(extent.json.1).map(|(a, b)| a.saturating_add(b.saturating_add(frame))),
        );
        nul |= extent.nul;
    }
    (sum, nul)
}

/// Each field is looked at once; in a circle, which was told already, nothing is known of one.
fn of_field<'f>(fields: &'f [Field], name: &str, known: &mut BTreeMap<&'f str, Extent>) -> Extent {
    let Some(field) = fields.iter().find(|field| field.name.value == name) else { return Extent::UNKNOWN };
    if let Some(extent) = known.get(field.name.value.as_str()) {
        return *extent;
    }
    known.insert(&field.name.value, Extent::UNKNOWN);
    let extent = match &field.generator.kind {
        GeneratorKind::Static(settings) => of_parts(settings, &mut |other| of_field(fields, other, known)),
        other => of_generator(other),
    };
    known.insert(&field.name.value, extent);
    extent
}
