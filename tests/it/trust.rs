//! What a cloud is told to trust, and what is found wrong with what it was told: every generated text as
//! a snapshot, and a bad file for every mistake.

#[cfg(feature = "vault")]
mod accepted;
mod printed;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use secretzero::diagnostic::{Severity, Source, render};
use secretzero::trust::{Account, Cloud, Forge, Form, Phase, Repository, Trusted, generate, workflows};

use crate::layering::rust_files;
use crate::sandbox::{Ran, Sandbox};

fn trusted(forge: Forge, phase: Phase) -> Trusted {
    let path = if forge == Forge::Github { "octo/demo" } else { "group/sub/demo" };
    Trusted {
        host: "github.com".into(),
        forge,
        issuer: forge.public_issuer().unwrap_or("https://secretzero.example").to_owned(),
        repository: Repository { path: path.into(), id: Some("1001".into()), owner_id: Some("77".into()) },
        branch: "main".into(),
        environment: None,
        phase,
        audience: None,
        form: Form::Both,
        hardened: false,
    }
}

const FORGES: [Forge; 3] = [Forge::Github, Forge::Gitlab, Forge::Service];

fn account() -> Account {
    Account { id: Some("123456789012".into()), number: Some("4242".into()), ..Account::default() }
}

/// All texts of one request, with what is said beside them.
fn told(cloud: Cloud, trusted: &Trusted, account: &Account) -> String {
    let generated = generate(cloud, trusted, account);
    let mut text = String::new();
    for document in &generated.documents {
        write!(text, "--- {}\n{}", document.name, document.text).unwrap();
    }
    generated.steps.iter().for_each(|step| writeln!(text, "$ {step}").unwrap());
    generated.notes.iter().for_each(|note| writeln!(text, "! {note}").unwrap());
    text
}

#[test]
fn every_cloud_is_told_exactly_which_runs_to_trust() {
    for cloud in Cloud::ALL {
        let mut all = String::new();
        for (forge, title) in [(Forge::Github, "GitHub"), (Forge::Gitlab, "GitLab")] {
            for phase in Phase::ALL {
                let text = told(cloud, &trusted(forge, phase), &account());
                write!(all, "===== {title}, {}\n{text}\n", phase.as_str()).unwrap();
            }
        }
        let mut with_environment = trusted(Forge::Github, Phase::Sync);
        with_environment.environment = Some("eu:production".into());
        with_environment.hardened = true;
        with_environment.audience = Some("https://vault.corp".into());
        write!(all, "===== environment, hardened\n{}\n", told(cloud, &with_environment, &account())).unwrap();
        let mut names = trusted(Forge::Github, Phase::Plan);
        names.repository = Repository { path: "octo/demo".into(), id: None, owner_id: None };
        names.environment = Some("production".into());
        write!(all, "===== names alone, nothing known of the account\n{}", told(cloud, &names, &Account::default()))
            .unwrap();
        insta::assert_snapshot!(format!("trust_of_{}", cloud.as_str()), all);
    }
}

#[test]
fn our_own_service_is_trusted_by_its_subjects_alone() {
    let mut all = String::new();
    for (cloud, phase) in Cloud::ALL.into_iter().flat_map(|cloud| Phase::ALL.map(|phase| (cloud, phase))) {
        let of = Trusted { environment: Some("production".into()), ..trusted(Forge::Service, phase) };
        let text = told(cloud, &of, &account());
        // Whatever a cloud cannot be told exactly by the subject, it is told by nothing that a name could be.
        assert!(text.contains("secretzero:github.com:1001:env:production:phase:") || cloud == Cloud::Gcp, "{text}");
        assert_eq!(text.contains("rotate"), phase == Phase::Sync, "{text}");
        write!(all, "===== {} {}\n{text}", cloud.as_str(), phase.as_str()).unwrap();
    }
    insta::assert_snapshot!("trust_of_the_service", all);
}

#[test]
fn the_service_is_named_by_its_address_and_numbers() {
    let args = ["trust", "generate", "--cloud", "aws", "--forge", "secretzero", "--repository", "octo/demo"];
    let ran = Sandbox::new().expect(1, &args);
    assert!(ran.stderr.contains("`--issuer https://…` and `--repository-id ID`"), "{ran:?}");
    let more = ["--issuer", "https://sz.corp", "--repository-id", "7", "--host", "ghes.corp"];
    let ran = Sandbox::new().expect(0, &[&args[..], &more].concat());
    assert!(ran.stdout.contains("\"sz.corp:sub\": \"secretzero:ghes.corp:7:env:default:phase:plan\""), "{ran:?}");
}

