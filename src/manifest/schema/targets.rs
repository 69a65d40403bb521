//! The `config` of each kind of target.

use serde_json::{Value as Json, json};

use super::shape::{
    about, also, flag, moment, needed, number, object, part, pattern, period, short, tags, text, texts, when, word,
};
use crate::manifest::targets::words;
use crate::target::TargetKind;

/// Names of SSM: no empty segment, no `.` or `..`, `aws` and `ssm` at the beginning are Amazon's.
const SSM_NAME: &str = r"^(?!/?([Aa][Ww][Ss]|[Ss][Ss][Mm]))(/?[A-Za-z0-9_.-]+|(/(?!\.\.?(/|$))[A-Za-z0-9_.-]+){1,15})$";
/// Names of Secrets Manager.
const SM_NAME: &str = r"^/?(?!\.\.?(/|$))[A-Za-z0-9_+=.@-]+(/(?!\.\.?(/|$))[A-Za-z0-9_+=.@-]+)*$";
/// Mounts and paths: segments with one `/` between them.
const PATH: &str = r"^(?!\.\.?(/|$))[^/?#%\\\x00-\x1f]+(/(?!\.\.?(/|$))[^/?#%\\\x00-\x1f]+)*/?$";
/// Local paths: relative, below the folder, not into files of git or its forges.
const LOCAL: &str = r"^(?!~)(?!(.*/)?\.(git|github|gitlab|gitlab-ci\.yml|gitignore|gitattributes|gitmodules|gitsecrets\.lock|secretzero\.json)(/|$))(?!\.\.?(/|$))[^/?#%\\:\x00-\x1f]+(/(?!\.\.?(/|$))[^/?#%\\:\x00-\x1f]+)*$";
/// Keys of KMS.
const KEY: &str = "^[A-Za-z0-9:/_-]+$";
/// Regions of AWS.
pub(super) const REGION: &str = "^[a-z]+(-[a-z]+)+-[0-9]{1,2}$";
/// Projects of Google, by id or number.
pub(super) const PROJECT: &str = r"^([0-9]+|[a-z][a-z0-9.:-]*)$";
/// What SSM takes in a tag.
const TAG: &str = r"^(?!aws:)[A-Za-z0-9 _.:/=+@-]{1,128}$";
/// Times to live, in the words of Vault.
const TTL: &str = "^([0-9]{1,10}|([0-9]{1,10}[smhd])+)$";

/// The definition of each kind's `config`.
pub(super) fn definitions() -> Vec<(String, Json)> {
    TargetKind::ALL.iter().map(|kind| (format!("target_{}", kind.as_str()), config(*kind))).collect()
}

/// What follows from a target's kind.
pub(super) fn conditions() -> Json {
    let config = |kind: &TargetKind| {
        let mut properties = json!({ "config": part(&format!("target_{}", kind.as_str())) });
        if !kind.holds_value() {
            properties = also(properties, "primary", json!({ "enum": [false, "false", "False", "FALSE", null] }));
        }
        when("kind", kind.as_str(), json!({ "properties": properties, "required": ["config"] }))
    };
    TargetKind::ALL.iter().map(config).collect()
}

fn config(kind: TargetKind) -> Json {
    match kind {
        TargetKind::File => file(),
        TargetKind::SecretsManager => secrets_manager(),
        TargetKind::SsmParameter => ssm_parameter(),
        TargetKind::KeyVault => key_vault(),
        TargetKind::KeyVaultCertificate => certificate(),
        TargetKind::Kv => kv(),
        TargetKind::DatabaseRole => database_role(),
        TargetKind::TransitKey => transit_key(),
        TargetKind::SecretManager => secret_manager(),
    }
}

fn file() -> Json {
    let formats = words::FORMATS.iter().map(|(word, _)| *word);
    object(
        "A key in a file below the folder of the Secretfile.",
        &["path"],
        vec![
            ("path", pattern(LOCAL, 4096, true, "The file, relative to the folder of the Secretfile.")),
            ("format", word(formats, false, "The syntax; told by the name of most files.")),
            ("merge", flag("Keep what else stands in the file; without it the file holds nothing but secrets.")),
            ("key", pattern("^[A-Za-z_][A-Za-z0-9_.-]*$", 1024, false, "The key; the secret's name when missing.")),
        ],
    )
}

fn kms() -> Json {
    pattern(KEY, 2048, false, "Key id, `alias/…` or ARN; the store's default when missing.")
}

