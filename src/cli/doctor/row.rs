//! One thing that was looked at, and the table of all of them: for a terminal, for the summary of a job,
//! and as JSON.

use std::fmt::Write as _;

use serde_json::{Value as Json, json};

use crate::cli::console::{Console, Tone};
use crate::cli::exit::Exit;
use crate::diagnostic::plain;
use crate::render::words;

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::cli) struct Row {
    /// What it belongs to, in a word or two.
    area: &'static str,
    state: State,
    /// What was found, in one line.
    text: String,
    /// What belongs to it, a line each.
    more: Vec<String>,
    /// What to do now.
    help: Option<String>,
    /// The same for programs, where there is more than a sentence to it.
    facts: Json,
}

/// How a thing stands, in rising order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::cli) enum State {
    /// As it should be.
    Good,
    /// Not looked at, and why.
    Skipped,
    /// Worth knowing.
    Note,
    /// Probably a mistake.
    Warning,
    /// Must be mended; the exit code tells.
    Wrong,
}

impl State {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Skipped => "skipped",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Wrong => "wrong",
        }
    }

    const fn mark(self) -> (Tone, &'static str) {
        match self {
            Self::Good => (Tone::Good, "✓"),
            Self::Skipped | Self::Note => (Tone::Dim, "·"),
            Self::Warning => (Tone::Warn, "!"),
            Self::Wrong => (Tone::Bad, "✗"),
        }
    }
}

/// One line that steers no terminal, whoever wrote what it names.
fn one_line(text: &str) -> String {
    plain(text).replace('\n', " ")
}

impl Row {
    pub(super) fn new(area: &'static str, state: State, text: impl AsRef<str>) -> Self {
        Self { area, state, text: one_line(text.as_ref()), more: Vec::new(), help: None, facts: Json::Null }
    }

    pub(super) fn good(area: &'static str, text: impl AsRef<str>) -> Self {
        Self::new(area, State::Good, text)
    }

    pub(super) fn note(area: &'static str, text: impl AsRef<str>) -> Self {
        Self::new(area, State::Note, text)
    }

    pub(in crate::cli) fn skipped(area: &'static str, text: impl AsRef<str>) -> Self {
        Self::new(area, State::Skipped, text)
    }

    pub(super) fn wrong(area: &'static str, text: impl AsRef<str>, help: impl AsRef<str>) -> Self {
        Self::new(area, State::Wrong, text).help(help)
    }

    pub(super) fn warning(area: &'static str, text: impl AsRef<str>, help: impl AsRef<str>) -> Self {
        Self::new(area, State::Warning, text).help(help)
    }

    pub(super) fn help(mut self, help: impl AsRef<str>) -> Self {
        self.help = Some(one_line(help.as_ref())).filter(|help| !help.is_empty());
        self
    }

    pub(super) fn more(mut self, line: impl AsRef<str>) -> Self {
        self.more.push(one_line(line.as_ref()));
        self
    }

    pub(super) fn facts(mut self, facts: Json) -> Self {
        self.facts = facts;
        self
    }

    /// What to do; nothing needs doing about what is good.
    fn advice(&self) -> Option<&str> {
        self.help.as_deref().filter(|_| self.state != State::Good)
    }

    fn json(&self) -> Json {
        let Self { area, state, text, help, facts, .. } = self;
        let mut row = json!({ "area": area, "state": state.as_str(), "text": text, "help": help });
        if !facts.is_null() {
            row["facts"] = facts.clone();
        }
        row
    }
}

/// Everything that was looked at, each once.
pub(in crate::cli) struct Table(Vec<Row>);

impl Table {
    pub(in crate::cli) fn new(rows: Vec<Row>) -> Self {
        let mut table = Self(Vec::new());
        for row in rows {
            if !table.0.contains(&row) {
                table.0.push(row);
            }
        }
        table
    }

    /// How many rows stand so.
    pub(in crate::cli) fn count(&self, state: State) -> usize {
        self.0.iter().filter(|row| row.state == state).count()
    }

    pub(in crate::cli) fn exit(&self) -> Exit {
        if self.count(State::Wrong) > 0 { Exit::Error } else { Exit::Done }
    }

    fn verdict(&self) -> String {
        match (self.count(State::Wrong), self.count(State::Warning)) {
            (0, 0) => "Nothing is wrong".to_owned(),
            (0, warnings) => format!("Nothing is wrong; to look at: {warnings}"),
            (wrong, 0) => format!("To mend: {wrong}"),
            (wrong, warnings) => format!("To mend: {wrong}; to look at: {warnings}"),
        }
    }

    pub(in crate::cli) fn json(&self) -> Json {
        let (wrong, warnings) = (self.count(State::Wrong), self.count(State::Warning));
        let rows: Vec<Json> = self.0.iter().map(Row::json).collect();
        json!({ "healthy": wrong == 0, "wrong": wrong, "warnings": warnings, "checks": rows, "exit_code": self.exit() as u8 })
    }

    /// A line or more for each row, with what to do below it, and the verdict.
    pub(in crate::cli) fn text(&self, console: &Console) -> String {
        let width = self.0.iter().map(|row| row.area.chars().count()).max().unwrap_or(0);
        let mut out = String::new();
        for row in &self.0 {
            let (tone, mark) = row.state.mark();
            let _ = writeln!(out, "{} {:width$}  {}", console.paint(tone, mark), row.area, row.text);
            for line in &row.more {
                let _ = writeln!(out, "  {:width$}  {line}", "");
            }
            if let Some(help) = row.advice() {
                let _ = writeln!(out, "  {:width$}  {} {help}", "", console.paint(Tone::Dim, "→"));
            }
        }
        let (tone, mark) = if self.exit() == Exit::Done { State::Good.mark() } else { State::Wrong.mark() };
        let _ = write!(out, "\n{} {}", console.paint(tone, mark), self.verdict());
        out
    }

    /// The same for the summary of a job.
    pub(in crate::cli) fn markdown(&self) -> String {
        let mut out = format!(
            "### SecretZero · doctor\n\n**{}.**\n\n| | what | found | what to do |\n|---|---|---|---|\n",
            self.verdict()
        );
        for row in &self.0 {
            let found: Vec<String> = std::iter::once(&row.text).chain(&row.more).map(|line| words(line)).collect();
            let help = row.advice().map(words).unwrap_or_default();
            let _ = writeln!(out, "| {} | {} | {} | {help} |", row.state.mark().1, row.area, found.join("<br>"));
        }
        out
    }
}
