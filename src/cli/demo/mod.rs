//! `demo`: the main job on an embedded sample, with a forge that lives in this process: a pull
//! request is planned and commented, its fix edits the comment, its merge is synced.

mod forge;

use std::path::Path;
use std::sync::Arc;

use forge::{DemoForge, PULL};

use super::args::{Color, Format};
use super::ci::inputs::{Inputs, Runner};
use super::ci::{Job, Say};
use super::console::{Console, Tone};
use super::exit::Exit;
use super::session::{Connected, Masks, Session};
use crate::environment::Environment;
use crate::forge::github::event::{Event, PullRequestEvent, PushEvent, Repository};

const BASE: &str = include_str!("base.yml");
const CHANGE: &str = include_str!("change.yml");

/// `secretzero demo`.
pub(super) async fn demo(session: &Session) -> Result<Exit, Exit> {
    let folder = tempfile::Builder::new().prefix("secretzero-demo-").tempdir();
    let folder = folder.map_err(|error| session.fail(Exit::Error, &format!("no temporary folder: {error}"), ""))?;
    let forge = Arc::new(DemoForge::new(BASE));
    let stage = Stage { session, folder: folder.path(), forge: &forge };
    let first = format!("{BASE}{CHANGE}");
    // The second push keeps within the policy that the first one broke.
    let fixed = first.replace("rotation_period: 180d", "rotation_period: 90d");

    stage.scene("A repository has one secret; its default branch is synced");
    stage.push(BASE, "1").await?;
    stage.scene("A pull request adds two secrets. The job plans it and comments");
    stage.pull_request(&first, "2").await?;
    stage.tell(&forge.comment());
    stage.scene("The policy refused one of them. A fix is pushed; the same comment is edited");
    stage.pull_request(&fixed, "3").await?;
    stage.tell(&forge.comment());
    stage.scene("The pull request is merged. The job syncs, and tells the result in its comment");
    stage.push(&fixed, "4").await?;
    stage.tell(&forge.comment());
    stage.scene("What stands in the files now (values hidden)");
    stage.files();
    stage.scene("The same job once more: nothing to do, nothing written");
    stage.push(&fixed, "4").await?;
    session.console.line("\nThat was the whole main job. `secretzero --help` lists what else there is.");
    Ok(Exit::Done)
}

struct Stage<'a> {
    session: &'a Session,
    folder: &'a Path,
    forge: &'a Arc<DemoForge>,
}

impl Stage<'_> {
    fn scene(&self, text: &str) {
        let console = &self.session.console;
        console.line(&format!("\n{} {text}\n", console.paint(Tone::Good, "──")));
    }

    /// Shows Markdown as text: what GitHub would render, without its tags.
    fn tell(&self, markdown: &str) {
        let mut lines = Vec::new();
        for line in markdown.lines().filter(|line| !line.starts_with("<!--") && *line != "</details>") {
            let line = line.replace("&nbsp;", " ").replace("<sub>", "").replace("</sub>", "");
            lines.push(line.replace("<details><summary>", "▸ ").replace("</summary>", ""));
        }
        for line in lines {
            self.session.console.line(&format!("  │ {line}"));
        }
    }

    async fn pull_request(&self, text: &str, commit: &str) -> Result<Exit, Exit> {
        self.forge.propose(&sha(commit));
        let repository = Some(Repository { id: 1, full_name: "demo/shop".into() });
        let event = Event::PullRequest(PullRequestEvent {
            number: PULL,
            action: "synchronize".into(),
            head_sha: sha(commit),
            base_sha: self.forge.tip(),
            base_ref: "main".into(),
            head_repository: repository.clone(),
            base_repository: repository,
            from_fork: false,
            merged: false,
            draft: false,
            author: "you".into(),
        });
        self.run(&event, text, commit).await
    }

    async fn push(&self, text: &str, commit: &str) -> Result<Exit, Exit> {
        self.forge.merge(&sha(commit), text);
        let event = Event::Push(PushEvent {
            reference: "refs/heads/main".into(),
            before: None,
            after: Some(sha(commit)),
            default_branch: true,
            deleted: false,
            forced: false,
        });
        self.run(&event, text, commit).await
    }

    /// Runs the job exactly as the action does, in a world of its own.
    async fn run(&self, event: &Event, text: &str, commit: &str) -> Result<Exit, Exit> {
        let failed = |error: std::io::Error| self.session.fail(Exit::Error, &error.to_string(), "");
        self.session.disk.replace(&self.folder.join("Secretfile.yml"), text.as_bytes()).map_err(failed)?;
        let environment = environment(self.folder, commit);
        let session = Session {
            console: Console::new(Color::Never, Format::Human, &environment),
            environment,
            clock: Arc::clone(&self.session.clock),
            entropy: Arc::clone(&self.session.entropy),
            disk: Arc::clone(&self.session.disk),
            common: self.session.common.clone(),
            masks: Masks::Nowhere,
            denials: Arc::default(),
            connected: Connected::default(),
        };
        let inputs = Inputs::read(&session.environment)
            .map_err(|error| self.session.fail(Exit::Error, &error.to_string(), ""))?;
        let runner = Runner::read(&session.environment);
        let say = Say::new(&session, &runner);
        let forge: Arc<dyn crate::forge::Forge> = Arc::clone(self.forge) as _;
        let (session, inputs, runner, say) = (&session, &inputs, &runner, &say);
        let job = Job { session, inputs, runner, forge: Some(forge), say, given: None, named: &[] };
        job.dispatch(event).await
    }

    /// The files of the workspace with every value hidden.
    fn files(&self) {
        for name in [".env", "service-account.json"] {
            let Ok(Some(bytes)) = self.session.disk.read(&self.folder.join(name), 1024 * 1024) else { continue };
            self.session.console.line(&format!("  {name}"));
            for line in String::from_utf8_lossy(&bytes).lines() {
                let hidden = match line.split_once(['=', ':']) {
                    Some((key, value)) if !value.trim().starts_with('{') => {
                        format!("{key}{} •••", if name == ".env" { "=" } else { ":" })
                    }
                    _ => line.to_owned(),
                };
                self.session.console.line(&format!("    {hidden}"));
            }
        }
    }
}

fn sha(commit: &str) -> String {
    commit.repeat(40)
}

fn environment(folder: &Path, commit: &str) -> Environment {
    let sha = sha(commit);
    let workspace = folder.display().to_string();
    let pairs = [
        ("GITHUB_REPOSITORY", "demo/shop"),
        ("GITHUB_REPOSITORY_ID", "1"),
        ("GITHUB_SHA", &sha),
        ("GITHUB_REF", "refs/heads/main"),
        ("GITHUB_WORKSPACE", &workspace),
        ("INPUT_PLAN_MODE", "online"),
        ("INPUT_LOCAL_FILES", "true"),
    ];
    Environment::of(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())))
}
