//! Tokens that somebody made before the run began: GitLab in variables, a cluster in files.
//!
//! Each is good for the audiences it names and is given out for no other, so a token for one cloud
//! never reaches another.

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

/// What one of them says, without its signature.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// The variable that holds it or names its file.
    pub name: String,
    /// What it says, or why it is no token.
    pub claims: std::result::Result<Claims, String>,
}

/// All of them.
pub(super) struct Presented {
    places: Vec<Place>,
    disk: Arc<dyn Disk>,
    mask: Mask,
}

/// The variables that are set, with their tokens.
fn variables(environment: &Environment) -> impl Iterator<Item = (&str, &str)> {
    let named = environment.filled(NAMES).unwrap_or_default().split(',').map(str::trim);
    named.chain(VARIABLES.iter().copied()).filter_map(|name| Some((name, environment.filled(name)?)))
}

fn files(environment: &Environment) -> impl Iterator<Item = (&'static str, &str)> {
    FILES.iter().filter_map(|name| Some((*name, environment.filled(name)?)))
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
        Self { places, disk: Arc::clone(disk), mask: Arc::clone(mask) }
    }

    /// What each of them says.
    pub(super) fn shown(&self) -> Vec<Shown> {
        let one = |place: &Place| {
            let token = self.read(place);
            let claims = token.and_then(|token| {
                (self.mask)(&token);
                Claims::of(&token).map_err(|error| format!("{}: {error}", place.name()))
            });
            Shown { name: place.name().to_owned(), claims }
        };
        self.places.iter().map(one).collect()
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
        let mut seen = Vec::new();
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
            match Claims::of(&token) {
                Ok(claims) if claims.audiences().iter().any(|one| one == audience) => return Ok(token),
                Ok(claims) => {
                    let audiences = crate::diagnostic::plain(&claims.audiences().join(", "));
                    seen.push(format!("that of {name} is for {audiences}"));
                }
                Err(error) => seen.push(format!("{name}: {error}")),
            }
        }
        let message = format!(
            "no ID token of this run is for the audience `{audience}`: {}; declare one with this audience",
            seen.join(", ")
        );
        Err(Error::new(ErrorKind::Unauthenticated, message))
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
        assert_eq!((given, masked), (Ok(vault.clone()), vec![vault]));
    }

    #[tokio::test]
    async fn a_token_for_another_audience_is_given_to_nobody() {
        let other = token(r#""other""#);
        let variables =
            [("SECRETZERO_ID_TOKEN", other.as_str()), ("AZURE_FEDERATED_TOKEN_FILE", "/does/not/exist"), (NAMES, "")];
        let error = asked(&variables, "sts.amazonaws.com").await.0.unwrap_err();
        insta::assert_snapshot!(error, @"no ID token of this run is for the audience `sts.amazonaws.com`: that of SECRETZERO_ID_TOKEN is for other, AZURE_FEDERATED_TOKEN_FILE names no file; declare one with this audience");
    }
}
