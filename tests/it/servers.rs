//! Where `tests/run` put what it started and installed.

/// The value of a variable that `tests/run` exports. Without it a test fails; none is ever skipped.
#[expect(clippy::disallowed_methods, reason = "the harness tells the tests where its servers are")]
pub(crate) fn exported(name: &str) -> String {
    std::env::var(name)
        .unwrap_or_else(|_| panic!("{name} is not set: start the tests by `tests/run`, which starts the servers too"))
}
