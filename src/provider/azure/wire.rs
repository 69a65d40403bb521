//! Every request to a vault: where it may go, as whom, how often, and what its refusal means.

use std::sync::{Arc, OnceLock};

use reqwest::{Method, Response, Url};
use serde::de::DeserializeOwned;

use super::error::{Attempt, refusal, unanswered};
use super::login::Login;
use super::model::{Item, Page};
use super::{AzureSettings, AzureShared};
use crate::hosts::{Cloud, Hosts};
use crate::http::Unread;
use crate::limiter::{ApiClass, Limiter, Repeat, quota};
use crate::provider::{Error, ErrorKind, Result};
use crate::secret::SecretValue;

/// Old enough for the sovereign clouds, new enough for all that is used
/// (<https://learn.microsoft.com/rest/api/keyvault/>).
const API_VERSION: &str = "7.4";

/// Most objects on a page (<https://learn.microsoft.com/rest/api/keyvault/secrets/get-secrets>).
const PAGE_MAX: &str = "25";

/// Largest answer that is read, in bytes: a page has at most 25 objects, each with at most 15 tags of
/// 256 characters on either side, and a value at most 25 kilobytes
/// (<https://learn.microsoft.com/azure/key-vault/secrets/about-secrets>).
const ANSWER_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Most pages of one list that are read.
const PAGES_MAX: usize = 4_000;

/// One HTTP client for all vaults, built when first needed: it loads the CA roots.
#[derive(Clone, Default)]
pub(super) struct Http(Arc<OnceLock<reqwest::Client>>);

impl Http {
    pub(super) fn of(client: reqwest::Client) -> Self {
        Self(Arc::new(OnceLock::from(client)))
    }

    pub(super) fn client(&self) -> Result<reqwest::Client> {
        if let Some(client) = self.0.get() {
            return Ok(client.clone());
        }
        let client = crate::http::builder().build().map_err(|_| {
            Error::new(ErrorKind::Invalid, "no HTTPS client can be made; check SSL_CERT_FILE and HTTPS_PROXY")
        })?;
        Ok(self.0.get_or_init(|| client).clone())
    }
}

/// The connection of one provider block.
pub(super) struct Wire {
    pub(super) login: Login,
    pub(super) hosts: Hosts,
    http: Http,
    limiter: Arc<Limiter>,
    endpoint_url: Option<String>,
}

/// One request to a vault.
pub(super) struct Call<'a> {
    /// The right that it needs, as `secrets/list`.
    pub(super) action: &'static str,
    /// The address of the vault.
    pub(super) vault: &'a str,
    /// The object; empty for a list of all.
    pub(super) name: &'a str,
    pub(super) method: Method,
    /// What follows the host; each part is a segment.
    pub(super) path: &'a [&'a str],
    pub(super) body: Option<SecretValue>,
}

impl<'a> Call<'a> {
    /// A read.
    pub(super) fn get(action: &'static str, vault: &'a str, name: &'a str, path: &'a [&'a str]) -> Self {
        Self { action, vault, name, method: Method::GET, path, body: None }
    }
}

impl Wire {
    pub(super) fn new(settings: AzureSettings, shared: AzureShared) -> Self {
        let hosts = settings.endpoint_url.iter().fold(settings.hosts.clone(), |hosts, url| hosts.naming(url));
        let endpoint_url = settings.endpoint_url.clone();
        let AzureShared { limiter, http } = shared;
        let login = Login::new(settings, http.clone(), Arc::clone(&limiter));
        Self { login, hosts, http, limiter, endpoint_url }
    }

    /// Makes a call and reads its answer.
    pub(super) async fn send<T: DeserializeOwned + Send>(
        &self,
        class: &ApiClass,
        repeat: Repeat,
        call: &Call<'_>,
    ) -> Result<T> {
        let url = self.url(call)?;
        self.send_to(class, repeat, call, &url).await
    }

    /// Every page of a list, as far as `enough` allows after each; true if it was read to its end.
    pub(super) async fn pages(
        &self,
        call: &Call<'_>,
        mut enough: impl FnMut(Vec<Item>) -> bool + Send,
    ) -> Result<bool> {
        let mut url = self.url(call)?;
        url.query_pairs_mut().append_pair("maxresults", PAGE_MAX);
        for _ in 0..PAGES_MAX {
            let page: Page = self.send_to(&quota::KEY_VAULT_OTHER, Repeat::Read, call, &url).await?;
            if enough(page.value.unwrap_or_default()) {
                return Ok(false);
            }
            // An empty page may have a successor.
            let Some(link) = page.next_link.filter(|link| !link.is_empty()) else { return Ok(true) };
            let next = next_page(&url, &link).ok_or_else(|| {
                let message = format!("{} on {}: the next page lies on another host", call.action, call.vault);
                Error::new(ErrorKind::Invalid, message)
            })?;
            if next == url {
                return Ok(false);
            }
            url = next;
        }
        Ok(false)
    }

    /// All of a list.
    pub(super) async fn all(&self, call: &Call<'_>) -> Result<Vec<Item>> {
        let mut items = Vec::new();
        self.pages(call, |page| {
            items.extend(page);
            false
        })
        .await?;
        Ok(items)
    }

