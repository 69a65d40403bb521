//! What must hold for any bytes: one function for each kind of input that a stranger may write.
//!
//! `tests/it/fuzz.rs` drives them with a seeded mutator on every run of the tests, and `tests/fuzz/run`
//! with libFuzzer, by hand. A function returns if all is well and panics if not.

use std::collections::{BTreeMap, BTreeSet};

use secretzero::apply::{journal_bytes, journal_intents as intents};
use secretzero::cli::ci::ref_ledger;
use secretzero::diagnostic::{Severity, Source, render};
use secretzero::forge::github::event::{Event, Unreadable};
use secretzero::forge::{Marker, cut, utf16_units, visible};
use secretzero::lockfile::Lockfile;
use secretzero::manifest::{Inputs, environments, load, variables_file};
use secretzero::mark::Mark;
use secretzero::provider::local::{edited, names_in, value_in};
use secretzero::secret::{Shape, Value};
use secretzero::target::FileFormat;

/// A function that panics on bytes for which something does not hold.
pub(crate) type Target = fn(&[u8]);

/// All targets, with the folders of their seeds below `tests/`.
pub(crate) const TARGETS: &[(&str, Target, &[&str])] = &[
    ("manifest", manifest, &["fixtures/examples", "fixtures/manifests/good", "fixtures/manifests/bad"]),
    ("dotenv", dotenv, &["fuzz/seeds/dotenv"]),
    ("event", event, &["fixtures/webhooks/github"]),
    ("marker", marker, &["fuzz/seeds/marker"]),
    ("lock", lock, &["fuzz/seeds/lock"]),
];

/// The parts of an input between NUL bytes, as text; those that are missing are empty.
fn parts<const N: usize>(data: &[u8]) -> [String; N] {
    let mut parts = data.splitn(N, |byte| *byte == 0);
    std::array::from_fn(|_| String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned())
}

/// A Secretfile becomes a manifest, or errors with a place and an advice; in each of its environments.
fn manifest(data: &[u8]) {
    let source = match Source::from_bytes("Secretfile.yml", data.to_vec()) {
        Ok(source) => source,
        Err(finding) => {
            assert!(!render(&Source::new("", ""), &[finding], false).is_empty());
            return;
        }
    };
    let declared = environments(&source);
    let mut names: Vec<Option<String>> = declared.iter().map(|one| Some(one.name.value.clone())).take(2).collect();
    names.push(None);
    for environment_name in names {
        load_one(&source, environment_name, declared.is_empty());
    }
    for file in declared.iter().flat_map(|one| &one.var_files) {
        assert!(!file.value.starts_with('/') && file.value.split('/').all(|part| part != ".."), "{file:?}");
    }
    if let Err(findings) = variables_file(&Source::new("vars.yml", source.text.clone())) {
        assert!(findings.iter().any(|finding| finding.severity == Severity::Error));
    }
}

fn load_one(source: &Source, environment_name: Option<String>, takes_any: bool) {
    let set = |name: &str| name.len().is_multiple_of(2).then(|| format!("x-{name}"));
    let Ok(now) = "2026-06-01T00:00:00Z".parse() else { return };
    let named = environment_name.is_some();
    let inputs = Inputs { environment_name, ..Inputs::new(&set, now) };
    let loaded = load(source, &inputs);
    let failed = loaded.diagnostics.iter().any(|finding| finding.severity == Severity::Error);
    assert_eq!(loaded.manifest.is_none(), failed, "a manifest and an error exclude each other");
    for finding in &loaded.diagnostics {
        assert!(finding.span.line > 0 && finding.help.is_some(), "{}: no place or no advice", finding.code);
        assert!(finding.span.start <= finding.span.end && finding.span.end <= source.text.len(), "{}", finding.code);
        assert!(finding.message.lines().count() <= 1, "{}: a message of several lines", finding.code);
        assert!(!named || finding.code != "no-environment", "the name was given");
        assert!(!named || finding.code != "unknown-environment", "the file itself told the name");
    }
    let shown = render(source, &loaded.diagnostics, false);
    assert!(!shown.contains(['\u{1b}', '\u{202e}', '\r']), "an excerpt steers the terminal");
    let Some(manifest) = loaded.manifest else { return };
    assert_eq!(manifest.environment.is_some(), !takes_any, "an environment is chosen if there are any");
    let mut seen = BTreeSet::new();
    for secret in &manifest.secrets {
        assert!(seen.insert(&secret.name.value), "two secrets of one name");
        assert!(!secret.targets.is_empty(), "a secret that is kept nowhere");
        for target in &secret.targets {
            let block = manifest.providers.get(target.provider);
            assert!(block.is_some_and(|block| block.kind.targets().contains(&target.settings.kind())));
        }
    }
}

