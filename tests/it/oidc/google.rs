//! The same inputs at Google: a pool's provider takes the run's token, and a plan borrows from the plan's
//! service account and a sync from the sync's. A Secretfile with `ambient` need not change.

use super::refused::{explained, is_told_without_a_token, stand_in_their_masks_alone};
use super::{ISSUER, MAIN, NEWER, PULL_REQUEST, Stage, expired, secretfile};
use crate::fake::gcp::FakeGcp;
use crate::fake::gcp::sign_in::Pool;

const POOL: &str = "projects/442211009988/locations/global/workloadIdentityPools/ci";
const PROVIDER: &str = "projects/442211009988/locations/global/workloadIdentityPools/ci/providers/github";
const PLAN: &str = "plan@shop-prod.iam.gserviceaccount.com";
const SYNC: &str = "sync@shop-prod.iam.gserviceaccount.com";

pub(super) const INPUTS: &[(&str, &str)] =
    &[("gcp_workload_identity_provider", PROVIDER), ("gcp_service_account", SYNC), ("gcp_plan_service_account", PLAN)];

/// What `roles/secretmanager.viewer` grants of what a plan needs.
const VIEWER: &[&str] = &["secrets.get", "secrets.list", "versions.get", "versions.list"];

fn member(subject: &str) -> String {
    format!("principal://iam.googleapis.com/{POOL}/subject/{subject}")
}

/// A Google whose pool trusts GitHub, and a repository whose jobs reach it.
pub(super) fn stage() -> (FakeGcp, Stage) {
    let (gcp, mut stage) = (FakeGcp::start(), Stage::new());
    gcp.trust(|sign_in| {
        sign_in.no_machine = true;
        sign_in.pools.push(Pool {
            audience: format!("//iam.googleapis.com/{PROVIDER}"),
            issuer: ISSUER.into(),
            allowed_audience: format!("https://iam.googleapis.com/{PROVIDER}"),
            keys: [("actions".to_owned(), stage.actions.pem().to_owned())].into(),
            subjects: vec![PULL_REQUEST.into(), MAIN.into()],
        });
        sign_in.lends = [(member(PULL_REQUEST), PLAN.into()), (member(MAIN), SYNC.into())].into();
    });
    stage.job.cloud.extend(gcp.endpoints());
    (gcp, stage)
}

pub(super) fn text(names: &[&str]) -> String {
    secretfile("{kind: gcp, auth: {kind: ambient, config: {project_id: shop-prod}}}", names, |name| {
        format!("{{provider: store, kind: secret_manager, config: {{secret_id: {name}}}}}")
    })
}

/// Who was given tokens since the last look.
fn given(gcp: &FakeGcp) -> Vec<String> {
    gcp.trust(|sign_in| std::mem::take(&mut sign_in.given).into_iter().map(|(_, owner)| owner).collect())
}

fn exchanges(gcp: &FakeGcp) -> usize {
    gcp.trust(|sign_in| sign_in.exchanges)
}

#[test]
fn a_plan_and_a_sync_borrow_from_their_own_service_accounts() {
    let (gcp, stage) = stage();
    let ran = stage.push_of(&text(&["one"]), INPUTS);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(given(&gcp), [member(MAIN), SYNC.to_owned()]);
    let tokens = gcp.trust(|sign_in| sign_in.tokens());
    assert_eq!(tokens.len(), 2, "the pool's and the one that the account lent");
    stand_in_their_masks_alone(&ran, tokens);
    assert_eq!(stage.actions.audiences(), [format!("https://iam.googleapis.com/{PROVIDER}")]);

    let (pull, head) = stage.pull(&text(&["one", "two"]));
    let effects = gcp.effects();
    gcp.grant(VIEWER);
    let ran = stage.pull_request(pull, &head, INPUTS);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!((given(&gcp), gcp.effects()), (vec![member(PULL_REQUEST), PLAN.to_owned()], effects));
    let comment = stage.comment(pull);
    assert!(!comment.contains("Planned offline") && comment.contains("two"), "{comment}");

    // The token of the pull request may not borrow from the other account.
    let ran = stage.pull_request(pull, &head, &[INPUTS[0], ("gcp_plan_service_account", SYNC)]);
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert_eq!(given(&gcp), [member(PULL_REQUEST)]);

    gcp.allow_all();
    let merged = stage.github.merge_pull(pull);
    stage.actions.subject(MAIN);
    let ran = stage.job.push(&stage.sandbox, &merged, INPUTS);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(gcp.secret("two").is_some());
}

#[test]
fn a_provider_whose_condition_has_the_older_form_of_the_subject() {
    let (gcp, stage) = stage();
    stage.actions.subject(NEWER);
    let names = ["one", "two"];
    let ran = stage.push_of(&text(&names), INPUTS);
    assert_ne!(ran.code, Some(0), "{ran:?}");
    assert_eq!((stage.actions.requests(), exchanges(&gcp)), (1, 1), "what is final is asked once");
    let said = explained(&ran, "Google refused this run's ID token");
    insta::assert_snapshot!("google", said);
    is_told_without_a_token(&stage, &ran, &["unauthorized_client", "octo@501/demo@1001"]);

    // What is shown admits exactly this run.
    let part = |begin: &str, end: &str| said.split_once(begin).unwrap().1.split_once(end).unwrap().0.to_owned();
    let (subject, member) = (part("assertion.sub == \"", "\""), part("--member '", "'"));
    gcp.trust(|sign_in| {
        sign_in.pools[0].subjects = vec![subject];
        sign_in.lends = [(member, SYNC.to_owned())].into();
    });
    let ran = stage.push_of(&text(&names), INPUTS);
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[test]
fn a_service_account_that_lends_nothing_is_asked_once() {
    let (gcp, stage) = stage();
    gcp.trust(|sign_in| sign_in.lends.clear());
    let ran = stage.push_of(&text(&["one", "two"]), INPUTS);
    assert_ne!(ran.code, Some(0), "{ran:?}");
    assert_eq!((stage.actions.requests(), exchanges(&gcp)), (1, 1));
    insta::assert_snapshot!("google_lends_nothing", explained(&ran, "Google took this run's ID token"));
    is_told_without_a_token(&stage, &ran, &["PERMISSION_DENIED", "roles/iam.workloadIdentityUser"]);
}

#[test]
fn a_token_that_expired_on_its_way_is_minted_once_again() {
    let (gcp, stage) = stage();
    stage.actions.next([expired()]);
    let ran = stage.push_of(&text(&["one", "two"]), INPUTS);
    assert_eq!((ran.code, stage.actions.requests(), exchanges(&gcp)), (Some(0), 2, 2), "{ran:?}");

    let (gcp, stage) = self::stage();
    stage.actions.next([expired(), expired(), expired()]);
    let ran = stage.push_of(&text(&["one", "two"]), INPUTS);
    assert_ne!(ran.code, Some(0), "{ran:?}");
    assert_eq!((stage.actions.requests(), exchanges(&gcp)), (2, 2), "once, not for ever");
    assert!(explained(&ran, "Google refused").contains("clocks differ"), "{ran:?}");
}

#[test]
fn a_long_run_gets_a_new_token_for_a_new_id_token() {
    let (gcp, stage) = stage();
    gcp.trust(|sign_in| sign_in.lifetime = Some(0));
    let ran = stage.push_of(&text(&["one", "two"]), INPUTS);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(exchanges(&gcp) > 1, "each call needs a fresh one");
    assert_eq!(stage.actions.requests(), exchanges(&gcp), "an ID token is good for one exchange");
}
