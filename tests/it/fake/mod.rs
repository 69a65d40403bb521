//! Stateful stand-ins for services that cannot run here; each rule names its source.

pub(crate) mod aws;
