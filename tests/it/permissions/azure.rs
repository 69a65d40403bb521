//! The printed roles and assignments on a vault that enforces Azure RBAC as Microsoft's tables have it: a
//! plan and every step of a sync work with exactly these, without any one of them some step fails and says
//! so, and the plan's principal reads no value.

mod policies;

use std::collections::BTreeMap;

use reqwest::{Method, StatusCode};
use serde_json::{Value as Json, json};

use super::Printed;
use crate::azure::certificate;
use crate::fake::azure::{Application, FakeAzure, ObjectState, Request, VAULT, World, object_id};
use crate::sandbox::{Ran, Sandbox};

const PLAN: &str = "aaaaaaaa-0000-4000-8000-000000000001";
const SYNC: &str = "aaaaaaaa-0000-4000-8000-000000000002";
const SECRET: &str = "canary~azure-secret-of-both";

const SUBSCRIPTION: &str = "00000000-1111-4222-8333-444444444444";
const GROUP: &str = "secrets";

/// The secret that a certificate needs its name for.
const NAME: &str = "/secrets/app-certificate";

/// So many places that a list of the vault would be tried first.
const PLACES: [&str; 4] = ["app-token", "app-one", "app-two", "app-three"];

/// Made, changed, and copied to one more place, so that the value must be read back.
fn secretfile(step: usize) -> String {
    let team = if step == 0 { "core" } else { "edge" };
    let place = |kind: &str, settings: &str| {
        format!(
            "{{provider: azure, kind: {kind}, config: {{vault_url: 'https://{VAULT}', {settings}, tags: {{team: {team}}}}}}}"
        )
    };
    let copy = ["app-copy"];
    let names = PLACES.iter().chain(if step < 2 { &[][..] } else { &copy });
    let secrets: String =
        names.map(|name| format!("\n      - {}", place("key_vault", &format!("secret_name: {name}")))).collect();
    let certificate =
        place("key_vault_certificate", "certificate_name: app-certificate, content_type: application/x-pem-file");
    format!(
        "metadata: {{project: rights}}
providers:
  azure: {{kind: azure, auth: {{kind: default}}}}
secrets:
  - name: token
    kind: random_string
    targets:{secrets}
  - name: certificate
    kind: static
    config: {{default: '${{CERTIFICATE}}'}}
    targets:
      - {certificate}
"
    )
}

/// A vault under RBAC, two applications, and a folder.
struct Stage {
    azure: FakeAzure,
    sandbox: Sandbox,
}

impl Stage {
    fn new() -> Self {
        let (azure, sandbox) = (FakeAzure::start(), Sandbox::new());
        sandbox.write("ca.pem", azure.ca());
        azure.edit(|world| {
            world.govern(VAULT, SUBSCRIPTION, GROUP);
            for client in [PLAN, SYNC] {
                let application = Application { secret: Some(SECRET.into()), ..Application::default() };
                world.applications.insert(client.into(), application);
            }
        });
        Self { azure, sandbox }
    }

    /// One with what is printed for both phases.
    fn printed() -> Self {
        let stage = Self::new();
        stage.azure.edit(|world| {
            administer(world, "plan", PLAN, &secretfile(2));
            administer(world, "sync", SYNC, &secretfile(2));
        });
        stage
    }

    fn run(&self, client: &str, step: usize, certificate: &Json, args: &[&str]) -> Ran {
        self.run_with(client, &secretfile(step), certificate, args)
    }

    fn run_with(&self, client: &str, secretfile: &str, certificate: &Json, args: &[&str]) -> Ran {
        self.sandbox.write("Secretfile.yml", secretfile);
        let ca = self.sandbox.path("ca.pem").display().to_string();
        let mut environment: BTreeMap<String, String> =
            self.azure.env(&ca).into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        environment.insert("AZURE_CLIENT_ID".into(), client.into());
        environment.insert("AZURE_CLIENT_SECRET".into(), SECRET.into());
        let text = |name: &str| certificate[name].as_str().unwrap();
        environment.insert("CERTIFICATE".into(), format!("{}{}", text("key"), text("certificate")));
        self.sandbox.run_with(&[args, &["--rate-limit", "off", "--retry-max-attempts", "1"]].concat(), &environment)
    }