fn secrets_manager() -> Json {
    let region = pattern(REGION, 64, true, "The region.");
    let replica =
        object("A region with a read-only copy.", &["region"], vec![("region", region.clone()), ("kms_key_id", kms())]);
    let replicas = json!({ "type": ["array", "null"], "items": { "anyOf": [region, replica] } });
    object(
        "A secret of AWS Secrets Manager.",
        &["name"],
        vec![
            ("name", pattern(SM_NAME, 512, true, "Its name: ASCII letters, digits and `/_+=.@-`.")),
            ("description", short(2048, "At most 2,048 characters.")),
            ("kms_key_id", kms()),
            ("replica_regions", about(replicas, "Regions with a read-only copy.")),
            ("tags", tags(49, "^(?!aws:).{1,128}$", r"^[\s\S]{0,256}$", "At most 49; one is SecretZero's.")),
        ],
    )
}

fn ssm_parameter() -> Json {
    let policy = json!({
        "type": "object",
        "properties": {
            "Type": { "enum": ["Expiration", "ExpirationNotification", "NoChangeNotification"] },
            "Version": { "enum": ["1.0"] },
            "Attributes": { "type": "object" },
        },
        "required": ["Type", "Version"],
    });
    let list = json!({ "type": "array", "minItems": 1, "maxItems": 10, "items": policy });
    let policies = json!({ "anyOf": [{ "type": ["string", "null"] }, policy, list] });
    let shape = object(
        "A parameter of AWS Systems Manager Parameter Store.",
        &["name"],
        vec![
            ("name", pattern(SSM_NAME, 1011, true, "Its name; one with `/` in it begins with `/`.")),
            ("type", word(words::TYPES.iter().map(|(word, _)| *word), false, "`SecureString` when missing.")),
            (
                "tier",
                word(
                    words::TIERS.iter().map(|(word, _)| *word),
                    false,
                    "`Standard` when missing; others have a price.",
                ),
            ),
            ("data_type", word(words::DATA_TYPES.iter().map(|(word, _)| *word), false, "`text` when missing.")),
            (
                "policies",
                about(policies, "Expiration and notifications, as a list or as JSON; needs the advanced tier."),
            ),
            ("description", short(1024, "At most 1,024 characters.")),
            ("kms_key_id", kms()),
            ("tags", tags(49, TAG, "^[A-Za-z0-9 _.:/=+@-]{0,256}$", "At most 49; one is SecretZero's.")),
        ],
    );
    also(
        shape,
        "allOf",
        json!([
            // Only a SecureString is encrypted with a key.
            {
                "if": { "properties": { "type": { "enum": ["String", "StringList"] } }, "required": ["type"] },
                "then": { "not": { "required": ["kms_key_id"] } },
            },
            // Policies need the advanced tier.
            {
                "if": { "required": ["policies"] },
                "then": { "required": ["tier"], "properties": { "tier": { "not": { "const": "Standard" } } } },
            },
        ]),
    )
}

fn vault_url() -> Json {
    needed("`https://<vault>.vault.azure.net`, or the host of a sovereign cloud.")
}

fn azure_name() -> Json {
    pattern("^[A-Za-z0-9-]{1,127}$", 127, true, "ASCII letters, digits and hyphens.")
}

fn azure_tags() -> Json {
    tags(14, "^.{1,256}$", r"^[\s\S]{0,256}$", "At most 14; one is SecretZero's.")
}

fn key_vault() -> Json {
    object(
        "A secret of Azure Key Vault.",
        &["vault_url", "secret_name"],
        vec![
            ("vault_url", vault_url()),
            ("secret_name", azure_name()),
            ("content_type", short(255, "At most 255 characters.")),
            ("enabled", flag("When missing, a new secret is enabled, and one that somebody disabled stays so.")),
            ("expires_on", moment("A date, or `{{ 90 days from now }}`; Key Vault only informs of it.")),
            ("not_before", moment("A date, or `{{ 1 day from now }}`; Key Vault only informs of it.")),
            ("tags", azure_tags()),
        ],
    )
}

fn certificate() -> Json {
    let types = words::CERTIFICATE_TYPES.iter().map(|(word, _)| *word);
    object(
        "A certificate of Azure Key Vault.",
        &["vault_url", "certificate_name"],
        vec![
            ("vault_url", vault_url()),
            ("certificate_name", azure_name()),
            ("content_type", word(types, false, "`application/x-pkcs12` when missing.")),
            ("tags", azure_tags()),
        ],
    )
}

