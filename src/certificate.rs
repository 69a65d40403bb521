//! Tells a server whose certificate is not trusted from all other trouble, and says what to do now.

use std::error::Error;
use std::io;

/// Links of a chain of causes that are looked at.
const CAUSES_MAX: usize = 16;

/// What to tell a person if an error, or what caused it, is about the server's certificate.
#[must_use]
pub fn distrusted(error: &(dyn Error + 'static)) -> Option<String> {
    let mut next = Some(error);
    for _ in 0..CAUSES_MAX {
        let here = next?;
        if let Some(problem) = problem(here) {
            return Some(format!(
                "the server's certificate is not trusted ({problem}); if a proxy or a CA of your own signs it, set \
                 SSL_CERT_FILE to the path of that CA's PEM file"
            ));
        }
        next = here.source();
    }
    None
}

fn problem(error: &(dyn Error + 'static)) -> Option<String> {
    if let Some(rustls::Error::InvalidCertificate(problem)) = error.downcast_ref() {
        return Some(problem.to_string());
    }
    // What an operating system's error wraps is not among its causes.
    problem(error.downcast_ref::<io::Error>()?.get_ref()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_found_at_the_bottom_and_nothing_else_is_one() {
        let untrusted = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        let wrapped = io::Error::other(io::Error::other(untrusted));
        let said = distrusted(&wrapped).unwrap_or_default();
        assert!(said.contains("not trusted") && said.contains("SSL_CERT_FILE"), "{said}");
        assert_eq!(distrusted(&io::Error::other("certificate")), None);
        assert_eq!(distrusted(&io::Error::other(rustls::Error::DecryptError)), None);
    }
}
