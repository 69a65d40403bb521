//! A comment on a pull request: does what its `/secretzero` line asks for, if its author may.
//!
//! The event only wakes the job. The comment is read again before anything happens, and so are its
//! author's permission (never what the payload says of it), the pull request and the tips. `plan` and
//! `explain` are pinned to the head that the API names; `sync` and `rotate` act on the default
//! branch's tip, which must be what is checked out.

use super::Job;
use super::base::Reader;
use super::command::{self, Command};
use super::given::Given;
use super::inputs;
use super::sync::Kind;
use crate::cli::exit::Exit;
use crate::diagnostic::{nearest, quote};
use crate::forge::github::event::{IssueCommentEvent, PullRequestEvent, Repository};
use crate::forge::{CommentSeen, Error, Forge, Marker, Permission, PullRequest, cut};
use crate::render::{code, explain, words};

/// Most names listed where one was not found.
const KNOWN_MAX: usize = 12;

/// Longest text of an answer in UTF-16 code units, so that its heading and its end have room beside it.
const ANSWER_UNITS_MAX: usize = 60_000;

/// What can be asked, as a reply says it.
const HELP: &str = "\
| Write | to | You need |\n|:--|:--|:--|\n\
| `/secretzero plan` | plan this pull request again | write |\n\
| `/secretzero explain NAME` | see what stands for one secret, since when, and where | write |\n\
| `/secretzero sync` | bring the stores in line with the default branch | maintain |\n\
| `/secretzero rotate` | make new values for what is due | maintain |\n\
| `/secretzero rotate NAME …` | make new values for these secrets, due or not | maintain |\n\
| `/secretzero help` | see this | nothing |\n\n\
One command a comment, on a line of its own, at its beginning; an edited comment is no command.\n";

/// A command with whoever asks.
struct Asked {
    command: Command,
    comment: CommentSeen,
    pull: PullRequest,
}

/// Why nothing is done.
enum Not {
    /// It asks for nothing, or not us.
    Asked(String),
    /// The forge failed.
    Known(Error),
}

impl From<Error> for Not {
    fn from(error: Error) -> Self {
        Self::Known(error)
    }
}

