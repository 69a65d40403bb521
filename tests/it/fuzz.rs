//! The fuzz targets on every run of the tests, without nightly: a seeded mutator over the corpus, the
//! same inputs each time. `SECRETZERO_FUZZ_SECONDS` lets each target go on for that long, with other
//! inputs, as `.ci/run` does; a failure prints what to repeat it with.

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

#[path = "../fuzz/targets.rs"]
mod targets;

/// Inputs for each target unless a time is given.
const INPUTS: u64 = 300;
/// Largest input, in bytes; larger ones are cut.
const BYTES_MAX: usize = 20_000;

/// Pieces that mean something to one reader or another.
const WORDS: &[&str] = &[
    "\n",
    "\r\n",
    "\0",
    "\"",
    "'",
    "`",
    "\\",
    "\\\\",
    "#",
    " #",
    "=",
    ": ",
    "- ",
    "{",
    "}",
    "[",
    "]",
    "{{",
    "}}",
    "${",
    "${A}",
    "${AB:-x}",
    "&a ",
    "*a",
    "<<: ",
    "|\n",
    ">-\n",
    "!!str ",
    "---\n",
    "\t",
    "  ",
    "--",
    "-->",
    "\u{feff}",
    "\u{202e}",
    "\u{1b}[31m",
    "export ",
    "null",
    "true",
    "0755",
    "-1",
    "18446744073709551616",
    "environments:\n  a:\n",
    "defaults:",
    "secrets:",
    "targets:",
    "templates.",
    "refs/heads/",
    "0000000000000000000000000000000000000000",
    "\"id\":",
    "1:p=",
    ":r=",
    "é",
    "𝄞",
];

/// A small generator of numbers (xorshift64*), so that a number names a run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(number).unwrap() % sides.max(1)
    }
}

/// An input: a seed with a few changes.
fn mutated(dice: &mut Dice, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut input = seeds[dice.roll(seeds.len())].clone();
    for _ in 0..=dice.roll(6) {
        let at = dice.roll(input.len() + 1);
        let end = (at + dice.roll(40)).min(input.len());
        match dice.roll(6) {
            0 if at < input.len() => input[at] ^= 1 << dice.roll(8),
            1 => drop(input.drain(at..end)),
            2 => {
                let copy = input[at..end].to_vec();
                let to = dice.roll(input.len() + 1);
                input.splice(to..to, copy);
            }
            3 => {
                let other = &seeds[dice.roll(seeds.len())];
                let from = dice.roll(other.len() + 1);
                let until = (from + dice.roll(200)).min(other.len());
                input.splice(at..end, other[from..until].iter().copied());
            }
            4 => input.insert(at, u8::try_from(dice.roll(256)).unwrap()),
            _ => drop(input.splice(at..at, WORDS[dice.roll(WORDS.len())].bytes())),
        }
    }
    input.truncate(BYTES_MAX);
    input
}

fn files(folder: &Path) -> Vec<Vec<u8>> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.is_file());
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

#[expect(clippy::disallowed_methods, reason = "whoever starts the tests says how long")]
fn seconds() -> Option<u64> {
    std::env::var("SECRETZERO_FUZZ_SECONDS").ok().map(|seconds| seconds.parse().unwrap())
}

fn fuzz(name: &str) {
    let (_, target, folders) = targets::TARGETS.iter().find(|(known, ..)| *known == name).unwrap();
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let seeds: Vec<Vec<u8>> = folders.iter().flat_map(|folder| files(&tests.join(folder))).collect();
    assert!(!seeds.is_empty(), "{name} has no seeds");
    // What once failed must never fail again.
    let found = files(&tests.join("fuzz/found").join(name));
    for input in found.iter().chain(&seeds) {
        target(input);
    }
    let (began, time) = (Instant::now(), seconds().map(Duration::from_secs));
    let mut run = 1;
    while time.map_or(run <= INPUTS, |time| began.elapsed() < time) {
        let input = mutated(&mut Dice(run.wrapping_mul(0x9E37_79B9_7F4A_7C15)), &seeds);
        if catch_unwind(|| target(&input)).is_err() {
            panic!(
                "{name}, run {run}: keep this as tests/fuzz/found/{name}/NAME:\n{}",
                String::from_utf8_lossy(&input)
            );
        }
        run += 1;
    }
}

#[test]
fn any_bytes_are_a_secretfile_or_findings_with_a_place() {
    fuzz("manifest");
}

#[test]
fn an_edit_of_any_file_keeps_what_is_foreign() {
    fuzz("dotenv");
}

#[test]
fn any_payload_is_an_event_or_refused() {
    fuzz("event");
}

#[test]
fn a_marker_is_never_another_markers() {
    fuzz("marker");
}

#[test]
fn any_lock_is_read_as_it_would_be_written() {
    fuzz("lock");
}

#[test]
fn every_target_is_run_here() {
    let names: Vec<&str> = targets::TARGETS.iter().map(|(name, ..)| *name).collect();
    assert_eq!(names, ["manifest", "dotenv", "event", "marker", "lock"]);
}
