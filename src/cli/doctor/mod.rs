//! `doctor`: what keeps a run from working, in one table. Without a network it tells what files,
//! variables and tokens that are there already show.
//!
//! It asks for tokens and logs in where the run itself would, as whom it would, and nowhere else: in an
//! event that a pull request steers, nothing is asked in this run's name.

pub(in crate::cli) mod files;
mod forge;
mod job;
mod look;
mod roles;
mod row;
mod stores;
mod token;
mod tokens;

pub(in crate::cli) use look::{As, Look};
pub(in crate::cli) use row::{Row, State, Table};

use super::args::{Backoff, CallArgs, DoctorArgs, RateLimit};
use super::exit::Exit;
use super::session::Session;
use super::trusted::{LEFT_OUT, may_sync};

/// Somebody waits for the answer, so nothing is tried for long.
const CALLS: CallArgs =
    CallArgs { rate_limit: RateLimit::Auto, retry_max_attempts: 2, retry_backoff: Backoff::Exponential };

/// Most seconds that clocks may differ; AWS refuses signatures from five minutes on, tokens count for as
/// little as five.
const SKEW_SECONDS_MAX: i64 = 60;

/// `secretzero doctor`.
pub(super) async fn doctor(session: &Session, args: &DoctorArgs) -> Result<Exit, Exit> {
    let (workspace, mut rows) = files::secretfile(session);
    let withheld = (!may_sync(&session.environment)).then(|| LEFT_OUT.to_owned());
    let run = As { phase: None, calls: CALLS, allowed_hosts: &[], withheld };
    let looks: Vec<Look> = workspace.into_iter().map(|workspace| Look::new(session, workspace, run.clone())).collect();
    rows.extend(examine(session, &looks, args.offline).await);
    let table = Table::new(rows);
    if session.console.is_json() {
        session.console.json(&table.json());
    } else {
        session.console.line(&table.text(&session.console));
    }
    Ok(table.exit())
}

/// Everything about these Secretfiles, the job and its forge but what is wrong with their texts.
pub(in crate::cli) async fn examine(session: &Session, looks: &[Look], offline: bool) -> Vec<Row> {
    let mut rows: Vec<Row> = looks.iter().flat_map(files::lacking).collect();
    rows.extend(files::workflows(session));
    rows.extend(job::job(session, looks));
    let tokens = tokens::tokens(session, looks, offline).await;
    rows.extend(tokens.rows);
    rows.extend(looks.iter().flat_map(|look| roles::roles(session, look)));
    if offline {
        rows.push(Row::skipped("forge", "not asked, because of --offline"));
        rows.push(Row::skipped("stores", "not asked, because of --offline"));
        return rows;
    }
    rows.extend(forge::forge(session).await);
    if looks.is_empty() {
        rows.push(Row::skipped("stores", "not asked: the Secretfile is not valid"));
    }
    for look in looks {
        rows.extend(stores::stores(look, &tokens.refused).await);
    }
    rows
}

/// Whose clock is wrong, if one is.
fn clock(seconds: i64, whose: &str) -> Row {
    if seconds.abs() <= SKEW_SECONDS_MAX {
        return Row::good("clock", "right within a minute");
    }
    let side = if seconds > 0 { "ahead of" } else { "behind" };
    let text = format!("{} s {side} {whose}: tokens and signatures are refused", seconds.abs());
    Row::wrong("clock", text, "let the machine set its clock by NTP")
}
