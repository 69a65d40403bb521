//! Certificates beyond the contract: what is imported and how, what is recognised, what is refused.

use std::collections::{BTreeMap, HashMap};
use std::sync::{LazyLock, Mutex};

use secretzero::provider::{ErrorKind, Expect, Probe, Provider, Reading};
use secretzero::secret::{SecretValue, Shape, Value};
use secretzero::target::{KeyVaultCertificateSettings, Place, TargetSettings};
use serde_json::json;

use super::specification::{Stage, certificate as made};
use super::{provider, secret};
use crate::conformance::{look, text, write};
use crate::fake::azure::{FakeAzure, Fault, ObjectState, VAULT, python};

/// A certificate in PEM with its key, by its settings.
pub(crate) fn certificate(name: &str, adjust: impl FnOnce(&mut KeyVaultCertificateSettings)) -> Place {
    let mut settings = KeyVaultCertificateSettings {
        vault_url: format!("https://{VAULT}"),
        certificate_name: name.to_owned(),
        content_type: "application/x-pem-file".into(),
        tags: BTreeMap::new(),
    };
    adjust(&mut settings);
    Place { settings: TargetSettings::KeyVaultCertificate(settings), shape: Shape::Single }
}

/// A certificate and its key for a name, the same each time; a text that is too long stays one.
pub(crate) fn pem(name: &str) -> Value {
    static MADE: LazyLock<Mutex<HashMap<String, String>>> = LazyLock::new(Mutex::default);
    if name.len() > 1000 {
        return text(name);
    }
    let mut known = MADE.lock().unwrap();
    let made = known.entry(name.to_owned()).or_insert_with(|| {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = rcgen::CertificateParams::new(Vec::<String>::new()).unwrap();
        parameters.distinguished_name.push(rcgen::DnType::CommonName, name);
        format!("{}{}", key.serialize_pem(), parameters.self_signed(&key).unwrap().pem())
    });
    text(made)
}

/// Fields of a template.
fn fields(pairs: &[(&str, &str)]) -> Value {
    Value::Fields(pairs.iter().map(|(name, value)| ((*name).to_owned(), SecretValue::from(*value))).collect())
}

fn pfx(name: &str) -> Place {
    certificate(name, |settings| settings.content_type = "application/x-pkcs12".into())
}

#[tokio::test]
async fn a_pkcs12_file_is_imported_with_its_password_and_recognised_afterwards() {
    let fake = FakeAzure::start();
    let (store, at) = (provider(&fake), pfx("app"));
    let file = made("app.example", "canary-password");
    let value = fields(&[("certificate", file["pfx"].as_str().unwrap()), ("password", "canary-password")]);
    let version = write(&store, &at, &value, 1, Expect::Absent).await.unwrap();
    assert_eq!(store.holds(&at, &value).await, Ok(Some(true)), "by its thumbprint, opened with the password");
    let other = made("app.example", "canary-password");
    let renewed = fields(&[("certificate", other["pfx"].as_str().unwrap()), ("password", "canary-password")]);
    assert_eq!(store.holds(&at, &renewed).await, Ok(Some(false)));
    let wrong = fields(&[("certificate", file["pfx"].as_str().unwrap()), ("password", "wrong")]);
    assert_eq!(store.holds(&at, &wrong).await, Ok(None), "what cannot be opened is not judged");
    assert_eq!(fake.count("certificates/import"), 1);
    // The same certificate again: a new mark, no new version.
    assert_eq!(write(&store, &at, &value, 2, Expect::Version(version.clone())).await, Ok(version.clone()));
    let seen = look(&store, &at, Reading::Each).await.unwrap();
    assert!(seen.mark.unwrap().contains(":g=2:"));
    assert_eq!(fake.count("certificates/import"), 1, "it was not imported again");
    let second = write(&store, &at, &renewed, 3, Expect::Version(version.clone())).await.unwrap();
    assert_ne!(second, version);
    assert_eq!(fake.certificate("app").unwrap().versions.len(), 2);
}

