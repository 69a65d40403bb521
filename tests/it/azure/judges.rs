//! Microsoft's own clients for Python, as judges: of what we wrote, and of the fake itself.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::{Value as Json, json};

use crate::fake::azure::{FakeAzure, VAULT};
use crate::sandbox::Sandbox;
use crate::servers::exported;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/servers/keyvault.py");

/// Runs a part of the script with what it is asked.
pub(super) fn judge(fake: &FakeAzure, sandbox: &Sandbox, part: &str, asked: &Json) -> Json {
    sandbox.write("judge-ca.pem", fake.ca());
    let env: BTreeMap<&str, String> = fake.python_env(&sandbox.path("judge-ca.pem").display().to_string());
    let mut child = Command::new(exported("PYTHON"))
        .args([SCRIPT, part])
        .env_clear()
        .envs(env)
        .env("HOME", sandbox.path("."))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(asked.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{part}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn microsofts_client_for_secrets_passes_its_paces_against_the_fake() {
    let fake = FakeAzure::start();
    fake.edit(|world| {
        world.transition_looks = 1;
        world.empty_pages = true;
    });
    let seen = judge(&fake, &Sandbox::new(), "secrets", &json!({ "vault": format!("https://{VAULT}") }));
    insta::assert_snapshot!(serde_json::to_string_pretty(&seen).unwrap());
}

#[test]
fn microsofts_client_for_certificates_passes_its_paces_against_the_fake() {
    let fake = FakeAzure::start();
    let made = super::specification::certificate("judge.example", "canary-pfx-password");
    let asked = json!({
        "vault": format!("https://{VAULT}"), "pfx": made["pfx"], "password": "canary-pfx-password",
        "pem": format!("{}{}", made["key"].as_str().unwrap(), made["certificate"].as_str().unwrap()),
        "der": made["der"],
    });
    let seen = judge(&fake, &Sandbox::new(), "certificates", &asked);
    insta::assert_snapshot!(serde_json::to_string_pretty(&seen).unwrap());
}

#[test]
fn microsofts_logins_are_told_by_the_fake_what_is_wrong() {
    let fake = FakeAzure::start();
    let seen = judge(&fake, &Sandbox::new(), "logins", &json!({ "vault": format!("https://{VAULT}") }));
    insta::assert_snapshot!(serde_json::to_string_pretty(&seen).unwrap());
}
