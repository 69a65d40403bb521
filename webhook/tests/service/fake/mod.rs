//! The fakes of the clouds, which serve the tests of the program as well.

#![expect(clippy::expect_used, reason = "a fake that cannot start must fail the test")]

#[path = "../../../../tests/it/fake/aws/mod.rs"]
pub(crate) mod aws;
#[path = "../../../../tests/it/fake/azure/mod.rs"]
pub(crate) mod azure;
#[path = "../../../../tests/it/fake/gcp/mod.rs"]
pub(crate) mod gcp;
#[path = "../../../../tests/it/fake/jwt.rs"]
pub(crate) mod jwt;
