//! The HTTPS client of one Vault: whom it trusts, and what it shows.

use std::path::Path;

use reqwest::{Certificate, Client, Identity};

use super::VaultSettings;
use crate::disk::Disk;
use crate::provider::{Error, ErrorKind, Result};
use crate::secret::SecretValue;

/// Largest file of certificates or keys, in bytes.
const PEM_BYTES_MAX: u64 = 1024 * 1024;

/// The client that the settings describe.
///
/// # Errors
/// [`ErrorKind::Unauthenticated`] with the setting that cannot be used.
pub(super) fn client(settings: &VaultSettings, disk: &dyn Disk) -> Result<Client> {
    let mut builder = crate::http::builder();
    if settings.tls_skip_verify {
        if settings.in_ci {
            return Err(refused(
                "`tls_skip_verify: true` is refused in CI, where nobody watches the line; give `ca_cert` the path of \
                 your own CA instead",
            ));
        }
        builder = builder.tls_danger_accept_invalid_certs(true);
    }
    if let Some(path) = &settings.ca_cert {
        let pem = read(disk, "ca_cert", path)?;
        let certificates = Certificate::from_pem_bundle(pem.expose()).unwrap_or_default();
        if certificates.is_empty() {
            return Err(unusable("ca_cert", path, "no certificate in PEM stands in it"));
        }
        builder = builder.tls_certs_only(certificates);
    }
    match (&settings.client_cert, &settings.client_key) {
        (Some(cert), Some(key)) => {
            let mut pem = read(disk, "client_key", key)?.expose().to_vec();
            pem.push(b'\n');
            pem.extend_from_slice(read(disk, "client_cert", cert)?.expose());
            let pem = SecretValue::new(pem);
            let identity = Identity::from_pem(pem.expose()).map_err(|_| {
                unusable("client_cert", cert, "it and `client_key` are not a certificate and its key in PEM")
            })?;
            builder = builder.identity(identity);
        }
        (None, None) => {}
        _ => return Err(refused("`client_cert` and `client_key` go together; one of the two is missing")),
    }
    builder.build().map_err(|_| refused("the TLS settings of the Vault provider cannot be used together"))
}

fn read(disk: &dyn Disk, setting: &str, path: &Path) -> Result<SecretValue> {
    match disk.read(path, PEM_BYTES_MAX) {
        Ok(Some(bytes)) => Ok(SecretValue::new(bytes)),
        Ok(None) => Err(unusable(setting, path, "there is no such file")),
        Err(error) => Err(unusable(setting, path, &error.to_string())),
    }
}

fn unusable(setting: &str, path: &Path, why: &str) -> Error {
    refused(&format!("`{setting}` of the Vault provider ({}) cannot be used: {why}", path.display()))
}

fn refused(why: &str) -> Error {
    Error::new(ErrorKind::Unauthenticated, why)
}
