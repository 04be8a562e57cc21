//! Owns the tokens of a rule: `KEY{attribute}operator"value"`, with their spans in the line's text.
//!
//! Never knows a key: that is `keys`.

use std::ops::Range;

use bstr::{BStr, BString, ByteSlice};

use crate::text::c_escape;
use crate::text::space::is_space;

/// What stands between a key and its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operator {
    /// `==`
    Match,
    /// `!=`
    NoMatch,
    /// `+=`
    Add,
    /// `-=`
    Remove,
    /// `=`
    Assign,
    /// `:=`
    Final,
}

impl Operator {
    /// All operators, in the order in which they are looked for.
    pub const ALL: [Operator; 6] = [
        Operator::Match,
        Operator::NoMatch,
        Operator::Add,
        Operator::Remove,
        Operator::Assign,
        Operator::Final,
    ];

    /// The operator as it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Operator::Match => "==",
            Operator::NoMatch => "!=",
            Operator::Add => "+=",
            Operator::Remove => "-=",
            Operator::Assign => "=",
            Operator::Final => ":=",
        }
    }

    /// True for the two that ask.
    pub fn is_match(self) -> bool {
        matches!(self, Operator::Match | Operator::NoMatch)
    }
}

/// One token of a rule. Ranges are offsets in the line's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token<'l> {
    /// The key.
    pub key: &'l BStr,
    /// Where the key stands.
    pub key_span: Range<usize>,
    /// What is between the braces, and where.
    pub attribute: Option<(&'l BStr, Range<usize>)>,
    /// The operator, and where.
    pub operator: (Operator, Range<usize>),
    /// The value without quotes and escapes.
    pub value: BString,
    /// Where the value stands, prefix and quotes included.
    pub value_span: Range<usize>,
    /// What is between the quotes, as it stands there.
    pub inner: Range<usize>,
    /// `i"…"`: letters of either case match.
    pub fold: bool,
    /// The whole token.
    pub span: Range<usize>,
}

/// Why a text is no token; the whole line is left out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct LexError {
    /// What is wrong.
    pub problem: LexProblem,
    /// Where, in the line's text.
    pub span: Range<usize>,
}

/// What is wrong with a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LexProblem {
    /// The line ends in a key, or the key is followed by something else.
    #[error("expected an operator after the key")]
    Operator,
    /// `{` without `}`.
    #[error("`{{` without `}}`")]
    Brace,
    /// The value has no quotes.
    #[error("expected a value between double quotes")]
    Quotes,
    /// The value has no end.
    #[error("the value has no closing `\"`")]
    Unclosed,
    /// `ee"…"`, `ii"…"`.
    #[error("the same letter twice before a value")]
    Doubled,
    /// An escape that does not exist, in `e"…"`.
    #[error("an escape that does not exist")]
    Escape,
    /// A NUL by an escape.
    #[error("a value can't hold a NUL")]
    Nul,
}

/// The next token at or behind `from`; `None` at the end of the line. White space and commas in any mix separate tokens.
pub fn token(line: &[u8], from: usize) -> Result<Option<Token<'_>>, LexError> {
    let start = from + count(line, from, |b| is_space(b) || b == b',');
    if start >= line.len() {
        return Ok(None);
    }
    let fail = |problem, span| Err(LexError { problem, span });
    let mut at = key_end(line, start);
    if at >= line.len() {
        return fail(LexProblem::Operator, start..at);
    }
    let key_span = start..at;
    let mut attribute = None;
    if line.get(at) == Some(&b'{') {
        let inner = line.get(at + 1..).unwrap_or_default();
        let Some(len) = inner.find_byte(b'}') else { return fail(LexProblem::Brace, at..line.len()) };
        attribute = Some((inner.get(..len).unwrap_or_default().as_bstr(), at + 1..at + 1 + len));
        at += len + 2;
    }
    at += count(line, at, is_space);
    let rest = line.get(at..).unwrap_or_default();
    let Some(operator) = Operator::ALL.into_iter().find(|op| rest.starts_with(op.as_str().as_bytes())) else {
        return fail(LexProblem::Operator, start..at.max(start + 1));
    };
    let operator_span = at..at + operator.as_str().len();
    at = operator_span.end + count(line, operator_span.end, is_space);
    let value = value(line, at)?;
    Ok(Some(Token {
        key: line.get(key_span.clone()).unwrap_or_default().as_bstr(),
        key_span,
        attribute,
        operator: (operator, operator_span),
        value: value.text,
        value_span: at..value.inner.end + 1,
        inner: value.inner.clone(),
        fold: value.fold,
        span: start..value.inner.end + 1,
    }))
}

