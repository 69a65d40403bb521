//! The GitLab component: a third party's runner of pipelines (gitlab-ci-local) reads it as GitLab does,
//! puts the inputs in and says which jobs an event has; their scripts then run the real binary.

mod clouds;
mod component;
mod login;
mod pipeline;
mod untrusted;

use pipeline::Pipeline;

/// The component.
const TEMPLATE: &str = include_str!("../../gitlab/templates/secretzero/template.yml");

/// Its inputs, as the header of the template declares them.
fn declared() -> serde_json::Value {
    let (header, _) = TEMPLATE.split_once("\n---\n").unwrap();
    let mut header: serde_json::Value = serde_saphyr::from_str(header).unwrap();
    header["spec"]["inputs"].take()
}

/// The pipeline of a project's `.gitlab-ci.yml` as people write it, which names the component by its
/// address, and the inputs it gives.
fn of_configuration(configuration: &str) -> (Pipeline, Vec<String>) {
    let mut parsed: serde_json::Value = serde_saphyr::from_str(configuration).unwrap();
    let include = parsed["include"][0].as_object_mut().unwrap();
    let component = include.remove("component").unwrap();
    let (path, version) = component.as_str().unwrap().rsplit_once('@').unwrap();
    assert!(path.starts_with("$CI_SERVER_FQDN/") && path.ends_with("/secretzero"), "{path}");
    assert_eq!(version.split('.').count(), 3, "a version is named in full: {version}");
    include.insert("local".into(), pipeline::PATH.into());
    let inputs = include["inputs"].as_object().unwrap().keys().cloned().collect();
    (Pipeline::of(&parsed.to_string()), inputs)
}
