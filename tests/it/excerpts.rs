//! The line under a finding is public: it shows what names things, and never a value.

#![expect(clippy::unwrap_used, reason = "tests")]

use secretzero::diagnostic::{Diagnostic, Severity, Source, Span, render};
use secretzero::manifest::{Inputs, load};

/// Canaries stand wherever a value may stand, also where it looks like a setting.
const TEXT: &str = r#"# canary in a comment, name: canary
variables:
  name: canary
  region: canary   # canary
providers:
  vault:
    kind: vault # canary
    auth:
      kind: token
      config: { token: canary, url: "https://canary.example.com" }
secrets:
  # default: canary
  - name: database_password
    kind: static
    description: |
      name: canary
    config:
      default: "canary
        name: canary

        kind: canary"
      validation: 'canary'
    targets: &anchor [ { provider: vault, kind: kv, config: { path: production/database, metadata: { owner: canary } } } ]
  - name: folded
    kind: static
    config:
      default: >-
        kind: canary
          - name: canary
        # canary
    targets:
      - provider: vault
        kind: kv
        config:
          path: production/folded
          ? metadata
          : note: canary
canary: canary
"#;

/// A finding at each line and at each character of it.
fn everywhere(source: &Source) -> String {
    let spans = source.text.char_indices().map(|(at, c)| source.span(at..at + c.len_utf8()));
    let finding = |span: Span| Diagnostic {
        code: "test",
        severity: Severity::Error,
        message: "-".into(),
        span,
        help: None,
        secret: None,
    };
    let findings: Vec<Diagnostic> = spans.map(finding).collect();
    render(source, &findings, false)
}

fn excerpts(text: &str) -> String {
    let mut lines: Vec<&str> =
        text.lines().filter(|line| line.split_once(" | ").is_some_and(|(n, _)| n.parse::<u32>().is_ok())).collect();
    lines.dedup();
    lines.join("\n")
}

#[test]
fn no_excerpt_of_a_parsed_file_shows_a_value() {
    let source = Source::from_bytes("Secretfile.yml", TEXT.replace("\ncanary: canary", "").into_bytes()).unwrap();
    let nothing = |_: &str| None;
    let loaded = load(&source, &Inputs::new(&nothing, "2026-06-01T00:00:00Z".parse().unwrap()));
    assert!(!loaded.diagnostics.is_empty());
    let said = everywhere(&source);
    insta::assert_snapshot!("parsed", excerpts(&said));
    assert!(!said.contains("canary"));
}

#[test]
fn no_excerpt_of_a_file_that_is_no_yaml_shows_a_value() {
    let source = Source::from_bytes("Secretfile.yml", format!("{TEXT}  broken: [canary\n").into_bytes()).unwrap();
    let nothing = |_: &str| None;
    let loaded = load(&source, &Inputs::new(&nothing, "2026-06-01T00:00:00Z".parse().unwrap()));
    assert!(loaded.diagnostics.iter().any(|finding| finding.code == "yaml-syntax"));
    let said = everywhere(&source);
    insta::assert_snapshot!("unparsed", excerpts(&said));
    assert!(!said.contains("canary"));
}

#[test]
fn a_long_line_is_cut_around_the_place() {
    let text = format!("secrets: [{}{{nmae: x}}]\n", "{name: x}, ".repeat(40));
    let source = Source::from_bytes("Secretfile.yml", text.into_bytes()).unwrap();
    let nothing = |_: &str| None;
    let loaded = load(&source, &Inputs::new(&nothing, "2026-06-01T00:00:00Z".parse().unwrap()));
    let said = render(&source, &loaded.diagnostics, false);
    assert!(said.lines().all(|line| line.chars().count() < 250), "{said}");
    let last = loaded.diagnostics.iter().find(|finding| finding.code == "unknown-key").unwrap();
    insta::assert_snapshot!("cut", render(&source, std::slice::from_ref(last), false));
}

#[test]
fn colours_change_nothing_but_colours() {
    let source = Source::from_bytes("Secretfile.yml", b"secretz: []\n".to_vec()).unwrap();
    let nothing = |_: &str| None;
    let loaded = load(&source, &Inputs::new(&nothing, "2026-06-01T00:00:00Z".parse().unwrap()));
    let colored = render(&source, &loaded.diagnostics, true);
    let mut plain = colored.clone();
    for style in ["1;31", "1;33", "1;34", "1;36", "1", "0"] {
        plain = plain.replace(&format!("\u{1b}[{style}m"), "");
    }
    assert_ne!(colored, plain);
    assert_eq!(plain, render(&source, &loaded.diagnostics, false));
}
