//! `command: doctor`: the table of `secretzero doctor` in a job of the action, with its inputs.
//!
//! It asks in the name of the job for as much as the event allows and no more: a pull request as the
//! plan's role and by the base's provider blocks, the default branch as the sync's, any other event for
//! nothing.

use super::Job;
use super::base::Reader;
use super::inputs::FailOn;
use super::read::Read;
use super::unit::Unit;
use crate::cli::doctor::{As, Look, Row, State, Table, examine, files};
use crate::cli::exit::Exit;
use crate::cli::session::{Masks, Workspace};
use crate::diagnostic::plain;
use crate::forge::github::event::Event;
use crate::forge::github::workflow;
use crate::manifest::{Manifest, ProviderBlock};
use crate::oidc::Phase;

/// As whom an event lets us come to the stores of a Secretfile.
struct Standing {
    phase: Phase,
    /// Why nobody is asked, if nobody is.
    withheld: Option<String>,
    /// The provider blocks in force, where they are not the checkout's.
    providers: Option<Vec<ProviderBlock>>,
}

impl Job<'_> {
    /// The whole job of `command: doctor`.
    pub(super) async fn doctor(&self, event: &Event) -> Result<Exit, Exit> {
        let (mut rows, mut looks) = (Vec::new(), Vec::new());
        for unit in &self.units_or_refuse()? {
            let (found, look) = self.look_at(event, unit).await;
            rows.extend(found);
            looks.extend(look);
        }
        rows.extend(examine(self.session, &looks, false).await);
        let table = Table::new(rows);
        self.tell_table(&table);
        let strict = self.inputs.fail_on == FailOn::Warning && table.count(State::Warning) > 0;
        let exit = if strict { Exit::Error } else { table.exit() };
        self.say.output("changed", false);
        self.say.result(if exit == Exit::Done { "ok" } else { "failed" }, Some(exit));
        Ok(if self.inputs.fail_on == FailOn::None { Exit::Done } else { exit })
    }

    fn tell_table(&self, table: &Table) {
        let console = &self.session.console;
        let text = plain(&table.text(console));
        // Names of files and branches are others', and none may be taken for a command.
        match workflow::inert(self.session.entropy.as_ref(), &text) {
            _ if self.session.masks == Masks::Nowhere => console.raw(&text),
            Ok(inert) => console.raw(inert.trim_end()),
            Err(error) => self.say.warning(&format!("the table stands in the job summary only: {error}")),
        }
        self.say.summarise(&table.markdown());
    }

    async fn look_at(&self, event: &Event, unit: &Unit) -> (Vec<Row>, Option<Look>) {
        let strange = match event {
            Event::PullRequest(pull) => self.strange_variables(unit, &pull.head_sha).await,
            _ => None,
        };
        let (path, read) = match strange.map_or_else(|| self.read(unit), Err) {
            Ok(read) => read,
            Err(bad) => return (files::wrong(&unit.file, &bad.1), None),
        };
        let reader = if writes(event) { Reader::Base } else { Reader::Head };
        let loaded = self.load(unit, &read, reader);
        let rows = files::found(&unit.file, &loaded);
        let Some(manifest) = loaded.manifest else { return (rows, None) };
        let Standing { phase, withheld, providers } = self.standing_of(event, unit, &read, &manifest).await;
        let manifest = Manifest { providers: providers.unwrap_or_else(|| manifest.providers.clone()), ..manifest };
        let folder = path.parent().map(std::path::Path::to_path_buf).unwrap_or_default();
        let workspace = Workspace { source: read.source, manifest, warnings: loaded.diagnostics, folder };
        let stores = self.store_args();
        let run = As { phase: Some(phase), calls: stores.calls, allowed_hosts: &stores.allowed_hosts, withheld };
        (rows, Some(Look::new(self.session, workspace, run)))
    }

    async fn standing_of(&self, event: &Event, unit: &Unit, read: &Read, manifest: &Manifest) -> Standing {
        let nobody = |why: String| Standing { phase: Phase::Plan, withheld: Some(why), providers: None };
        match event {
            Event::PullRequest(pull) => {
                let (withheld, providers) = self.standing(Some(pull), unit, manifest).await;
                match (withheld, providers) {
                    (None, Some(providers)) => {
                        Standing { phase: Phase::Plan, withheld: None, providers: Some(providers) }
                    }
                    (withheld, _) => nobody(withheld.unwrap_or_else(|| "the base branch is not known".to_owned())),
                }
            }
            event if writes(event) => match self.behind_the_tip().await {
                Ok(None) => {
                    let withheld = match self.another_checkout(unit, read).await {
                        None => self.planted_beside(unit, &manifest.providers).await,
                        other => other,
                    };
                    Standing { phase: Phase::Sync, withheld, providers: None }
                }
                Ok(Some(why)) => Standing { phase: Phase::Sync, ..nobody(why) },
                Err(why) => nobody(why),
            },
            _ => nobody(format!("the event `{}` gets no credentials here", self.runner.event_name)),
        }
    }
}

/// Whether a sync may run for an event.
fn writes(event: &Event) -> bool {
    match event {
        Event::Push(push) => push.default_branch && !push.deleted,
        Event::Schedule { .. } | Event::WorkflowDispatch { .. } => true,
        _ => false,
    }
}
