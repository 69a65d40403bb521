//! A block of kind `vault`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Connect, Settings as _};
use crate::manifest::ProviderBlock;
use crate::oidc::{Phase, Trades};
use crate::provider::Provider;
use crate::provider::vault::{Login, Signed, VaultProvider, VaultSettings, VaultShared};
use crate::secret::SecretValue;

/// Where a pod finds the token of its service account
/// (<https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/>).
const SERVICE_ACCOUNT_TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// Variables that say that nobody watches this run.
const CI_VARIABLES: [&str; 4] = ["CI", "GITHUB_ACTIONS", "GITLAB_CI", "GITHUB_RUN_ID"];

#[expect(clippy::unnecessary_wraps, reason = "the kinds that are not built yet share this form")]
pub(super) fn connect(with: &Connect<'_>, block: &ProviderBlock) -> Option<Arc<dyn Provider>> {
    let path = |name: &str| block.text(name).map(|path| with.folder.join(path));
    let (login, mount) = match federated(with, block) {
        Some(login) => (login, with.federation.vault.mount.clone().unwrap_or_else(|| "jwt".to_owned())),
        None => {
            let (login, mount) = login(with, block);
            (login, mount.to_owned())
        }
    };
    let settings = VaultSettings {
        url: block.text("url").unwrap_or_default(),
        namespace: block.text("namespace"),
        login,
        mount: block.text("mount").unwrap_or(mount),
        ca_cert: path("ca_cert"),
        client_cert: path("client_cert"),
        client_key: path("client_key"),
        tls_skip_verify: block.setting("tls_skip_verify") == Some("true"),
        in_ci: CI_VARIABLES.iter().any(|name| with.environment.filled(name).is_some_and(|set| set != "false")),
        hosts: with.hosts.clone(),
    };
    let (limiter, disk, tokens) = (Arc::clone(&with.limiter), Arc::clone(with.disk), with.tokens.clone());
    // What is explained is a role of the JWT method; that of Kubernetes has other ones.
    let denials = if block.auth_kind == "kubernetes" { Arc::default() } else { Arc::clone(&with.denials) };
    let trades = Trades::new(&denials, with.federation.phase, &with.mask);
    Some(Arc::new(VaultProvider::new(settings, VaultShared { limiter, disk, tokens, trades })))
}

/// A login with the run's own token, as the role that the block or the inputs name for this phase.
fn federated(with: &Connect<'_>, block: &ProviderBlock) -> Option<Login> {
    let role = with.federation.identity(block);
    let wanted = match block.auth_kind.as_str() {
        "oidc" => !block.config.contains_key("jwt"),
        _ => role.is_some(),
    };
    let audience = block.text("audience").or_else(|| with.federation.vault.audience.clone());
    let audience = audience.or_else(|| block.text("url")).unwrap_or_default();
    wanted.then_some(Login::Signed { role, from: Signed::Run { audience } })
}

/// How to log in, and where that method is usually mounted.
fn login(with: &Connect<'_>, block: &ProviderBlock) -> (Login, &'static str) {
    let folder = with.folder;
    // A block of kind `oidc` has a role for each phase, and no plan takes the one that may write.
    let is_per_phase = block.auth_kind == "oidc";
    let role = if is_per_phase { with.federation.identity(block) } else { block.text("role") };
    if is_per_phase && with.federation.phase == Phase::Plan && with.federation.is_sync_only(block) {
        return (Login::None, "jwt");
    }
    let secret = |name| block.secret(name);
    let none = || Login::None;
    match block.auth_kind.as_str() {
        "approle" => {
            let ids = block.text("role_id").zip(secret("secret_id"));
            (ids.map_or_else(none, |(role_id, secret_id)| Login::AppRole { role_id, secret_id }), "approle")
        }
        "kubernetes" => {
            let given = secret("jwt").map(|jwt| given(folder, jwt));
            let from = given.unwrap_or_else(|| Signed::File(PathBuf::from(SERVICE_ACCOUNT_TOKEN)));
            (Login::Signed { role, from }, "kubernetes")
        }
        "jwt" | "oidc" => {
            let audience = || block.text("audience").or_else(|| block.text("url")).unwrap_or_default();
            let given = secret("jwt").map(|jwt| given(folder, jwt));
            (Login::Signed { role, from: given.unwrap_or_else(|| Signed::Run { audience: audience() }) }, "jwt")
        }
        _ => (secret("token").map_or_else(none, Login::Token), "token"),
    }
}

/// A signed token has three parts with dots between them; anything else is the path of one.
fn given(folder: &Path, jwt: SecretValue) -> Signed {
    let parts = jwt.expose_text().map_or(0, |text| text.split('.').count());
    match jwt.expose_text() {
        Some(path) if parts != 3 || path.starts_with('/') => Signed::File(folder.join(path)),
        _ => Signed::Given(jwt),
    }
}
