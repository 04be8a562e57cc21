//! Owns the expansion of templates and the splitting of command lines. Never changes the outcome.

use std::borrow::Cow;

use bstr::{BStr, BString, ByteSlice, ByteVec};

use super::Evaluation;
use crate::ids::sysnum;
use crate::properties::Properties;
use crate::rules::host::Host;
use crate::rules::ir::Command;
use crate::rules::prepared::Owner;
use crate::rules::template::{AttributeName, Limit, Part, Template, Var, Words};
use crate::rules::trace::Spot;
use crate::text::{SafeExtra, collapse_whitespace, replace_unsafe, space, split_command};

/// Why a template has no value in this event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum ExpandError {
    /// `$index` where no number could be given.
    #[error("`$index` has no number here")]
    NoIndex,
    /// More than udev's language allows.
    #[error("`{}` becomes longer than udev's {} bytes", .0, .1.most())]
    TooLong(BString, Limit),
}

/// What happens to white space that a substitution brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WhiteSpace {
    /// It stays.
    Keep,
    /// Ends are trimmed and inner runs become `_`, but in `$result`, which may hold several words on purpose.
    Collapse,
    /// The same, in `$result` too.
    CollapseAll,
}

impl<H: Host> Evaluation<'_, H> {
    /// The value of a template.
    pub(super) fn expand(&self, template: &Template) -> Result<BString, ExpandError> {
        self.expand_with(template, WhiteSpace::Keep)
    }

    /// The value of a template that speaks of another matched parent.
    pub(super) fn expand_about(
        &self,
        template: &Template,
        matched: Option<&Spot>,
    ) -> Result<BString, ExpandError> {
        self.expand_full(template, WhiteSpace::Keep, matched)
    }

    /// The value of a template with the given care for white space.
    pub(super) fn expand_with(&self, template: &Template, space: WhiteSpace) -> Result<BString, ExpandError> {
        self.expand_full(template, space, self.matched.as_ref())
    }

    fn expand_full(
        &self,
        template: &Template,
        space: WhiteSpace,
        matched: Option<&Spot>,
    ) -> Result<BString, ExpandError> {
        let mut out = BString::default();
        for part in template.parts() {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Var(var) => {
                    let value = self.var(var, template, matched)?;
                    let keep = match space {
                        WhiteSpace::Keep => true,
                        WhiteSpace::Collapse => matches!(var, Var::Result(_)),
                        WhiteSpace::CollapseAll => false,
                    };
                    if keep {
                        out.push_str(&*value);
                    } else {
                        out.push_str(collapse_whitespace(&value));
                    }
                }
            }
        }
        match out.len() > template.limit().most() {
            true => Err(too_long(template)),
            false => Ok(out),
        }
    }

    /// The values of a list of templates.
    pub(super) fn expand_all(&self, templates: &[Template]) -> Result<Vec<BString>, ExpandError> {
        templates.iter().map(|template| self.expand(template)).collect()
    }

    /// The argument vector of a command; empty if the line has no words.
    pub(super) fn argv(&self, command: &Command) -> Result<Vec<BString>, ExpandError> {
        match command {
            Command::Argv(arguments) => self.expand_all(arguments),
            Command::Line(line) => match line.ready() {
                Some(words) => Ok(words.0.to_vec()),
                None => Ok(split_command(&self.expand(line)?)),
            },
        }
    }

    /// The value of a substitution of `template`.
    fn var(
        &self,
        var: &Var,
        template: &Template,
        matched: Option<&Spot>,
    ) -> Result<Cow<'_, BStr>, ExpandError> {
        let facts = self.facts;
        Ok(match var {
            Var::Devnode => owned(facts.node.as_ref().map(|node| self.below_dev(node)).unwrap_or_default()),
            Var::Attr(name) => {
                let value = self.attribute_value(name, matched);
                // udev reads attributes into a buffer of that size, whatever they are for.
                if template.limit() != Limit::None && value.len() > Limit::Value.most() {
                    return Err(too_long(template));
                }
                owned(value)
            }
            Var::Env(key) => self.property_of_event(key).unwrap_or_default(),
            Var::Kernel => owned(facts.devpath.sysname()),
            Var::Number => owned(sysnum(&facts.devpath.sysname()).into()),
            Var::Driver => owned(matched.and_then(|spot| self.driver(spot)).unwrap_or_default()),
            Var::Devpath => borrowed(facts.devpath.as_bytes().as_bstr()),
            Var::Id => owned(matched.map(|spot| self.sysname(spot)).unwrap_or_default()),
            Var::Major => owned(facts.devnum.map_or(0, |n| n.major).to_string().into()),
            Var::Minor => owned(facts.devnum.map_or(0, |n| n.minor).to_string().into()),
            Var::Result(words) => borrowed(pick_words(&self.result, *words).as_bstr()),
            Var::Parent => owned(self.parent_node()),
            Var::Name => owned(self.name()),
            Var::Links => {
                owned(bstr::join(" ", self.links_so_far().into_iter().map(|link| link.as_bytes())).into())
            }
            Var::Root => owned(self.host.dev_root()),
            Var::Sys => owned(self.host.sys_root()),
            Var::Index => owned(self.index.ok_or(ExpandError::NoIndex)?.to_string().into()),
        })
    }

    pub(super) fn below_dev(&self, node: &[u8]) -> BString {
        bstr::concat([self.host.dev_root().as_slice(), b"/", node]).into()
    }

    /// `$attr{name}`: of the event's device, else of the matched parent; as text that is safe in names.
    fn attribute_value(&self, name: &AttributeName, matched: Option<&Spot>) -> BString {
        let raw = match name.owner() {
            Owner::Other(of) => {
                let device = self.host.find(&of.subsystem, &of.kernel);
                device.and_then(|device| self.host.attribute(&device, &of.name))
            }
            Owner::Itself => self.own_attribute(&Spot::Event, name).or_else(|| match matched {
                Some(spot @ Spot::Above(_)) => self.own_attribute(spot, name),
                _ => None,
            }),
        };
        replace_unsafe(space::trim_end(&raw.unwrap_or_default()), SafeExtra::Value)
    }

    fn parent_node(&self) -> BString {
        let parent = self.facts.device.as_ref().and_then(|device| device.parent());
        let uevent = parent.map(|parent| self.host.uevent(&parent)).unwrap_or_default();
        uevent.get("DEVNAME").unwrap_or_default().into()
    }

    fn name(&self) -> BString {
        match (&self.out.name, &self.facts.node) {
            (Some(name), _) => name.value.clone(),
            (None, Some(node)) => node.clone(),
            (None, None) => self.facts.devpath.sysname(),
        }
    }
}

