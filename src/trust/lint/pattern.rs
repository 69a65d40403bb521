//! How a policy compares a claim, and what its wildcards and regular expressions let through.

use super::Lint;
use crate::diagnostic::{Spanned, quote};

/// How a claim is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compared {
    /// As a whole.
    Exactly,
    /// With `*` for any text and `?` for any character, `/` and `:` included.
    Glob,
    /// With `*` alone for any text, as Vault does (<https://github.com/ryanuber/go-glob>).
    Stars,
    /// As a regular expression that need not match from end to end.
    Search,
    /// As a regular expression from end to end.
    Regex,
}

impl Compared {
    /// The signs that stand for other text.
    pub(super) const fn wild(self) -> &'static [char] {
        match self {
            Self::Exactly => &[],
            Self::Stars => &['*'],
            Self::Glob | Self::Search | Self::Regex => &['*', '?'],
        }
    }

    /// The text before the first place where anything may stand, if there is such a place.
    pub(super) fn open(self, value: &str) -> Option<String> {
        match self {
            Self::Search | Self::Regex => {
                let bare = bare(value);
                crossing(&bare).map(|at| bare.get(..at).unwrap_or_default().replace('\u{0}', ".").replace('\\', ""))
            }
            _ => value.find(self.wild()).map(|at| value[..at].to_owned()),
        }
    }
}

/// Whether an expression may match in the middle: not anchored, or not in each of its alternatives.
pub(super) fn is_loose(text: &str) -> bool {
    let mut depth = 0_usize;
    let has_alternatives = text.replace("\\|", "").chars().any(|c| {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == '|' && depth == 0
    });
    has_alternatives || !(text.starts_with('^') && text.ends_with('$'))
}

/// An expression without its anchors, a NUL for each escaped dot.
fn bare(text: &str) -> String {
    text.trim_start_matches('^').trim_end_matches('$').replace(r"\.", "\u{0}").replace(r"\/", "/")
}

/// Where anything may stand, `/` and `:` included.
fn crossing(bare: &str) -> Option<usize> {
    let wild = regex::Regex::new(r"\.|\[\^[^\]/:]*\][*+]|\\[SWD]|\[\\s\\S\]").ok()?;
    wild.find(bare).map(|found| found.start())
}

/// Most subjects that one expression is taken for.
const SAMPLES_MAX: usize = 32;

/// A regular expression as subjects that it matches, one for each of its alternatives; none if a part of
/// it could be anything, which is told.
pub(super) fn samples(lint: &mut Lint<'_>, subject: &Spanned<String>, compared: Compared) -> Vec<String> {
    let text = subject.value.as_str();
    if compared == Compared::Search && is_loose(text) {
        lint.error(
            "unanchored-pattern",
            subject.span,
            format!("{} matches anywhere in the subject, so `repo:evil/x:environment:` before it, or more behind it, does no harm to it", quote(text)),
            "begin it with `^` and end it with `$`, or compare with `==`",
        );
    }
    let escaped = bare(text);
    if crossing(&escaped).is_some() {
        lint.error(
            "pattern-crosses",
            subject.span,
            format!("in {} a `.` stands for any character, `/` and `:` among them", quote(text)),
            "write `[^/:]` for what must not cross into the next part, and `\\.` for a dot",
        );
        return Vec::new();
    }
    let plain = |text: &str| text.replace('\u{0}', ".").replace("[^/:]+", "x").replace("[^/:]*", "x").replace('\\', "");
    expanded(&escaped).iter().map(|text| plain(text)).collect()
}

/// One text for each alternative of its groups.
fn expanded(text: &str) -> Vec<String> {
    let (mut open, mut done) = (vec![text.to_owned()], Vec::new());
    let Ok(group) = regex::Regex::new(r"\((?:\?:)?([^()]*)\)") else { return open };
    while let Some(text) = open.pop() {
        match group.captures(&text) {
            Some(found) if open.len() + done.len() < SAMPLES_MAX => {
                let (whole, inner) = (found.get(0).map_or(0..0, |whole| whole.range()), &found[1]);
                open.extend(inner.split('|').map(|one| format!("{}{one}{}", &text[..whole.start], &text[whole.end..])));
            }
            _ => done.push(text),
        }
    }
    done
}

/// Whether a pattern with `*` and `?` matches a text.
pub(super) fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((at, from)) = star else { return false };
                star = Some((at, from + 1));
                p = at + 1;
                t = from + 1;
            }
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}