impl Job<'_> {
    /// The whole job of a comment.
    pub(super) async fn comment_event(&self, event: &IssueCommentEvent) -> Result<Exit, Exit> {
        let done = match &self.forge {
            None => Err(Not::Asked("there is no token to read the comment with".into())),
            Some(forge) => match self.asked(forge.as_ref(), event).await {
                Ok(asked) => return self.obey(forge.as_ref(), &asked).await,
                Err(not) => Err::<Exit, Not>(not),
            },
        };
        match done {
            Err(Not::Known(error)) => Err(self.unknown(&error)),
            Err(Not::Asked(why)) => Ok(self.nothing(&why)),
            Ok(exit) => Ok(exit),
        }
    }

    fn nothing(&self, why: &str) -> Exit {
        self.say.notice(&format!("{why}: nothing was done"));
        self.say.output("changed", false);
        self.say.result("ok", None);
        Exit::Done
    }

    fn unknown(&self, error: &Error) -> Exit {
        self.say.error(&format!("{error}; nothing was done for the comment"));
        self.say.output("changed", false);
        self.say.result("failed", Some(Exit::Error));
        Exit::Error
    }

    /// The command, as the API tells it; the event is only a reason to ask.
    async fn asked(&self, forge: &dyn Forge, event: &IssueCommentEvent) -> Result<Asked, Not> {
        let no = |why: &str| Err(Not::Asked(why.to_owned()));
        if !event.on_pull_request {
            return no("the comment stands on an issue, not on a pull request");
        }
        if event.edited {
            return no("the comment was edited or deleted, and only a new one is a command");
        }
        if command::parse(&event.body).is_none() {
            return no("the comment holds no line that begins with `/secretzero`");
        }
        let Some(comment) = forge.comment(event.comment_id).await? else {
            return no("the comment is gone");
        };
        if comment.automated {
            return no("the comment was written by a program");
        }
        if comment.edited || comment.issue != event.number {
            return no("the comment was edited, and only a new one is a command");
        }
        let Some(command) = command::parse(&comment.body) else {
            return no("the comment holds no line that begins with `/secretzero`");
        };
        if !self.takes(&command) {
            return no(&format!("`command` leaves `{}` to another job", command.verb()));
        }
        match forge.pull(comment.issue).await {
            Ok(pull) => Ok(Asked { command, comment, pull }),
            Err(Error::NotFound { .. }) => no("the comment stands on no pull request"),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether the input leaves a command to this job, so that a plan and a sync may have jobs, and
    /// so credentials, of their own.
    const fn takes(&self, command: &Command) -> bool {
        use inputs::Command as Input;
        match (self.inputs.command, command) {
            (Input::Auto, _)
            | (Input::Plan, Command::Plan | Command::Explain(_) | Command::Help | Command::Mistaken(_))
            | (Input::Sync, Command::Sync)
            | (Input::Rotate, Command::Rotate(_)) => true,
            (Input::Plan | Input::Sync | Input::Rotate | Input::Drift | Input::Doctor, _) => false,
        }
    }

    async fn obey(&self, forge: &dyn Forge, asked: &Asked) -> Result<Exit, Exit> {
        let needed = match asked.command {
            Command::Help | Command::Mistaken(_) => Permission::None,
            Command::Plan | Command::Explain(_) => Permission::Write,
            Command::Sync | Command::Rotate(_) => Permission::Maintain,
        };
        if needed > Permission::None {
            let has = forge.permission(&asked.comment.author).await.map_err(|error| self.unknown(&error))?;
            if has < needed {
                let (verb, needed, has) = (asked.command.verb(), word(needed), word(has));
                let why = format!(
                    "`{verb}` needs the permission `{needed}` in this repository, and the one who asked has `{has}`"
                );
                return Ok(self.refuse_command(asked, &why).await);
            }
        }
        match &asked.command {
            Command::Help => {
                self.say.summarise(HELP);
                self.reply(asked, HELP).await;
                Ok(self.nothing("help was asked for"))
            }
            Command::Mistaken(why) => {
                let text = format!("{}\n{HELP}", nothing_done(why));
                self.say.summarise(&text);
                self.reply(asked, &text).await;
                Ok(self.nothing(why.trim_end_matches('?')))
            }
            Command::Plan => self.plan_command(forge, asked).await,
            Command::Explain(name) => self.explain_command(forge, asked, name).await,
            Command::Sync => self.write_command(asked, Kind::Sync, &[]).await,
            Command::Rotate(names) => self.write_command(asked, Kind::Rotate, names).await,
        }
    }

    async fn refuse_command(&self, asked: &Asked, why: &str) -> Exit {
        let text = nothing_done(why);
        self.say.summarise(&text);
        self.reply(asked, &text).await;
        self.nothing(why.trim_end_matches('?'))
    }

    /// The same job with what the forge gave instead of the checkout.
    fn with<'j>(&'j self, given: Option<&'j Given>, named: &'j [String]) -> Job<'j> {
        let Self { session, inputs, runner, say, .. } = *self;
        Job { session, inputs, runner, forge: self.forge.clone(), say, given, named }
    }

    /// The Secretfiles of a pull request as it would be merged.
    async fn given_by(&self, forge: &dyn Forge, pull: &PullRequest) -> Result<Given, Exit> {
        let units = self.units_or_refuse()?;
        let files: std::collections::BTreeSet<String> = units.into_iter().map(|unit| unit.file).collect();
        Given::of(forge, pull, files).await.map_err(|error| self.unknown(&error))
    }

    async fn plan_command(&self, forge: &dyn Forge, asked: &Asked) -> Result<Exit, Exit> {
        let pull = &asked.pull;
        if !pull.open {
            return Ok(self.refuse_command(asked, "the pull request is closed, so there is nothing to plan").await);
        }
        let given = self.given_by(forge, pull).await?;
        let units = self.with(Some(&given), &[]).units_or_refuse()?;
        let done = self.with(Some(&given), &[]).pull_request(Some(&event_of(pull))).await;
        let head = code(pull.head_sha.get(..7).unwrap_or_default());
        let verdict = match done {
            Ok(Exit::Done | Exit::Pending) => "Planned",
            _ => "Planned, and something must be mended",
        };
        let mut text = format!("**{verdict}:** {head} as it would be merged into {}.\n\n", code(&pull.base_ref));
        if let Some(why) = &given.offline {
            text = format!("**{verdict}:** {head}. {}\n\n", words(why));
        }
        for unit in &units {
            let at = match forge.find_comment(pull.number, &Self::marker(unit)).await {
                Ok(Some(posted)) => format!("[the plan]({})", posted.url),
                _ => "its result stands in the check".to_owned(),
            };
            let environment = unit.environment().map(|name| format!(" · {}", code(name))).unwrap_or_default();
            text.push_str(&format!("- {}{environment}: {at}\n", code(&unit.file)));
        }
        self.reply(asked, &text).await;
        done
    }

    async fn explain_command(&self, forge: &dyn Forge, asked: &Asked, name: &str) -> Result<Exit, Exit> {
        let pull = &asked.pull;
        let given = self.given_by(forge, pull).await?;
        let event = event_of(pull);
        let job = self.with(Some(&given), &[]);
        let blob_url = self.runner.blob_url(&pull.head_sha);
        let (mut text, mut known) = (String::new(), Vec::new());
        for unit in &job.units_or_refuse()? {
            let Some(reviewed) = job.looked_at(&event, unit).await else { continue };
            let (Some(manifest), Some(plan)) = (&reviewed.manifest, &reviewed.plan) else { continue };
            known.extend(manifest.secrets.iter().map(|secret| secret.name.value.clone()));
            let facts = explain::Facts {
                file: &unit.file,
                environment: &unit.environment,
                manifest,
                plan,
                findings: &reviewed.findings,
                offline: reviewed.offline.as_deref(),
                blob_url: &blob_url,
                now: self.session.clock.now(),
            };
            if let Some(at) = plan.secrets.iter().position(|secret| secret.name == name) {
                text.push_str(&explain::explain(&facts, at));
            }
        }
        if text.is_empty() {
            return Ok(self.refuse_command(asked, &no_secret(name, &known)).await);
        }
        let head = code(pull.head_sha.get(..7).unwrap_or_default());
        let text = format!("At {head}, the head of this pull request:\n\n{text}");
        self.say.summarise(&text);
        self.reply(asked, &text).await;
        self.say.output("changed", false);
        self.say.result("ok", None);
        Ok(Exit::Done)
    }

    async fn write_command(&self, asked: &Asked, kind: Kind, names: &[String]) -> Result<Exit, Exit> {
        if let Some(why) = self.not_the_tip().await? {
            return Ok(self.refuse_command(asked, &why).await);
        }
        if let Some(unknown) = self.not_declared(names) {
            return Ok(self.refuse_command(asked, &unknown).await);
        }
        let done = self.with(None, names).sync(kind).await;
        let tip = code(self.runner.sha.get(..7).unwrap_or_default());
        let text = format!("At {tip}, the tip of the default branch:\n\n{}", below(&self.say.told()));
        self.reply(asked, &text).await;
        done
    }

    /// What is wrong with names that no Secretfile declares.
    fn not_declared(&self, names: &[String]) -> Option<String> {
        let units = self.units().unwrap_or_default();
        let manifests = units.iter().filter_map(|unit| {
            let (_, read) = self.read(unit).ok()?;
            self.load(unit, &read, Reader::Base).manifest
        });
        let secrets = manifests.flat_map(|manifest| manifest.secrets);
        let known: Vec<String> = secrets.map(|secret| secret.name.value).collect();
        names.iter().find(|name| !known.contains(name)).map(|name| no_secret(name, &known))
    }

    /// Answers in a comment of its own for each verb, edited in place; no right to is no failure.
    async fn reply(&self, asked: &Asked, text: &str) {
        let Some(forge) = &self.forge else { return };
        let verb = asked.command.verb();
        let environment = (!self.inputs.environment.is_empty()).then_some(self.inputs.environment.as_str());
        let marker = Marker::new(&self.inputs.files.join(","), environment, Some(&format!("reply/{verb}")));
        let run = &self.runner.run_url;
        let run = if run.is_empty() { String::new() } else { format!(" · [run]({run})") };
        let (who, at) = (code(&asked.comment.author), &asked.comment.url);
        let text = cut(text, ANSWER_UNITS_MAX, "*The rest stands in the job summary.*\n");
        let body = format!(
            "### SecretZero · {}\n\n{text}\n<sub>{who} asked in [a comment]({at}){run} · SecretZero {}</sub>\n",
            code(&format!("/secretzero {verb}")),
            env!("CARGO_PKG_VERSION")
        );
        if let Err(error) = forge.upsert_comment(asked.pull.number, &marker, &body).await {
            self.say.notice(&format!("The answer stands in the job summary only: {error}"));
        }
    }
}