#[tokio::test]
async fn files_are_opened_whatever_wrote_them_or_not_judged_at_all() {
    const WRITE: &str = r#"
import base64, json, sys
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.serialization import pkcs12, PrivateFormat
asked = json.load(sys.stdin)
key = serialization.load_pem_private_key(asked["key"].encode(), None)
certificate = x509.load_pem_x509_certificate(asked["certificate"].encode())
chain = [x509.load_pem_x509_certificate(asked["issuer"].encode())]
def how(builder): return builder.build(b"canary")
base = PrivateFormat.PKCS12.encryption_builder()
ways = {
  "none": serialization.NoEncryption(),
  "aes": how(base.key_cert_algorithm(pkcs12.PBES.PBESv2SHA256AndAES256CBC).hmac_hash(hashes.SHA256()).kdf_rounds(2048)),
  "des": how(base.key_cert_algorithm(pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC).hmac_hash(hashes.SHA1())),
}
json.dump({name: base64.b64encode(pkcs12.serialize_key_and_certificates(b"x", key, certificate, chain, way)).decode()
           for name, way in ways.items()}, sys.stdout)
"#;
    let fake = FakeAzure::start();
    let store = provider(&fake);
    let (leaf, issuer) = (made("leaf.example", ""), made("issuer.example", ""));
    let asked = json!({ "key": leaf["key"], "certificate": leaf["certificate"], "issuer": issuer["certificate"] });
    let written = python(WRITE, &asked).unwrap();
    for (way, password, told) in [("none", "", Some(true)), ("aes", "canary", Some(true)), ("des", "canary", None)] {
        let at = pfx(&format!("way-{way}"));
        let value = fields(&[("certificate", written[way].as_str().unwrap()), ("password", password)]);
        write(&store, &at, &value, 1, Expect::Absent).await.unwrap();
        assert_eq!(store.holds(&at, &value).await, Ok(told), "{way}");
    }
}

#[tokio::test]
async fn a_value_that_is_no_certificate_is_refused_with_what_to_do() {
    let fake = FakeAzure::start();
    let store = provider(&fake);
    let rsa = "-----BEGIN RSA PRIVATE KEY-----\nx\n-----END RSA PRIVATE KEY-----\n-----BEGIN CERTIFICATE-----\n";
    for (at, value, word) in [
        (certificate("a", |_| {}), text("AAAA"), "application/x-pkcs12"),
        (certificate("a", |_| {}), text(rsa), "openssl pkcs8"),
        (pfx("a"), pem("a"), "application/x-pem-file"),
        (pfx("a"), text("not base64!"), "base64"),
        (pfx("a"), fields(&[("password", "x")]), "`certificate`"),
    ] {
        let options = crate::conformance::options(&store, &at, 1, Expect::Absent).await;
        let error = store.write(&at, &value, &options).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Invalid);
        assert!(error.message.contains(word), "{error}");
    }
    assert_eq!(fake.effects(), 0);
    let (file, at) = (made("a", "right"), pfx("a"));
    let value = fields(&[("certificate", file["pfx"].as_str().unwrap()), ("password", "canary-wrong")]);
    let options = crate::conformance::options(&store, &at, 1, Expect::Absent).await;
    let error = store.write(&at, &value, &options).await.unwrap_err();
    assert!(error.message.contains("password") && !error.message.contains("canary"), "{error}");
}

#[tokio::test]
async fn an_import_whose_answer_was_lost_is_open_and_makes_one_version() {
    let fake = FakeAzure::start();
    let (store, at) = (provider(&fake), certificate("lost", |_| {}));
    fake.fault(1, Fault::LostReply);
    let lost = write(&store, &at, &pem("lost"), 1, Expect::Absent).await;
    assert_eq!(lost, Err(ErrorKind::Indeterminate));
    assert!(look(&store, &at, Reading::Batch).await.unwrap().mark.is_some());
    assert_eq!(fake.certificate("lost").unwrap().versions.len(), 1);
}

#[tokio::test]
async fn a_deleted_certificate_is_recovered_with_its_secret() {
    let fake = FakeAzure::start();
    let (store, at) = (provider(&fake), certificate("back", |_| {}));
    write(&store, &at, &pem("back"), 1, Expect::Absent).await.unwrap();
    fake.edit(|world| {
        world.transition_looks = 2;
        let vault = world.vault(VAULT);
        for object in [vault.certificates.get_mut("back"), vault.secrets.get_mut("back")] {
            object.unwrap().state = ObjectState::Deleted;
        }
    });
    assert!(look(&store, &at, Reading::Each).await.unwrap().pending_deletion);
    store.restore(&at).await.unwrap();
    assert_eq!(store.holds(&at, &pem("back")).await, Ok(Some(true)));
}

