//! Tokens that somebody made before the run began: GitLab in variables, a cluster in files.
//!
//! Each is good for the audiences it names and is given out for no other, so a token for one cloud
//! never reaches another; one for this audience alone goes before one for several.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;

use super::claims::Claims;
use super::{Mask, TokenSource};
use crate::disk::Disk;
use crate::environment::Environment;
use crate::provider::{Error, ErrorKind, Result};
use crate::secret::SecretValue;

/// Names the variable that holds the path of a token for any store; it goes before everything else.
pub(super) const FILE: &str = "SECRETZERO_ID_TOKEN_FILE";

/// Variables that hold the path of a token: ours, that of AWS's webhook for clusters
/// (<https://docs.aws.amazon.com/sdkref/latest/guide/feature-assume-role-credentials.html>), and that of
/// Azure's (<https://azure.github.io/azure-workload-identity/docs/topics/service-account-labels-and-annotations.html>).
pub(super) const FILES: &[&str] = &[FILE, "AWS_WEB_IDENTITY_TOKEN_FILE", "AZURE_FEDERATED_TOKEN_FILE"];

/// Variables that `id_tokens:` of a GitLab job may be called
/// (<https://docs.gitlab.com/ci/secrets/id_token_authentication/>).
pub(super) const VARIABLES: &[&str] = &[
    "SECRETZERO_ID_TOKEN",
    "SECRETZERO_AWS_ID_TOKEN",
    "SECRETZERO_AZURE_ID_TOKEN",
    "SECRETZERO_GCP_ID_TOKEN",
    "SECRETZERO_VAULT_ID_TOKEN",
];

/// Names further such variables, separated by commas.
pub(super) const NAMES: &str = "SECRETZERO_ID_TOKEN_VARIABLES";

/// What the names of the clouds' own tokens are told by: the beginnings of their usual audiences.
const USUAL: &[(&str, &str)] = &[
    ("sts.amazonaws.com", "SECRETZERO_AWS_ID_TOKEN"),
    ("api://AzureADTokenExchange", "SECRETZERO_AZURE_ID_TOKEN"),
    ("https://iam.googleapis.com/", "SECRETZERO_GCP_ID_TOKEN"),
    ("//iam.googleapis.com/", "SECRETZERO_GCP_ID_TOKEN"),
];

/// Largest token file, in bytes.
const TOKEN_BYTES_MAX: u64 = 64 * 1024;