/// A key ends at white space, `=`, `{`, or where `+=`, `-=`, `!=` or `:=` begins.
fn key_end(line: &[u8], start: usize) -> usize {
    let ends = |i: usize| match line.get(i) {
        None => true,
        Some(b'=' | b'{') => true,
        Some(b'+' | b'-' | b'!' | b':') => line.get(i + 1) == Some(&b'='),
        Some(byte) => is_space(*byte),
    };
    (start..line.len()).find(|i| ends(*i)).unwrap_or(line.len())
}

fn count(line: &[u8], from: usize, what: impl Fn(u8) -> bool) -> usize {
    line.get(from..).unwrap_or_default().iter().take_while(|b| what(**b)).count()
}

struct Value {
    text: BString,
    inner: Range<usize>,
    fold: bool,
}

fn value(line: &[u8], start: usize) -> Result<Value, LexError> {
    let fail = |problem, span| Err(LexError { problem, span });
    let (mut escaped, mut fold) = (false, false);
    let mut at = start;
    loop {
        let letter = match line.get(at) {
            Some(b'"') => break,
            Some(b'e') => &mut escaped,
            Some(b'i') => &mut fold,
            _ => return fail(LexProblem::Quotes, start..unquoted_end(line, start)),
        };
        if std::mem::replace(letter, true) {
            return fail(LexProblem::Doubled, start..at + 1);
        }
        at += 1;
    }
    let inner = at + 1;
    let close = closing(line, inner, escaped)
        .ok_or(LexError { problem: LexProblem::Unclosed, span: start..line.len() })?;
    let raw = line.get(inner..close).unwrap_or_default();
    let text = match (escaped, raw.contains(&b'\\')) {
        (true, _) => unescape(raw, inner)?,
        (false, true) => raw.replace(b"\\\"", b"\"").into(),
        (false, false) => raw.into(),
    };
    Ok(Value { text, inner: inner..close, fold })
}

/// Where something that is no value ends, for messages.
fn unquoted_end(line: &[u8], start: usize) -> usize {
    let len = count(line, start, |b| !is_space(b) && b != b',');
    (start + len.max(1)).min(line.len())
}

/// The offset of the quote that ends a value. Without escapes only `\"` is special.
fn closing(line: &[u8], from: usize, escaped: bool) -> Option<usize> {
    let mut at = from;
    loop {
        match line.get(at)? {
            b'"' => return Some(at),
            b'\\' if escaped || line.get(at + 1) == Some(&b'"') => at += 2,
            _ => at += 1,
        }
    }
}

