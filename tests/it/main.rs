//! All integration tests in one binary.

mod local_files;
