//! Secretfiles that the forge gave, instead of those of the checkout.
//!
//! A job that a comment started stands on the default branch. What it plans is the pull request as it
//! would be merged, read at exact commits, so that nothing changes between the look and the plan.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::diagnostic::{Diagnostic, Severity, Source, Span, quote};
use crate::forge::{Forge, PullRequest, Result};

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
    pub async fn of(forge: &dyn Forge, pull: &PullRequest, files: &[String]) -> Result<Self> {
        let (commit, offline) = match merge(forge, pull).await? {
            Ok(merge) => (merge, None),
            Err(why) => (pull.head_sha.clone(), Some(format!("{why}, so the branch was read as it stands alone."))),
        };
        let mut read = BTreeMap::new();
        for file in files {
            read.insert(file.clone(), forge.file_at(file, &commit).await?);
        }
        Ok(Self { files: read, offline })
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