#[test]
fn a_plan_is_never_trusted_for_what_a_sync_is() {
    for forge in [Forge::Github, Forge::Gitlab, Forge::Service] {
        for form in [Form::Names, Form::Ids, Form::Both] {
            for environment in [None, Some("production".to_owned())] {
                let subjects = |phase| {
                    let trusted = Trusted { form, environment: environment.clone(), ..trusted(forge, phase) };
                    secretzero::trust::subjects(&trusted)
                };
                let (plan, sync) = (subjects(Phase::Plan), subjects(Phase::Sync));
                assert!(
                    sync.iter().all(|one| !plan.contains(one) && !one.text.contains("pull_request")),
                    "{plan:?} {sync:?}"
                );
                assert!(sync.iter().all(|one| !one.is_pattern && !one.text.contains('*')), "{sync:?}");
            }
        }
    }
}

/// What we generate finds no fault with our own lint, in either order of the two.
#[test]
fn the_lint_finds_nothing_wrong_with_what_is_generated() {
    for (cloud, forge) in Cloud::ALL.into_iter().flat_map(|cloud| FORGES.map(|forge| (cloud, forge))) {
        for environment in [None, Some("production".to_owned())] {
            for phase in Phase::ALL {
                let of = Trusted { form: Form::Ids, environment: environment.clone(), ..trusted(forge, phase) };
                // GitLab's subjects have no ids; AWS and Azure see nothing else.
                let names = forge == Forge::Gitlab && matches!(cloud, Cloud::Aws | Cloud::Azure);
                let sandbox = Sandbox::new();
                for document in generate(cloud, &of, &account()).documents {
                    sandbox.write(&document.name, &document.text);
                    let args = ["trust", "lint", "--phase", phase.as_str(), &document.name];
                    let ran = sandbox.expect(0, &args);
                    let no_warning = ran.stdout.contains("0 errors, 0 warnings");
                    assert!(no_warning || (names && ran.stdout.contains("0 errors, 1 warning")), "{}", ran.stdout);
                }
            }
        }
    }
}

/// Of a plan and a sync together, whatever the forge: two roles, and neither is the other.
#[test]
fn the_lint_takes_a_generated_plan_and_its_sync_for_two_roles() {
    for (cloud, forge) in Cloud::ALL.into_iter().flat_map(|cloud| FORGES.map(|forge| (cloud, forge))) {
        for form in [Form::Names, Form::Ids, Form::Both] {
            let sandbox = Sandbox::new();
            let mut args = vec!["trust".to_owned(), "lint".to_owned()];
            for phase in Phase::ALL {
                for document in generate(cloud, &Trusted { form, ..trusted(forge, phase) }, &account()).documents {
                    sandbox.write(&document.name, &document.text);
                    args.push(document.name);
                }
            }
            let ran = sandbox.expect(0, &args.iter().map(String::as_str).collect::<Vec<_>>());
            assert!(!ran.stdout.contains("error["), "{cloud:?} {forge:?} {form:?}: {}", ran.stdout);
        }
    }
}

/// The same in one file, and with the rights of the sync beside them.
#[test]
fn rights_belong_to_the_only_role_that_is_given() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/trust/good");
    let sandbox = Sandbox::new();
    for name in ["aws-plan.json", "aws-two-roles.tf", "gcp-two-pools.sh"] {
        sandbox.write(name, &fs::read_to_string(folder.join(name)).unwrap());
    }
    let sync = sandbox.read("aws-two-roles.tf").replace(":pull_request", ":ref:refs/heads/stable");
    sandbox.write("sync.tf", &sync);
    sandbox.expect(0, &["trust", "lint", "aws-two-roles.tf", "gcp-two-pools.sh"]);
    sandbox.expect(0, &["trust", "lint", "sync.tf"]);
    let (plan, rights) = (sandbox.read("aws-plan.json"), "{\"Statement\": {\"Action\": \"kms:Decrypt\"}}");
    sandbox.write("both.json", &format!("[{plan}, {rights}]"));
    let ran = sandbox.expect(5, &["trust", "lint", "both.json"]);
    assert!(ran.stdout.contains("[plan-reads-values]"), "{}", ran.stdout);
}