/// Where a token stands.
enum Place {
    Variable(String, SecretValue),
    File(&'static str, PathBuf),
}

impl Place {
    fn name(&self) -> &str {
        match self {
            Self::Variable(name, _) => name,
            Self::File(name, _) => name,
        }
    }
}

/// All of them.
pub(super) struct Presented {
    places: Vec<Place>,
    disk: Arc<dyn Disk>,
    mask: Mask,
    /// Whether a job of GitLab's declares them.
    gitlab: bool,
}

/// The variables that are set, with their tokens.
fn variables(environment: &Environment) -> impl Iterator<Item = (&str, &str)> {
    let named = environment.filled(NAMES).unwrap_or_default().split(',').map(str::trim);
    named.chain(VARIABLES.iter().copied()).filter_map(|name| Some((name, environment.filled(name)?)))
}

fn files(environment: &Environment) -> impl Iterator<Item = (&'static str, &str)> {
    FILES.iter().filter_map(|name| Some((*name, environment.filled(name)?)))
}

/// What a job of GitLab's must declare to have a token for an audience: one line of YAML.
pub(super) fn declaration(audience: &str) -> String {
    let usual = USUAL.iter().find(|(begin, _)| audience.starts_with(begin));
    let name = usual.map_or("SECRETZERO_ID_TOKEN", |(_, name)| name);
    // JSON's strings are YAML's, whatever stands in them.
    let audience = serde_json::Value::from(crate::diagnostic::plain(audience));
    format!("`id_tokens: {{{name}: {{aud: {audience}}}}}`")
}

/// The variables that hold a token, each with the audiences it is good for; none for one that is no token.
pub(super) fn audiences(environment: &Environment) -> Vec<(String, Vec<String>)> {
    let claimed = |token: &str| Claims::of(&SecretValue::from(token.trim())).unwrap_or_default().audiences();
    variables(environment).map(|(name, token)| (name.to_owned(), claimed(token))).collect()
}

/// Whether there is any.
pub(super) fn is_any(environment: &Environment) -> bool {
    variables(environment).next().is_some() || files(environment).next().is_some()
}

impl Presented {
    pub(super) fn of(environment: &Environment, disk: &Arc<dyn Disk>, mask: &Mask) -> Self {
        let mut places: Vec<Place> =
            files(environment).map(|(name, path)| Place::File(name, PathBuf::from(path))).collect();
        let variables = variables(environment).map(|(name, token)| Place::Variable(name.into(), token.into()));
        // Ours goes first, those of a cluster last.
        let ours = usize::from(environment.filled(FILE).is_some());
        places.splice(ours..ours, variables);
        let gitlab = environment.filled(super::GITLAB).is_some();
        Self { places, disk: Arc::clone(disk), mask: Arc::clone(mask), gitlab }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Why none of them is for an audience, and what to do about it.
    fn lacks(&self, audience: &str, seen: &[String]) -> Error {
        let remedy = match self.gitlab {
            true => format!("give the job {}", declaration(audience)),
            false => "declare one with this audience".to_owned(),
        };
        let seen = seen.join(", ");
        let message = format!("no ID token of this run is for the audience `{audience}`: {seen}; {remedy}");
        Error::new(ErrorKind::Unauthenticated, message)
    }

    /// A token as it stands now; a cluster replaces its files while we run.
    fn read(&self, place: &Place) -> std::result::Result<SecretValue, String> {
        let (name, path) = match place {
            Place::Variable(name, token) => {
                let text = token.expose_text().unwrap_or_default().trim();
                return if text.is_empty() { Err(format!("{name} is empty")) } else { Ok(SecretValue::from(text)) };
            }
            Place::File(name, path) => (name, path),
        };
        let bytes = match self.disk.read(path, TOKEN_BYTES_MAX) {
            Ok(Some(bytes)) => SecretValue::new(bytes),
            Ok(None) => return Err(format!("{name} names no file")),
            Err(error) => return Err(format!("the file of {name} cannot be read ({})", error.kind())),
        };
        let text = bytes.expose_text().map(str::trim).filter(|text| !text.is_empty());
        text.map(SecretValue::from).ok_or_else(|| format!("the file of {name} holds no token"))
    }
}

#[async_trait]
impl TokenSource for Presented {
    async fn token(&self, audience: &str) -> Result<SecretValue> {
        let (mut seen, mut shared) = (Vec::new(), None);
        for place in &self.places {
            let token = match self.read(place) {
                Ok(token) => token,
                Err(why) => {
                    seen.push(why);
                    continue;
                }
            };
            (self.mask)(&token);
            let name = place.name();
            match Claims::of(&token).map(|claims| claims.audiences()) {
                Ok(audiences) if audiences.iter().any(|one| one == audience) => {
                    if audiences.len() == 1 || name == FILE {
                        return Ok(token);
                    }
                    shared = shared.or(Some(token));
                }
                Ok(audiences) => {
                    let audiences = crate::diagnostic::plain(&audiences.join(", "));
                    seen.push(format!("that of {name} is for {audiences}"));
                }
                Err(error) => seen.push(format!("{name}: {error}")),
            }
        }
        shared.ok_or_else(|| self.lacks(audience, &seen))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::sync::Mutex;

    use data_encoding::BASE64URL_NOPAD;

    use super::*;
    use crate::disk::SystemDisk;

    fn token(audiences: &str) -> String {
        format!("e30.{}.c2ln", BASE64URL_NOPAD.encode(format!(r#"{{"aud":{audiences}}}"#).as_bytes()))
    }

    async fn asked(variables: &[(&str, &str)], audience: &str) -> (Result<String>, Vec<String>) {
        let pairs = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let masked: Arc<Mutex<Vec<String>>> = Arc::default();
        let keep = Arc::clone(&masked);
        let mask: Mask = Arc::new(move |value| {
            keep.lock().unwrap().push(value.expose_text().unwrap().to_owned());
        });
        let disk: Arc<dyn Disk> = Arc::new(SystemDisk);
        let presented = Presented::of(&Environment::of(pairs), &disk, &mask);
        let answer = presented.token(audience).await.map(|token| token.expose_text().unwrap().to_owned());
        let masked = masked.lock().unwrap().clone();
        (answer, masked)
    }

    #[tokio::test]
    async fn the_token_for_the_audience_is_taken_and_masked() {
        let (aws, vault) = (token(r#""sts.amazonaws.com""#), token(r#"["https://vault.example","x"]"#));
        let variables = [("SECRETZERO_ID_TOKEN", aws.as_str()), ("OURS", &vault), (NAMES, "OURS, MORE")];
        assert_eq!(asked(&variables, "sts.amazonaws.com").await.0, Ok(aws.clone()));
        let (given, masked) = asked(&variables, "https://vault.example").await;
        // It is for several, so the others are looked at as well.
        assert_eq!((given, masked), (Ok(vault.clone()), vec![vault, aws]));
    }

    #[tokio::test]
    async fn a_token_for_another_audience_is_given_to_nobody() {
        let other = token(r#""other""#);
        let variables =
            [("SECRETZERO_ID_TOKEN", other.as_str()), ("AZURE_FEDERATED_TOKEN_FILE", "/does/not/exist"), (NAMES, "")];
        let error = asked(&variables, "sts.amazonaws.com").await.0.unwrap_err();
        insta::assert_snapshot!(error, @"no ID token of this run is for the audience `sts.amazonaws.com`: that of SECRETZERO_ID_TOKEN is for other, AZURE_FEDERATED_TOKEN_FILE names no file; declare one with this audience");
    }

    #[tokio::test]
    async fn a_token_for_one_audience_goes_before_one_for_several() {
        let (shared, own) = (token(r#"["sts.amazonaws.com","other"]"#), token(r#"["sts.amazonaws.com"]"#));
        let variables = [("SECRETZERO_ID_TOKEN", shared.as_str()), ("SECRETZERO_AWS_ID_TOKEN", &own)];
        assert_eq!(asked(&variables, "sts.amazonaws.com").await.0, Ok(own.clone()));
        assert_eq!(asked(&variables, "other").await.0, Ok(shared.clone()));
    }

    #[tokio::test]
    async fn at_gitlab_it_says_what_to_declare() {
        let other = token(r#""other""#);
        let variables = [("SECRETZERO_ID_TOKEN", other.as_str()), ("GITLAB_CI", "true")];
        let error = asked(&variables, "sts.amazonaws.com").await.0.unwrap_err();
        insta::assert_snapshot!(error, @r#"no ID token of this run is for the audience `sts.amazonaws.com`: that of SECRETZERO_ID_TOKEN is for other; give the job `id_tokens: {SECRETZERO_AWS_ID_TOKEN: {aud: "sts.amazonaws.com"}}`"#);
        for (audience, name) in [
            ("api://AzureADTokenExchangeUSGov", "SECRETZERO_AZURE_ID_TOKEN"),
            ("https://iam.googleapis.com/projects/1/locations/global", "SECRETZERO_GCP_ID_TOKEN"),
            ("https://vault.corp:8200", "SECRETZERO_ID_TOKEN"),
            ("a\"}}\n: b", "SECRETZERO_ID_TOKEN"),
        ] {
            let declared = declaration(audience);
            let yaml: serde_json::Value = serde_saphyr::from_str(declared.trim_matches('`')).unwrap();
            let aud = yaml["id_tokens"][name]["aud"].as_str().unwrap();
            assert_eq!(aud, crate::diagnostic::plain(audience), "{declared}");
        }
    }
}
