//! What a merge request brings, or a branch that nobody protects: no job of it logs in, and the script of
//! one that does reaches nothing there, whatever it is given.

use serde_json::json;

use super::clouds::{Clouds, inputs};
use super::pipeline::{Event, Pipeline};

const ALL: [&str; 4] = ["secretzero", "secretzero-sync", "secretzero-rotate", "secretzero-drift"];

#[tokio::test(flavor = "multi_thread")]
async fn the_check_of_a_merge_request_connects_to_nothing() {
    let (clouds, pipeline) = (Clouds::new().await, Pipeline::with(&inputs()));
    let (ran, checkout) = clouds.run(&pipeline, "secretzero", Event::MERGE_REQUEST);
    assert_eq!((ran.code, clouds.asked()), (Some(0), [0; 4]), "{ran:?}");
    assert_eq!(checkout.read(".gitsecrets.lock"), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_script_reaches_a_store_where_a_merge_request_steers_it() {
    let (clouds, pipeline) = (Clouds::new().await, Pipeline::with(&inputs()));
    let unprotected = Event { protected: false, ..Event::PUSH };
    let tokens = clouds.tokens(&pipeline.job("secretzero-sync"), Event::PUSH, &json!({}));
    for event in [Event::MERGE_REQUEST, unprotected, Event { source: "schedule", ..unprotected }] {
        for name in ALL {
            // Even with tokens that the clouds would take.
            let (ran, _) = clouds.run_with(&pipeline.job(name), event, &tokens);
            assert_eq!(clouds.asked(), [0; 4], "{name} {event:?}: {ran:?}");
            if name != "secretzero" {
                let said = format!("{}{}", ran.stdout, ran.stderr);
                assert_ne!(ran.code, Some(0), "{name} {event:?}: nobody knows what stands there");
                assert!(said.contains("is not known to be the default branch's"), "{name} {event:?}: {said}");
            }
        }
    }
}

/// The clouds decide by themselves as well: a token says of which branch it is.
#[tokio::test(flavor = "multi_thread")]
async fn the_token_of_another_branch_is_refused_by_every_cloud() {
    let (clouds, pipeline) = (Clouds::new().await, Pipeline::with(&inputs()));
    let job = pipeline.job("secretzero-sync");
    let change = Event { branch: Some("change"), ..Event::PUSH };
    let (ran, _) = clouds.run_with(&job, Event::PUSH, &clouds.tokens(&job, change, &json!({})));
    assert_eq!((ran.code, clouds.effects()), (Some(4), [0; 4]), "{ran:?}");
    let said = format!("{}{}", ran.stdout, ran.stderr);
    for cloud in ["AWS refused", "Microsoft Entra refused", "Google refused", "Vault at"] {
        assert!(said.contains(cloud), "{cloud}: {said}");
    }
    let cause = "another project or branch than `project_path:octo/demo:ref_type:branch:ref:change`";
    assert!(said.contains(cause) && said.contains("rather run there than admit it"), "{said}");
}
