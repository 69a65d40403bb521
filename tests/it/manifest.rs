//! Secretfiles in, manifests or findings out.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use secretzero::diagnostic::{Severity, Source, render};
use secretzero::manifest::{Credentials, Inputs, Loaded, Statics, load};

const NOW: &str = "2026-06-01T00:00:00Z";

/// What the specification's examples expect of the environment.
fn environment(name: &str) -> Option<String> {
    const NAMES: &[&str] = &[
        "VAULT_TOKEN",
        "VAULT_CLOUD_TOKEN",
        "DB_HOST",
        "STRIPE_API_KEY",
        "SENDGRID_API_KEY",
        "TWILIO_AUTH_TOKEN",
        "CERTIFICATE_PFX_BASE64",
        "CERTIFICATE_PASSWORD",
        "CERTIFICATE_CONTENT",
    ];
    if name == "VAULT_ADDR" {
        return Some("https://127.0.0.1:1".into());
    }
    NAMES.contains(&name).then(|| format!("x-{}", name.to_lowercase()))
}

fn inputs<'a>(environment: &'a dyn Fn(&str) -> Option<String>) -> Inputs<'a> {
    Inputs {
        environment,
        var_overrides: BTreeMap::new(),
        statics: Statics::Resolve,
        credentials: Credentials::Require,
        allowed_hosts: Vec::new(),
        now: NOW.parse().unwrap(),
    }
}

/// The findings about a file, rendered, and what became of it.
fn read(path: &Path) -> (Loaded, String) {
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    match Source::from_bytes(name, fs::read(path).unwrap()) {
        Ok(source) => {
            let loaded = load(&source, &inputs(&environment));
            let text = render(&source, &loaded.diagnostics, false);
            (loaded, text)
        }
        Err(finding) => {
            let text = render(&Source::new("", ""), std::slice::from_ref(&finding), false);
            (Loaded { manifest: None, diagnostics: vec![finding] }, text)
        }
    }
}

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(folder);
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yml"));
    files.sort();
    files
}

#[test]
fn every_example_of_the_specification_is_read_except_the_one_that_is_no_yaml() {
    let mut said = String::new();
    let files = files("examples");
    assert_eq!(files.len(), 15);
    for path in files {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let (loaded, text) = read(&path);
        let as_printed = name == "04-vault-specific.yml";
        assert_eq!(loaded.manifest.is_none(), as_printed, "{name}\n{text}");
        said.push_str(&format!("# {name}\n{text}\n"));
    }
    insta::assert_snapshot!("examples", said);
}

#[test]
fn every_bad_manifest_is_refused_with_a_place_and_an_advice() {
    let mut said = String::new();
    let files = files("manifests/bad");
    assert!(files.len() > 40, "{} files", files.len());
    for path in files {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let (loaded, text) = read(&path);
        let errors = loaded.diagnostics.iter().filter(|finding| finding.severity == Severity::Error).count();
        assert!(loaded.manifest.is_none() && errors > 0, "{name} passed\n{text}");
        for finding in &loaded.diagnostics {
            assert!(finding.span.line > 0 && finding.help.is_some(), "{name}\n{text}");
        }
        assert!(!text.contains("hunter2"), "{name} shows a value\n{text}");
        said.push_str(&format!("{text}\n"));
    }
    insta::assert_snapshot!("bad", said);
}

#[test]
fn every_good_manifest_is_read() {
    for path in files("manifests/good") {
        let (loaded, text) = read(&path);
        assert!(loaded.manifest.is_some(), "{}\n{text}", path.display());
        assert_eq!(text, "", "{}", path.display());
    }
}
