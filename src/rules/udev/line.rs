//! Owns one line: its tokens checked against the table of keys, and put in the order in which they count.
//!
//! What a key's value means is `asks`' and `action`'s.

use std::ops::Range;

use bstr::{BString, ByteSlice};

use super::codes;
use super::keys::{self, Braces, Key, KeyInfo, Meaning};
use super::lex::{self, LexError, LexProblem, Operator, Token};
use super::lines::{Line, LineProblem, Lines};
use super::order;
use super::{action, asks};
use crate::diag::{Diagnostic, Place};
use crate::ids::Tag;
use crate::rules::ir::{Condition, Effect, ListOp, Step, StepKind};
use crate::rules::template::{Limit, Template, TemplateError};
use crate::rules::toml::Known;

/// The line is left out, and why is said.
#[derive(Debug)]
pub(super) struct Lost;

/// A name with its place.
#[derive(Debug, Clone)]
pub(super) struct Named {
    pub(super) name: BString,
    pub(super) place: Place,
}

/// A line that was understood; its jump is not yet resolved.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) place: Place,
    pub(super) steps: Vec<Step>,
    pub(super) goto: Option<Box<Named>>,
    pub(super) label: Option<Box<Named>>,
}

/// What a token is read with.
pub(super) struct Cx<'c> {
    lines: &'c Lines<'c>,
    line: &'c Line,
    pub(super) known: &'c Known<'c>,
    diagnostics: &'c mut Vec<Diagnostic>,
}

impl Cx<'_> {
    pub(super) fn place(&self, range: &Range<usize>) -> Place {
        self.lines.place(self.line, range)
    }

    /// Says why the line is left out.
    pub(super) fn lost(
        &mut self,
        code: &'static str,
        message: impl Into<String>,
        at: &Range<usize>,
        hint: &str,
    ) -> Lost {
        let diagnostic = Diagnostic::error(code, message, self.place(at));
        self.diagnostics.push(if hint.is_empty() { diagnostic } else { diagnostic.hint(hint) });
        Lost
    }

    pub(super) fn warn(
        &mut self,
        code: &'static str,
        message: impl Into<String>,
        at: &Range<usize>,
        hint: &str,
    ) {
        let place = self.place(at);
        self.diagnostics.push(Diagnostic::warning(code, message, place).hint(hint));
    }

    pub(super) fn note(
        &mut self,
        code: &'static str,
        message: impl Into<String>,
        at: &Range<usize>,
        hint: &str,
    ) {
        let place = self.place(at);
        self.diagnostics.push(Diagnostic::note(code, message, place).hint(hint));
    }

    /// The value with its substitutions.
    pub(super) fn template(&mut self, token: &Token<'_>, limit: Limit) -> Template {
        self.template_at(&token.value, &token.inner, self.is_verbatim(token)).within(limit)
    }

    /// The name in braces with its substitutions.
    pub(super) fn name_template(&mut self, name: &[u8], span: &Range<usize>, limit: Limit) -> Template {
        self.template_at(name, span, true).within(limit)
    }

    /// A template; what udev lets pass is a warning, at its own place where `exact`.
    pub(super) fn template_at(&mut self, text: &[u8], span: &Range<usize>, exact: bool) -> Template {
        let (template, errors) = Template::parse_udev(text);
        for error in errors {
            let (word, hint) = match &error {
                TemplateError::Unknown { word, .. } => {
                    let sign = word.get(..1).unwrap_or("$");
                    (word, format!("it stands for itself; write `{sign}{sign}` if that is meant"))
                }
                TemplateError::Braces { word, .. } => (
                    word,
                    "the text ends there; write a name, as in `$attr{idVendor}` or `$env{ID_PATH}`".into(),
                ),
            };
            let start = span.start + error.offset();
            let at = if exact { start..(start + word.len()).min(span.end) } else { span.clone() };
            self.warn(codes::BAD_TEMPLATE, error.to_string(), &at, &hint);
        }
        template
    }

    /// True if a token's value stands in the line as it is, without escapes.
    pub(super) fn is_verbatim(&self, token: &Token<'_>) -> bool {
        self.line.text.get(token.inner.clone()).is_some_and(|text| text == token.value.as_slice())
    }
}

