//! The same inputs at Microsoft Entra: a plan logs in as the plan's application and a sync as the sync's,
//! and a Secretfile with `default` need not change.

use jsonwebtoken::DecodingKey;

use super::refused::{explained, is_told_without_a_token, policy, stand_in_their_masks_alone};
use super::{ISSUER, MAIN, NEWER, PULL_REQUEST, Stage, expired, secretfile};
use crate::fake::azure::{Application, FakeAzure, TENANT, VAULT};

const PLAN: &str = "aaaaaaaa-0000-4000-8000-000000000001";
const SYNC: &str = "aaaaaaaa-0000-4000-8000-000000000002";
const AUDIENCE: &str = "api://AzureADTokenExchange";

pub(super) const INPUTS: &[(&str, &str)] =
    &[("azure_client_id", SYNC), ("azure_plan_client_id", PLAN), ("azure_tenant_id", TENANT)];

pub(super) const REFUSED: &str = "Microsoft Entra refused this run's ID token";

/// An Azure whose applications trust GitHub, and a repository whose jobs reach it.
pub(super) fn stage() -> (FakeAzure, Stage) {
    let (azure, mut stage) = (FakeAzure::start(), Stage::new());
    let key = DecodingKey::from_rsa_pem(stage.actions.pem().as_bytes()).unwrap();
    azure.edit(|world| {
        world.issuers.insert((ISSUER.into(), "actions".into()), key);
        for (client, subject, denied) in [(PLAN, PULL_REQUEST, &["secrets/get", "secrets/set"][..]), (SYNC, MAIN, &[])]
        {
            let federated = vec![[ISSUER, subject, AUDIENCE].map(str::to_owned)];
            let denied = denied.iter().map(|right| (*right).to_owned()).collect();
            world.applications.insert(client.into(), Application { secret: None, federated, denied });
        }
    });
    stage.sandbox.write("ca.pem", azure.ca());
    let reached = azure.env(&stage.sandbox.path("ca.pem").display().to_string()).into_iter();
    let reached = reached.filter(|(name, _)| !name.starts_with("AZURE_"));
    stage.job.cloud.extend(reached.map(|(name, value)| (name.to_owned(), value)));
    (azure, stage)
}

pub(super) fn text(names: &[&str]) -> String {
    secretfile("{kind: azure, auth: {kind: default}}", names, |name| {
        format!("{{provider: store, kind: key_vault, config: {{vault_url: 'https://{VAULT}', secret_name: {name}}}}}")
    })
}

/// How often Entra was asked for a token.
pub(super) fn logins(azure: &FakeAzure) -> usize {
    azure.requests().iter().filter(|request| request.path.last().is_some_and(|last| last == "token")).count()
}

/// The applications that hold a token.
fn holders(azure: &FakeAzure) -> Vec<String> {
    azure.edit(|world| world.tokens.values().map(|(client, _)| client.clone()).collect())
}

#[test]
fn a_plan_and_a_sync_log_in_at_entra_as_themselves() {
    let (azure, stage) = stage();
    let ran = stage.push_of(&text(&["one"]), INPUTS);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!((holders(&azure), logins(&azure)), (vec![SYNC.to_owned()], 1));
    assert_eq!(stage.actions.audiences(), [AUDIENCE]);
    stand_in_their_masks_alone(&ran, azure.edit(|world| world.tokens.keys().cloned().collect::<Vec<_>>()));

    let (pull, head) = stage.pull(&text(&["one", "two"]));
    azure.edit(|world| world.tokens.clear());
    let effects = azure.effects();
    let ran = stage.pull_request(pull, &head, INPUTS);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!((holders(&azure), azure.effects()), (vec![PLAN.to_owned()], effects));
    let comment = stage.comment(pull);
    assert!(!comment.contains("Planned offline") && comment.contains("two"), "{comment}");

    // The token of the pull request is good for the plan's application only.
    azure.edit(|world| world.tokens.clear());
    let ran = stage.pull_request(pull, &head, &[("azure_plan_client_id", SYNC), INPUTS[2]]);
    assert_eq!((ran.code, holders(&azure).len()), (Some(4), 0), "{ran:?}");
    assert!(explained(&ran, REFUSED).contains(PULL_REQUEST), "{ran:?}");

    let merged = stage.github.merge_pull(pull);
    stage.actions.subject(MAIN);
    let ran = stage.job.push(&stage.sandbox, &merged, INPUTS);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(azure.secret("two").is_some());
}