    fn plan(&self, step: usize) -> Ran {
        self.run(PLAN, step, &first(), &["sync", "--dry-run"])
    }

    /// What a Secretfile goes through, up to the first step that fails.
    fn life(&self) -> Result<(), Ran> {
        let (first, second) = (first(), certificate("second.example", ""));
        let step = |step: usize, certificate: &Json, args: &[&str]| {
            let ran = self.run(SYNC, step, certificate, args);
            if ran.code == Some(0) { Ok(()) } else { Err(ran) }
        };
        step(0, &first, &["sync"])?;
        let effects = self.azure.effects();
        step(0, &first, &["sync"])?;
        assert_eq!(self.azure.effects(), effects, "the second changes nothing");
        step(1, &first, &["sync"])?;
        step(1, &first, &["rotate", "--force", "--secret", "token"])?;
        step(1, &second, &["rotate", "--force", "--secret", "certificate"])?;
        step(2, &second, &["sync"])?;
        self.azure.edit(|world| delete(world, "app-token"));
        step(2, &second, &["sync"])?;
        self.azure.edit(|world| delete(world, "app-certificate"));
        step(2, &second, &["sync"])?;
        let value = self.azure.secret("app-token").unwrap().current().value.clone();
        assert_eq!(self.azure.secret("app-copy").unwrap().current().value, value);
        assert_eq!(self.azure.certificate("app-certificate").unwrap().versions.len(), 2);
        Ok(())
    }

    /// Asks a vault by hand with a token of an application.
    async fn ask(&self, client: &str, method: Method, path: &str, body: Json) -> (StatusCode, Json) {
        let token = self.azure.edit(|world| {
            world.tokens.iter().find(|(_, (holder, _))| holder == client).map(|(token, _)| token.clone()).unwrap()
        });
        let request = self.azure.client().request(method, format!("https://{VAULT}{path}?api-version=7.4"));
        let answer = request.bearer_auth(token).body(body.to_string()).send().await.unwrap();
        let status = answer.status();
        (status, serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default())
    }
}

fn first() -> Json {
    static FIRST: std::sync::LazyLock<Json> = std::sync::LazyLock::new(|| certificate("first.example", ""));
    FIRST.clone()
}

/// Soft-deletes behind everybody's back.
fn delete(world: &mut World, name: &str) {
    let vault = world.vault(VAULT);
    for object in [vault.secrets.get_mut(name), vault.certificates.get_mut(name)].into_iter().flatten() {
        object.state = ObjectState::Deleted;
    }
}

/// Does what is printed for a phase, word by word, for an application.
fn administer(world: &mut World, phase: &str, client: &str, secretfile: &str) {
    let args = ["--phase", phase, "--cloud", "azure", "--subscription", SUBSCRIPTION, "--resource-group", GROUP];
    let printed = Printed::of(&secretfile.replace("${CERTIFICATE}", "x"), &args);
    for command in printed.commands(&[("PRINCIPAL_ID", &object_id(client))]) {
        let words: Vec<&str> = command.iter().map(String::as_str).collect();
        let done = match words[..] {
            ["az", "role", "definition", "create", "--role-definition", file] => {
                let text = &printed.documents[file.strip_prefix('@').unwrap()];
                world.rbac.define(&serde_json::from_str(text).unwrap())
            }
            [
                "az",
                "role",
                "assignment",
                "create",
                "--role",
                role,
                "--assignee-object-id",
                principal,
                "--assignee-principal-type",
                "ServicePrincipal",
                "--scope",
                scope,
            ] => world.rbac.assign(role, principal, scope),
            _ => panic!("{words:?} is no command that Azure knows"),
        };
        done.unwrap_or_else(|refused| panic!("{words:?}: {refused}"));
    }
}

