//! The companion service of `SecretZero`.

fn main() {}
