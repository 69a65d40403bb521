//! Keeps a report as short as a forge takes it: rows of tables go first, then lines of lists, never a heading.

/// Bytes that a report may have for each row that one of its tables may have: 51,000 with 150 rows,
/// below the 65,536 of a comment, and 1,020,000 with 3,000 rows, below the 1 MiB of a job summary.
const BYTES_PER_ROW: usize = 340;

/// Rows of a table, or lines of a long list, that are open; the rest is folded, so that what stands below is found.
const OPEN_ROWS: usize = 30;

/// Rows that a table keeps for as long as lists have lines to lose.
const ROWS_KEPT: usize = 20;

/// How much of a report is shown.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits<'a> {
    rows: usize,
    lines: usize,
    run_url: &'a str,
}

/// The longest form of a report that fits, of at most `rows_max` rows a table and lines a list.
///
/// What still does not fit with one line a list is cut by the forge's adapter.
pub(super) fn fitted<'a>(rows_max: usize, run_url: &'a str, render: impl Fn(Limits<'a>) -> String) -> String {
    let mut limits = Limits { rows: rows_max, lines: rows_max, run_url };
    loop {
        let text = render(limits);
        if text.len() <= rows_max.saturating_mul(BYTES_PER_ROW) {
            return text;
        }
        match limits {
            Limits { rows, .. } if rows > ROWS_KEPT => limits.rows = (rows * 3 / 4).max(ROWS_KEPT),
            Limits { lines, .. } if lines > 1 => limits.lines = lines * 3 / 4,
            Limits { rows, .. } if rows > 1 => limits.rows = rows * 3 / 4,
            _ => return text,
        }
    }
}

impl Limits<'_> {
    /// A table of rows that end in a newline, each with the word by which it is counted where it is cut.
    pub(super) fn table(self, head: &str, rows: &[(&'static str, String)]) -> String {
        let columns = head.matches('|').count().saturating_sub(1);
        let start = format!("{head}\n|{}\n", ":--|".repeat(columns));
        let (shown, cut) = rows.split_at(rows.len().min(self.rows));
        let (open, folded) = shown.split_at(shown.len().min(OPEN_ROWS));
        let text = |rows: &[(&str, String)]| rows.iter().map(|(_, row)| row.as_str()).collect::<String>();
        let mut out = format!("\n{start}{}", text(open));
        if !folded.is_empty() {
            let body = format!("{start}{}", text(folded));
            out.push_str(&super::folded(&format!("{}: {}", more(folded.len(), "row"), tally(folded)), &body));
        }
        if !cut.is_empty() {
            let (number, of) = (more(cut.len(), "row"), tally(cut));
            out.push_str(&format!("\n*{number} ({of}): see the {}.*\n", self.elsewhere()));
        }
        out
    }

    /// A list of lines that begin with `start`; what is cut is counted in its last one.
    pub(super) fn lines(self, start: &str, lines: impl IntoIterator<Item = String>) -> String {
        let mut lines = lines.into_iter();
        let mut out: String = lines.by_ref().take(self.lines).map(|line| format!("{start}- {line}\n")).collect();
        let cut = lines.count();
        if cut > 0 {
            out.push_str(&format!("{start}- *{cut} more: see the {}*\n", self.elsewhere()));
        }
        out
    }

    /// A list whose first lines are open and whose others are folded.
    pub(super) fn long_list(self, mut lines: Vec<String>) -> String {
        if lines.len().min(self.lines) <= OPEN_ROWS {
            return self.lines("", lines);
        }
        let folded = lines.split_off(OPEN_ROWS);
        let summary = format!("{} more", folded.len());
        let rest = Self { lines: self.lines - OPEN_ROWS, ..self };
        format!("{}{}", self.lines("", lines), super::folded(&summary, &rest.lines("", folded)))
    }

    fn elsewhere(self) -> String {
        if self.run_url.is_empty() { "job summary".into() } else { format!("[job summary]({})", self.run_url) }
    }
}

fn more(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 more {noun}") } else { format!("{number} more {noun}s") }
}

/// `2 metadata, 40 create`: neighbours of one word together.
fn tally(rows: &[(&'static str, String)]) -> String {
    let mut words: Vec<(&str, usize)> = Vec::new();
    for (word, _) in rows {
        match words.last_mut().filter(|(last, _)| last == word) {
            Some((_, number)) => *number += 1,
            None => words.push((word, 1)),
        }
    }
    words.iter().map(|(word, number)| format!("{number} {word}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(number: usize) -> Vec<(&'static str, String)> {
        (0..number).map(|n| (if n < 40 { "rotate" } else { "create" }, format!("| {n} | x |\n"))).collect()
    }

    #[test]
    fn a_short_table_is_whole() {
        let limits = Limits { rows: 150, lines: 150, run_url: "" };
        assert_eq!(limits.table("| | Secret |", &rows(2)), "\n| | Secret |\n|:--|:--|\n| 0 | x |\n| 1 | x |\n");
    }

    #[test]
    fn a_long_table_is_folded_and_what_is_cut_is_counted() {
        let limits = Limits { rows: 50, lines: 150, run_url: "https://run" };
        let text = limits.table("| | Secret |", &rows(900));
        assert!(text.contains("<summary>20 more rows: 10 rotate, 10 create</summary>"), "{text}");
        assert!(text.ends_with("\n*850 more rows (850 create): see the [job summary](https://run).*\n"), "{text}");
        assert_eq!(text.matches(" | x |\n").count(), 50);
    }

    #[test]
    fn rows_go_before_lines() {
        let line = "a".repeat(300);
        let render = |limits: Limits<'_>| {
            let lines = limits.lines("> ", (0..100).map(|_| line.clone()));
            format!("{lines}{}", limits.table("| |", &vec![("create", format!("{line}\n")); 900]))
        };
        let text = fitted(150, "", render);
        assert!(text.len() <= 150 * BYTES_PER_ROW, "{}", text.len());
        assert_eq!(text.matches("> - a").count(), 100);
        let rows = text.lines().filter(|row| row.starts_with('a')).count();
        assert!((ROWS_KEPT..100).contains(&rows), "{rows}");
    }

    #[test]
    fn at_the_last_every_list_has_a_line() {
        let text = fitted(150, "", |limits| limits.lines("", (0..9).map(|_| "a".repeat(1 << 17))));
        assert!(text.ends_with("- *8 more: see the job summary*\n"));
    }
}
