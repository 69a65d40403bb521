//! `ci`: does what the event of a CI job asks for, and says it where the team reads.
//!
//! A pull request is checked, held against its policies and planned; a push to the default branch is
//! synced; a schedule rotates what is due. An explicit command never exceeds what the event allows.

mod hint;
pub mod inputs;
mod pull_request;
pub mod ref_ledger;
mod say;
mod sync;

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use inputs::{Command, Inputs, Runner};
pub use say::Say;

use super::exit::Exit;
use super::session::Session;
use crate::diagnostic::{Diagnostic, Severity, Source, Span, quote};
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
}

/// `secretzero ci`.
pub async fn run(session: &Session) -> Result<Exit, Exit> {
    let inputs = Inputs::read(&session.environment)
        .map_err(|error| session.fail(Exit::Error, &error.to_string(), "correct the input under `with:`"))?;
    let runner = Runner::read(&session.environment);
    let say = Say::new(session, &runner);
    let forge = connect(session, &inputs, &runner)?;
    let job = Job { session, inputs: &inputs, runner: &runner, forge, say: &say };
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
    /// The text of a Secretfile of the checkout. A link in its path is refused: a pull request could
    /// point it at a file of the runner, and a finding would quote its keys.
    fn secretfile(&self, file: &str) -> Result<(PathBuf, Source), Diagnostic> {
        let path = self.runner.workspace.join(file);
        let mut at = self.runner.workspace.clone();
        for part in Path::new(file).components() {
            at.push(part);
            let plain = matches!(part, Component::Normal(_) | Component::CurDir);
            if !plain || at.symlink_metadata().is_ok_and(|metadata| metadata.is_symlink()) {
                return Err(Diagnostic {
                    code: "odd-path",
                    severity: Severity::Error,
                    message: format!("{} leads out of the checkout or through a symbolic link", quote(file)),
                    span: Span::default(),
                    help: Some("name a plain file of the repository under `files`".into()),
                    secret: None,
                });
            }
        }
        self.session.source(&path, file).map(|source| (path, source))
    }

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
            (Event::PullRequest(pull), _) => self.pull_request(Some(pull)).await,
            // A pull request whose event cannot be read is a stranger's.
            (Event::Other(name), _) if name == "pull_request" => self.pull_request(None).await,
            (Event::MergeGroup { head_sha, .. }, _) => self.merge_group(head_sha).await,
            (Event::Push(push), Command::Auto | Command::Sync) if push.default_branch && !push.deleted => {
                self.sync(sync::Kind::Sync).await
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
