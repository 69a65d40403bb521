//! Enough of CEL to read the condition of a provider: `&&`, `||`, `!` and brackets; `==`, `!=` and `in`
//! with the claim on either side; `matches`, `startsWith`, `endsWith` and `contains`; claims by `.` and
//! by index. Anything else is kept as what was not understood, and never taken for a restriction.
//!
//! <https://github.com/google/cel-spec/blob/master/doc/langdef.md>

mod words;

use words::{Word, words};

/// Most alternatives of one condition.
const ALTERNATIVES_MAX: usize = 64;
/// Deepest nesting.
const DEPTH_MAX: usize = 32;

/// What one term asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Term {
    /// The claim, as written (`assertion.ref`), is one of these.
    Test {
        /// With what stands before its first dot.
        claim: String,
        /// How it is compared.
        operator: Operator,
        /// Any of them.
        values: Vec<String>,
    },
    /// That it is not so, or only that a claim is there: nothing that narrows to known values.
    Loose,
    /// Something that this reader does not know.
    Unknown,
}

/// How a claim is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Is,
    Matches,
    StartsWith,
    EndsWith,
    Contains,
}

/// The alternatives of a condition, each with the terms that must be true together.
///
/// Nothing, if it cannot be read as a whole.
pub(super) fn alternatives(condition: &str) -> Option<Vec<Vec<Term>>> {
    let words = words(condition)?;
    let mut reader = Reader { words: &words, at: 0, depth: 0 };
    let whole = reader.or()?;
    (reader.at == words.len()).then_some(())?;
    spread(&whole, false)
}

#[derive(Debug)]
enum Expr {
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
    Always(bool),
    Term(Term),
}

/// Either side of a comparison.
#[derive(Debug)]
enum Side {
    Claim(String),
    Text(String),
    List(Vec<String>),
    Expr(Expr),
    /// A number, a call, a list of something else.
    Other,
}

/// An expression as alternatives of terms.
fn spread(expr: &Expr, negated: bool) -> Option<Vec<Vec<Term>>> {
    match (expr, negated) {
        (Expr::Not(inner), _) => spread(inner, !negated),
        (Expr::Always(value), _) => Some(if *value == negated { Vec::new() } else { vec![Vec::new()] }),
        (Expr::Term(Term::Test { .. }), true) => Some(vec![vec![Term::Loose]]),
        (Expr::Term(term), _) => Some(vec![vec![term.clone()]]),
        (Expr::Any(parts), false) | (Expr::All(parts), true) => {
            let mut all = Vec::new();
            for part in parts {
                all.extend(spread(part, negated)?);
            }
            (all.len() <= ALTERNATIVES_MAX).then_some(all)
        }
        (Expr::All(parts), false) | (Expr::Any(parts), true) => {
            let mut all = vec![Vec::new()];
            for part in parts {
                let part = spread(part, negated)?;
                all = all.iter().flat_map(|head| part.iter().map(move |tail| [&head[..], tail].concat())).collect();
                (all.len() <= ALTERNATIVES_MAX).then_some(())?;
            }
            Some(all)
        }
    }
}

