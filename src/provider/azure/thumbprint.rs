//! The thumbprint by which Key Vault knows a certificate: SHA-1 over its DER form, in base64url
//! (<https://learn.microsoft.com/rest/api/keyvault/certificates/get-certificate>).

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use data_encoding::{BASE64, BASE64URL_NOPAD};

use super::certificate::{PEM, Parts};
use super::pkcs12;

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// The thumbprint of what would be imported; `None` if the file cannot be opened here.
pub(super) fn of(content_type: &str, parts: &Parts) -> Option<String> {
    let text = parts.certificate.expose_text()?;
    let der = if content_type == PEM {
        // The first is the certificate itself, those after it vouch for it.
        let body = text.split_once(BEGIN)?.1.split_once(END)?.0;
        let bare: String = body.chars().filter(|c| !c.is_ascii_whitespace()).collect();
        BASE64.decode(bare.as_bytes()).ok()?
    } else {
        let password = parts.password.as_ref().map_or(&[][..], |password| password.expose());
        pkcs12::certificate(&BASE64.decode(text.as_bytes()).ok()?, password)?
    };
    Some(BASE64URL_NOPAD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, &der).as_ref()))
}