/// A value put into a file is read back, nothing else in the file changes, and a second time changes
/// nothing at all. Parts: key, value, text.
fn dotenv(data: &[u8]) {
    let [key, value, text] = parts::<3>(data);
    let letter = |c: char| c.is_ascii_uppercase() || c == '_';
    if !key.starts_with(letter) || !key.chars().all(|c| letter(c) || c.is_ascii_digit()) {
        return;
    }
    for format in [FileFormat::Dotenv, FileFormat::Json, FileFormat::Yaml] {
        let value = Value::Single(value.as_str().into());
        let Ok(before) = names_in(format, &text) else { continue };
        let read = |text: &str, name: &str| value_in(format, text, name, &Shape::Single).ok().flatten();
        let Ok(after) = edited(format, &text, &key, &value) else { continue };
        assert!(read(&after, &key).is_some_and(|found| found.matches(&value)), "{format:?}: not read back");
        let names: BTreeSet<&String> = before.iter().chain([&key]).collect();
        assert!(names_in(format, &after).is_ok_and(|found| found.iter().eq(names)), "{format:?}: other names");
        for name in before.iter().filter(|name| **name != key) {
            let same = match (read(&text, name), read(&after, name)) {
                (Some(old), Some(new)) => old.matches(&new),
                (old, new) => old.is_none() && new.is_none(),
            };
            assert!(same, "{format:?}: {name} changed\n{text}\n{}", after.as_str());
        }
        assert!(
            edited(format, &after, &key, &value).is_ok_and(|again| *again == *after),
            "{format:?}: not the same again"
        );
        if format == FileFormat::Dotenv {
            foreign_lines_stay(&text, &after, &key, before.contains(&key));
        }
    }
}

fn foreign_lines_stay(text: &str, after: &str, key: &str, replaced: bool) {
    if !replaced {
        assert!(after.starts_with(text), "what stood there is no longer the beginning");
        return;
    }
    // Where no value goes over several lines, every line that does not name the key stays.
    if text.contains(['"', '\'', '`']) || after.contains(['"', '\'', '`']) {
        return;
    }
    let foreign =
        |text: &str| text.split('\n').filter(|line| !line.contains(key)).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(foreign(text), foreign(after), "a foreign line changed");
}

/// An event is read to facts that steer no request, or refused without its own words.
fn event(data: &[u8]) {
    const NAMES: &[&str] = &[
        "pull_request",
        "push",
        "issue_comment",
        "schedule",
        "workflow_dispatch",
        "merge_group",
        "pull_request_target",
    ];
    let commit = |sha: &str| matches!(sha.len(), 40 | 64) && sha.bytes().all(|byte| byte.is_ascii_hexdigit());
    for name in NAMES {
        match Event::parse(name, data) {
            Ok(Event::PullRequest(pull)) => {
                assert!(commit(&pull.head_sha) && commit(&pull.base_sha));
                let ids = [&pull.head_repository, &pull.base_repository].map(|one| one.as_ref().map(|one| one.id));
                assert_eq!(pull.from_fork, ids[0].is_none() || ids[0] != ids[1]);
            }
            Ok(Event::Push(push)) => {
                assert!(push.reference.starts_with("refs/"));
                assert!([&push.before, &push.after].into_iter().flatten().all(|sha| commit(sha)));
                assert!(!push.default_branch || push.reference.starts_with("refs/heads/"));
            }
            Ok(Event::MergeGroup { head_sha, base_sha, .. }) => assert!(commit(&head_sha) && commit(&base_sha)),
            Ok(Event::IssueComment(comment)) => assert!(comment.edited || comment.action == "created"),
            Ok(Event::WorkflowDispatch { inputs, .. }) => assert!(inputs.len() <= 25),
            Ok(Event::Schedule { .. }) => {}
            Ok(Event::Other(other)) => assert_eq!(other, "pull_request_target"),
            Err(Unreadable { said, .. }) => {
                assert!(said.len() < 60 && said.is_ascii(), "{said}");
            }
        }
    }
}

