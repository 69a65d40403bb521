//! Secretfiles that a pull request deletes or moves away: the reader is told, since nothing else of the
//! change speaks of them, and their policies go on counting for what comes in their place.

use super::Job;
use super::base::Unknown;
use super::pull_request::Review;
use super::say::Check;
use super::unit::{Unit, is_odd, is_pattern, matcher};
use crate::cli::show::plural;
use crate::forge::{Conclusion, Forge};
use crate::manifest::{Law, environments, secret_names};
use crate::render::code;

/// Most Secretfiles that are looked for.
const GONE_MAX: usize = 50;

/// Most names in a list.
const NAMES_MAX: usize = 100;

/// A Secretfile of the base that the change does not have, in one environment.
pub(super) struct Gone {
    unit: Unit,
    /// Whether it has no check and no comment: its path steers the log or hides text, or its check would
    /// cover another's.
    silent: bool,
    /// What it demanded, or why that cannot be told.
    pub(super) law: Result<Law, String>,
    /// Its secrets, in the order of the file.
    pub(super) names: Vec<String>,
}

impl Gone {
    /// Its path.
    pub(super) fn file(&self) -> &str {
        &self.unit.file
    }
}

impl Job<'_> {
    /// What `files` matches in the base and not in the checkout, and why some of it cannot be told. Only
    /// patterns lose files silently: a plain path that is missing is told as such.
    pub(super) async fn gone(&self, branch: &str, here: &[Unit]) -> Result<(Vec<Gone>, Option<String>), Unknown> {
        let patterns: Vec<_> = self.inputs.files.iter().filter(|pattern| is_pattern(pattern)).collect();
        let Some(forge) = self.forge.as_deref().filter(|_| !patterns.is_empty() && self.given.is_none()) else {
            return Ok((Vec::new(), None));
        };
        let (at, _) = self.base_at(branch).await?;
        let known = forge.paths_at(&at).await.map_err(|error| Unknown(error.to_string()))?;
        let Some(paths) = known else {
            let why = "the base has more files than the forge tells, so which Secretfiles are deleted is not known; list \
                       the paths in `files` instead of a pattern";
            self.say.warning(why);
            return Ok((Vec::new(), Some(why.to_owned())));
        };
        let globs: Vec<_> = patterns.iter().filter_map(|pattern| matcher(pattern).ok()).collect();
        let missing = paths
            .into_iter()
            .filter(|path| globs.iter().any(|glob| glob.is_match(path)) && !here.iter().any(|unit| unit.file == *path));
        let (mut gone, mut untold) = (Vec::new(), None);
        for (index, file) in missing.enumerate() {
            if index == GONE_MAX {
                untold = Some(format!("more than {GONE_MAX} Secretfiles are deleted; split the change"));
                break;
            }
            gone.extend(self.units_at(forge, &file, &at, here).await?);
        }
        Ok((gone, untold))
    }

    async fn units_at(&self, forge: &dyn Forge, file: &str, at: &str, here: &[Unit]) -> Result<Vec<Gone>, Unknown> {
        let bare = Unit { file: file.to_owned(), environment: self.inputs.environment.clone(), label: String::new() };
        let standing = self.read_at(forge, &bare, at).await.map_err(|error| Unknown(error.to_string()))?;
        let standing = match standing {
            None => return Ok(Vec::new()),
            Some(Ok(standing)) => standing,
            Some(Err(problem)) => {
                let law = Err(format!("the base branch's `{file}` cannot be read: {}", problem.message));
                return Ok(vec![Gone { unit: bare, silent: true, law, names: Vec::new() }]);
            }
        };
        let source = &standing.read.source;
        let (names, _) = secret_names(source);
        let declared = environments(source);
        let environments = match declared.is_empty() || !bare.environment.is_empty() {
            true => vec![bare.environment.clone()],
            false => declared.into_iter().map(|one| one.name.value).collect(),
        };
        let mut gone = Vec::new();
        for environment in environments {
            let label = if environment.is_empty() { file.to_owned() } else { format!("{file}, {environment}") };
            let unit = Unit { environment, label, ..bare.clone() };
            let standing = self.read_at(forge, &unit, at).await.map_err(|error| Unknown(error.to_string()))?;
            let law = match &standing {
                Some(Ok(standing)) => self.law(&unit, standing),
                _ => Err(format!("the policies of `{file}` in the base branch cannot be read")),
            };
            let silent = is_odd(file) || here.iter().any(|other| other.label == unit.label);
            gone.push(Gone { unit, silent, law, names: names.clone() });
        }
        Ok(gone)
    }

    /// Tells that merging gives a Secretfile up.
    pub(super) async fn tell_gone(&self, review: &Review<'_>, gone: &Gone) {
        let title = "This pull request removes the Secretfile";
        self.say.notice(&format!("{}: {title}", gone.unit.file));
        if gone.silent {
            return;
        }
        let mut summary = format!("### SecretZero · {}\n\n**{title}.** ", code(&gone.unit.file));
        if let Some(environment) = gone.unit.environment() {
            summary.push_str(&format!("Environment {}. ", code(environment)));
        }
        summary
            .push_str("Nothing is deleted in any store; what it declared is no longer synced, rotated or checked.\n");
        let names = &gone.names;
        if !names.is_empty() {
            let listed: Vec<String> = names.iter().take(NAMES_MAX).map(|name| code(name)).collect();
            let rest = match names.len().saturating_sub(NAMES_MAX) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            summary.push_str(&format!("\n{}: {}{rest}\n", plural(names.len(), "secret"), listed.join(", ")));
        }
        summary.push_str(
            "\nIf it moves, its policies count at the new place as well. Its secrets keep their identity there only if \
             `metadata.project_id` (or `project`) and the secrets' names stay the same.\n",
        );
        self.say.summarise(&summary);
        if let Some(number) = review.number {
            self.comment(number, &gone.unit, &summary).await;
        }
        let check = Check {
            sha: review.head,
            unit: &gone.unit,
            title: title.into(),
            summary: &summary,
            conclusion: Conclusion::Neutral,
            annotations: Vec::new(),
            plan: None,
        };
        self.check(&check).await;
    }
}
