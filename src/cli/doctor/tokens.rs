//! The tokens of this run: one for each audience that a provider block would ask for, from where the
//! block itself would take it.

use std::collections::BTreeSet;

use super::Look;
use super::row::Row;
use super::token::{About, ShownTo, judge};
use crate::cli::session::Session;
use crate::manifest::ProviderKind;
use crate::oidc::claims::Claims;
use crate::oidc::{Origin, Phase, Shown, presented};
use crate::provider::{Error, ErrorKind};

const AREA: &str = "id-token";

/// What came of them.
pub(super) struct Tokens {
    pub rows: Vec<Row>,
    /// Audiences for which no good token is to be had; nobody need try again.
    pub refused: BTreeSet<String>,
}

/// One audience, and who asks for it.
struct Need<'l> {
    audience: String,
    /// The kind of the first block that does.
    kind: ProviderKind,
    shown_to: Vec<ShownTo>,
    /// The Secretfile in whose name it may be asked for, else why it may not.
    look: Result<&'l Look, &'l str>,
}

impl Need<'_> {
    fn aliases(&self) -> String {
        let mut aliases: Vec<&str> = self.shown_to.iter().map(|to| to.alias.as_str()).collect();
        aliases.dedup();
        aliases.join(", ")
    }
}

/// What these Secretfiles need, each audience once.
fn needs(looks: &[Look]) -> Vec<Need<'_>> {
    let mut needs: Vec<Need<'_>> = Vec::new();
    for look in looks {
        let may = look.withheld.as_deref().map_or(Ok(look), Err);
        for (_, block, store) in look.remote() {
            let Some(audience) = store.and_then(|store| store.audience()) else { continue };
            let identity = look.federation.identity(block).unwrap_or_default();
            let to = ShownTo { alias: block.alias.value.clone(), identity, phase: look.phase() };
            match needs.iter_mut().find(|need| need.audience == audience) {
                Some(need) => {
                    if !need.shown_to.contains(&to) {
                        need.shown_to.push(to);
                    }
                    need.look = need.look.or(may);
                }
                None => needs.push(Need { audience, kind: block.kind, shown_to: vec![to], look: may }),
            }
        }
    }
    needs
}

/// Who would log in by token, by alias.
pub(super) fn who(looks: &[Look]) -> Vec<String> {
    needs(looks).iter().map(Need::aliases).collect()
}

pub(super) async fn tokens(session: &Session, looks: &[Look], offline: bool) -> Tokens {
    let needs = needs(looks);
    let gitlab = session.environment.filled("GITLAB_CI").is_some();
    let (mut rows, mut refused) = (Vec::new(), BTreeSet::new());
    match Origin::of(&session.environment) {
        Origin::Github if needs.is_empty() => rows.push(unneeded()),
        Origin::Github if offline => {
            rows.push(Row::skipped(AREA, format!("none is asked for, because of --offline: {}", listed(&needs))))
        }
        Origin::Github => {
            for need in &needs {
                minted(session, need, &mut rows, &mut refused).await;
            }
        }
        Origin::Nowhere if gitlab && needs.is_empty() => rows.push(unneeded()),
        // Those are there, and reading them asks nobody.
        Origin::Presented => shown(session, looks, &needs, &mut rows),
        Origin::Nowhere if gitlab => shown(session, looks, &needs, &mut rows),
        Origin::Nowhere => {}
    }
    Tokens { rows, refused }
}

fn unneeded() -> Row {
    Row::skipped(AREA, "none is asked for: no provider of the Secretfile logs in by token")
}

