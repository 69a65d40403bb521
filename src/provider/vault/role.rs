//! Roles of the database engine: what Vault runs to make credentials. A role holds no value.
//!
//! Compared in the server's own form, so that a second sync changes nothing: durations in seconds, and
//! statements without the blanks around them. Facts:
//! <https://developer.hashicorp.com/vault/api-docs/secret/databases>.

use serde_json::{Value as Json, json};

use super::session::Session;
use super::wire::{Answer, Request};
use crate::diagnostic::nearest;
use crate::limiter::{Repeat, quota};
use crate::provider::{Error, ErrorKind, Observed, Result, VersionId};
use crate::target::{Attributes, DatabaseRoleSettings};

/// The engine that roles are asked of.
const ENGINE: &str = "database";

/// Most connections that are named where one was not found.
const KNOWN_MAX: usize = 12;

fn path(settings: &DatabaseRoleSettings) -> String {
    format!("{}/roles/{}", settings.database_mount, settings.role_name)
}

fn statements<'s>(texts: impl Iterator<Item = &'s str>) -> String {
    let texts: Vec<&str> = texts.map(str::trim).filter(|text| !text.is_empty()).collect();
    json!(texts).to_string()
}

/// What the settings ask for.
pub(super) fn desired(settings: &DatabaseRoleSettings) -> Attributes {
    let mut attributes = Attributes::from([
        ("db_name".to_owned(), settings.db_name.clone()),
        ("creation_statements".to_owned(), statements(settings.creation_statements.iter().map(String::as_str))),
    ]);
    let ttls = [("default_ttl", settings.default_ttl_seconds), ("max_ttl", settings.max_ttl_seconds)];
    attributes.extend(ttls.into_iter().filter_map(|(name, ttl)| Some((name.to_owned(), ttl?.to_string()))));
    attributes
}

fn told(answer: &Answer) -> Attributes {
    let texts = answer.data("creation_statements").as_array().into_iter().flatten().filter_map(Json::as_str);
    let seconds = |name: &str| answer.data(name).as_u64().unwrap_or(0).to_string();
    Attributes::from([
        ("db_name".to_owned(), answer.data("db_name").as_str().unwrap_or_default().to_owned()),
        ("creation_statements".to_owned(), statements(texts)),
        ("default_ttl".to_owned(), seconds("default_ttl")),
        ("max_ttl".to_owned(), seconds("max_ttl")),
    ])
}

/// What stands there. What Vault would accept and fail with only when somebody asks for credentials is
/// an error here already.
pub(super) async fn observe(session: &Session, settings: &DatabaseRoleSettings) -> Result<Option<Observed>> {
    session.check_engine(&settings.database_mount, ENGINE, "database_mount").await?;
    let answer = session.find(Request::read(path(settings))).await?.filter(|answer| !answer.gone);
    let attributes = answer.as_ref().map(told);
    lifetimes(settings, attributes.as_ref())?;
    let connected = attributes.as_ref().and_then(|attributes| attributes.get("db_name")) == Some(&settings.db_name);
    if !connected {
        connection(session, settings).await?;
    }
    Ok(attributes.map(|attributes| Observed {
        version: String::new(),
        mark: None,
        attributes,
        pending_deletion: false,
        managed_by: None,
        from_list: false,
    }))
}

/// A usual lifetime must not be longer than the longest, be that declared or the role's own.
fn lifetimes(settings: &DatabaseRoleSettings, seen: Option<&Attributes>) -> Result<()> {
    let there = |name: &str| seen.and_then(|seen| seen.get(name)).and_then(|text| text.parse().ok());
    let usual = settings.default_ttl_seconds.or_else(|| there("default_ttl")).unwrap_or(0);
    let longest = settings.max_ttl_seconds.or_else(|| there("max_ttl")).unwrap_or(0);
    if longest == 0 || usual <= longest {
        return Ok(());
    }
    let message = format!(
        "the role `{}` would have a `default_ttl` of {usual} s and a `max_ttl` of {longest} s; declare both so that the \
         first is not longer",
        settings.role_name
    );
    Err(Error::new(ErrorKind::Invalid, message))
}

/// Makes sure that the connection exists, where the token may ask.
async fn connection(session: &Session, settings: &DatabaseRoleSettings) -> Result<()> {
    let (mount, name) = (&settings.database_mount, &settings.db_name);
    let listed = match session.find(Request::list(format!("{mount}/config"))).await {
        Ok(listed) => listed,
        Err(error) if error.kind == ErrorKind::PermissionDenied => {
            return match session.find(Request::read(format!("{mount}/config/{name}"))).await {
                Ok(None) => Err(missing(settings, &[])),
                Err(error) if error.kind == ErrorKind::PermissionDenied => Ok(()),
                other => other.map(|_| ()),
            };
        }
        Err(error) => return Err(error),
    };
    let known: Vec<&str> = listed.iter().flat_map(|answer| answer.keys()).collect();
    if known.contains(&name.as_str()) { Ok(()) } else { Err(missing(settings, &known)) }
}

fn missing(settings: &DatabaseRoleSettings, known: &[&str]) -> Error {
    let (mount, name) = (&settings.database_mount, &settings.db_name);
    let help = match nearest(name, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => format!("make it with `vault write {mount}/config/{name} …`"),
        None => {
            let shown: Vec<&str> = known.iter().copied().take(KNOWN_MAX).collect();
            format!("known are: {}", shown.join(", "))
        }
    };
    let message =
        format!("`db_name` of the role `{}`: `{mount}` has no connection `{name}`; {help}", settings.role_name);
    Error::new(ErrorKind::Invalid, message)
}

/// Makes the role or changes it; what is not declared stays as it is.
pub(super) async fn configure(session: &Session, settings: &DatabaseRoleSettings) -> Result<VersionId> {
    session.check_engine(&settings.database_mount, ENGINE, "database_mount").await?;
    let mut body = json!({ "db_name": settings.db_name, "creation_statements": settings.creation_statements });
    if let Some(body) = body.as_object_mut() {
        let ttls = [("default_ttl", settings.default_ttl_seconds), ("max_ttl", settings.max_ttl_seconds)];
        body.extend(ttls.into_iter().filter_map(|(name, ttl)| Some((name.to_owned(), json!(format!("{}s", ttl?))))));
    }
    session.call(&quota::VAULT_WRITE, Repeat::Safe, Request::update(path(settings), body)).await?;
    Ok(String::new())
}
