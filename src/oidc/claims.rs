//! What a token says of its run, for explanation only: nothing here is verified.

use std::fmt::Write as _;

use data_encoding::BASE64URL_NOPAD;
use serde_json::{Map, Value as Json};

use crate::secret::SecretValue;

/// Longest token that is looked at, in bytes; AWS takes 20,000 characters.
const TOKEN_BYTES_MAX: usize = 64 * 1024;

/// The claims that decide about trust, in the order in which they are shown. Names, mail addresses
/// and ids of single runs are not among them.
const SHOWN: &[&str] = &[
    "iss",
    "aud",
    "sub",
    "repository",
    "repository_id",
    "repository_owner",
    "repository_owner_id",
    "event_name",
    "ref",
    "ref_type",
    "ref_protected",
    "environment",
    "job_workflow_ref",
    "workflow_ref",
    "runner_environment",
    "project_path",
    "project_id",
    "namespace_path",
    "namespace_id",
    "pipeline_source",
    "environment_protected",
    "iat",
    "nbf",
    "exp",
];

/// The payload of a token, without its signature.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Claims(Map<String, Json>);

/// A token that is not three parts of which the second is a JSON object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the token is no JWT")]
pub struct NoJwt;

impl Claims {
    /// The claims of a token, unverified.
    ///
    /// # Errors
    /// [`NoJwt`].
    pub fn of(token: &SecretValue) -> Result<Self, NoJwt> {
        let text = token.expose_text().filter(|text| text.len() <= TOKEN_BYTES_MAX).ok_or(NoJwt)?;
        let mut parts = text.trim().split('.');
        let (Some(_), Some(payload), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return Err(NoJwt);
        };
        let bytes = BASE64URL_NOPAD.decode(payload.trim_end_matches('=').as_bytes()).map_err(|_| NoJwt)?;
        serde_json::from_slice(&bytes).map(Self).map_err(|_| NoJwt)
    }

    /// Claims that a run is expected to have, for a trust policy that is written before any run.
    #[must_use]
    pub fn expected(members: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(members.into_iter().map(|(name, value)| (name, Json::String(value))).collect())
    }

    /// A claim as text; numbers and truth values as JSON writes them. `None` if it is absent, empty
    /// or made of parts.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<String> {
        match self.0.get(name)? {
            Json::String(text) if !text.is_empty() => Some(text.clone()),
            Json::Number(number) => Some(number.to_string()),
            Json::Bool(truth) => Some(truth.to_string()),
            _ => None,
        }
    }

    /// `iss`; empty if absent.
    #[must_use]
    pub fn issuer(&self) -> String {
        self.text("iss").unwrap_or_default()
    }

    /// `sub`; empty if absent.
    #[must_use]
    pub fn subject(&self) -> String {
        self.text("sub").unwrap_or_default()
    }

    /// `aud`, one or several.
    #[must_use]
    pub fn audiences(&self) -> Vec<String> {
        match self.0.get("aud") {
            Some(Json::String(one)) => vec![one.clone()],
            Some(Json::Array(several)) => several.iter().filter_map(|one| one.as_str().map(str::to_owned)).collect(),
            _ => Vec::new(),
        }
    }

    /// `exp`, `nbf` or `iat`, in seconds since 1970.
    #[must_use]
    pub fn seconds(&self, name: &str) -> Option<i64> {
        let number = self.0.get(name)?.as_number()?;
        #[expect(clippy::cast_possible_truncation, reason = "seconds of a token; a saturated one is as wrong")]
        let whole = || number.as_f64().map(|seconds| seconds as i64);
        number.as_i64().or_else(whole)
    }

    /// Whether a job of GitLab's is described, whose tokens are made once, when it starts
    /// (<https://docs.gitlab.com/ci/secrets/id_token_authentication/#token-payload>).
    #[must_use]
    pub fn is_gitlab(&self) -> bool {
        self.text("project_path").is_some() && self.text("job_id").is_some()
    }

    /// The subject, if it has one of the forms of GitHub.
    #[must_use]
    pub fn github(&self) -> Option<GithubSubject> {
        GithubSubject::parse(&self.subject())
    }

    /// The claims that trust is decided by, one a line, cleaned of what could steer a terminal or a log.
    #[must_use]
    pub fn shown(&self) -> String {
        let mut text = String::new();
        for name in SHOWN {
            let value = match *name {
                "aud" => Some(self.audiences().join(", ")).filter(|text| !text.is_empty()),
                name => self.text(name),
            };
            if let Some(value) = value {
                let _ = writeln!(text, "{name}: {}", crate::diagnostic::plain(&value).replace(['\n', '\r'], " "));
            }
        }
        text
    }
}

