//! The first day of a team: what exists is written down, and nothing that exists is lost.

use std::process::Command;

use super::{Stage, told};
use crate::adoption::{parameter, secret};
use crate::fake::aws::{FakeAws, REGION};
use crate::sandbox::Sandbox;

const IMPORT: &[&str] = &["import", "--provider", "aws", "--prefix", "shop/", "--rate-limit", "off"];

/// An account with whatever makes an import difficult.
fn odd_account() -> FakeAws {
    let aws = FakeAws::start();
    aws.edit(|world| {
        let region = world.region(REGION);
        let mut put = |name: &str, edit: &dyn Fn(&mut crate::fake::aws::Secret)| {
            let mut one = secret(1);
            one.description = None;
            edit(&mut one);
            region.secrets.insert(name.to_owned(), one);
        };
        put("shop/database", &|one| {
            one.description = Some("Says \"hi\": # no comment\n- {a} ${HOME} 'x' \\ é\u{2028}".into());
            one.tags.insert("Odd: key #".into(), "yes".into());
            one.tags.insert("aws:cloudformation:stack-name".into(), "s".into());
            one.kms_key_id = Some("arn:aws:kms:us-east-1:999999999999:key/12-ab".into());
        });
        put("shop/Database", &|_| {});
        put("shop/2fa/seed", &|one| drop(one.tags.insert("When".into(), "2026-01-01".into())));
        put("shop/rotated", &|one| one.rotation_enabled = true);
        put("shop/owned", &|one| one.owning_service = Some("rds".into()));
        put("shop/leaving", &|one| one.deleted = true);
        put("shop/empty", &|one| one.versions.clear());
        put("shop/ours", &|one| drop(one.tags.insert("secretzero".into(), "1:p=x".into())));
        put("shop/braces", &|one| one.description = Some("{{var.x}}".into()));
        put("other/key", &|_| {});
        region.parameters.insert("/shop/database".into(), parameter(1));
        let advanced = crate::fake::aws::Parameter { tier: "Advanced".into(), kind: "String".into(), ..parameter(2) };
        region.parameters.insert("/shop/endpoint".into(), advanced);
    });
    aws
}

#[test]
fn what_exists_becomes_a_secretfile_whatever_its_tags_hold() {
    let aws = odd_account();
    let sandbox = Sandbox::new().env(aws.env());
    let ran = sandbox.expect(0, IMPORT);
    insta::assert_snapshot!("imported", ran.stdout);
    assert_eq!(sandbox.run(IMPORT).stdout, ran.stdout, "the same again");
    sandbox.write("Secretfile.yml", &ran.stdout);
    assert!(sandbox.expect(0, &["validate"]).stdout.contains("5 secrets defined"));
    // What was written down is what stands there: a sync marks it and changes nothing else.
    let plan = sandbox.expect(0, &["sync", "--dry-run"]).stdout;
    assert_eq!(plan.matches("its value is kept and marked as ours").count(), 5, "{plan}");
    assert!(!plan.contains("tag:") && !plan.contains("Would create"), "{plan}");
}

#[test]
fn an_import_beside_a_secretfile_uses_its_provider_and_leaves_out_what_it_declares() {
    let secretfile = "metadata: {project: shop}
providers:
  main: {kind: aws, auth: {kind: ambient, config: {region: us-east-1}}}
secrets:
  - name: database
    kind: external
    adopt: true
    targets: [{provider: main, kind: secrets_manager, config: {name: shop/database}}]
";
    let aws = odd_account();
    let sandbox = Sandbox::with(secretfile).env(aws.env());
    let args = ["import", "--provider", "main", "--prefix", "shop/", "--output", "part.yml", "--rate-limit", "off"];
    sandbox.expect(0, &args);
    let part = sandbox.read("part.yml");
    assert!(part.contains("`shop/database`: the Secretfile declares it already"), "{part}");
    assert!(part.contains("name: database_ssm") && part.contains("provider: main"), "{part}");
    sandbox.expect(0, &["-f", "part.yml", "validate"]);
    let again = sandbox.expect(1, &args);
    assert!(again.stderr.contains("part.yml exists already, and nothing is overwritten"), "{}", again.stderr);
    assert_eq!(sandbox.read("part.yml"), part);
    let unknown = sandbox.expect(1, &["import", "--provider", "azure"]);
    assert!(unknown.stderr.contains("known are: main"), "{}", unknown.stderr);
    let elsewhere =
        sandbox.expect(1, &["import", "--provider", "main", "--region", "eu-west-1", "--rate-limit", "off"]);
    assert!(elsewhere.stderr.contains("nothing there has a name"), "{}", elsewhere.stderr);
}

