//! A secret of a Key Vault as a target declares it.

use super::scalar::value;
use crate::target::{KeyVaultSettings, When};

/// Vault, name, type, state and dates, each with what follows its colon.
pub(super) fn lines(settings: &KeyVaultSettings) -> [(&'static str, Option<String>); 6] {
    let one = |text: &str| format!(" {}", value(text));
    let date = |when: Option<When>| {
        when.map(|when| match when {
            When::At(at) => one(&at.to_string()),
            When::After(seconds) => one(&format!("{{{{ {} days from now }}}}", seconds / 86_400)),
        })
    };
    [
        ("vault_url", Some(one(&settings.vault_url))),
        ("secret_name", Some(one(&settings.secret_name))),
        ("content_type", settings.content_type.as_deref().map(one)),
        ("enabled", (!settings.enabled).then(|| " false".to_owned())),
        ("expires_on", date(settings.expires_on)),
        ("not_before", date(settings.not_before)),
    ]
}
