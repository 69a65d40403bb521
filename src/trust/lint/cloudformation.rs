//! Functions of `CloudFormation`, as far as a text can be told without running them: `${NAME}` stands for
//! what only the stack knows.
//!
//! <https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference.html>

use regex::Regex;

use super::Lint;
use super::tree::texts;
use crate::diagnostic::{Diagnostic, Source, Spanned};
use crate::manifest::node::{self, Entry, Node};

/// The functions as tags, those first that leave a text as it is.
const TAGS: &str = r"(?m)(^|[\s\[{,:])(!(?:Sub|Ref|GetAtt|Condition|Join|Select|Split|If|Equals|And|Or|Not|ImportValue|FindInMap|Base64|Cidr|GetAZs|Transform|Length|ToJsonString))\b";

/// Those that choose or compute, of which only the parts are seen.
const COMPUTED: &str = r"(?m)(?:^|[\s\[{,:])(!(?:Join|Select|Split|If|ImportValue|FindInMap|Base64|Transform))\b";

/// Reads YAML or JSON in which such tags may stand.
pub(super) fn parse(source: &Source) -> Result<Spanned<Node>, Diagnostic> {
    let Ok(tags) = Regex::new(TAGS) else { return node::parse(source) };
    if !tags.is_match(&source.text) {
        return node::parse(source);
    }
    // Blanks keep every place as it is.
    let blank = |found: &regex::Captures<'_>| format!("{}{}", &found[1], " ".repeat(found[2].len()));
    node::parse(&Source::new(source.name.clone(), tags.replace_all(&source.text, blank)))
}

/// Says where a function is not computed.
pub(super) fn told(lint: &mut Lint<'_>) {
    let name = lint.source.name.to_ascii_lowercase();
    let Some(computed) = Regex::new(COMPUTED).ok().filter(|_| name.ends_with(".yml") || name.ends_with(".yaml")) else {
        return;
    };
    let places: Vec<_> =
        computed.captures_iter(&lint.source.text).filter_map(|found| Some(found.get(1)?.range())).collect();
    for place in places {
        let message = "this function is not computed here: its parts are judged, and not what it makes of them";
        let help = "lint the template that CloudFormation rendered as well (`aws iam get-role`)";
        lint.note("not-understood", lint.source.span(place), message, help);
    }
}

/// The text of `{"Fn::Sub": "…"}` and its kin.
pub(super) fn called(entries: &[Entry]) -> Option<String> {
    let [(name, value)] = entries else { return None };
    let parts = texts(value);
    match (name.value.as_str(), &value.value) {
        ("Fn::Sub", _) => parts.into_iter().next().map(|text| text.value),
        ("Ref" | "Fn::GetAtt" | "Fn::ImportValue", _) => {
            let names: Vec<String> = parts.into_iter().map(|text| text.value).collect();
            Some(format!("${{{}}}", names.join(".")))
        }
        ("Fn::Join", Node::List(arguments)) => {
            let [between, parts] = &arguments[..] else { return None };
            let between = texts(between).into_iter().next()?.value;
            let parts: Vec<String> = texts(parts).into_iter().map(|text| text.value).collect();
            Some(parts.join(&between))
        }
        _ => None,
    }
}
