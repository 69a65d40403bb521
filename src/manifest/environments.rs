//! `environments:`: what differs between the places one Secretfile is applied to.
//!
//! Exactly one of them is chosen for a run. Its variables count before those at top level, its
//! defaults fill what a target's `config` leaves open, and it has a lock of its own.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::load::Inputs;
use super::metadata::variable;
use super::names::path_problem;
use super::node::{Entry, Node, parse};
use super::providers::Providers;
use super::read::{Fields, Reader};
use super::{Environment, ProviderBlock, policies::PROVIDER_KINDS};
use crate::diagnostic::{Diagnostic, Source, Span, Spanned, quote, quote_key};
use crate::target::TargetKind;

/// The section's key.
const SECTION: &str = "environments";
/// Most environments of one file; `validate` reads the file once for each.
const ENVIRONMENTS_MAX: usize = 32;
/// Longest name, in characters.
const NAME_CHARS_MAX: usize = 32;
/// Most values in the defaults for one provider; every target of it is read with them.
const DEFAULTS_NODES_MAX: usize = 100;

/// All environments of a file.
pub(super) struct Environments {
    /// Where the section's key stands; `None` if there is no section.
    span: Option<Span>,
    list: Vec<Declared>,
}

/// One environment with what only the reading needs.
pub(super) struct Declared {
    pub(super) environment: Environment,
    pub(super) variables: BTreeMap<String, String>,
    pub(super) defaults: Defaults,
}

/// The environments that a file declares, as far as they can be read; [`super::load()`] tells the rest.
///
/// This is what a caller needs to read `var_files` before it loads the file. Never fails.
#[must_use]
pub fn environments(source: &Source) -> Vec<Environment> {
    // A key can be spelt with escapes; without either the file is not parsed for nothing.
    if !source.text.contains(SECTION) && !source.text.contains('\\') {
        return Vec::new();
    }
    let Ok(root) = parse(source) else { return Vec::new() };
    source.mark_scalars(super::excerpt::scalars(&root));
    let nothing = |_: &str| None;
    let inputs = Inputs::new(&nothing, Timestamp::UNIX_EPOCH);
    let reader = Reader::new(source, &inputs);
    read(&reader, &root).list.into_iter().map(|declared| declared.environment).collect()
}

/// Reads a file of variables: one mapping of names to texts.
///
/// # Errors
/// What is wrong with it, with places in it.
pub fn variables_file(source: &Source) -> Result<BTreeMap<String, String>, Vec<Diagnostic>> {
    let root = parse(source).map_err(|finding| vec![finding])?;
    // Nothing of it may be shown, not even under a harmless name.
    source.mark_scalars(super::excerpt::closed(&root));
    let nothing = |_: &str| None;
    let inputs = Inputs::new(&nothing, Timestamp::UNIX_EPOCH);
    let reader = Reader::new(source, &inputs);
    let fields = Fields::of(&reader, &root, root.span, "a file of variables");
    let variables = fields.map(|fields| fields.entries.iter().filter_map(|entry| variable(&reader, entry)).collect());
    let (failed, findings) = reader.finish();
    variables.filter(|_| !failed).ok_or(findings)
}

/// The name of an environment's lock unless it declares one. Names that differ give names that
/// differ, also where the file system does not tell case.
#[must_use]
pub fn lock_name(environment: &str) -> String {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let escape = |b: u8| if plain(b) { char::from(b).to_string() } else { format!("_{b:02x}") };
    format!(".gitsecrets.{}.lock", environment.bytes().map(escape).collect::<String>())
}

/// Whether a text can be the name of an environment.
fn is_environment_name(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    (1..=NAME_CHARS_MAX).contains(&text.len())
        && text.bytes().next().is_some_and(plain)
        && text.bytes().all(|b| plain(b) || b == b'-')
}

