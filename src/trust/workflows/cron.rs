//! The five fields of a schedule, and what they do not do.
//!
//! <https://docs.github.com/en/actions/reference/workflows-and-actions/events-that-trigger-workflows#schedule>

use super::Findings;
use crate::diagnostic::{Severity, Spanned, quote};

/// The fields with the least and the greatest value of each.
const FIELDS: [(&str, u32, u32); 5] =
    [("minute", 0, 59), ("hour", 0, 23), ("day", 1, 31), ("month", 1, 12), ("weekday", 0, 6)];

/// Names of months and of weekdays, in the order of their numbers.
const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

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
    for (field, (name, least, greatest)) in fields.iter().zip(FIELDS) {
        for part in field.split(',') {
            let found = beyond(part, name, least, greatest).or_else(|| wrong(part, name, greatest + 1 - least));
            if let Some((severity, message, help)) = found {
                findings.say(severity, "cron", cron.span, message, help);
            }
        }
    }
}

/// A value that the field does not have.
fn beyond(part: &str, name: &str, least: u32, greatest: u32) -> Option<(Severity, String, &'static str)> {
    let range = part.split('/').next().unwrap_or(part);
    if range == "*" {
        return None;
    }
    let values: Vec<Option<u32>> = range.splitn(2, '-').map(|text| value(text, name)).collect();
    let help = "a schedule that GitHub cannot read never starts; a weekday counts from 0 (Sunday) to 6";
    if values.iter().any(|value| value.is_none_or(|value| value < least || value > greatest)) {
        let message = format!("{} is no {name}: it counts from {least} to {greatest}", quote(range));
        return Some((Severity::Error, message, help));
    }
    let is_backwards = matches!(values[..], [Some(from), Some(to)] if from > to);
    is_backwards.then(|| (Severity::Error, format!("{} runs backwards", quote(range)), help))
}

fn value(text: &str, name: &str) -> Option<u32> {
    let names: &[&str] = match name {
        "month" => &MONTHS,
        "weekday" => &WEEKDAYS,
        _ => &[],
    };
    let named = names.iter().position(|one| one.eq_ignore_ascii_case(text)).and_then(|at| u32::try_from(at).ok());
    let first = u32::from(name == "month");
    named.map(|at| at + first).or_else(|| text.parse().ok())
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