/// The pull request as the API tells it, as if it were the event's.
fn event_of(pull: &PullRequest) -> PullRequestEvent {
    let repository = |id| Repository { id, full_name: String::new() };
    PullRequestEvent {
        number: pull.number,
        action: "synchronize".into(),
        head_sha: pull.head_sha.clone(),
        base_sha: pull.base_sha.clone(),
        base_ref: pull.base_ref.clone(),
        head_repository: pull.head_repository_id.map(repository),
        base_repository: Some(repository(pull.base_repository_id)),
        from_fork: pull.from_fork(),
        merged: pull.merged,
        draft: pull.draft,
        author: pull.author.clone(),
    }
}

fn nothing_done(why: &str) -> String {
    let end = if why.ends_with('?') { "" } else { "." };
    format!("**Nothing was done:** {}{end}\n", words(why))
}

/// A report as a part of an answer: below its heading, and with the answer's own footer.
fn below(report: &str) -> String {
    let lines = report.lines().filter(|line| !line.starts_with("<sub>"));
    let lines =
        lines.map(|line| line.strip_prefix("### SecretZero · ").map_or(line.to_owned(), |rest| format!("#### {rest}")));
    lines.collect::<Vec<_>>().join("\n")
}

fn no_secret(name: &str, known: &[String]) -> String {
    let near = match nearest(name, known.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => "no Secretfile could be read".to_owned(),
        None => {
            let more = known.len().saturating_sub(KNOWN_MAX);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let known: Vec<&str> = known.iter().take(KNOWN_MAX).map(String::as_str).collect();
            format!("known are: {}{more}", known.join(", "))
        }
    };
    format!("there is no secret {}; {near}", quote(name))
}

const fn word(permission: Permission) -> &'static str {
    match permission {
        Permission::None => "none",
        Permission::Read => "read",
        Permission::Triage => "triage",
        Permission::Write => "write",
        Permission::Maintain => "maintain",
        Permission::Admin => "admin",
    }
}
