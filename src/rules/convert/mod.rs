//! Owns the way from one rule language to the other: a whole file, with its comments. What can't be carried is named with
//! its place and stands in the output as a comment; nothing is left out in silence.
//!
//! Reads and prints with the languages' own parsers and printers, and never reads a file.

mod jumps;
mod links;
mod order;
mod to_toml;
mod to_udev;

use std::sync::Arc;

use bstr::BString;

use super::ir::Rule;
use super::template::{Var, Words};
use super::toml::{self, Accounts, Known};
use super::udev::{self, Unsayable};
use crate::diag::{Diagnostic, Place, Severity, SourceFile};

/// What a file came to in the other language.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Converted {
    /// The text.
    pub text: BString,
    /// What was not carried, in the order of the file.
    pub lost: Vec<Unsayable>,
    /// How many rules there were.
    pub rules: usize,
    /// How many of them were carried.
    pub carried: usize,
}

/// Accounts of a machine that has every name: what is converted here may be for another one.
#[derive(Debug, Clone, Copy)]
pub struct AnyAccount;

impl Accounts for AnyAccount {
    fn user(&self, name: &str) -> Option<u32> {
        (!name.is_empty() && !name.bytes().all(|b| b.is_ascii_digit())).then_some(0)
    }

    fn group(&self, name: &str) -> Option<u32> {
        self.user(name)
    }
}

/// Codes of warnings about something that the other language does not get.
const LOSING: &[&str] = &[udev::codes::UNKNOWN_OPTION, udev::codes::UNKNOWN_USER, udev::codes::UNKNOWN_GROUP];

/// A file of udev's as TOML; `bytes` is what `source` was made from, `builtins` are the names of nameplate's.
pub fn to_toml(source: &Arc<SourceFile>, bytes: &[u8], builtins: &[&str]) -> Converted {
    let builtins = [builtins, udev::keys::BUILTINS].concat();
    let known = Known { accounts: &AnyAccount, builtins: &builtins };
    let parsed = udev::parse(source, bytes, &known);
    let mut out = Writer::new(source, &parsed.diagnostics);
    let flat = jumps::flatten(&parsed.rules);
    let file = toml::print_file(&flat.file);
    let reach = unreachable(&parsed.rules, &flat, &known, file.is_err());
    if !flat.file.is_empty() {
        out.comments(parsed.rules.first());
        match file {
            Ok(text) => out.rule(&text),
            Err(unsayable) => out.lost(&unsayable, None),
        }
    }
    for ((rule, flat), printed) in parsed.rules.iter().zip(&flat.rules).zip(reach) {
        out.comments(Some(rule));
        match (flat, printed) {
            (None, _) => out.carried += 1,
            (Some(_), Ok(text)) => {
                out.carried += 1;
                out.rule(&text);
            }
            (Some(_), Err(unsayable)) => out.lost(&unsayable, Some(rule.place.span.clone())),
        }
    }
    out.finish(parsed.rules.len())
}

/// The texts of the rules. One that a jump may skip is lost with the rule that jumps.
fn unreachable(
    rules: &[Rule],
    flat: &jumps::Flat,
    known: &Known<'_>,
    file_lost: bool,
) -> Vec<Result<String, Vec<Unsayable>>> {
    let mut out: Vec<Result<String, Vec<Unsayable>>> = Vec::with_capacity(rules.len());
    let mut lost_jumps: Vec<(&Place, usize)> = Vec::new();
    for (at, (rule, flat)) in rules.iter().zip(&flat.rules).enumerate() {
        let above = lost_jumps.iter().find(|(_, to)| at < *to).map(|(place, _)| *place);
        let above = above.or(file_lost.then_some(&rule.place));
        let printed = match (flat, above) {
            (Some(_), Some(place)) => {
                let what = format!("a rule that line {} may skip", place.line);
                Err(vec![Unsayable { what, place: rule.place.clone() }])
            }
            (Some(flat), None) => to_toml::print(flat, known),
            (None, _) => Ok(String::new()),
        };
        if let (Err(_), Some(jump)) = (&printed, &rule.jump) {
            lost_jumps.push((&rule.place, jump.to));
        }
        out.push(printed);
    }
    out
}