fn fixtures(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(folder);
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// The lint on one file, in a folder that knows no repository.
fn lint(file: &Path) -> Ran {
    let text = fs::read_to_string(file).unwrap();
    let directive = regex::Regex::new(r#"(?m)(?:# lint: (.*)|"\$lint": "(.*)",)$"#).unwrap();
    let given = directive.captures(&text).map(|found| found.get(1).or(found.get(2)).unwrap().as_str().to_owned());
    let given = given.unwrap_or_default();
    let name = file.file_name().unwrap().to_str().unwrap();
    let sandbox = Sandbox::new();
    sandbox.write(name, &text);
    let args: Vec<&str> = ["trust", "lint", name].into_iter().chain(given.split_whitespace()).collect();
    sandbox.run(&args)
}

/// The codes that a part of the library can give, read from its source.
fn codes(folder: &str, call: &str) -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(folder);
    let pattern = regex::Regex::new(call).unwrap();
    let sources = rust_files(&folder).into_iter().map(|file| fs::read_to_string(file).unwrap());
    sources.flat_map(|text| pattern.captures_iter(&text).map(|one| one[1].to_owned()).collect::<Vec<_>>()).collect()
}

/// The code that the name of a file begins with.
fn code_of<'c>(file: &Path, codes: &'c BTreeSet<String>) -> &'c str {
    let stem = file.file_stem().unwrap().to_str().unwrap();
    let fits = codes.iter().filter(|code| stem == *code || stem.starts_with(&format!("{code}-")));
    fits.max_by_key(|code| code.len()).unwrap_or_else(|| panic!("{} names no finding", file.display()))
}