    fn url(&self, call: &Call<'_>) -> Result<Url> {
        let origin = self.endpoint_url.as_deref().unwrap_or(call.vault);
        let no_address = || Error::new(ErrorKind::Invalid, format!("{origin} is no address of a Key Vault"));
        let mut url = Url::parse(origin).map_err(|_| no_address())?;
        url.path_segments_mut().map_err(|()| no_address())?.pop_if_empty().extend(call.path);
        url.query_pairs_mut().append_pair("api-version", API_VERSION);
        Ok(url)
    }

    async fn send_to<T: DeserializeOwned + Send>(
        &self,
        class: &ApiClass,
        repeat: Repeat,
        call: &Call<'_>,
        url: &Url,
    ) -> Result<T> {
        self.check(url)?;
        let host = url_host(call.vault);
        let scope = self.login.scope(host)?;
        let once = || async {
            let token = self.login.token(&scope).await?;
            let attempt = Attempt { action: call.action, name: call.name, host, who: &token.who };
            self.attempt(&attempt, call, url, &token.value).await
        };
        let limit = format!("azure/{host}");
        match self.limiter.run(&limit, class, repeat, once).await {
            // A token that was revoked or that expired under way: a new one, once.
            Err(error) if error.kind == ErrorKind::Unauthenticated && self.login.forget(&scope).await => {
                self.limiter.run(&limit, class, repeat, once).await
            }
            answer => answer,
        }
    }

    /// A credential goes to a host that may have it, and nowhere else.
    fn check(&self, url: &Url) -> Result<()> {
        let host = url.host_str().unwrap_or_default();
        let authority = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let checked = self.hosts.check(Cloud::Azure, url.scheme(), &authority);
        checked.map_err(|refused| Error::new(ErrorKind::Invalid, refused.to_string()))
    }

    async fn attempt<T: DeserializeOwned>(
        &self,
        attempt: &Attempt<'_>,
        call: &Call<'_>,
        url: &Url,
        token: &SecretValue,
    ) -> Result<T> {
        let mut request = self.http.client()?.request(call.method.clone(), url.clone());
        request = request.bearer_auth(token.expose_text().unwrap_or_default());
        if let Some(body) = &call.body {
            request = request.header("content-type", "application/json").body(body.expose().to_vec());
        } else if call.method != Method::GET {
            request = request.header("content-length", "0");
        }
        let answer = request.send().await.map_err(|error| unanswered(attempt, &error))?;
        if !answer.status().is_success() {
            return Err(refused(attempt, answer).await);
        }
        let status = answer.status().as_u16();
        let bytes = crate::http::body(answer, ANSWER_BYTES_MAX).await.map_err(|unread| match unread {
            Unread::Lost(error) => unanswered(attempt, &error),
            Unread::TooLarge => {
                let read = call.method == Method::GET;
                let kind = if read { ErrorKind::Invalid } else { ErrorKind::Indeterminate };
                Error::new(kind, format!("the answer to {} is too large", attempt.at()))
            }
        })?;
        serde_json::from_slice(&bytes).map_err(|_| {
            let message = format!("{} answered something unreadable (HTTP {status})", attempt.at());
            Error::new(ErrorKind::Indeterminate, message)
        })
    }
}

async fn refused(attempt: &Attempt<'_>, answer: Response) -> Error {
    let status = answer.status().as_u16();
    let later = answer.headers().get("retry-after").and_then(|text| text.to_str().ok()?.parse().ok());
    let body = crate::http::body(answer, ANSWER_BYTES_MAX).await.unwrap_or_default();
    refusal(attempt, status, &body, later.map(std::time::Duration::from_secs))
}

/// The host of a vault's address, without scheme and port.
pub(super) fn url_host(vault: &str) -> &str {
    let authority = vault.split_once("://").map_or(vault, |(_, rest)| rest);
    authority.split(['/', ':']).next().unwrap_or_default()
}

/// A next page is one on the host that was asked: the vault writes its port out (`:443`), and in its
/// own name also where it was reached through another address.
fn next_page(asked: &Url, link: &str) -> Option<Url> {
    let next = Url::parse(link).ok()?;
    let same = next.scheme() == asked.scheme()
        && next.host_str() == asked.host_str()
        && next.port_or_known_default() == asked.port_or_known_default()
        && next.path() == asked.path()
        && next.username().is_empty()
        && next.password().is_none();
    same.then_some(next)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn the_next_page_is_on_the_same_host_or_nowhere() {
        let asked = Url::parse("https://kv-a.vault.azure.net/secrets?api-version=7.4").unwrap();
        let next = next_page(&asked, "https://kv-a.vault.azure.net:443/secrets?api-version=7.4&$skiptoken=x").unwrap();
        assert_eq!(next.as_str(), "https://kv-a.vault.azure.net/secrets?api-version=7.4&$skiptoken=x");
        for elsewhere in [
            "https://kv-b.vault.azure.net/secrets",
            "http://kv-a.vault.azure.net/secrets",
            "https://kv-a.vault.azure.net:8443/secrets",
            "https://user@kv-a.vault.azure.net/secrets",
            "https://kv-a.vault.azure.net/keys",
            "/secrets",
        ] {
            assert_eq!(next_page(&asked, elsewhere), None, "{elsewhere}");
        }
    }
}
