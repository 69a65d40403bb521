//! Lines for people: what a plan would do and what a run did.

use super::console::{Console, Tone};
use super::session::LOCAL_LEFT_OUT;
use crate::apply::{Done, Outcome};
use crate::manifest::Manifest;
use crate::plan::{Action, Cause, Hold, Next, Plan, SecretPlan, TargetPlan};
use crate::render::estimate;
use crate::target::TargetKind;

/// `1 secret`, `2 secrets`, `3 policies`.
#[must_use]
pub(super) fn plural(count: usize, noun: &str) -> String {
    match (count, noun.strip_suffix('y')) {
        (1, _) => format!("1 {noun}"),
        (_, Some(stem)) if !noun.ends_with("ey") => format!("{count} {stem}ies"),
        _ => format!("{count} {noun}s"),
    }
}

/// A place as a person would say it: `AWS SSM Parameter (/production/app/key)`.
#[must_use]
pub(super) fn place(kind: TargetKind, name: &str) -> String {
    format!("{} ({name})", kind.title())
}

/// What a dry run says above the targets of an action.
const fn heading(action: Action) -> &'static str {
    match action {
        Action::Overwrite => "Would overwrite foreign objects:",
        Action::Spread => "Would copy the value in force to new places:",
        Action::Rotate => "Would rotate:",
        Action::Revise => "Would replace an edited value:",
        Action::Heal => "Would bring up to date:",
        Action::Restore => "Would restore:",
        Action::Adopt => "Would take over, keeping the value:",
        Action::Create => "Would create:",
        Action::Metadata => "Would change metadata:",
        Action::ReplicaCheck => "Would check the replica:",
        Action::Held => "Would leave as they are:",
        Action::Keep | Action::LeftOut => "",
    }
}

/// Where a plan is shown.
pub(super) struct Page<'a> {
    /// Where to.
    pub(super) console: &'a Console,
    /// The Secretfile, as the user named it.
    pub(super) file: &'a str,
    /// Also what stays as it is.
    pub(super) verbose: bool,
}

impl Page<'_> {
    /// Shows what would happen.
    pub(super) fn dry_run(&self, plan: &Plan) {
        let console = self.console;
        for action in Action::BY_RISK {
            let mut targets = plan.targets().filter(|(_, target)| target.action == action).peekable();
            if targets.peek().is_none() {
                continue;
            }
            console.line(&format!("[DRY RUN] {}", heading(action)));
            for (secret, target) in targets {
                let mark = console.paint(Tone::Good, "✓");
                let place = place(target.kind, &target.name);
                console.line(&format!("  {mark} {} → {place}{}", secret.name, detail(target)));
            }
        }
        let kept = plan.count(Action::Keep);
        if plan.has_changes() && kept > 0 {
            console.line(&format!("{} already as declared", plural(kept, "target")));
        }
        self.unchanged(plan);
    }

    /// What it costs and how long it takes; what would do the same for less, for those who want to know.
    pub(super) fn estimate(&self, plan: &Plan, manifest: &Manifest) {
        if let Some(line) = estimate::estimate(plan, manifest) {
            self.console.line(&line);
        }
        if self.verbose {
            hints(self.console, manifest, Some(plan));
        }
    }

    /// What stays as it is, and why; only for those who want to know.
    pub(super) fn unchanged(&self, plan: &Plan) {
        for (secret, target) in plan.targets().filter(|(_, target)| self.verbose && !target.drifted) {
            let why = match target.action {
                Action::Keep if target.why.is_empty() => "as declared",
                Action::Keep | Action::LeftOut => &target.why,
                _ => continue,
            };
            let line = format!("· {} → {}: {why}", secret.name, place(target.kind, &target.name));
            self.console.line(&self.console.paint(Tone::Dim, &line));
        }
    }

    /// Held secrets, drift, due rotations and orphans: what a person should know beside the changes.
    /// What a run has told already as failed is left out.
    pub(super) fn asides(&self, plan: &Plan, outcome: Option<&Outcome>) {
        let warn = |text: String| self.console.note(&format!("{} {text}", self.console.paint(Tone::Warn, "!")));
        let mut held = plan.held().peekable();
        while let Some((secret, hold)) = held.next() {
            self.held(secret, hold);
            // The same advice once.
            if held.peek().is_none_or(|(_, next)| next.help != hold.help) {
                self.console.note(&format!("  {} {}", self.console.paint(Tone::Dim, "help:"), hold.help));
            }
        }
        for (index, secret) in plan.secrets.iter().enumerate().filter(|(_, secret)| secret.hold.is_none()) {
            let told = outcome.and_then(|outcome| outcome.secrets.get(index)).map(|done| &done.targets);
            for (at, target) in secret.targets.iter().enumerate().filter(|(_, t)| t.action == Action::Held) {
                if !told.and_then(|told| told.get(at)).is_some_and(|done| matches!(done, Done::Failed(_))) {
                    let text = failed(&secret.name, target.kind, &target.name, &target.why);
                    self.console.note(&format!("{} {text}", self.console.paint(Tone::Bad, "✗")));
                }
            }
        }
        for (secret, target) in plan.targets().filter(|(_, t)| t.drifted && !t.action.is_change()) {
            let help = if secret.external {
                "`secretzero sync --adopt` takes it over".to_owned()
            } else {
                format!("`secretzero rotate --force --secret {}` makes a new one", secret.name)
            };
            warn(format!("{} → {}: {}; {help}", secret.name, place(target.kind, &target.name), target.why));
        }
        for secret in plan.secrets.iter().filter(|secret| !matches!(secret.next, Next::Rotate(_))) {
            if let Some(due) = secret.due.filter(|due| due.overdue && secret.external) {
                let since = due.at.strftime("%Y-%m-%d");
                warn(format!(
                    "{}: a new value is due since {since}; it is external: put one there yourself",
                    secret.name
                ));
            } else if let Some(due) = secret.due.filter(|due| due.overdue) {
                let name = if due.unattended { String::new() } else { format!(" --secret {}", secret.name) };
                let since = due.at.strftime("%Y-%m-%d");
                warn(format!("{}: its rotation is due since {since}; run `secretzero rotate{name}`", secret.name));
            }
        }
        for (secret, note) in plan.secrets.iter().flat_map(|secret| secret.notes.iter().map(move |note| (secret, note)))
        {
            warn(format!("{}: {note}", secret.name));
        }
        let local: Vec<_> = plan.targets().filter(|(_, target)| target.why == LOCAL_LEFT_OUT).collect();
        if !local.is_empty() {
            let names = local.iter().map(|(_, target)| target.name.as_str()).collect::<Vec<_>>().join(", ");
            warn(format!("{} left out ({names}): {LOCAL_LEFT_OUT}", plural(local.len(), "target")));
        }
        for name in &plan.orphans {
            warn(format!("{name}: no longer declared; what is stored stays where it is"));
        }
    }

    fn held(&self, secret: &SecretPlan, hold: &Hold) {
        let console = self.console;
        let bad = console.paint(Tone::Bad, "✗");
        if hold.cause == Cause::NotBuilt {
            // All of them at once, so that nobody mends them one by one.
            for target in secret.targets.iter().filter(|target| target.capabilities.is_none()) {
                let place = place(target.kind, &target.name);
                let line = format!("{}:{}", self.file, target.span.line);
                console.note(&format!("{bad} {} → {place}: not built into this version ({line})", secret.name));
            }
        } else {
            console.note(&format!("{bad} {}: {} ({}:{})", secret.name, hold.reason, self.file, hold.span.line));
        }
    }

    /// How much was not done, as one line; nothing if all was.
    pub(super) fn unfinished(&self, plan: &Plan, outcome: Option<&Outcome>) {
        let (held, failures) = (plan.held().count(), outcome.map_or(0, Outcome::failures));
        let mut parts = Vec::new();
        if held > 0 {
            parts.push(format!("{} held", plural(held, "secret")));
        }
        if failures > 0 {
            parts.push(format!("{} not brought in line", plural(failures, "target")));
        }
        if parts.is_empty() {
            return;
        }
        let next = if failures > 0 { "; the next run goes on with the same values" } else { "" };
        self.console.note(&format!("{} {}{next}", self.console.paint(Tone::Warn, "!"), parts.join(", ")));
    }
}

