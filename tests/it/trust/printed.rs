//! The rights that `permissions` prints, as `trust lint` sees them: known, and of a plan none that reads a
//! value or writes.

use std::fs;

use crate::sandbox::Sandbox;

const GOOGLE: &str = "metadata: {project: shop}
providers:
  gcp: {kind: gcp, auth: {kind: ambient, config: {project_id: shop}}}
secrets:
  - {name: token, kind: random_string, targets: [{provider: gcp, kind: secret_manager, config: {secret_id: token}}]}
";

#[test]
fn printed_rights_are_known_and_a_plans_are_harmless() {
    let examples = ["01-basic", "04b-vault-specific-nested-templates", "05-cross-region-dr", "09-complete"];
    let mut texts: Vec<String> = vec![GOOGLE.to_owned()];
    texts.extend(examples.map(|name| {
        let file = format!("{}/tests/fixtures/examples/{name}.yml", env!("CARGO_MANIFEST_DIR"));
        fs::read_to_string(file).unwrap()
    }));
    for text in texts {
        for phase in ["plan", "sync"] {
            let sandbox = Sandbox::with(&text);
            let ran = sandbox.expect(0, &["permissions", "--phase", phase, "--format", "json"]);
            let said: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
            let clouds = said["clouds"].as_array().unwrap();
            let documents: Vec<_> = clouds.iter().flat_map(|cloud| cloud["documents"].as_array().unwrap()).collect();
            assert!(!documents.is_empty(), "{said}");
            for document in documents {
                let name = document["name"].as_str().unwrap();
                sandbox.write(name, document["text"].as_str().unwrap());
                sandbox.expect(0, &["trust", "lint", "--phase", phase, name]);
                // The same rights are too many for a plan.
                if phase == "sync" && !name.ends_with(".sh") {
                    sandbox.expect(5, &["trust", "lint", "--phase", "plan", name]);
                }
            }
        }
    }
}