/// Reads `environments:`.
pub(super) fn read(reader: &Reader, root: &Spanned<Node>) -> Environments {
    let mut environments = Environments { span: None, list: Vec::new() };
    let Node::Map(sections) = &root.value else { return environments };
    let Some((key, node)) = sections.iter().find(|(name, _)| name.value == SECTION) else { return environments };
    environments.span = Some(key.span);
    let Some(fields) = Fields::of(reader, node, key.span, "`environments`") else { return environments };
    if fields.entries.is_empty() {
        let help = "name at least one, such as `production:`, or remove the key";
        reader.error("missing-key", key.span, "`environments` names none", help);
    }
    if fields.entries.len() > ENVIRONMENTS_MAX {
        let message = format!("the file has more than {ENVIRONMENTS_MAX} environments");
        reader.error("out-of-range", key.span, message, "split it into several Secretfiles");
        return environments;
    }
    environments.list = fields.entries.iter().filter_map(|entry| declared(reader, entry)).collect();
    one_lock_each(reader, &environments.list);
    environments
}

fn declared(reader: &Reader, (name, node): &Entry) -> Option<Declared> {
    if !is_environment_name(&name.value) {
        let message = format!("{} cannot be the name of an environment", quote_key(&name.value));
        let help = "use lower-case letters, digits and `-`, at most 32, and begin with a letter or a digit";
        reader.error("bad-name", name.span, message, help);
    }
    let fields = Fields::of(reader, node, name.span, "this environment")?;
    let section =
        |key| fields.get(key).and_then(|(key, node)| Fields::of(reader, node, key.span, key_words(&key.value)));
    let variables = section("variables").map(|fields| fields.entries).unwrap_or_default();
    let defaults = section("defaults").map(|fields| fields.entries).unwrap_or_default();
    let lockfile = fields.get("lockfile").and_then(|(_, node)| path(reader, node, "lockfile"));
    let declared = Declared {
        variables: variables.iter().filter_map(|entry| variable(reader, entry)).collect(),
        defaults: Defaults::read(reader, defaults),
        environment: Environment { name: name.clone(), var_files: var_files(reader, &fields), lockfile },
    };
    fields.finish();
    Some(declared)
}

fn key_words(key: &str) -> &'static str {
    if key == "variables" { "`variables`" } else { "`defaults`" }
}

fn var_files(reader: &Reader, fields: &Fields) -> Vec<Spanned<String>> {
    let Some((_, node)) = fields.get("var_files") else { return Vec::new() };
    if let Node::Scalar(_) = node.value {
        return path(reader, node, "var_files").into_iter().collect();
    }
    let items = fields.list("var_files").unwrap_or_default();
    items.iter().filter_map(|item| path(reader, item, "var_files")).collect()
}

/// A path below the folder of the Secretfile, as it stands: variables are not known yet.
fn path(reader: &Reader, node: &Spanned<Node>, key: &str) -> Option<Spanned<String>> {
    let help = "name a file below the folder of the Secretfile, such as `environments/production.yml`";
    let Node::Scalar(text) = &node.value else {
        let message = format!("`{key}` holds {}, not a path", node.value.name());
        reader.error("wrong-type", node.span, message, help);
        return None;
    };
    let problem = match path_problem(text) {
        _ if text.contains("${") => Some("holds a variable, and it is read before they are known"),
        _ if text.starts_with(['/', '~']) || text.contains(':') => Some("is not relative"),
        _ if text.split('/').any(|part| part.eq_ignore_ascii_case(".git")) => Some("leads into git's own files"),
        problem => problem,
    };
    if let Some(problem) = problem {
        reader.error("bad-path", node.span, format!("the path {problem}"), help);
        return None;
    }
    Some(Spanned::new(text.clone(), node.span))
}

