//! `ci`: does what the event of a CI job asks for, and says it where the team reads.
//!
//! A pull request is checked, held against its policies and planned; a push to the default branch is
//! synced; a schedule rotates what is due. An explicit command never exceeds what the event allows.

mod base;
mod checkout;
pub mod command;
mod comment;
mod doctor;
mod drift;
mod given;
mod gone;
mod hint;
pub mod inputs;
mod law;
mod lock;
mod planted;
mod pull_request;
mod read;
pub mod ref_ledger;
mod reviewed;
pub(super) mod roles;
mod say;
mod sync;
mod unit;
mod verdict;

use std::sync::Arc;

use inputs::{Command, Inputs, Runner};
pub use say::Say;

use super::exit::Exit;
use super::session::Session;
use crate::forge::Forge;
use crate::forge::github::event::Event;

/// Largest event payload that is read, in bytes; GitHub's own cap.
const EVENT_BYTES_MAX: u64 = 25 * 1024 * 1024;

/// One job.
pub struct Job<'a> {
    /// The world it runs in.
    pub session: &'a Session,
    /// What the workflow asks for.
    pub inputs: &'a Inputs,
    /// What the runner tells.
    pub runner: &'a Runner,
    /// The forge, if there is a token.
    pub forge: Option<Arc<dyn Forge>>,
    /// Where the job speaks.
    pub say: &'a Say<'a>,
    /// Secretfiles that the forge gave instead of the checkout's.
    pub given: Option<&'a given::Given>,
    /// The only secrets to work on, named by a person; all when empty.
    pub named: &'a [String],
}

/// `secretzero ci`.
pub async fn run(session: &Session) -> Result<Exit, Exit> {
    let inputs = Inputs::read(&session.environment)
        .map_err(|error| session.fail(Exit::Error, &error.to_string(), "correct the input under `with:`"))?;
    let runner = Runner::read(&session.environment);
    let say = Say::new(session, &runner);
    let forge = connect(session, &inputs, &runner)?;
    let job = Job { session, inputs: &inputs, runner: &runner, forge, say: &say, given: None, named: &[] };
    let event = job.event();
    job.dispatch(&event).await
}

#[cfg(feature = "github")]
fn connect(session: &Session, inputs: &Inputs, runner: &Runner) -> Result<Option<Arc<dyn Forge>>, Exit> {
    use crate::forge::github::{Github, World};
    let Some(token) = inputs.github_token.clone().filter(|_| !runner.repository.is_empty()) else { return Ok(None) };
    let world = World { clock: Arc::clone(&session.clock), sleep: Arc::new(crate::clock::SystemSleep) };
    let github = Github::with_token(&runner.api_url, &runner.repository, token, world)
        .map_err(|error| session.fail(Exit::Error, &error.to_string(), "check GITHUB_API_URL and `github_token`"))?;
    Ok(Some(Arc::new(github)))
}

#[cfg(not(feature = "github"))]
#[expect(clippy::unnecessary_wraps, reason = "the signature is the one of the build with GitHub")]
fn connect(_: &Session, _: &Inputs, _: &Runner) -> Result<Option<Arc<dyn Forge>>, Exit> {
    Ok(None)
}

impl Job<'_> {
    /// The event; one that cannot be read is told and treated as a stranger's.
    fn event(&self) -> Event {
        let path = self.runner.event_path.as_deref();
        let payload = match path.map(|path| self.session.disk.read(path, EVENT_BYTES_MAX)) {
            Some(Ok(Some(payload))) => payload,
            _ => Vec::new(),
        };
        Event::parse(&self.runner.event_name, &payload).unwrap_or_else(|error| {
            self.say.warning(&error.to_string());
            Event::Other(self.runner.event_name.clone())
        })
    }

    /// Does what the event asks for.
    ///
    /// # Errors
    /// The exit code of what went wrong; it was told already.
    pub async fn dispatch(&self, event: &Event) -> Result<Exit, Exit> {
        match (event, self.inputs.command) {
            // It writes nothing, and asks in the name of this event for no more than the event allows.
            (_, Command::Doctor) => self.doctor(event).await,
            (Event::PullRequest(pull), _) => self.pull_request(Some(pull)).await,
            // A pull request whose event cannot be read is a stranger's.
            (Event::Other(name), _) if name == "pull_request" => self.pull_request(None).await,
            (Event::MergeGroup { head_sha, base_ref, .. }, _) => self.merge_group(head_sha, base_ref).await,
            // A check that a merge queue requires must report, or the queue stands still.
            (Event::Other(name), _) if name == "merge_group" => self.merge_group(&self.runner.sha, "").await,
            (Event::IssueComment(comment), _) => self.comment_event(comment).await,
            (Event::WorkflowDispatch { inputs, .. }, Command::Auto)
                if inputs.get("command").is_some_and(|word| !word.is_empty()) =>
            {
                self.dispatched(event, inputs.get("command").map_or("", String::as_str)).await
            }
            (Event::Push(push), Command::Drift) if push.default_branch && !push.deleted => self.drift().await,
            (Event::Schedule { .. } | Event::WorkflowDispatch { .. }, Command::Drift) => self.drift().await,
            (Event::Push(push), Command::Auto | Command::Sync) if push.default_branch && !push.deleted => {
                self.sync_since(sync::Kind::Sync, push.before.as_deref()).await
            }
            (Event::Schedule { .. }, Command::Auto | Command::Rotate) => self.sync(sync::Kind::Rotate).await,
            (Event::Schedule { .. }, Command::Sync) => self.sync(sync::Kind::Sync).await,
            (Event::WorkflowDispatch { .. }, Command::Sync) => self.sync(sync::Kind::Sync).await,
            (Event::WorkflowDispatch { .. }, Command::Rotate) => self.sync(sync::Kind::Rotate).await,
            (Event::Push(_) | Event::WorkflowDispatch { .. } | Event::Schedule { .. }, Command::Plan) => {
                self.plan_only().await
            }
            (Event::WorkflowDispatch { .. }, Command::Auto) => self.plan_only().await,
            _ => {
                let name = &self.runner.event_name;
                let nothing = format!("event `{name}` asks for nothing here: nothing was done");
                self.say.notice(&nothing);
                self.say.result("ok", None);
                Ok(Exit::Done)
            }
        }
    }
}
