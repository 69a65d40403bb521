//! The five fields of a schedule, and what they do not do.
//!
//! <https://docs.github.com/en/actions/reference/workflows-and-actions/events-that-trigger-workflows#schedule>

use super::Findings;
use crate::diagnostic::{Severity, Spanned, quote};

/// The fields with how many values each has.
const FIELDS: [(&str, u32); 5] = [("minute", 60), ("hour", 24), ("day", 31), ("month", 12), ("weekday", 7)];

/// The shortest time between two runs, in minutes.
const MINUTES_MIN: u32 = 5;

pub(super) fn check(cron: &Spanned<String>, findings: &mut Findings) {
    let fields: Vec<&str> = cron.value.split_whitespace().collect();
    if fields.len() != FIELDS.len() {
        let message = format!("{} has {} fields, and a schedule has five", quote(&cron.value), fields.len());
        let help = "write minute, hour, day, month and weekday: `17 4 * * *`";
        findings.say(Severity::Error, "cron", cron.span, message, help);
        return;
    }
    for (field, (name, count)) in fields.iter().zip(FIELDS) {
        for part in field.split(',') {
            if let Some((severity, message, help)) = wrong(part, name, count) {
                findings.say(severity, "cron", cron.span, message, help);
            }
        }
    }
}

/// What is wrong with one part of one field.
fn wrong(part: &str, name: &str, count: u32) -> Option<(Severity, String, &'static str)> {
    let (range, step) = part.split_once('/').map_or((part, None), |(range, step)| (range, Some(step)));
    let step = step.map(|step| step.parse::<u32>().unwrap_or(0));
    let every = range == "*";
    match step {
        Some(0) => Some((Severity::Error, format!("{} has no step", quote(part)), "write a number after the `/`")),
        Some(step) if step >= count => {
            let last = count - 1;
            let message = format!(
                "{} is no step of {step}: the {name} counts up to {last}, so only its first value counts",
                quote(part)
            );
            let help = "a step counts within its field; every 90 minutes takes two lines: `0 0-23/3 * * *` and `30 1-23/3 * * *`";
            Some((Severity::Error, message, help))
        }
        Some(step) if every && name == "minute" && step < MINUTES_MIN => Some(often(part)),
        Some(step) if every && !count.is_multiple_of(step) && matches!(name, "minute" | "hour") => {
            let whole = if name == "minute" { "hour" } else { "day" };
            let message = format!("{} starts anew with every {whole}, so the last gap is shorter", quote(part));
            Some((Severity::Warning, message, "choose a step that divides 60 minutes or 24 hours"))
        }
        None if every && name == "minute" => Some(often(part)),
        _ => None,
    }
}

fn often(part: &str) -> (Severity, String, &'static str) {
    let message = format!("{} asks for more than GitHub gives: every {MINUTES_MIN} minutes at most", quote(part));
    (Severity::Warning, message, "what is due is told from the stores, not from the tick; once a day is plenty")
}
