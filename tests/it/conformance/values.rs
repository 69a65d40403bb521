//! Values come back byte for byte or are refused before anything happens; never cut, never changed.

use secretzero::provider::{ErrorKind, Expect, Reading};
use secretzero::secret::{SecretValue, Value};
use secretzero::takes::Takes;

use super::{Subject, look, write};

/// What is difficult for one store or another.
fn difficult(bytes_max: usize) -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("empty", Vec::new()),
        ("one", b"x".to_vec()),
        ("nul", b"\0".to_vec()),
        ("nul-within", b"a\0b".to_vec()),
        ("no-text", vec![0xff, 0xfe, 0x00, 0x80]),
        ("surrogate", vec![0xed, 0xa0, 0x80]),
        ("bom", "\u{feff}text".into()),
        ("last-characters", "\u{7f}\u{85}\u{2028}\u{ffff}\u{10ffff}".into()),
        ("braces", b"a{{b}}c".to_vec()),
        ("quotes", br#"'a' "b" `c` \ \\ $HOME ${HOME} %s #"#.to_vec()),
        ("lines", b"\r\n a\r b\n\n".to_vec()),
        ("base64", b"AAEC/+==".to_vec()),
        ("json", br#"{"a": {"b": [1, null]}}"#.to_vec()),
        ("number", b"1e400".to_vec()),
        ("largest", vec![b'x'; bytes_max]),
        ("too-large", vec![b'x'; bytes_max + 1]),
    ]
}

/// What [`Takes`] admits comes back as it was; what it does not is refused, or comes back as it was too.
pub(crate) async fn each_comes_back_or_is_refused_before_anything_happens(subject: &Subject<'_>) {
    let Some(takes) = Takes::of(&subject.at("value").settings) else { return };
    let provider = subject.provider;
    let mut refused = 0;
    for (name, bytes) in difficult(takes.bytes_max) {
        let at = subject.at(&format!("value-{name}"));
        let value = Value::Single(SecretValue::new(bytes));
        let written = write(provider, &at, &value, 1, Expect::Absent).await;
        if takes.refuses(&value).is_none() {
            assert!(written.is_ok(), "{name} is a value that it takes: {written:?}");
        }
        match written {
            Ok(_) => {
                let stored = provider.read(&[&at]).await.pop().unwrap();
                assert!(stored.is_ok_and(|stored| stored.value.matches(&value)), "{name} came back changed");
            }
            Err(kind) => {
                refused += 1;
                assert_eq!(kind, ErrorKind::Invalid, "{name}");
                assert_eq!(look(provider, &at, Reading::Each).await, None, "{name} was refused and left something");
            }
        }
    }
    assert!(refused > 0, "not even a value that is too large was refused");
}

/// Fields are text in one JSON object or side by side, whatever stands in them.
pub(crate) async fn fields_come_back_whatever_stands_in_them(subject: &Subject<'_>) {
    let at = subject.at("value-fields");
    let takes = Takes::of(&at.settings);
    let texts = ["", "\"", "{\"a\": 1}", "line\nline", "ü🔑\u{2028}", "null", "5432"];
    let names: Vec<String> = (0..texts.len()).map(|n| format!("field-{n}")).collect();
    let fields = names.iter().zip(texts).map(|(name, text)| (name.clone(), SecretValue::from(text)));
    let value = Value::Fields(fields.collect());
    if takes.is_none_or(|takes| takes.refuses(&value).is_some()) {
        return;
    }
    let at = secretzero::target::Place { shape: secretzero::secret::Shape::Fields(names), ..at };
    write(subject.provider, &at, &value, 1, Expect::Absent).await.unwrap();
    let stored = subject.provider.read(&[&at]).await.pop().unwrap().unwrap();
    assert!(stored.value.matches(&value));
}
