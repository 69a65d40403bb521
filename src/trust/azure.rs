//! Federated credentials of an Entra application or managed identity: one exact subject each.
//!
//! <https://learn.microsoft.com/entra/workload-id/workload-identity-federation-create-trust>

use serde_json::{Value as Json, json};

use super::{Document, Forge, Generated, Trusted, pretty, subjects};

/// What the public cloud asks for (<https://learn.microsoft.com/entra/workload-id/workload-identity-federation>).
pub(super) const AUDIENCE: &str = "api://AzureADTokenExchange";

/// What each cloud asks for, by how the host of its Entra ends
/// (<https://learn.microsoft.com/graph/api/resources/federatedidentitycredential>).
const AUDIENCES: [(&str, &str); 2] =
    [(".us", "api://AzureADTokenExchangeUSGov"), (".cn", "api://AzureADTokenExchangeChina")];

/// The audience at the Entra with this address.
#[must_use]
pub fn audience_at(authority: &str) -> &'static str {
    let host = authority.trim_end_matches('/');
    AUDIENCES.iter().find(|(end, _)| host.ends_with(end)).map_or(AUDIENCE, |(_, audience)| audience)
}

pub(super) fn generate(trusted: &Trusted) -> Generated {
    let phase = trusted.phase.as_str();
    let audience = trusted.audience.clone().unwrap_or_else(|| AUDIENCE.to_owned());
    let mut generated = Generated::default();
    for subject in subjects(trusted) {
        let form = subject.mark;
        let (name, file) = (format!("secretzero-{phase}{form}"), format!("azure-{phase}{form}-credential.json"));
        let mut credential = credential(&name, &trusted.issuer, &subject.text, std::slice::from_ref(&audience));
        credential["description"] = json!(format!("The {phase} of {}", trusted.repository.path));
        let id = phase.to_uppercase();
        let step = match subject.is_pattern {
            true => flexible(&mut generated, &mut credential, &subject.text, &file, &id),
            false => format!("az ad app federated-credential create --id CLIENT_ID_OF_{id} --parameters {file}"),
        };
        generated.steps.push(step);
        generated.documents.push(Document { name: file, text: pretty(&credential) });
    }
    generated.steps.push(format!("secretzero permissions --cloud azure --phase {phase}  # prints what it may do"));
    if generated.documents.len() > 1 && trusted.forge == Forge::Github {
        generated.say(
            "a credential takes one exact subject, so here is one for each form; the one that your runs' tokens do not \
             have can be left out (`secretzero doctor` in a run tells the form)",
        );
    }
    generated
}

/// Makes a credential of a pattern, and tells the step that creates it: the Azure CLI's own command
/// wants a subject (<https://github.com/Azure/azure-cli/issues/32816>).
fn flexible(generated: &mut Generated, credential: &mut Json, pattern: &str, file: &str, id: &str) -> String {
    if let Some(fields) = credential.as_object_mut() {
        fields.remove("subject");
        let matching = format!("claims['sub'] matches '{}'", pattern.replace('\'', ""));
        fields.insert("claimsMatchingExpression".into(), json!({ "value": matching, "languageVersion": 1 }));
    }
    generated.say(
        "at GitLab the token of a merge request bears its branch, which no exact subject can tell: this is a flexible \
         credential (preview; applications only, \
         https://learn.microsoft.com/entra/workload-id/workload-identities-flexible-federated-identity-credentials)",
    );
    format!(
        "az rest --method post --headers Content-Type=application/json --body @{file} --url \
         \"https://graph.microsoft.com/beta/applications(appId='CLIENT_ID_OF_{id}')/federatedIdentityCredentials\""
    )
}

/// A federated credential for one exact subject.
pub(crate) fn credential(name: &str, issuer: &str, subject: &str, audiences: &[String]) -> Json {
    json!({ "name": name, "issuer": issuer, "subject": subject, "audiences": audiences })
}
