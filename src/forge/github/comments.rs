//! One comment per marker, edited in place, ours alone.
//!
//! Races: two runs that both find no comment both create one. After a create we look again; every
//! writer keeps the oldest and deletes the younger ones, so whatever the order, one remains. A reply
//! lost on create is answered by looking again before another try, so it leaves one as well.

use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::client::{Again, Answer, Call, Github};
use super::identity::{Account, App};
use crate::forge::text::{COMMENT_UNITS_MAX, cut};
use crate::forge::{Error, Marker, Posted, Result};

const WHAT: &str = "comment on the pull request";
const NEEDS: &str = "pull-requests: write";
/// Said at the end of a body that was cut here; the renderer cuts earlier, and better.
const NOTE: &str = "_This comment is longer than GitHub allows; the rest is in the job summary._";
/// Pages of 100 comments that are looked through.
const PAGES_MAX: u32 = 50;
/// Tries to create a comment whose reply gets lost.
const CREATES_MAX: u32 = 3;

#[derive(Debug, Deserialize)]
struct Comment {
    id: u64,
    #[serde(default)]
    html_url: String,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    user: Option<Account>,
    #[serde(default)]
    performed_via_github_app: Option<App>,
}

impl Comment {
    fn posted(self, created: bool) -> Posted {
        Posted { id: self.id, url: self.html_url, created }
    }

    fn reads(&self, body: &str) -> bool {
        let plain = |text: &str| text.replace("\r\n", "\n").trim_end().to_owned();
        self.body.as_deref().is_some_and(|own| plain(own) == plain(body))
    }
}

impl Github {
    pub(super) async fn oldest(&self, pull: u64, marker: &Marker) -> Result<Option<Posted>> {
        let ours = self.ours(pull, marker).await?;
        Ok(ours.into_iter().next().map(|comment| comment.posted(false)))
    }

    pub(super) async fn upsert(&self, pull: u64, marker: &Marker, body: &str) -> Result<Posted> {
        let body = marker.head(body);
        let body = cut(&body, COMMENT_UNITS_MAX, NOTE);
        let mut created = false;
        let mut lost = None;
        for attempt in 1..=CREATES_MAX {
            let mut ours = self.ours(pull, marker).await?;
            while !ours.is_empty() {
                let oldest = ours.remove(0);
                if let Some(posted) = self.settle(oldest, &body, created).await? {
                    self.remove(ours).await?;
                    return Ok(posted);
                }
            }
            match self.create(pull, &body).await {
                Ok(comment) => {
                    created = true;
                    let mut ours = self.ours(pull, marker).await?;
                    // GitHub's list may lag behind its own create: what we just wrote is there.
                    if ours.is_empty() || ours.iter().all(|other| other.id == comment.id) {
                        return Ok(comment.posted(true));
                    }
                    let oldest = ours.remove(0);
                    let first = oldest.id == comment.id;
                    if let Some(posted) = self.settle(oldest, &body, first).await? {
                        self.remove(ours).await?;
                        return Ok(posted);
                    }
                }
                Err(error @ Error::Indeterminate { .. }) => {
                    created = true;
                    lost = Some(error);
                    self.back_off(attempt, WHAT).await?;
                }
                Err(other) => return Err(other),
            }
        }
        Err(lost.unwrap_or_else(|| Error::unreadable(WHAT, "our comment disappears as fast as we write it")))
    }

    /// Our comments with this marker, oldest first.
    async fn ours(&self, pull: u64, marker: &Marker) -> Result<Vec<Comment>> {
        let identity = self.identity().await?;
        let all: Vec<Comment> = self.list(&format!("issues/{pull}/comments"), PAGES_MAX, WHAT, NEEDS).await?;
        let mut ours: Vec<Comment> = all
            .into_iter()
            .filter(|comment| comment.body.as_deref().is_some_and(|body| marker.heads(body)))
            .filter(|comment| {
                let through = comment.performed_via_github_app.as_ref();
                // An App that acts for a person writes under that person's name: not ours.
                identity.wrote(comment.user.as_ref())
                    && through.is_none_or(|app| !is_bot(comment) || identity.is_app(app))
            })
            .collect();
        ours.sort_by_key(|comment| comment.id);
        Ok(ours)
    }

    /// Makes a comment read `body`; `None` if it went away in the meantime.
    async fn settle(&self, comment: Comment, body: &str, created: bool) -> Result<Option<Posted>> {
        if comment.reads(body) {
            return Ok(Some(comment.posted(created)));
        }
        let path = self.path(&format!("issues/comments/{}", comment.id));
        match self.write(Method::PATCH, path, Some(json!({ "body": body })), Again::Harmless).await {
            Ok(answer) => Ok(Some(answer.read::<Comment>(WHAT)?.posted(created))),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(other) => Err(other),
        }
    }

    async fn create(&self, pull: u64, body: &str) -> Result<Comment> {
        let path = self.path(&format!("issues/{pull}/comments"));
        self.write(Method::POST, path, Some(json!({ "body": body })), Again::LookFirst).await?.read(WHAT)
    }

    /// Deletes duplicates of ours; one that is gone, or that we may not delete, is no trouble.
    async fn remove(&self, extra: Vec<Comment>) -> Result<()> {
        for comment in extra {
            let path = self.path(&format!("issues/comments/{}", comment.id));
            match self.write(Method::DELETE, path, None, Again::Harmless).await {
                Ok(_) | Err(Error::NotFound { .. } | Error::Forbidden { .. }) => {}
                Err(other) => return Err(other),
            }
        }
        Ok(())
    }

    async fn write(&self, method: Method, path: String, body: Option<Value>, again: Again) -> Result<Answer> {
        self.send(&Call { method, path, body, what: WHAT, needs: NEEDS, again }).await
    }
}

fn is_bot(comment: &Comment) -> bool {
    comment.user.as_ref().is_some_and(|user| user.login.ends_with("[bot]"))
}