#[test]
fn an_application_that_trusts_the_older_form_of_the_subject() {
    let (azure, stage) = stage();
    stage.actions.subject(NEWER);
    let names = ["one", "two"];
    let ran = stage.push_of(&text(&names), INPUTS);
    assert_ne!(ran.code, Some(0), "{ran:?}");
    assert_eq!((stage.actions.requests(), logins(&azure)), (1, 1), "what is final is asked once");
    let said = explained(&ran, REFUSED);
    insta::assert_snapshot!("azure", said);
    is_told_without_a_token(&stage, &ran, &["AADSTS700213", "octo@501/demo@1001"]);

    // What is shown admits exactly this run.
    let policy = policy(&said);
    let text_of = |name: &str| policy[name].as_str().unwrap().to_owned();
    let credential = [text_of("issuer"), text_of("subject"), policy["audiences"][0].as_str().unwrap().to_owned()];
    azure.edit(|world| world.applications.get_mut(SYNC).unwrap().federated = vec![credential]);
    let ran = stage.push_of(&text(&names), INPUTS);
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[test]
fn an_assertion_that_expired_on_its_way_is_minted_once_again() {
    let (azure, stage) = stage();
    stage.actions.next([expired()]);
    let ran = stage.push_of(&text(&["one", "two"]), INPUTS);
    assert_eq!((ran.code, stage.actions.requests(), logins(&azure)), (Some(0), 2, 2), "{ran:?}");

    let (azure, stage) = self::stage();
    stage.actions.next([expired(), expired(), expired()]);
    let ran = stage.push_of(&text(&["one", "two"]), INPUTS);
    assert_ne!(ran.code, Some(0), "{ran:?}");
    assert_eq!((stage.actions.requests(), logins(&azure)), (2, 2), "once, not for ever");
    assert!(explained(&ran, REFUSED).contains("clocks differ"), "{ran:?}");
}

#[test]
fn a_long_run_gets_a_new_token_for_a_new_assertion() {
    let (azure, stage) = stage();
    azure.edit(|world| world.token_seconds = 0);
    let ran = stage.push_of(&text(&["one", "two"]), INPUTS);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(logins(&azure) > 1, "each call needs a fresh one");
    assert_eq!(stage.actions.requests(), logins(&azure), "an assertion is good for one exchange");
}

#[test]
fn another_cloud_wants_another_audience() {
    for (authority, vault, audience) in [
        ("https://login.microsoftonline.us", "kv-gov.vault.usgovcloudapi.net", "api://AzureADTokenExchangeUSGov"),
        ("https://login.chinacloudapi.cn", "kv-cn.vault.azure.cn", "api://AzureADTokenExchangeChina"),
    ] {
        let (azure, mut stage) = stage();
        azure.edit(|world| {
            drop(world.vault(vault).secrets.clone());
            world.applications.get_mut(SYNC).unwrap().federated = vec![[ISSUER, MAIN, audience].map(str::to_owned)];
        });
        stage.job.cloud.insert("AZURE_AUTHORITY_HOST".into(), authority.into());
        let ran = stage.push_of(&text(&["one"]).replace(VAULT, vault), INPUTS);
        assert_eq!((ran.code, stage.actions.audiences()), (Some(0), vec![audience.to_owned()]), "{ran:?}");
    }
}
