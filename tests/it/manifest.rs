//! Secretfiles in, manifests or findings out.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use secretzero::diagnostic::{Severity, Source, render};
use secretzero::manifest::{
    Credentials, Field, Generator, GeneratorKind, Inputs, Loaded, Manifest, Part, Secret, Statics, environments, load,
    lock_name, variables_file,
};
use secretzero::target::TargetSettings;

const NOW: &str = "2026-06-01T00:00:00Z";

/// What the specification's examples expect of the environment.
fn environment(name: &str) -> Option<String> {
    const NAMES: &[&str] = &[
        "VAULT_TOKEN",
        "VAULT_CLOUD_TOKEN",
        "DB_HOST",
        "STRIPE_API_KEY",
        "SENDGRID_API_KEY",
        "TWILIO_AUTH_TOKEN",
        "CERTIFICATE_PFX_BASE64",
        "CERTIFICATE_PASSWORD",
        "CERTIFICATE_CONTENT",
    ];
    if name == "VAULT_ADDR" {
        return Some("https://127.0.0.1:1".into());
    }
    NAMES.contains(&name).then(|| format!("x-{}", name.to_lowercase()))
}

fn inputs<'a>(environment: &'a dyn Fn(&str) -> Option<String>) -> Inputs<'a> {
    Inputs::new(environment, NOW.parse().unwrap())
}

/// The findings about a file, rendered, and what became of it.
fn read(path: &Path) -> (Loaded, String) {
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    match Source::from_bytes(name, fs::read(path).unwrap()) {
        Ok(source) => {
            // The last of a file's environments, but for the file that is about choosing none.
            let last = environments(&source).pop().filter(|_| source.name != "environment-none.yml");
            let environment_name = last.map(|environment| environment.name.value);
            let loaded = load(&source, &Inputs { environment_name, ..inputs(&environment) });
            let text = render(&source, &loaded.diagnostics, false);
            (loaded, text)
        }
        Err(finding) => {
            let text = render(&Source::new("", ""), std::slice::from_ref(&finding), false);
            (Loaded { manifest: None, diagnostics: vec![finding] }, text)
        }
    }
}

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(folder);
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yml"));
    files.sort();
    files
}

#[test]
fn every_example_of_the_specification_is_read_except_the_one_that_is_no_yaml() {
    let mut said = String::new();
    let files = files("examples");
    assert_eq!(files.len(), 15);
    for path in files {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let (loaded, text) = read(&path);
        let as_printed = name == "04-vault-specific.yml";
        assert_eq!(loaded.manifest.is_none(), as_printed, "{name}\n{text}");
        said.push_str(&format!("# {name}\n{text}\n"));
    }
    insta::assert_snapshot!("examples", said);
}

#[test]
fn every_bad_manifest_is_refused_with_a_place_and_an_advice() {
    let mut said = String::new();
    let files = files("manifests/bad");
    assert!(files.len() > 40, "{} files", files.len());
    for path in files {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let (loaded, text) = read(&path);
        let errors = loaded.diagnostics.iter().filter(|finding| finding.severity == Severity::Error).count();
        assert!(loaded.manifest.is_none() && errors > 0, "{name} passed\n{text}");
        let alone = !matches!(name.as_str(), "several.yml" | "moved-circle.yml");
        assert!(!alone || loaded.diagnostics.len() == 1, "{name} has more than one problem\n{text}");
        for finding in &loaded.diagnostics {
            assert!(finding.span.line > 0 && finding.help.is_some(), "{name}\n{text}");
        }
        assert!(!text.contains("hunter2"), "{name} shows a value\n{text}");
        said.push_str(&format!("{text}\n"));
    }
    insta::assert_snapshot!("bad", said);
}

#[test]
fn every_good_manifest_is_read() {
    for path in files("manifests/good") {
        let (loaded, text) = read(&path);
        assert!(loaded.manifest.is_some(), "{}\n{text}", path.display());
        assert_eq!(text, "", "{}", path.display());
    }
}