#[tokio::test]
async fn the_two_kinds_do_not_share_a_name() {
    let fake = FakeAzure::start();
    let store = provider(&fake);
    fake.edit(|world| world.put(VAULT, "taken", "v", &[]));
    let seen = look(&store, &certificate("Taken", |_| {}), Reading::Each).await.unwrap();
    assert!(seen.managed_by.unwrap().contains("secret of the same name"));
    write(&store, &certificate("own", |_| {}), &pem("own"), 1, Expect::Absent).await.unwrap();
    for reading in [Reading::List, Reading::Each] {
        let places: Vec<Place> = ["own", "a", "b", "c", "d"].map(|name| secret(name, |_| {})).into();
        let probes: Vec<Probe<'_>> = places.iter().map(|place| Probe { place, expected_mark: None }).collect();
        let seen = store.observe(&probes, reading).await.swap_remove(0).unwrap().unwrap();
        assert!(seen.managed_by.unwrap().contains("certificate of the same name"), "{reading:?}");
    }
}

const SECRETFILE: &str = "metadata: {project: shop}
providers:
  azure: {kind: azure, auth: {kind: default}}
secrets:
  - name: certificate
    kind: templates.pem
    templates:
      pem:
        fields:
          certificate: {generator: {kind: static, config: {default: \"${CERTIFICATE}\"}}}
          private_key: {generator: {kind: static, config: {default: \"${KEY}\"}}}
    targets:
      - provider: azure
        kind: key_vault_certificate
        config:
          vault_url: https://kv-test.vault.azure.net
          certificate_name: app
          content_type: application/x-pem-file
";

fn pem_stage(file: &serde_json::Value) -> Stage {
    let mut stage = Stage::with(SECRETFILE);
    stage.set("CERTIFICATE", &file["certificate"]);
    stage.set("KEY", &file["key"]);
    stage
}

#[test]
fn a_certificate_is_imported_once_and_again_only_when_it_was_renewed() {
    let mut stage = pem_stage(&made("app.example", ""));
    stage.expect(0, &["sync"]);
    for lost in [false, true] {
        if lost {
            stage.sandbox.remove(".gitsecrets.lock");
        }
        stage.azure.forget_requests();
        stage.expect(0, &["sync"]);
        assert_eq!(stage.azure.effects(), 0, "the lock is lost: {lost}");
    }
    let renewed = made("app.example", "");
    stage.set("CERTIFICATE", &renewed["certificate"]);
    stage.set("KEY", &renewed["key"]);
    stage.expect(0, &["sync"]);
    let imported = stage.azure.certificate("app").unwrap();
    assert_eq!(imported.versions.len(), 2);
    assert_eq!(imported.current().cer.as_deref(), renewed["der"].as_str());
    stage.azure.forget_requests();
    stage.expect(0, &["sync"]);
    assert_eq!(stage.azure.effects(), 0);
    let read = stage.read_back(VAULT);
    assert_eq!(read["certificates"]["app"]["content_type"], "application/x-pem-file");
    assert!(read["secrets"]["app"]["value"].as_str().unwrap().contains("BEGIN PRIVATE KEY"));
}

#[test]
fn a_secret_in_the_way_of_a_certificate_is_named_at_plan_time_with_its_line() {
    let stage = pem_stage(&made("app.example", ""));
    stage.azure.edit(|world| world.put(VAULT, "App", "v", &[]));
    let ran = stage.run(&["sync", "--dry-run"]);
    let said = format!("{}{}", ran.stdout, ran.stderr);
    assert!(said.contains("a secret of the same name stands in the vault"), "{said}");
    assert!(said.contains("Secretfile.yml:13"), "{said}");
    stage.run(&["sync"]);
    assert_eq!(stage.azure.effects(), 0);
    // Declared beside it, it is found without asking anybody.
    let both = format!(
        "{SECRETFILE}      - {{provider: azure, kind: key_vault, config: {{vault_url: 'https://{VAULT}', secret_name: APP}}}}\n"
    );
    stage.sandbox.write("Secretfile.yml", &both);
    let ran = stage.expect(3, &["validate"]);
    assert!(format!("{}{}", ran.stdout, ran.stderr).contains("claimed a second time; line 13"), "{ran:?}");
}
