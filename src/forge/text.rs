//! Text made fit for a forge: cut below a limit on a character boundary, and without invisible characters.

use std::borrow::Cow;

/// The longest comment we send, in UTF-16 code units.
///
/// GitHub refuses above 65,536 characters; UTF-16 units are never fewer than characters, and the
/// distance leaves room for the marker (<https://github.com/dead-claudia/github-limits>).
pub const COMMENT_UNITS_MAX: usize = 65_000;

/// Length in UTF-16 code units, by which browsers and some servers count.
#[must_use]
pub fn utf16_units(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

/// The text, or as much of its beginning as leaves room for a visible note within `units_max`
/// UTF-16 code units.
///
/// The cut prefers the end of a line, and closes a code fence and folded sections that it leaves
/// open, so that the note is seen.
#[must_use]
pub fn cut<'t>(text: &'t str, units_max: usize, note: &str) -> Cow<'t, str> {
    cut_by(text, units_max, note, char::len_utf16)
}

/// As [`cut`], counted in bytes.
#[must_use]
pub fn cut_bytes<'t>(text: &'t str, bytes_max: usize, note: &str) -> Cow<'t, str> {
    cut_by(text, bytes_max, note, char::len_utf8)
}

fn cut_by<'t>(text: &'t str, max: usize, note: &str, length: fn(char) -> usize) -> Cow<'t, str> {
    let size = |text: &str| text.chars().map(length).sum::<usize>();
    if size(text) <= max {
        return Cow::Borrowed(text);
    }
    let mut room = max.saturating_sub(size(note) + 2);
    loop {
        let kept = beginning(text, room, length);
        let whole = format!("{kept}{}\n\n{note}", closing(kept));
        let over = size(&whole).saturating_sub(max);
        if over == 0 || room == 0 {
            return Cow::Owned(beginning(&whole, max, length).to_owned());
        }
        room = room.saturating_sub(over);
    }
}

/// The longest beginning within `room`, back to the end of a line if one is near.
fn beginning(text: &str, room: usize, length: fn(char) -> usize) -> &str {
    let mut used = 0;
    let end = text.char_indices().find(|(_, c)| {
        used += length(*c);
        used > room
    });
    let Some((end, _)) = end else { return text };
    let (Some(kept), Some(rest)) = (text.get(..end), text.get(end..)) else { return "" };
    if rest.starts_with('\n') {
        return kept;
    }
    match kept.rfind('\n') {
        Some(line) if end - line < end / 8 => kept.get(..line).unwrap_or(kept),
        _ => kept,
    }
}

/// What closes the fence and the folded sections that a beginning leaves open.
fn closing(kept: &str) -> String {
    let mut out = String::new();
    if kept.lines().filter(|line| line.trim_start().starts_with("```")).count() % 2 == 1 {
        out.push_str("\n```");
    }
    let open = kept.matches("<details").count().saturating_sub(kept.matches("</details>").count());
    // A body of ours folds few sections; a thousand open ones are somebody's game.
    out.push_str(&"\n</details>".repeat(open.min(16)));
    out
}

/// The text with every control and direction character but newline and tab replaced by U+FFFD, so
/// that a name from a pull request cannot reorder or hide what a person reads.
///
/// The direction characters are those of Unicode's UAX #9 (<https://www.unicode.org/reports/tr9/>).
#[must_use]
pub fn visible(text: &str) -> Cow<'_, str> {
    if text.chars().all(|c| !hidden(c)) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(|c| if hidden(c) { '\u{fffd}' } else { c }).collect())
}

const fn hidden(c: char) -> bool {
    matches!(c,
        '\u{0}'..='\u{8}' | '\u{b}'..='\u{1f}' | '\u{7f}'..='\u{9f}'
        | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOTE: &str = "_cut: the rest is in the job summary_";

    #[test]
    fn a_text_at_the_limit_stays_and_one_above_is_cut_with_a_note() {
        for (units, emoji) in [(65_535, ""), (65_535, "🔑"), (65_536, ""), (65_536, "🔑"), (65_537, "🔑")] {
            let text = format!("{}{emoji}", "a".repeat(units - utf16_units(emoji)));
            assert_eq!(utf16_units(&text), units);
            let kept = cut(&text, 65_536, NOTE);
            assert!(utf16_units(&kept) <= 65_536);
            assert_eq!(kept.ends_with(NOTE), units > 65_536, "{units}");
        }
    }

    #[test]
    fn emoji_are_never_split_and_count_as_two_units() {
        let text = "🔑".repeat(40_000);
        let kept = cut(&text, COMMENT_UNITS_MAX, NOTE);
        assert!(utf16_units(&kept) <= COMMENT_UNITS_MAX);
        assert!(kept.starts_with(&"🔑".repeat(32_000)));
        assert!(kept.ends_with(NOTE));
    }

    #[test]
    fn the_note_stands_outside_of_fences_and_folds() {
        let text = format!("<details>\n<summary>rows</summary>\n\n```\n{}", "row\n".repeat(100));
        insta::assert_snapshot!(cut(&text, 120, NOTE), @r"
        <details>
        <summary>rows</summary>

        ```
        row
        row
        row
        row
        row
        row
        row
        ```
        </details>

        _cut: the rest is in the job summary_
        ");
    }

    #[test]
    fn direction_and_control_characters_become_visible() {
        assert_eq!(visible("safe \u{202e}lrep\u{0}\u{1b}[31m\n"), "safe \u{fffd}lrep\u{fffd}\u{fffd}[31m\n");
        assert!(matches!(visible("plain ü 🔑\t"), Cow::Borrowed(_)));
    }

    proptest! {
        #[test]
        fn no_cut_is_too_long(text in "\\PC*", max in 0_usize..80) {
            prop_assert!(utf16_units(&cut(&text, max, NOTE)) <= max);
            prop_assert!(cut_bytes(&text, max, NOTE).len() <= max);
        }
    }
}