fn listed(needs: &[Need<'_>]) -> String {
    let one = |need: &Need<'_>| format!("`{}` for {}", need.audience, need.aliases());
    needs.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// Mints one, looks at it and forgets it; the source has hidden it before anybody sees it.
async fn minted(session: &Session, need: &Need<'_>, rows: &mut Vec<Row>, refused: &mut BTreeSet<String>) {
    let look = match need.look {
        Ok(look) => look,
        Err(why) => {
            rows.push(Row::skipped(AREA, format!("none is asked for `{}`: {why}", need.audience)));
            return;
        }
    };
    let Some(source) = &look.source else { return };
    let claims = match source.token(&need.audience).await {
        Ok(token) => Claims::of(&token),
        Err(error) => {
            rows.push(refusal(need, &error));
            refused.insert(need.audience.clone());
            return;
        }
    };
    let Ok(claims) = claims else {
        rows.push(Row::wrong(
            AREA,
            format!("{}: what the issuer answered is no token", need.audience),
            "run the job again",
        ));
        return;
    };
    let now = session.clock.now().as_second();
    let (phase, name) = (look.federation.phase, need.audience.as_str());
    let about = About { name, audience: Some(name), shown_to: &need.shown_to, phase, fresh: true, now };
    rows.extend(judge(&claims, &about));
}

fn refusal(need: &Need<'_>, error: &Error) -> Row {
    let help = match error.kind {
        ErrorKind::Unauthenticated => {
            "add `id-token: write` to the permissions of this very job, which the workflow that calls it must grant too"
        }
        ErrorKind::Throttled(_) | ErrorKind::Unavailable => {
            "run the job again; a self-hosted runner's proxy must let it through"
        }
        _ => "ask whoever runs this runner what it puts into ACTIONS_ID_TOKEN_REQUEST_URL",
    };
    Row::wrong(AREA, format!("{}: {} needs a token, and {error}", need.audience, need.aliases()), help)
}

/// The tokens that are there, and the audiences for which there is none.
fn shown(session: &Session, looks: &[Look], needs: &[Need<'_>], rows: &mut Vec<Row>) {
    let Some(first) = looks.first() else { return };
    let all = presented(&session.environment, &session.disk, &first.mask);
    let now = session.clock.now().as_second();
    for one in &all {
        match &one.claims {
            Err(why) => rows.push(Row::warning(AREA, why, "declare it again, or unset what names it")),
            Ok(claims) => {
                let name = format!("{}, for `{}`", one.name, claims.audiences().join("`, `"));
                let fits: Vec<&Need<'_>> =
                    needs.iter().filter(|need| claims.audiences().contains(&need.audience)).collect();
                let shown_to: Vec<ShownTo> = fits.iter().flat_map(|need| need.shown_to.clone()).collect();
                let phase =
                    fits.first().and_then(|need| need.look.ok()).map_or(Phase::Sync, |look| look.federation.phase);
                let about = About { name: &name, audience: None, shown_to: &shown_to, phase, fresh: false, now };
                rows.extend(judge(claims, &about));
            }
        }
    }
    let has = |need: &Need<'_>| all.iter().any(|one| audiences(one).contains(&need.audience));
    let lacking: Vec<&Need<'_>> = needs.iter().filter(|need| !has(need)).collect();
    rows.extend(lacking.iter().map(|need| missing(session, need, needs, &lacking, &all)));
}

fn audiences(shown: &Shown) -> Vec<String> {
    shown.claims.as_ref().map(Claims::audiences).unwrap_or_default()
}

/// A token that is not declared, with the text that declares it.
fn missing(session: &Session, need: &Need<'_>, needs: &[Need<'_>], lacking: &[&Need<'_>], all: &[Shown]) -> Row {
    let (audience, aliases) = (&need.audience, need.aliases());
    if session.environment.filled("GITLAB_CI").is_none() {
        // <https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/#serviceaccount-token-volume-projection>
        let help = format!(
            "project one with `serviceAccountToken: {{audience: {}, path: token}}`, and name its file in \
             SECRETZERO_ID_TOKEN_FILE",
            quoted(audience)
        );
        return Row::warning(AREA, format!("no token is for `{audience}`, which {aliases} asks for"), help);
    }
    let variable = format!("SECRETZERO_{}_ID_TOKEN", need.kind.as_str().to_ascii_uppercase());
    let declared = all.iter().find(|one| one.name == variable).map(audiences);
    let text = match &declared {
        Some(others) => {
            format!("{variable} is declared for `{}`, and {aliases} asks for `{audience}`", others.join("`, `"))
        }
        None => format!("no token of this job is for `{audience}`, which {aliases} asks for"),
    };
    // One variable holds one token for all that its kind of store asks for; what is right of it stays.
    let kept = declared.into_iter().flatten().filter(|other| needs.iter().any(|need| need.audience == *other));
    let more = lacking.iter().filter(|other| other.kind == need.kind).map(|other| other.audience.clone());
    let audiences: Vec<String> = kept.chain(more).map(|one| quoted(&one)).collect();
    let aud = match audiences.as_slice() {
        [one] => one.clone(),
        several => format!("[{}]", several.join(", ")),
    };
    Row::warning(AREA, text, format!("write in the job: `id_tokens: {{{variable}: {{aud: {aud}}}}}`"))
}

/// A text of YAML.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
