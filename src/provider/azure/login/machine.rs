//! The identity of the machine: a virtual machine or a pod by its metadata service, App Service and
//! Functions by an endpoint of their own. No secret of ours is sent
//! (<https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token>,
//! <https://learn.microsoft.com/azure/app-service/overview-managed-identity>).

use std::time::Duration;

use super::entra::{Granted, unreadable};
use super::{Failure, Login, TOKEN_BYTES_MAX, Token};
use crate::hosts::Cloud;
use crate::limiter::{Repeat, quota};
use crate::provider::{Error, ErrorKind, Result};

/// The metadata service of a virtual machine.
const INSTANCE: &str = "http://169.254.169.254";

/// Longest wait for a connection to it: it answers at once, or there is none.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// The variables by which a platform says where its identity endpoint is.
pub(super) const ADDRESS_VARIABLES: &[&str] = &["AZURE_POD_IDENTITY_AUTHORITY_HOST", "IDENTITY_ENDPOINT"];

impl Login {
    /// A token of the machine's identity, or of the one with that client id.
    pub(super) async fn of_machine(&self, client: Option<&str>, scope: &str) -> Result<Token, Failure> {
        let resource = scope.trim_end_matches("/.default");
        let platform = self.variable("IDENTITY_ENDPOINT").zip(self.variable("IDENTITY_HEADER"));
        let (url, header, version) = match platform {
            Some((endpoint, header)) => (endpoint.to_owned(), ("x-identity-header", header), "2019-08-01"),
            None => {
                let host = self.variable("AZURE_POD_IDENTITY_AUTHORITY_HOST").unwrap_or(INSTANCE);
                let url = format!("{}/metadata/identity/oauth2/token", host.trim_end_matches('/'));
                (url, ("metadata", "true"), "2018-02-01")
            }
        };
        let mut query = vec![("api-version", version), ("resource", resource)];
        query.extend(client.map(|client| ("client_id", client)));
        let (scheme, rest) = url.split_once("://").unwrap_or_default();
        let checked = self.hosts.check(Cloud::AzureInstance, scheme, rest.split('/').next().unwrap_or_default());
        checked.map_err(|refused| Error::new(ErrorKind::Invalid, refused.to_string()))?;
        // It is a neighbour: no proxy leads there.
        let http = crate::http::builder().no_proxy().connect_timeout(CONNECT_TIMEOUT).build();
        let http = http.map_err(|_| Error::new(ErrorKind::Invalid, "no HTTP client can be made"))?;
        let request = || http.get(&url).query(&query).header(header.0, header.1);
        let once = || async { asked(request()).await };
        match self.limiter.run("azure/machine", &quota::ENTRA_TOKEN, Repeat::Read, once).await? {
            Answer::Token(token) => Ok(*token),
            Answer::None(why) => Err(Failure::Absent(why)),
        }
    }
}

enum Answer {
    Token(Box<Token>),
    None(String),
}

async fn asked(request: reqwest::RequestBuilder) -> Result<Answer> {
    let Ok(answer) = request.send().await else {
        return Ok(Answer::None("this machine has no managed identity".into()));
    };
    let status = answer.status().as_u16();
    let body = crate::http::body(answer, TOKEN_BYTES_MAX).await.unwrap_or_default();
    match status {
        200 => {
            let granted: Granted =
                serde_json::from_slice(&body).map_err(|_| unreadable("the managed identity", status))?;
            Ok(Answer::Token(Box::new(granted.token())))
        }
        // It has several, or none with that id.
        400 => Ok(Answer::None(
            "this machine has no such managed identity (HTTP 400); name it by `client_id`, or attach it".into(),
        )),
        429 => Err(Error::new(ErrorKind::Throttled(None), "the managed identity throttles logins")),
        500.. => Err(Error::new(ErrorKind::Unavailable, format!("the managed identity failed (HTTP {status})"))),
        _ => Ok(Answer::None(format!("the managed identity refused (HTTP {status})"))),
    }
}
