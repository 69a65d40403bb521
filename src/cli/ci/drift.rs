//! Drift in a job: looks at what stands in the stores, and keeps one issue a Secretfile about it.
//!
//! The issue is opened or edited while something differs and closed, with a last comment, once
//! nothing does. It is cosmetic: without the right to write issues the summary has to do. It is left
//! alone while a store cannot be looked at, since nobody knows then, and while someone has closed it
//! as not planned and nothing else has changed.

use super::Job;
use super::base::Reader;
use super::inputs::{self, Command, FailOn};
use super::sync::Kind;
use super::unit::Unit;
use super::verdict::SUMMARY_ROWS_MAX;
use crate::cli::drift::{exit, report};
use crate::cli::exit::Exit;
use crate::cli::session::Workspace;
use crate::forge::github::event::Event;
use crate::forge::{Error, Forge, Marker};
use crate::oidc::Phase;
use crate::pipeline::{self, Request, prepare};
use crate::plan::drift::Drift;
use crate::plan::{Identities, Options, Plan, Scope};
use crate::render::comment::ROWS_MAX;
use crate::render::drift::{Facts, body, headline, healed, title};

impl Job<'_> {
    /// The whole job of `command: drift`.
    pub(super) async fn drift(&self) -> Result<Exit, Exit> {
        let exit = match self.not_the_tip().await? {
            Some(why) => {
                self.say.notice(&why);
                Exit::Done
            }
            None => self.look_for_drift().await,
        };
        self.say.output("changed", false);
        self.say.result(if matches!(exit, Exit::Done | Exit::Pending) { "ok" } else { "failed" }, Some(exit));
        Ok(exit)
    }

    /// What a schedule does after its rotations, so that it tells what stands then; how both ended.
    pub(super) async fn drift_beside(&self, kind: Kind, rotated: Exit) -> Exit {
        let scheduled = self.runner.event_name == "schedule" && self.inputs.command == Command::Auto;
        if !scheduled || kind != Kind::Rotate {
            return rotated;
        }
        match (rotated, self.look_for_drift().await) {
            (Exit::Done, drift) => drift,
            (rotated, Exit::Pending) => rotated,
            (rotated, drift) => rotated.max(drift),
        }
    }

    /// A dispatch by its own input `command`, where the workflow leaves `command` at `auto`.
    pub(super) async fn dispatched(&self, event: &Event, word: &str) -> Result<Exit, Exit> {
        let command = match Command::named(word) {
            Ok(command) => command,
            Err(error) => {
                self.say.error(&format!("the dispatch cannot be obeyed: {error}"));
                self.say.result("failed", Some(Exit::Error));
                return Err(Exit::Error);
            }
        };
        let inputs = inputs::Inputs { command, ..self.inputs.clone() };
        let Self { session, runner, say, given, named, .. } = *self;
        let job = Job { session, inputs: &inputs, runner, forge: self.forge.clone(), say, given, named };
        match (command, event) {
            (Command::Auto, _) => job.plan_only().await,
            _ => Box::pin(job.dispatch(event)).await,
        }
    }

    async fn look_for_drift(&self) -> Exit {
        let (mut worst, mut found) = (Exit::Done, 0);
        let Ok(units) = self.units_or_refuse() else { return Exit::Error };
        for unit in &units {
            match self.drift_of(unit).await {
                Ok(drift) => {
                    found += drift.found.len();
                    worst = worst.max(exit(&drift, self.inputs.detailed_exitcode));
                }
                Err(failed) => worst = worst.max(failed),
            }
        }
        self.say.count("drifted", found);
        if found > 0 && self.inputs.fail_on == FailOn::Drift {
            self.say.output("failure_reason", "drift");
            worst = match worst {
                Exit::Done | Exit::Pending => Exit::Error,
                worse => worse,
            };
        }
        worst
    }

    async fn drift_of(&self, unit: &Unit) -> Result<Drift, Exit> {
        let workspace = self.declared(unit).await?;
        let opened = self.opened(unit).await;
        let stores = self.session.connect(&workspace, &self.store_args(), Some(Phase::Sync));
        let identities = Identities::of(&workspace.manifest, &unit.environment, self.runner.repository_key());
        let scope = Scope { local_left_out: self.local_left_out(), ..Scope::default() };
        let request = Request {
            manifest: &workspace.manifest,
            stores: &stores,
            identities: &identities,
            opened: &opened,
            scope: &scope,
            options: Options::default(),
            clock: self.session.clock.as_ref(),
            entropy: self.session.entropy.as_ref(),
        };
        let prepared = prepare(&request, pipeline::Depth::Plan).await;
        for store in stores.iter().flatten() {
            store.close().await;
        }
        let drift = Drift::of(&prepared.views, &prepared.plan);
        self.tell_drift(unit, &workspace, &prepared.plan, &drift).await;
        Ok(drift)
    }

    /// The Secretfile of the checkout; what is wrong with it stands at its lines.
    async fn declared(&self, unit: &Unit) -> Result<Workspace, Exit> {
        let refused = |findings: &[_]| {
            self.say.annotate(&unit.file, findings);
            Exit::Invalid
        };
        let strange = |why: String| {
            self.say.error(&why);
            Exit::Error
        };
        let (path, read) = self.read(unit).map_err(|bad| refused(&bad.1))?;
        if let Some(why) = self.another_checkout(unit, &read).await {
            return Err(strange(why));
        }
        let loaded = self.load(unit, &read, Reader::Base);
        let source = read.source;
        let Some(manifest) = loaded.manifest else { return Err(refused(&loaded.diagnostics)) };
        if let Some(why) = self.planted_beside(unit, &manifest.providers).await {
            return Err(strange(why));
        }
        let folder = path.parent().map(std::path::Path::to_path_buf).unwrap_or_default();
        Ok(Workspace { source, manifest, warnings: loaded.diagnostics, folder })
    }

    async fn tell_drift(&self, unit: &Unit, workspace: &Workspace, plan: &Plan, drift: &Drift) {
        let blob_url = self.runner.blob_url(&self.runner.sha);
        let facts = |rows_max| Facts {
            file: &unit.file,
            environment: &unit.environment,
            manifest: &workspace.manifest,
            plan,
            drift,
            commit: &self.runner.sha,
            blob_url: &blob_url,
            run_url: &self.runner.run_url,
            rows_max,
        };
        self.session.console.line(&headline(&facts(ROWS_MAX)));
        self.say.summarise(&body(&facts(SUMMARY_ROWS_MAX)));
        self.say.report(serde_json::json!({
            "file": unit.file,
            "environment": unit.environment(),
            "drift": report(plan, drift),
        }));
        let Some(forge) = &self.forge else { return };
        let marker = Marker::new(&unit.file, unit.environment(), Some("drift"));
        let kept = match (drift.found.is_empty(), drift.unknown.is_empty()) {
            (true, true) => close(forge.as_ref(), &marker, &healed(&facts(ROWS_MAX))).await,
            (true, false) => Ok(None),
            (false, _) => {
                let seal = format!("\n<!-- secretzero-drift: {} -->\n", drift.fingerprint(plan));
                let text = format!("{}{seal}", body(&facts(ROWS_MAX)));
                open(forge.as_ref(), &marker, &title(&facts(ROWS_MAX)), &text, seal.trim()).await
            }
        };
        match kept {
            Ok(Some(said)) => self.say.notice(&said),
            Ok(None) => {}
            Err(error) => self.say.notice(&format!("The drift stands in the job summary only: {error}")),
        }
    }
}

/// Opens or edits the issue, unless someone closed it as not planned and the same still stands.
async fn open(
    forge: &dyn Forge,
    marker: &Marker,
    title: &str,
    text: &str,
    seal: &str,
) -> Result<Option<String>, Error> {
    let known = forge.find_issue(marker).await?;
    if let Some(known) = known.filter(|known| !known.open && known.dismissed && known.body.contains(seal)) {
        return Ok(Some(format!("The same drift was closed as not planned: {}", known.url)));
    }
    let posted = forge.upsert_issue(marker, title, text).await?;
    Ok(Some(format!("The drift is told in {}", posted.url)))
}

/// Closes the issue, if there is an open one.
async fn close(forge: &dyn Forge, marker: &Marker, said: &str) -> Result<Option<String>, Error> {
    let Some(known) = forge.find_issue(marker).await?.filter(|known| known.open) else { return Ok(None) };
    forge.close_issue(known.number, said).await?;
    Ok(Some(format!("The drift is healed: {}", known.url)))
}
