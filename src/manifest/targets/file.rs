//! `kind: file`: a key in a file below the folder of the Secretfile.

use super::Config;
use crate::diagnostic::Span;
use crate::manifest::Source;
use crate::manifest::names::path_problem;
use crate::target::{FileFormat, FileSettings};

pub(in crate::manifest) const FORMATS: &[(&str, FileFormat)] =
    &[("dotenv", FileFormat::Dotenv), ("json", FileFormat::Json), ("yaml", FileFormat::Yaml)];

/// Names that are never a secret's file, in lower case: other programs act on them, or we do.
const RESERVED: &[&str] =
    &[".git", ".github", ".gitlab", ".gitlab-ci.yml", ".gitignore", ".gitattributes", ".gitmodules"];
/// The file beside local secrets that holds their marks.
const SIDECAR: &str = ".secretzero.json";

/// Reads the settings.
pub(super) fn read(config: &Config) -> Option<FileSettings> {
    let fields = config.fields;
    let path = fields.need_text("path");
    let format = fields.word("format", FORMATS);
    let format =
        format.or_else(|| if fields.get("format").is_none() { guess(path.as_ref()?.value.as_str()) } else { None });
    if format.is_none() && fields.get("format").is_none() && path.is_some() {
        config.error(
            fields.span,
            "missing-key",
            "this target's config has no `format`",
            "add `format: dotenv`, `json` or `yaml`",
        );
    }
    let merge = fields.flag("merge").unwrap_or(false);
    let key = fields.text("key");
    let dotenv = format == Some(FileFormat::Dotenv);
    if let Some(key) = key.as_ref().filter(|key| !is_key(&key.value, dotenv)) {
        let help = "use letters, digits and `_` (outside dotenv also `-` and `.`), and begin with a letter or `_`";
        config.error(key.span, "bad-name", format!("`key` cannot be {}", key.quoted()), help);
    }
    let path = path?;
    check_path(config, &path.value, path.span);
    let name = &config.context.secret.name.value;
    let key = key.map(|key| key.value).unwrap_or_else(|| if dotenv { dotenv_key(name) } else { name.clone() });
    Some(FileSettings { path: path.value, format: format?, merge, key })
}

/// The format that a path gives away.
fn guess(path: &str) -> Option<FileFormat> {
    let name = path.rsplit('/').next()?;
    let extension = name.rsplit_once('.').map(|(_, extension)| extension);
    match extension {
        _ if name == ".env" || name.starts_with(".env.") => Some(FileFormat::Dotenv),
        Some("env") => Some(FileFormat::Dotenv),
        Some("json") => Some(FileFormat::Json),
        Some("yaml" | "yml") => Some(FileFormat::Yaml),
        _ => None,
    }
}

fn is_key(key: &str, dotenv: bool) -> bool {
    let others = if dotenv { "_" } else { "_-." };
    key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && key.chars().all(|c| c.is_ascii_alphanumeric() || others.contains(c))
}

fn dotenv_key(name: &str) -> String {
    name.to_ascii_uppercase().replace('-', "_")
}

fn check_path(config: &Config, path: &str, span: Span) {
    let help = "name a file below the folder of the Secretfile, such as `.env` or `config/app.json`";
    let windows = path.contains(':') || path.starts_with('~');
    if path.starts_with('/') || windows {
        config.error(span, "bad-path", "the path is not relative", help);
        return;
    }
    if let Some(problem) = path_problem(path) {
        config.error(span, "bad-path", format!("the path {problem}"), help);
        return;
    }
    let lower = path.to_lowercase();
    let context = config.context;
    let own = context.reader.source.name.rsplit(['/', '\\']).next().unwrap_or_default().to_lowercase();
    let last = lower.rsplit('/').next().unwrap_or_default();
    if lower.split('/').any(|segment| RESERVED.contains(&segment.trim_end_matches(['.', ' ']))) {
        config.error(span, "bad-path", "the path leads into files that git or its forge act on", help);
    } else if last == SIDECAR || is_lock(last) || lower == own || context.reader.own_files.contains(&lower) {
        config.error(span, "bad-path", "the path is a file of SecretZero itself", help);
    }
}

/// Whether a name is one that locks have by themselves.
fn is_lock(name: &str) -> bool {
    name.starts_with(".gitsecrets.") && name.ends_with(".lock") || name == ".gitsecrets.lock"
}

/// Every key that a secret takes in its file: one for each field in dotenv, else one.
pub(in crate::manifest) fn keys(settings: &FileSettings, source: &Source) -> Vec<String> {
    match source {
        Source::Template(fields) if settings.format == FileFormat::Dotenv => {
            fields.iter().map(|field| format!("{}_{}", settings.key, dotenv_key(&field.name.value))).collect()
        }
        _ => vec![settings.key.clone()],
    }
}