/// Every data action that is printed for a phase.
fn actions(phase: &str) -> Vec<String> {
    let printed = Printed::of(&secretfile(2).replace("${CERTIFICATE}", "x"), &["--phase", phase, "--cloud", "azure"]);
    let role: Json = serde_json::from_str(&printed.documents[&format!("azure-{phase}-role.json")]).unwrap();
    serde_json::from_value(role["DataActions"].clone()).unwrap()
}

/// What a refusal of this data action is told with: our calls bear the words of access policies.
fn told(action: &str) -> &'static str {
    match action.strip_prefix("Microsoft.KeyVault/vaults/").unwrap() {
        "secrets/readMetadata/action" => "secrets/list",
        "secrets/getSecret/action" => "secrets/get",
        "secrets/recover/action" => "secrets/recover",
        "secrets/setSecret/action" | "secrets/update/action" => "secrets/set",
        "certificates/read" => "certificates/list",
        "certificates/import/action" => "certificates/import",
        "certificates/recover/action" => "certificates/recover",
        "certificates/update/action" => "certificates/update",
        other => panic!("{other} is new here"),
    }
}

fn is_told(ran: &Ran, call: &str) -> bool {
    let said = format!("{}{}", ran.stdout, ran.stderr);
    said.contains(&format!("Azure refused {call} ")) && said.contains("ForbiddenByRbac")
}

/// What shows a value, or a backup that holds one.
fn shows_a_value(request: &Request) -> bool {
    let path: Vec<&str> = request.path.iter().map(String::as_str).collect();
    match path[..] {
        ["secrets", _] | ["secrets", _, _] if request.method == "GET" => path.last() != Some(&"versions"),
        [.., "backup"] => true,
        _ => false,
    }
}

#[test]
fn a_sync_at_azure_works_with_exactly_the_printed_rights() {
    for bin_is_a_value in [false, true] {
        let stage = Stage::printed();
        stage.azure.edit(|world| world.rbac.bin_is_a_value = bin_is_a_value);
        stage.life().unwrap_or_else(|ran| panic!("the printed rights do not do: {ran:?}"));
        let strays = stage.azure.requests().into_iter().filter(|request| !request.denied && request.path.len() == 1);
        assert_eq!(strays.count(), 0, "nobody may list what else the vault holds");
    }
}

#[test]
fn a_sync_at_azure_needs_each_printed_data_action_and_says_which() {
    for action in actions("sync") {
        let stage = Stage::printed();
        assert!(stage.azure.edit(|world| world.rbac.without(&action)), "{action}");
        let Err(ran) = stage.life() else { panic!("everything works without {action}") };
        assert!(is_told(&ran, told(&action)), "{action} is not told: {ran:?}");
    }
}

#[test]
fn a_sync_at_azure_needs_each_printed_assignment() {
    let scopes = Stage::printed().azure.edit(|world| world.rbac.scopes());
    let scopes: std::collections::BTreeSet<String> = scopes.into_iter().collect();
    assert_eq!(scopes.len(), PLACES.len() + 3, "a copy, a certificate and its name: {scopes:?}");
    for scope in scopes.into_iter().filter(|scope| !scope.ends_with(NAME)) {
        let stage = Stage::printed();
        assert!(stage.azure.edit(|world| world.rbac.unassign(&scope)));
        let Err(ran) = stage.life() else { panic!("everything works without {scope}") };
        let name = scope.rsplit('/').next().unwrap();
        assert!(format!("{ran:?}").contains(&format!("on `{name}`")), "{scope} is not told: {ran:?}");
    }
}