fn good(name: &str) -> Manifest {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    let (loaded, text) = read(&path);
    loaded.manifest.unwrap_or_else(|| panic!("{text}"))
}

fn secret<'m>(manifest: &'m Manifest, name: &str) -> &'m Secret {
    manifest.secrets.iter().find(|secret| secret.name.value == name).unwrap()
}

/// The parts of a static value, fields in double braces.
fn value(generator: &Generator) -> Option<String> {
    let GeneratorKind::Static(settings) = &generator.kind else { panic!("no static") };
    let parts = settings.value.as_ref()?.iter().map(|part| match part {
        Part::Text(text) => text.expose_text().unwrap().to_owned(),
        Part::Field(name) => format!("<{name}>"),
    });
    Some(parts.collect())
}

fn single(secret: &Secret) -> &Generator {
    let secretzero::manifest::Source::Single(generator) = &secret.source else { panic!("a template") };
    generator
}

fn fields(secret: &Secret) -> &[Field] {
    let secretzero::manifest::Source::Template(fields) = &secret.source else { panic!("no template") };
    fields
}

fn load_text(text: &str, inputs: &Inputs) -> (Loaded, String) {
    let source = Source::from_bytes("Secretfile.yml", text.as_bytes().to_vec()).unwrap();
    let loaded = load(&source, inputs);
    let text = render(&source, &loaded.diagnostics, false);
    (loaded, text)
}

#[test]
fn scalars_stay_as_written_and_braces_can_be_literal() {
    let manifest = good("manifests/good/everything.yml");
    let text = value(single(secret(&manifest, "literal"))).unwrap();
    assert_eq!(
        text,
        "mode=0755 port=5432 answer=yes release=1.10\n${HOME} ${{ secrets.X }} {{password}} {{ .Values.x }} US$5\n"
    );
    assert_eq!(value(single(secret(&manifest, "number"))).as_deref(), Some("0755"));
}

#[test]
fn a_template_names_its_own_fields_and_keeps_their_order() {
    let manifest = good("manifests/good/everything.yml");
    let login = secret(&manifest, "login");
    let names: Vec<&str> = fields(login).iter().map(|field| field.name.value.as_str()).collect();
    assert_eq!(names, ["user", "password", "url"]);
    assert_eq!(value(&fields(login)[0].generator).as_deref(), Some("app_production"));
    assert_eq!(value(&fields(login)[2].generator).as_deref(), Some("https://<user>:<password>@db:5432/"));
}

#[test]
fn a_renamed_secret_keeps_the_first_of_its_names() {
    let manifest = good("manifests/good/everything.yml");
    assert_eq!(secret(&manifest, "database-password").first_name, "db_password");
    assert_eq!(secret(&manifest, "short_id").first_name, "short_id");
}