#[test]
fn an_import_that_may_not_list_names_the_right() {
    let aws = odd_account();
    aws.deny("DescribeParameters");
    let sandbox = Sandbox::new().env(aws.env());
    let ran = sandbox.expect(4, IMPORT);
    assert!(ran.stderr.contains("ssm:DescribeParameters"), "{}", ran.stderr);
    let only = [IMPORT, &["--target-type", "secrets_manager"]].concat();
    assert!(sandbox.expect(0, &only).stdout.contains("shop/database"));
    let local = Sandbox::with("providers: {l: {kind: local}}\nsecrets: []\n").expect(1, &["import", "--provider", "l"]);
    assert!(local.stderr.contains("cannot be asked for what it holds"), "{}", local.stderr);
}

const EXTERNAL: &str = "metadata: {project: shop}
providers:
  aws: {kind: aws, auth: {kind: ambient, config: {region: us-east-1}}}
  local: {kind: local}
secrets:
  - name: stripe
    kind: external
    adopt: true
    rotation_period: 90d
    targets:
      - {provider: aws, kind: secrets_manager, config: {name: shop/stripe}}
      - {provider: aws, kind: ssm_parameter, config: {name: /shop/stripe}}
      - {provider: local, kind: file, config: {path: .env, merge: true}}
";

#[test]
fn an_external_value_is_awaited_adopted_copied_and_followed() {
    let stage = Stage::with(EXTERNAL);
    let held = stage.told(8, &["sync"]);
    assert!(held.contains("its value is made elsewhere, and no target holds it yet"), "{held}");
    assert!(held.contains("put it into AWS Secrets Manager `shop/stripe` yourself"), "{held}");
    assert_eq!(stage.aws.effects(), 0);

    stage.aws.edit(|world| drop(world.region(REGION).secrets.insert("shop/stripe".into(), secret(7))));
    stage.told(0, &["sync"]);
    assert_eq!(stage.value("shop/stripe"), "canary-value-7");
    assert_eq!(stage.aws.parameter("/shop/stripe").unwrap().value, "canary-value-7");
    assert!(stage.sandbox.read(".env").contains("STRIPE=canary-value-7"));
    assert!(stage.told(0, &["sync"]).contains("Nothing to change"));
    let refused = stage.told(1, &["rotate", "--secret", "stripe", "--force"]);
    assert!(refused.contains("`stripe` is external: its value is made elsewhere, never here"), "{refused}");

    stage.age("shop/stripe", 100);
    let due = stage.told(0, &["rotate"]);
    assert!(due.contains("a new value is due since") && due.contains("put one there yourself"), "{due}");

    // The new value comes from outside, and the other places follow.
    stage.aws.edit(|world| {
        let one = world.region(REGION).secrets.get_mut("shop/stripe").unwrap();
        one.versions = secret(8).versions;
    });
    stage.told(0, &["sync"]);
    assert_eq!(stage.value("shop/stripe"), "canary-value-8");
    assert_eq!(stage.aws.parameter("/shop/stripe").unwrap().value, "canary-value-8");
    assert!(stage.sandbox.read(".env").contains("STRIPE=canary-value-8"));
    let effects = stage.aws.effects();
    assert!(stage.told(0, &["sync"]).contains("Nothing to change"));
    assert_eq!(stage.aws.effects(), effects);
}

