//! The printed roles and bindings on a fake of Google that enforces IAM as Google's tables have it: a plan
//! and every step of a sync work with exactly these, without any one of them some step fails or says so,
//! and the plan's principal reads no value.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::Printed;
use crate::fake::gcp::sign_in::MACHINE;
use crate::fake::gcp::world::NUMBER;
use crate::fake::gcp::{Asked, FakeGcp, Iam, PROJECT};
use crate::sandbox::{Ran, Sandbox};

/// Whom the printed bindings name.
const PLAN: &str = "secretzero-plan@shop-prod.iam.gserviceaccount.com";
const SYNC: &str = "secretzero-sync@shop-prod.iam.gserviceaccount.com";

/// More places than one condition can name.
const PLACES: usize = 7;

/// Made, changed, and copied to one more place, so that the value must be read back. The first place keeps
/// one version.
fn secretfile(step: usize) -> String {
    let team = if step == 0 { "core" } else { "edge" };
    let place = |at: usize| {
        let keep = if at == 0 { ", keep_versions: 1" } else { "" };
        format!(
            "\n      - {{provider: gcp, kind: secret_manager, config: {{secret_id: shop-{at}, labels: {{team: {team}}}{keep}}}}}"
        )
    };
    let places: String = (0..PLACES + usize::from(step >= 2)).map(place).collect();
    format!(
        "metadata: {{project: rights}}
providers:
  gcp: {{kind: gcp, auth: {{kind: ambient, config: {{project_id: {PROJECT}}}}}}}
secrets:
  - name: token
    kind: random_string
    targets:{places}
"
    )
}

fn printed(phase: &str) -> Printed {
    Printed::of(&secretfile(2), &["--phase", phase, "--cloud", "gcp", "--project-number", NUMBER])
}

/// The file of a custom role.
fn role(printed: &Printed, file: &str) -> Json {
    serde_saphyr::from_str(&printed.documents[file]).unwrap()
}

/// Every permission that is printed for a phase.
fn permissions(phase: &str) -> BTreeSet<String> {
    let printed = printed(phase);
    let files = printed.documents.keys().filter(|name| name.ends_with(".yaml"));
    let of = |file: &String| -> Vec<String> {
        serde_json::from_value(role(&printed, file)["includedPermissions"].clone()).unwrap()
    };
    files.flat_map(of).collect()
}

/// Does what is printed, word by word.
fn follow(iam: &mut Iam, printed: &Printed) {
    for command in printed.commands(&[]) {
        let words: Vec<&str> = command.iter().map(String::as_str).collect();
        let flag = |name: &str| {
            let value = words.iter().find_map(|word| word.strip_prefix("--")?.strip_prefix(name)?.strip_prefix('='));
            value.unwrap_or_else(|| panic!("no --{name}: {words:?}"))
        };
        let done = match words[..] {
            ["gcloud", "iam", "roles", "create", id, _, _] => {
                iam.create_role(id, flag("project"), &role(printed, flag("file")))
            }
            ["gcloud", "projects", "add-iam-policy-binding", PROJECT, _, _, _] => {
                iam.bind(None, flag("member"), flag("role"), expression(flag("condition")))
            }
            _ => panic!("{words:?} is no command that Google knows"),
        };
        done.unwrap_or_else(|refused| panic!("{words:?}: {refused}"));
    }
}

/// The expression of `--condition`, which gcloud takes apart at its commas
/// (<https://cloud.google.com/sdk/gcloud/reference/projects/add-iam-policy-binding>).
fn expression(condition: &str) -> Option<&str> {
    if condition == "None" {
        return None;
    }
    let parts: Vec<(&str, &str)> = condition.split(',').map(|part| part.split_once('=').unwrap()).collect();
    let [("expression", expression), ("title", title)] = parts[..] else { panic!("{condition}") };
    assert!((1..=100).contains(&title.len()), "{title}");
    Some(expression)
}

/// A project with two service accounts, and a folder.
struct Stage {
    gcp: FakeGcp,
    sandbox: Sandbox,
}

