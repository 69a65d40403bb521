//! A certificate of a vault, imported as it was given: base64 PKCS#12, or PEM with its key
//! (<https://learn.microsoft.com/azure/key-vault/certificates/tutorial-import-certificate>).
//!
//! The value is one text, or the fields `certificate` and, where the file has one, `password`; of PEM
//! the key may stand in a field `private_key`. What a vault gives back is another file, so a value is
//! recognised by its thumbprint, not by its text.

use std::collections::BTreeMap;

use reqwest::Method;
use serde::Serialize;

use super::model::{Collection, Item};
use super::objects::{self, NewAttributes, Object};
use super::wire::{Call, Wire};
use super::{Part, VALUE_BYTES_MAX, stamp, thumbprint};
use crate::clock::{Clock as _, SystemClock};
use crate::limiter::{Repeat, quota};
use crate::provider::{Error, ErrorKind, Result, VersionId, WriteOptions};
use crate::secret::{SecretValue, Value};
use crate::target::KeyVaultCertificateSettings;

/// The content type of PEM; the other one is PKCS#12.
pub(super) const PEM: &str = "application/x-pem-file";

/// The field that holds the certificate.
const CERTIFICATE: &str = "certificate";
/// The field that holds the password of a PKCS#12 file.
const PASSWORD: &str = "password";
/// The field that holds the key of a PEM certificate.
const PRIVATE_KEY: &str = "private_key";

/// The body of an import; no `Debug`, it holds a value.
#[derive(Serialize)]
struct Import<'v> {
    value: &'v str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pwd: Option<&'v str>,
    policy: Policy<'v>,
    attributes: NewAttributes,
    tags: BTreeMap<String, String>,
}

#[derive(Serialize)]
struct Policy<'v> {
    secret_props: SecretProperties<'v>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SecretProperties<'v> {
    content_type: &'v str,
}

/// A certificate of which only the name is known.
pub(super) fn named(vault_url: String, name: &str) -> KeyVaultCertificateSettings {
    KeyVaultCertificateSettings {
        vault_url,
        certificate_name: name.to_owned(),
        content_type: "application/x-pkcs12".into(),
        tags: BTreeMap::new(),
    }
}

/// Why no value comes back.
pub(super) fn unreadable(settings: &KeyVaultCertificateSettings) -> Error {
    let shown = Part::Certificate(settings).object().shown();
    let message = format!(
        "the {shown} cannot be read back as it was given; keep the value in a readable store as well (`primary: true`)"
    );
    Error::new(ErrorKind::Unsupported, message)
}

/// The parts of a value as an import takes them.
pub(super) struct Parts {
    /// Base64 without line breaks, or PEM.
    pub(super) certificate: SecretValue,
    pub(super) password: Option<SecretValue>,
}

/// Takes a value apart and checks what can be checked here.
pub(super) fn parts(settings: &KeyVaultCertificateSettings, value: &Value) -> Result<Parts> {
    let object = Part::Certificate(settings).object();
    let refuse = |why: &str| Error::new(ErrorKind::Invalid, format!("{}: {why}", object.shown()));
    let field = |name: &str| value.field(name).filter(|value| !value.is_empty());
    let certificate = match value {
        Value::Single(value) => value,
        Value::Fields(_) => field(CERTIFICATE).ok_or_else(|| refuse("its value has no field `certificate`"))?,
    };
    let text = certificate.expose_text().ok_or_else(|| refuse("the certificate is no text; give PKCS#12 as base64"))?;
    if certificate.len() > VALUE_BYTES_MAX {
        return Err(refuse(&format!("it has more than the {VALUE_BYTES_MAX} bytes that Key Vault takes")));
    }
    if settings.content_type == PEM {
        let key = field(PRIVATE_KEY).and_then(SecretValue::expose_text).unwrap_or_default();
        let whole = SecretValue::from(if key.is_empty() { text.to_owned() } else { format!("{key}\n{text}") });
        let pem = whole.expose_text().unwrap_or_default();
        if !pem.contains("-----BEGIN CERTIFICATE-----") {
            return Err(refuse(
                "its value holds no `BEGIN CERTIFICATE`; for PKCS#12 declare `content_type: application/x-pkcs12`",
            ));
        }
        // Key Vault takes no other form of the key.
        if !pem.contains("-----BEGIN PRIVATE KEY-----") {
            return Err(refuse(
                "its value holds no key in PKCS#8 form (`BEGIN PRIVATE KEY`); convert it with `openssl pkcs8 -topk8 -nocrypt`",
            ));
        }
        return Ok(Parts { certificate: whole, password: None });
    }
    if text.contains("-----BEGIN") {
        return Err(refuse("its value is PEM; declare `content_type: application/x-pem-file`"));
    }
    // `base64` breaks lines, which an import does not take.
    let bare: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let bare = SecretValue::from(bare);
    let encoded = bare.expose().iter().all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(b));
    if !encoded || bare.is_empty() {
        return Err(refuse("its value is no base64; encode the PKCS#12 file with `base64`"));
    }
    Ok(Parts { certificate: bare, password: field(PASSWORD).cloned() })
}

