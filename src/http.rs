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
