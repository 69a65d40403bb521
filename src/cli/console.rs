//! Everything that goes to standard output and standard error.

use std::borrow::Cow;
use std::io::{IsTerminal as _, Write as _};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::args::{Color, Format};
use crate::environment::Environment;
use crate::forge::github::workflow;

/// How often a spinner turns.
const SPINNER_TICK: Duration = Duration::from_millis(120);

/// The bar on the terminal, of which a process has one: whoever writes takes the bar away meanwhile.
static BAR: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// The terminal, or whatever stands in for it.
#[derive(Clone)]
pub struct Console {
    color: bool,
    /// Whether a CI system reads what is printed and takes some lines for commands.
    obeyed: bool,
    format: Format,
}

/// Standard error for log lines, which are not to run into the bar.
#[derive(Debug, Clone, Copy)]
pub struct Log;

impl std::io::Write for Log {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        with_bar(|| std::io::stderr().write(line))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stderr().flush()
    }
}

/// The colours of marks and words.
#[derive(Debug, Clone, Copy)]
pub enum Tone {
    /// It worked.
    Good,
    /// Look at it.
    Warn,
    /// It failed.
    Bad,
    /// Less important.
    Dim,
}

impl Console {
    /// A console for this process.
    #[must_use]
    pub fn new(color: Color, format: Format, environment: &Environment) -> Self {
        // Both streams, since one may go to a file; <https://no-color.org> counts only what is not empty.
        let terminal = std::io::stdout().is_terminal() && std::io::stderr().is_terminal();
        let dumb = environment.get("TERM") == Some("dumb");
        let auto = terminal && !dumb && environment.filled("NO_COLOR").is_none();
        let color = match color {
            Color::Auto => auto,
            Color::Always => true,
            Color::Never => false,
        };
        let obeyed =
            ["GITHUB_ACTIONS", "GITHUB_EVENT_NAME", "TF_BUILD"].iter().any(|name| environment.filled(name).is_some());
        Self { color, obeyed, format }
    }

    /// Whether colours are used.
    #[must_use]
    pub const fn color(&self) -> bool {
        self.color
    }

    /// Whether standard output is one JSON document.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// A line for people on standard output; nothing with `--format json`.
    pub fn line(&self, text: &str) {
        if !self.is_json() {
            with_bar(|| print(&mut std::io::stdout(), &self.harmless(text)));
        }
    }

    /// A line on standard error.
    pub fn note(&self, text: &str) {
        with_bar(|| print(&mut std::io::stderr(), &self.harmless(text)));
    }

    /// Where a runner reads, text that holds no command for it: names and findings are a pull request's.
    fn harmless<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if self.obeyed { workflow::disarmed(text) } else { Cow::Borrowed(text) }
    }

    /// The JSON document on standard output.
    pub fn json(&self, document: &serde_json::Value) {
        let text = serde_json::to_string_pretty(document).unwrap_or_default();
        // Two of these are a runner's command anywhere in a line; escaped they are the same text.
        print(&mut std::io::stdout(), &text.replace("##", "#\\u0023"));
    }

    /// Text as it is on standard output, whatever the format; for documents and workflow commands.
    pub fn raw(&self, text: &str) {
        with_bar(|| print(&mut std::io::stdout(), text));
    }

    /// Commands for a runner that hold a credential: written as they are made, so that no copy is left.
    pub fn command(&self, write: impl FnOnce(&mut dyn std::io::Write) -> std::io::Result<()>) {
        with_bar(|| {
            let mut runner = std::io::stdout().lock();
            // A closed pipe is the reader's choice: nobody logs then.
            drop(write(&mut runner).and_then(|()| runner.flush()));
        });
    }

    /// The same on standard error.
    pub fn command_aside(&self, write: impl FnOnce(&mut dyn std::io::Write) -> std::io::Result<()>) {
        with_bar(|| {
            let mut runner = std::io::stderr().lock();
            drop(write(&mut runner).and_then(|()| runner.flush()));
        });
    }

    /// Text in a colour.
    #[must_use]
    pub fn paint(&self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Good => "32",
            Tone::Warn => "33",
            Tone::Bad => "31",
            Tone::Dim => "2",
        };
        if self.color { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// Shows a bar on a terminal until [`Console::end_bar`].
    pub fn start_bar(&self, steps: u64, what: &'static str) {
        if self.is_json() || !std::io::stderr().is_terminal() {
            return;
        }
        let bar = if self.color { "{bar:32.green}" } else { "{bar:32}" };
        let style = ProgressStyle::with_template(&format!("{bar} {{pos}}/{{len}} {{msg}}"));
        let bar = ProgressBar::new(steps).with_message(what);
        if let Ok(style) = style {
            bar.set_style(style);
        }
        *BAR.lock().unwrap_or_else(PoisonError::into_inner) = Some(bar);
    }

    /// Shows on a terminal that something goes on, until [`Console::end_bar`].
    pub fn start_spinner(&self, what: &'static str) {
        if self.is_json() || !std::io::stderr().is_terminal() {
            return;
        }
        let spinner = ProgressBar::new_spinner().with_message(what);
        spinner.enable_steady_tick(SPINNER_TICK);
        *BAR.lock().unwrap_or_else(PoisonError::into_inner) = Some(spinner);
    }

    /// One step further.
    pub fn step(&self) {
        if let Some(bar) = BAR.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            bar.inc(1);
        }
    }

    /// Takes the bar away.
    pub fn end_bar(&self) {
        if let Some(bar) = BAR.lock().unwrap_or_else(PoisonError::into_inner).take() {
            bar.finish_and_clear();
        }
    }
}

fn with_bar<T>(print: impl FnOnce() -> T) -> T {
    match BAR.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
        Some(bar) => bar.suspend(print),
        None => print(),
    }
}

/// A closed pipe is the reader's choice, not our failure.
fn print(to: &mut dyn std::io::Write, text: &str) {
    let _ = to.write_all(text.as_bytes()).and_then(|()| to.write_all(b"\n")).and_then(|()| to.flush());
}
