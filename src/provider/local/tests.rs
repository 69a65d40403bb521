#![expect(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;
use zeroize::Zeroizing;

use super::document::Document;
use super::*;
use crate::secret::SecretValue;

fn document(format: FileFormat, text: &str) -> Document {
    Document::parse(format, Zeroizing::new(text.to_owned())).unwrap()
}

fn single(text: &str) -> Value {
    Value::Single(SecretValue::from(text))
}

fn fields(pairs: &[(&str, &str)]) -> Value {
    Value::Fields(pairs.iter().map(|(n, v)| ((*n).to_owned(), SecretValue::from(*v))).collect())
}

fn shape_of(value: &Value) -> Shape {
    match value {
        Value::Single(_) => Shape::Single,
        Value::Fields(fields) => Shape::Fields(fields.iter().map(|(name, _)| name.clone()).collect()),
    }
}

/// The text after one edit.
fn edited(format: FileFormat, text: &str, key: &str, value: &Value) -> String {
    let mut document = document(format, text);
    document.put(key, value, &shape_of(value)).unwrap();
    let text = document.render().unwrap();
    let read = self::document(format, &text).value(key, &shape_of(value)).unwrap();
    assert!(read.matches(value), "{key} is not read back");
    text.to_string()
}

fn refusal(format: FileFormat, text: &str, key: &str) -> String {
    let document = Document::parse(format, Zeroizing::new(text.to_owned()));
    document
        .and_then(|mut d| d.put(key, &single("v v"), &Shape::Single).and_then(|()| d.render()))
        .err()
        .unwrap_or_else(|| format!("not refused: {text}"))
}

fn read(format: FileFormat, text: &str, key: &str) -> Option<String> {
    match document(format, text).value(key, &Shape::Single)? {
        Value::Single(value) => Some(value.expose_text().unwrap().to_owned()),
        Value::Fields(_) => None,
    }
}

const DOTENV: &str = "\u{feff}# head\r\n\r\nexport  A = one # note\r\nB='x\r\ny' # z\r\nnot a line\r\n  C=\"a\\\"b\"\r\nD=\r\nE= # only a comment\r\nF=a#b\r\nG=`q`\r\nH='a'b\r\nA=two\r\n";