impl Stage {
    /// One with what is printed for both phases.
    fn printed() -> Self {
        let gcp = FakeGcp::start();
        gcp.govern(|iam| ["plan", "sync"].iter().for_each(|phase| follow(iam, &printed(phase))));
        let sandbox = Sandbox::new().env(gcp.env());
        Self { gcp, sandbox }
    }

    fn run(&self, principal: &str, step: usize, args: &[&str]) -> Ran {
        self.sandbox.write("Secretfile.yml", &secretfile(step));
        self.gcp.trust(|sign_in| sign_in.machine = Some(principal.to_owned()));
        self.sandbox.run(&[args, &["--rate-limit", "off", "--retry-max-attempts", "1"]].concat())
    }

    fn plan(&self, step: usize) -> Ran {
        self.run(PLAN, step, &["sync", "--dry-run"])
    }

    /// What a Secretfile goes through, up to the first step that fails or tells that a right is missing.
    fn life(&self) -> Result<(), Ran> {
        let step = |step: usize, args: &[&str]| {
            let ran = self.run(SYNC, step, args);
            if ran.code == Some(0) && !ran.stderr.contains("PERMISSION_DENIED") { Ok(()) } else { Err(ran) }
        };
        step(0, &["sync"])?;
        let effects = self.gcp.effects();
        step(0, &["sync"])?;
        assert_eq!(self.gcp.effects(), effects, "the second changes nothing");
        step(1, &["sync"])?;
        step(1, &["rotate", "--force", "--secret", "token"])?;
        step(1, &["rotate", "--force", "--secret", "token"])?;
        step(2, &["sync"])?;
        assert_eq!(self.gcp.secret("shop-0").unwrap().states(), ["DESTROYED", "DISABLED", "ENABLED"]);
        let value = |id: &str| self.gcp.secret(id).unwrap().enabled().pop().unwrap().1;
        assert_eq!(value("shop-0"), value(&format!("shop-{PLACES}")));
        Ok(())
    }

    /// Calls the API by hand as a principal.
    async fn ask(&self, principal: &str, method: reqwest::Method, below: &str) -> (u16, Json) {
        let token = self.gcp.trust(|sign_in| sign_in.token(principal));
        let url = format!("{}/v1/projects/{PROJECT}/secrets{below}", self.gcp.url());
        let answer = reqwest::Client::new().request(method, url).bearer_auth(token).body("{}").send().await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default())
    }

    /// Calls of a principal that were allowed.
    fn answered(&self, principal: &str) -> Vec<Asked> {
        let by = format!("serviceAccount:{principal}");
        self.gcp.requests().into_iter().filter(|asked| asked.by == by && !asked.denied).collect()
    }
}

fn is_told(ran: &Ran, permission: &str) -> bool {
    let said = format!("{}{}", ran.stdout, ran.stderr);
    said.contains(&format!("Google refused {permission} ")) && said.contains("PERMISSION_DENIED")
}

#[test]
fn a_sync_at_google_works_with_exactly_the_printed_rights() {
    let stage = Stage::printed();
    stage.life().unwrap_or_else(|ran| panic!("the printed rights do not do: {ran:?}"));
    let used: BTreeSet<String> =
        stage.answered(SYNC).into_iter().map(|asked| format!("secretmanager.{}", asked.permission)).collect();
    assert_eq!(used, permissions("sync"), "each is used, and no other");
}

#[test]
fn a_sync_at_google_needs_each_printed_permission_and_says_which() {
    for permission in permissions("sync") {
        let stage = Stage::printed();
        assert!(stage.gcp.govern(|iam| iam.without(&permission)), "{permission}");
        let Err(ran) = stage.life() else { panic!("everything works without {permission}") };
        assert!(is_told(&ran, &permission), "{permission} is not told: {ran:?}");
    }
}

#[test]
fn either_phase_needs_each_printed_binding() {
    let bindings = Stage::printed().gcp.govern(|iam| iam.bindings());
    assert_eq!(bindings, 2 + 3, "two conditions each, and what makes secrets");
    for at in 0..bindings {
        let stage = Stage::printed();
        stage.gcp.govern(|iam| iam.unbind(at));
        let (plan, life) = (stage.plan(2), stage.life());
        let failed = if at < 2 { plan } else { life.unwrap_err() };
        assert!(failed.code != Some(0) && failed.stderr.contains("PERMISSION_DENIED"), "{at}: {failed:?}");
    }
}

