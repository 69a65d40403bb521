//! Says what a run does, secret by secret: the lines of one secret stand together, in the order of
//! the Secretfile, however the stores answer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use super::console::{Console, Tone};
use super::show::{done, failed};
use crate::apply::{Event, Progress};
use crate::plan::{Action, Plan};
use crate::target::TargetKind;

/// Holds a secret's lines back until it and every secret before it is through.
pub(super) struct Blocks<'a> {
    console: &'a Console,
    state: Mutex<State>,
}

struct State {
    blocks: Vec<Block>,
    by_name: BTreeMap<String, usize>,
    /// The first block that was not printed yet.
    next: usize,
}

/// The lines of one secret.
#[derive(Default)]
struct Block {
    name: String,
    /// Position of each target, and of the one that is written first.
    places: Vec<(TargetKind, String)>,
    primary: Option<usize>,
    /// How many targets have not been heard of yet.
    left: usize,
    generated: bool,
    /// Whether that was printed.
    headed: bool,
    lines: Vec<(usize, Line)>,
    /// What was printed or will be, since a store may be told of twice.
    known: BTreeSet<Line>,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Line {
    Done(String),
    Failed(String),
}

impl<'a> Blocks<'a> {
    /// Awaits what the plan is going to do.
    pub(super) fn new(console: &'a Console, plan: &Plan) -> Self {
        let blocks: Vec<Block> = plan
            .secrets
            .iter()
            .map(|secret| Block {
                name: secret.name.clone(),
                places: secret.targets.iter().map(|target| (target.kind, target.name.clone())).collect(),
                primary: secret.primary,
                left: secret.targets.iter().filter(|target| is_told(target.action)).count(),
                ..Block::default()
            })
            .collect();
        let by_name = blocks.iter().enumerate().map(|(index, block)| (block.name.clone(), index)).collect();
        Self { console, state: Mutex::new(State { blocks, by_name, next: 0 }) }
    }

    /// Prints what is still held back; called once at the end.
    pub(super) fn finish(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        for block in state.blocks.iter_mut() {
            block.print(self.console);
        }
    }

    fn note(&self, secret: &str, change: impl FnOnce(&mut Block)) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State { blocks, by_name, next } = &mut *state;
        let Some(block) = by_name.get(secret).and_then(|index| blocks.get_mut(*index)) else { return };
        change(block);
        while let Some(block) = blocks.get_mut(*next).filter(|block| block.left == 0) {
            block.print(self.console);
            *next += 1;
        }
    }
}

/// Whether a run says something of a target: that it was changed, or why it could not be.
const fn is_told(action: Action) -> bool {
    action.is_change() || matches!(action, Action::Held)
}

impl Progress for Blocks<'_> {
    fn event(&self, event: &Event<'_>) {
        match event {
            Event::Generated(secret) => self.note(secret, |block| block.generated = true),
            Event::Done { secret, action, kind, name } => {
                self.note(secret, |block| block.done(*action, *kind, name));
                self.console.step();
            }
            Event::Failed { secret, kind, name, reason } => {
                self.note(secret, |block| block.failed(*kind, name, reason));
                self.console.step();
            }
        }
    }
}

impl Block {
    fn position(&self, kind: TargetKind, name: &str) -> usize {
        self.places.iter().position(|(k, n)| *k == kind && n == name).unwrap_or(self.places.len())
    }

    fn add(&mut self, at: usize, line: Line) {
        if self.known.insert(line.clone()) {
            self.lines.push((at, line));
        }
    }

    fn done(&mut self, action: Action, kind: TargetKind, name: &str) {
        self.left = self.left.saturating_sub(1);
        self.add(self.position(kind, name), Line::Done(done(action, kind, name)));
    }

    fn failed(&mut self, kind: TargetKind, name: &str, reason: &str) {
        let at = self.position(kind, name);
        // Without the primary nothing else is tried.
        self.left = if Some(at) == self.primary && !self.generated { 0 } else { self.left.saturating_sub(1) };
        self.add(at, Line::Failed(failed(&self.name, kind, name, reason)));
    }

    fn print(&mut self, console: &Console) {
        self.lines.sort_by_key(|(at, _)| *at);
        let (good, bad) = (console.paint(Tone::Good, "✓"), console.paint(Tone::Bad, "✗"));
        // Under "Generated" it is clear whose the places are.
        let whose = if self.generated { String::new() } else { format!(" ({})", self.name) };
        if self.generated && !std::mem::replace(&mut self.headed, true) {
            console.line(&format!("{good} Generated {}", self.name));
        }
        for (_, line) in self.lines.drain(..) {
            match line {
                Line::Done(text) => console.line(&format!("{good} {text}{whose}")),
                Line::Failed(text) => console.note(&format!("{bad} {text}")),
            }
        }
    }
}
