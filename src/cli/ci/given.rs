//! Secretfiles that the forge gave, instead of those of the checkout.
//!
//! A job that a comment started stands on the default branch. What it plans is the pull request as it
//! would be merged, read at exact commits, so that nothing changes between the look and the plan.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::diagnostic::{Diagnostic, Severity, Source, Span, quote};
use crate::forge::{Forge, PullRequest, Result};
use crate::manifest::environments;

/// What was read for one pull request.
pub struct Given {
    /// The text by path; `None` if there is no such file.
    files: BTreeMap<String, Option<Vec<u8>>>,
    /// Why no store may be asked about it.
    pub offline: Option<String>,
}

impl Given {
    /// Reads the Secretfiles of a pull request as it would be merged, or of its head alone where that
    /// is not known.
    ///
    /// # Errors
    /// The forge's.
    pub async fn of(forge: &dyn Forge, pull: &PullRequest, files: impl IntoIterator<Item = String>) -> Result<Self> {
        let (commit, offline) = match merge(forge, pull).await? {
            Ok(merge) => (merge, None),
            Err(why) => (pull.head_sha.clone(), Some(format!("{why}, so the branch was read as it stands alone."))),
        };
        let mut read = BTreeMap::new();
        for file in files {
            let bytes = forge.file_at(&file, &commit).await?;
            for beside in var_files(&file, bytes.as_deref()) {
                read.insert(beside.clone(), forge.file_at(&beside, &commit).await?);
            }
            read.insert(file, bytes);
        }
        Ok(Self { files: read, offline })
    }

    /// A file's bytes, if it was read and is there.
    #[must_use]
    pub fn file(&self, path: &str) -> Option<&[u8]> {
        self.files.get(path)?.as_deref()
    }

    /// A Secretfile's text.
    ///
    /// # Errors
    /// A finding, if it is not there or no text.
    pub fn source(&self, file: &str, path: PathBuf) -> std::result::Result<(PathBuf, Source), Diagnostic> {
        match self.files.get(file) {
            Some(Some(bytes)) => Source::from_bytes(file, bytes.clone()).map(|source| (path, source)),
            _ => Err(Diagnostic {
                code: "no-secretfile",
                severity: Severity::Error,
                message: format!("the pull request has no Secretfile at {}", quote(file)),
                span: Span::default(),
                help: Some("name it under `files`".into()),
                secret: None,
            }),
        }
    }
}

/// The files of variables that a Secretfile's environments name, as paths of the repository.
fn var_files(file: &str, bytes: Option<&[u8]>) -> Vec<String> {
    let source = bytes.and_then(|bytes| Source::from_bytes(file, bytes.to_vec()).ok());
    let declared = source.map(|source| environments(&source)).unwrap_or_default();
    let files = declared.iter().flat_map(|environment| &environment.var_files);
    files.map(|beside| beside_of(file, &beside.value)).collect()
}

/// The path of a file that is named relative to a Secretfile's folder.
pub(super) fn beside_of(secretfile: &str, path: &str) -> String {
    match secretfile.rsplit_once('/') {
        Some((folder, _)) => format!("{folder}/{path}"),
        None => path.to_owned(),
    }
}

/// The test merge of this head into the default branch's tip; else why there is none.
async fn merge(forge: &dyn Forge, pull: &PullRequest) -> Result<std::result::Result<String, String>> {
    let tip = forge.default_branch_tip().await?;
    if pull.base_ref != tip.branch {
        return Ok(Err(format!("It is merged into `{}`, not into the default branch", pull.base_ref)));
    }
    if pull.mergeable == Some(false) {
        return Ok(Err("It conflicts with the default branch".into()));
    }
    let Some(merge) = &pull.merge_commit_sha else {
        return Ok(Err("Whether it merges is not known yet".into()));
    };
    // The API keeps an older test merge until it has made a new one.
    if forge.parents(merge).await? != [tip.sha, pull.head_sha.clone()] {
        return Ok(Err("The forge has not merged this head into the newest default branch for a test yet".into()));
    }
    Ok(Ok(merge.clone()))
}
