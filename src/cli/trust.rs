//! `trust generate` and `trust lint`.

use serde_json::{Value as Json, json};

use super::args::{self, GenerateArgs, LintArgs, TrustCommand};
use super::console::Tone;
use super::exit::Exit;
use super::report;
use super::repository::{self, Found};
use super::session::Session;
use super::show::plural;
use crate::diagnostic::{Diagnostic, Severity, Source, render};
use crate::hosts::aws_partition;
use crate::trust::lint::{Known, Linted, compare, lint};
use crate::trust::{Account, Cloud, Forge, Form, Generated, Phase, Repository, Trusted, audience_at, generate};

/// `secretzero trust`.
pub(super) fn trust(session: &Session, command: &TrustCommand) -> Result<Exit, Exit> {
    match command {
        TrustCommand::Generate(args) => generate_texts(session, args),
        TrustCommand::Lint(args) => lint_files(session, args),
    }
}

fn generate_texts(session: &Session, args: &GenerateArgs) -> Result<Exit, Exit> {
    let found = repository::find(session);
    let of = asked(session, args, &found)?;
    let mut generated = Generated::default();
    for phase in args.phase.map_or_else(|| Phase::ALL.to_vec(), |phase| vec![phase.into()]) {
        let trusted = Trusted { phase, ..of.clone() };
        generated.extend(generate(args.cloud.into(), &trusted, &account(session, args)));
    }
    let is_own = of.repository.path == found.repository.path;
    let is_guessed = args.branch.is_none() && found.branch.as_ref().filter(|_| is_own).is_none();
    if is_guessed && of.forge != Forge::Service {
        generated.say("`main` is taken for the default branch; name another with `--branch`");
    }
    tell(session, &[(args.cloud.into(), generated)]);
    Ok(Exit::Done)
}

/// The runs that flags and job name, in whichever phase.
fn asked(session: &Session, args: &GenerateArgs, found: &Found) -> Result<Trusted, Exit> {
    let path = args.repository.clone().unwrap_or_else(|| found.repository.path.clone());
    if !is_path(&path) {
        let reason = if path.is_empty() {
            "which repository is meant is not known".to_owned()
        } else {
            format!("`{path}` is no `owner/name`")
        };
        return Err(session.fail(Exit::Error, &reason, "name it with `--repository OWNER/NAME`"));
    }
    // Numbers and branch belong to the repository that one stands in.
    let own = path == found.repository.path;
    let here = |value: &Option<String>| value.clone().filter(|_| own);
    let forge = args.forge.map(forge).or(found.forge).unwrap_or(Forge::Github);
    let form = match args.subject_form {
        args::SubjectForm::Names => Form::Names,
        args::SubjectForm::Ids => Form::Ids,
        args::SubjectForm::Both => Form::Both,
    };
    let repository = Repository {
        path,
        id: args.repository_id.clone().or_else(|| here(&found.repository.id)),
        owner_id: args.owner_id.clone().or_else(|| here(&found.repository.owner_id)),
    };
    if form == Form::Ids && repository.ids().is_none() && forge == Forge::Github {
        let help = "add `--repository-id` and `--owner-id`; `gh api repos/OWNER/NAME --jq '.id, .owner.id'` tells them";
        return Err(session.fail(Exit::Error, "the form with ids needs the numbers of repository and owner", help));
    }
    let numbers = [("--repository-id", &repository.id), ("--owner-id", &repository.owner_id)];
    for (flag, number) in numbers.into_iter().chain([("--project-number", &args.project_number)]) {
        if let Some(text) = number.as_ref().filter(|text| text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()))
        {
            let help = "no token names anything else; `gh api repos/OWNER/NAME --jq '.id, .owner.id'` tells GitHub's";
            return Err(session.fail(Exit::Error, &format!("`{flag} {text}` is no number"), help));
        }
    }
    let branch = args.branch.clone().or_else(|| here(&found.branch)).unwrap_or_else(|| "main".to_owned());
    let branch = branch.trim_start_matches("refs/heads/").to_owned();
    let environment = session.common.environment.clone();
    for (flag, name) in [("--branch", Some(&branch)), ("--environment", environment.as_ref())] {
        // No branch is called so, and an environment that is would look like a pattern.
        if let Some(name) = name.filter(|name| name.is_empty() || name.contains(['*', '?', '\n'])) {
            let reason = format!("`{flag} {name}` names no single branch or environment");
            return Err(session.fail(Exit::Error, &reason, "write its whole name, and run again for each further one"));
        }
    }
    Ok(Trusted {
        forge,
        issuer: issuer(session, args, found, forge, repository.id.is_some())?,
        host: args.host.clone().unwrap_or_else(|| server(session)),
        repository,
        branch,
        environment,
        phase: Phase::Plan,
        audience: audience(session, args),
        form,
        hardened: args.harden,
    })
}

