//! The Secretfile as a JSON Schema, for editors: what can be told without knowing the whole file.
//!
//! Draft 7, which editors read (<https://json-schema.org/draft-07>). Words and settings come from the
//! tables that the reader uses; a test asks the reader for its keys and compares. What a schema cannot
//! say (a name that must exist, two claims to one place) is left to `validate`.

mod providers;
mod shape;
mod targets;

use serde_json::{Map, Value as Json, json};

use super::Priced;
use super::generators::{CHARSETS, KINDS, Kind, LENGTH_MAX};
use super::metadata::PACKS;
use super::policies::{self, PROVIDER_KINDS, SEVERITIES};
use super::statics::ENCODINGS;
use super::templates::FIELDS_MAX;
use crate::target::TargetKind;
use shape::{
    about, also, characters, flag, named, needed, number, object, part, path, paths, pattern, period, text, texts,
    when, word, words,
};

/// Names of secrets.
const SECRET_NAME: &str = "^[A-Za-z][A-Za-z0-9_-]{0,127}$";

/// The schema as one document.
#[must_use]
pub fn schema() -> Json {
    let mut document = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Secretfile",
        "type": "object",
        "minProperties": 1,
    });
    let file = object(
        "Which secrets exist, how each is made, and where it lives.",
        &[],
        vec![
            ("version", about(json!({ "enum": ["1.0", "1", 1, null] }), "The version of the format: `\"1.0\"`.")),
            ("metadata", metadata()),
            ("variables", named("Names and texts for `${name}`.", &needed("A text."))),
            ("providers", named("Where to log in, by alias.", &part("provider"))),
            ("policies", named("Rules that the file must obey, by name.", &part("policy"))),
            ("secrets", about(json!({ "type": ["array", "null"], "items": part("secret") }), "The secrets.")),
            ("templates", named("Values of several fields, by name.", &part("template"))),
            ("moved", moved()),
            ("environments", environments()),
            ("costs", costs()),
        ],
    );
    let definitions: Map<String, Json> = definitions().into_iter().collect();
    if let (Some(document), Json::Object(file)) = (document.as_object_mut(), file) {
        document.extend(file.into_iter().filter(|(key, _)| key != "type"));
        document.insert("definitions".into(), Json::Object(definitions));
    }
    document
}

fn definitions() -> Vec<(String, Json)> {
    let mut parts = vec![
        ("secret".to_owned(), secret()),
        ("target".to_owned(), target()),
        ("template".to_owned(), template()),
        ("provider".to_owned(), providers::provider()),
        ("policy".to_owned(), policy()),
        ("environment".to_owned(), environment()),
    ];
    parts.extend(KINDS.iter().map(|(word, kind)| (format!("generator_{word}"), generator(*kind))));
    parts.extend(policies::KINDS.iter().map(|(word, kind)| (format!("policy_{word}"), rule(*kind))));
    parts.extend(providers::definitions());
    parts.extend(targets::definitions());
    parts
}

fn environments() -> Json {
    let shape = named("What differs between the places the file is applied to, by name.", &part("environment"));
    let shape = also(shape, "propertyNames", json!({ "pattern": "^[a-z0-9][a-z0-9-]{0,31}$" }));
    also(shape, "minProperties", json!(1))
}

fn environment() -> Json {
    object(
        "One of the places the file is applied to.",
        &[],
        vec![
            ("variables", named("Names and texts for `${name}`, before those at top level.", &needed("A text."))),
            ("var_files", paths("Files of variables, relative to the folder of the Secretfile; a later one wins.")),
            ("lockfile", path("Where its lock is kept, relative to that folder.")),
            (
                "defaults",
                about(
                    json!({ "type": ["object", "null"], "additionalProperties": { "type": ["object", "null"] } }),
                    "Settings of targets that say nothing else, by provider, kind of provider or kind of target.",
                ),
            ),
        ],
    )
}

fn costs() -> Json {
    let price = |priced: &Priced| (priced.as_str(), text("What one costs a month, such as `0.40`."));
    object(
        "What a team pays, where that is not the list price.",
        &[],
        vec![
            ("currency", text("Its three letters; `USD` without it.")),
            ("aws", object("Prices of AWS.", &[], Priced::ALL.iter().map(price).collect())),
        ],
    )
}

fn metadata() -> Json {
    object(
        "Whose file it is.",
        &[],
        vec![
            ("project", text("Name of the project, and its identity unless `project_id` is set; keep it for ever.")),
            ("project_id", text("Identity that survives a rename of the project.")),
            ("owner", text("Who answers for it.")),
            ("description", text("Free text.")),
            ("classification", text("Free text.")),
            ("compliance", words(PACKS.iter().map(|(word, _)| *word), "Built-in advisory checks to turn on.")),
        ],
    )
}

