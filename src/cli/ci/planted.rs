//! Files that a login reads and a checkout may hold: those that provider blocks name, and those that the
//! runner's variables name. The base may name them, but in a review their bytes are the pull request's,
//! which so would decide whom a store's login trusts, or what it starts and whom it tells.

use std::path::{Component, Path, PathBuf, absolute};

use super::Job;
use super::unit::Unit;
use crate::environment::Environment;
use crate::manifest::ProviderBlock;
use crate::provider::local;

/// Settings whose value is the path of a file.
const PATHS: [&str; 4] = ["ca_cert", "client_cert", "client_key", "credentials_file"];

/// Variables whose value is the path of a file or folder that a login or a connection reads.
///
/// | of | its page |
/// |---|---|
/// | AWS | <https://docs.aws.amazon.com/sdkref/latest/guide/environment-variables.html> |
/// | Azure | <https://learn.microsoft.com/cli/azure/azure-cli-configuration>, <https://learn.microsoft.com/entra/workload-id/workload-identity-federation> |
/// | Google | <https://cloud.google.com/docs/authentication/application-default-credentials> |
/// | TLS | <https://docs.openssl.org/master/man7/openssl-env/> |
const VARIABLES: [&str; 11] = [
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "CLOUDSDK_CONFIG",
    "AZURE_CONFIG_DIR",
    "AZURE_FEDERATED_TOKEN_FILE",
    "SECRETZERO_ID_TOKEN_FILE",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

/// Variables that name a person's folder, and what logins look for in it.
const HOMES: [&str; 2] = ["HOME", "USERPROFILE"];
const IN_HOME: [&str; 3] = [".aws", ".azure", ".config/gcloud"];

/// Largest file that is compared, in bytes.
const BYTES_MAX: u64 = 1024 * 1024;

/// Most files of one folder that are compared; each takes a request or more.
const FILES_MAX: usize = 50;

/// Which commit's bytes count.
pub(super) struct Expected<'l> {
    /// That commit.
    pub(super) at: &'l str,
    /// What may be checked out instead of it.
    pub(super) others: &'l [&'l str],
    /// Whether a block's file must be the commit's; else it may be the job's own as well.
    pub(super) strict: bool,
}

/// Where a path leads.
enum Place {
    /// Not into the workspace.
    Outside,
    /// Into it, and nothing stands there.
    Absent,
    /// Through a link of the workspace, or to a name that no commit has.
    Odd,
    /// To a file or folder of the workspace, with its name there.
    At { real: PathBuf, name: String },
}

/// Whose bytes a login would read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// The runner's, or the commit's that counts.
    Trusted,
    /// The job's: no commit has such a file, as an earlier step may write one.
    Jobs,
    /// Of another commit, or not known.
    Strangers,
}

