//! What a step says to its runner: file commands and workflow commands, with nothing able to break out.
//!
//! Functions return text; who writes it, and where, is the caller's business. Sources:
//! <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands>.

use std::borrow::Cow;
use std::io::{self, Write};

use data_encoding::HEXLOWER;

use crate::clock::{Entropy, NoEntropy};
use crate::forge::text::{cut, cut_bytes, visible};
use crate::forge::{Annotation, Level};
use crate::secret::SecretValue;

/// The longest job summary of one step, in bytes; above 1 MiB GitHub drops all of it.
pub const SUMMARY_BYTES_MAX: usize = 1024 * 1024 - 1024;
/// Annotations of one level that a runner shows for one step.
pub const ANNOTATIONS_PER_LEVEL_MAX: usize = 10;
/// The longest message of one annotation, in UTF-16 code units; the runner cuts there too.
const MESSAGE_UNITS_MAX: usize = 4_000;
const TITLE_UNITS_MAX: usize = 255;
const SUMMARY_NOTE: &str =
    "_Cut: GitHub shows at most 1 MiB for one step. The full report is in the output `report_json`._";
/// Tries to draw a delimiter that does not stand in the value; the first one nearly always does.
const DELIMITERS_MAX: u32 = 4;

/// An output that cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// The name would break the file's format.
    #[error("`{0}` cannot name an output: letters, digits, `_` and `-` only, and no digit first")]
    Name(String),
    /// The value holds whatever delimiter is drawn.
    #[error("no delimiter can be found for output `{0}`")]
    Delimiter(String),
    /// No randomness.
    #[error(transparent)]
    Entropy(#[from] NoEntropy),
}

/// One record for the file `GITHUB_OUTPUT` (or `GITHUB_ENV`, `GITHUB_STATE`), to be appended.
///
/// The delimiter is random, so that no value can end its own record and begin another.
///
/// # Errors
/// [`OutputError`], for a name that breaks the format or without randomness.
pub fn output(entropy: &dyn Entropy, name: &str, value: &str) -> Result<String, OutputError> {
    let letters = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let starts = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    if !starts || !name.bytes().all(letters) {
        return Err(OutputError::Name(visible(name).into_owned()));
    }
    for _ in 0..DELIMITERS_MAX {
        let mut random = [0; 16];
        entropy.fill(&mut random)?;
        let delimiter = format!("secretzero_{}", HEXLOWER.encode(&random));
        if !value.contains(&delimiter) {
            return Ok(format!("{name}<<{delimiter}\n{value}\n{delimiter}\n"));
        }
    }
    Err(OutputError::Delimiter(name.to_owned()))
}

/// The text for the file `GITHUB_STEP_SUMMARY`, given the bytes that stand there already: cut, with a
/// visible note, so that GitHub does not drop it all.
#[must_use]
pub fn summary(text: &str, bytes_before: usize) -> Cow<'_, str> {
    cut_bytes(text, SUMMARY_BYTES_MAX.saturating_sub(bytes_before), SUMMARY_NOTE)
}

/// `::error file=…::…` and its kin, as one line with its newline.
#[must_use]
pub fn annotation(finding: &Annotation) -> String {
    let mut properties = vec![format!("file={}", property(&finding.path)), format!("line={}", finding.line)];
    if finding.line_end > finding.line {
        properties.push(format!("endLine={}", finding.line_end));
    } else if let Some(column) = finding.column {
        properties.push(format!("col={column}"));
    }
    if !finding.title.is_empty() {
        properties.push(format!("title={}", property(&cut(&finding.title, TITLE_UNITS_MAX, "…"))));
    }
    let message = cut(&finding.message, MESSAGE_UNITS_MAX, "…");
    format!("::{} {}::{}\n", command(finding.level), properties.join(","), data(&message))
}

/// The lines for as many findings as a runner shows, most weighty first, and the rest, which belongs
/// on a check run.
#[must_use]
pub fn annotations(findings: &[Annotation]) -> (String, Vec<&Annotation>) {
    let mut sorted: Vec<&Annotation> = findings.iter().collect();
    sorted.sort_by_key(|finding| std::cmp::Reverse(finding.level));
    let mut shown = [0_usize; 3];
    let (mut lines, mut rest) = (String::new(), Vec::new());
    for finding in sorted {
        let Some(count) = shown.get_mut(finding.level as usize) else { continue };
        if *count < ANNOTATIONS_PER_LEVEL_MAX {
            *count += 1;
            lines.push_str(&annotation(finding));
        } else {
            rest.push(finding);
        }
    }
    (lines, rest)
}

/// A message without a place.
#[must_use]
pub fn message(level: Level, title: &str, text: &str) -> String {
    let title = property(&cut(title, TITLE_UNITS_MAX, "…")).into_owned();
    let title = if title.is_empty() { String::new() } else { format!(" title={title}") };
    format!("::{}{title}::{}\n", command(level), data(&cut(text, MESSAGE_UNITS_MAX, "…")))
}

