//! Vault, against OpenBao: a real server that somebody else wrote, with a namespace for each test.

mod bao;
mod beside;
pub(crate) mod contract;
mod faults;
mod kinds;
mod login;
mod proxy;
mod session;
mod stores;
mod sync;
mod tls;

pub(crate) use bao::Bao;
pub(crate) use proxy::{Fault as ProxyFault, Proxy};
pub(crate) use tls::{Authority, Server};