fn moved() -> Json {
    let one = object(
        "A rename keeps a secret's value and identity.",
        &["from", "to"],
        vec![("from", needed("The old name.")), ("to", needed("The new name, under `secrets`."))],
    );
    about(json!({ "type": ["array", "null"], "items": one }), "Renames of secrets.")
}

fn with(mut shape: Json, conditions: Vec<Json>) -> Json {
    if let Some(members) = shape.as_object_mut() {
        members.insert("allOf".into(), Json::Array(conditions));
    }
    shape
}

fn list_of_targets() -> Json {
    about(json!({ "type": ["array", "null"], "minItems": 1, "items": part("target") }), "Where the value goes.")
}

fn secret() -> Json {
    let template = json!({ "type": "string", "pattern": r"^templates\.[A-Za-z_][A-Za-z0-9_-]*$" });
    let kind = json!({ "anyOf": [{ "enum": words_of_generators() }, template, { "type": "string", "pattern": r"\$\{|\{\{" }] });
    let shape = object(
        "A secret: how it is made, and where it goes.",
        &["name", "kind"],
        vec![
            ("name", pattern(SECRET_NAME, 128, true, "Letters, digits, `_` and `-`, beginning with a letter.")),
            ("kind", about(kind, "A generator, or `templates.NAME`.")),
            ("config", about(json!({ "type": ["object", "null"] }), "The generator's settings.")),
            ("targets", list_of_targets()),
            (
                "rotation_period",
                period("How often a new value is due: `12h`, `90d`, `2w`, `6m` (months of 30 days), `1y`."),
            ),
            ("one_time", flag("Generated once, never rotated by schedule.")),
            ("adopt", flag("What stands at a target already is taken over with the value it holds.")),
            ("owners", texts("Who answers for it; free text.")),
            ("consumers", texts("Who reads it; free text.")),
            ("description", text("Free text.")),
            ("templates", named("Templates that only this secret sees.", &part("template"))),
        ],
    );
    let mut conditions = of_generators();
    let uses_template =
        json!({ "properties": { "kind": { "type": "string", "pattern": r"^templates\." } }, "required": ["kind"] });
    conditions.push(json!({
        "if": uses_template,
        "then": { "not": { "required": ["config"] } },
        "else": { "required": ["targets"], "properties": { "targets": { "type": "array" } } },
    }));
    with(shape, conditions)
}

fn words_of_generators() -> Vec<&'static str> {
    KINDS.iter().map(|(word, _)| *word).collect()
}

/// What follows from the kind of a generator.
fn of_generators() -> Vec<Json> {
    let config = |(word, kind): &(&str, Kind)| {
        let then = json!({ "properties": { "config": part(&format!("generator_{word}")) } });
        // It has a setting that must be there.
        let then = if *kind == Kind::Static { also(then, "required", json!(["config"])) } else { then };
        when("kind", word, then)
    };
    KINDS.iter().map(config).collect()
}

fn generator(kind: Kind) -> Json {
    match kind {
        Kind::Password => password(),
        Kind::Text => also(
            object(
                "A random text.",
                &[],
                vec![
                    ("length", length()),
                    (
                        "charset",
                        word(
                            CHARSETS.iter().map(|(word, _)| *word),
                            false,
                            "A named set; `alphanumeric` when missing.",
                        ),
                    ),
                    ("alphabet", characters(2, "The characters themselves, instead of a `charset`.")),
                    ("exclude_characters", excluded()),
                ],
            ),
            "not",
            json!({ "required": ["charset", "alphabet"] }),
        ),
        Kind::Static => object(
            "A value that is declared.",
            &["default"],
            vec![
                (
                    "default",
                    needed("The value, such as `${STRIPE_API_KEY}`; `{{field}}` is a field of the same template."),
                ),
                ("validation", text("A regular expression that all of the value must match.")),
                ("encoding", encoding()),
            ],
        ),
        Kind::Uuid => object("A UUID of version 4; it has no settings.", &[], Vec::new()),
        Kind::External => object(
            "A value that is made elsewhere.",
            &[],
            vec![
                ("validation", text("A regular expression that the value must match before it is taken over.")),
                ("encoding", encoding()),
            ],
        ),
    }
}

fn encoding() -> Json {
    let words = ENCODINGS.iter().map(|(word, _)| *word);
    word(words, false, "`base64`: the text stands for bytes, which stores of text hold in base64; `text` when missing.")
}

fn length() -> Json {
    number(1, LENGTH_MAX, "Characters; 32 when missing.")
}

fn excluded() -> Json {
    text("Characters that must not occur.")
}

