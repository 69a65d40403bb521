//! What one token says of its run, judged: its audience, its subject, its life, and whose clock is right.
//! Nothing here is verified, and the token itself is never seen here.

use serde_json::json;

use super::row::Row;
use super::{SKEW_SECONDS_MAX, clock};
use crate::oidc::Phase;
use crate::oidc::claims::{Claims, GithubSubject};

/// Where a token would be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ShownTo {
    /// The provider block.
    pub alias: String,
    /// The role, application or service account; empty where the store has one of its own.
    pub identity: String,
    /// Whose that is: `plan` or `sync`.
    pub phase: &'static str,
}

/// What is known of a token beside its claims.
pub(super) struct About<'a> {
    /// What it is called in the table.
    pub name: &'a str,
    /// Whom it must be for.
    pub audience: Option<&'a str>,
    pub shown_to: &'a [ShownTo],
    pub phase: Phase,
    /// It was minted just now, so its times tell of clocks.
    pub fresh: bool,
    /// Seconds since 1970.
    pub now: i64,
}

/// The token's own row, and one for each thing to look at.
pub(super) fn judge(claims: &Claims, about: &About<'_>) -> Vec<Row> {
    let mut rows = vec![token(claims, about)];
    if let Some(seconds) = skew(claims, about).filter(|seconds| seconds.abs() > SKEW_SECONDS_MAX) {
        rows.push(clock(seconds, &format!("the one of who issued the token {}", about.name)));
    }
    rows.extend(dropped_context(claims));
    rows.extend(planning_environment(claims, about.phase));
    if claims.text("runner_environment").as_deref() == Some("self-hosted") {
        let text = "the runner is self-hosted, and its subject is that of a hosted one";
        let help = "where that must make a difference, let the role condition on `runner_environment`";
        rows.push(Row::note("id-token", text).help(help));
    }
    rows
}

fn token(claims: &Claims, about: &About<'_>) -> Row {
    let About { name, audience, shown_to, fresh, now, .. } = about;
    let audiences = claims.audiences();
    let end = claims.seconds("exp");
    let begun = claims.seconds("iat").or_else(|| claims.seconds("nbf"));
    let life = end.map(|end| if *fresh { end - begun.unwrap_or(*now) } else { end - now });
    let skew = skew(claims, about);
    let right = skew.filter(|seconds| *fresh && seconds.abs() <= SKEW_SECONDS_MAX);
    let row = match (audience, life) {
        (Some(asked), _) if audiences.iter().all(|one| one != asked) => {
            let text = format!("{name}: asked for, and answered for `{}`: a cloud refuses it", audiences.join("`, `"));
            Row::wrong("id-token", text, "the issuer, or a proxy before it, changes audiences; ask its operator")
        }
        (_, None) => Row::wrong("id-token", format!("{name}: has no end, and clouds refuse that"), ""),
        (_, Some(life)) if life <= 0 => {
            Row::wrong("id-token", format!("{name}: ended {} s ago", -life), "start the job again")
        }
        (_, Some(life)) => {
            let right = if right.is_some() { ", clock right within a minute" } else { "" };
            let left = if *fresh { "lives" } else { "lives on for" };
            Row::good("id-token", format!("{name}: {left} {life} s{right}"))
        }
    };
    let (subject, form) = (claims.subject(), form(claims));
    let row = row.more(format!("issuer:   {}", claims.issuer())).more(format!("subject:  {subject} ({form})"));
    let shown = |row: Row, to: &ShownTo| {
        let whom = if to.identity.is_empty() { "nobody in particular" } else { &to.identity };
        row.more(format!("shown by: {}, to {whom} ({})", to.alias, to.phase))
    };
    let identities = shown_to
        .iter()
        .map(|to| json!({ "provider": to.alias, "identity": to.identity, "phase": to.phase }))
        .collect::<Vec<_>>();
    shown_to.iter().fold(row, shown).facts(json!({
        "asked": audience, "audiences": audiences, "issuer": claims.issuer(), "subject": subject, "form": form,
        "life_seconds": life, "skew_seconds": skew, "shown_to": identities,
    }))
}

/// By how many seconds our clock is ahead of the issuer's. A token that was there before tells only of
/// one that is behind: it was not made in the future.
fn skew(claims: &Claims, about: &About<'_>) -> Option<i64> {
    let times = || ["iat", "nbf"].iter().filter_map(|name| claims.seconds(name));
    let latest = times().max().filter(|latest| *latest > about.now);
    let issued = claims.seconds("iat").filter(|_| about.fresh);
    latest.or(issued).map(|theirs| about.now.saturating_sub(theirs))
}

