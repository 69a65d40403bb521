//! The specification's own Secretfiles, synced by the real binary through a proxy, and read back with
//! Microsoft's clients for Python.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::judges::judge;
use crate::fake::azure::{FakeAzure, Fault, ObjectState, python};
use crate::sandbox::{Ran, Sandbox};

const EXAMPLE: &str = include_str!("../../fixtures/examples/03-azure-specific.yml");

/// The vault that the example names.
const HOST: &str = "myapp-prod-kv.vault.azure.net";

/// Makes a certificate with its key: base64 PKCS#12 under a password.
const MAKE: &str = r#"
import base64, datetime, json, sys
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs12
asked = json.load(sys.stdin)
key = ec.generate_private_key(ec.SECP256R1())
name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, asked["name"])])
start = datetime.datetime(2025, 1, 1)
certificate = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    .serial_number(x509.random_serial_number()).not_valid_before(start)
    .not_valid_after(start + datetime.timedelta(days=3650)).sign(key, hashes.SHA256()))
password = asked.get("password", "").encode()
how = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
pfx = pkcs12.serialize_key_and_certificates(b"app", key, certificate, None, how)
pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
der = certificate.public_bytes(serialization.Encoding.DER)
json.dump({"pfx": base64.encodebytes(pfx).decode(), "key": pem.decode(),
           "certificate": certificate.public_bytes(serialization.Encoding.PEM).decode(),
           "der": base64.b64encode(der).decode()}, sys.stdout)
"#;

/// A certificate as a CI system would hold it.
pub(crate) fn certificate(name: &str, password: &str) -> Json {
    python(MAKE, &json!({ "name": name, "password": password })).unwrap()
}

/// A folder with a Secretfile, and an Azure behind a proxy.
pub(super) struct Stage {
    pub(super) azure: FakeAzure,
    pub(super) sandbox: Sandbox,
    pub(super) env: BTreeMap<String, String>,
}

impl Stage {
    pub(super) fn with(secretfile: &str) -> Self {
        let azure = FakeAzure::start();
        let sandbox = Sandbox::with(secretfile);
        sandbox.write("ca.pem", azure.ca());
        let env = azure.env(&sandbox.path("ca.pem").display().to_string()).into_iter();
        let env = env.map(|(name, value)| (name.to_owned(), value)).collect();
        Self { azure, sandbox, env }
    }

    pub(super) fn set(&mut self, name: &str, value: &Json) {
        self.env.insert(name.into(), value.as_str().unwrap().into());
    }

    pub(super) fn run(&self, args: &[&str]) -> Ran {
        self.sandbox.run_with(args, &self.env)
    }

    #[track_caller]
    pub(super) fn expect(&self, code: i32, args: &[&str]) -> Ran {
        let ran = self.run(args);
        assert_eq!(ran.code, Some(code), "{args:?}\n{}\n{}", ran.stdout, ran.stderr);
        ran
    }

    /// What Microsoft's clients read of a vault.
    pub(super) fn read_back(&self, host: &str) -> Json {
        judge(&self.azure, &self.sandbox, "read", &json!({ "vault": format!("https://{host}") }))
    }
}

/// The example with its vault.
fn example() -> (Stage, Json) {
    let mut stage = Stage::with(EXAMPLE);
    stage.azure.edit(|world| drop(world.vault(HOST).secrets.clone()));
    let made = certificate("app.example", "canary-pfx-password");
    stage.set("CERTIFICATE_PFX_BASE64", &made["pfx"]);
    stage.set("CERTIFICATE_PASSWORD", &json!("canary-pfx-password"));
    (stage, made)
}

