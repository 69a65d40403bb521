//! Who we are to GitHub, asked once: only what that name wrote counts as ours.

use http::Method;
use serde::Deserialize;
use serde_json::json;

use super::access::Access;
use super::client::{Again, Call, Github};
use crate::forge::{Error, Result};

const WHAT: &str = "ask GitHub whose token this is";
const NEEDS: &str = "metadata: read";

/// The name of the workflow's own token.
const ACTIONS: &str = "github-actions[bot]";

/// The author of whatever we write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    /// A user's name, or an App's with `[bot]` behind, which no user can have.
    pub(super) login: String,
}

/// A user or bot, as comments and pull requests name it.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Account {
    #[serde(default)]
    pub(super) login: String,
}

/// An App, as comments and checks name it.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct App {
    #[serde(default)]
    pub(super) slug: String,
}

impl Identity {
    /// Whether this account, or the App it came through, is we.
    pub(super) fn wrote(&self, account: Option<&Account>) -> bool {
        account.is_some_and(|account| account.login.eq_ignore_ascii_case(&self.login))
    }

    /// Whether this App is we; a token of a user is no App.
    pub(super) fn is_app(&self, app: &App) -> bool {
        self.login.strip_suffix("[bot]").is_some_and(|slug| slug.eq_ignore_ascii_case(&app.slug))
    }
}

impl Github {
    /// Who the token belongs to.
    ///
    /// A GitHub App tells its name; a person's token has `GET /user`, which is 403 for a token of an
    /// installation. Those are asked by GraphQL's `viewer`; where that fails too (GHES may forbid
    /// it), it is taken for the workflow's own token.
    pub(super) async fn identity(&self) -> Result<&Identity> {
        self.identity.get_or_try_init(|| self.ask()).await
    }

    async fn ask(&self) -> Result<Identity> {
        if let Access::Installation(installation) = &self.access {
            let app: App = self.send_as(&installation.app, &call(Method::GET, "/app", None)).await?.read(WHAT)?;
            return Ok(Identity { login: format!("{}[bot]", app.slug) });
        }
        match self.send(&call(Method::GET, "/user", None)).await {
            Ok(answer) => {
                let account: Account = answer.read(WHAT)?;
                Ok(Identity { login: account.login })
            }
            Err(Error::Forbidden { .. } | Error::NotFound { .. }) => Ok(self.viewer().await),
            Err(other) => Err(other),
        }
    }

    async fn viewer(&self) -> Identity {
        #[derive(Deserialize)]
        struct Reply {
            data: Data,
        }
        #[derive(Deserialize)]
        struct Data {
            viewer: Account,
        }
        // GHES: the API is at /api/v3, GraphQL at /api/graphql. The host is the same, so octocrab sends the token.
        let root = self.base.path().trim_end_matches('/');
        let path = match root.strip_suffix("/v3") {
            Some(root) => {
                let mut parts = self.base.clone().into_parts();
                parts.path_and_query = format!("{root}/graphql").parse().ok();
                http::Uri::from_parts(parts).map(|uri| uri.to_string()).unwrap_or_default()
            }
            None => "/graphql".to_owned(),
        };
        let query = json!({ "query": "query { viewer { login } }" });
        let reply = self.send(&call(Method::POST, &path, Some(query))).await;
        let login = reply.and_then(|answer| answer.read::<Reply>(WHAT)).map(|reply| reply.data.viewer.login);
        Identity { login: login.ok().filter(|login| !login.is_empty()).unwrap_or_else(|| ACTIONS.to_owned()) }
    }
}

fn call(method: Method, path: &str, body: Option<serde_json::Value>) -> Call {
    Call { method, path: path.to_owned(), body, what: WHAT, needs: NEEDS, again: Again::Harmless }
}