/// GitHub's subject: `repo:OWNER/NAME:CONTEXT`, or `repo:OWNER@ID/NAME@ID:CONTEXT` for repositories
/// that were created, renamed or moved since 15 July 2026, or that chose it
/// (<https://github.blog/changelog/2026-04-23-immutable-subject-claims-for-github-actions-oidc-tokens>).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GithubSubject {
    /// Name of the owner.
    pub owner: String,
    /// Name of the repository.
    pub name: String,
    /// Ids of owner and repository, in the immutable form.
    pub ids: Option<(String, String)>,
    /// `pull_request`, `ref:refs/heads/main` or `environment:production`.
    pub context: String,
}

impl GithubSubject {
    /// Reads a subject; `None` for one of another issuer, or one that was customised.
    #[must_use]
    pub fn parse(subject: &str) -> Option<Self> {
        let (repository, context) = subject.strip_prefix("repo:")?.split_once(':')?;
        let (owner, name) = repository.split_once('/')?;
        let ((owner, owner_id), (name, id)) = (with_id(owner)?, with_id(name)?);
        let ids = match (owner_id, id) {
            (Some(owner), Some(name)) => Some((owner, name)),
            (None, None) => None,
            _ => return None,
        };
        let filled = !owner.is_empty() && !name.is_empty() && !context.is_empty();
        filled.then(|| Self { owner, name, ids, context: context.to_owned() })
    }

    /// The same run in the other form; `ids` are those of owner and repository, which the claims
    /// `repository_owner_id` and `repository_id` tell.
    #[must_use]
    pub fn other_form(&self, ids: (&str, &str)) -> String {
        let Self { owner, name, context, .. } = self;
        match self.ids {
            Some(_) => format!("repo:{owner}/{name}:{context}"),
            None => format!("repo:{owner}@{}/{name}@{}:{context}", ids.0, ids.1),
        }
    }
}

/// A name, and the id behind its `@`.
fn with_id(text: &str) -> Option<(String, Option<String>)> {
    match text.split_once('@') {
        None => Some((text.to_owned(), None)),
        Some((name, id)) => {
            let digits = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| (name.to_owned(), Some(id.to_owned())))
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn token(payload: &str) -> SecretValue {
        SecretValue::from(format!("e30.{}.c2lnbmF0dXJl", BASE64URL_NOPAD.encode(payload.as_bytes())))
    }

    #[test]
    fn what_decides_is_shown_and_the_signature_is_not() {
        let claims = Claims::of(&token(
            r#"{"iss":"https://i","aud":["a","b"],"sub":"repo:o/r:pull_request","exp":12,"user_email":"x@y","jti":"j","ref":"a\n::warning::\u001b[2J"}"#,
        ))
        .unwrap();
        assert_eq!((claims.issuer().as_str(), claims.seconds("exp")), ("https://i", Some(12)));
        let shown = claims.shown();
        assert!(shown.starts_with("iss: https://i\naud: a, b\nsub: repo:o/r:pull_request\n"), "{shown}");
        assert!(!shown.contains("c2lnbmF0dXJl") && !shown.contains("x@y") && !shown.contains('\u{1b}'), "{shown}");
        assert!(shown.lines().all(|line| !line.starts_with("::")), "{shown}");
    }

    #[test]
    fn what_is_no_jwt_is_refused() {
        for bad in ["", "a.b", "a.b.c.d", "a.!.c", "a.W10.c", "hvs.AAAA"] {
            assert_eq!(Claims::of(&SecretValue::from(bad)), Err(NoJwt), "{bad}");
        }
    }

    #[test]
    fn both_forms_of_github_are_known() {
        let plain = GithubSubject::parse("repo:acme/app:ref:refs/heads/main").unwrap();
        assert_eq!((plain.ids.clone(), plain.context.as_str()), (None, "ref:refs/heads/main"));
        let other = plain.other_form(("7", "42"));
        assert_eq!(other, "repo:acme@7/app@42:ref:refs/heads/main");
        let immutable = GithubSubject::parse(&other).unwrap();
        assert_eq!(immutable.ids, Some(("7".into(), "42".into())));
        assert_eq!(immutable.other_form(("7", "42")), "repo:acme/app:ref:refs/heads/main");
        for odd in ["project_path:g/p:ref_type:branch:ref:main", "repo:acme/app", "repo:a@1/b:x", "repo:a@x/b@y:z"] {
            assert_eq!(GithubSubject::parse(odd), None, "{odd}");
        }
    }
}
