//! The HTTPS client of every store that has no SDK of its own, with the rules of all: no redirects,
//! bounded waits, the proxies and the CA of the environment.

use std::time::Duration;

/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest wait for the answer of one attempt.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);

/// What every client begins with; `HTTPS_PROXY`, `NO_PROXY` and `SSL_CERT_FILE` are honoured.
pub fn builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(ATTEMPT_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("secretzero/", env!("CARGO_PKG_VERSION")))
}

/// Why an answer's body is not there.
#[derive(Debug)]
pub enum Unread {
    /// The line broke under way.
    Lost(reqwest::Error),
    /// It is larger than such answers are.
    TooLarge,
}

/// The whole body of an answer of at most so many bytes; of a larger one no more than that is read.
///
/// # Errors
/// [`Unread`] tells which of the two went wrong.
pub async fn body(mut answer: reqwest::Response, bytes_max: usize) -> Result<Vec<u8>, Unread> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(Unread::Lost)? {
        if body.len().saturating_add(chunk.len()) > bytes_max {
            return Err(Unread::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