#[tokio::test]
async fn a_plan_at_azure_works_with_exactly_the_printed_rights_and_reads_no_value() {
    for bin_is_a_value in [false, true] {
        let stage = Stage::printed();
        stage.azure.edit(|world| world.rbac.bin_is_a_value = bin_is_a_value);
        let planned = |step: usize, expected: &str| {
            let ran = stage.plan(step);
            assert!(ran.code == Some(0) && ran.stdout.contains(expected), "{expected}: {ran:?}");
        };
        planned(2, "Would create");
        assert_eq!(stage.run(SYNC, 0, &first(), &["sync"]).code, Some(0));
        planned(0, "");
        planned(1, "Would change metadata");
        planned(2, "app-copy");
        let ran = stage.run(PLAN, 0, &first(), &["drift"]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let effects = stage.azure.effects();
        let ran = stage.run(PLAN, 1, &first(), &["sync"]);
        assert!(ran.code != Some(0) && is_told(&ran, "secrets/set"), "a plan's rights write nothing: {ran:?}");
        assert_eq!(stage.azure.effects(), effects);
        stage.azure.edit(|world| {
            delete(world, "app-one");
            delete(world, "app-certificate");
        });
        planned(0, if bin_is_a_value { "copied from Azure Key Vault `app-token`" } else { "Would restore" });

        let answered = stage.azure.requests().into_iter();
        let answered: Vec<Request> = answered.filter(|one| one.client == PLAN && !one.denied).collect();
        assert!(answered.len() > 20, "{}", answered.len());
        assert!(!answered.iter().any(|request| shows_a_value(request) || request.method != "GET"), "{answered:?}");
    }
}

#[tokio::test]
async fn the_plans_principal_is_refused_every_value_and_every_write() {
    let stage = Stage::printed();
    assert_eq!(stage.run(SYNC, 0, &first(), &["sync"]).code, Some(0));
    assert_eq!(stage.plan(0).code, Some(0));
    let version = stage.azure.secret("app-token").unwrap().current().id.clone();
    let key = stage.azure.secret("app-certificate").unwrap();
    assert!(key.current().value.contains("PRIVATE KEY"), "a certificate's secret holds its key");
    let set = json!({ "value": "x" });
    for (method, path, action) in [
        (Method::GET, "/secrets/app-token".to_owned(), "secrets/getSecret/action"),
        (Method::GET, format!("/secrets/app-token/{version}"), "secrets/getSecret/action"),
        (Method::GET, "/secrets/app-certificate".into(), "secrets/getSecret/action"),
        (Method::GET, "/secrets/others/versions".into(), "secrets/readMetadata/action"),
        (Method::GET, "/secrets".into(), "secrets/readMetadata/action"),
        (Method::POST, "/secrets/app-token/backup".into(), "secrets/backup/action"),
        (Method::POST, "/certificates/app-certificate/backup".into(), "certificates/backup/action"),
        (Method::POST, "/keys/app-certificate/x/sign".into(), "keys/sign/action"),
        (Method::PUT, "/secrets/app-token".into(), "secrets/setSecret/action"),
        (Method::PATCH, format!("/secrets/app-token/{version}"), "secrets/update/action"),
        (Method::DELETE, "/secrets/app-token".into(), "secrets/delete"),
        (Method::POST, "/deletedsecrets/app-token/recover".into(), "secrets/recover/action"),
        (Method::DELETE, "/deletedsecrets/app-token".into(), "secrets/purge/action"),
    ] {
        let (status, answer) = stage.ask(PLAN, method, &path, set.clone()).await;
        assert_eq!((status.as_u16(), answer["error"]["innererror"]["code"].as_str()), (403, Some("ForbiddenByRbac")));
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(message.contains(&format!("Action: 'Microsoft.KeyVault/vaults/{action}'")), "{path}: {message}");
    }
    for path in ["/secrets/app-token/versions", "/secrets/app-certificate/versions"] {
        let (status, answer) = stage.ask(PLAN, Method::GET, path, Json::Null).await;
        assert!(status.is_success() && answer["value"][0]["value"].is_null(), "{answer}");
    }
    // A sync reads back what it wrote, but no private key.
    for (path, expected) in [("/secrets/app-token", 200), ("/secrets/app-certificate", 403), ("/secrets/others", 403)] {
        let (status, answer) = stage.ask(SYNC, Method::GET, path, Json::Null).await;
        assert_eq!(status.as_u16(), expected, "{path}: {answer}");
    }
}

/// A certificate needs its name for a secret of its own, so one that has it already is in its way.
#[test]
fn either_phase_sees_a_secret_in_the_way_of_a_certificate_and_needs_a_right_for_it() {
    for named in [true, false] {
        let stage = Stage::printed();
        stage.azure.edit(|world| {
            world.put(VAULT, "app-certificate", "x", &[]);
            let scope = world.rbac.scopes().into_iter().find(|scope| scope.ends_with(NAME)).unwrap();
            assert!(named || world.rbac.unassign(&scope));
        });
        for (client, args) in [(PLAN, &["sync", "--dry-run"][..]), (SYNC, &["sync"])] {
            let ran = stage.run(client, 0, &first(), args);
            let seen = ran.stderr.contains("a secret of the same name stands in the vault");
            assert_eq!(
                (seen, stage.azure.count("certificates/import") == 0),
                (named, named || client == PLAN),
                "{ran:?}"
            );
        }
    }
}

#[test]
fn a_plan_at_azure_needs_each_printed_right_and_says_which() {
    for action in actions("plan") {
        let stage = Stage::printed();
        // The sync's role keeps it, as a person would take it from one of the two.
        stage.azure.edit(|world| world.rbac = Default::default());
        stage.azure.edit(|world| {
            administer(world, "plan", PLAN, &secretfile(2));
            assert!(world.rbac.without(&action), "{action}");
            administer(world, "sync", SYNC, &secretfile(2));
        });
        assert_eq!(stage.run(SYNC, 0, &first(), &["sync"]).code, Some(0));
        let ran = stage.plan(0);
        assert!(ran.code != Some(0) && is_told(&ran, told(&action)), "{action}: {ran:?}");
    }
}

#[test]
fn certificates_alone_get_no_right_to_a_value_in_either_phase() {
    let whole = secretfile(0);
    let (head, certificate) = (whole.find("  - name: token").unwrap(), whole.find("  - name: certificate").unwrap());
    let text = whole[..head].to_owned() + &whole[certificate..];
    let stage = Stage::new();
    stage.azure.edit(|world| {
        administer(world, "plan", PLAN, &text);
        administer(world, "sync", SYNC, &text);
    });
    let run = |client: &str, args: &[&str]| {
        let ran = stage.run_with(client, &text, &first(), args);
        assert_eq!(ran.code, Some(0), "{ran:?}");
    };
    run(PLAN, &["sync", "--dry-run"]);
    run(SYNC, &["sync"]);
    run(SYNC, &["rotate", "--force", "--secret", "certificate"]);
    run(PLAN, &["drift"]);
    assert!(!stage.azure.requests().iter().any(|request| !request.denied && shows_a_value(request)));
    stage.azure.edit(|world| {
        for action in ["certificates/read", "secrets/readMetadata/action"] {
            assert!(world.rbac.without(&format!("Microsoft.KeyVault/vaults/{action}")), "{action}");
        }
        assert!(!world.rbac.without("Microsoft.KeyVault/vaults/secrets/getSecret/action"));
    });
}

/// What the notes beside the texts say of Microsoft's own roles.
#[test]
fn the_built_in_roles_do_as_well() {
    let stage = Stage::new();
    stage.azure.edit(|world| {
        let id = world.govern(VAULT, SUBSCRIPTION, GROUP);
        for (client, role) in [
            (PLAN, "21090545-7ca7-4776-b22c-e363652d74d2"),
            (SYNC, "Key Vault Secrets Officer"),
            (SYNC, "Key Vault Certificates Officer"),
        ] {
            world.rbac.assign(role, &object_id(client), &id).unwrap();
        }
    });
    stage.life().unwrap_or_else(|ran| panic!("{ran:?}"));
    let ran = stage.plan(2);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let shown =
        stage.azure.requests().into_iter().filter(|one| one.client == PLAN && !one.denied && shows_a_value(one));
    assert_eq!(shown.count(), 0);
}