/// What would do the same for less.
pub(super) fn hints(console: &Console, manifest: &Manifest, plan: Option<&Plan>) {
    for hint in estimate::hints(manifest, plan) {
        console.line(&console.paint(Tone::Dim, &format!("· {hint}")));
    }
}

/// A place that could not be brought in line, and why.
pub(super) fn failed(secret: &str, kind: TargetKind, name: &str, reason: &str) -> String {
    format!("{secret} → {}: {reason}", place(kind, name))
}

fn detail(target: &TargetPlan) -> String {
    let mut parts = Vec::new();
    if !target.changes.is_empty() && matches!(target.action, Action::Metadata | Action::Restore) {
        parts.push(target.changes.join(", "));
    }
    if !target.why.is_empty() {
        parts.push(target.why.clone());
    }
    if parts.is_empty() { String::new() } else { format!(" — {}", parts.join("; ")) }
}

/// `Created AWS Secrets Manager secret: production/myapp/api-key`.
pub(super) fn done(action: Action, kind: TargetKind, name: &str) -> String {
    let what = match kind {
        TargetKind::File => "local file",
        TargetKind::SecretsManager => "AWS Secrets Manager secret",
        TargetKind::SsmParameter => "AWS SSM Parameter",
        TargetKind::KeyVault => "Azure Key Vault secret",
        TargetKind::Kv => "Vault KV secret",
        TargetKind::SecretManager => "Google Secret Manager secret",
        other => other.title(),
    };
    let verb = match action {
        Action::Create | Action::Spread => "Created",
        Action::Adopt => "Adopted",
        Action::Overwrite => "Overwrote",
        Action::Metadata => "Updated metadata of",
        Action::Restore => "Restored",
        _ => "Updated",
    };
    format!("{verb} {what}: {name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nouns_are_counted_as_people_do() {
        let all = [(1, "secret"), (2, "secret"), (0, "policy"), (1, "policy"), (2, "key")];
        let said: Vec<String> = all.iter().map(|(count, noun)| plural(*count, noun)).collect();
        assert_eq!(said, ["1 secret", "2 secrets", "0 policies", "1 policy", "2 keys"]);
    }
}
