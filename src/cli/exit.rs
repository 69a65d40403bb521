//! What the process tells its caller.

use std::process::ExitCode;

use super::signal::Signal;

/// The exit codes; scripts rely on them, so they never change their meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Exit {
    /// Done, or nothing to do.
    Done = 0,
    /// Something went wrong that has no code of its own.
    Error = 1,
    /// Changes are pending; only with `--detailed-exitcode`.
    Pending = 2,
    /// The Secretfile is invalid.
    Invalid = 3,
    /// A provider cannot be reached or does not know us.
    Provider = 4,
    /// A policy is broken.
    Policy = 5,
    /// The plan is stale.
    Stale = 6,
    /// Another run holds the lock.
    Locked = 7,
    /// Something is held or unfinished; run again.
    Partial = 8,
    /// Applied, but the lock could not be saved.
    NotSaved = 9,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// By itself.
    Exit(Exit),
    /// By somebody else.
    Signal(Signal),
}

impl From<Ended> for ExitCode {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::Exit(exit) => exit.into(),
            Ended::Signal(signal) => Self::from(signal.code()),
        }
    }
}
