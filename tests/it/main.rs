//! All integration tests in one binary.

mod action;
mod layering;
mod readme;
mod repository;
mod servers;
mod manifest;
mod local_files;
mod policies;
