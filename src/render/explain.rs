//! The answer to `explain`: one secret, what stands where, since when, and which rules it obeys.

use jiff::Timestamp;

use super::comment::{link, who};
use super::{code, words};
use crate::diagnostic::Diagnostic;
use crate::manifest::{GeneratorKind, Manifest, Secret, Source};
use crate::plan::{Action, Plan, SecretPlan, TargetPlan};

/// What an explanation is made of.
pub struct Facts<'a> {
    /// Path of the Secretfile in the repository.
    pub file: &'a str,
    /// Name of the environment; empty without one.
    pub environment: &'a str,
    /// The Secretfile.
    pub manifest: &'a Manifest,
    /// What was looked at.
    pub plan: &'a Plan,
    /// What the policies say.
    pub findings: &'a [Diagnostic],
    /// Why the stores were not asked, if they were not.
    pub offline: Option<&'a str>,
    /// Where a file of that commit is shown, without the path.
    pub blob_url: &'a str,
    /// The present moment.
    pub now: Timestamp,
}

/// All about one secret, by position in the plan; nothing if it is not there.
#[must_use]
pub fn explain(facts: &Facts<'_>, position: usize) -> String {
    let Some(secret) = facts.plan.secrets.get(position) else { return String::new() };
    let Some(declared) = facts.manifest.secrets.get(secret.index) else { return String::new() };
    let environment =
        if facts.environment.is_empty() { String::new() } else { format!(" · {}", code(facts.environment)) };
    let mut out = format!("**{}** in {}{environment}\n", code(&secret.name), code(facts.file));
    if let Some(why) = facts.offline {
        out.push_str(&format!("\n> [!NOTE]\n> **The stores were not asked.** {}\n", words(why)));
    }
    out.push_str(&format!(
        "\n- declared at {}: {}\n",
        link(facts.blob_url, facts.file, secret.span.line),
        made(declared)
    ));
    out.push_str(&format!("- {}\n", standing(facts, secret)));
    out.push_str(&format!("- rotation: {}\n", rotation(facts, declared, secret)));
    for line in who(declared) {
        out.push_str(&format!("- {line}\n"));
    }
    if let Some(text) = &declared.description {
        out.push_str(&format!("- {}\n", words(text)));
    }
    out.push_str(&targets(secret));
    if let Some(hold) = &secret.hold {
        out.push_str(&format!("\n> [!WARNING]\n> **Held:** {} — {}\n", words(&hold.reason), words(&hold.help)));
    }
    for note in &secret.notes {
        out.push_str(&format!("\n{}\n", words(note)));
    }
    out.push_str(&policies(facts, &secret.name));
    out
}

fn made(declared: &Secret) -> String {
    let kind = |kind: &GeneratorKind| match kind {
        GeneratorKind::Password(settings) => format!("`random_password` of {} characters", settings.length),
        GeneratorKind::Text(settings) => format!("`random_string` of {} characters", settings.length),
        GeneratorKind::Static(_) => "`static`".to_owned(),
        GeneratorKind::Uuid => "`uuid`".to_owned(),
        GeneratorKind::External(_) => "`external`, a value that is made elsewhere".to_owned(),
    };
    match &declared.source {
        Source::Single(generator) => kind(&generator.kind),
        Source::Template(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .map(|field| format!("{} ({})", code(&field.name.value), kind(&field.generator.kind)))
                .collect();
            format!("one value of several fields: {}", fields.join(", "))
        }
    }
}

fn standing(facts: &Facts<'_>, secret: &SecretPlan) -> String {
    match &secret.generation {
        Some(generation) => {
            let adopted = if generation.adopted { ", taken over with the value it had" } else { "" };
            let made = generation.created.strftime("%Y-%m-%d %H:%M UTC");
            format!("generation {} is in force since {made}{adopted}", generation.number)
        }
        None if facts.offline.is_some() => "which generation is in force is not known offline".to_owned(),
        None => "no generation of it is in force yet".to_owned(),
    }
}

fn rotation(facts: &Facts<'_>, declared: &Secret, secret: &SecretPlan) -> String {
    let Some(period) = &declared.rotation_period else {
        return if declared.one_time { "never, it is made one time" } else { "only when someone asks for it" }
            .to_owned();
    };
    let every = format!("every {}", code(&period.value.text));
    let Some(due) = secret.due else { return every };
    let day = due.at.strftime("%Y-%m-%d");
    let when = if due.at <= facts.now { format!("due since {day}") } else { format!("due on {day}") };
    let by_hand = if due.unattended { "" } else { ", by name only" };
    format!("{every}, {when}{by_hand}")
}

fn targets(secret: &SecretPlan) -> String {
    let mut out = String::from("\n| Target | Stands there | Next | Place |\n|:--|:--|:--|:--|\n");
    for target in &secret.targets {
        let primary = if secret.primary == Some(target.index) { " (primary)" } else { "" };
        let place = target.locator.as_ref().map_or_else(String::new, |locator| code(locator.as_str()));
        out.push_str(&format!(
            "| {} {}{primary} | {} | {} | {place} |\n",
            target.kind.title(),
            code(&target.name),
            stands(target),
            next(target)
        ));
    }
    out
}

fn stands(target: &TargetPlan) -> String {
    let version = target.version.as_ref().map(|version| format!("version {}", code(version)));
    let generation = target.generation.as_ref().map(|generation| match target.drifted {
        false => format!("generation {}", generation.number),
        true => format!("changed outside after generation {}", generation.number),
    });
    let known: Vec<String> = generation.into_iter().chain(version).collect();
    match (known.is_empty(), target.action) {
        (false, _) => known.join(", "),
        (true, Action::Create | Action::Spread) => "nothing".to_owned(),
        (true, _) => "not known".to_owned(),
    }
}

fn next(target: &TargetPlan) -> String {
    let why = if target.why.is_empty() { String::new() } else { format!(": {}", words(&target.why)) };
    format!("{}{why}", target.action.as_str())
}

fn policies(facts: &Facts<'_>, name: &str) -> String {
    let ours: Vec<&Diagnostic> =
        facts.findings.iter().filter(|finding| finding.secret.as_deref() == Some(name)).collect();
    if ours.is_empty() {
        return "\nIt obeys every policy.\n".to_owned();
    }
    let line = |finding: &&Diagnostic| {
        let help = finding.help.as_deref().map(|help| format!(" — {}", words(help))).unwrap_or_default();
        format!("- {}: {}{help}\n", finding.severity.as_str(), words(&finding.message))
    };
    format!("\nPolicies:\n\n{}", ours.iter().map(line).collect::<String>())
}
