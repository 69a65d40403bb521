//! `init`: a first Secretfile, with the names that stand in `.env` files; their values stay there.

use std::path::Path;

use serde_json::json;

use super::console::Tone;
use super::draft::naming::{Names, secret_name};
use super::draft::scalar::comment;
use super::draft::{Head, Login, entry, read_back, sound};
use super::exit::Exit;
use super::session::Session;
use super::show::plural;
use crate::provider::local;
use crate::target::{FileFormat, FileSettings, TargetSettings};

/// Largest file that is searched for names, in bytes.
const ENV_BYTES_MAX: u64 = 1024 * 1024;

/// Most names that are written down.
const NAMES_MAX: usize = 1000;

/// Endings of files that hold examples instead of values; they are left alone.
const TEMPLATES: &[&str] = &[".example", ".sample", ".template", ".dist", ".defaults"];

/// Words in the name of a variable that make it a secret; what has none is written as a comment.
const WORDS: &[&str] = &[
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "PASS",
    "PWD",
    "SECRET",
    "TOKEN",
    "KEY",
    "CREDENTIAL",
    "CREDENTIALS",
    "PRIVATE",
    "CERT",
    "CERTIFICATE",
    "DSN",
    "SALT",
    "SIGNING",
    "AUTH",
    "WEBHOOK",
];

/// Ends of names whose value is an address that often holds a login.
const ADDRESSES: &[&str] =
    &["DATABASE_URL", "DB_URL", "REDIS_URL", "MONGO_URL", "MONGODB_URI", "AMQP_URL", "CONNECTION_STRING"];

/// `secretzero init`.
pub(super) fn init(session: &Session) -> Result<Exit, Exit> {
    let path = &session.common.file;
    if !matches!(session.disk.read(path, 1), Ok(None)) {
        let reason = format!("{} exists already, and nothing is overwritten", path.display());
        let help = "`secretzero validate` checks it; `secretzero import` writes what exists in a store beside it";
        return Err(session.fail(Exit::Error, &reason, help));
    }
    let folder = path.parent().unwrap_or(Path::new("")).to_path_buf();
    let found = find(session, &folder);
    let (text, declared, proposed) = draft(session, &folder, &found);
    read_back(&text, session.clock.now()).map_err(|why| {
        session.fail(Exit::Error, &format!("no valid Secretfile came of it: {why}"), "this is a fault of SecretZero")
    })?;
    session.disk.replace(path, text.as_bytes()).map_err(|error| {
        let reason = format!("{} cannot be written: {error}", path.display());
        session.fail(Exit::Error, &reason, "check the path, its folder and its permissions")
    })?;
    tell(session, &found, declared, proposed);
    Ok(Exit::Done)
}

/// What stands beside the Secretfile.
struct Found {
    /// Each file with its names.
    files: Vec<(String, Vec<String>)>,
    /// Files that hold examples.
    templates: Vec<String>,
    /// Files that git tracks.
    tracked: Vec<String>,
    /// Files that could not be read, and why.
    unread: Vec<(String, String)>,
}

fn find(session: &Session, folder: &Path) -> Found {
    let mut found = Found { files: Vec::new(), templates: Vec::new(), tracked: Vec::new(), unread: Vec::new() };
    for name in session.disk.names(folder).unwrap_or_default() {
        if name != ".env" && !name.starts_with(".env.") {
            continue;
        }
        if TEMPLATES.iter().any(|ending| name.ends_with(ending)) {
            found.templates.push(name);
            continue;
        }
        let path = folder.join(&name);
        if local::tracked(folder, &path, session.disk.as_ref()) {
            found.tracked.push(name.clone());
        }
        match session.disk.read(&path, ENV_BYTES_MAX) {
            Ok(Some(bytes)) => match local::dotenv_names(bytes) {
                Some(names) => found.files.push((name, names)),
                None => found.unread.push((name, "it is no UTF-8".into())),
            },
            Ok(None) => {}
            Err(error) if error.kind() == std::io::ErrorKind::IsADirectory => {}
            Err(error) => found.unread.push((name, error.to_string())),
        }
    }
    found
}