/// A file of TOML as lines of udev's.
pub fn to_udev(source: &Arc<SourceFile>, builtins: &[&str]) -> Converted {
    let builtins = [builtins, udev::keys::BUILTINS].concat();
    let known = Known { accounts: &AnyAccount, builtins: &builtins };
    let parsed = toml::parse(source, &known);
    let mut out = Writer::new(source, &parsed.diagnostics);
    out.heading();
    for rule in &parsed.rules {
        out.comments(Some(rule));
        if let Some(about) = &rule.about {
            out.comment(about);
        }
        match to_udev::print(rule) {
            Ok(text) => {
                out.carried += 1;
                out.rule(&text);
            }
            Err(unsayable) => {
                let span = out.block(rule);
                out.lost(&unsayable, Some(span));
            }
        }
    }
    for (place, name) in &parsed.gives_way_to {
        let what = format!("a file that gives way to {name} (gives_way_to)");
        out.lost(&[Unsayable { what, place: place.clone() }], None);
    }
    if let Some(first) = parsed.tests.first() {
        let what = format!("{} of the rules: udev has none ([[test]])", count(parsed.tests.len(), "test"));
        out.lost(&[Unsayable { what, place: first.place.clone() }], None);
    }
    out.finish(parsed.rules.len())
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// A text in the making, beside the one that it is made of.
struct Writer<'s> {
    source: &'s SourceFile,
    /// The source's lines.
    lines: Vec<&'s str>,
    text: BString,
    lost: Vec<Unsayable>,
    carried: usize,
    /// Mistakes of the source that are still to be named.
    mistakes: Vec<&'s Diagnostic>,
    /// Source lines whose comments are done with.
    done: usize,
}

impl<'s> Writer<'s> {
    fn new(source: &'s SourceFile, diagnostics: &'s [Diagnostic]) -> Self {
        let losing = |d: &&Diagnostic| d.severity == Severity::Error || LOSING.contains(&d.code);
        Self {
            source,
            lines: source.text.lines().collect(),
            text: BString::default(),
            lost: Vec::new(),
            carried: 0,
            mistakes: diagnostics.iter().filter(losing).collect(),
            done: 0,
        }
    }

    /// The comment at the top of the file, if there is something else than a rule below it.
    fn heading(&mut self) {
        let lines = self.lines.iter().take_while(|line| line.trim().is_empty() || is_comment(line)).count();
        if self.lines.get(lines).is_some_and(|line| line.trim() != "[[rule]]") {
            self.take(0, lines);
        }
    }

