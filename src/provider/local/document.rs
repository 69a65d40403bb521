//! A file of keys and values that can be edited without touching a byte of what else is in it.
//!
//! A format only tells where each value stands ([`Layout`]) and how one is written. Editing is then the
//! same for all: cut the value out, put the new one in, append what is new. Before the text is handed
//! out it is read again, and unless exactly the intended members changed, the edit is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use zeroize::Zeroizing;

use super::{dotenv, json, yaml};
use crate::secret::{SecretValue, Shape, Value};
use crate::target::FileFormat;

/// Why a file cannot be read or edited: one clause, without any value of the file.
pub(super) type Refusal = String;

/// Where a member stands in the text.
#[derive(Clone)]
pub(super) struct Slot {
    /// Everything that goes with the member when it is removed.
    pub(super) whole: Range<usize>,
    /// The value as written.
    pub(super) value: Range<usize>,
    /// Column of the value, in characters from zero; block YAML needs it.
    pub(super) column: usize,
    /// Why the value cannot be replaced, if it cannot.
    pub(super) fixed: Option<&'static str>,
}

/// What a format tells of a text.
pub(super) struct Layout {
    /// Every member with a name, in order; of members with one name the last counts.
    pub(super) members: Vec<(String, Slot)>,
    /// Where new members go.
    pub(super) append_at: usize,
    /// Goes before the first new member.
    pub(super) lead: String,
    /// Goes between new members.
    pub(super) between: String,
    /// Goes after the last new member.
    pub(super) tail: String,
    /// What starts a line within an object of fields; none writes them on one line.
    pub(super) nested: Option<String>,
    /// Quotes that are opened and never closed, with the member that opens them: the same quote
    /// written after it would close it.
    pub(super) unclosed: Vec<(char, String)>,
}

struct Member {
    name: String,
    /// None for a member that is new.
    slot: Option<Slot>,
    new: Option<Zeroizing<String>>,
    removed: bool,
}

/// The text with the edits to come.
pub(super) struct Document {
    format: FileFormat,
    text: Zeroizing<String>,
    layout: Layout,
    members: Vec<Member>,
    /// The member that counts, by name.
    index: BTreeMap<String, usize>,
}

impl Document {
    /// Reads a text; an empty one is a document without members.
    pub(super) fn parse(format: FileFormat, text: Zeroizing<String>) -> Result<Self, Refusal> {
        let empty = format == FileFormat::Json && text.trim().is_empty();
        let text = if empty { Zeroizing::new("{}\n".to_owned()) } else { text };
        let mut layout = layout(format, &text)?;
        let mut document = Self { format, text, members: Vec::new(), index: BTreeMap::new(), layout: layout.cleared() };
        for (name, slot) in std::mem::take(&mut layout.members) {
            document.push(Member { name, slot: Some(slot), new: None, removed: false });
        }
        document.layout = layout;
        Ok(document)
    }

    fn push(&mut self, member: Member) {
        self.index.insert(member.name.clone(), self.members.len());
        self.members.push(member);
    }

