//! Check runs: created or finished in place, annotations in batches, nothing sent twice.
//!
//! Updating appends annotations, so an update whose reply was lost must not be repeated blindly: the
//! count on the check tells whether it arrived. A lost create is looked for among the checks that
//! were not there before.

use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::client::{Again, Call, Github};
use super::identity::App;
use super::repository::{segment, sha};
use crate::forge::text::{cut, cut_bytes};
use crate::forge::{ANNOTATIONS_MAX, Annotation, CheckRun, CheckSeen, CheckStatus, Error, Level, Result};

const WHAT: &str = "set the check on the commit";
const NEEDS: &str = "checks: write";
/// Annotations that one request may carry
/// (<https://docs.github.com/en/rest/checks/runs#update-a-check-run>).
const BATCH: usize = 50;
/// The longest summary, and the longest text, in bytes.
const FIELD_BYTES_MAX: usize = 65_535;
/// The longest annotation message in bytes (64 KB), title and name in UTF-16 code units.
const MESSAGE_BYTES_MAX: usize = 64_000;
const TITLE_UNITS_MAX: usize = 255;
const NOTE: &str = "_Cut: the rest is in the job summary._";
/// Tries of a request whose reply gets lost.
const TRIES_MAX: u32 = 3;

#[derive(Debug, Deserialize)]
struct Run {
    id: u64,
    #[serde(default)]
    external_id: Option<String>,
    #[serde(default)]
    status: String,
    #[serde(default)]
    conclusion: Option<String>,
    #[serde(default)]
    app: Option<App>,
    #[serde(default)]
    output: Output,
}

#[derive(Debug, Default, Deserialize)]
struct Output {
    #[serde(default)]
    summary: Option<String>,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    annotations_count: u64,
}

#[derive(Debug, Deserialize)]
struct Runs {
    check_runs: Vec<Run>,
}

impl From<Run> for CheckSeen {
    fn from(run: Run) -> Self {
        Self {
            id: run.id,
            external_id: run.external_id.unwrap_or_default(),
            completed: run.status == "completed",
            conclusion: run.conclusion,
            ours: false,
            app: run.app.map(|app| app.slug).filter(|slug| !slug.is_empty()),
            summary: run.output.summary.unwrap_or_default(),
            text: run.output.text.unwrap_or_default(),
            annotations: run.output.annotations_count,
        }
    }
}

impl Github {
    pub(super) async fn list_checks(&self, head_sha: &str, name: &str) -> Result<Vec<CheckSeen>> {
        let (head_sha, name) = (sha(head_sha, WHAT)?, segment(name));
        let path = format!("commits/{head_sha}/check-runs?check_name={name}&filter=all&per_page=100");
        let runs: Runs = self.get(&path, "read the checks of the commit", "checks: read").await?.read(WHAT)?;
        let mut seen: Vec<CheckSeen> = runs.check_runs.into_iter().map(CheckSeen::from).collect();
        if !seen.is_empty() {
            let identity = self.identity().await?;
            for check in &mut seen {
                check.ours = check.app.as_ref().is_none_or(|slug| identity.is_app(&App { slug: slug.clone() }));
            }
        }
        seen.sort_by_key(|check| std::cmp::Reverse(check.id));
        Ok(seen)
    }

    pub(super) async fn put_check(&self, head_sha: &str, check: &CheckRun) -> Result<u64> {
        let before = self.own_checks(head_sha, check).await?;
        let sent = &check.annotations[..check.annotations.len().min(ANNOTATIONS_MAX)];
        let open = before.iter().find(|seen| !seen.completed);
        let (id, mut expected, rest) = match open {
            Some(seen) => (seen.id, seen.annotations, sent),
            None => {
                let (first, rest) = sent.split_at(sent.len().min(BATCH));
                let known: Vec<u64> = before.iter().map(|seen| seen.id).collect();
                let id = self.create_check(head_sha, check, first, &known).await?;
                (id, first.len() as u64, rest)
            }
        };
        if open.is_some() && rest.is_empty() {
            self.update_check(id, check, &[], expected).await?;
        }
        for batch in rest.chunks(BATCH) {
            expected += batch.len() as u64;
            self.update_check(id, check, batch, expected).await?;
        }
        Ok(id)
    }

