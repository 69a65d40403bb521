//! Which kind of target of which provider the suite ran against what: a table that the tests themselves
//! make, so that no row can stand in it without its test.

use secretzero::manifest::ProviderKind;
use secretzero::target::TargetKind;

/// One test that runs a suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) provider: ProviderKind,
    pub(crate) kind: TargetKind,
    /// The server: `moto`, `our fake`, `the disk`.
    pub(crate) against: &'static str,
}

/// Makes tests, and the table `RUNS` of them: `name (Provider, Kind, "server") { body }`.
macro_rules! runs {
    ($($(#[$meta:meta])* $name:ident ($provider:ident, $kind:ident, $against:literal) $body:block)*) => {
        $($(#[$meta])* #[tokio::test] async fn $name() $body)*

        /// The tests above.
        pub(crate) const RUNS: &[crate::conformance::registry::Run] = &[$(crate::conformance::registry::Run {
            provider: secretzero::manifest::ProviderKind::$provider,
            kind: secretzero::target::TargetKind::$kind,
            against: $against,
        }),*];
    };
}
pub(crate) use runs;