/// Whose tokens these are, by the claims that only they have
/// (<https://docs.github.com/en/actions/reference/security/oidc>,
/// <https://docs.gitlab.com/ci/secrets/id_token_authentication>).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Issuer {
    Github,
    Gitlab,
    Other,
}

fn issuer(claims: &Claims) -> Issuer {
    let has = |names: &[&str]| names.iter().any(|name| claims.text(name).is_some());
    if has(&["repository_owner_id", "job_workflow_ref"]) {
        Issuer::Github
    } else if has(&["project_path", "namespace_path"]) {
        Issuer::Gitlab
    } else {
        Issuer::Other
    }
}

/// What GitHub calls the context of a subject: an environment, a pull request or a ref.
const CONTEXTS: [&str; 3] = ["environment:", "pull_request", "ref:refs/"];

/// Whether a context is one of those and nothing else; a colon within one is written as `%3A`.
fn is_standard(context: &str) -> bool {
    let named = CONTEXTS.iter().any(|known| known.contains(':') && context.starts_with(known));
    context == "pull_request" || (named && context.matches(':').count() == 1)
}

/// Which form the subject has.
fn form(claims: &Claims) -> &'static str {
    let standard = claims.github().filter(|subject| is_standard(&subject.context));
    match (issuer(claims), standard) {
        (Issuer::Github, Some(GithubSubject { ids: Some(_), .. })) => "by ids",
        (Issuer::Github, Some(_)) => "by names",
        (Issuer::Github, None) => "customised",
        (Issuer::Gitlab, _) => "GitLab's",
        (Issuer::Other, _) => "its issuer's own",
    }
}

/// A subject that does not tell a pull request from the default branch.
fn dropped_context(claims: &Claims) -> Option<Row> {
    let subject = format!(":{}", claims.subject());
    let says = |part: &str| subject.contains(&format!(":{part}"));
    let (drops, help) = match issuer(claims) {
        Issuer::Github => (
            !CONTEXTS.into_iter().any(says),
            "put `context` back into `include_claim_keys` of the repository's or organisation's \
             `actions/oidc/customization/sub`, or let no role trust this subject alone",
        ),
        Issuer::Gitlab => (
            !says("ref:"),
            "put `ref_type` and `ref` back into the project's `ci_id_token_sub_claim_components`, or let no role trust \
             this subject alone",
        ),
        Issuer::Other => return None,
    };
    let text = "the subject names neither branch, pull request nor environment, so that every run has the same one: \
                who opens a pull request is taken for the default branch";
    drops.then(|| Row::warning("id-token", text, help))
}

/// An environment goes before everything else in a subject, so a plan would come as the sync does.
fn planning_environment(claims: &Claims, phase: Phase) -> Option<Row> {
    let environment =
        claims.text("environment").filter(|_| phase == Phase::Plan && issuer(claims) == Issuer::Github)?;
    let text = format!(
        "this job plans and names the environment `{environment}`, so its subject is the one that the role of the sync \
         trusts, not that of a pull request"
    );
    Some(Row::warning("id-token", text, "take `environment:` from the job that plans pull requests"))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use data_encoding::BASE64URL_NOPAD;

    use super::super::State;
    use super::*;
    use crate::secret::SecretValue;

    const NOW: i64 = 1_700_000_000;

    fn claims(iat: i64, nbf: i64) -> Claims {
        let payload = json!({ "aud": "a", "iat": NOW + iat, "nbf": NOW + nbf, "exp": NOW + iat + 300 }).to_string();
        Claims::of(&SecretValue::from(format!("e30.{}.c2ln", BASE64URL_NOPAD.encode(payload.as_bytes())))).unwrap()
    }

    /// Which state the worst row has for a token of these times, against now.
    fn worst(iat: i64, nbf: i64, fresh: bool) -> State {
        let about = About { name: "a", audience: Some("a"), shown_to: &[], phase: Phase::Sync, fresh, now: NOW };
        let table = super::super::Table::new(judge(&claims(iat, nbf), &about));
        if table.count(State::Wrong) > 0 { State::Wrong } else { State::Good }
    }

    #[test]
    fn a_minute_is_borne_and_a_second_more_is_not() {
        for (iat, nbf, fresh, wanted) in [
            (-60, -660, true, State::Good),
            (-61, -661, true, State::Wrong),
            (60, 0, true, State::Good),
            (61, 0, true, State::Wrong),
            (0, 61, true, State::Wrong),
            // One that was there before may be old, but not of the future.
            (-200, -205, false, State::Good),
            (61, 0, false, State::Wrong),
            (-300, -305, false, State::Wrong),
        ] {
            assert_eq!(worst(iat, nbf, fresh), wanted, "{iat} {nbf} {fresh}");
        }
    }
}
