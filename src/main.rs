//! The `secretzero` command.

fn main() {}
