//! What may be printed to a runner's log, and what may stand in a comment.

/// Commands that the log may hold; everything else after `::` would be somebody's game
/// (<https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands>).
const COMMANDS: &[&str] = &["::error", "::warning", "::notice", "::group::", "::endgroup::", "::add-mask::"];

/// What is wrong with a log.
pub(super) fn printed(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in text.lines() {
        let line = line.trim_start();
        if line.starts_with("::") && !COMMANDS.iter().any(|command| line.starts_with(command)) {
            found.push(format!("the log holds the command {line}"));
        }
        if line.contains("##[") {
            found.push(format!("the log holds the old command {line}"));
        }
    }
    found.extend(controls("the log", text));
    found
}

/// A log without what stands between a `::stop-commands::` and its end, where nothing is a command.
pub(super) fn without_inert(text: &str) -> String {
    let mut out = String::new();
    let mut end: Option<String> = None;
    for line in text.lines() {
        match (&end, line.strip_prefix("::stop-commands::")) {
            (Some(known), _) if line == known => end = None,
            (Some(_), _) => {}
            (None, Some(token)) => end = Some(format!("::{token}::")),
            (None, None) => {
                out.push_str(line);
                out.push('\n');
            }
        }
    }
    out
}

/// Control and direction characters.
pub(super) fn controls(where_: &str, text: &str) -> Option<String> {
    let steers = |c: char| {
        (c.is_control() && !matches!(c, '\n' | '\t'))
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{61c}')
    };
    let c = text.chars().find(|c| steers(*c))?;
    Some(format!("{where_} holds the control character U+{:04X}", u32::from(c)))
}

/// What is wrong with a comment, a summary or a check's text.
pub(super) fn written(markdown: &str) -> Vec<String> {
    let mut found: Vec<String> = controls("what is written", markdown).into_iter().collect();
    let bare = without_code(markdown);
    // The marker is our own; so are the tags that fold sections.
    let first = bare.trim_start();
    let bare = match first.strip_prefix("<!--") {
        Some(rest) => rest.split_once("-->").map_or("", |(_, rest)| rest),
        None => first,
    };
    let bare = ["<details>", "</details>", "<summary>", "</summary>", "<br>", "<sub>", "</sub>", "<b>", "</b>"]
        .iter()
        .fold(bare.to_owned(), |text, tag| text.replace(tag, ""));
    let links = bare.split("](").skip(1);
    for target in links.filter(|target| !target.starts_with("https://github.com/octo/demo/")) {
        found.push(format!("a link leads to {}", target.chars().take(60).collect::<String>()));
    }
    if bare.contains("![") && bare.contains("](") {
        found.push("an image is shown".to_owned());
    }
    if bare.contains('<') {
        let at = bare.find('<').unwrap_or_default();
        found.push(format!("there is a tag: {}", bare[at..].chars().take(60).collect::<String>()));
    }
    let mention =
        |pair: (usize, char)| pair.1 == '@' && bare[pair.0 + 1..].starts_with(|c: char| c.is_ascii_alphanumeric());
    if let Some((at, _)) = bare.char_indices().find(|pair| mention(*pair)) {
        found.push(format!("somebody is mentioned: {}", bare[at..].chars().take(40).collect::<String>()));
    }
    found
}

/// The text outside code spans and fences; a backslash before a character takes its meaning.
fn without_code(markdown: &str) -> String {
    let mut out = String::new();
    let mut fenced: Option<usize> = None;
    for line in markdown.lines() {
        let ticks = line.trim_start().chars().take_while(|c| *c == '`').count();
        match fenced {
            Some(length) if ticks >= length && line.trim().chars().all(|c| c == '`') => fenced = None,
            Some(_) => {}
            None if ticks >= 3 && !line.trim_start()[ticks..].contains('`') => fenced = Some(ticks),
            None => {
                out.push_str(&without_spans(line));
                out.push('\n');
            }
        }
    }
    out
}

fn without_spans(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(at) = rest.find(['`', '\\']) {
        out.push_str(&rest[..at]);
        let here = &rest[at..];
        if here.starts_with('\\') {
            let escaped = here.chars().nth(1).map_or(0, char::len_utf8);
            rest = &here[1 + escaped..];
            continue;
        }
        let ticks = here.chars().take_while(|c| *c == '`').count();
        let fence = &here[..ticks];
        let body = &here[ticks..];
        match closing(body, ticks) {
            Some(end) => rest = &body[end..],
            None => {
                out.push_str(fence);
                rest = body;
            }
        }
    }
    out.push_str(rest);
    out
}

/// Where the span ends that began with so many ticks.
fn closing(body: &str, ticks: usize) -> Option<usize> {
    let mut at = 0;
    while let Some(found) = body[at..].find('`') {
        let start = at + found;
        let run = body[start..].chars().take_while(|c| *c == '`').count();
        if run == ticks {
            return Some(start + run);
        }
        at = start + run;
    }
    None
}