fn kv() -> Json {
    let cas = json!({ "enum": [0, "0", null] });
    let shape = object(
        "An entry of Vault's key-value store.",
        &["path"],
        vec![
            ("path", pattern(PATH, 4096, true, "The path below the mount.")),
            ("mount_point", pattern(PATH, 4096, false, "`secret` when missing.")),
            ("version", word_or_number("The version of the store: 1 or 2; 2 when missing.")),
            ("key", text("The field of a single value: `password` or `value` when missing.")),
            ("cas", about(cas, "0: the first write must create.")),
            (
                "metadata",
                tags(63, "^.{1,128}$", "^.{1,512}$", "Custom metadata; at most 63 keys, one is SecretZero's."),
            ),
        ],
    );
    let one = json!({ "properties": { "version": { "enum": [1, "1"] } }, "required": ["version"] });
    let neither = json!({ "not": { "anyOf": [{ "required": ["cas"] }, { "required": ["metadata"] }] } });
    also(also(shape, "if", one), "then", neither)
}

fn word_or_number(text: &str) -> Json {
    about(json!({ "enum": [1, 2, "1", "2", null] }), text)
}

fn ttl(text: &str) -> Json {
    pattern(TTL, 64, false, text)
}

fn database_role() -> Json {
    let statements =
        json!({ "anyOf": [{ "type": "string" }, { "type": "array", "minItems": 1, "items": { "type": "string" } }] });
    object(
        "A role of Vault's database engine; it holds no value.",
        &["role_name", "db_name", "creation_statements"],
        vec![
            ("database_mount", pattern(PATH, 4096, false, "`database` when missing.")),
            ("role_name", pattern(PATH, 4096, true, "The role.")),
            ("db_name", pattern(PATH, 4096, true, "The connection.")),
            (
                "creation_statements",
                about(statements, "Passed on untouched; `{{name}}` and `{{password}}` are Vault's."),
            ),
            ("default_ttl", ttl("Such as `1h`; `m` are minutes here.")),
            ("max_ttl", ttl("Such as `24h`.")),
        ],
    )
}

fn transit_key() -> Json {
    object(
        "A key of Vault's transit engine; it holds no value.",
        &["key_name"],
        vec![
            ("mount_point", pattern(PATH, 4096, false, "`transit` when missing.")),
            ("key_name", pattern(PATH, 4096, true, "The key.")),
            ("key_type", word(words::KEY_TYPES.iter().copied(), false, "`aes256-gcm96` when missing.")),
            ("derived", flag("Fixed at creation.")),
            ("convergent_encryption", flag("Fixed at creation; needs `derived`.")),
            ("exportable", flag("Can be turned on, never off.")),
            ("allow_plaintext_backup", flag("Can be turned on, never off.")),
            ("auto_rotate_period", ttl("An hour or more; 0 for never.")),
            ("deletion_allowed", flag("Left alone when missing.")),
        ],
    )
}

fn secret_manager() -> Json {
    let location = object(
        "A location with a key.",
        &["location"],
        vec![("location", needed("Such as `europe-west1`.")), ("kms_key", text("A key of Cloud KMS."))],
    );
    let locations = json!({ "type": "array", "minItems": 1, "items": { "anyOf": [{ "type": "string" }, location] } });
    let automatic = object("Google decides.", &[], vec![("kms_key", text("A key of Cloud KMS."))]);
    let automatic = json!({ "anyOf": [automatic, { "type": ["boolean", "string"] }] });
    let replication = object(
        "Where copies are kept; fixed at creation.",
        &[],
        vec![
            ("automatic", about(automatic, "Google decides.")),
            ("user_managed", about(locations, "These locations.")),
        ],
    );
    let label = "^[^A-Z]{1,63}$";
    let shape = object(
        "A secret of Google Secret Manager.",
        &["secret_id"],
        vec![
            ("project_id", pattern(PROJECT, 63, false, "The provider's when missing.")),
            ("secret_id", pattern("^[A-Za-z0-9_-]{1,255}$", 255, true, "ASCII letters, digits, `_` and `-`.")),
            ("labels", tags(64, label, "^[^A-Z]{0,63}$", "Lower case; other text goes into `annotations`.")),
            ("annotations", tags(1000, "^.{1,63}$", r"^[\s\S]*$", "Free text beside SecretZero's mark.")),
            (
                "replication",
                about(json!({ "anyOf": [{ "type": "string" }, replication] }), "`automatic`, or locations."),
            ),
            ("topics", texts("Whom Google notifies: `projects/<project>/topics/<topic>`, at most 10.")),
            ("rotation_period", period("How often Google notifies; it rotates nothing by itself.")),
            ("next_rotation_time", moment("The first notification, such as `2030-12-31T23:59:59Z`.")),
            ("expire_time", moment("When Google deletes the secret.")),
            ("ttl", ttl("The same, counted from when the value was made: `90d`, `12h`.")),
            ("keep_versions", number(1, 10_000, "How many versions stay; all when missing.")),
        ],
    );
    also(shape, "dependencies", json!({ "rotation_period": ["next_rotation_time", "topics"] }))
}