/// Two environments with one lock would each take the other's secrets for orphans.
fn one_lock_each(reader: &Reader, list: &[Declared]) {
    let mut seen: BTreeMap<String, &Environment> = BTreeMap::new();
    for Declared { environment, .. } in list {
        let lock = environment.lock_path().to_lowercase();
        let span = environment.lockfile.as_ref().map_or(environment.name.span, |lockfile| lockfile.span);
        if let Some(first) = seen.get(&lock) {
            let (mine, other) = (quote(&environment.name.value), quote(&first.name.value));
            let message = format!("the environments {other} and {mine} have one lock");
            reader.error("duplicate-lockfile", span, message, "give each a `lockfile` of its own, or none");
        }
        if environment.var_files.iter().any(|file| file.value.to_lowercase() == lock) {
            let message = "this lock is a file of variables as well";
            reader.error("duplicate-lockfile", span, message, "give the lock another name");
        }
        seen.entry(lock).or_insert(environment);
    }
}

impl Environments {
    /// The chosen one; `Some(None)` for a file that declares none, `None` if there is none to choose,
    /// which was told.
    pub(super) fn choose(&self, reader: &Reader) -> Option<Option<&Declared>> {
        let Some(span) = self.span else { return Some(None) };
        if self.list.is_empty() {
            return None;
        }
        let names: Vec<String> = self.list.iter().map(|one| one.environment.name.value.clone()).collect();
        let known: Vec<&str> = names.iter().map(String::as_str).collect();
        let Some(chosen) = &reader.inputs.environment_name else {
            let message = format!("this file is for {}, and none is chosen", plural(&known));
            let help =
                format!("choose one with `--environment` (the action's input `environment`): {}", known.join(", "));
            reader.error("no-environment", span, message, help);
            return None;
        };
        let found = self.list.iter().find(|one| one.environment.name.value == *chosen);
        if found.is_none() {
            let help = reader.suggestion(chosen, &known, "the file declares none that can be read");
            reader.error("unknown-environment", span, format!("there is no environment {}", quote(chosen)), help);
        }
        found.map(Some)
    }

    /// The files that belong to them, in lower case.
    pub(super) fn files(&self) -> Vec<String> {
        let files = |one: &Declared| {
            let var_files = one.environment.var_files.iter().map(|file| file.value.to_lowercase());
            var_files.chain([one.environment.lock_path().to_lowercase()]).collect::<Vec<_>>()
        };
        self.list.iter().flat_map(files).collect()
    }

    /// Checks what the defaults of every environment are for.
    pub(super) fn check_defaults(&self, reader: &Reader, providers: &Providers) {
        let known = names(providers);
        for name in self.list.iter().flat_map(|one| &one.defaults.sets).map(|set| &set.name) {
            if !known.contains(&name.value.as_str()) {
                let help = reader.suggestion(&name.value, &known, "there are none");
                let message = format!("{} is no provider, kind of provider or kind of target", quote_key(&name.value));
                reader.error("unknown-provider", name.span, message, help);
            }
        }
    }
}

/// What defaults can be for.
fn names(providers: &Providers) -> Vec<&str> {
    let kinds = PROVIDER_KINDS.iter().map(|(word, _)| *word);
    let targets = TargetKind::ALL.iter().map(|kind| kind.as_str());
    providers.aliases().into_iter().chain(kinds).chain(targets).collect()
}

fn plural(names: &[&str]) -> String {
    if names.len() == 1 { "one environment".to_owned() } else { format!("{} environments", names.len()) }
}

/// `defaults:` of the chosen environment: settings for every target of a provider or kind.
#[derive(Default)]
pub(super) struct Defaults {
    sets: Vec<Set>,
}

struct Set {
    /// Alias or kind of a provider, or a kind of target.
    name: Spanned<String>,
    entries: Vec<Entry>,
    /// Whether a target is of that provider or kind.
    used: std::cell::Cell<bool>,
    /// The keys that such targets know.
    known: RefCell<BTreeSet<&'static str>>,
}

/// A target's `config` with the settings that it leaves open, which stand at the end.
pub(super) struct Filled {
    pub(super) node: Spanned<Node>,
    /// How many entries at the end are not its own.
    pub(super) lent: usize,
}

