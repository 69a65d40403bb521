//! `OpenBao`, which serves the tests of the program as well.

#[path = "../../../../tests/it/vault/bao.rs"]
pub(crate) mod bao;
#[path = "../../../../tests/it/vault/proxy.rs"]
pub(crate) mod proxy;
