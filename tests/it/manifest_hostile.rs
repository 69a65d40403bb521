//! Files that were made to hurt: none may take long, panic, or show a value.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use secretzero::diagnostic::{BYTES_MAX, Severity, Source, render};
use secretzero::manifest::{Inputs, load};

fn inputs<'a>(environment: &'a dyn Fn(&str) -> Option<String>) -> Inputs<'a> {
    Inputs::new(environment, "2026-06-01T00:00:00Z".parse().unwrap())
}

/// Reads bytes all the way to a rendered text; the promise that only errors stop a manifest is checked.
fn read(bytes: Vec<u8>) -> String {
    let source = match Source::from_bytes("Secretfile.yml", bytes) {
        Ok(source) => source,
        Err(finding) => return render(&Source::new("Secretfile.yml", ""), &[finding], false),
    };
    let environment = |name: &str| Some(format!("canary-{name}"));
    let loaded = load(&source, &inputs(&environment));
    let failed = loaded.diagnostics.iter().any(|finding| finding.severity == Severity::Error);
    assert_eq!(loaded.manifest.is_none(), failed);
    for finding in &loaded.diagnostics {
        assert!(finding.span.start <= finding.span.end && finding.span.end <= source.text.len(), "{finding:?}");
        assert!(finding.span.line >= 1 && finding.span.column >= 1, "{finding:?}");
    }
    assert!(render(&source, &loaded.diagnostics, true).len() >= render(&source, &loaded.diagnostics, false).len());
    render(&source, &loaded.diagnostics, false)
}

fn first_line(bytes: Vec<u8>) -> String {
    read(bytes).lines().next().unwrap_or_default().to_owned()
}

#[test]
fn files_that_are_no_text_are_refused_before_they_are_parsed() {
    let files: [&[u8]; 4] = [b"", b"\xef\xbb\xbf \n\n", b"metadata:\n  owner: caf\xe9\n", b"# nothing but a comment\n"];
    let mut said = vec![read(vec![b'a'; 100_000_000])];
    said.extend(files.iter().map(|bytes| read(bytes.to_vec())));
    insta::assert_snapshot!("no_text", said.join("\n"));
}

#[test]
fn deep_nesting_and_bombs_are_refused() {
    let deep = |open: &str, close: &str, n: usize| format!("a: {}x{}", open.repeat(n), close.repeat(n)).into_bytes();
    for (open, close) in [("[", "]"), ("{a: ", "}"), ("- ", ""), ("? ", "")] {
        for n in [40, 100_000] {
            assert!(first_line(deep(open, close, n)).starts_with("error["), "{n} times {open}");
        }
    }
    let blocks: String = (0..1500).map(|n| format!("{}a:\n", " ".repeat(n))).collect();
    assert!(first_line(blocks.into_bytes()).starts_with("error[too-complex]"));
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for n in 1..12 {
        let uses = vec![format!("*a{}", n - 1); 10].join(", ");
        bomb.push_str(&format!("a{n}: &a{n} [{uses}]\n"));
    }
    assert!(first_line(bomb.into_bytes()).starts_with("error[too-complex]"));
    let aliases = format!("a: &a x\nb: [{}]\n", vec!["*a"; 2000].join(", "));
    assert!(first_line(aliases.into_bytes()).starts_with("error[too-complex]"));
}

/// A head and as many lines as fit into so many bytes.
fn filled(bytes: usize, head: &str, line: impl Fn(usize) -> String) -> Vec<u8> {
    let mut text = head.to_owned();
    for n in 0.. {
        if text.len() >= bytes {
            break;
        }
        text.push_str(&line(n));
    }
    text.into_bytes()
}

#[test]
fn four_megabytes_are_read_or_refused_without_a_hang() {
    let most = BYTES_MAX - 1000;
    let scalar = filled(most, "", |_| "aaaaaaaa".to_owned());
    assert!(first_line(scalar).starts_with("error[wrong-type]"));
    let items = filled(most, "secrets:\n", |_| "- {}\n".to_owned());
    assert!(first_line(items).starts_with("error[too-complex]"));
}

