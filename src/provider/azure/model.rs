//! What a vault answers, as far as anybody here reads it
//! (<https://learn.microsoft.com/rest/api/keyvault/>).

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::mark::MARK_KEY;

/// The two kinds of objects in a vault, with the same verbs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Collection {
    Secrets,
    Certificates,
}

impl Collection {
    /// As in a path.
    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::Secrets => "secrets",
            Self::Certificates => "certificates",
        }
    }

    /// Those that are soft-deleted, as in a path.
    pub(super) const fn deleted(self) -> &'static str {
        match self {
            Self::Secrets => "deletedsecrets",
            Self::Certificates => "deletedcertificates",
        }
    }

    /// One of them, for a person and for a locator.
    pub(super) const fn noun(self) -> &'static str {
        match self {
            Self::Secrets => "secret",
            Self::Certificates => "certificate",
        }
    }
}

/// One object or one version of it; never its value.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Item {
    /// `https://<vault>/secrets/<name>`, of a version also `/<version>`.
    pub(super) id: String,
    pub(super) attributes: ItemAttributes,
    pub(super) tags: Option<BTreeMap<String, String>>,
    pub(super) content_type: Option<String>,
    /// It belongs to a certificate of the same name.
    pub(super) managed: bool,
    /// Of a certificate: SHA-1 over its DER form, base64url.
    pub(super) x5t: Option<String>,
    /// When what is soft-deleted is gone for good, seconds.
    pub(super) scheduled_purge_date: Option<i64>,
}

/// Its dates and its state; dates are seconds.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ItemAttributes {
    pub(super) enabled: Option<bool>,
    pub(super) nbf: Option<i64>,
    pub(super) exp: Option<i64>,
    pub(super) created: i64,
    pub(super) updated: i64,
    pub(super) recovery_level: Option<String>,
}

impl Item {
    pub(super) fn name(&self) -> &str {
        self.id.split('/').nth(4).unwrap_or_default()
    }

    pub(super) fn version(&self) -> Option<&str> {
        self.id.split('/').nth(5).filter(|version| !version.is_empty())
    }

    pub(super) fn tag(&self, name: &str) -> Option<&str> {
        self.tags.as_ref()?.get(name).map(String::as_str)
    }

    pub(super) fn mark(&self) -> Option<&str> {
        self.tag(MARK_KEY)
    }
}

/// One page of a list. It may be empty and yet not the last.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Page {
    pub(super) value: Option<Vec<Item>>,
    pub(super) next_link: Option<String>,
}

/// A secret with its value; no `Debug` on purpose.
#[derive(Deserialize)]
pub(super) struct Bundle {
    pub(super) value: Option<String>,
    #[serde(default)]
    pub(super) id: String,
}