#[test]
fn the_example_of_azure_is_synced_in_full_and_a_second_sync_writes_nothing() {
    let (stage, made) = example();
    stage.expect(0, &["sync"]);
    let read = stage.read_back(HOST);
    let secret = &read["secrets"]["storage-account-key"];
    assert_eq!(secret["value"].as_str().unwrap().len(), 44);
    assert_eq!(secret["content_type"], "text/plain");
    assert_eq!(secret["enabled"], true);
    assert_eq!(secret["expires_on"], "2025-12-31T23:59:59+00:00");
    assert_eq!(secret["not_before"], "2024-01-01T00:00:00+00:00");
    let tags = |of: &Json| {
        let mut tags: BTreeMap<String, String> = serde_json::from_value(of["tags"].clone()).unwrap();
        assert!(tags.remove("secretzero").is_some());
        tags.into_iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(tags(secret), "application=myapp compliance=iso27001 environment=production");
    let imported = &read["certificates"]["app-certificate"];
    assert_eq!((&imported["cer"], imported["content_type"].as_str()), (&made["der"], Some("application/x-pkcs12")));
    assert_eq!(tags(imported), "environment=production type=certificate");
    assert!(stage.azure.tunnels().contains(&format!("{HOST}:443")), "{:?}", stage.azure.tunnels());

    for args in [&["sync"][..], &["sync", "--dry-run", "--detailed-exitcode"], &["drift", "--detailed-exitcode"]] {
        stage.azure.forget_requests();
        stage.expect(0, args);
        assert_eq!(stage.azure.effects(), 0, "{args:?}");
    }
    // A plan reads no value.
    stage.azure.forget_requests();
    stage.expect(0, &["sync", "--dry-run"]);
    assert_eq!(stage.azure.count("secrets/get") - bin_reads(&stage.azure), 0);
}

/// Reads of the recycle bin need the same right as reads of values.
fn bin_reads(azure: &FakeAzure) -> usize {
    let reads = azure.requests().into_iter().filter(|request| request.right == "secrets/get");
    reads.filter(|request| request.path[0].starts_with("deleted")).count()
}

#[test]
fn a_lost_lock_regenerates_nothing() {
    let (stage, _) = example();
    stage.expect(0, &["sync"]);
    let before = stage.read_back(HOST);
    stage.sandbox.remove(".gitsecrets.lock");
    stage.azure.forget_requests();
    stage.expect(0, &["sync"]);
    assert_eq!(stage.azure.effects(), 0);
    assert_eq!(stage.read_back(HOST), before);
}

const ONE: &str = "metadata: {project: shop}
providers:
  azure: {kind: azure, auth: {kind: default}}
secrets:
  - name: token
    kind: random_string
    rotation_period: 90d
    targets:
      - provider: azure
        kind: key_vault
        config:
          vault_url: https://kv-test.vault.azure.net
          secret_name: Token
          expires_on: \"{{ 90 days from now }}\"
";

#[test]
fn an_expiry_that_counts_from_the_value_stays_until_the_value_changes() {
    let stage = Stage::with(ONE);
    stage.expect(0, &["sync"]);
    let first = stage.azure.secret("token").unwrap().current().clone();
    stage.azure.forget_requests();
    stage.expect(0, &["sync"]);
    assert_eq!(stage.azure.effects(), 0);
    stage.azure.edit(|world| {
        let object = world.vault("kv-test.vault.azure.net").secrets.get_mut("token").unwrap();
        object.versions.last_mut().unwrap().exp = Some(1);
    });
    let drift = stage.run(&["drift"]);
    assert!(drift.stdout.contains("expires_on"), "{drift:?}");
    stage.expect(0, &["sync"]);
    let object = stage.azure.secret("token").unwrap();
    assert_eq!((object.versions.len(), object.current().exp), (1, first.exp), "no new version");
}

#[test]
fn a_deleted_secret_comes_back_with_its_value() {
    let stage = Stage::with(ONE);
    stage.expect(0, &["sync"]);
    let before = stage.azure.secret("token").unwrap().current().clone();
    stage.azure.edit(|world| {
        world.transition_looks = 2;
        world.vault("kv-test.vault.azure.net").secrets.get_mut("token").unwrap().state = ObjectState::Deleted;
    });
    let plan = stage.expect(0, &["sync", "--dry-run"]);
    assert!(plan.stdout.contains("restore"), "{plan:?}");
    stage.expect(0, &["sync"]);
    let after = stage.azure.secret("token").unwrap();
    assert_eq!((after.state, &after.current().value), (ObjectState::Live, &before.value));
    stage.azure.edit(|world| {
        world.vault("kv-test.vault.azure.net").secrets.get_mut("token").unwrap().state = ObjectState::Deleted;
    });
    stage.expect(0, &["rotate", "--force", "--secret", "token"]);
    let rotated = stage.azure.secret("token").unwrap();
    assert_eq!(rotated.versions.len(), 2);
    assert_ne!(rotated.current().value, before.value);
}

#[test]
fn a_lost_answer_makes_no_second_version() {
    for effect in 1..=2 {
        let stage = Stage::with(ONE);
        stage.azure.fault(effect, Fault::LostReply);
        stage.expect(0, &["sync"]);
        let object = stage.azure.secret("token").unwrap();
        assert_eq!(object.versions.len(), 1, "effect {effect}");
        stage.azure.forget_requests();
        stage.expect(0, &["sync"]);
        assert_eq!(stage.azure.secret("token").unwrap().current().value, object.current().value);
        assert_eq!(stage.azure.secret("token").unwrap().versions.len(), 1);
    }
}

#[test]
fn throttling_is_told_and_waited_out() {
    let stage = Stage::with(ONE);
    stage.azure.throttle(2, 1);
    let ran = stage.expect(0, &["sync"]);
    assert_eq!(stage.azure.throttled(), 2);
    assert!(format!("{}{}", ran.stdout, ran.stderr).contains("Azure Key Vault: throttled, waiting"), "{ran:?}");
}

#[test]
fn a_value_that_somebody_else_wrote_is_drift_found_without_reading_it() {
    let stage = Stage::with(ONE);
    stage.expect(0, &["sync"]);
    let tag = stage.azure.secret("token").unwrap().current().tags["secretzero"].clone();
    stage.azure.edit(|world| world.put("kv-test.vault.azure.net", "token", "theirs", &[("secretzero", &tag)]));
    stage.azure.forget_requests();
    let ran = stage.run(&["drift"]);
    assert!(ran.stdout.contains("value changed") || ran.stdout.contains("changed outside"), "{ran:?}");
    assert_eq!(stage.azure.count("secrets/get"), 0);
    stage.expect(0, &["sync"]);
    assert_eq!(stage.azure.secret("token").unwrap().current().value, "theirs", "never replaced unasked");
}

#[test]
fn what_stands_in_a_vault_is_imported_adopted_and_keeps_its_value() {
    let stage = Stage::with(ONE);
    stage.azure.edit(|world| {
        let host = "kv-test.vault.azure.net";
        world.put(host, "app-db", "grown", &[("team", "core")]);
        let object = world.vault(host).secrets.get_mut("app-db").unwrap();
        let version = object.versions.last_mut().unwrap();
        (version.exp, version.content_type) = (Some(2_000_000_000), Some("text/plain".into()));
    });
    let prefix = "https://kv-test.vault.azure.net/app-";
    let ran = stage.expect(0, &["import", "--provider", "azure", "--prefix", prefix]);
    assert!(ran.stdout.contains("secret_name: app-db") && !ran.stdout.contains("grown"), "{}", ran.stdout);
    assert_eq!(stage.azure.count("secrets/get"), 0);
    stage.sandbox.write("Secretfile.yml", &ran.stdout);
    stage.expect(0, &["sync"]);
    let object = stage.azure.secret("app-db").unwrap();
    assert_eq!((object.versions.len(), object.current().value.as_str()), (1, "grown"));
    assert!(object.current().tags.contains_key("secretzero") && object.current().exp == Some(2_000_000_000));
    stage.azure.forget_requests();
    stage.expect(0, &["sync"]);
    assert_eq!(stage.azure.effects(), 0);
}

#[test]
fn a_vaults_quota_slows_a_sync_down_and_fails_none_of_it() {
    let secrets: String = (0..60)
        .map(|n| {
            format!(
                "  - {{name: s{n}, kind: random_string, targets: [{{provider: azure, kind: key_vault, config: \
                 {{vault_url: 'https://kv-test.vault.azure.net', secret_name: s{n}}}}}]}}\n"
            )
        })
        .collect();
    let stage = Stage::with(&format!(
        "metadata: {{project: shop}}\nproviders:\n  azure: {{kind: azure, auth: {{kind: default}}}}\nsecrets:\n{secrets}"
    ));
    stage.azure.quota(20.0);
    stage.expect(0, &["sync"]);
    assert!(stage.azure.throttled() > 0, "the documented quota is 30 a second, so this one was met");
    for n in 0..60 {
        assert_eq!(stage.azure.secret(&format!("s{n}")).unwrap().versions.len(), 1, "s{n}");
    }
}
