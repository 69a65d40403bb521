//! One Secretfile as this run would use it: its stores, as whom it would come there, and by whose token.

use std::sync::Arc;

use crate::cli::args::CallArgs;
use crate::cli::session::{Session, Workspace};
use crate::connect::federation::Federation;
use crate::manifest::{ProviderBlock, ProviderKind};
use crate::oidc::{Mask, Phase, TokenSource};
use crate::provider::Provider;

/// As whom a run comes.
#[derive(Clone)]
pub(in crate::cli) struct As<'a> {
    /// What `ci` has found this event to be; without it the environment decides.
    pub phase: Option<Phase>,
    /// How stores are called.
    pub calls: CallArgs,
    /// Hosts that a credential may be sent to beside its cloud's own.
    pub allowed_hosts: &'a [String],
    /// Why nothing may be asked in this run's name, if nothing may.
    pub withheld: Option<String>,
}

/// One Secretfile, connected; nothing was called yet.
pub(in crate::cli) struct Look {
    pub(super) workspace: Workspace,
    pub(super) stores: Vec<Option<Arc<dyn Provider>>>,
    pub(super) federation: Federation,
    pub(super) source: Option<Arc<dyn TokenSource>>,
    pub(super) mask: Mask,
    /// Why no token is minted and no store is asked.
    pub(super) withheld: Option<String>,
}

impl Look {
    pub(in crate::cli) fn new(session: &Session, workspace: Workspace, run: As<'_>) -> Self {
        let connect = session.connecting(&workspace.folder, run.calls, run.allowed_hosts, run.phase);
        let stores = connect.all(&workspace.manifest);
        stores.iter().flatten().for_each(|store| session.connected.add(store));
        let (source, mask, federation) =
            (connect.tokens.clone(), Arc::clone(&connect.mask), connect.federation.clone());
        Self { workspace, stores, federation, source, mask, withheld: run.withheld }
    }

    /// The provider blocks that somebody must log in to, with their stores.
    pub(super) fn remote(&self) -> impl Iterator<Item = (usize, &ProviderBlock, Option<&Arc<dyn Provider>>)> {
        let blocks = self.workspace.manifest.providers.iter().zip(&self.stores).enumerate();
        let remote = blocks.filter(|(_, (block, _))| block.kind != ProviderKind::Local);
        remote.map(|(index, (block, store))| (index, block, store.as_ref()))
    }

    /// What this phase is called where a role is named: what rotates comes as whoever syncs.
    pub(super) const fn phase(&self) -> &'static str {
        match self.federation.phase {
            Phase::Plan => "plan",
            Phase::Sync | Phase::Rotate => "sync",
        }
    }
}