/// Imports a new version, unless the newest one is this certificate already: then only its mark is set.
pub(super) async fn write(
    wire: &Wire,
    settings: &KeyVaultCertificateSettings,
    value: &Value,
    options: &WriteOptions,
) -> Result<VersionId> {
    let part = Part::Certificate(settings);
    let object = part.object();
    let parts = parts(settings, value)?;
    let current = objects::current(wire, object).await?;
    objects::expected(object, current.as_ref(), &options.expect)?;
    if let Some(current) = &current
        && is(current, settings, &parts)
    {
        let declared: Vec<String> = settings.tags.keys().map(|key| format!("tag:{key}")).collect();
        return objects::annotate(wire, part, &declared, options).await;
    }
    let mark = objects::mark(options, stamp::announced(SystemClock.now().as_second()));
    let import = Import {
        value: parts.certificate.expose_text().unwrap_or_default(),
        pwd: parts.password.as_ref().and_then(SecretValue::expose_text),
        policy: Policy { secret_props: SecretProperties { content_type: &settings.content_type } },
        attributes: NewAttributes { enabled: Some(true), ..NewAttributes::default() },
        tags: objects::tags(current.as_ref(), &settings.tags, mark),
    };
    let path = [Collection::Certificates.path(), object.name, "import"];
    let body = Some(objects::body(object, &import)?);
    let call =
        Call { method: Method::POST, body, ..Call::get("certificates/import", object.vault, object.name, &path) };
    let made: Item =
        wire.send(&quota::KEY_VAULT_CREATE, Repeat::Once, &call).await.map_err(|e| explained(object, e))?;
    objects::settle(wire, object, &made, options).await
}

/// Whether a version is the certificate of a value, by thumbprint.
fn is(item: &Item, settings: &KeyVaultCertificateSettings, parts: &Parts) -> bool {
    let ours = thumbprint::of(&settings.content_type, parts);
    ours.is_some() && ours == item.x5t
}

/// Whether what stands there is the certificate of a value; `None` if it cannot be told: a PKCS#12 file
/// in an old cipher is not opened here.
pub(super) async fn holds(wire: &Wire, settings: &KeyVaultCertificateSettings, value: &Value) -> Result<Option<bool>> {
    let parts = parts(settings, value)?;
    let Some(ours) = thumbprint::of(&settings.content_type, &parts) else { return Ok(None) };
    let current = objects::current(wire, Part::Certificate(settings).object()).await?;
    Ok(current.map(|item| item.x5t == Some(ours)))
}

/// What an import usually fails of.
fn explained(object: Object<'_>, error: Error) -> Error {
    if error.kind != ErrorKind::Invalid {
        return error;
    }
    let message = format!(
        "{}. An import of the {} needs the right `password`, a certificate that is valid now, and its key",
        error.message,
        object.shown()
    );
    Error::new(ErrorKind::Invalid, message)
}
