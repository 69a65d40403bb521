//! Certificates: imported, with a secret of the same name
//! (<https://learn.microsoft.com/rest/api/keyvault/certificates/import-certificate>).
//!
//! The files are opened by the Python package `cryptography`, which knows nothing of the code under
//! test.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::{Map, Value as Json, json};

use super::vault::{Answer, tags, writable};
use super::world::{Object, Version, World, item};
use super::{Refusal, Request};
use crate::servers::exported;

/// Opens a file and prints what a vault keeps of it; fails if it cannot be opened, has no key, or a key
/// that is not PKCS#8.
const OPEN: &str = r#"
import base64, json, sys
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.serialization import pkcs12
asked = json.load(sys.stdin)
value, password = asked["value"], (asked.get("pwd") or "").encode() or None
if asked["pem"]:
    # Microsoft's client for Python sends PEM in base64, others as it is.
    data = value.encode() if value.startswith("-----") else base64.b64decode(value, validate=True)
    assert b"-----BEGIN PRIVATE KEY-----" in data
    key = serialization.load_pem_private_key(data, None)
    certificate = x509.load_pem_x509_certificate(data)
    kept = data.decode()
else:
    key, certificate, _ = pkcs12.load_key_and_certificates(base64.b64decode(value, validate=True), password)
    kept = base64.b64encode(pkcs12.serialize_key_and_certificates(
        None, key, certificate, None, serialization.NoEncryption())).decode()
assert key is not None and certificate.public_key() == key.public_key()
der = certificate.public_bytes(serialization.Encoding.DER)
x5t = base64.urlsafe_b64encode(certificate.fingerprint(hashes.SHA1())).decode().rstrip("=")
json.dump({"cer": base64.b64encode(der).decode(), "x5t": x5t, "kept": kept,
           "exp": int(certificate.not_valid_after_utc.timestamp()),
           "nbf": int(certificate.not_valid_before_utc.timestamp())}, sys.stdout)
"#;

/// Runs Python over a JSON text; `None` if it fails.
pub(crate) fn python(script: &str, input: &Json) -> Option<Json> {
    let mut child = Command::new(exported("PYTHON"))
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    output.status.success().then(|| serde_json::from_slice(&output.stdout).unwrap())
}

pub(super) fn import(world: &mut World, request: &Request, name: &str) -> Answer {
    writable(world, request, "certificates", name)?;
    let bad = || Refusal::new(400, "BadParameter");
    let body = &request.body;
    let value = body["value"].as_str().ok_or_else(bad)?;
    let content_type = body["policy"]["secret_props"]["contentType"].as_str().unwrap_or("application/x-pkcs12");
    let pem = content_type == "application/x-pem-file";
    let opened = python(OPEN, &json!({ "value": value, "pwd": body["pwd"], "pem": pem })).ok_or_else(bad)?;
    let tags = tags(body)?;
    let key = name.to_ascii_lowercase();
    let secret = world.vault(&request.host).secrets.get(&key);
    // A certificate needs the name for a secret of its own
    // (<https://learn.microsoft.com/azure/key-vault/certificates/about-certificates>).
    if secret.is_some_and(|secret| !secret.current().managed) {
        return Err(Refusal::new(409, "Conflict"));
    }
    let (id, created) = (world.version_id(), world.tick());
    let text = |name: &str| opened[name].as_str().unwrap().to_owned();
    let version = Version {
        id,
        value: text("kept"),
        content_type: Some(content_type.to_owned()),
        enabled: body["attributes"]["enabled"].as_bool().unwrap_or(true),
        exp: opened["exp"].as_i64(),
        nbf: opened["nbf"].as_i64(),
        tags,
        created,
        updated: created,
        managed: true,
        x5t: Some(text("x5t")),
        cer: Some(text("cer")),
    };
    let vault = world.vault(&request.host);
    for shelf in [&mut vault.secrets, &mut vault.certificates] {
        let object = shelf.entry(key.clone()).or_default();
        if object.name.is_empty() {
            name.clone_into(&mut object.name);
        }
        object.versions.push(version.clone());
    }
    let object = vault.certificates.get(&key).cloned().unwrap_or_default();
    Ok((200, Json::Object(with_parts(&request.host, "certificates", &object, &version))))
}

/// A certificate's own members beside those of every object.
pub(super) fn with_parts(host: &str, shelf: &str, object: &Object, version: &Version) -> Map<String, Json> {
    let mut shown = item(host, shelf, object, version, true);
    if shelf == "certificates" {
        let (name, id) = (&object.name, &version.id);
        shown.insert("kid".into(), json!(format!("https://{host}/keys/{name}/{id}")));
        shown.insert("sid".into(), json!(format!("https://{host}/secrets/{name}/{id}")));
        shown.insert("cer".into(), json!(version.cer));
        let policy = json!({
            "id": format!("https://{host}/certificates/{name}/policy"),
            "secret_props": { "contentType": version.content_type },
            "issuer": { "name": "Unknown" },
        });
        shown.insert("policy".into(), policy);
    }
    shown
}
