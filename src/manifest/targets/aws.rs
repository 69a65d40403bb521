//! `kind: secrets_manager` and `kind: ssm_parameter`, within the limits that Amazon documents.
//!
//! Secrets Manager: <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html>.
//! Parameter Store: <https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html>.

mod policies;

use std::collections::BTreeMap;

use super::{Config, TagRules, plain};
use crate::diagnostic::{Span, quote};
use crate::manifest::generators::may_open_braces;
use crate::manifest::names::{foreign_character, is_region, path_problem};
use crate::manifest::node::Node;
use crate::manifest::read::{Fields, Text};
use crate::manifest::{GeneratorKind, Source, statics};
use crate::target::{ParameterTier, ParameterType, ReplicaRegion, SecretsManagerSettings, SsmParameterSettings};

/// Longest name of a secret.
const SM_NAME_CHARS_MAX: usize = 512;
/// Longest name of a parameter, with its ARN up to there.
const SSM_NAME_CHARS_MAX: usize = 1011;
/// Most levels of a parameter's name.
const SSM_LEVELS_MAX: usize = 15;
/// Longest key id, alias or ARN.
const KMS_KEY_CHARS_MAX: usize = 2048;

/// AWS takes 50 tags, one of which is ours.
const TAGS: TagRules = TagRules { noun: "tag", count_max: 49, name_chars_max: 128, value_chars: 0..=256 };
/// The characters of tags beside letters and digits
/// (<https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_Tag.html>).
const TAG_CHARACTERS: &str = " _.:/=+@-";

pub(in crate::manifest) const TYPES: &[(&str, ParameterType)] = &[
    ("String", ParameterType::String),
    ("StringList", ParameterType::StringList),
    ("SecureString", ParameterType::SecureString),
];
pub(in crate::manifest) const TIERS: &[(&str, ParameterTier)] = &[
    ("Standard", ParameterTier::Standard),
    ("Advanced", ParameterTier::Advanced),
    ("Intelligent-Tiering", ParameterTier::IntelligentTiering),
];
/// Data types, and whether they need the advanced tier.
pub(in crate::manifest) const DATA_TYPES: &[(&str, (&str, bool))] = &[
    ("text", ("text", false)),
    ("aws:ec2:image", ("aws:ec2:image", false)),
    ("aws:ssm:integration", ("aws:ssm:integration", false)),
    ("url", ("url", true)),
    ("json", ("json", true)),
    ("jsonc", ("jsonc", true)),
];

/// Reads the settings of a secret.
pub(super) fn secrets_manager(config: &Config) -> Option<SecretsManagerSettings> {
    let name = config.fields.need_text("name");
    let settings = SecretsManagerSettings {
        description: config.short_text("description", 2048),
        kms_key_id: kms_key(config, config.fields),
        replica_regions: replica_regions(config),
        tags: tags(config, false),
        name: String::new(),
    };
    let name = name?;
    sm_name(config, &name);
    Some(SecretsManagerSettings { name: name.value, ..settings })
}

fn sm_name(config: &Config, name: &Text) {
    let chars = name.value.chars().count();
    if !(1..=SM_NAME_CHARS_MAX).contains(&chars) {
        let message = format!("the name has {chars} characters, not 1 to {SM_NAME_CHARS_MAX}");
        config.error(name.span, "bad-name", message, "shorten it");
    } else if let Some(problem) = path_problem(name.value.strip_prefix('/').unwrap_or(&name.value)) {
        config.error(name.span, "bad-name", format!("the name {problem}"), "write segments with one `/` between them");
    } else if let Some(c) = foreign_character(&name.value, "/_+=.@-") {
        let message = format!("Secrets Manager takes no {} in a name", quote(&c.to_string()));
        config.error(name.span, "bad-name", message, "use ASCII letters, digits and `/_+=.@-`");
    } else if name.value.rsplit_once('-').is_some_and(|(_, end)| end.len() == 6) {
        let message = "the name ends in a hyphen and six characters, like the ends that AWS adds to ARNs";
        let help = "reads by partial ARN may find the wrong secret; choose an end of another length if you can";
        config.warning(name.span, "arn-like-name", message, help);
    }
}

fn kms_key(config: &Config, fields: &Fields) -> Option<String> {
    let key = fields.text("kms_key_id")?;
    let fits = (1..=KMS_KEY_CHARS_MAX).contains(&key.value.len()) && foreign_character(&key.value, ":/_-").is_none();
    if !fits {
        let help = "write a key id, `alias/…` or an ARN of a key or alias";
        config.error(key.span, "bad-value", "`kms_key_id` names no KMS key", help);
    }
    Some(key.value)
}

fn replica_regions(config: &Config) -> Vec<ReplicaRegion> {
    let mut regions: Vec<ReplicaRegion> = Vec::new();
    for item in config.fields.list("replica_regions").unwrap_or_default() {
        let Some((region, kms_key_id)) = replica_region(config, item) else { continue };
        let own = config.provider.and_then(|provider| provider.setting("region"));
        if !is_region(&region.value) {
            let message = format!("{} is no region of AWS", region.quoted());
            config.error(region.span, "bad-region", message, "write one like `us-west-2`");
        } else if own == Some(&region.value) {
            let message = "the secret stands in this region already, so it cannot be replicated there";
            config.error(region.span, "bad-region", message, "remove it, or name another region");
        } else if regions.iter().any(|other| other.region == region.value) {
            config.error(region.span, "bad-region", "this region stands here a second time", "remove one");
        }
        regions.push(ReplicaRegion { region: region.value, kms_key_id });
    }
    regions
}

