//! Which part of the library may use which: the table is the architecture, and the code is held to it.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Words that everything is written in; each may use those before it.
const WORDS: &[&str] =
    &["secret", "clock", "disk", "diagnostic", "locator", "mark", "target", "takes", "hosts", "certificate", "http"];

/// Beside the words, what each part may use. `provider types` means the contract (`provider::Error`,
/// `provider::Observed`, …) without any store behind it; `*` means everything.
const PARTS: &[(&str, &[&str])] = &[
    ("manifest", &[]),
    ("environment", &[]),
    ("generate", &["manifest"]),
    ("policy", &["manifest"]),
    ("limiter", &["provider types"]),
    ("oidc", &["provider types", "environment", "limiter", "trust"]),
    ("provider", &["environment", "limiter", "oidc"]),
    ("lockfile", &[]),
    ("plan", &["manifest", "policy", "limiter", "lockfile", "provider types"]),
    ("apply", &["manifest", "generate", "provider types", "limiter", "lockfile", "plan", "policy"]),
    ("render", &["manifest", "policy", "lockfile", "plan", "apply"]),
    ("trust", &["manifest"]),
    ("permissions", &["manifest", "trust"]),
    ("connect", &["manifest", "environment", "limiter", "oidc", "provider", "plan"]),
    ("pipeline", &["manifest", "policy", "lockfile", "provider types", "plan", "apply"]),
    ("forge", &[]),
    ("cli", &["*"]),
    ("main", &["cli", "environment"]),
];

/// Of the words, what a part must not even know. `forge` says things on a pull request; it receives
/// rendered text and a state.
const FORBIDDEN_WORDS: &[(&str, &[&str])] = &[
    ("manifest", &["clock", "disk", "locator"]),
    ("policy", &["clock", "disk"]),
    ("trust", &["clock", "disk", "locator", "mark", "target"]),
    ("permissions", &["clock", "disk"]),
    ("plan", &["disk"]),
    ("forge", &["disk", "locator", "mark", "target"]),
    ("environment", &["clock", "disk", "diagnostic", "locator", "mark", "target"]),
];

/// One use of one part by another, with the place.
#[derive(Debug)]
struct Edge {
    file: PathBuf,
    from: String,
    to: String,
    /// What follows the name of the part.
    then: Option<String>,
}

#[test]
fn no_part_uses_what_it_must_not_know() {
    let edges = edges_of(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")));
    let wrong: Vec<String> = edges
        .iter()
        .filter(|edge| !is_allowed(edge))
        .map(|edge| format!("{}: `{}` may not use `crate::{}`", edge.file.display(), edge.from, edge.to))
        .collect();
    assert!(wrong.is_empty(), "edges that the table does not allow:\n{}", wrong.join("\n"));
    assert!(
        edges.iter().any(|edge| edge.from == "provider" && edge.to == "target"),
        "the reader of `use` lines is broken: it misses an edge that is there"
    );
}

#[test]
fn every_part_has_its_row() {
    let edges = edges_of(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")));
    let parts: BTreeSet<&String> = edges.iter().map(|edge| &edge.from).collect();
    let missing: Vec<_> = parts.into_iter().filter(|part| row(part).is_none()).collect();
    assert!(missing.is_empty(), "give these modules a row in tests/it/layering.rs: {missing:?}");
}

#[test]
fn the_library_does_not_know_the_service() {
    for file in rust_files(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))) {
        let names = tokens(&without_tests(&without_text(&fs::read_to_string(&file).unwrap())));
        assert!(!names.iter().any(|name| name.contains("webhook")), "{} names the service", file.display());
    }
    let manifest = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).unwrap();
    assert!(!manifest.contains("secretzero-webhook"), "the library must not depend on the service");
}

#[test]
fn the_reader_sees_groups_and_paths_but_not_words_in_text() {
    let source = r##"
        //! Not this: [`crate::plan::Plan`].
        use crate::{clock, mark::{Mark, Owner}, provider::*};
        fn f() -> &'static str { crate::disk::read(); /* crate::plan */ r#"crate::apply"#; "crate::cli" }
        #[cfg(test)]
        mod tests { use crate::forge::X; fn g() { "}" } }
        #[cfg(all(test, unix))]
        mod more { use super::*; }
        use super::super::target;
    "##;
    let found = paths(&tokens(&without_tests(&without_text(source))), 1);
    let found: Vec<String> = found.iter().map(|path| path.join("::")).collect();
    assert_eq!(found, ["clock", "mark::Mark", "mark::Owner", "provider::*", "disk::read", "target"]);
}

/// The row of a part: what it may use.
fn row(part: &str) -> Option<&'static [&'static str]> {
    if WORDS.contains(&part) {
        return Some(&[]);
    }
    PARTS.iter().find(|(name, _)| *name == part).map(|(_, uses)| *uses)
}