/// The Secretfile, how many secrets it declares, and how many more it proposes in comments.
fn draft(session: &Session, folder: &Path, found: &Found) -> (String, usize, usize) {
    let head = head(folder, found);
    let now = session.clock.now();
    let (mut names, mut declared, mut proposed) = (Names::default(), String::new(), String::new());
    let (mut secrets, mut others) = (0, 0);
    for (file, keys) in &found.files {
        for key in keys.iter().take(NAMES_MAX) {
            let settings =
                FileSettings { path: file.clone(), format: FileFormat::Dotenv, merge: true, key: key.clone() };
            let settings = TargetSettings::File(settings);
            let name = names.unique(&secret_name(&key.to_ascii_lowercase()), &of_file(file));
            let text = entry(&name, None, "local", &settings);
            if sound(&head, &text, &settings, now).is_err() {
                continue;
            }
            if is_secret(key) {
                declared.push_str(&format!("\n{text}"));
                secrets += 1;
            } else {
                let lines = text.lines().map(|line| format!("  # {}\n", line.strip_prefix("  ").unwrap_or(line)));
                proposed.push_str(&lines.collect::<String>());
                others += 1;
            }
        }
    }
    let mut text = head.text();
    text.push_str(if secrets == 0 { "\nsecrets: []\n" } else { "\nsecrets:" });
    text.push_str(&declared);
    if others > 0 {
        text.push_str("\n  # Not secret by their names; whatever is one after all moves up, without its `#`:\n");
        text.push_str(&proposed);
    }
    if secrets == 0 {
        text.push_str(SAMPLE);
    }
    (text, secrets, others)
}

/// What a secret looks like, where none was found.
const SAMPLE: &str = "
# A secret that SecretZero makes, keeps in `.env` and, with a provider of kind `aws`, elsewhere as well.
# It replaces `secrets: []`:
#
# secrets:
#   - name: database_password
#     kind: random_password
#     rotation_period: 90d
#     targets:
#       - provider: local
#         kind: file
#         config: {path: .env, format: dotenv, merge: true}
";

fn head(folder: &Path, found: &Found) -> Head {
    let files: Vec<&str> = found.files.iter().map(|(name, _)| name.as_str()).collect();
    let mut notes = vec!["Every mark names the project: choose it before the first sync, and keep it.".to_owned()];
    if !files.is_empty() {
        notes.push(format!("The names come from {}; the values stay there, and a sync adopts them.", files.join(", ")));
    }
    let absolute = if folder.as_os_str().is_empty() { Path::new(".") } else { folder }.canonicalize();
    let project = absolute.ok().and_then(|path| Some(path.file_name()?.to_str()?.to_owned()));
    let project = project.unwrap_or_else(|| "my-project".into());
    let provider = Login { alias: "local".into(), kind: "local", auth: "none", settings: Vec::new() };
    Head { notes, metadata: vec![("project", comment(&project))], provider }
}

/// `.env.production` gives `production`.
fn of_file(file: &str) -> String {
    file.strip_prefix(".env.").map(secret_name).unwrap_or_default()
}

fn is_secret(key: &str) -> bool {
    let upper = key.to_ascii_uppercase();
    // A key that is public by its name is none.
    let public = upper.starts_with("NEXT_PUBLIC_") || upper.contains("PUBLIC_KEY");
    let word = upper.split(['_', '-', '.']).any(|word| WORDS.contains(&word) || word.ends_with("PASSWORD"));
    !public && (word || ADDRESSES.iter().any(|end| upper.ends_with(end)))
}

fn tell(session: &Session, found: &Found, declared: usize, proposed: usize) {
    let console = &session.console;
    let path = session.common.file.display().to_string();
    let (good, warn) = (console.paint(Tone::Good, "✓"), console.paint(Tone::Warn, "!"));
    let more = if proposed > 0 { format!(", {proposed} more names as comments") } else { String::new() };
    console.line(&format!("{good} Wrote {path}: {}{more}", plural(declared, "secret")));
    for name in &found.templates {
        console.line(&format!("  {name} was left alone: it holds examples, not values"));
    }
    for (name, why) in &found.unread {
        console.note(&format!("{warn} {name} was left alone: {why}"));
    }
    for name in &found.tracked {
        console.note(&format!(
            "{warn} git tracks {name}, so whoever has the repository has its values, and a sync refuses to write it"
        ));
        let help = format!("`git rm --cached {name}`, add it to .gitignore, and rotate what it held");
        console.note(&format!("  {} {help}", console.paint(Tone::Dim, "help:")));
    }
    console.line("Next:");
    for (command, what) in [
        ("secretzero validate", "checks it"),
        ("secretzero sync --dry-run", "shows what a sync would adopt or make"),
        ("secretzero import --provider aws --prefix NAME", "writes down what exists in AWS already"),
    ] {
        console.line(&format!("  {command:<48}{what}"));
    }
    if console.is_json() {
        console.json(&json!({
            "secretfile": path, "secrets": declared, "proposed": proposed,
            "files": found.files.iter().map(|(name, _)| name).collect::<Vec<_>>(),
            "tracked": found.tracked, "exit_code": Exit::Done as u8,
        }));
    }
}