/// `- us-west-2`, or `- region: us-west-2` with a `kms_key_id`.
fn replica_region(config: &Config, item: &crate::diagnostic::Spanned<Node>) -> Option<(Text, Option<String>)> {
    let reader = config.context.reader;
    if let Node::Scalar(_) = item.value {
        return Some((reader.text_of(item, "replica_regions")?, None));
    }
    let fields = Fields::of(reader, item, item.span, "this replica region")?;
    let region = fields.need_text("region");
    let key = kms_key(config, &fields);
    fields.finish();
    Some((region?, key))
}

fn tags(config: &Config, strict: bool) -> BTreeMap<String, String> {
    let tags = config.tags("tags", &TAGS);
    for (name, value) in &tags {
        let shown = quote(&name.value);
        if name.value.to_ascii_lowercase().starts_with("aws:") {
            let message = format!("the tag {shown} begins with `aws:`, which Amazon keeps for itself");
            config.error(name.span, "bad-tag", message, "rename it");
        }
        for (what, text, span) in [("name", &name.value, name.span), ("value", &value.value, value.span)] {
            let Some(c) = foreign_character(text, TAG_CHARACTERS) else { continue };
            let c = quote(&c.to_string());
            let help = format!("use ASCII letters, digits, blanks and `{}`", TAG_CHARACTERS.trim());
            if strict {
                let message = format!("SSM takes no {c} in the {what} of a tag ({shown})");
                config.error(span, "bad-tag", message, help);
            } else {
                let message = format!("the {what} of the tag {shown} holds {c}, which other services of AWS refuse");
                config.warning(span, "odd-tag", message, help);
            }
        }
    }
    plain(tags)
}

/// Reads the settings of a parameter.
pub(super) fn ssm_parameter(config: &Config) -> Option<SsmParameterSettings> {
    let fields = config.fields;
    let name = fields.need_text("name");
    let parameter_type = fields.word("type", TYPES).unwrap_or(ParameterType::SecureString);
    let tier = fields.word("tier", TIERS);
    let (data_type, needs_advanced) = fields.word("data_type", DATA_TYPES).unwrap_or(("text", false));
    let policies = policies::read(config);
    let settings = SsmParameterSettings {
        name: String::new(),
        parameter_type,
        tier: tier.unwrap_or(ParameterTier::Standard),
        data_type: data_type.to_owned(),
        expires: policies.as_ref().and_then(|policies| policies.expires),
        policies: policies.as_ref().map(|policies| policies.json.clone()),
        description: config.short_text("description", 1024),
        kms_key_id: kms_key(config, fields),
        tags: tags(config, true),
    };
    let standard = settings.tier == ParameterTier::Standard;
    let needy = [(policies.is_some(), "policies"), (needs_advanced, "data_type")];
    for (_, key) in needy.into_iter().filter(|(needs, _)| *needs && standard) {
        let message = format!("`{key}` needs the advanced tier");
        config.error(fields.place(key), "wrong-tier", message, "add `tier: Advanced` (it has a price)");
    }
    if settings.kms_key_id.is_some() && parameter_type != ParameterType::SecureString {
        let message = "only a SecureString is encrypted with a key";
        config.error(
            fields.place("kms_key_id"),
            "contradiction",
            message,
            "write `type: SecureString`, or remove the key",
        );
    }
    braces(config, name.as_ref().map_or(fields.span, |name| name.span));
    let name = name?;
    ssm_name(config, &name);
    Some(SsmParameterSettings { name: name.value, ..settings })
}

fn ssm_name(config: &Config, name: &Text) {
    let hierarchy = name.value.strip_prefix('/').unwrap_or(&name.value);
    let region = config.provider.and_then(|provider| provider.setting("region")).map_or(9, str::len);
    let arn = "arn:aws:ssm::123456789012:parameter/".len() + region + hierarchy.chars().count();
    let lower = hierarchy.to_ascii_lowercase();
    let fault = |message: String, help: &str| config.error(name.span, "bad-name", message, help);
    if let Some(problem) = path_problem(hierarchy) {
        fault(format!("the name {problem}"), "write segments with one `/` between them");
    } else if let Some(c) = foreign_character(&name.value, "_.-/") {
        fault(format!("SSM takes no {} in a name", quote(&c.to_string())), "use ASCII letters, digits and `_.-/`");
    } else if hierarchy.contains('/') && hierarchy.len() == name.value.len() {
        fault("a name with `/` in it must begin with `/`".into(), "put a `/` before it");
    } else if lower.starts_with("aws") || lower.starts_with("ssm") {
        fault("SSM keeps names that begin with `aws` or `ssm` for itself".into(), "begin it with another word");
    } else if hierarchy.split('/').count() > SSM_LEVELS_MAX {
        fault(format!("the name has more than {SSM_LEVELS_MAX} levels"), "join some of them");
    } else if arn > SSM_NAME_CHARS_MAX {
        fault(format!("with its ARN the name is longer than {SSM_NAME_CHARS_MAX} characters"), "shorten it");
    }
}

/// Refuses what may put `{{` into a parameter.
fn braces(config: &Config, span: Span) {
    let generators = match &config.context.secret.source {
        Source::Single(generator) => std::slice::from_ref(generator).iter().collect::<Vec<_>>(),
        Source::Template(fields) => fields.iter().map(|field| &field.generator).collect(),
    };
    let opens = |kind: &GeneratorKind| match kind {
        GeneratorKind::Static(settings) => statics::opens_braces(settings),
        other => may_open_braces(other),
    };
    if let Some(generator) = generators.into_iter().find(|generator| opens(&generator.kind)) {
        let message = "the value may contain `{{`, which SSM takes for one of its own expressions and refuses";
        let help = format!("leave `{{` out of the value (line {}), or choose another store", generator.span.line);
        config.error(span, "ssm-braces", message, help);
    }
}
