//! What to run next when a provider cannot be reached or does not know us: the specification's section
//! "Troubleshooting", sentence by sentence.

use crate::manifest::{ProviderBlock, ProviderKind};
use crate::provider::ErrorKind;

/// A known problem and the commands that look into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Advice {
    /// What it is called.
    pub(super) problem: &'static str,
    /// Commands for a shell, in the order in which they help.
    pub(super) next: Vec<String>,
}

/// What fits an error of a provider.
pub(super) fn advice(block: &ProviderBlock, error: &ErrorKind) -> Advice {
    if let ErrorKind::Throttled(_) = error {
        let again = format!("secretzero test --provider {} --retry-max-attempts 10", block.alias.value);
        return Advice { problem: "Rate limit exceeded", next: vec![again] };
    }
    let unreachable = matches!(error, ErrorKind::Unavailable | ErrorKind::Indeterminate);
    let (problem, next) = match block.kind {
        ProviderKind::Local => ("The folder cannot be read", vec!["ls -la".to_owned()]),
        ProviderKind::Aws if unreachable => ("Unable to connect to AWS", aws_unreachable(block)),
        ProviderKind::Aws => ("Unable to authenticate with AWS", aws(block)),
        ProviderKind::Azure if unreachable => ("Unable to connect to Azure", azure_unreachable()),
        ProviderKind::Azure => ("Azure authentication failed", azure(block, error)),
        ProviderKind::Vault => ("Unable to connect to Vault", vault(block, error, unreachable)),
        ProviderKind::Gcp if unreachable => ("Unable to connect to Google Cloud", gcp_unreachable()),
        ProviderKind::Gcp => ("Unable to authenticate with Google Cloud", gcp(block)),
    };
    Advice { problem, next }
}

fn owned(commands: &[&str]) -> Vec<String> {
    commands.iter().map(|command| (*command).to_owned()).collect()
}

/// A setting in a command, if nothing in it could mean something to a shell.
fn plain<'b>(block: &'b ProviderBlock, setting: &str, otherwise: &'b str) -> &'b str {
    let safe = |text: &&str| text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.:/@+=".contains(c));
    block.setting(setting).filter(safe).filter(|text| !text.is_empty()).unwrap_or(otherwise)
}

fn aws(block: &ProviderBlock) -> Vec<String> {
    match block.auth_kind.as_str() {
        "profile" => {
            let profile = plain(block, "profile", "$AWS_PROFILE");
            vec![
                format!("aws sts get-caller-identity --profile {profile}"),
                format!("aws configure list --profile {profile}"),
            ]
        }
        "assume_role" => {
            let role = plain(block, "role_arn", "$ROLE_ARN");
            let mut assume = format!("aws sts assume-role --role-arn {role} --role-session-name secretzero");
            if block.setting("external_id").is_some() {
                assume.push_str(" --external-id \"$EXTERNAL_ID\"");
            }
            vec!["aws sts get-caller-identity".to_owned(), assume]
        }
        _ => owned(&["aws sts get-caller-identity", "aws configure list"]),
    }
}

fn aws_unreachable(block: &ProviderBlock) -> Vec<String> {
    let own = block.setting("endpoint_url").is_some();
    let region = plain(block, "region", "$AWS_DEFAULT_REGION");
    let host = if own {
        plain(block, "endpoint_url", "$AWS_ENDPOINT_URL").to_owned()
    } else {
        format!("https://sts.{region}.amazonaws.com")
    };
    vec![format!("curl -v {host}"), "aws configure get region".to_owned()]
}

fn azure(block: &ProviderBlock, error: &ErrorKind) -> Vec<String> {
    if *error == ErrorKind::PermissionDenied {
        return owned(&[
            "az keyvault secret list --vault-name NAME",
            "az role assignment list --assignee $AZURE_CLIENT_ID",
        ]);
    }
    owned(match block.auth_kind.as_str() {
        "service_principal" => &["az ad sp show --id $AZURE_CLIENT_ID", "echo $AZURE_TENANT_ID"],
        "managed_identity" => &[
            "curl 'http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://vault.azure.net' -H Metadata:true",
        ],
        _ => &["az account show", "az login", "echo $AZURE_CLIENT_ID $AZURE_TENANT_ID"],
    })
}

fn azure_unreachable() -> Vec<String> {
    owned(&["curl -v https://login.microsoftonline.com", "az keyvault list --output table"])
}

