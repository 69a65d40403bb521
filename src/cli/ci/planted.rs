//! Files that a provider block names and a checkout holds: the base's block may name them, but in a
//! review their bytes are the pull request's, which so would decide whom a store's login trusts.

use std::path::{Component, Path, PathBuf};

use super::Job;
use super::given::beside_of;
use super::unit::Unit;
use crate::manifest::ProviderBlock;

/// Settings whose value is the path of a file.
const PATHS: [&str; 4] = ["ca_cert", "client_cert", "client_key", "credentials_file"];

/// Largest file that is compared, in bytes.
const BYTES_MAX: u64 = 1024 * 1024;

impl Job<'_> {
    /// Why no store may be asked: a provider block names a file of the workspace that is not, byte for
    /// byte, the base's.
    pub(super) async fn planted(&self, unit: &Unit, branch: &str, providers: &[ProviderBlock]) -> Option<String> {
        for block in providers {
            for (setting, path) in named(block) {
                let Some(inside) = self.inside(unit, path) else { continue };
                if !self.is_the_bases(&inside, unit, path, branch).await {
                    return Some(format!(
                        "`{setting}` of the provider `{}` names a file of the checkout that is not known to be the base \
                         branch's, so the pull request would decide what a login trusts; the stores were not asked.",
                        block.alias.value
                    ));
                }
            }
        }
        None
    }

    /// The path in the repository, if a setting leads into the workspace; it may climb.
    fn inside(&self, unit: &Unit, path: &str) -> Option<String> {
        let path = Path::new(path);
        if path.is_relative() {
            return Some(beside_of(&unit.file, &path.to_string_lossy()));
        }
        let workspace = &self.runner.workspace;
        let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| plain(path));
        let below = [(real(path), real(workspace)), (plain(path), plain(workspace))];
        below.iter().find_map(|(path, top)| Some(path.strip_prefix(top).ok()?.to_string_lossy().into_owned()))
    }

    async fn is_the_bases(&self, inside: &str, unit: &Unit, path: &str, branch: &str) -> bool {
        let folder = self.runner.workspace.join(&unit.file).parent().map(Path::to_path_buf).unwrap_or_default();
        let Ok(Some(here)) = self.session.disk.read(&folder.join(path), BYTES_MAX) else { return false };
        let (Some(forge), Ok((at, None))) = (&self.forge, self.base_at(branch).await) else { return false };
        let name = plain(Path::new(inside));
        let there = forge.file_at(&name.to_string_lossy(), &at).await;
        matches!(there, Ok(Some(there)) if there == here)
    }
}

/// The paths that a block names.
fn named(block: &ProviderBlock) -> impl Iterator<Item = (&'static str, &str)> {
    let files = PATHS.into_iter().filter_map(|name| Some((name, block.setting(name)?)));
    // A token has three parts with dots between them; anything else is read as a path.
    let jwt = block.setting("jwt").filter(|jwt| jwt.starts_with('/') || jwt.split('.').count() != 3);
    files.chain(jwt.map(|path| ("jwt", path)))
}

/// A path without `.` and `..`, as its text says.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_read_as_its_text_says() {
        assert_eq!(plain(Path::new("a/./b/../c.pem")), Path::new("a/c.pem"));
        assert_eq!(plain(Path::new("/w/x/../../etc/ca.pem")), Path::new("/etc/ca.pem"));
    }
}
