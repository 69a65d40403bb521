//! Conditions of bindings, as far as they name resources
//! (<https://cloud.google.com/iam/docs/conditions-overview>): comparisons of `resource.name`, joined by `||`.
//!
//! What is not understood is refused, never taken for true.

/// Most logic operators in one (<https://cloud.google.com/iam/quotas>).
const OPERATORS_MAX: usize = 12;

/// One comparison.
enum Term {
    Is(String),
    Begins(String),
}

/// A disjunction.
pub(super) struct Condition(Vec<Term>);

impl Condition {
    /// Reads an expression in the Common Expression Language.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (mut terms, mut rest) = (Vec::new(), text.trim());
        loop {
            let (term, after) = term(rest).ok_or_else(|| format!("INVALID_ARGUMENT: what is {rest}"))?;
            terms.push(term);
            let after = after.trim_start();
            if after.is_empty() {
                break;
            }
            rest = after.strip_prefix("||").ok_or_else(|| format!("INVALID_ARGUMENT: what is {after}"))?.trim_start();
        }
        if terms.len() > OPERATORS_MAX + 1 {
            return Err(format!("INVALID_ARGUMENT: more than {OPERATORS_MAX} logic operators"));
        }
        Ok(Self(terms))
    }

    /// Whether it is true of a resource.
    pub(super) fn holds(&self, resource: &str) -> bool {
        self.0.iter().any(|term| match term {
            Term::Is(name) => resource == name,
            Term::Begins(begin) => resource.starts_with(begin.as_str()),
        })
    }
}

fn term(text: &str) -> Option<(Term, &str)> {
    let rest = text.strip_prefix("resource.name")?;
    if let Some(rest) = rest.strip_prefix(".startsWith(") {
        let (begin, rest) = literal(rest)?;
        return Some((Term::Begins(begin), rest.strip_prefix(')')?));
    }
    let (name, rest) = literal(rest.trim_start().strip_prefix("==")?.trim_start())?;
    Some((Term::Is(name), rest))
}

/// A text in double quotes, and what follows it.
fn literal(text: &str) -> Option<(String, &str)> {
    let inner = text.strip_prefix('"')?;
    let (mut out, mut chars) = (String::new(), inner.char_indices());
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((out, &inner[at + 1..])),
            '\\' => out.push(chars.next().map(|(_, c)| c).filter(|c| r#"\""#.contains(*c))?),
            c => out.push(c),
        }
    }
    None
}

#[test]
fn what_is_not_understood_is_refused() {
    let good = r#"resource.name == "a\"b" || resource.name.startsWith("c/")"#;
    let condition = Condition::parse(good).unwrap_or_else(|why| panic!("{why}"));
    assert!(condition.holds("a\"b") && condition.holds("c/d") && !condition.holds("c") && !condition.holds("a"));
    let long = vec![r#"resource.name == "a""#; OPERATORS_MAX + 2].join(" || ");
    for bad in ["true", r#"resource.name == "a"#, r#"resource.name == "a" && true"#, r#"resource.type == "a""#, &long] {
        assert!(Condition::parse(bad).is_err(), "{bad}");
    }
}