#[test]
fn init_writes_the_names_of_env_files_and_leaves_their_values_there() {
    let sandbox = Sandbox::new();
    sandbox.write(".env", "PORT=3000\nexport DATABASE_PASSWORD='canary-1'\nAPI_KEY=\"canary\n2\"\nNEXT_PUBLIC_KEY=x\n");
    sandbox.write(".env.production", "API_KEY=canary-3\n");
    sandbox.write(".env.example", "OTHER_TOKEN=\n");
    let ran = sandbox.expect(0, &["init"]);
    insta::assert_snapshot!(told(&ran), @"
    ✓ Wrote Secretfile.yml: 3 secrets, 2 more names as comments
      .env.example was left alone: it holds examples, not values
    Next:
      secretzero validate                             checks it
      secretzero sync --dry-run                       shows what a sync would adopt or make
      secretzero import --provider aws --prefix NAME  writes down what exists in AWS already
    ");
    let written = sandbox.read("Secretfile.yml");
    assert!(!format!("{written}{}{}", ran.stdout, ran.stderr).contains("canary"), "{written}");
    for name in ["name: database_password\n", "name: api_key\n", "name: api_key_production\n", "# - name: port\n"] {
        assert!(written.contains(name), "{name}\n{written}");
    }
    sandbox.expect(0, &["validate"]);
    let before = sandbox.read(".env");
    sandbox.expect(0, &["sync"]);
    assert_eq!(sandbox.read(".env"), before, "adopted as it stands");
    assert!(sandbox.expect(0, &["sync"]).stdout.contains("Nothing to change"));
    let again = sandbox.expect(1, &["init"]);
    assert!(again.stderr.contains("exists already, and nothing is overwritten"), "{}", again.stderr);
    assert_eq!(sandbox.read("Secretfile.yml"), written);
}

#[test]
fn init_without_any_file_writes_a_valid_beginning_and_warns_of_what_git_tracks() {
    let sandbox = Sandbox::new();
    sandbox.expect(0, &["init"]);
    assert!(sandbox.read("Secretfile.yml").contains("kind: random_password"));
    sandbox.expect(0, &["validate"]);

    let tracked = Sandbox::new();
    tracked.write(".env", "TOKEN=canary\n");
    for args in [&["init", "-q"][..], &["add", "-f", ".env"]] {
        let git = Command::new("git").args(args).current_dir(tracked.path(".")).output().unwrap();
        assert!(git.status.success(), "{git:?}");
    }
    let ran = tracked.expect(0, &["init"]);
    assert!(ran.stderr.contains("git tracks .env") && ran.stderr.contains("git rm --cached .env"), "{}", ran.stderr);
}

/// Without `-f` the folder of the Secretfile is the working folder, which has no name of its own.
#[test]
fn a_plain_sync_keeps_values_and_marks_out_of_git() {
    let secretfile = "metadata: {project: shop}
providers:
  local: {kind: local}
secrets:
  - name: token
    kind: random_string
    targets: [{provider: local, kind: file, config: {path: kept/.env, format: dotenv, merge: true}}]
";
    let sandbox = Sandbox::with(secretfile);
    sandbox.write("real/.env", "OTHER=1\n");
    std::os::unix::fs::symlink("real", sandbox.path("kept")).unwrap();
    let git = |args: &[&str]| {
        let mut command = Command::new("git");
        command.args(["-c", "user.name=a", "-c", "user.email=a@b"]).args(args).current_dir(sandbox.path("."));
        command.output().unwrap()
    };
    for args in [&["init", "-q"][..], &["add", "."], &["commit", "-qm", "all"]] {
        assert!(git(args).status.success(), "{args:?}");
    }
    let refused = sandbox.expect(4, &["sync"]);
    assert!(refused.stderr.contains("git tracks `kept/.env`"), "{refused:?}");
    assert_eq!(sandbox.read("real/.env"), "OTHER=1\n");
    assert!(!sandbox.path("real/.secretzero.json").exists());

    assert!(git(&["rm", "-q", "--cached", "real/.env"]).status.success());
    sandbox.expect(0, &["sync"]);
    assert!(sandbox.read("real/.env").contains("TOKEN="), "the link stays inside the folder");
    assert!(git(&["check-ignore", "real/.secretzero.json"]).status.success(), "marks are not ignored");
}

/// Bash itself sources the script and is asked what it would offer.
#[test]
fn bash_completes_commands_and_flags() {
    let sandbox = Sandbox::new();
    sandbox.write("completions.bash", &sandbox.expect(0, &["completions", "bash"]).stdout);
    let offers = |words: &[&str]| {
        let line = words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ");
        let script = format!(
            "source ./completions.bash; COMP_WORDS=({line}); COMP_CWORD={}; \
             _secretzero secretzero '{}' '{}'; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            words.len() - 1,
            words[words.len() - 1],
            words[words.len().saturating_sub(2)],
        );
        let bash =
            Command::new("bash").args(["--norc", "-c", &script]).current_dir(sandbox.path(".")).output().unwrap();
        assert!(bash.status.success() && bash.stderr.is_empty(), "{bash:?}");
        String::from_utf8(bash.stdout).unwrap()
    };
    assert_eq!(offers(&["secretzero", "va"]).trim(), "validate");
    assert_eq!(offers(&["secretzero", "sync", "--dry"]).trim(), "--dry-run");
    assert_eq!(
        offers(&["secretzero", "sync", "--rate-limit", ""]).split_whitespace().collect::<Vec<_>>(),
        ["auto", "off"]
    );
    for shell in ["zsh", "fish", "elvish", "powershell"] {
        assert!(sandbox.expect(0, &["completions", shell]).stdout.contains("validate"), "{shell}");
    }
    sandbox.expect(1, &["completions", "tcsh"]);
}