#[test]
fn a_dotenv_file_is_read_as_its_readers_do() {
    let value = |key| read(FileFormat::Dotenv, DOTENV, key);
    for (key, expected) in
        [("A", "two"), ("B", "x\r\ny"), ("C", "a\"b"), ("D", ""), ("E", ""), ("F", "a#b"), ("G", "q"), ("H", "'a'b")]
    {
        assert_eq!(value(key).as_deref(), Some(expected), "{key}");
    }
    assert_eq!(value("not"), None);
    assert_eq!(read(FileFormat::Dotenv, r#"A="x\ny\\n""#, "A").as_deref(), Some("x\ny\\n"));
}

#[test]
fn only_the_value_of_a_dotenv_line_changes() {
    for (key, line, expected) in [
        ("B", "B='x\r\ny' # z", "B='new one' # z"),
        ("C", "  C=\"a\\\"b\"", "  C='new one'"),
        ("D", "D=\r", "D='new one'\r"),
        ("E", "E= # only", "E='new one' # only"),
        ("A", "A=two", "A='new one'"),
    ] {
        let text = edited(FileFormat::Dotenv, DOTENV, key, &single("new one"));
        assert_eq!(text, DOTENV.replacen(line, expected, 1));
    }
    assert_eq!(edited(FileFormat::Dotenv, DOTENV, "Z", &single("x")), format!("{DOTENV}Z=x\r\n"));
    assert_eq!(edited(FileFormat::Dotenv, "A=1", "Z", &single("x")), "A=1\nZ=x\n");
    assert_eq!(edited(FileFormat::Dotenv, "", "Z", &single("")), "Z=\n");
}

#[test]
fn fields_become_lines_and_vanished_fields_lose_theirs() {
    let before = fields(&[("user", "a"), ("api-key", "b")]);
    let text = edited(FileFormat::Dotenv, "X=1\n", "DB", &before);
    assert_eq!(text, "X=1\nDB_USER=a\nDB_API_KEY=b\n");
    let mut document = document(FileFormat::Dotenv, &text);
    document.put("DB", &fields(&[("user", "c"), ("port", "1")]), &shape_of(&before)).unwrap();
    assert_eq!(document.render().unwrap().as_str(), "X=1\nDB_USER=c\nDB_PORT=1\n");
}

#[test]
fn a_dotenv_value_is_quoted_only_as_much_as_it_needs() {
    let written = |text: &str| dotenv::encode(&SecretValue::from(text)).unwrap().to_string();
    for (value, expected) in [
        ("aZ09_./:@%+,=-", "aZ09_./:@%+,=-"),
        ("a b#$\"`!é\n", "'a b#$\"`!é\n'"),
        (r"a\b", r"'a\b'"),
        ("it's", "\"it's\""),
        (r#"it's "\""#, r#""it's \"\\\"""#),
        (r"a\\b", r#""a\\\\b""#),
        (r"a\\$b", r"'a\\$b'"),
        ("it's $5`", r#""it's \$5\`""#),
        (r"end\", r"'end'\\"),
        (r"\", r"''\\"),
    ] {
        assert_eq!(written(value), expected, "{value}");
    }
    assert!(dotenv::encode(&SecretValue::from("a\0b")).is_err_and(|why| why.contains("NUL")));
    assert!(dotenv::encode(&SecretValue::new(vec![0xFF])).is_err_and(|why| why.contains("UTF-8")));
}

#[test]
fn a_json_file_keeps_its_order_its_formatting_and_its_numbers() {
    let text =
        "{\n    \"n\": 12345678901234567890123.10,\n    \"ours\": {\"a\": [1, \"}\"]},\n    \"z\" :\"\\\"{\"\n}\n";
    let text = edited(FileFormat::Json, text, "ours", &single("new"));
    let text = edited(FileFormat::Json, &text, "db", &fields(&[("user", "a"), ("pass", "\"\n")]));
    insta::assert_snapshot!(text, @r#"
    {
        "n": 12345678901234567890123.10,
        "ours": "new",
        "z" :"\"{",
        "db": {
            "user": "a",
            "pass": "\"\n"
        }
    }
    "#);
    assert_eq!(edited(FileFormat::Json, "", "a", &single("b")), "{\n  \"a\": \"b\"\n}\n");
    assert_eq!(edited(FileFormat::Json, "{}", "a", &single("b")), "{\n  \"a\": \"b\"\n}");
    assert_eq!(edited(FileFormat::Json, "{\n}\n", "a", &single("b")), "{\n  \"a\": \"b\"\n}\n");
    assert_eq!(edited(FileFormat::Json, "{\"x\":1}", "a", &single("b")), "{\"x\":1, \"a\": \"b\"}");
    assert_eq!(read(FileFormat::Json, "{\"a\": 5432}", "a").as_deref(), Some("5432"));
}

#[test]
fn a_yaml_file_keeps_its_comments_its_order_and_its_other_keys() {
    let text = "# head\nplain: 5432 # port\nblock: |\n  one\n  two\n\n# about nested\nnested:\n  user: a # who\n  pass: b\n\
                # end\nempty:\nanchor: &x 1\nalias: *x\n";
    let mut text = edited(FileFormat::Yaml, text, "plain", &single("new: \"é\u{85}\" # no"));
    for (key, value) in [
        ("block", single("a\nb")),
        ("nested", fields(&[("user", "c"), ("pass", "d'")])),
        ("empty", single("x")),
        ("true", single("t")),
        ("last", fields(&[("a", "b")])),
    ] {
        text = edited(FileFormat::Yaml, &text, key, &value);
    }
    insta::assert_snapshot!(text, @r#"
    # head
    plain: "new: \"é\u0085\" # no" # port
    block: "a\nb"

    # about nested
    nested:
      {"user": "c", "pass": "d'"}
    # end
    empty: "x"
    anchor: &x 1
    alias: *x
    "true": "t"
    last: {"a": "b"}
    "#);
    assert_eq!(edited(FileFormat::Yaml, "", "a", &single("b")), "a: \"b\"\n");
    assert_eq!(edited(FileFormat::Yaml, "# only\n", "a", &single("b")), "# only\na: \"b\"\n");
    assert_eq!(edited(FileFormat::Yaml, "---\n", "a", &single("b")), "---\na: \"b\"\n");
    assert_eq!(edited(FileFormat::Yaml, "x: 1", "a", &single("b")), "x: 1\na: \"b\"\n");
    assert_eq!(edited(FileFormat::Yaml, "  x: 1\r\n", "a", &single("b")), "  x: 1\r\n  a: \"b\"\r\n");
    assert_eq!(edited(FileFormat::Yaml, "x: |\n  1\n", "a", &single("b")), "x: |\n  1\na: \"b\"\n");
    assert_eq!(edited(FileFormat::Yaml, "x: |+\n  1\n\n", "a", &single("b")), "x: |+\n  1\n\na: \"b\"\n");
    assert_eq!(
        edited(FileFormat::Yaml, "a:\n  b: 1\n  c: [2, 3] # k\nd: 1\n", "a", &single("v")),
        "a:\n  \"v\" # k\nd: 1\n"
    );
    assert_eq!(edited(FileFormat::Yaml, "a: b\n  c\nd: 1\n", "a", &single("v")), "a: \"v\"\nd: 1\n");
}

#[test]
fn a_yaml_value_is_read_as_it_is_written() {
    let text = "a: 0755\nb: 'it''s'\nc: >-\n  x\n  y\nd:\n  e: 1\n  f: two\n";
    assert_eq!(read(FileFormat::Yaml, text, "a").as_deref(), Some("0755"));
    assert_eq!(read(FileFormat::Yaml, text, "b").as_deref(), Some("it's"));
    assert_eq!(read(FileFormat::Yaml, text, "c").as_deref(), Some("x y"));
    let shape = Shape::Fields(vec![]);
    let nested = document(FileFormat::Yaml, text).value("d", &shape).unwrap();
    assert!(nested.matches(&fields(&[("e", "1"), ("f", "two")])));
}

#[test]
fn what_cannot_be_edited_safely_is_refused_with_the_reason() {
    let refusals = [
        refusal(FileFormat::Json, "[1]", "a"),
        refusal(FileFormat::Json, "{\n \"a\": }", "a"),
        refusal(FileFormat::Yaml, "{a: 1}", "a"),
        refusal(FileFormat::Yaml, "- a", "a"),
        refusal(FileFormat::Yaml, "a: 1\n---\nb: 1\n", "a"),
        refusal(FileFormat::Yaml, "a: &x 1\nb: *x\n", "a"),
        refusal(FileFormat::Yaml, "a: &x 1\nb: *x\n", "b"),
        refusal(FileFormat::Yaml, "a: !secret 1\n", "a"),
        refusal(FileFormat::Yaml, "a: 1\n...\n", "b"),
        refusal(FileFormat::Yaml, "a: 1\n b: [\n", "b"),
        refusal(FileFormat::Dotenv, "A='open\n", "B"),
    ];
    insta::assert_snapshot!(refusals.join("\n"), @"
    its root is not a JSON object, so it has no keys to write to
    it is not valid JSON at line 2, column 7; correct it
    its root is written as `{…}`; write one key per line instead
    its root is not a mapping, so it has no keys to write to
    it holds several documents; keep one in it
    the key `a` has an anchor (`&name`); edit the file by hand
    the key `b` holds an alias (`*name`); edit the file by hand
    the key `a` has a tag (`!name`); edit the file by hand
    it ends with `...`, after which nothing can be added; remove that line
    it is not valid YAML at line 2, column 3; correct it
    the value of `A` opens a quote that is never closed; close it by hand
    ");
}

#[test]
fn a_file_of_ours_alone_is_rebuilt_without_the_rest() {
    for (format, text, expected) in [
        (FileFormat::Dotenv, "# c\nX=1\nB='b' # n\nA=a\n", "B='b'\nA=a\n"),
        (FileFormat::Json, "{\"X\": 1, \"B\": {\"c\":1}, \"A\": \"a\"}", "{\n  \"B\": {\"c\":1},\n  \"A\": \"a\"\n}\n"),
        (FileFormat::Yaml, "X: 1\nB:\n  c: d # n\nA: a\n", "B: {\"c\": \"d\"}\nA: \"a\"\n"),
    ] {
        let mut document = document(format, text);
        document.keep_only(&["A".to_owned(), "B".to_owned()].into()).unwrap();
        assert_eq!(document.render().unwrap().as_str(), expected);
    }
}

/// Values that quoting gets wrong: every special character, often, in every order.
fn hostile() -> impl Strategy<Value = String> {
    let character = prop_oneof![
        prop::sample::select(
            "'\"`\\$#!&;|<>(){}[]*?~=:%@-_ \t\n\r\u{85}\u{2028}\u{feff}é🔑\u{7f}\u{1b}".chars().collect::<Vec<_>>()
        ),
        prop::sample::select("abAB01".chars().collect::<Vec<_>>()),
        any::<char>().prop_filter("no environment holds NUL", |c| *c != '\0'),
    ];
    prop::collection::vec(character, 0..24).prop_map(|characters| characters.into_iter().collect())
}

/// Lines that people write, each closed in itself.
fn line() -> impl Strategy<Value = String> {
    let bare = "[ \\t]{0,2}(export )?[A-Z]{1,2} ?= ?[a-z0-9.,'\"]{0,6}";
    let quoted = (hostile(), "[A-Z]{1,2}")
        .prop_map(|(value, name)| format!("{name}={}", dotenv::encode(&SecretValue::from(value)).unwrap().as_str()));
    let ending = prop::sample::select(vec!["\n", "\r\n", " # note\n", "\n\n"]);
    let closed = |text: &String| ["'", "\""].iter().all(|quote| text.matches(quote).count() % 2 == 0);
    prop_oneof![bare.prop_filter("quotes are closed", closed), quoted, "#[ -~é]{0,9}", "[a-z ]{0,5}"]
        .prop_flat_map(move |line| ending.clone().prop_map(move |ending| format!("{line}{ending}")))
}

proptest! {
    #[test]
    fn every_value_is_read_back_from_every_format(value in hostile(), other in hostile()) {
        for format in [FileFormat::Dotenv, FileFormat::Json, FileFormat::Yaml] {
            let text = edited(format, "", "A", &single(&value));
            let text = edited(format, &text, "B", &fields(&[("x", &other), ("y-z", &value)]));
            let text = edited(format, &text, "A", &single(&other));
            prop_assert_eq!(read(format, &text, "A"), Some(other.clone()));
        }
    }

    #[test]
    fn an_edit_of_an_orderly_file_keeps_every_other_byte(
        lines in prop::collection::vec(line(), 0..8), value in hostile(),
    ) {
        let before = lines.concat();
        let after = edited(FileFormat::Dotenv, &before, "LONG_NAME", &single(&value));
        prop_assert!(after.starts_with(&before));
        // Again, with what was appended in the middle of the file.
        let middle = lines.len() / 2;
        let (head, tail) = (lines[..middle].concat(), lines[middle..].concat());
        let text = format!("{head}LONG_NAME=old # n\n{tail}");
        let after = edited(FileFormat::Dotenv, &text, "LONG_NAME", &single(&value));
        let (assigned, kept) = (format!("{head}LONG_NAME="), format!(" # n\n{tail}"));
        prop_assert!(after.starts_with(&assigned));
        prop_assert!(after.ends_with(&kept));
    }

    #[test]
    fn an_edit_of_any_text_keeps_every_other_byte_or_is_refused(
        before in "([A-C]=|['\"`#\\\\ ]|[a-z]|\n|\r\n|export ){0,40}", value in hostile(),
    ) {
        let mut document = document(FileFormat::Dotenv, &before);
        document.put("LONG_NAME", &single(&value), &Shape::Single).unwrap();
        if let Ok(after) = document.render() {
            prop_assert!(after.starts_with(&before));
            prop_assert_eq!(read(FileFormat::Dotenv, &after, "LONG_NAME"), Some(value));
        }
    }
}

#[test]
fn a_block_of_text_keeps_its_line_ends_and_gets_none() {
    let value = |text| read(FileFormat::Yaml, text, "B");
    assert_eq!(value("B: |\n  two\n  lines\nC: 1\n").as_deref(), Some("two\nlines\n"));
    assert_eq!(value("B: |-\n  x\n\nC: 1\n").as_deref(), Some("x"));
    assert_eq!(value("B: |+\n  x\n\nC: 1\n").as_deref(), Some("x\n\n"));
    assert_eq!(value("B: >\n  x\n  y\n").as_deref(), Some("x y\n"));
    // Whatever is added after it would give it a line end.
    for open in ["B: |\n  x", "B:\n  c: |\n    x", "B:\n  - |\n    x"] {
        let reason = refusal(FileFormat::Yaml, open, "NEW");
        assert!(reason.contains("`B` would be read differently"), "{reason}");
    }
    assert_eq!(edited(FileFormat::Yaml, "B: |-\n  x", "NEW", &single("v")), "B: |-\n  x\nNEW: \"v\"\n");
    assert_eq!(edited(FileFormat::Yaml, "B: |\n  x\n\nC: 1\n", "B", &single("v")), "B: \"v\"\n\nC: 1\n");
}