fn password() -> Json {
    let off = json!({ "enum": [false, "false", "False", "FALSE"] });
    let all_off = json!({
        "properties": { "upper": off, "lower": off, "number": off, "special": off },
        "required": ["upper", "lower", "number", "special"],
    });
    also(
        object(
            "A password with at least one character of each class that is on.",
            &[],
            vec![
                ("length", length()),
                ("upper", flag("Upper-case letters; `true` when missing.")),
                ("lower", flag("Lower-case letters; `true` when missing.")),
                ("number", flag("Digits; `true` when missing.")),
                ("special", flag("Special characters; `true` when missing.")),
                ("special_characters", characters(1, "Instead of the usual special characters.")),
                ("exclude_characters", excluded()),
            ],
        ),
        "not",
        all_off,
    )
}

fn template() -> Json {
    let kinds = KINDS.iter().filter(|(_, kind)| *kind != Kind::External).map(|(word, _)| *word);
    let generator = object(
        "What makes the field.",
        &["kind"],
        vec![
            ("kind", word(kinds, true, "The generator.")),
            ("config", about(json!({ "type": ["object", "null"] }), "The generator's settings.")),
        ],
    );
    let field = object(
        "A field of the value.",
        &["generator"],
        vec![("description", text("Free text.")), ("generator", with(generator, of_generators()))],
    );
    let mut fields = named("The fields by name.", &field);
    if let Some(members) = fields.as_object_mut() {
        members.insert("type".into(), json!("object"));
        members.insert("minProperties".into(), json!(1));
        members.insert("maxProperties".into(), json!(FIELDS_MAX));
    }
    object(
        "One value of several fields.",
        &["fields"],
        vec![("description", text("Free text.")), ("fields", fields), ("targets", list_of_targets())],
    )
}

fn target() -> Json {
    let kinds = TargetKind::ALL.iter().map(|kind| kind.as_str());
    let shape = object(
        "One place that holds the value.",
        &["provider", "kind"],
        vec![
            ("provider", needed("The alias of a provider.")),
            ("kind", word(kinds, true, "What kind of place.")),
            ("primary", flag("Written first and read back from.")),
            ("config", about(json!({ "type": ["object", "null"] }), "The place and its settings.")),
        ],
    );
    let Json::Array(conditions) = targets::conditions() else { return shape };
    with(shape, conditions)
}

/// The keys that every policy has.
fn common() -> Vec<(&'static str, Json)> {
    let severities = SEVERITIES.iter().map(|(word, _)| *word);
    vec![
        ("kind", word(policies::KINDS.iter().map(|(word, _)| *word), true, "What it demands.")),
        ("severity", word(severities, false, "How much a breach weighs; `error` when missing.")),
        ("enabled", flag("`true` when missing.")),
        ("description", about(json!({}), "Free text.")),
    ]
}

fn policy() -> Json {
    let of_kind = |word: &str| when("kind", word, part(&format!("policy_{word}")));
    let kind = word(policies::KINDS.iter().map(|(word, _)| *word), true, "What it demands.");
    let shape = json!({ "type": "object", "properties": { "kind": kind }, "required": ["kind"] });
    with(
        about(shape, "A rule that the file must obey."),
        policies::KINDS.iter().map(|(word, _)| of_kind(word)).collect(),
    )
}

fn rule(kind: policies::Kind) -> Json {
    let provider_kinds = PROVIDER_KINDS.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
    let target_kinds = || TargetKind::ALL.iter().map(|kind| kind.as_str());
    let (title, mut keys) = match kind {
        policies::Kind::Rotation => (
            "Every secret says how often it changes.",
            vec![
                ("require_rotation_period", flag("Every secret declares a period.")),
                ("max_age", period("No period is longer, such as `90d`.")),
            ],
        ),
        policies::Kind::Audit => (
            "Targets carry tags.",
            vec![
                ("require_tags", flag("Every target carries tags.")),
                ("required_tags", texts("Tags that must be there; case, `-` and `_` do not count.")),
            ],
        ),
        policies::Kind::Encryption => {
            ("Keys are chosen.", vec![("require_kms", flag("Stores that let a key be chosen have one chosen."))])
        }
        policies::Kind::Access => (
            "What may be used, and what may not.",
            vec![
                ("allowed_providers", texts(&format!("Aliases, or kinds: {provider_kinds}."))),
                ("allowed_regions", texts("Regions.")),
                ("allowed_kinds", words(target_kinds(), "Kinds of target.")),
                ("denied_providers", texts(&format!("Aliases, or kinds: {provider_kinds}."))),
                ("denied_regions", texts("Regions.")),
                ("denied_kinds", words(target_kinds(), "Kinds of target.")),
            ],
        ),
        policies::Kind::Complexity => (
            "Generated values are long and varied enough.",
            vec![
                ("min_length", number(1, 4096, "Fewest characters.")),
                ("min_classes", number(1, 4, "Fewest classes of upper case, lower case, digits and others.")),
            ],
        ),
    };
    keys.extend(common());
    object(title, &["kind"], keys)
}