/// Who signs, as tokens name it.
fn issuer(
    session: &Session,
    args: &GenerateArgs,
    found: &Found,
    forge: Forge,
    has_number: bool,
) -> Result<String, Exit> {
    let of_job = || found.issuer.clone().filter(|_| args.forge.is_none() || Some(forge) == found.forge);
    let issuer = args.issuer.clone().or_else(of_job).or_else(|| forge.public_issuer().map(str::to_owned));
    let issuer = issuer.unwrap_or_default();
    if forge == Forge::Service && (issuer.is_empty() || !has_number) {
        let reason = "the service's tokens name its address and the repository's number";
        let help = "give `--issuer https://…` and `--repository-id ID`, as the service's configuration has them";
        return Err(session.fail(Exit::Error, reason, help));
    }
    if !issuer.starts_with("https://") || issuer.ends_with('/') {
        let reason = format!("`{issuer}` is no issuer: tokens name it with `https://` and without a `/` at the end");
        return Err(session.fail(Exit::Error, &reason, "write `--issuer` as the token's `iss`"));
    }
    Ok(issuer)
}

/// What tokens are made for, where the flags or the job say more than the cloud's usual one: our exchanges
/// with Vault ask for its address.
fn audience(session: &Session, args: &GenerateArgs) -> Option<String> {
    let variable = |name: &str| session.environment.filled(name);
    let usual = match args.cloud {
        args::Cloud::Vault => variable("VAULT_ADDR").map(str::to_owned),
        args::Cloud::Azure => variable("AZURE_AUTHORITY_HOST").map(|host| audience_at(host).to_owned()),
        args::Cloud::Aws | args::Cloud::Gcp => None,
    };
    args.audience.clone().or(usual)
}

fn account(session: &Session, args: &GenerateArgs) -> Account {
    let region = session.environment.filled("AWS_REGION").unwrap_or_default();
    Account {
        id: args.account.clone(),
        partition: Some(aws_partition(region).to_owned()),
        number: args.project_number.clone(),
        mount: args.mount.as_ref().map(|mount| mount.trim_matches('/').to_owned()),
    }
}

/// The host of the job's forge.
fn server(session: &Session) -> String {
    let url = ["GITHUB_SERVER_URL", "CI_SERVER_URL"].into_iter().find_map(|name| session.environment.filled(name));
    let host = url.and_then(|url| url.split("://").nth(1)).map(|rest| rest.trim_end_matches('/').to_owned());
    host.unwrap_or_else(|| "github.com".to_owned())
}

const fn forge(forge: args::Forge) -> Forge {
    match forge {
        args::Forge::Github => Forge::Github,
        args::Forge::Gitlab => Forge::Gitlab,
        args::Forge::Secretzero => Forge::Service,
    }
}

fn is_path(path: &str) -> bool {
    let plain = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    path.contains('/') && path.split('/').all(plain)
}

/// The texts on standard output, what to do with them on standard error.
pub(super) fn tell(session: &Session, generated: &[(Cloud, Generated)]) {
    let console = &session.console;
    if console.is_json() {
        let one = |(cloud, generated): &(Cloud, Generated)| {
            let documents = generated.documents.iter().map(|one| json!({ "name": one.name, "text": one.text }));
            json!({ "cloud": cloud.as_str(), "documents": documents.collect::<Vec<_>>(),
                "steps": generated.steps, "notes": generated.notes })
        };
        console.json(&json!({ "clouds": generated.iter().map(one).collect::<Vec<_>>(), "exit_code": 0 }));
        return;
    }
    let documents: Vec<_> = generated.iter().flat_map(|(_, generated)| &generated.documents).collect();
    for document in &documents {
        if documents.len() > 1 {
            console.line(&console.paint(Tone::Dim, &format!("# {}", document.name)));
        }
        console.line(document.text.trim_end());
        if documents.len() > 1 {
            console.line("");
        }
    }
    for (_, generated) in generated {
        for step in &generated.steps {
            console.note(&format!("{} {step}", console.paint(Tone::Dim, "$")));
        }
        for note in &generated.notes {
            console.note(&format!("{} {note}", console.paint(Tone::Warn, "!")));
        }
    }
}