impl Job<'_> {
    /// Which setting or variable leads to a file of the workspace that is not, byte for byte, that of
    /// the commit that counts. What the job itself wrote there may stay.
    pub(super) async fn planted(&self, unit: &Unit, law: &Expected<'_>, providers: &[ProviderBlock]) -> Option<String> {
        let folder = self.runner.workspace.join(&unit.file).parent().map(Path::to_path_buf).unwrap_or_default();
        for block in providers {
            for (setting, path) in named(block) {
                let whose = self.whose(&folder.join(path), law).await;
                if whose == Whose::Strangers || (whose == Whose::Jobs && law.strict) {
                    let alias = &block.alias.value;
                    return Some(format!("`{setting}` of the provider `{alias}` names a file of the checkout"));
                }
            }
        }
        for (variable, path) in places(&self.session.environment) {
            for file in self.files_in(&path) {
                if self.whose(&file, law).await == Whose::Strangers {
                    return Some(format!("The variable `{variable}` leads to a file of the checkout"));
                }
            }
        }
        None
    }

    async fn whose(&self, path: &Path, law: &Expected<'_>) -> Whose {
        let (real, name) = match self.place(path) {
            Place::Outside => return Whose::Trusted,
            Place::Absent => return Whose::Jobs,
            Place::Odd => return Whose::Strangers,
            Place::At { real, name } => (real, name),
        };
        let disk = self.session.disk.as_ref();
        let (Some(forge), Ok(Some(here))) = (&self.forge, disk.read(&real, BYTES_MAX)) else {
            return Whose::Strangers;
        };
        match forge.file_at(&name, law.at).await {
            Ok(None) => {}
            Ok(Some(there)) if there == here => return Whose::Trusted,
            _ => return Whose::Strangers,
        }
        if !matches!(local::tracks(&real, disk), Ok(None | Some(false))) {
            return Whose::Strangers;
        }
        for commit in law.others.iter().filter(|commit| !commit.is_empty() && **commit != law.at) {
            if !matches!(forge.file_at(&name, commit).await, Ok(None)) {
                return Whose::Strangers;
            }
        }
        Whose::Jobs
    }

    /// Where a path leads by its text and by the links in it; both must agree.
    fn place(&self, path: &Path) -> Place {
        let text = |path: &Path| absolute(path).map(|path| plain(&path));
        let (Ok(named), Ok(top)) = (text(path), text(&self.runner.workspace)) else { return Place::Odd };
        let real_top = top.canonicalize().unwrap_or_else(|_| top.clone());
        let by_text = [&top, &real_top].into_iter().find_map(|top| named.strip_prefix(top).ok());
        let Ok(real) = path.canonicalize() else {
            return if by_text.is_some() { Place::Absent } else { Place::Outside };
        };
        match (by_text, real.strip_prefix(&real_top).ok()) {
            (None, None) => Place::Outside,
            (Some(by_text), Some(by_links)) if by_text != by_links => Place::Odd,
            (Some(_), None) => Place::Odd,
            (_, Some(below)) => match below.to_str() {
                Some(name) => Place::At { name: name.replace('\\', "/"), real: real.clone() },
                None => Place::Odd,
            },
        }
    }

    /// The files at a path: itself, or all below if it is a folder of the workspace. One of which there
    /// are too many stands for itself, so that it counts as nobody's.
    fn files_in(&self, path: &Path) -> Vec<PathBuf> {
        let is_folder = matches!(self.place(path), Place::At { .. }) && path.is_dir();
        let (mut files, mut folders) = (Vec::new(), vec![path.to_path_buf()]);
        if !is_folder {
            return folders;
        }
        while let Some(folder) = folders.pop() {
            let Ok(entries) = self.session.disk.list(&folder) else { return vec![folder] };
            for entry in entries {
                let at = folder.join(&entry.name);
                if entry.is_folder { folders.push(at) } else { files.push(at) }
            }
            if files.len() + folders.len() > FILES_MAX {
                return vec![path.to_path_buf()];
            }
        }
        files
    }
}

/// The paths that a block names.
fn named(block: &ProviderBlock) -> impl Iterator<Item = (&'static str, &str)> {
    let files = PATHS.into_iter().filter_map(|name| Some((name, block.setting(name)?)));
    // A token has three parts with dots between them; anything else is read as a path.
    let jwt = block.setting("jwt").filter(|jwt| jwt.starts_with('/') || jwt.split('.').count() != 3);
    files.chain(jwt.map(|path| ("jwt", path)))
}

/// The paths that the runner's variables name; relative ones count from where the run was started.
fn places(environment: &Environment) -> Vec<(&'static str, PathBuf)> {
    let homes = HOMES.into_iter().filter_map(|name| Some((name, Path::new(environment.filled(name)?))));
    let mut places = Vec::new();
    for name in VARIABLES {
        let Some(value) = environment.filled(name) else { continue };
        // OpenSSL takes a list of folders, AWS a path that begins at home.
        for path in value.split(if name == "SSL_CERT_DIR" { ':' } else { '\0' }).filter(|path| !path.is_empty()) {
            places.push((name, PathBuf::from(path)));
            let below = path.strip_prefix("~/");
            places.extend(
                below.into_iter().flat_map(|below| homes.clone().map(move |(_, home)| (name, home.join(below)))),
            );
        }
    }
    places.extend(homes.flat_map(|(name, home)| IN_HOME.map(|below| (name, home.join(below)))));
    places
}

/// A path without `.` and `..`, as its text says.
pub(super) fn plain(path: &Path) -> PathBuf {
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

    #[test]
    fn every_path_that_a_variable_names_is_looked_at() {
        let pairs = [("SSL_CERT_DIR", "/a:b"), ("AWS_CONFIG_FILE", "~/c"), ("HOME", "/h")];
        let environment = Environment::of(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let found: Vec<String> = places(&environment).into_iter().map(|(_, path)| path.display().to_string()).collect();
        assert_eq!(found, ["~/c", "/h/c", "/a", "b", "/h/.aws", "/h/.azure", "/h/.config/gcloud"]);
    }
}
