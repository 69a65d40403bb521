//! Own stateful servers for what no emulator covers; each rule names where it is documented.

#![expect(clippy::expect_used, reason = "tests")]

pub(crate) mod github;