/// A condition names each secret twice: itself, for what is asked of it, and what its versions begin with.
#[test]
fn either_phase_needs_both_terms_of_a_condition() {
    let name = format!("projects/{NUMBER}/secrets/shop-0");
    for term in
        [format!("resource.name == \"{name}\" || "), format!("resource.name.startsWith(\"{name}/versions/\") || ")]
    {
        let stage = Stage::printed();
        stage.life().unwrap_or_else(|ran| panic!("{ran:?}"));
        let [plan, sync] = ["plan", "sync"].map(|phase| {
            let mut printed = printed(phase);
            let script = printed.documents.get_mut(&format!("gcp-{phase}-bindings.sh")).unwrap();
            assert!(script.contains(&term), "{script}");
            *script = script.replace(&term, "");
            printed
        });
        stage.gcp.govern(|iam| {
            *iam = Iam::default();
            [&plan, &sync].into_iter().for_each(|printed| follow(iam, printed));
        });
        for ran in [stage.plan(2), stage.run(SYNC, 2, &["rotate", "--force", "--secret", "token"])] {
            assert!(ran.code != Some(0) && ran.stderr.contains("PERMISSION_DENIED"), "{term}: {ran:?}");
        }
    }
}

#[test]
fn a_plan_at_google_works_with_exactly_the_printed_rights_and_reads_no_value() {
    let stage = Stage::printed();
    let planned = |step: usize, expected: &str| {
        let ran = stage.plan(step);
        assert!(ran.code == Some(0) && ran.stdout.contains(expected), "{expected}: {ran:?}");
    };
    planned(2, "Would create");
    stage.life().unwrap_or_else(|ran| panic!("{ran:?}"));
    planned(2, "");
    planned(0, "Would change metadata");
    let ran = stage.run(PLAN, 2, &["drift"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let effects = stage.gcp.effects();
    let ran = stage.run(PLAN, 0, &["sync"]);
    assert!(ran.code != Some(0) && is_told(&ran, "secretmanager.secrets.update"), "a plan writes nothing: {ran:?}");
    assert_eq!(stage.gcp.effects(), effects);

    let used: BTreeSet<String> =
        stage.answered(PLAN).into_iter().map(|asked| format!("secretmanager.{}", asked.permission)).collect();
    assert!(used.is_subset(&permissions("plan")), "{used:?}");
    assert!(!used.contains("secretmanager.versions.access"));
}

#[test]
fn a_plan_at_google_needs_each_printed_permission_and_says_which() {
    for permission in permissions("plan") {
        let stage = Stage::printed();
        stage.life().unwrap_or_else(|ran| panic!("{ran:?}"));
        // An older version is in force, which only the list tells.
        stage.gcp.edit(|world| {
            let newest = world.add("shop-1", b"x", true);
            world.set_state("shop-1", newest, "DISABLED");
        });
        let ran = stage.plan(2);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(stage.gcp.govern(|iam| iam.without(&permission)), "{permission}");
        let ran = stage.plan(2);
        assert!(ran.code != Some(0) && is_told(&ran, &permission), "{permission} is not told: {ran:?}");
    }
}

#[tokio::test]
async fn the_plans_principal_is_refused_every_value_and_every_write() {
    use reqwest::Method;
    let stage = Stage::printed();
    assert_eq!(stage.run(SYNC, 0, &["sync"]).code, Some(0));
    stage.gcp.edit(|world| {
        world.create("others", serde_json::json!({ "replication": { "automatic": {} } }).as_object().unwrap().clone())
    });
    for (method, below, permission) in [
        (Method::GET, "/shop-0/versions/latest:access", "versions.access"),
        (Method::GET, "/shop-0/versions/1:access", "versions.access"),
        (Method::POST, "/shop-0:addVersion", "versions.add"),
        (Method::POST, "/shop-0/versions/1:disable", "versions.disable"),
        (Method::POST, "/shop-0/versions/1:destroy", "versions.destroy"),
        (Method::PATCH, "/shop-0?updateMask=labels", "secrets.update"),
        (Method::DELETE, "/shop-0", "secrets.delete"),
        (Method::POST, "?secretId=more", "secrets.create"),
        (Method::GET, "", "secrets.list"),
        // Of what the Secretfile does not name it sees nothing, also where the beginning is the same.
        (Method::GET, "/others", "secrets.get"),
        (Method::GET, "/shop-00", "secrets.get"),
        (Method::GET, "/shop-00/versions/1", "versions.get"),
    ] {
        let (status, answer) = stage.ask(PLAN, method, below).await;
        let code = &answer["error"]["details"][0];
        assert_eq!((status, code["reason"].as_str()), (403, Some("IAM_PERMISSION_DENIED")), "{below}: {answer}");
        assert_eq!(code["metadata"]["permission"], format!("secretmanager.{permission}"), "{below}");
    }
    assert_eq!(stage.ask(PLAN, Method::GET, "/shop-0/versions/latest").await.0, 200);
    // The sync's principal makes any secret, but touches only those that are named.
    assert_eq!(stage.ask(SYNC, Method::GET, "/shop-0/versions/latest:access").await.0, 200);
    assert_eq!(stage.ask(SYNC, Method::POST, "/others:addVersion").await.0, 403);
    assert_eq!(stage.ask(MACHINE, Method::GET, "/shop-0").await.0, 403, "whom no binding names");
}

/// What the README says of Google's own roles, on the project and on one secret.
#[tokio::test]
async fn the_predefined_roles_do_as_well() {
    use reqwest::Method;
    let gcp = FakeGcp::start();
    gcp.govern(|iam| {
        for (member, role) in [(PLAN, "viewer"), (SYNC, "admin")] {
            iam.bind(None, &format!("serviceAccount:{member}"), &format!("roles/secretmanager.{role}"), None).unwrap();
        }
        let reader = format!("serviceAccount:{MACHINE}");
        iam.bind(Some("shop-0"), &reader, "roles/secretmanager.secretAccessor", None).unwrap();
    });
    let sandbox = Sandbox::new().env(gcp.env());
    let stage = Stage { gcp, sandbox };
    stage.life().unwrap_or_else(|ran| panic!("{ran:?}"));
    let ran = stage.plan(2);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(stage.answered(PLAN).iter().any(|asked| asked.permission == "secrets.list"));
    assert!(!stage.answered(PLAN).iter().any(|asked| asked.permission == "versions.access"));
    assert_eq!(stage.ask(MACHINE, Method::GET, "/shop-0/versions/latest:access").await.0, 200);
    assert_eq!(stage.ask(MACHINE, Method::GET, "/shop-1/versions/latest:access").await.0, 403);
}

/// A policy takes so many conditions of one role only; the fake holds to it.
#[test]
fn hundreds_of_secrets_are_bound_by_several_roles() {
    let place =
        |at: usize| format!("\n      - {{provider: gcp, kind: secret_manager, config: {{secret_id: shop-{at}}}}}");
    let places: String = (0..250).map(place).collect();
    let many = secretfile(0).split_once("    targets:").unwrap().0.to_owned() + "    targets:" + &places;
    let gcp = FakeGcp::start();
    gcp.govern(|iam| {
        for phase in ["plan", "sync"] {
            follow(iam, &Printed::of(&many, &["--phase", phase, "--cloud", "gcp", "--project-number", NUMBER]));
        }
    });
    let stage = Stage { sandbox: Sandbox::new().env(gcp.env()), gcp };
    stage.sandbox.write("Secretfile.yml", &many);
    for (principal, args) in
        [(SYNC, &["sync", "--rate-limit", "off"][..]), (PLAN, &["sync", "--dry-run", "--rate-limit", "off"])]
    {
        stage.gcp.trust(|sign_in| sign_in.machine = Some(principal.to_owned()));
        stage.sandbox.expect(0, args);
    }
    assert_eq!(stage.gcp.edit(|world| world.secrets.len()), 250);
}