    /// The checks of ours with this name and key, newest first.
    async fn own_checks(&self, head_sha: &str, check: &CheckRun) -> Result<Vec<CheckSeen>> {
        let mut seen = self.list_checks(head_sha, &check.name).await?;
        seen.retain(|seen| seen.ours && seen.external_id == check.external_id);
        Ok(seen)
    }

    async fn create_check(&self, head_sha: &str, check: &CheckRun, first: &[Annotation], known: &[u64]) -> Result<u64> {
        let mut body = body(check, first);
        body["name"] = json!(check.name);
        body["head_sha"] = json!(head_sha);
        body["external_id"] = json!(check.external_id);
        let mut lost = None;
        for attempt in 1..=TRIES_MAX {
            match self.check_call(Method::POST, self.path("check-runs"), body.clone()).await {
                Err(error @ Error::Indeterminate { .. }) => {
                    lost = Some(error);
                    self.back_off(attempt, WHAT).await?;
                    let seen = self.own_checks(head_sha, check).await?;
                    if let Some(new) = seen.iter().find(|seen| !known.contains(&seen.id)) {
                        return Ok(new.id);
                    }
                }
                other => return Ok(other?.id),
            }
        }
        Err(lost.unwrap_or_else(|| Error::unreadable(WHAT, "no answer")))
    }

    async fn update_check(&self, id: u64, check: &CheckRun, batch: &[Annotation], expected: u64) -> Result<()> {
        let path = format!("check-runs/{id}");
        let mut lost = None;
        for attempt in 1..=TRIES_MAX {
            match self.check_call(Method::PATCH, self.path(&path), body(check, batch)).await {
                Err(error @ Error::Indeterminate { .. }) => {
                    lost = Some(error);
                    self.back_off(attempt, WHAT).await?;
                    let run: Run = self.get(&path, WHAT, NEEDS).await?.read(WHAT)?;
                    if !batch.is_empty() && run.output.annotations_count >= expected {
                        return Ok(());
                    }
                }
                other => return other.map(|_| ()),
            }
        }
        Err(lost.unwrap_or_else(|| Error::unreadable(WHAT, "no answer")))
    }

    async fn check_call(&self, method: Method, path: String, body: Value) -> Result<Run> {
        let call = Call { method, path, body: Some(body), what: WHAT, needs: NEEDS, again: Again::LookFirst };
        self.send(&call).await?.read(WHAT)
    }
}

fn body(check: &CheckRun, batch: &[Annotation]) -> Value {
    let mut output = json!({
        "title": cut(&check.title, TITLE_UNITS_MAX, "…"),
        "summary": cut_bytes(&check.summary, FIELD_BYTES_MAX, NOTE),
    });
    if let Some(text) = &check.text {
        output["text"] = json!(cut_bytes(text, FIELD_BYTES_MAX, NOTE));
    }
    if !batch.is_empty() {
        output["annotations"] = batch.iter().map(annotation).collect();
    }
    let mut body = json!({ "output": output });
    match check.status {
        CheckStatus::Queued => body["status"] = json!("queued"),
        CheckStatus::InProgress => body["status"] = json!("in_progress"),
        CheckStatus::Completed(conclusion) => {
            body["status"] = json!("completed");
            body["conclusion"] = json!(conclusion.as_str());
        }
    }
    if let Some(url) = &check.details_url {
        body["details_url"] = json!(url);
    }
    body
}

fn annotation(finding: &Annotation) -> Value {
    let line_end = finding.line_end.max(finding.line);
    let mut body = json!({
        "path": finding.path,
        "start_line": finding.line,
        "end_line": line_end,
        "annotation_level": match finding.level {
            Level::Notice => "notice",
            Level::Warning => "warning",
            Level::Failure => "failure",
        },
        "title": cut(&finding.title, TITLE_UNITS_MAX, "…"),
        "message": cut_bytes(&finding.message, MESSAGE_BYTES_MAX, "…"),
    });
    // GitHub takes columns only where the annotation is on one line.
    if let Some(column) = finding.column.filter(|_| line_end == finding.line) {
        body["start_column"] = json!(column);
        body["end_column"] = json!(column);
    }
    body
}