fn too_long(template: &Template) -> ExpandError {
    ExpandError::TooLong(template.text().into(), template.limit())
}

fn owned<'a>(text: BString) -> Cow<'a, BStr> {
    Cow::Owned(text)
}

fn borrowed(text: &BStr) -> Cow<'_, BStr> {
    Cow::Borrowed(text)
}

/// Words of a program's output, counted from 1.
fn pick_words(text: &[u8], words: Words) -> &[u8] {
    let start = |n: u32| {
        let skip = usize::try_from(n).unwrap_or(usize::MAX).saturating_sub(1);
        let mut rest = space::trim_start(text);
        for _ in 0..skip {
            rest = space::trim_start(rest.get(space::word_end(rest)..).unwrap_or_default());
            if rest.is_empty() {
                break;
            }
        }
        rest
    };
    match words {
        Words::All => text,
        Words::One(n) => {
            let rest = start(n);
            rest.get(..space::word_end(rest)).unwrap_or_default()
        }
        Words::From(n) => start(n),
    }
}

/// The `KEY=VALUE` lines of a text. Blank lines, comments, lines without `=`, empty values and such with one quote are
/// left out; one pair of quotes around a value is removed, and where there is nothing between them the property is to be
/// taken away: its value is empty. Values that no record can hold are left out too.
pub(super) fn parse_lines(text: &[u8]) -> Properties {
    let mut out = Properties::new();
    // as udev's reader of files takes them, a NUL ends a line too
    for line in text.split(|byte| matches!(byte, b'\n' | b'\r' | 0)) {
        let line = space::trim(line);
        let Some((key, value)) = line.split_once_str(b"=").filter(|_| !line.starts_with(b"#")) else {
            continue;
        };
        let value = match space::trim(value) {
            b"" => continue,
            [b'"', inner @ .., b'"'] | [b'\'', inner @ .., b'\''] => inner,
            // A quote without its other half: the line is no assignment.
            [b'"' | b'\'', ..] => continue,
            value => value,
        };
        let _left_out = out.set(space::trim(key), value);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_result() {
        let cases = [
            (Words::All, " one two  three ", " one two  three "),
            (Words::One(1), " one two", "one"),
            (Words::One(2), "one two  three", "two"),
            (Words::One(4), "one two three", ""),
            (Words::From(2), "one two  three", "two  three"),
            (Words::From(9), "one", ""),
            (Words::One(u32::MAX), "one", ""),
        ];
        for (words, text, expected) in cases {
            assert_eq!(pick_words(text.as_bytes(), words).as_bstr(), expected, "{words:?} {text}");
        }
    }

    #[test]
    fn import_lines() {
        let text = b"A=1\n# B=2\n\nC = \"x y\" \nD='q'\nE=\nnonsense\nF=a=b\nG=\\x20\nH H=1\nI=\"open\nJ=1\rK=\"\"\0L=1\n";
        let found: Vec<String> = parse_lines(text).iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(found, ["A=1", "C=x y", "D=q", "F=a=b", "G=\\x20", "J=1", "K=", "L=1"]);
    }
}
