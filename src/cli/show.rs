//! Lines for people: what a plan would do and what a run did.

use super::console::{Console, Tone};
use crate::apply::{Event, Progress};
use crate::plan::{Action, Plan, TargetPlan};
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
        Action::Adopt => "Would take over, keeping the value:",
        Action::Create => "Would create:",
        Action::Metadata => "Would change metadata:",
        Action::ReplicaCheck => "Would check the replica:",
        Action::Held => "Would leave as they are:",
        Action::Keep | Action::LeftOut => "",
    }
}

const SHOWN: [Action; 9] = [
    Action::Overwrite,
    Action::Spread,
    Action::Rotate,
    Action::Revise,
    Action::Heal,
    Action::Adopt,
    Action::Create,
    Action::Metadata,
    Action::ReplicaCheck,
];

/// Shows what would happen.
pub(super) fn dry_run(console: &Console, plan: &Plan) {
    for action in SHOWN {
        let mut targets = plan.targets().filter(|(_, target)| target.action == action).peekable();
        if targets.peek().is_none() {
            continue;
        }
        console.line(&format!("[DRY RUN] {}", heading(action)));
        for (secret, target) in targets {
            let mark = console.paint(Tone::Good, "✓");
            console.line(&format!("  {mark} {} → {}{}", secret.name, place(target.kind, &target.name), detail(target)));
        }
    }
    if !plan.has_changes() {
        console.line(&format!("{} Nothing to change", console.paint(Tone::Good, "✓")));
    }
    let kept = plan.count(Action::Keep);
    if kept > 0 {
        console.line(&format!("  {} as declared", plural(kept, "target")));
    }
    asides(console, plan);
}

/// Held secrets, drift, due rotations and orphans: what a person should know beside the changes.
pub(super) fn asides(console: &Console, plan: &Plan) {
    let warn = console.paint(Tone::Warn, "!");
    for (secret, hold) in plan.held() {
        console.note(&format!("{} {}: {}", console.paint(Tone::Bad, "✗"), secret.name, hold.reason));
        console.note(&format!("  line {}: {}", hold.span.line, hold.help));
    }
    for (secret, target) in
        plan.targets().filter(|(secret, target)| target.action == Action::Held && secret.hold.is_none())
    {
        let place = place(target.kind, &target.name);
        console.note(&format!("{} {} → {place}: {}", console.paint(Tone::Bad, "✗"), secret.name, target.why));
    }
    for (secret, target) in plan.targets().filter(|(_, target)| target.drifted) {
        console.note(&format!("{warn} {} → {}: {}", secret.name, place(target.kind, &target.name), target.why));
    }
    for secret in plan.secrets.iter().filter(|secret| secret.due.is_some_and(|due| due.overdue)) {
        let at = secret.due.map(|due| due.at.strftime("%Y-%m-%d").to_string()).unwrap_or_default();
        if !matches!(secret.next, crate::plan::Next::Rotate(_)) {
            console.note(&format!("{warn} {}: its rotation is due since {at}; run `secretzero rotate`", secret.name));
        }
    }
    for secret in &plan.secrets {
        for note in &secret.notes {
            console.note(&format!("{warn} {}: {note}", secret.name));
        }
    }
    for name in &plan.orphans {
        console.note(&format!("{warn} {name}: no longer declared; what is stored stays where it is"));
    }
}

fn detail(target: &TargetPlan) -> String {
    let mut parts = Vec::new();
    if !target.changes.is_empty() && target.action == Action::Metadata {
        parts.push(target.changes.join(", "));
    }
    if !target.why.is_empty() {
        parts.push(target.why.clone());
    }
    if parts.is_empty() { String::new() } else { format!(" — {}", parts.join("; ")) }
}

/// Says each thing as it happens.
pub(super) struct Lines<'a>(pub(super) &'a Console);

impl Progress for Lines<'_> {
    fn event(&self, event: &Event<'_>) {
        let good = self.0.paint(Tone::Good, "✓");
        match event {
            Event::Generated(secret) => self.0.line(&format!("{good} Generated {secret}")),
            Event::Done { action, kind, name, .. } => {
                self.0.line(&format!("{good} {}", done(*action, *kind, name)));
                self.0.step();
            }
            Event::Failed { secret, kind, name, reason } => {
                let bad = self.0.paint(Tone::Bad, "✗");
                self.0.note(&format!("{bad} {secret} → {}: {reason}", place(*kind, name)));
                self.0.step();
            }
        }
    }
}

/// `Created AWS Secrets Manager secret: production/myapp/api-key`.
fn done(action: Action, kind: TargetKind, name: &str) -> String {
    let what = match kind {
        TargetKind::File => "local file",
        TargetKind::SecretsManager => "AWS Secrets Manager secret",
        TargetKind::SsmParameter => "AWS SSM parameter",
        other => other.title(),
    };
    let verb = match action {
        Action::Create | Action::Spread => "Created",
        Action::Adopt => "Adopted",
        Action::Metadata => "Updated metadata of",
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