/// Undoes C escapes; `offset` is where `text` stands in the line.
fn unescape(text: &[u8], offset: usize) -> Result<BString, LexError> {
    let mut out = BString::default();
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        if byte != b'\\' {
            out.push(byte);
            at += 1;
            continue;
        }
        let rest = text.get(at + 1..).unwrap_or_default();
        let error = |problem, len: usize| LexError { problem, span: offset + at..offset + at + len };
        let (bytes, len) = c_escape(rest).ok_or_else(|| error(LexProblem::Escape, 2.min(rest.len() + 1)))?;
        if bytes.contains(&0) {
            return Err(error(LexProblem::Nul, 1 + len));
        }
        out.extend_from_slice(&bytes);
        at += 1 + len;
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str) -> String {
        let mut out = Vec::new();
        let mut at = 0;
        loop {
            match token(line.as_bytes(), at) {
                Ok(None) => break,
                Ok(Some(token)) => {
                    let attribute = token.attribute.map(|(a, _)| format!("{{{a}}}")).unwrap_or_default();
                    let fold = if token.fold { "i" } else { "" };
                    let operator = token.operator.0.as_str();
                    out.push(format!(
                        "{}{attribute}{operator}{fold}<{}>",
                        token.key,
                        token.value.escape_ascii()
                    ));
                    at = token.span.end;
                }
                Err(error) => {
                    out.push(format!("{:?}@{}..{}", error.problem, error.span.start, error.span.end));
                    break;
                }
            }
        }
        out.join(" ")
    }

    #[test]
    fn tokens() {
        let cases = [
            ("", ""),
            (" ,\t,", ""),
            (r#"A=="b""#, "A==<b>"),
            (r#"A=="b",C="d""#, "A==<b> C=<d>"),
            (r#"A=="b"C="d"E+="f""#, "A==<b> C=<d> E+=<f>"),
            (r#",,A == "b" , , C	=	"d",,"#, "A==<b> C=<d>"),
            (r#"A!="",B-="x",C:="y""#, "A!=<> B-=<x> C:=<y>"),
            (r#"ATTR{a b}="c""#, "ATTR{a b}=<c>"),
            (r#"ATTR{a==b:=c} ="d""#, "ATTR{a==b:=c}=<d>"),
            (r#"ATTR{[net/lo]mtu}=="1""#, "ATTR{[net/lo]mtu}==<1>"),
            (r#"ENV{}="x""#, "ENV{}=<x>"),
            (r#"A+B-C:D="x""#, "A+B-C:D=<x>"),
            (r#"A="a\"b""#, r#"A=<a\"b>"#),
            (r#"A="a\\"b"x""#, "A=<a\\\\\\\"b> Operator@9..11"),
            (r#"A="a\nb""#, r"A=<a\\nb>"),
            (r#"A=e"a\nb\t\x41\101ä\U0001F600\s\"""#, "A=<a\\nb\\tAA\\xc3\\xa4\\xf0\\x9f\\x98\\x80 \\\">"),
            (r#"A=e"\\""#, r"A=<\\>"),
            (r#"A=e"\ud800\377""#, r"A=<\xed\xa0\x80\xff>"),
            (r#"A==i"b""#, "A==i<b>"),
            (r#"A==ei"\x41",B==ie"b""#, "A==i<A> B==i<b>"),
            ("A=\"#\"", "A=<#>"),
        ];
        for (line, expected) in cases {
            assert_eq!(shown(line), expected, "{line}");
        }
    }

    #[test]
    fn no_tokens() {
        let cases = [
            ("A", "Operator@0..1"),
            ("A \"b\"", "Operator@0..2"),
            ("A{b=\"c\"", "Brace@1..7"),
            ("A {b}=\"c\"", "Operator@0..2"),
            ("A='b'", "Quotes@2..5"),
            ("A=b, C=\"d\"", "Quotes@2..3"),
            ("A=", "Quotes@2..2"),
            ("A=\"b", "Unclosed@2..4"),
            ("A=\"b\\\"", "Unclosed@2..6"),
            ("A=ee\"b\"", "Doubled@2..4"),
            ("A=ii\"b\"", "Doubled@2..4"),
            ("A=eie\"b\"", "Doubled@2..5"),
            ("A=x\"b\"", "Quotes@2..6"),
            ("A=e\"\\q\"", "Escape@4..6"),
            ("A=e\"\\x4\"", "Escape@4..6"),
            ("A=e\"\\400\"", "Escape@4..6"),
            ("A=e\"\\U0000d800\"", "Escape@4..6"),
            ("A=e\"a\\000\"", "Nul@5..9"),
            ("A=e\"a\\\"", "Unclosed@2..7"),
        ];
        for (line, expected) in cases {
            assert_eq!(shown(line), expected, "{line}");
        }
    }
}
