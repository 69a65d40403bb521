//! `doctor`: what keeps a run from working, in one table. Without a network it tells what files and
//! variables show.

mod files;
mod forge;
mod job;
mod stores;

use serde_json::{Value as Json, json};

use super::args::DoctorArgs;
use super::console::{Console, Tone};
use super::exit::Exit;
use super::session::Session;

/// One thing that was looked at.
struct Row {
    /// What it belongs to, in a word or two.
    area: &'static str,
    state: State,
    /// What was found, in one line.
    text: String,
    /// What to do now.
    help: Option<String>,
}

/// How a thing stands, in rising order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum State {
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

    fn mark(self, console: &Console) -> String {
        match self {
            Self::Good => console.paint(Tone::Good, "✓"),
            Self::Skipped | Self::Note => console.paint(Tone::Dim, "·"),
            Self::Warning => console.paint(Tone::Warn, "!"),
            Self::Wrong => console.paint(Tone::Bad, "✗"),
        }
    }
}

impl Row {
    fn new(area: &'static str, state: State, text: impl Into<String>) -> Self {
        Self { area, state, text: text.into(), help: None }
    }

    fn good(area: &'static str, text: impl Into<String>) -> Self {
        Self::new(area, State::Good, text)
    }

    fn skipped(area: &'static str, text: impl Into<String>) -> Self {
        Self::new(area, State::Skipped, text)
    }

    fn wrong(area: &'static str, text: impl Into<String>, help: impl Into<String>) -> Self {
        Self::new(area, State::Wrong, text).help(help)
    }

    fn warning(area: &'static str, text: impl Into<String>, help: impl Into<String>) -> Self {
        Self::new(area, State::Warning, text).help(help)
    }

    fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into()).filter(|help| !help.is_empty());
        self
    }
}

/// `secretzero doctor`.
pub(super) async fn doctor(session: &Session, args: &DoctorArgs) -> Result<Exit, Exit> {
    let (workspace, mut rows) = files::secretfile(session);
    rows.extend(files::workflows(session));
    rows.extend(job::job(session));
    if args.offline {
        rows.push(Row::skipped("forge", "not asked, because of --offline"));
        rows.push(Row::skipped("stores", "not asked, because of --offline"));
    } else {
        rows.extend(forge::forge(session).await);
        rows.extend(stores::stores(session, workspace.as_ref()).await);
    }
    let count = |state: State| rows.iter().filter(|row| row.state == state).count();
    let (wrong, warnings) = (count(State::Wrong), count(State::Warning));
    let exit = if wrong > 0 { Exit::Error } else { Exit::Done };
    let console = &session.console;
    if console.is_json() {
        let rows: Vec<Json> = rows.iter().map(as_json).collect();
        console.json(&json!({ "healthy": wrong == 0, "wrong": wrong, "warnings": warnings, "checks": rows, "exit_code": exit as u8 }));
        return Ok(exit);
    }
    table(console, &rows);
    let (mark, said) = match (wrong, warnings) {
        (0, 0) => (console.paint(Tone::Good, "✓"), "Nothing is wrong".to_owned()),
        (0, warnings) => (console.paint(Tone::Good, "✓"), format!("Nothing is wrong; to look at: {warnings}")),
        (wrong, 0) => (console.paint(Tone::Bad, "✗"), format!("To mend: {wrong}")),
        (wrong, warnings) => (console.paint(Tone::Bad, "✗"), format!("To mend: {wrong}; to look at: {warnings}")),
    };
    console.line("");
    console.line(&format!("{mark} {said}"));
    Ok(exit)
}

fn as_json(row: &Row) -> Json {
    json!({ "area": row.area, "state": row.state.as_str(), "text": row.text, "help": row.help })
}

/// One line for each row; what to do stands below it.
fn table(console: &Console, rows: &[Row]) {
    let width = rows.iter().map(|row| row.area.chars().count()).max().unwrap_or(0);
    for row in rows {
        console.line(&format!("{} {:width$}  {}", row.state.mark(console), row.area, row.text));
        if let Some(help) = row.help.as_ref().filter(|_| row.state != State::Good) {
            console.line(&format!("  {:width$}  {} {help}", "", console.paint(Tone::Dim, "→")));
        }
    }
}