#[test]
fn settings_that_are_missing_have_their_documented_values() {
    let manifest = good("examples/01-basic.yml");
    let database = secret(&manifest, "database_password");
    let GeneratorKind::Password(password) = &single(database).kind else { panic!() };
    assert_eq!((password.length, password.classes.len()), (32, 4));
    assert!(!password.classes.concat().contains(['"', '@', '/', '\\', '`', '{', '}']));
    let keys: Vec<String> = database.targets.iter().map(|target| format!("{:?}", target.settings)).collect();
    insta::assert_snapshot!(keys.join("\n"), @r#"
    File(FileSettings { path: ".env", format: Dotenv, merge: true, key: "DATABASE_PASSWORD" })
    SecretsManager(SecretsManagerSettings { name: "production/myapp/database/password", description: Some("Database password for myapp"), kms_key_id: None, replica_regions: [], tags: {"Application": "myapp", "Environment": "production", "ManagedBy": "secretzero"} })
    SsmParameter(SsmParameterSettings { name: "/production/myapp/database/password", parameter_type: SecureString, tier: Standard, data_type: "text", policies: None, expires: None, description: Some("Database password for myapp"), kms_key_id: None, tags: {"Application": "myapp", "Environment": "production"} })
    KeyVault(KeyVaultSettings { vault_url: "https://myapp-prod-secrets.vault.azure.net", secret_name: "myapp-database-password", content_type: None, enabled: None, expires_on: None, not_before: None, tags: {"application": "myapp", "environment": "production"} })
    Kv(KvSettings { path: "production/myapp/database/password", mount_point: "secret", version: 2, key: "password", cas: None, metadata: {"application": "myapp", "environment": "production"} })
    "#);
    let account = secret(&manifest, "service_account");
    let TargetSettings::File(file) = &account.targets[3].settings else { panic!() };
    assert_eq!((file.key.as_str(), file.merge), ("service_account", false));
}

#[test]
fn every_kind_of_target_is_typed() {
    let mut said: Vec<String> = Vec::new();
    for name in ["02-aws-specific", "03-azure-specific", "04b-vault-specific-nested-templates", "05-cross-region-dr"] {
        let manifest = good(&format!("examples/{name}.yml"));
        let targets = manifest.secrets.iter().flat_map(|secret| &secret.targets);
        said.extend(targets.map(|target| format!("{:?} replica of {:?}", target.settings, target.replica_of)));
    }
    let manifest = good("manifests/good/everything.yml");
    let targets = manifest.secrets.iter().flat_map(|secret| &secret.targets);
    said.extend(targets.map(|target| format!("{:?} primary: {}", target.settings, target.primary)));
    insta::assert_snapshot!("targets", said.join("\n"));
}

#[test]
fn both_readings_of_the_vault_example_mean_the_same() {
    let [nested, reordered] =
        ["04b-vault-specific-nested-templates.yml", "04c-vault-specific-reordered.yml"].map(|name| {
            let manifest = good(&format!("examples/{name}"));
            let secrets = manifest.secrets.iter().map(|secret| {
                let targets: Vec<_> = secret.targets.iter().map(|target| &target.settings).collect();
                format!("{} {:?} {:?}", secret.name.value, secret.source.shape(), targets)
            });
            secrets.collect::<Vec<_>>().join("\n")
        });
    assert_eq!(nested, reordered);
}

#[test]
fn a_template_inside_one_secret_is_seen_by_that_secret_only() {
    let text = "metadata: { project: p }
providers: { local: { kind: local } }
secrets:
  - name: a
    kind: templates.t
    templates: { t: { fields: { x: { generator: { kind: uuid } } } } }
    targets: [{ provider: local, kind: file, config: { path: a.json } }]
  - name: b
    kind: templates.t
    targets: [{ provider: local, kind: file, config: { path: b.json } }]
";
    let (_, text) = load_text(text, &inputs(&environment));
    insta::assert_snapshot!(text, @r#"
    error[unknown-template]: there is no template `t`
     --> Secretfile.yml:9:11 (secret `b`)
      |
    9 |     kind: templates.t
      |           ^^^^^^^^^^^
      = help: the file has no templates: declare it under `templates:`
    "#);
}

#[test]
fn a_plan_needs_no_environment_for_values_and_validate_none_for_credentials() {
    let nothing = |_: &str| None;
    let offline = Inputs { statics: Statics::Leave, credentials: Credentials::Leave, ..inputs(&nothing) };
    let text =
        fs::read_to_string(files("examples").into_iter().find(|path| path.ends_with("09-complete.yml")).unwrap());
    let (loaded, text) = load_text(&text.unwrap(), &offline);
    let manifest = loaded.manifest.unwrap_or_else(|| panic!("{text}"));
    let database = secret(&manifest, "database_credentials");
    assert_eq!(value(&fields(database)[0].generator), None, "DB_HOST stays unresolved");
    assert_eq!(value(&fields(database)[2].generator).as_deref(), Some("myapp"), "a variable of the file does not");
    assert_eq!(value(&fields(database)[5].generator), None, "DB_HOST is in the connection string too");
    let vault = manifest.providers.iter().find(|block| block.alias.value == "vault").unwrap();
    let unresolved: Vec<_> =
        vault.unresolved.iter().map(|(name, variable)| (name.as_str(), variable.value.as_str())).collect();
    assert_eq!(unresolved, [("token", "VAULT_TOKEN"), ("url", "VAULT_ADDR")]);
}

#[test]
fn with_statics_left_alone_a_set_environment_variable_stays_out_as_well() {
    let leave = Inputs { statics: Statics::Leave, ..inputs(&environment) };
    let path = files("examples").into_iter().find(|path| path.ends_with("08-cost-optimisation.yml")).unwrap();
    let (loaded, _) = load_text(&fs::read_to_string(path).unwrap(), &leave);
    let manifest = loaded.manifest.unwrap();
    assert_eq!(value(single(secret(&manifest, "large_certificate"))), None);
    assert_eq!(value(single(secret(&manifest, "app_version"))).as_deref(), Some("1.0.0"));
}

#[test]
fn the_declaration_is_what_was_written_and_not_what_it_means() {
    let manifest = good("examples/08-cost-optimisation.yml");
    let certificate = single(secret(&manifest, "large_certificate"));
    insta::assert_snapshot!(certificate.declaration, @r#"{"config":{"default":"${CERTIFICATE_CONTENT}"},"kind":"static"}"#);
    let database = single(secret(&manifest, "database_master_password"));
    insta::assert_snapshot!(database.declaration, @r#"{"config":{"length":"32","special":"true"},"kind":"random_password"}"#);
}

#[test]
fn a_variable_given_for_this_run_wins_and_is_not_expanded_again() {
    let over =
        BTreeMap::from([("environment".to_owned(), "staging".to_owned()), ("app_name".to_owned(), "a.b".to_owned())]);
    let given = Inputs { var_overrides: over, ..inputs(&environment) };
    let path = files("examples").into_iter().find(|path| path.ends_with("01-basic.yml")).unwrap();
    let text = fs::read_to_string(path).unwrap().replace("myapp-prod", "prod").replace("${app_name}-", "app-");
    let (loaded, text) = load_text(&text, &given);
    let manifest = loaded.manifest.unwrap_or_else(|| panic!("{text}"));
    assert_eq!(secret(&manifest, "database_password").targets[1].settings.name(), "staging/a.b/database/password");
}

/// The settings of the targets of `environments.yml` in one environment, with what its files of variables hold.
fn settings_in(name: &str, from_files: &[(&str, &str)]) -> String {
    let path = files("manifests/good").into_iter().find(|path| path.ends_with("environments.yml")).unwrap();
    let environment_variables =
        from_files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    let chosen = Inputs { environment_name: Some(name.to_owned()), environment_variables, ..inputs(&environment) };
    let (loaded, text) = load_text(&fs::read_to_string(path).unwrap(), &chosen);
    let manifest = loaded.manifest.unwrap_or_else(|| panic!("{text}"));
    let region = manifest.providers[0].setting("region").unwrap().to_owned();
    let targets = manifest.secrets.iter().flat_map(|secret| &secret.targets);
    targets.map(|target| format!("{region} {:?}\n", target.settings)).collect()
}

#[test]
fn an_environment_has_variables_and_defaults_of_its_own() {
    insta::assert_snapshot!(settings_in("staging", &[]), @r#"
    eu-west-1 SecretsManager(SecretsManagerSettings { name: "shop-staging/token", description: None, kms_key_id: Some("alias/shop-staging"), replica_regions: [], tags: {"Environment": "staging", "Owner": "orders"} })
    eu-west-1 SsmParameter(SsmParameterSettings { name: "/shop-staging/token", parameter_type: SecureString, tier: Advanced, data_type: "text", policies: None, expires: None, description: None, kms_key_id: None, tags: {"Environment": "staging"} })
    "#);
}

#[test]
fn an_environments_own_variables_win_over_its_files_and_those_over_the_rest() {
    insta::assert_snapshot!(settings_in("production", &[("region", "us-east-1"), ("prefix", "from-file")]), @r#"
    eu-central-1 SecretsManager(SecretsManagerSettings { name: "from-file/token", description: None, kms_key_id: None, replica_regions: [], tags: {"Environment": "production", "Owner": "orders"} })
    eu-central-1 SsmParameter(SsmParameterSettings { name: "/from-file/token", parameter_type: SecureString, tier: Standard, data_type: "text", policies: None, expires: None, description: None, kms_key_id: None, tags: {"Environment": "production", "Owner": "platform"} })
    "#);
}

#[test]
fn what_an_environment_reads_is_known_before_the_file_is_loaded() {
    let path = files("manifests/good").into_iter().find(|path| path.ends_with("environments.yml")).unwrap();
    let source = Source::new("Secretfile.yml", fs::read_to_string(path).unwrap());
    let told = environments(&source).into_iter().map(|one| {
        let files: Vec<String> = one.var_files.iter().map(|file| file.value.clone()).collect();
        format!("{} {files:?} {}", one.name.value, one.lock_path())
    });
    insta::assert_snapshot!(told.collect::<Vec<_>>().join("\n"), @r#"
    staging [] .gitsecrets.staging.lock
    production ["environments/production.yml", "environments/common.yml"] locks/production.lock
    "#);
}

#[test]
fn a_file_without_environments_takes_any_name() {
    let named = Inputs { environment_name: Some("Whatever it is".to_owned()), ..inputs(&environment) };
    let (loaded, text) = load_text("metadata: {project: p}\nsecrets: []\n", &named);
    assert!(loaded.manifest.is_some_and(|manifest| manifest.environment.is_none()), "{text}");
}

#[test]
fn no_two_environments_have_one_lock_by_themselves() {
    let names = ["prod", "Prod", "prod_", "prod/", "pr.od", "pröd", "_70rod", "p-rod"];
    let locks: std::collections::BTreeSet<String> = names.iter().map(|name| lock_name(name).to_lowercase()).collect();
    assert_eq!(locks.len(), names.len(), "{locks:?}");
    assert_eq!(lock_name("prod"), ".gitsecrets.prod.lock");
    assert!(locks.iter().all(|lock| !lock.contains('/')), "{locks:?}");
}

#[test]
fn a_file_of_variables_says_what_is_wrong_with_it_and_shows_none() {
    let source = Source::new("prod.yml", "name: x\nkind: [hunter2]\n2b: hunter2\nnull_one:\n");
    let findings = variables_file(&source).unwrap_err();
    insta::assert_snapshot!(render(&source, &findings, false), @r#"
    error[wrong-type]: the variable `kind` is a list, not a text
     --> prod.yml:2:1
      |
    2 | kind: [•••]
      | ^^^^
      = help: a variable holds one text or number

    error[bad-name]: `2b` cannot be the name of a variable
     --> prod.yml:3:1
      |
    3 | 2b: •••
      | ^^
      = help: use letters, digits, `_` and `-`, and begin with a letter

    error[missing-value]: the variable `null_one` has no value
     --> prod.yml:4:1
      |
    4 | null_one:
      | ^^^^^^^^
      = help: write one after it; an empty text is ""
    "#);
    let good = variables_file(&Source::new("prod.yml", "a: 0755\nb: yes\n")).unwrap();
    assert_eq!(good, BTreeMap::from([("a".to_owned(), "0755".to_owned()), ("b".to_owned(), "yes".to_owned())]));
}

#[test]
fn the_places_of_a_target_are_known_to_later_checks() {
    let manifest = good("examples/07-compliance.yml");
    let target = &secret(&manifest, "payment_gateway_key").targets[0];
    let lines =
        ["provider", "kind", "name", "kms_key_id", "tags", "no_such_setting"].map(|key| target.span_of(key).line);
    assert_eq!(lines, [64, 65, 67, 69, 70, 64]);
}
