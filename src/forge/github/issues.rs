//! One open issue per marker, edited in place, ours alone; and single comments read again.
//!
//! Races: as in `comments`, two runs may both open one. After a create we look again; every writer
//! keeps the oldest open and closes the younger ones, since an issue cannot be deleted by a token. A
//! reply lost on create is answered by looking again before another try.

use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::client::{Again, Call, Github};
use super::identity::{Account, App};
use super::repository::segment;
use crate::forge::text::{COMMENT_UNITS_MAX, cut, visible};
use crate::forge::{CommentSeen, Error, Issue, Marker, Posted, Result};

const WHAT: &str = "write the issue";
const LOOK: &str = "look for the issue";
const NEEDS: &str = "issues: write";
/// Said at the end of a body that was cut here; the renderer cuts earlier, and better.
const NOTE: &str = "_This issue is longer than GitHub allows; the rest is in the job summary._";
/// Pages of 100 issues of our own that are looked through.
const PAGES_MAX: u32 = 20;
/// Tries to open an issue whose reply gets lost.
const CREATES_MAX: u32 = 3;
/// GitHub's longest title, in characters.
const TITLE_CHARS_MAX: usize = 256;

#[derive(Debug, Deserialize)]
struct Listed {
    number: u64,
    #[serde(default)]
    html_url: String,
    #[serde(default)]
    title: String,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    state: String,
    #[serde(default)]
    state_reason: Option<String>,
    #[serde(default)]
    user: Option<Account>,
    /// Every pull request is an issue too.
    #[serde(default)]
    pull_request: Option<Value>,
}

impl Listed {
    fn posted(&self, created: bool) -> Posted {
        Posted { id: self.number, url: self.html_url.clone(), created }
    }

    fn reads(&self, title: &str, body: &str) -> bool {
        let plain = |text: &str| text.replace("\r\n", "\n").trim_end().to_owned();
        self.title == title && self.body.as_deref().is_some_and(|own| plain(own) == plain(body))
    }

    fn told(self) -> Issue {
        Issue {
            number: self.number,
            url: self.html_url,
            open: self.state == "open",
            dismissed: self.state_reason.as_deref() == Some("not_planned"),
            body: self.body.unwrap_or_default(),
        }
    }
}

impl Github {
    pub(super) async fn known_issue(&self, marker: &Marker) -> Result<Option<Issue>> {
        let mut ours = self.issues(marker, "all", NEEDS).await?;
        let open = ours.iter().position(|issue| issue.state == "open");
        let chosen = open.or(ours.len().checked_sub(1));
        Ok(chosen.map(|at| ours.swap_remove(at).told()))
    }

    pub(super) async fn put_issue(&self, marker: &Marker, title: &str, body: &str) -> Result<Posted> {
        let title: String = visible(title).replace('\n', " ").chars().take(TITLE_CHARS_MAX).collect();
        let body = marker.head(body);
        let body = cut(&body, COMMENT_UNITS_MAX, NOTE);
        let mut lost = None;
        for attempt in 1..=CREATES_MAX {
            let ours = self.issues(marker, "open", NEEDS).await?;
            if let Some(oldest) = ours.first() {
                return self.settled(oldest, &ours, &title, &body, lost.is_some()).await;
            }
            let path = self.path("issues");
            let new = Some(json!({ "title": title, "body": body }));
            match self.post(Method::POST, path, new, Again::LookFirst).await {
                Ok(made) => {
                    // GitHub's list may lag behind its own create: what we just wrote is there.
                    let ours = self.issues(marker, "open", NEEDS).await?;
                    return match ours.first() {
                        Some(oldest) if oldest.number < made.number => {
                            self.settled(oldest, &ours, &title, &body, false).await
                        }
                        _ => Ok(made.posted(true)),
                    };
                }
                Err(error @ Error::Indeterminate { .. }) => {
                    lost = Some(error);
                    self.back_off(attempt, WHAT).await?;
                }
                Err(other) => return Err(other),
            }
        }
        Err(lost.unwrap_or_else(|| Error::unreadable(WHAT, "our issue disappears as fast as we write it")))
    }

