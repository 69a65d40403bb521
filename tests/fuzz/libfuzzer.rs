//! One program for all targets: the variable `TARGET` names the one to run.

#![no_main]

use std::sync::OnceLock;

mod targets;

static TARGET: OnceLock<targets::Target> = OnceLock::new();

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let chosen = || {
        let name = std::env::var("TARGET").expect("TARGET is set");
        let found = targets::TARGETS.iter().find(|(known, ..)| *known == name);
        found.map(|(_, target, _)| *target).expect("TARGET names one of `targets::TARGETS`")
    };
    TARGET.get_or_init(chosen)(data);
});
