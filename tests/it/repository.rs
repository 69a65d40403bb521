//! What lies around the code: pinned manifests without hosts, scripts that can be run.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::Path;

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

#[test]
fn the_manifests_of_the_servers_name_no_registry() {
    for path in ["tests/servers/requirements.txt", "tests/servers/requirements.in"] {
        let text = read(path);
        assert!(!text.contains("://") && !text.contains("--index") && !text.contains("--find-links"), "{path}");
    }
    assert!(!read("tests/servers/package-lock.json").contains("\"resolved\""));
}

#[test]
fn every_python_package_is_pinned_with_a_hash() {
    let text = read("tests/servers/requirements.txt");
    let mut packages = 0;
    for entry in text.replace("\\\n", " ").lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        packages += 1;
        assert!(entry.contains("==") && entry.contains("--hash=sha256:"), "{entry}");
    }
    assert!(packages > 50, "{packages} packages");
}

#[test]
fn actions_are_pinned_by_commit_and_keep_no_credentials() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(".github/workflows");
    let uses = regex::Regex::new(r"(?m)^\s*-? ?uses: (?:\./|\S+@[0-9a-f]{40} # v\S+)$").unwrap();
    for entry in fs::read_dir(folder).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        assert_eq!(uses.find_iter(&text).count(), text.matches("uses: ").count());
        assert_eq!(text.matches("persist-credentials: false").count(), text.matches("actions/checkout@").count());
        assert!(text.contains("\npermissions:\n") || text.contains("\npermissions: {}\n"));
    }
}