fn vault(block: &ProviderBlock, error: &ErrorKind, unreachable: bool) -> Vec<String> {
    let url = plain(block, "url", "$VAULT_ADDR").trim_end_matches('/');
    let mut next = Vec::new();
    match error {
        _ if unreachable => {
            next.extend([format!("curl -v {url}/v1/sys/health"), format!("vault status -address {url}")])
        }
        // A certificate that is not trusted, or a mount that is not there.
        ErrorKind::Invalid => {
            next.extend([format!("curl -v {url}/v1/sys/health"), "export VAULT_CACERT=/path/to/ca.pem".to_owned()]);
        }
        ErrorKind::PermissionDenied => next.extend(owned(&["vault token lookup", "vault token capabilities PATH"])),
        _ => match block.auth_kind.as_str() {
            "token" => next.push(format!("vault token lookup -address {url}")),
            other => {
                next.extend([format!("vault auth list -address {url}"), format!("vault read auth/{other}/config")])
            }
        },
    }
    next
}

fn gcp(block: &ProviderBlock) -> Vec<String> {
    let project = plain(block, "project_id", "$GOOGLE_CLOUD_PROJECT");
    vec![
        "gcloud auth list".to_owned(),
        "gcloud auth application-default login".to_owned(),
        format!("gcloud projects describe {project}"),
    ]
}

fn gcp_unreachable() -> Vec<String> {
    owned(&["curl -v https://secretmanager.googleapis.com", "echo $GOOGLE_APPLICATION_CREDENTIALS"])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::{Span, Spanned};
    use crate::secret::SecretValue;

    fn block(kind: ProviderKind, auth_kind: &str, settings: &[(&str, &str)]) -> ProviderBlock {
        let spanned = |text: &str| Spanned::new(SecretValue::from(text), Span::default());
        ProviderBlock {
            alias: Spanned::new("here".into(), Span::default()),
            kind,
            auth_kind: auth_kind.into(),
            config: settings.iter().map(|(name, text)| ((*name).to_owned(), spanned(text))).collect(),
            unresolved: Default::default(),
            span: Span::default(),
        }
    }

    fn said(block: &ProviderBlock, error: &ErrorKind) -> String {
        let Advice { problem, next } = advice(block, error);
        format!("{problem}: {}", next.join("; "))
    }

    #[test]
    fn each_provider_has_the_sentence_of_the_specification() {
        let unknown = ErrorKind::Unauthenticated;
        insta::assert_snapshot!(said(&block(ProviderKind::Aws, "ambient", &[]), &unknown), @"Unable to authenticate with AWS: aws sts get-caller-identity; aws configure list");
        insta::assert_snapshot!(said(&block(ProviderKind::Aws, "profile", &[("profile", "production")]), &unknown), @"Unable to authenticate with AWS: aws sts get-caller-identity --profile production; aws configure list --profile production");
        insta::assert_snapshot!(said(&block(ProviderKind::Azure, "default", &[]), &unknown), @"Azure authentication failed: az account show; az login; echo $AZURE_CLIENT_ID $AZURE_TENANT_ID");
        let vault = block(ProviderKind::Vault, "token", &[("url", "https://vault.example.com:8200/")]);
        insta::assert_snapshot!(said(&vault, &ErrorKind::Unavailable), @"Unable to connect to Vault: curl -v https://vault.example.com:8200/v1/sys/health; vault status -address https://vault.example.com:8200");
        insta::assert_snapshot!(said(&vault, &unknown), @"Unable to connect to Vault: vault token lookup -address https://vault.example.com:8200");
        insta::assert_snapshot!(said(&block(ProviderKind::Gcp, "ambient", &[]), &unknown), @"Unable to authenticate with Google Cloud: gcloud auth list; gcloud auth application-default login; gcloud projects describe $GOOGLE_CLOUD_PROJECT");
        insta::assert_snapshot!(said(&vault, &ErrorKind::Throttled(None)), @"Rate limit exceeded: secretzero test --provider here --retry-max-attempts 10");
    }

    #[test]
    fn a_setting_is_never_a_part_of_the_command_line() {
        let hostile = block(ProviderKind::Aws, "profile", &[("profile", "a; rm -rf ~")]);
        assert!(!said(&hostile, &ErrorKind::Unauthenticated).contains("rm"));
    }
}