/// The codes of `trust lint`.
fn lint_codes() -> BTreeSet<String> {
    codes("trust/lint", r#"(?:\.error|\.warning|\.note|\.say)\(\s*(?:severity,\s*)?"([a-z-]+)""#)
}

/// The codes of the check of workflows.
fn workflow_codes() -> BTreeSet<String> {
    codes("trust", r#"(?s)findings\.say\(\s*(?:Severity::\w+|severity),\s*"([a-z-]+)""#)
}

#[test]
fn every_mistake_of_a_trust_policy_is_found_in_a_bad_file() {
    let codes = lint_codes();
    let (mut covered, mut all) = (BTreeSet::new(), String::new());
    for file in fixtures("trust/bad") {
        let code = code_of(&file, &codes);
        covered.insert(code.to_owned());
        let ran = lint(&file);
        assert!(matches!(ran.code, Some(0 | 5)), "{}: {ran:?}", file.display());
        assert!(
            ran.stdout.contains(&format!("[{code}]")),
            "{}: no {code} in\n{}{}",
            file.display(),
            ran.stdout,
            ran.stderr
        );
        let worst = ran.stdout.contains("error[");
        assert_eq!(ran.code == Some(5), worst, "{}: {}", file.display(), ran.stdout);
        writeln!(all, "{}", ran.stdout).unwrap();
    }
    let missing: Vec<_> = codes.difference(&covered).collect();
    assert!(missing.is_empty(), "no bad file for {missing:?}");
    insta::assert_snapshot!("findings_of_the_lint", all);
}

#[test]
fn a_good_trust_policy_has_notes_at_most() {
    for file in fixtures("trust/good") {
        let ran = lint(&file);
        let clean = ran.code == Some(0) && ran.stdout.contains("0 errors, 0 warnings");
        assert!(clean, "{}: {}{}", file.display(), ran.stdout, ran.stderr);
    }
}

#[test]
fn two_roles_that_trust_one_run_are_one() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/trust/good");
    let sandbox = Sandbox::new();
    for name in ["aws-plan.json", "aws-sync.json", "aws-plan-rights.json"] {
        sandbox.write(name, &fs::read_to_string(folder.join(name)).unwrap());
    }
    sandbox.expect(0, &["trust", "lint", "aws-plan.json", "aws-sync.json"]);
    sandbox.expect(0, &["trust", "lint", "aws-plan.json", "aws-plan-rights.json"]);
    let both = sandbox.read("aws-sync.json").replace(":environment:production", ":pull_request");
    sandbox.write("both.json", &both);
    let ran = sandbox.expect(5, &["trust", "lint", "aws-plan.json", "both.json"]);
    assert!(
        ran.stdout.contains("error[one-role-for-both]") || ran.stdout.contains("[one-role-for-both]"),
        "{}",
        ran.stdout
    );
    let reads = sandbox.read("aws-plan-rights.json").replace("ssm:ListTagsForResource", "ssm:GetParameter");
    sandbox.write("rights.json", &reads);
    let ran = sandbox.expect(5, &["trust", "lint", "aws-plan.json", "rights.json"]);
    assert!(ran.stdout.contains("[plan-reads-values]"), "{}", ran.stdout);
}

#[test]
fn what_is_no_policy_is_told_and_a_machine_reads_the_findings() {
    let sandbox = Sandbox::new();
    sandbox.write("else.json", "{\"name\": \"x\"}");
    sandbox.write("broken.json", "{\"Statement\": [");
    let ran = sandbox.expect(1, &["trust", "lint", "else.json"]);
    assert!(ran.stderr.contains("holds no trust policy"), "{}", ran.stderr);
    sandbox.expect(1, &["trust", "lint", "broken.json"]);
    let ran = sandbox.expect(1, &["trust", "lint", "missing.json"]);
    assert!(ran.stderr.contains("there is no file"), "{}", ran.stderr);
    // What is known is judged all the same.
    let bad = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/trust/bad/no-subject-aws.json");
    sandbox.write("bad.json", &fs::read_to_string(bad).unwrap());
    sandbox.write("good.hcl", "path \"secret/metadata/app\" { capabilities = [\"read\"] }\n");
    let ran = sandbox.expect(5, &["trust", "lint", "else.json", "bad.json", "broken.json"]);
    assert!(ran.stdout.contains("[no-subject]") && ran.stderr.contains("holds no trust policy"), "{ran:?}");
    let ran = sandbox.expect(1, &["trust", "lint", "--format", "json", "good.hcl", "else.json"]);
    let said: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((&said["passed"], &said["files"][0]["file"]), (&false.into(), &"good.hcl".into()));
    assert_eq!(said["refused"][0]["file"], "else.json");
    sandbox.write("role.json", "{\n  \"bound_audiences\": [],\n  \"bound_claims\": {\"repository_id\": \"1\"}\n}");
    let ran = sandbox.expect(5, &["trust", "lint", "--format", "json", "role.json"]);
    let said: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((&said["passed"], &said["exit_code"]), (&false.into(), &5.into()));
    let finding = |code: &str| {
        let all = said["files"][0]["findings"].as_array().unwrap();
        all.iter().find(|one| one["code"] == code).unwrap_or_else(|| panic!("no {code} in {said}")).clone()
    };
    assert_eq!(finding("no-audience")["line"], 2);
    assert_eq!(finding("wide-subject")["line"], 3);
}

/// Prints a policy of a repository that is known in full.
fn generated(more: &[&str]) -> Ran {
    let known = ["--repository", "octo/demo", "--repository-id", "1001", "--owner-id", "77"];
    Sandbox::new().run(&[&["trust", "generate", "--cloud"], more, &known].concat())
}

#[test]
fn what_names_no_single_run_is_refused() {
    for (args, said) in [
        (&["aws", "--branch", "release/*"][..], "`--branch release/*` names no single branch"),
        (&["azure", "--environment", "prod*"], "`--environment prod*` names no single branch"),
        (&["vault", "--branch", ""], "names no single branch"),
        (&["gcp", "--project-number", "shop"], "`--project-number shop` is no number"),
    ] {
        let ran = generated(args);
        assert!(ran.code == Some(1) && ran.stderr.contains(said) && ran.stdout.is_empty(), "{args:?}: {ran:?}");
    }
    let unknown = ["trust", "generate", "--cloud", "aws", "--repository", "octo/demo", "--subject-form", "ids"];
    let ran = Sandbox::new().run(&unknown);
    assert!(ran.code == Some(1) && ran.stderr.contains("needs the numbers"), "{ran:?}");
    let ran = generated(&["aws", "--phase", "sync", "--branch", "refs/heads/trunk"]);
    assert!(ran.stdout.contains(":ref:refs/heads/trunk\"") && !ran.stdout.contains("heads/refs"), "{ran:?}");
}

#[test]
fn an_own_server_is_trusted_by_what_clouds_know_of_it() {
    for cloud in ["aws", "gcp", "vault"] {
        let ran = generated(&[cloud, "--harden", "--issuer", "https://ghes.corp/_services/token"]);
        assert!(!ran.stdout.contains("github-hosted") && !ran.stdout.contains("token:repository_id"), "{ran:?}");
        assert!(ran.stderr.contains("`--harden` asks for nothing more here"), "{ran:?}");
        let public = generated(&[cloud, "--harden"]);
        assert!(public.stdout.contains("github-hosted") || public.stdout.contains("com:repository_id"), "{public:?}");
    }
}

#[test]
fn documents_of_one_run_have_a_name_each_and_the_audience_of_their_cloud() {
    let ran = generated(&["azure", "--phase", "sync", "--branch", "release@2", "--format", "json"]);
    let said: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let documents = said["clouds"][0]["documents"].as_array().unwrap();
    let names: BTreeSet<&str> = documents.iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!((documents.len(), names.len()), (2, 2), "{names:?}");
    let gov = Sandbox::new().env([("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.us")]);
    let ran = gov.expect(0, &["trust", "generate", "--cloud", "azure", "--repository", "octo/demo"]);
    assert!(ran.stdout.contains("\"api://AzureADTokenExchangeUSGov\""), "{ran:?}");
}

#[test]
fn the_repository_is_that_of_the_job_or_of_git() {
    let args = ["trust", "generate", "--cloud", "aws", "--phase", "sync"];
    let ran = Sandbox::new().expect(1, &args);
    assert!(ran.stderr.contains("--repository OWNER/NAME"), "{}", ran.stderr);
    let job = Sandbox::new().env([
        ("GITHUB_REPOSITORY", "octo/demo"),
        ("GITHUB_REPOSITORY_ID", "1001"),
        ("GITHUB_REPOSITORY_OWNER_ID", "77"),
        ("GITHUB_SERVER_URL", "https://ghes.corp"),
    ]);
    let ran = job.expect(0, &args);
    // An own server has no form with ids.
    assert!(
        ran.stdout.contains("\"repo:octo/demo:ref:refs/heads/main\"") && !ran.stdout.contains('@'),
        "{}",
        ran.stdout
    );
    assert!(ran.stdout.contains("oidc-provider/ghes.corp/_services/token\""), "{}", ran.stdout);
    let public = Sandbox::new().env([
        ("GITHUB_REPOSITORY", "octo/demo"),
        ("GITHUB_REPOSITORY_ID", "1001"),
        ("GITHUB_REPOSITORY_OWNER_ID", "77"),
    ]);
    let ran = public.expect(0, &args);
    assert!(ran.stdout.contains("repo:octo@77/demo@1001:ref:refs/heads/main"), "{}", ran.stdout);
    // Numbers of another repository are not taken for this one's.
    let ran = job.expect(0, &[&args[..], &["--repository", "octo/other"]].concat());
    assert!(!ran.stdout.contains("1001") && ran.stdout.contains("repo:octo/other:ref"), "{}", ran.stdout);
    let git = Sandbox::new();
    git.write(".git/config", "[remote \"origin\"]\n\turl = https://x:hunter2@gitlab.corp/group/demo.git\n");
    git.write(".git/refs/remotes/origin/HEAD", "ref: refs/remotes/origin/trunk\n");
    let ran = git.expect(0, &args);
    assert!(
        ran.stdout.contains("\"gitlab.corp:sub\": \"project_path:group/demo:ref_type:branch:ref:trunk\""),
        "{}",
        ran.stdout
    );
    assert!(!format!("{ran:?}").contains("hunter2"));
    let gitlab = Sandbox::new().env([
        ("CI_PROJECT_PATH", "g/p"),
        ("CI_SERVER_URL", "https://gitlab.com"),
        ("CI_PROJECT_ID", "5"),
    ]);
    let ran = gitlab.expect(0, &["trust", "generate", "--cloud", "vault", "--phase", "plan", "--format", "json"]);
    let said: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let role = said["clouds"][0]["documents"][0]["text"].as_str().unwrap();
    assert!(role.contains("merge_request_event") && role.contains("\"project_id\": \"5\""), "{role}");
}

#[test]
fn every_mistake_of_a_workflow_is_found_in_a_bad_file() {
    let codes = workflow_codes();
    let (mut covered, mut all) = (BTreeSet::new(), String::new());
    for file in fixtures("workflows/bad") {
        let code = code_of(&file, &codes);
        covered.insert(code.to_owned());
        let name = format!(".github/workflows/{}", file.file_name().unwrap().to_str().unwrap());
        let source = Source::new(name, fs::read_to_string(&file).unwrap());
        let checked = workflows::check(&source).unwrap();
        assert!(checked.findings.iter().any(|one| one.code == code), "{}: {:?}", file.display(), checked.findings);
        write!(all, "{}\n\n", render(&source, &checked.findings, false).trim_end()).unwrap();
    }
    let missing: Vec<_> = codes.difference(&covered).collect();
    assert!(missing.is_empty(), "no bad workflow for {missing:?}");
    insta::assert_snapshot!("findings_of_workflows", all);
}

#[test]
fn a_good_workflow_has_no_finding_and_ours_are_good() {
    for file in fixtures("workflows/good") {
        let source = Source::new("workflow.yml", fs::read_to_string(&file).unwrap());
        assert_eq!(workflows::check(&source).unwrap().findings, [], "{}", file.display());
    }
    for snippet in crate::readme::workflows() {
        let findings = workflows::check(&Source::new("README.md", snippet)).unwrap().findings;
        assert!(findings.iter().all(|one| one.severity != Severity::Error), "{findings:?}");
    }
}

/// The table of the README names findings and tests that are there, for each of the 18 mistakes.
#[test]
fn every_mistake_of_the_readme_is_found_or_kept_out() {
    let known: BTreeSet<String> = lint_codes().union(&workflow_codes()).cloned().collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let texts: Vec<String> = ["tests/it", "src", "webhook/src"]
        .iter()
        .flat_map(|folder| rust_files(&root.join(folder)))
        .map(|file| fs::read_to_string(file).unwrap())
        .collect();
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let rows = crate::readme::table(&readme, "##### Mistakes and what finds them");
    let numbers: Vec<String> = rows.iter().map(|row| row[0].clone()).collect();
    assert_eq!(numbers, (1..=18).map(|number| number.to_string()).collect::<Vec<_>>());
    let name = regex::Regex::new("`([^`]+)`").unwrap();
    let names = |cell: &str| name.captures_iter(cell).map(|one| one[1].to_owned()).collect::<Vec<_>>();
    for row in &rows {
        for code in names(&row[2]) {
            assert!(known.contains(&code), "{}: no finding {code}", row[1]);
        }
        let tests = names(&row[3]);
        assert!(!tests.is_empty(), "{}", row[1]);
        for test in tests {
            let definition = format!("fn {test}(");
            assert!(texts.iter().any(|text| text.contains(&definition)), "{}: no test {test}", row[1]);
        }
    }
}

/// Tokens are handed on and never believed: no keys are fetched, kept or compared here, so there is no
/// cache of them that could be too old or too eager, and no algorithm to be talked into.
#[test]
fn nothing_here_takes_a_token_for_true() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let lint = root.join("src/trust/lint");
    for file in rust_files(&root.join("src")).into_iter().filter(|file| !file.starts_with(&lint)) {
        let text = fs::read_to_string(&file).unwrap();
        for word in [".well-known/jwks", "jwks_uri", "openid-configuration", "jsonwebtoken::"] {
            assert!(!text.contains(word), "{}: {word}", file.display());
        }
    }
}

/// Every input by which the action logs in with a token of the job asks for the right to have one.
#[test]
fn every_login_of_the_action_needs_an_id_token() {
    let inputs = crate::action::names("inputs");
    let endings = ["_role", "_client_id", "_service_account", "_workload_identity_provider"];
    let logins: Vec<&String> =
        inputs.iter().filter(|name| endings.iter().any(|ending| name.ends_with(ending))).collect();
    assert_eq!(logins.len(), 9, "{logins:?}");
    for input in logins {
        let text = format!(
            "on: push\npermissions: {{contents: read}}\njobs:\n  sync:\n    steps:\n      - uses: secretzero/action@v1\n        with: {{{input}: x}}\n"
        );
        let findings = workflows::check(&Source::new("workflow.yml", text)).unwrap().findings;
        assert!(findings.iter().any(|one| one.code == "no-id-token"), "{input}");
    }
}