    /// The names of all members.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.index.keys().map(String::as_str)
    }

    /// The member that counts under a name, as written, with its column.
    fn written(&self, name: &str) -> Option<(&str, usize)> {
        let member = &self.members[*self.index.get(name)?];
        match (&member.new, &member.slot) {
            (Some(new), _) => Some((new, 0)),
            (None, Some(slot)) => Some((&self.text[slot.value.clone()], slot.column)),
            (None, None) => None,
        }
    }

    /// The value under a key. Where fields are asked for and something else stands there, that is
    /// returned as one text.
    pub(super) fn value(&self, key: &str, shape: &Shape) -> Option<Value> {
        if let (FileFormat::Dotenv, Shape::Fields(fields)) = (self.format, shape) {
            let present = fields.iter().filter_map(|field| {
                let (raw, _) = self.written(&dotenv::field_name(key, field))?;
                Some((field.clone(), dotenv::decode(raw)))
            });
            let present: Vec<(String, SecretValue)> = present.collect();
            return (!present.is_empty()).then_some(Value::Fields(present));
        }
        let (raw, column) = self.written(key)?;
        let decoded = match self.format {
            FileFormat::Dotenv => Some(Value::Single(dotenv::decode(raw))),
            FileFormat::Json => json::decode(raw),
            FileFormat::Yaml => yaml::decode(raw, column),
        };
        Some(match (shape, decoded) {
            (Shape::Single, Some(value @ Value::Single(_))) | (Shape::Fields(_), Some(value)) => value,
            _ => Value::Single(SecretValue::from(raw)),
        })
    }

    /// Puts a value under a key; what `former` had there beside it goes.
    pub(super) fn put(&mut self, key: &str, value: &Value, former: &Shape) -> Result<(), Refusal> {
        let written = match (self.format, value) {
            (FileFormat::Dotenv, Value::Single(value)) => vec![(key.to_owned(), dotenv::encode(value)?)],
            (FileFormat::Dotenv, Value::Fields(fields)) => {
                let fields = fields.iter().map(|(f, value)| Ok((dotenv::field_name(key, f), dotenv::encode(value)?)));
                fields.collect::<Result<Vec<_>, Refusal>>()?
            }
            (FileFormat::Json, value) => vec![(key.to_owned(), json::encode(value, self.layout.nested.as_deref())?)],
            // JSON on one line is YAML too, wherever the value stands.
            (FileFormat::Yaml, value) => vec![(key.to_owned(), json::encode(value, None)?)],
        };
        for name in names_of(self.format, key, former) {
            if !written.iter().any(|(written, _)| *written == name) {
                self.remove(&name);
            }
        }
        for (name, raw) in written {
            self.set(name, raw)?;
        }
        Ok(())
    }

    fn set(&mut self, name: String, raw: Zeroizing<String>) -> Result<(), Refusal> {
        let Some(index) = self.index.get(&name) else {
            self.push(Member { name, slot: None, new: Some(raw), removed: false });
            return Ok(());
        };
        let member = &mut self.members[*index];
        if let Some(reason) = member.slot.as_ref().and_then(|slot| slot.fixed) {
            return Err(format!("the key `{name}` {reason}; edit the file by hand"));
        }
        member.new = Some(raw);
        Ok(())
    }

    /// Removes a member of a dotenv file; others keep their fields within one value.
    fn remove(&mut self, name: &str) {
        if self.format == FileFormat::Dotenv
            && let Some(index) = self.index.remove(name)
        {
            self.members[index].removed = true;
        }
    }

    /// Rebuilds the file with nothing but these members, each as it was written.
    pub(super) fn keep_only(&mut self, names: &BTreeSet<String>) -> Result<(), Refusal> {
        let mut rebuilt = Self::parse(self.format, Zeroizing::new(String::new()))?;
        for (index, member) in self.members.iter().enumerate() {
            let counts = self.index.get(&member.name) == Some(&index);
            if !counts || !names.contains(&member.name) {
                continue;
            }
            let Some((raw, column)) = self.written(&member.name) else { continue };
            let raw = match self.format {
                // A block of YAML depends on where it stands: write it anew.
                FileFormat::Yaml => match yaml::decode(raw, column) {
                    Some(value) => json::encode(&value, None)?,
                    None => continue,
                },
                _ => Zeroizing::new(raw.to_owned()),
            };
            rebuilt.set(member.name.clone(), raw)?;
        }
        *self = rebuilt;
        Ok(())
    }

    /// The edited text, read again to be sure that only what was meant to change has changed.
    pub(super) fn render(&self) -> Result<Zeroizing<String>, Refusal> {
        for (quote, name) in &self.layout.unclosed {
            if self.members.iter().any(|member| member.new.as_ref().is_some_and(|new| new.contains(*quote))) {
                return Err(format!("the value of `{name}` opens a quote that is never closed; close it by hand"));
            }
        }
        let text = self.spliced();
        let read = Self::parse(self.format, text.clone())?;
        let written = |document: &Self, member: &Member| match (&member.new, &member.slot) {
            (Some(new), _) => new.trim().to_owned(),
            (None, Some(slot)) => document.text[slot.value.clone()].trim().to_owned(),
            (None, None) => String::new(),
        };
        let mut expected = self.members.iter().filter(|member| !member.removed);
        let mut found = read.members.iter();
        loop {
            match (expected.next(), found.next()) {
                (None, None) => return Ok(text),
                (Some(a), Some(b))
                    if a.name == b.name && written(self, a) == written(&read, b) && self.reads_alike(a, &read, b) => {}
                (Some(member), _) | (None, Some(member)) => {
                    return Err(format!(
                        "it cannot be edited safely: `{}` would be read differently afterwards; edit it by hand",
                        member.name
                    ));
                }
            }
        }
    }

    /// Whether a member that was left alone still has its value: a block of YAML that ended the file
    /// without a line end gets one from what follows it.
    fn reads_alike(&self, member: &Member, read: &Self, found: &Member) -> bool {
        let (Some(before), Some(after), None) = (&member.slot, &found.slot, &member.new) else { return true };
        let (old, new) = (&self.text[before.value.clone()], &read.text[after.value.clone()]);
        if self.format != FileFormat::Yaml || (old == new && before.column == after.column) {
            return true;
        }
        // The parser reads an open end as a line end, others do not.
        if new.len() > old.len() && new.starts_with(old) && !old.ends_with('\n') {
            return old.starts_with(['|', '>']) && old.lines().next().is_some_and(|header| header.contains('-'));
        }
        match (yaml::decode(old, before.column), yaml::decode(new, after.column)) {
            (Some(old), Some(new)) => old.matches(&new),
            _ => false,
        }
    }

    fn spliced(&self) -> Zeroizing<String> {
        let added: usize = self.members.iter().filter_map(|m| Some(m.name.len() + m.new.as_ref()?.len() + 64)).sum();
        // Reserved in full, so that no half-made copy stays behind in freed memory.
        let mut text = Zeroizing::new(String::with_capacity(self.text.len() + added + 64));
        let mut copied = 0;
        for member in &self.members {
            let Some(slot) = &member.slot else { continue };
            let (cut, new) = match (&member.new, member.removed) {
                (_, true) => (&slot.whole, ""),
                (Some(new), false) => (&slot.value, new.as_str()),
                (None, false) => continue,
            };
            text.push_str(&self.text[copied..cut.start]);
            // After `key:` without a value YAML needs a space.
            let yaml = self.format == FileFormat::Yaml;
            text.push_str(if yaml && cut.is_empty() { " " } else { "" });
            text.push_str(new);
            // A block scalar reaches over its line's end and over blank lines, which stay.
            let blank = if yaml { &[' ', '\t', '\r', '\n'][..] } else { &[] };
            copied = cut.start + self.text[cut.clone()].trim_end_matches(blank).len();
        }
        text.push_str(&self.text[copied..self.layout.append_at]);
        let new = self.members.iter().filter(|member| member.slot.is_none() && !member.removed);
        let mut before = self.layout.lead.as_str();
        for member in new {
            text.push_str(before);
            text.push_str(&self.introduced(&member.name));
            text.push_str(member.new.as_ref().map_or("", |new| new.as_str()));
            before = &self.layout.between;
        }
        let any = !std::ptr::eq(before, self.layout.lead.as_str());
        text.push_str(if any { &self.layout.tail } else { "" });
        text.push_str(&self.text[self.layout.append_at..]);
        text
    }

    /// A name with what stands between it and its value.
    fn introduced(&self, name: &str) -> String {
        match self.format {
            FileFormat::Dotenv => format!("{name}="),
            FileFormat::Json => format!("{}: ", json::quoted(name)),
            FileFormat::Yaml => format!("{}: ", yaml::key(name)),
        }
    }
}

impl Layout {
    fn cleared(&self) -> Self {
        let Self { append_at, lead, between, tail, nested, unclosed, .. } = self;
        Self {
            members: Vec::new(),
            append_at: *append_at,
            lead: lead.clone(),
            between: between.clone(),
            tail: tail.clone(),
            nested: nested.clone(),
            unclosed: unclosed.clone(),
        }
    }
}

fn layout(format: FileFormat, text: &str) -> Result<Layout, Refusal> {
    match format {
        FileFormat::Dotenv => Ok(dotenv::layout(text)),
        FileFormat::Json => json::layout(text),
        FileFormat::Yaml => yaml::layout(text),
    }
}

/// The members that hold a value under a key.
pub(super) fn names_of(format: FileFormat, key: &str, shape: &Shape) -> Vec<String> {
    match (format, shape) {
        (FileFormat::Dotenv, Shape::Fields(fields)) => {
            fields.iter().map(|field| dotenv::field_name(key, field)).collect()
        }
        _ => vec![key.to_owned()],
    }
}

/// The line ending that a text uses.
pub(super) fn line_ending(text: &str) -> &'static str {
    match text.find('\n') {
        Some(at) if text[..at].ends_with('\r') => "\r\n",
        _ => "\n",
    }
}
