//! Federated credentials of an Entra application or managed identity: one exact subject each.
//!
//! <https://learn.microsoft.com/entra/workload-id/workload-identity-federation-create-trust>

use serde_json::{Value as Json, json};

use super::{Document, Generated, Trusted, pretty, subjects};

/// What the public cloud asks for (<https://learn.microsoft.com/entra/workload-id/workload-identity-federation>).
pub(super) const AUDIENCE: &str = "api://AzureADTokenExchange";

pub(super) fn generate(trusted: &Trusted) -> Generated {
    let phase = trusted.phase.as_str();
    let audience = trusted.audience.clone().unwrap_or_else(|| AUDIENCE.to_owned());
    let mut generated = Generated::default();
    for subject in subjects(trusted) {
        let form = if subject.contains('@') { "-ids" } else { "" };
        let name = format!("secretzero-{phase}{form}");
        let description = format!("The {phase} of {}", trusted.repository.path);
        let mut credential = credential(&name, &trusted.issuer, &subject, std::slice::from_ref(&audience));
        credential["description"] = json!(description);
        if subject.contains('*')
            && let Some(fields) = credential.as_object_mut()
        {
            fields.remove("subject");
            let matching = format!("claims['sub'] matches '{}'", subject.replace('\'', ""));
            fields.insert("claimsMatchingExpression".into(), json!({ "value": matching, "languageVersion": 1 }));
            generated.say(
                "at GitLab the token of a merge request bears its branch, which no exact subject can tell: this is a \
                 flexible credential (preview; applications only, \
                 https://learn.microsoft.com/entra/workload-id/workload-identities-flexible-federated-identity-credentials)",
            );
        }
        let file = format!("azure-{phase}{form}-credential.json");
        generated.steps.push(format!(
            "az ad app federated-credential create --id CLIENT_ID_OF_{} --parameters {file}",
            phase.to_uppercase()
        ));
        generated.documents.push(Document { name: file, text: pretty(&credential) });
    }
    generated.steps.push(format!("secretzero permissions --cloud azure --phase {phase}  # prints what it may do"));
    if generated.documents.len() > 1 {
        generated.say(
            "a credential takes one exact subject, so here is one for each form; the one that your runs' tokens do not \
             have can be left out (`secretzero doctor` in a run tells the form)",
        );
    }
    generated
}

/// A federated credential for one exact subject.
pub(crate) fn credential(name: &str, issuer: &str, subject: &str, audiences: &[String]) -> Json {
    json!({ "name": name, "issuer": issuer, "subject": subject, "audiences": audiences })
}
