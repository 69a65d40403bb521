//! A block of kind `azure`.

use std::sync::Arc;

use super::Connect;
use crate::manifest::ProviderBlock;
use crate::provider::Provider;

pub(super) fn connect(_: &Connect<'_>, _: &ProviderBlock) -> Option<Arc<dyn Provider>> {
    None
}