impl Defaults {
    fn read(reader: &Reader, entries: &[Entry]) -> Self {
        let set = |(name, node): &Entry| {
            let fields = Fields::of(reader, node, name.span, "this default")?;
            if nodes(&node.value) > DEFAULTS_NODES_MAX {
                let message = format!("these defaults hold more than {DEFAULTS_NODES_MAX} values");
                reader.error("too-complex", name.span, message, "put what is special into the targets");
                return None;
            }
            let entries = fields.entries.to_vec();
            Some(Set { name: name.clone(), entries, used: false.into(), known: RefCell::default() })
        };
        Self { sets: entries.iter().filter_map(set).collect() }
    }

    /// The sets for a target, the most particular first: alias, kind of target, kind of provider.
    fn of<'d>(&'d self, block: Option<&ProviderBlock>, kind: TargetKind) -> impl Iterator<Item = &'d Set> {
        let alias = block.map(|block| block.alias.value.clone());
        let provider = block.map(|block| block.kind.as_str().to_owned());
        let names = [alias, Some(kind.as_str().to_owned()), provider];
        let mut seen = BTreeSet::new();
        let names = names.into_iter().flatten().filter(move |name| seen.insert(name.clone()));
        names.filter_map(|name| self.sets.iter().find(|set| set.name.value == name))
    }

    /// A target's `config` filled up; `None` if nothing is to be added.
    pub(super) fn fill(&self, own: &Spanned<Node>, block: Option<&ProviderBlock>, kind: TargetKind) -> Option<Filled> {
        let mut entries = match &own.value {
            Node::Map(entries) => entries.clone(),
            Node::Null => Vec::new(),
            _ => return None,
        };
        let count = entries.len();
        for (key, value) in self.of(block, kind).flat_map(|set| &set.entries) {
            match entries.iter_mut().find(|(name, _)| name.value == key.value) {
                Some((_, there)) => merge(there, value),
                None => entries.push((key.clone(), value.clone())),
            }
        }
        let lent = entries.len() - count;
        Some(Filled { node: Spanned::new(Node::Map(entries), own.span), lent }).filter(|_| !self.sets.is_empty())
    }

    /// Remembers which settings a target of that kind knows.
    pub(super) fn note(&self, block: Option<&ProviderBlock>, kind: TargetKind, asked: &[&'static str]) {
        for set in self.of(block, kind) {
            set.used.set(true);
            set.known.borrow_mut().extend(asked);
        }
    }

    /// Tells what no target took.
    pub(super) fn finish(&self, reader: &Reader, providers: &Providers) {
        let known = names(providers);
        for set in self.sets.iter().filter(|set| known.contains(&set.name.value.as_str())) {
            let name = quote_key(&set.name.value);
            if !set.used.get() {
                let message = format!("no target is of the provider or kind {name}, so these defaults do nothing");
                reader.warning("unused-defaults", set.name.span, message, "remove them, or name another");
                continue;
            }
            let known: Vec<&str> = set.known.borrow().iter().copied().collect();
            for (key, _) in
                set.entries.iter().filter(|(key, _)| !known.is_empty() && !known.contains(&key.value.as_str()))
            {
                let message = format!("no target of {name} has a setting {}", quote_key(&key.value));
                reader.error("unknown-key", key.span, message, reader.suggestion(&key.value, &known, "they have none"));
            }
        }
    }
}

/// Of two mappings the entries that the first lacks are added to it; anything else stays as it is.
fn merge(there: &mut Spanned<Node>, value: &Spanned<Node>) {
    let (Node::Map(own), Node::Map(more)) = (&mut there.value, &value.value) else { return };
    for (key, value) in more {
        if own.iter().all(|(name, _)| name.value != key.value) {
            own.push((key.clone(), value.clone()));
        }
    }
}

fn nodes(node: &Node) -> usize {
    match node {
        Node::Null | Node::Scalar(_) => 1,
        Node::List(items) => 1 + items.iter().map(|item| nodes(&item.value)).sum::<usize>(),
        Node::Map(entries) => 1 + entries.iter().map(|(_, value)| nodes(&value.value)).sum::<usize>(),
    }
}