fn lint_files(session: &Session, args: &LintArgs) -> Result<Exit, Exit> {
    let found = repository::find(session).repository.path;
    let repository = args.repository.clone().or((!found.is_empty()).then_some(found));
    let known = Known { phase: args.phase.map(Phase::from), repository };
    let mut files: Vec<(Source, Linted)> = Vec::new();
    let mut refusals: Vec<Refusal> = Vec::new();
    for path in &args.files {
        let name = path.display().to_string();
        match session.source(path, &name) {
            Ok(source) => match lint(&source, &known) {
                Ok(linted) => files.push((source, linted)),
                Err(finding) => refusals.push(Refusal::of(&name, finding)),
            },
            Err(finding) => refusals.push(Refusal::of(&name, finding)),
        }
    }
    if let (true, [first, others @ ..]) = (files.is_empty(), &refusals[..]) {
        others.iter().for_each(|one| session.complain(&one.reason, &one.help));
        return Err(session.fail(Exit::Error, &first.reason, &first.help));
    }
    let views: Vec<(&Source, &Linted)> = files.iter().map(|(source, linted)| (source, linted)).collect();
    let between = compare(&views, &known);
    for (at, finding) in between {
        if let Some((_, linted)) = files.get_mut(at).filter(|(_, linted)| !linted.findings.contains(&finding)) {
            linted.findings.push(finding);
        }
    }
    let count = |severity: Severity| {
        files.iter().flat_map(|(_, one)| &one.findings).filter(|one| one.severity == severity).count()
    };
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let failed = errors > 0 || (args.strictness.fail_on_warning && warnings > 0);
    let exit = match (failed, refusals.is_empty()) {
        (true, _) => Exit::Policy,
        (false, false) => Exit::Error,
        (false, true) => Exit::Done,
    };
    told(session, &files, &refusals, exit);
    refusals.iter().for_each(|one| session.complain(&one.reason, &one.help));
    Ok(exit)
}

/// A file of which nothing can be said, and why.
struct Refusal {
    file: String,
    reason: String,
    help: String,
}

impl Refusal {
    fn of(name: &str, finding: Diagnostic) -> Self {
        // The help of a Secretfile that is missing is none here.
        let (reason, help) = if finding.code == "no-secretfile" {
            let reason = finding.message.replace("there is no Secretfile at", "there is no file");
            (reason, "name a file that is there".to_owned())
        } else {
            (finding.message, finding.help.unwrap_or_default())
        };
        let reason = if finding.span.line == 0 { reason } else { format!("{name}:{}: {reason}", finding.span.line) };
        Self { file: name.to_owned(), reason, help }
    }
}

fn told(session: &Session, files: &[(Source, Linted)], refusals: &[Refusal], exit: Exit) {
    let console = &session.console;
    if console.is_json() {
        let one = |(source, linted): &(Source, Linted)| json!({ "file": source.name, "kinds": linted.kinds, "findings": report::findings(&source.name, &linted.findings) });
        let files: Vec<Json> = files.iter().map(one).collect();
        let refused = |one: &Refusal| json!({ "file": one.file, "error": one.reason, "help": one.help });
        let refused: Vec<Json> = refusals.iter().map(refused).collect();
        let mut said = json!({ "passed": exit == Exit::Done, "files": files, "exit_code": exit as u8 });
        if !refused.is_empty() {
            said["refused"] = refused.into();
        }
        console.json(&said);
        return;
    }
    for (source, linted) in files {
        if !linted.findings.is_empty() {
            console.line(&render(source, &linted.findings, console.color()));
        }
    }
    for (source, linted) in files {
        let count = |severity: Severity| linted.findings.iter().filter(|one| one.severity == severity).count();
        let (errors, warnings, notes) = (count(Severity::Error), count(Severity::Warning), count(Severity::Info));
        let mark = if errors > 0 { console.paint(Tone::Bad, "✗") } else { console.paint(Tone::Good, "✓") };
        let kinds = linted.kinds.join(", ");
        console.line(&format!(
            "{mark} {}: {kinds}: {}, {}, {}",
            source.name,
            plural(errors, "error"),
            plural(warnings, "warning"),
            plural(notes, "note")
        ));
    }
}
