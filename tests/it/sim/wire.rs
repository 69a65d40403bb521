//! What lies between a run and the world: every step may be refused, lost, doubled, or be the last.

use std::future::pending;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use secretzero::provider::{Error, ErrorKind, Result};
use tokio::sync::Notify;

use super::chance::Chance;
use super::run::Job;

/// Seconds since the simulation began, for all machines.
pub(crate) type Time = Arc<AtomicI64>;

/// In seconds.
pub(crate) const LONGER_THAN_A_LEASE: i64 = 11 * 60;

/// What goes wrong with one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The process dies before it.
    CutBefore,
    /// The process dies after it.
    CutAfter,
    /// The store answers 5xx and did nothing.
    Before,
    /// The store did nothing, and nobody can tell.
    Unclear,
    /// The store did it, and the reply is lost.
    LostReply,
    /// It is delivered twice; the second reply arrives.
    Twice,
    /// The store refuses us.
    Denied,
}

const FAULTS: [Fault; 7] =
    [Fault::CutBefore, Fault::CutAfter, Fault::Before, Fault::Unclear, Fault::LostReply, Fault::Twice, Fault::Denied];

/// The wire of one run.
pub(crate) struct Wire {
    seed: u64,
    chance: Chance,
    /// One step in so many goes wrong; none if zero.
    rate: usize,
    /// Most turns that the other run gets before each step.
    turns: usize,
    /// The power never fails.
    steady: bool,
    /// One step in so many takes longer than a lease lasts; none if zero.
    stalls: usize,
    time: Time,
    dead: AtomicBool,
    died: Notify,
}

impl Wire {
    pub(crate) fn new(job: &Job, time: &Time) -> Self {
        let Job { seed, rate, turns, steady, stalls, .. } = *job;
        let (chance, time) = (Chance::new(seed), Arc::clone(time));
        Self { seed, chance, rate, turns, steady, stalls, time, dead: AtomicBool::new(false), died: Notify::new() }
    }

    /// Tells this run's effects from another's.
    pub(crate) fn name(&self) -> u64 {
        self.seed % 1_000
    }

    /// Returns when the process is dead.
    pub(crate) async fn death(&self) {
        self.died.notified().await;
    }

    fn fault(&self) -> Option<Fault> {
        let faults = if self.steady { &FAULTS[2..] } else { &FAULTS[..] };
        (self.rate > 0 && self.chance.one_in(self.rate)).then(|| *self.chance.pick(faults))
    }

    fn die(&self) {
        self.dead.store(true, Ordering::SeqCst);
        self.died.notify_one();
    }

    /// Lets the other run go on for a while.
    pub(crate) async fn turn(&self) {
        for _ in 0..self.chance.below(self.turns + 1) {
            tokio::task::yield_now().await;
        }
        if self.stalls > 0 && self.chance.one_in(self.stalls) {
            self.time.fetch_add(LONGER_THAN_A_LEASE, Ordering::SeqCst);
            tokio::task::yield_now().await;
        }
    }

    /// One call to the forge. Its client looks after lost replies by itself, so only the power fails.
    pub(crate) async fn ask<T>(&self, act: impl FnOnce() -> T) -> T {
        self.turn().await;
        if self.dead.load(Ordering::SeqCst) {
            return pending().await;
        }
        match self.fault() {
            Some(Fault::CutBefore) => self.die(),
            Some(Fault::CutAfter) => {
                drop(act());
                self.die();
            }
            _ => return act(),
        }
        pending().await
    }

    /// One call to a store; `writes` if it may change something.
    pub(crate) async fn step<T>(&self, writes: bool, mut act: impl FnMut() -> Result<T>) -> Result<T> {
        self.turn().await;
        if self.dead.load(Ordering::SeqCst) {
            return pending().await;
        }
        let lost = if writes { ErrorKind::Indeterminate } else { ErrorKind::Unavailable };
        match self.fault() {
            None => act(),
            Some(Fault::CutBefore) => {
                self.die();
                pending().await
            }
            Some(Fault::CutAfter) => {
                drop(act());
                self.die();
                pending().await
            }
            Some(Fault::Before) => Err(Error::new(ErrorKind::Unavailable, "503")),
            Some(Fault::Unclear) => Err(Error::new(lost, "timeout")),
            Some(Fault::LostReply) => {
                drop(act());
                Err(Error::new(lost, "connection reset"))
            }
            Some(Fault::Twice) => {
                drop(act());
                act()
            }
            Some(Fault::Denied) => Err(Error::new(ErrorKind::PermissionDenied, "403")),
        }
    }

    /// One access to the disk.
    pub(crate) fn touch<T>(&self, mut act: impl FnMut() -> T) -> io::Result<T> {
        let refused = || io::Error::other("the disk is gone");
        if self.dead.load(Ordering::SeqCst) {
            return Err(refused());
        }
        match self.fault() {
            None | Some(Fault::Twice) => Ok(act()),
            Some(Fault::CutBefore) => {
                self.die();
                Err(refused())
            }
            Some(Fault::CutAfter) => {
                act();
                self.die();
                Err(refused())
            }
            Some(Fault::LostReply) => {
                act();
                Err(refused())
            }
            Some(Fault::Before | Fault::Unclear | Fault::Denied) => Err(refused()),
        }
    }
}