/// What the steps of a line are collected in.
#[derive(Debug, Default)]
pub(super) struct Parts {
    steps: Vec<Step>,
    parents: Vec<(Place, Condition)>,
    goto: Option<Box<Named>>,
    label: Option<Box<Named>>,
    /// A token is left out, and that is said: no need to say that the line does nothing.
    pub(super) left_out: bool,
}

impl Parts {
    pub(super) fn when(&mut self, place: Place, condition: Condition) {
        self.steps.push(Step { place, kind: StepKind::When(condition) });
    }

    pub(super) fn parent(&mut self, place: Place, condition: Condition) {
        self.parents.push((place, condition));
    }

    pub(super) fn effect(&mut self, place: Place, effect: Effect, fixed: bool) {
        self.steps.push(Step { place, kind: StepKind::Do { effect, fixed } });
    }
}

/// Reads a line; `None` if it is left out.
pub(super) fn parse(
    lines: &Lines<'_>,
    line: &Line,
    known: &Known<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<Draft> {
    let mut cx = Cx { lines, line, known, diagnostics };
    let whole = 0..line.text.trim_end().len();
    if let Some(problem) = line.problem {
        let (code, hint) = match problem {
            LineProblem::TooLong => (codes::LINE_TOO_LONG, "cut it into several lines"),
            LineProblem::Unfinished => (codes::UNFINISHED, "take the last backslash out"),
        };
        cx.lost(code, problem.to_string(), &whole, hint);
        return None;
    }
    let parts = tokens(&mut cx, &line.text)?;
    if parts.goto.is_none() && parts.label.is_none() && !parts.steps.iter().any(acts) {
        if !whole.is_empty() && !parts.left_out {
            let hint = "add what it is for, as SYMLINK+=\"name\"; `==` asks, `=` sets";
            cx.warn(codes::NO_EFFECT, "this line has no effect", &whole, hint);
        }
        return None;
    }
    let place = cx.place(&whole);
    Some(finish(&mut cx, parts, place))
}

/// True for a step that does something beside asking.
pub(super) fn acts(step: &Step) -> bool {
    match &step.kind {
        StepKind::Do { .. } => true,
        StepKind::When(condition) => asks::acts(&condition.subject),
        StepKind::Parent(_) => false,
    }
}

/// All tokens of a line; a mistake costs the line, but what is wrong behind it is said too.
fn tokens(cx: &mut Cx<'_>, text: &[u8]) -> Option<Parts> {
    let mut parts = Parts::default();
    let mut lost = false;
    let mut at = 0;
    loop {
        match lex::token(text, at) {
            Ok(None) => return (!lost).then_some(parts),
            Ok(Some(token)) => {
                at = token.span.end;
                lost |= one(cx, &token, &mut parts).is_err();
            }
            Err(error) => {
                syntax(cx, text, &error);
                return None;
            }
        }
    }
}

fn syntax(cx: &mut Cx<'_>, text: &[u8], error: &LexError) {
    let found = text.get(error.span.clone()).unwrap_or_default();
    let hint = match error.problem {
        LexProblem::Operator => "a token is KEY, operator, value: KERNEL==\"sda\"".into(),
        LexProblem::Brace => "close it with `}`".into(),
        LexProblem::Quotes if found.starts_with(b"'") => "values stand between double quotes: \"…\"".into(),
        LexProblem::Quotes if found.is_empty() => "write a value: \"…\"".into(),
        LexProblem::Quotes => format!("write \"{}\"", found.trim_with(|c| c == '"' || c == '\'').as_bstr()),
        LexProblem::Unclosed => "write `\"` at its end; inside of a value it is `\\\"`".into(),
        LexProblem::Doubled => "one `e` and one `i` are enough".into(),
        LexProblem::Escape => {
            "these exist: \\a \\b \\f \\n \\r \\t \\v \\s \\\\ \\\" \\' \\xHH \\OOO \\uHHHH \\UHHHHHHHH"
                .into()
        }
        LexProblem::Nul => "leave it out".into(),
    };
    cx.lost(codes::SYNTAX, error.problem.to_string(), &error.span, &hint);
}

fn one(cx: &mut Cx<'_>, token: &Token<'_>, parts: &mut Parts) -> Result<(), Lost> {
    let Some(info) = keys::find(token.key) else { return Err(unknown_key(cx, token)) };
    braces(cx, token, info)?;
    let operator = operator(cx, token, info)?;
    if token.fold && !(operator.is_match() && info.fold) {
        let message = format!("`i\"…\"` where `{}` compares nothing", info.name);
        return Err(cx.lost(codes::BAD_PREFIX, message, &token.value_span, "leave out the `i`"));
    }
    if token.value.is_empty() && needs_value(token, info.key) {
        let message = format!("`{}` with an empty value", info.name);
        cx.warn(codes::EMPTY_VALUE, message, &token.value_span, "write a value, or take it out");
    }
    match info.key {
        Key::Goto | Key::Label => {
            jump(cx, token, info.key, parts);
            Ok(())
        }
        key if operator.is_match() => asks::token(cx, token, key, operator, parts),
        key => action::token(cx, token, key, operator, parts),
    }
}

/// Keys that do nothing sensible with an empty value; others say it in their own words.
fn needs_value(token: &Token<'_>, key: Key) -> bool {
    let builtin = token.attribute.as_ref().is_some_and(|(name, _)| *name == "builtin");
    match key {
        Key::Test | Key::Program | Key::Seclabel => true,
        Key::Import | Key::Run => !builtin,
        Key::Tag => token.operator.0 == Operator::Assign,
        _ => false,
    }
}

fn unknown_key(cx: &mut Cx<'_>, token: &Token<'_>) -> Lost {
    let upper = token.key.to_ascii_uppercase();
    let near = keys::KEYS.iter().find(|info| info.name.as_bytes() == upper).or_else(|| {
        keys::KEYS
            .iter()
            .min_by_key(|info| distance(info.name.as_bytes(), &upper))
            .filter(|info| distance(info.name.as_bytes(), &upper) <= 2.min(info.name.len() / 3))
    });
    let hint = near.map(|info| format!("did you mean `{}`?", info.name)).unwrap_or_default();
    let span = token.key_span.start..token.key_span.end.max(token.key_span.start + 1);
    cx.lost(codes::UNKNOWN_KEY, format!("there is no key `{}`", token.key), &span, &hint)
}

/// How many letters have to be changed, put in or taken out.
fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, y) in row.iter_mut().skip(1).zip(b) {
            let best = (diagonal + usize::from(x != y)).min(left + 1).min(*cell + 1);
            diagonal = std::mem::replace(cell, best);
            left = best;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

/// Checks what stands in braces, or that nothing does.
fn braces(cx: &mut Cx<'_>, token: &Token<'_>, info: &KeyInfo) -> Result<(), Lost> {
    let name = info.name;
    let key = token.key_span.clone();
    let needs = |words: &[&str]| format!("write one of {}", list(name, words));
    let (message, at, hint) = match (info.braces, &token.attribute) {
        (Braces::None, Some((_, at))) => {
            (format!("`{name}` takes nothing in braces"), at, format!("write `{name}`"))
        }
        (Braces::Name, None) => {
            (format!("`{name}` needs a name in braces"), &key, format!("write {name}{{…}}"))
        }
        (Braces::Name, Some((text, at))) if text.is_empty() => {
            (format!("`{name}` needs a name in braces"), at, format!("write {name}{{…}}"))
        }
        (Braces::OneOf(words), None) => (format!("`{name}` needs a word in braces"), &key, needs(words)),
        (Braces::OneOf(words) | Braces::MaybeOneOf(words), Some((text, at)))
            if !words.iter().any(|word| word.as_bytes() == text.as_bytes()) =>
        {
            (format!("`{name}` does not know `{text}`"), at, needs(words))
        }
        _ => return Ok(()),
    };
    let at = if at.is_empty() { token.key_span.start..at.end + 1 } else { at.clone() };
    Err(cx.lost(codes::BAD_ATTRIBUTE, message, &at, &hint))
}

fn list(name: &str, words: &[&str]) -> String {
    words.iter().map(|word| format!("{name}{{{word}}}")).collect::<Vec<_>>().join(", ")
}

/// The operator as the key means it.
fn operator(cx: &mut Cx<'_>, token: &Token<'_>, info: &KeyInfo) -> Result<Operator, Lost> {
    let (written, at) = &token.operator;
    let meaning =
        info.operators.iter().find(|(operator, _)| operator == written).map(|(_, meaning)| *meaning);
    let message = || format!("`{}` does not take `{}`", info.name, written.as_str());
    match meaning {
        Some(Meaning::Itself) => Ok(*written),
        Some(Meaning::SameAs(operator)) => Ok(operator),
        Some(Meaning::Repaired(operator)) => {
            let hint = format!("it is read as `{0}`; write `{0}`", operator.as_str());
            cx.warn(codes::OTHER_OPERATOR, message(), at, &hint);
            Ok(operator)
        }
        None => {
            let takes: Vec<&str> = info
                .operators
                .iter()
                .filter(|(_, meaning)| *meaning == Meaning::Itself)
                .map(|(operator, _)| operator.as_str())
                .collect();
            let hint = format!("`{}` takes {}", info.name, takes.join(" "));
            Err(cx.lost(codes::BAD_OPERATOR, message(), at, &hint))
        }
    }
}

fn jump(cx: &mut Cx<'_>, token: &Token<'_>, key: Key, parts: &mut Parts) {
    let named = Box::new(Named { name: token.value.clone(), place: cx.place(&token.span) });
    if key == Key::Goto {
        match &parts.goto {
            Some(first) => {
                let message = format!("a line jumps once: GOTO=\"{}\" counts", first.name);
                cx.warn(codes::SECOND_GOTO, message, &token.span, "take one of them out");
            }
            None => parts.goto = Some(named),
        }
    } else if let Some(before) = parts.label.replace(named) {
        let message = format!("a line has one label: LABEL=\"{}\" does not count", before.name);
        cx.warn(codes::SECOND_LABEL, message, &token.span, "put one of them on a line of its own");
    }
}

/// Puts the steps in order.
fn finish(cx: &mut Cx<'_>, parts: Parts, place: Place) -> Draft {
    let Parts { mut steps, mut parents, goto, label, .. } = parts;
    parents.sort_by_key(|(_, condition)| order::parent_turn(&condition.subject));
    parents.shrink_to_fit();
    if let Some((place, _)) = parents.first() {
        steps.push(Step { place: place.clone(), kind: StepKind::Parent(parents) });
    }
    // Most lines stay as they are for the rest of the daemon's life.
    steps.shrink_to_fit();
    steps.sort_by_key(|step| order::turn(&step.kind));
    let node = |step: &Step| matches!(step.kind, StepKind::Do { effect: Effect::StaticNode { .. }, .. });
    if steps.iter().any(node) {
        let tags = constant_tags(&steps);
        for step in &mut steps {
            if let StepKind::Do { effect: Effect::StaticNode { tags: of_line, .. }, .. } = &mut step.kind {
                of_line.clone_from(&tags);
            }
        }
    }
    let steps = without_final(cx, steps);
    Draft { place, steps, goto, label }
}

/// The tags that a line gives without asking an event: a static node gets them.
fn constant_tags(steps: &[Step]) -> Vec<Tag> {
    let tag = |step: &Step| match &step.kind {
        StepKind::Do { effect: Effect::Tag { op: ListOp::Set | ListOp::Add, tag }, .. } => {
            Tag::new(tag.constant()?).ok()
        }
        _ => None,
    };
    steps.iter().filter_map(tag).collect()
}

/// What a `:=` forbids to the rest of its own line; rules that come later are the evaluator's business.
fn without_final(cx: &mut Cx<'_>, steps: Vec<Step>) -> Vec<Step> {
    if !steps.iter().any(|step| matches!(step.kind, StepKind::Do { fixed: true, .. })) {
        return steps;
    }
    let mut closed: Vec<&'static str> = Vec::new();
    let mut out = Vec::new();
    for step in steps {
        if let StepKind::Do { effect, fixed } = &step.kind
            && let Some(key) = action::final_key(effect)
        {
            if closed.contains(&key) {
                let message = format!("{key} is final in this line already");
                let hint = "take one of them out";
                cx.diagnostics.push(Diagnostic::warning(codes::AFTER_FINAL, message, step.place).hint(hint));
                continue;
            }
            closed.extend(fixed.then_some(key));
        }
        out.push(step);
    }
    out
}