/// `::notice::…`, for what a person should know and nothing hangs on.
#[must_use]
pub fn notice(text: &str) -> String {
    message(Level::Notice, "", text)
}

/// Asks the runner to mask a value, and each of its lines, in its log.
///
/// Written straight to `runner` (the step's stdout), so that no copy outlives the call. Masks do not
/// touch what goes out by API.
///
/// # Errors
/// The writer's.
pub fn mask(value: &SecretValue, runner: &mut dyn Write) -> io::Result<()> {
    // The runner decodes %25, %0D and %0A before it takes the value.
    let whole = value.expose();
    let lines = whole.split(|byte| matches!(byte, b'\n' | b'\r'));
    let several = whole.iter().any(|byte| matches!(byte, b'\n' | b'\r'));
    for part in several.then_some(whole).into_iter().chain(lines) {
        // The runner warns about blank values, and one that is blank would mask every space.
        if part.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        runner.write_all(b"::add-mask::")?;
        for byte in part {
            match byte {
                b'%' => runner.write_all(b"%25")?,
                b'\r' => runner.write_all(b"%0D")?,
                b'\n' => runner.write_all(b"%0A")?,
                other => runner.write_all(&[*other])?,
            }
        }
        runner.write_all(b"\n")?;
    }
    Ok(())
}

/// Untrusted text between `::stop-commands::`, so that no line of it is a command.
///
/// # Errors
/// [`OutputError`], without randomness.
pub fn inert(entropy: &dyn Entropy, text: &str) -> Result<String, OutputError> {
    let mut random = [0; 16];
    entropy.fill(&mut random)?;
    let token = HEXLOWER.encode(&random);
    if text.contains(&token) {
        return Err(OutputError::Delimiter("stop-commands".to_owned()));
    }
    let end = if text.ends_with('\n') || text.is_empty() { "" } else { "\n" };
    Ok(format!("::stop-commands::{token}\n{}{end}::{token}::\n", visible(text)))
}

/// What begins a command of the older form, which a runner finds anywhere in a line; and its kin that an
/// agent of Azure Pipelines finds
/// (<https://learn.microsoft.com/azure/devops/pipelines/scripts/logging-commands>).
const ANYWHERE: [&str; 2] = ["##[", "##vso["];

/// Untrusted text of which no line is a command, with nothing around it: for standard error, whose
/// lines reach the runner in no order with those of standard output.
#[must_use]
pub fn disarmed(text: &str) -> Cow<'_, str> {
    let commands = |line: &str| line.trim_start().starts_with("::");
    if !ANYWHERE.iter().any(|begin| text.contains(begin)) && !text.split(['\n', '\r']).any(commands) {
        return Cow::Borrowed(text);
    }
    let text = parted(text);
    let line = |line: &str| if commands(line) { line.replacen("::", ": :", 1) } else { line.to_owned() };
    Cow::Owned(text.split_inclusive(['\n', '\r']).map(line).collect())
}

/// Text without what begins a command anywhere in a line.
fn parted(text: &str) -> String {
    ANYWHERE.iter().fold(text.to_owned(), |text, begin| text.replace(begin, &begin.replacen('#', "# ", 1)))
}

const fn command(level: Level) -> &'static str {
    match level {
        Level::Notice => "notice",
        Level::Warning => "warning",
        Level::Failure => "error",
    }
}

/// A message, escaped: it stays on one line, says nothing invisible and holds no second command.
fn data(text: &str) -> String {
    parted(&visible_line(text)).replace('%', "%25").replace('\n', "%0A")
}

/// A property, escaped: it ends neither itself nor the list.
fn property(text: &str) -> Cow<'_, str> {
    Cow::Owned(data(text).replace(':', "%3A").replace(',', "%2C"))
}

