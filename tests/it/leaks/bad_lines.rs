//! A slip of the finger next to a value: the finding says where, and never what stands there.

use super::Stage;

/// The value that stands on the bad line.
pub(super) const VALUE: &str = "sl1pOfTheFingerCanary";

/// What stands instead of the second line of the secret's `config`, or of the whole file with `@`.
const LINES: &[(&str, &str)] = &[
    ("unclosed", "config:\n      default: \"VALUE"),
    ("closed too early", "config:\n      default: 'VALUE' VALUE"),
    ("a colon in it", "config:\n      default: VALUE: VALUE"),
    ("no blank after the colon", "config:\n      default:VALUE"),
    ("no blank, and another setting", "config:\n      default:VALUE\n      validation: x"),
    ("no blank in a flow", "config: {default:VALUE}"),
    ("an equals sign in a flow", "config: {default=VALUE}"),
    ("twice without a blank", "config: {default:VALUE, default:VALUE}"),
    ("without any key", "config: VALUE"),
    ("as a list", "config: [VALUE]"),
    ("a list", "config:\n      default: [VALUE]"),
    ("a list below", "config:\n      default:\n        - VALUE"),
    ("a mapping", "config:\n      default: {x: VALUE}"),
    ("braces around it", "config:\n      default: {VALUE}"),
    ("a key of a mapping", "config:\n      default: {VALUE: x}"),
    ("double braces", "config:\n      default: {{VALUE}}"),
    ("a tag", "config:\n      default: !VALUE x"),
    ("behind a tag", "config:\n      default: !x VALUE"),
    ("an alias", "config:\n      default: *VALUE"),
    ("an anchor", "config:\n      default: &VALUE"),
    ("a reserved sign", "config:\n      default: @VALUE"),
    ("a backquote", "config:\n      default: `VALUE`"),
    ("a percent sign", "config:\n      default: %VALUE"),
    ("a pipe", "config:\n      default: |VALUE"),
    ("tabs", "config:\n\t  default: VALUE"),
    ("two of them", "config:\n      default: VALUE\n      default: VALUE"),
    ("a misspelt key", "config:\n      defualt: VALUE"),
    ("a broken variable", "config:\n      default: x${VALUE x}VALUE"),
    ("an unclosed variable", "config:\n      default: ${VALUE VALUE"),
    ("a workflow's expression", "config:\n      default: ${{ secrets.VALUE }}"),
    ("a wrong validation", "config:\n      default: VALUE\n      validation: '('"),
    ("a value that is not valid", "config:\n      default: VALUE\n      validation: '[0-9]+'"),
    ("a merge", "config:\n      <<: VALUE"),
    ("too few blanks", "config:\n  default: VALUE"),
    ("at the wrong place", "default: VALUE"),
    ("a second document", "config: {default: x}\n---\ndefault: VALUE"),
    ("an item", "config:\n      - VALUE"),
    ("an escape", "config:\n      default: \"VALUE\\q\""),
    ("a number is expected", "config: {default: x}\n  - {name: b, kind: random_string, config: {length: VALUE}}"),
    ("a flag is expected", "config: {default: x}\n  - {name: b, kind: random_password, config: {upper: VALUE}}"),
    ("no name at all", "config: {default: x}\n  - VALUE"),
    ("a variable without a blank", "@variables: {token:VALUE}"),
    ("a variable that is a list", "@variables: {token: [VALUE]}"),
    ("variables that are none", "@variables: VALUE"),
    ("a field without a blank", "@templates: {t: {fields: {password:VALUE}}}"),
    ("a template without a blank", "@templates: {t:VALUE}"),
    ("a provider without a blank", "@providers: {aws:VALUE}"),
    ("a section without a blank", "@{secrets: [], x:VALUE}"),
    (
        "a login without a blank",
        "@providers: {a: {kind: aws, auth: {kind: static, config: {secret_access_key:VALUE}}}}",
    ),
    ("a misspelt key of a login", "@providers: {a: {kind: aws, auth: {kind: static, config: {secret_key: VALUE}}}}"),
    (
        "a login that is a list",
        "@providers: {a: {kind: aws, auth: {kind: static, config: {secret_access_key: [VALUE]}}}}",
    ),
    ("a login that is a text", "@providers: {a: {kind: aws, auth: VALUE}}"),
    ("a login in an address", "@providers: {a: {kind: aws, config: {endpoint_url: 'https://user:VALUE@example.com'}}}"),
    ("a token in an address", "@providers: {a: {kind: vault, config: {url: 'https://example.com/?token=VALUE'}}}"),
    (
        "a tag without a blank",
        "@secrets: [{name: a, kind: uuid, targets: [{provider: a, kind: ssm_parameter, config: {tags: {a:VALUE}}}]}]",
    ),
    ("a target without a blank", "@secrets: [{name: a, kind: uuid, targets: [{provider: a, kind:VALUE}]}]"),
    ("a secret without a blank", "@secrets: [{name:VALUE}]"),
    ("a policy without a blank", "@policies: {p: {kind: audit, require_tags:VALUE}}"),
    ("metadata without a blank", "@metadata: {project:VALUE}"),
    ("a mark of bytes in the middle", "config:\n      default: VALUE\u{feff}\u{0}VALUE"),
];

/// The Secretfile with a bad line in it.
pub(super) fn secretfile(line: &str) -> String {
    let line = line.replace("VALUE", VALUE);
    match line.strip_prefix('@') {
        Some(whole) => format!("{whole}\n"),
        None => format!("version: '1.0'\nsecrets:\n  - name: a\n    kind: static\n    {line}\n    targets: []\n"),
    }
}

/// Each with its name.
pub(super) fn all() -> impl Iterator<Item = (&'static str, String)> {
    LINES.iter().map(|(name, line)| (*name, secretfile(line)))
}

#[test]
fn a_bad_line_is_told_without_the_value_on_it() {
    for flags in super::FLAGS {
        let mut stage = Stage::new(flags);
        stage.canaries.add("the value on the bad line", VALUE);
        for (name, text) in all() {
            stage.sandbox.write("Secretfile.yml", &text);
            for command in ["validate", "policy", "sync"] {
                let args = stage.args(&[command]);
                let ran = stage.sandbox.run(&args);
                assert_eq!(ran.code, Some(3), "{name}: {}{}", ran.stdout, ran.stderr);
                stage.traces.ran(&format!("{command}, {name}"), &ran);
            }
        }
        stage.traces.assert_hold_no(&stage.canaries);
    }
}