/// Each makes the reader compare many names with many others, if it is careless.
#[test]
fn thousands_of_mistakes_of_one_kind_cost_no_more_than_their_number() {
    let head = "providers: { local: { kind: local } }\nsecrets:\n";
    let target = "targets: [{provider: local, kind: file, config: {path: .env}}]";
    let files = [
        filled(200_000, head, |n| format!("  - {{nmae: {n}}}\n")),
        filled(200_000, head, |n| format!("  - {{name: s{n}, kind: random_pasword, {target}}}\n")),
        filled(200_000, head, |n| format!("  - {{name: s{n}, kind: templates.t{n}, {target}}}\n")),
        filled(200_000, "variables:\n", |_| "  x: 1\n".to_owned()),
        filled(200_000, "moved:\n", |n| format!("  - {{from: a{n}, to: a{}}}\n", n + 1)),
        filled(200_000, &format!("{head}  - name: a\n    kind: static\n    config:\n      default: >\n"), |n| {
            format!("        ${{A{n}}} {{{{b{n}}}}}\n")
        }),
        filled(200_000, "templates:\n  t:\n    fields:\n", |n| {
            let config = format!("{{default: '{{{{f{}}}}}'}}", n + 1);
            format!("      f{n}: {{generator: {{kind: static, config: {config}}}}}\n")
        }),
        filled(100_000, head, |n| {
            let config = format!("{{default: x, validation: '(\\w{{90}}){{90}}{n}'}}");
            format!("  - {{name: s{n}, kind: static, config: {config}, {target}}}\n")
        }),
    ];
    for bytes in files {
        let said = read(bytes);
        assert!(said.matches("\nerror[").count() >= 199 || said.starts_with("error["), "{said}");
        assert!(said.len() < 200_000, "{} bytes are said", said.len());
    }
}

#[test]
fn what_a_file_holds_cannot_steer_the_terminal_or_the_forge() {
    let text = "\"se\\u001b[31mcrets\": []\n\"a\\u202eb\": 1\n\"::error file=x::`y`\": 1\n";
    insta::assert_snapshot!("steering", read(text.as_bytes().to_vec()));
}

fn examples() -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let folders = ["examples", "manifests/good", "manifests/bad"].map(|folder| root.join(folder));
    let entries = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()));
    let mut paths: Vec<_> = entries.collect();
    paths.sort();
    paths.into_iter().map(|path| fs::read(path).unwrap()).collect()
}

/// A cut, a copy or a change at a place in a text.
#[derive(Debug, Clone)]
enum Edit {
    Cut(usize, usize),
    Insert(usize, String),
    Copy(usize, usize, usize),
}

fn edit() -> impl Strategy<Value = Edit> {
    let pieces = prop::sample::select(vec![
        "${",
        "}",
        "{{",
        "}}",
        "$${",
        ":-",
        "&a ",
        "*a",
        "<<: *a\n",
        "- ",
        ": ",
        "\n",
        "\t",
        "|\n",
        ">-\n",
        "\"",
        "'",
        "!x ",
        "? ",
        "[",
        "]",
        "{",
        "}",
        "#",
        "---\n",
        "null",
        "~",
        "é",
        "\u{1f600}",
        "\r\n",
        "0",
        "-1",
        "1e999",
        ".inf",
        ".nan",
        "0x10",
        "99999999999999999999999",
        "{{var.",
        "{{ 9 days from now }}",
        "::",
        "%",
        "..",
        "//",
    ]);
    prop_oneof![
        (any::<usize>(), 0_usize..200).prop_map(|(at, n)| Edit::Cut(at, n)),
        (any::<usize>(), pieces).prop_map(|(at, piece)| Edit::Insert(at, piece.to_owned())),
        (any::<usize>(), any::<usize>(), 0_usize..300).prop_map(|(from, to, n)| Edit::Copy(from, to, n)),
    ]
}

fn apply(mut bytes: Vec<u8>, edits: &[Edit]) -> Vec<u8> {
    for edit in edits {
        let place = |at: &usize| at % (bytes.len() + 1);
        match edit {
            Edit::Cut(at, n) => {
                let at = place(at);
                let end = (at + n).min(bytes.len());
                bytes.drain(at..end);
            }
            Edit::Insert(at, piece) => {
                let at = place(at);
                bytes.splice(at..at, piece.bytes());
            }
            Edit::Copy(from, to, n) => {
                let (from, to) = (place(from), place(to));
                let copy = bytes[from..(from + n).min(bytes.len())].to_vec();
                bytes.splice(to..to, copy);
            }
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn edited_examples_never_panic_and_never_show_what_the_environment_gave(
        example in prop::sample::select(examples()),
        edits in prop::collection::vec(edit(), 1..6),
    ) {
        let text = read(apply(example, &edits));
        prop_assert!(!text.contains("canary-"), "{}", text);
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        read(bytes);
    }

    #[test]
    fn random_text_never_panics(text in "[ -~\n\t:{}$\\[\\]&*|>'\"é-]{0,200}") {
        read(text.into_bytes());
    }
}