/// A marker is one line that nothing in it can end, tells file, environment and key apart, and heads
/// only what begins with exactly it. Parts: path, environment, key, another path, body.
fn marker(data: &[u8]) {
    let [path, environment, key, other, body] = parts::<5>(data);
    let marker = Marker::new(&path, Some(&environment), Some(&key));
    let line = marker.to_string();
    let inner = line.strip_prefix("<!-- secretzero:v1 path=").and_then(|rest| rest.strip_suffix(" -->"));
    let inner = inner.unwrap_or_else(|| panic!("{line}"));
    assert!(!inner.contains("--") && !inner.contains(['<', '>']) && inner.bytes().all(|b| (b' '..0x7f).contains(&b)));
    let parts = BTreeSet::from([
        (&path, &environment, &key),
        (&other, &environment, &key),
        (&path, &key, &environment),
        (&path, &other, &key),
    ]);
    let markers: BTreeMap<String, _> =
        parts.iter().map(|part| (Marker::new(part.0, Some(part.1), Some(part.2)).to_string(), part)).collect();
    assert_eq!(markers.len(), parts.len(), "two things have one marker");
    let headed = marker.head(&body);
    assert!(marker.heads(&headed) && marker.head(&headed) == headed);
    assert!(headed == body || headed.strip_prefix(&line).is_some_and(|rest| rest.strip_prefix('\n') == Some(&body)));
    assert_eq!(marker.heads(&body), body.split(['\n', '\r']).next() == Some(&line), "only a whole first line counts");
    for (one, _) in markers.iter().filter(|(one, _)| **one != line) {
        assert!(!marker.heads(&format!("{one}\n{body}")), "the marker of something else");
    }
    let units_max = 40 + other.len() % 400;
    let cut = cut(&headed, units_max, "cut here");
    assert!(utf16_units(&cut) <= units_max.max(60), "{} of {units_max}", utf16_units(&cut));
    assert!(*cut == headed || cut.ends_with("cut here"));
    assert_eq!(visible(&visible(&body)), visible(&body));
}

/// What is read from a lock, a journal or a mark is written and read again as the same.
fn lock(data: &[u8]) {
    if let Ok(lock) = Lockfile::parse(data) {
        let bytes = lock.to_bytes();
        assert_eq!(Lockfile::parse(&bytes).as_ref(), Ok(&lock));
        let (mut joined, empty) = (Lockfile::default(), Lockfile::default());
        joined.merge(&lock);
        let before = joined.to_bytes();
        joined.merge(&empty);
        joined.merge(&lock);
        assert_eq!(joined.to_bytes(), before, "to join twice is to join once");
        for secret in &lock.secrets {
            assert!(joined.secret(&secret.id).is_some_and(|found| found.generation >= secret.generation));
        }
    }
    if let Ok(bytes) = ref_ledger::normal(data) {
        assert_eq!(ref_ledger::normal(&bytes).as_ref(), Ok(&bytes));
    }
    let found = intents(data);
    assert_eq!(intents(&journal_bytes(&found)), found);
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(mark) = Mark::parse(text)
    {
        assert_eq!(Mark::parse(&mark.to_string()), Ok(mark));
    }
}