fn is_allowed(edge: &Edge) -> bool {
    let Edge { from, to, then, .. } = edge;
    let rank = |word: &str| WORDS.iter().position(|w| *w == word);
    if from == to {
        return true;
    }
    if let Some(to) = rank(to) {
        let forbidden = FORBIDDEN_WORDS.iter().any(|(part, words)| part == from && words.contains(&WORDS[to]));
        return rank(from).is_none_or(|from| to < from) && !forbidden;
    }
    let uses = row(from).unwrap_or(&[]);
    let is_type = then.as_deref().is_some_and(|name| name == "error" || name.starts_with(char::is_uppercase));
    uses.contains(&"*")
        || uses.contains(&to.as_str())
        || (to == "provider" && is_type && uses.contains(&"provider types"))
}

/// All uses of one part by another below `source`.
fn edges_of(source: &Path) -> Vec<Edge> {
    let mut edges = Vec::new();
    for file in rust_files(source) {
        let relative = file.strip_prefix(source).unwrap().to_owned();
        let from = relative.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs").to_owned();
        // `lib` only names the parts; a file of tests may use anything.
        if from == "lib" || relative.with_extension("").iter().any(|name| name == "tests") {
            continue;
        }
        let tokens = tokens(&without_tests(&without_text(&fs::read_to_string(&file).unwrap())));
        let is_root_of_its_folder = relative.file_stem().is_some_and(|name| name == "mod");
        let depth = relative.iter().count() - usize::from(is_root_of_its_folder);
        for path in paths(&tokens, depth) {
            let to = path.first().cloned().unwrap_or_default();
            edges.push(Edge { file: file.clone(), from: from.clone(), to, then: path.get(1).cloned() });
        }
    }
    edges
}

/// The Rust files below a folder, in order.
pub(crate) fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// The source without comments and without what stands between quotes.
fn without_text(source: &str) -> String {
    let text = regex::Regex::new(
        r##"(?s)//[^\n]*|/\*.*?\*/|b?r#+".*?"#+|b?r"[^"]*"|b?"(?:\\.|[^"\\])*"|b?'(?:\\[^\n]{1,8}?|[^\\'\n])'"##,
    );
    text.unwrap().replace_all(source, " ").into_owned()
}

/// The source without items under `#[cfg(test)]` or `#[cfg(all(test, …))]`.
fn without_tests(source: &str) -> String {
    let mark = regex::Regex::new(r"#\[cfg\((?:test|all\(test\b[^\]]*)\)\]").unwrap();
    let mut kept = String::new();
    let mut rest = source;
    while let Some(found) = mark.find(rest) {
        let after = &rest[found.end()..];
        kept.push_str(&rest[..found.start()]);
        let mut depth = 0_usize;
        let end = after.char_indices().find(|(_, c)| {
            match c {
                '{' => depth += 1,
                '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth == 0 && matches!(c, '}' | ';')
        });
        rest = end.map_or("", |(at, c)| &after[at + c.len_utf8()..]);
    }
    kept + rest
}

/// Names and the signs that paths are made of.
fn tokens(source: &str) -> Vec<String> {
    let token = regex::Regex::new(r"[A-Za-z_][A-Za-z0-9_]*|::|[{},*;]").unwrap();
    token.find_iter(source).map(|found| found.as_str().to_owned()).collect()
}

/// Every path that starts at the root of the crate, by `crate` (in the program: by its name) or by as
/// many `super` as the file is deep, with groups taken apart.
fn paths(tokens: &[String], depth: usize) -> Vec<Vec<String>> {
    let is = |at: usize, text: &str| tokens.get(at).is_some_and(|token| token == text);
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let mut start = at;
        let mut supers = 0;
        while is(start, "super") && is(start + 1, "::") {
            supers += 1;
            start += 2;
        }
        if (is(at, "crate") || is(at, "secretzero")) && is(at + 1, "::") {
            at = tree(tokens, at + 2, &mut Vec::new(), &mut found);
        } else if supers >= depth && supers > 0 && start < tokens.len() {
            at = tree(tokens, start, &mut Vec::new(), &mut found);
        } else {
            at = start.max(at + 1);
        }
    }
    found
}

/// Reads one path or one group of them; returns where it ends.
fn tree(tokens: &[String], mut at: usize, path: &mut Vec<String>, found: &mut Vec<Vec<String>>) -> usize {
    let token = tokens.get(at).map_or("", String::as_str);
    if token == "{" {
        at += 1;
        while tokens.get(at).is_some_and(|t| t != "}") {
            let next = if tokens[at] == "," { at + 1 } else { tree(tokens, at, path, found) };
            at = next.max(at + 1);
        }
        return at + 1;
    }
    path.push(token.to_owned());
    at += 1;
    if tokens.get(at).is_some_and(|t| t == "::") && tokens.get(at + 1).is_some_and(|t| t != "<") {
        at = tree(tokens, at + 1, path, found);
    } else {
        found.push(path.clone());
    }
    path.pop();
    at
}