/// Windows line ends become plain ones, then nothing invisible is left.
fn visible_line(text: &str) -> String {
    visible(&text.replace("\r\n", "\n")).into_owned()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::clock::SystemEntropy;
    use proptest::prelude::*;

    /// Counts up, so that a test reads the same delimiter each time.
    struct Counted;

    impl Entropy for Counted {
        fn fill(&self, buffer: &mut [u8]) -> Result<(), NoEntropy> {
            buffer.iter_mut().zip(0_u8..).for_each(|(byte, count)| *byte = count);
            Ok(())
        }
    }

    fn finding(level: Level, line: u32, message: &str) -> Annotation {
        let (path, title) = ("Secretfile.yml".to_owned(), "unknown-key".to_owned());
        Annotation { path, line, line_end: line, column: Some(3), level, title, message: message.to_owned() }
    }

    #[test]
    fn an_output_of_many_lines_stands_between_random_delimiters() {
        let record = output(&Counted, "plan_digest", "a\nb=c").unwrap();
        insta::assert_snapshot!(record, @"
        plan_digest<<secretzero_000102030405060708090a0b0c0d0e0f
        a
        b=c
        secretzero_000102030405060708090a0b0c0d0e0f
        ");
        let two = [output(&SystemEntropy, "a", "").unwrap(), output(&SystemEntropy, "a", "").unwrap()];
        assert_ne!(two[0], two[1]);
    }

    #[test]
    fn a_name_that_would_break_the_file_is_refused() {
        for name in ["", "1a", "a b", "a=b", "a\nPATH", "a<<b", "ü"] {
            assert!(matches!(output(&Counted, name, "x"), Err(OutputError::Name(_))), "{name:?}");
        }
    }

    #[test]
    fn a_value_that_holds_the_delimiter_is_refused() {
        let record = output(&Counted, "a", "x").unwrap();
        assert!(matches!(output(&Counted, "a", &record), Err(OutputError::Delimiter(_))));
    }

    #[test]
    fn an_annotation_names_its_place_and_escapes_the_rest() {
        let mut error = finding(Level::Failure, 7, "100% wrong:\r\n::add-mask::x");
        error.path = "a,b:c\n::set-output name=x::y/Secretfile.yml".to_owned();
        insta::assert_snapshot!(annotation(&error), @"::error file=a%2Cb%3Ac%0A%3A%3Aset-output name=x%3A%3Ay/Secretfile.yml,line=7,col=3,title=unknown-key::100%25 wrong:%0A::add-mask::x");
        let wide = Annotation { line_end: 9, title: String::new(), ..finding(Level::Warning, 7, "w") };
        insta::assert_snapshot!(annotation(&wide), @"::warning file=Secretfile.yml,line=7,endLine=9::w");
    }

    #[test]
    fn text_that_is_escaped_already_is_not_unescaped_by_the_runner() {
        insta::assert_snapshot!(notice("%0A::error::forged \u{202e}gnp\u{1b}[2J"), @"::notice::%250A::error::forged �gnp�[2J");
        insta::assert_snapshot!(message(Level::Warning, "a::b", "c"), @"::warning title=a%3A%3Ab::c");
    }

    #[test]
    fn the_runner_gets_ten_of_each_level_and_a_check_run_the_rest() {
        let mut findings: Vec<_> = (1..=12).map(|line| finding(Level::Warning, line, "w")).collect();
        findings.extend((1..=23).map(|line| finding(Level::Failure, line, "e")));
        findings.push(finding(Level::Notice, 1, "n"));
        let (lines, rest) = annotations(&findings);
        let count = |prefix: &str| lines.lines().filter(|line| line.starts_with(prefix)).count();
        assert_eq!((count("::error "), count("::warning "), count("::notice "), rest.len()), (10, 10, 1, 15));
        assert!(lines.starts_with("::error "));
    }

    #[test]
    fn a_mask_covers_the_value_and_each_of_its_lines() {
        let mut out = Vec::new();
        mask(&SecretValue::from("first\n\n100%\r\nlast"), &mut out).unwrap();
        insta::assert_snapshot!(String::from_utf8(out).unwrap(), @"
        ::add-mask::first%0A%0A100%25%0D%0Alast
        ::add-mask::first
        ::add-mask::100%25
        ::add-mask::last
        ");
        let mut blank = Vec::new();
        mask(&SecretValue::from(" \n "), &mut blank).unwrap();
        assert!(blank.is_empty());
    }

    #[test]
    fn a_summary_stays_below_one_mebibyte_with_what_stands_there() {
        let text = "row é\n".repeat(200_000);
        let kept = summary(&text, 500_000);
        assert!(kept.len() + 500_000 <= SUMMARY_BYTES_MAX && kept.ends_with(SUMMARY_NOTE));
        assert!(matches!(summary("short", 0), Cow::Borrowed("short")));
    }

    #[test]
    fn untrusted_output_cannot_command_the_runner() {
        let text = inert(&Counted, "::add-mask::a\n##[add-mask]e").unwrap();
        insta::assert_snapshot!(text, @"
        ::stop-commands::000102030405060708090a0b0c0d0e0f
        ::add-mask::a
        ##[add-mask]e
        ::000102030405060708090a0b0c0d0e0f::
        ");
    }

    #[test]
    fn no_line_of_a_disarmed_text_is_a_command() {
        assert_eq!(disarmed("fine: a::b # [x]"), "fine: a::b # [x]");
        assert_eq!(disarmed("x ##[add-mask]e ##vso[task.x]"), "x # #[add-mask]e # #vso[task.x]");
        assert_eq!(disarmed("a\n  ::add-mask::e\r::x\n"), "a\n  : :add-mask::e\r: :x\n");
    }

    proptest! {
        #[test]
        fn whatever_is_said_stays_one_line_of_one_command(text in any::<String>(), title in any::<String>()) {
            let mut error = finding(Level::Failure, 1, &text);
            error.title = title.clone();
            error.path = title;
            let line = annotation(&error);
            prop_assert!(line.ends_with('\n') && line.starts_with("::error "));
            prop_assert!(!line[..line.len() - 1].contains(['\n', '\r']));
            // The properties end where ours end, not where a path says.
            let head = line.split("::").nth(1).unwrap();
            prop_assert!(head.matches(',').count() <= 3, "{}", head);
        }
    }
}
