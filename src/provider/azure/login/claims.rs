//! What a token says of itself, read without being verified: for messages alone, never for a decision.

use data_encoding::BASE64URL_NOPAD;
use serde_json::Value as Json;

use crate::secret::SecretValue;

/// Longest claim that is shown, in characters.
const SHOWN_CHARS_MAX: usize = 160;

/// The claims that a person can use.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Claims {
    pub(super) tenant: Option<String>,
    pub(super) application: Option<String>,
    pub(super) object: Option<String>,
    pub(super) user: Option<String>,
    pub(super) issuer: Option<String>,
    pub(super) subject: Option<String>,
    pub(super) audience: Option<String>,
}

impl Claims {
    /// Of a token in the compact form; nothing of any other.
    pub(super) fn of(token: &SecretValue) -> Self {
        Self::read(token).unwrap_or_default()
    }

    fn read(token: &SecretValue) -> Option<Self> {
        let payload = token.expose_text()?.split('.').nth(1)?;
        let json: Json = serde_json::from_slice(&BASE64URL_NOPAD.decode(payload.as_bytes()).ok()?).ok()?;
        let claim = |names: &[&str]| names.iter().find_map(|name| text(json.get(name)?));
        Some(Self {
            tenant: claim(&["tid"]),
            application: claim(&["appid", "azp"]),
            object: claim(&["oid"]),
            user: claim(&["upn", "unique_name", "preferred_username"]),
            issuer: claim(&["iss"]),
            subject: claim(&["sub"]),
            audience: claim(&["aud"]),
        })
    }

    /// Who it is for, in words.
    pub(super) fn principal(&self) -> String {
        match (&self.user, &self.application, &self.object) {
            (Some(user), _, _) => user.clone(),
            (None, Some(application), Some(object)) => format!("application {application} (object {object})"),
            (None, Some(application), None) => format!("application {application}"),
            (None, None, Some(object)) => format!("object {object}"),
            (None, None, None) => String::new(),
        }
    }
}

/// A text, or the only one of a list, fit for a line.
fn text(claim: &Json) -> Option<String> {
    let text = match claim {
        Json::Array(several) => several.first()?.as_str()?,
        one => one.as_str()?,
    };
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    Some(text.chars().take(SHOWN_CHARS_MAX).map(plain).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_token_says_nothing() {
        for text in ["", "a.b.c", "a.e30.c", "x"] {
            assert_eq!(Claims::of(&SecretValue::from(text)), Claims::default(), "{text}");
        }
        let payload = BASE64URL_NOPAD.encode(br#"{"tid":"t","appid":"a","oid":"o","aud":["x"]}"#);
        let claims = Claims::of(&SecretValue::from(format!("h.{payload}.s")));
        assert_eq!(claims.principal(), "application a (object o)");
        assert_eq!((claims.tenant.as_deref(), claims.audience.as_deref()), (Some("t"), Some("x")));
    }
}
