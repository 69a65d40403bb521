//! Files that the base's provider blocks name: a pull request that brings other bytes is planned offline.

use crate::stage::{BASE, CHANGE, Stage};

const ONLINE: [(&str, &str); 1] = [("plan_mode", "online")];

/// The base with a block that names a file.
fn base(block: &str) -> String {
    let text = BASE.replace("  local:\n", &format!("  more: {block}\n  local:\n"));
    assert_ne!(text, BASE, "the base has changed");
    text
}

/// What a pull request comes to that brings these bytes for a file that was `ours` before.
fn reviewed(block: &str, bytes: &[u8]) -> (Stage, String) {
    let (stage, base) = (Stage::new(), base(block));
    stage.github.commit("main", &[("Secretfile.yml", base.as_bytes()), ("trust/ca.pem", b"ours")]);
    let text = format!("{base}{CHANGE}");
    let head = stage.github.commit("change", &[("Secretfile.yml", text.as_bytes()), ("trust/ca.pem", bytes)]);
    let pull = stage.github.open_pull("change", "main");
    stage.checkout(&text);
    stage.sandbox.write_bytes("trust/ca.pem", bytes);
    let ran = stage.pull_request(pull, &head, &ONLINE);
    let comment = format!("{}\n{ran:?}", stage.comment(pull));
    (stage, comment)
}

const VAULT: &str =
    "{kind: vault, auth: {kind: token, config: {url: 'https://vault.example.com', token: x, ca_cert: FILE}}}";

const BLOCKS: [&str; 4] = [
    VAULT,
    "{kind: vault, auth: {kind: token, config: {url: 'https://vault.example.com', token: x, client_cert: FILE, client_key: FILE}}}",
    "{kind: vault, auth: {kind: jwt, config: {url: 'https://vault.example.com', role: x, jwt: FILE}}}",
    "{kind: gcp, auth: {kind: credentials_file, config: {project_id: shop-prod, credentials_file: FILE}}}",
];

#[test]
fn a_file_that_the_pull_request_changes_takes_the_plan_offline() {
    for block in BLOCKS {
        let block = block.replace("FILE", "trust/ca.pem");
        let (stage, comment) = reviewed(&block, b"of the attacker");
        assert!(comment.contains("names a file of the checkout"), "{block}: {comment}");
        assert_eq!(stage.aws.total(), 0, "{block}");
    }
}

#[test]
fn a_file_that_climbs_and_comes_back_is_the_same_file() {
    let (stage, comment) = reviewed(&VAULT.replace("FILE", "other/../trust/ca.pem"), b"of the attacker");
    assert!(comment.contains("names a file of the checkout") && stage.aws.total() == 0, "{comment}");
}

#[test]
fn a_file_that_is_the_bases_still_or_the_runners_changes_nothing() {
    for file in ["trust/ca.pem", "/etc/ssl/certs/ca.pem"] {
        let (stage, comment) = reviewed(&VAULT.replace("FILE", file), b"ours");
        assert!(!comment.contains("names a file of the checkout"), "{file}: {comment}");
        assert!(stage.aws.total() > 0, "{file}: {comment}");
    }
}