    /// The comments right above a rule, and what went wrong up to there.
    fn comments(&mut self, rule: Option<&Rule>) {
        let line = rule.map_or(u32::MAX, |rule| rule.place.line);
        let (before, after): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.mistakes).into_iter().partition(|d| d.place.line < line);
        self.mistakes = after;
        for mistake in before {
            self.mistake(mistake);
        }
        let end = usize::try_from(line).unwrap_or(usize::MAX).saturating_sub(1).min(self.lines.len());
        let above = self.lines.iter().take(end).rev();
        let start = end - above.take_while(|line| line.trim().is_empty() || is_comment(line)).count();
        self.take(start.max(self.done), end);
    }

    /// Copies the comments of a range of lines, with one empty line for each gap.
    fn take(&mut self, start: usize, end: usize) {
        for line in self.lines.get(start..end).unwrap_or_default().to_vec() {
            if is_comment(line) {
                self.text.extend_from_slice(line.trim().as_bytes());
                self.text.push(b'\n');
            } else {
                self.gap();
            }
        }
        self.done = self.done.max(end);
    }

    fn gap(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with(b"\n\n") {
            self.text.push(b'\n');
        }
    }

    fn comment(&mut self, text: &str) {
        for line in text.lines() {
            self.text.extend_from_slice(format!("# {line}\n").as_bytes());
        }
    }

    fn rule(&mut self, text: impl AsRef<[u8]>) {
        self.text.extend_from_slice(text.as_ref());
        if text.as_ref().starts_with(b"[") {
            self.text.push(b'\n');
        }
    }

    /// Says what is not carried, with the text that it stands in.
    fn lost(&mut self, unsayable: &[Unsayable], span: Option<std::ops::Range<usize>>) {
        for one in unsayable {
            self.comment(&format!("NOT CARRIED, {}: {}", one.place, one.what));
        }
        if let Some(text) = span.and_then(|span| self.source.text.get(span)) {
            let text: String = text.lines().map(|line| format!("  {line}\n")).collect();
            self.comment(&text);
        }
        self.lost.extend(unsayable.iter().cloned());
        self.text.push(b'\n');
    }

    fn mistake(&mut self, mistake: &Diagnostic) {
        let unsayable = Unsayable { what: mistake.message.clone(), place: mistake.place.clone() };
        let line = usize::try_from(mistake.place.line).unwrap_or(usize::MAX).saturating_sub(1);
        self.comment(&format!("NOT CARRIED, {}: {}", unsayable.place, unsayable.what));
        if let Some(text) = self.lines.get(line) {
            self.comment(&format!("  {text}"));
        }
        self.lost.push(unsayable);
        self.text.push(b'\n');
    }

    /// The text of a rule of TOML: up to the next table, without the comments of that.
    fn block(&self, rule: &Rule) -> std::ops::Range<usize> {
        let rest = self.source.text.get(rule.place.span.start..).unwrap_or_default();
        let end = rest.find("\n[").unwrap_or(rest.len());
        let text = rest.get(..end).unwrap_or_default();
        let comments = text.lines().rev().take_while(|line| line.trim().is_empty() || is_comment(line));
        let cut: usize = comments.map(|line| line.len() + 1).sum();
        rule.place.span.start..rule.place.span.start + text.len().saturating_sub(cut.saturating_sub(1))
    }

    fn finish(mut self, rules: usize) -> Converted {
        self.comments(None);
        while self.text.ends_with(b"\n\n") {
            self.text.pop();
        }
        Converted { text: self.text, lost: self.lost, rules, carried: self.carried }
    }
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with('#')
}

/// Adds text that stands for itself to the text of a template.
fn push_text(out: &mut BString, text: &[u8]) {
    for byte in text {
        if matches!(byte, b'$' | b'%') {
            out.push(*byte);
        }
        out.push(*byte);
    }
}

/// How a substitution is written.
fn var_text(var: &Var) -> BString {
    let named = |word: &str, name: &BString| bstr::concat([word.as_bytes(), b"{", name, b"}"]).into();
    match var {
        Var::Devnode => "$devnode".into(),
        Var::Attr(name) => named("$attr", name),
        Var::Env(name) => named("$env", name),
        Var::Kernel => "$kernel".into(),
        Var::Number => "$number".into(),
        Var::Driver => "$driver".into(),
        Var::Devpath => "$devpath".into(),
        Var::Id => "$id".into(),
        Var::Major => "$major".into(),
        Var::Minor => "$minor".into(),
        Var::Result(Words::All) => "$result".into(),
        Var::Result(Words::One(n)) => format!("$result{{{n}}}").into(),
        Var::Result(Words::From(n)) => format!("$result{{{n}+}}").into(),
        Var::Parent => "$parent".into(),
        Var::Name => "$name".into(),
        Var::Links => "$links".into(),
        Var::Root => "$root".into(),
        Var::Sys => "$sys".into(),
        Var::Index => "$index".into(),
    }
}
