//! Which repository one stands in: as the CI job tells it, else as git's own files do.

use std::path::{Path, PathBuf};

use super::session::Session;
use super::trusted::event_payload;
use crate::trust::{Forge, Repository};

/// Largest file of git's that is looked at, in bytes.
const FILE_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// What is known of it; the rest is for flags to say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// Whose CI it is, if the host tells.
    pub(super) forge: Option<Forge>,
    /// Who signs its tokens.
    pub(super) issuer: Option<String>,
    /// Its name and numbers; the name may be empty.
    pub(super) repository: Repository,
    /// Its default branch.
    pub(super) branch: Option<String>,
}

/// What the run and the folder tell.
pub(super) fn find(session: &Session) -> Found {
    let text = |name: &str| session.environment.filled(name).map(str::to_owned);
    if let Some(path) = text("GITHUB_REPOSITORY") {
        let server = text("GITHUB_SERVER_URL").unwrap_or_else(|| "https://github.com".to_owned());
        let repository =
            Repository { path, id: text("GITHUB_REPOSITORY_ID"), owner_id: text("GITHUB_REPOSITORY_OWNER_ID") };
        let issuer = Some(github_issuer(&server));
        return Found { forge: Some(Forge::Github), issuer, repository, branch: default_branch_of_event(session) };
    }
    if let Some(path) = text("CI_PROJECT_PATH") {
        let repository = Repository { path, id: text("CI_PROJECT_ID"), owner_id: text("CI_PROJECT_NAMESPACE_ID") };
        let (issuer, branch) = (text("CI_SERVER_URL"), text("CI_DEFAULT_BRANCH"));
        return Found { forge: Some(Forge::Gitlab), issuer, repository, branch };
    }
    of_git(session).unwrap_or_default()
}

/// <https://docs.github.com/en/enterprise-server@latest/actions/reference/security/oidc>
fn github_issuer(server: &str) -> String {
    let host = server.trim_end_matches('/').trim_start_matches("https://");
    match host.strip_suffix(".ghe.com") {
        Some(name) => format!("https://token.actions.{name}.ghe.com"),
        None if host == "github.com" => Forge::Github.public_issuer().unwrap_or_default().to_owned(),
        None => format!("https://{host}/_services/token"),
    }
}

fn default_branch_of_event(session: &Session) -> Option<String> {
    let event = event_payload(&session.environment)?;
    event.get("repository")?.get("default_branch")?.as_str().map(str::to_owned)
}

/// The top of the work tree that one stands in.
pub(super) fn top() -> Option<PathBuf> {
    let here = Path::new(".").canonicalize().ok()?;
    here.ancestors().find(|folder| folder.join(".git").exists()).map(Path::to_path_buf)
}

fn of_git(session: &Session) -> Option<Found> {
    let read = |path: PathBuf| {
        let bytes = session.disk.read(&path, FILE_BYTES_MAX).ok()??;
        String::from_utf8(bytes).ok()
    };
    let top = top()?;
    let mut folder = top.join(".git");
    if !folder.is_dir() {
        // A linked work tree: a file names its own folder, and that one the shared one.
        let own = top.join(read(folder)?.strip_prefix("gitdir:")?.trim());
        folder = read(own.join("commondir")).map_or_else(|| own.clone(), |shared| own.join(shared.trim()));
    }
    let (host, path) = address(&origin(&read(folder.join("config"))?)?)?;
    let head = read(folder.join("refs/remotes/origin/HEAD"));
    let branch = head.and_then(|head| Some(head.trim().strip_prefix("ref: refs/remotes/origin/")?.to_owned()));
    let forge = match host.as_str() {
        "github.com" => Some(Forge::Github),
        host if host.ends_with(".ghe.com") || host.starts_with("github.") => Some(Forge::Github),
        host if host.starts_with("gitlab.") => Some(Forge::Gitlab),
        _ => None,
    };
    let issuer = forge.map(|forge| match forge {
        Forge::Github => github_issuer(&format!("https://{host}")),
        Forge::Gitlab | Forge::Service => format!("https://{host}"),
    });
    Some(Found { forge, issuer, repository: Repository { path, ..Repository::default() }, branch })
}

/// The address of the remote `origin` in git's configuration.
fn origin(config: &str) -> Option<String> {
    let mut lines = config.lines().map(str::trim).skip_while(|line| *line != "[remote \"origin\"]").skip(1);
    let url = lines.by_ref().take_while(|line| !line.starts_with('[')).find_map(|line| {
        let (key, value) = line.split_once('=')?;
        (key.trim() == "url").then(|| value.trim().to_owned())
    });
    url.filter(|url| !url.is_empty())
}

/// Host and path of an address, without a login: `git@host:path.git`, `ssh://…`, `https://…`.
fn address(url: &str) -> Option<(String, String)> {
    let (authority, path) = match url.split_once("://") {
        Some((_, rest)) => rest.split_once('/')?,
        None => url.split_once(':')?,
    };
    let host = authority.rsplit('@').next()?.split(':').next()?;
    let path = path.trim_matches('/').trim_end_matches(".git");
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte));
    let named = !host.is_empty() && path.contains('/') && plain(host) && plain(path);
    named.then(|| (host.to_ascii_lowercase(), path.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_git_names_host_and_path() {
        for url in [
            "git@github.com:octo/demo.git",
            "ssh://git@github.com:22/octo/demo.git",
            "https://github.com/octo/demo",
            "https://x-access-token:hunter2@GitHub.com/octo/demo.git",
        ] {
            assert_eq!(address(url), Some(("github.com".into(), "octo/demo".into())), "{url}");
        }
        for url in ["/srv/git/demo.git", "github.com", "https://github.com/", "git@host:$(id)/x"] {
            assert_eq!(address(url), None, "{url}");
        }
    }

    #[test]
    fn the_origin_is_read_from_its_own_section() {
        let config = "[core]\n\turl = no\n[remote \"fork\"]\n\turl = git@h:a/b\n[remote \"origin\"]\n\tfetch = +refs\n\turl = git@h:c/d\n";
        assert_eq!(origin(config).as_deref(), Some("git@h:c/d"));
        assert_eq!(origin("[remote \"origin\"]\n[branch \"main\"]\nurl = x\n"), None);
    }

    #[test]
    fn each_kind_of_github_has_its_issuer() {
        assert_eq!(github_issuer("https://github.com"), "https://token.actions.githubusercontent.com");
        assert_eq!(github_issuer("https://ghes.corp/"), "https://ghes.corp/_services/token");
        assert_eq!(github_issuer("https://octo.ghe.com"), "https://token.actions.octo.ghe.com");
    }
}