struct Reader<'w> {
    words: &'w [Word],
    at: usize,
    depth: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<&Word> {
        self.words.get(self.at)
    }

    fn eat(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek(), Some(Word::Sign(one)) if *one == sign);
        self.at += usize::from(found);
        found
    }

    fn or(&mut self) -> Option<Expr> {
        self.depth += 1;
        (self.depth <= DEPTH_MAX).then_some(())?;
        let mut parts = vec![self.and()?];
        while self.eat("||") {
            parts.push(self.and()?);
        }
        self.depth -= 1;
        Some(if parts.len() == 1 { parts.remove(0) } else { Expr::Any(parts) })
    }

    fn and(&mut self) -> Option<Expr> {
        let mut parts = vec![self.relation()?];
        while self.eat("&&") {
            parts.push(self.relation()?);
        }
        Some(if parts.len() == 1 { parts.remove(0) } else { Expr::All(parts) })
    }

    fn relation(&mut self) -> Option<Expr> {
        let mut nots = 0_usize;
        while self.eat("!") {
            nots += 1;
        }
        // `!a == b` is `(!a) == b`.
        let left = self.side()?;
        let expr = match self.operator() {
            None => standing_alone(left),
            Some(_) if nots > 0 => {
                self.side()?;
                return Some(Expr::Term(Term::Unknown));
            }
            Some(operator) => {
                let right = self.side()?;
                compared(left, operator, right)
            }
        };
        Some((0..nots).fold(expr, |expr, _| Expr::Not(Box::new(expr))))
    }

    fn operator(&mut self) -> Option<&'static str> {
        if matches!(self.peek(), Some(Word::Name(name)) if name == "in") {
            self.at += 1;
            return Some("in");
        }
        ["==", "!=", "<=", ">=", "<", ">"].into_iter().find(|sign| self.eat(sign))
    }

    /// A claim, a text, a list, a call or something in brackets.
    fn side(&mut self) -> Option<Side> {
        if self.eat("(") {
            let inner = self.or()?;
            return self.eat(")").then_some(Side::Expr(inner));
        }
        if self.eat("[") {
            return self.list();
        }
        let word = self.peek()?.clone();
        self.at += 1;
        match word {
            Word::Text(text) => self.after(Side::Text(text)),
            Word::Number => Some(Side::Other),
            Word::Name(name) if name == "true" || name == "false" => Some(Side::Expr(Expr::Always(name == "true"))),
            Word::Name(name) if name == "has" && self.eat("(") => {
                self.side()?;
                self.eat(")").then_some(Side::Expr(Expr::Term(Term::Loose)))
            }
            Word::Name(name) => self.after(Side::Claim(name)),
            Word::Sign(_) => None,
        }
    }

    fn list(&mut self) -> Option<Side> {
        let (mut texts, mut all) = (Vec::new(), true);
        while !self.eat("]") {
            match self.side()? {
                Side::Text(text) => texts.push(text),
                _ => all = false,
            }
            if !self.eat(",") {
                self.eat("]").then_some(())?;
                break;
            }
        }
        Some(if all { Side::List(texts) } else { Side::Other })
    }

    /// Fields, indexes and calls behind a thing.
    fn after(&mut self, mut side: Side) -> Option<Side> {
        loop {
            if self.eat(".") {
                let Word::Name(name) = self.peek()?.clone() else { return None };
                self.at += 1;
                side = if self.eat("(") { call(side, &name, &self.arguments()?) } else { field(side, &name) };
            } else if self.eat("[") {
                let index = self.side()?;
                self.eat("]").then_some(())?;
                side = if let Side::Text(name) = index { field(side, &name) } else { Side::Other };
            } else if self.eat("(") {
                self.arguments()?;
                side = Side::Other;
            } else {
                return Some(side);
            }
        }
    }

    /// Up to the closing bracket.
    fn arguments(&mut self) -> Option<Vec<Side>> {
        let mut arguments = Vec::new();
        while !self.eat(")") {
            arguments.push(self.side()?);
            if !self.eat(",") {
                self.eat(")").then_some(())?;
                break;
            }
        }
        Some(arguments)
    }
}

fn field(side: Side, name: &str) -> Side {
    match side {
        Side::Claim(claim) => Side::Claim(format!("{claim}.{name}")),
        _ => Side::Other,
    }
}

fn call(side: Side, name: &str, arguments: &[Side]) -> Side {
    let operator = match name {
        "matches" => Operator::Matches,
        "startsWith" => Operator::StartsWith,
        "endsWith" => Operator::EndsWith,
        "contains" => Operator::Contains,
        _ => return Side::Other,
    };
    match (side, arguments) {
        (Side::Claim(claim), [Side::Text(text)]) => {
            Side::Expr(Expr::Term(Term::Test { claim, operator, values: vec![text.clone()] }))
        }
        _ => Side::Other,
    }
}

fn standing_alone(side: Side) -> Expr {
    match side {
        Side::Expr(expr) => expr,
        _ => Expr::Term(Term::Unknown),
    }
}

fn compared(left: Side, operator: &str, right: Side) -> Expr {
    let is = |claim, values| Expr::Term(Term::Test { claim, operator: Operator::Is, values });
    match (operator, left, right) {
        ("==", Side::Claim(claim), Side::Text(text)) | ("==", Side::Text(text), Side::Claim(claim)) => {
            is(claim, vec![text])
        }
        ("!=", Side::Claim(claim), Side::Text(text)) | ("!=", Side::Text(text), Side::Claim(claim)) => {
            Expr::Not(Box::new(is(claim, vec![text])))
        }
        ("in", Side::Claim(claim), Side::List(values)) => is(claim, values),
        ("in", Side::Text(text), Side::Claim(claim)) => is(claim, vec![text]),
        ("==", Side::Expr(expr), Side::Expr(Expr::Always(true))) => expr,
        ("==", Side::Expr(expr), Side::Expr(Expr::Always(false))) => Expr::Not(Box::new(expr)),
        _ => Expr::Term(Term::Unknown),
    }
}