    pub(super) async fn end_issue(&self, number: u64, comment: &str) -> Result<()> {
        self.shut(number).await?;
        let path = self.path(&format!("issues/{number}/comments"));
        let body = Some(json!({ "body": cut(comment, COMMENT_UNITS_MAX, NOTE) }));
        let call = Call { method: Method::POST, path, body, what: WHAT, needs: NEEDS, again: Again::LookFirst };
        self.send(&call).await.map(|_| ())
    }

    pub(super) async fn read_comment(&self, id: u64) -> Result<Option<CommentSeen>> {
        #[derive(Deserialize)]
        struct Reply {
            #[serde(default)]
            issue_url: String,
            #[serde(default)]
            html_url: String,
            #[serde(default)]
            body: Option<String>,
            #[serde(default)]
            user: Option<Writer>,
            #[serde(default)]
            created_at: Option<String>,
            #[serde(default)]
            updated_at: Option<String>,
            #[serde(default)]
            performed_via_github_app: Option<App>,
        }
        #[derive(Deserialize)]
        struct Writer {
            login: String,
            #[serde(rename = "type", default)]
            kind: String,
        }
        const WHAT: &str = "read the comment";
        let reply: Reply = match self.get(&format!("issues/comments/{id}"), WHAT, "pull-requests: read").await {
            Err(Error::NotFound { .. }) => return Ok(None),
            other => other?.read(WHAT)?,
        };
        let issue = reply.issue_url.rsplit('/').next().and_then(|number| number.parse().ok());
        let issue = issue.ok_or_else(|| Error::unreadable(WHAT, "it does not say where the comment stands"))?;
        // An account that was deleted has no name, and may do nothing.
        let (author, kind) = reply.user.map(|user| (user.login, user.kind)).unwrap_or_default();
        let through_app = reply.performed_via_github_app.is_some();
        Ok(Some(CommentSeen {
            issue,
            body: reply.body.unwrap_or_default(),
            automated: through_app || kind != "User" || author.ends_with("[bot]"),
            author,
            edited: reply.created_at.is_none() || reply.created_at != reply.updated_at,
            url: reply.html_url,
        }))
    }

    /// Our issues with this marker, oldest first.
    async fn issues(&self, marker: &Marker, state: &str, needs: &'static str) -> Result<Vec<Listed>> {
        let identity = self.identity().await?;
        let path = format!("issues?state={state}&creator={}", segment(&identity.login));
        let all: Vec<Listed> = self.list(&path, PAGES_MAX, LOOK, needs).await?;
        let mut ours: Vec<Listed> = all
            .into_iter()
            .filter(|issue| issue.pull_request.is_none() && identity.wrote(issue.user.as_ref()))
            .filter(|issue| issue.body.as_deref().is_some_and(|body| marker.heads(body)))
            .collect();
        ours.sort_by_key(|issue| issue.number);
        Ok(ours)
    }

    /// Makes the oldest read so, and closes the others.
    async fn settled(
        &self,
        oldest: &Listed,
        ours: &[Listed],
        title: &str,
        body: &str,
        created: bool,
    ) -> Result<Posted> {
        for extra in ours.iter().filter(|issue| issue.number != oldest.number) {
            self.shut(extra.number).await?;
        }
        if oldest.reads(title, body) {
            return Ok(oldest.posted(created));
        }
        let path = self.path(&format!("issues/{}", oldest.number));
        let new = Some(json!({ "title": title, "body": body }));
        Ok(self.post(Method::PATCH, path, new, Again::Harmless).await?.posted(created))
    }

    async fn shut(&self, number: u64) -> Result<()> {
        let path = self.path(&format!("issues/{number}"));
        let closed = Some(json!({ "state": "closed", "state_reason": "completed" }));
        self.post(Method::PATCH, path, closed, Again::Harmless).await.map(|_| ())
    }

    async fn post(&self, method: Method, path: String, body: Option<Value>, again: Again) -> Result<Listed> {
        self.send(&Call { method, path, body, what: WHAT, needs: NEEDS, again }).await?.read(WHAT)
    }
}
