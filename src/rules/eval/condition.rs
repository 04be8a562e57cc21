//! Owns conditions: what a subject's value is in this event, and whether it is what the test asks for.
//!
//! Programs and imports act as conditions too: they set `$result` or properties, and hold when they succeed.

use std::borrow::Cow;

use bstr::{BStr, BString, ByteSlice};

use super::Evaluation;
use super::expand::{ExpandError, parse_lines};
use crate::device::Device;
use crate::diag::{Diagnostic, Place};
use crate::ids::{Action, sysname};
use crate::properties::Properties;
use crate::rules::host::{Host, OUTPUT_MAX};
use crate::rules::ir::{Condition, Import, Subject, Test};
use crate::rules::prepared::{Owner, Prepare, sysctl_path};
use crate::rules::template::Template;
use crate::rules::trace::{Spot, Value};
use crate::text::{Case, Pattern, SafeExtra, replace_unsafe, space};

/// Properties that belong to the kernel or the record: an import never sets them.
const NOT_IMPORTED: [&[u8]; 15] = [
    b"CURRENT_TAGS",
    b"USEC_INITIALIZED",
    b"UDEV_DATABASE_VERSION",
    b"ACTION",
    b"DEVLINKS",
    b"DEVNAME",
    b"DEVPATH",
    b"DEVTYPE",
    b"DRIVER",
    b"IFINDEX",
    b"MAJOR",
    b"MINOR",
    b"SEQNUM",
    b"SUBSYSTEM",
    b"TAGS",
];

/// Why a program or an import brought nothing.
enum Miss {
    /// It did not succeed.
    Failed(String),
    /// What was to be run or read has no text.
    Unasked(ExpandError),
}

impl From<String> for Miss {
    fn from(why: String) -> Self {
        Self::Failed(why)
    }
}

impl From<&str> for Miss {
    fn from(why: &str) -> Self {
        Self::Failed(why.into())
    }
}

impl From<ExpandError> for Miss {
    fn from(error: ExpandError) -> Self {
        Self::Unasked(error)
    }
}

impl<H: Host> Evaluation<'_, H> {
    /// Runs what a condition's subject runs, if it is a program or an import.
    pub(super) fn act(&mut self, place: &Place, subject: &Subject) -> Option<Value<'static>> {
        let done = match subject {
            Subject::Program(command) => {
                // before its own command line is made: `$result` has no text there
                self.result.clear();
                match self.argv(command) {
                    Ok(argv) => self.program_result(&argv).map_err(Miss::Failed),
                    Err(error) => Err(error.into()),
                }
            }
            Subject::Import(import) => self.import(place, import),
            _ => return None,
        };
        Some(match done {
            Ok(()) => Value::Worked,
            Err(Miss::Failed(why)) => Value::Failed(Cow::Owned(why)),
            Err(Miss::Unasked(error)) => Value::Unasked(Cow::Owned(error.to_string())),
        })
    }

    fn program_result(&mut self, argv: &[BString]) -> Result<(), String> {
        let stdout = self.run_now(argv)?;
        let text = stdout.trim_end_with(|c| c == '\n');
        self.result = replace_unsafe(text, SafeExtra::Value);
        Ok(())
    }

    fn run_now(&mut self, argv: &[BString]) -> Result<BString, String> {
        if argv.first().is_none_or(|program| program.is_empty()) {
            return Err("the command line is empty".into());
        }
        let environment = self.environment();
        let output = self.host.program(argv, &environment);
        if output.success {
            Ok(until_nul(&output.stdout).into())
        } else {
            Err(output.failure.unwrap_or_else(|| "it failed".into()))
        }
    }

    fn import(&mut self, place: &Place, import: &Import) -> Result<(), Miss> {
        let found = match import {
            Import::Program(command) => {
                let argv = self.argv(command)?;
                let stdout = self.run_now(&argv)?;
                self.without_empty(parse_lines(whole_lines(&stdout)))
            }
            Import::Builtin(builtin) => {
                let arguments = self.argv(&builtin.arguments)?;
                let found = self.host.builtin(&builtin.name, &arguments, &self.out.properties);
                self.without_empty(found.map_err(|error| error.to_string())?)
            }
            Import::File(path) => {
                let path = self.expand(path)?;
                match self.host.read_file(&path) {
                    Ok(found) => self.without_empty(parse_lines(&found.ok_or("the file is not there")?)),
                    Err(error) => {
                        let message = format!("can't import from `{path}`: {error}");
                        self.out.diagnostics.push(Diagnostic::warning(
                            "import-failed",
                            message,
                            place.clone(),
                        ));
                        return Err(error.to_string().into());
                    }
                }
            }
            Import::Db(key) => {
                let key = self.expand(key)?;
                let value = match self.facts.action {
                    // What was recorded is there already.
                    Action::Remove => None,
                    _ => self.host.recorded(&key),
                };
                let value = value.ok_or("the last record has no such property")?;
                [(key, value)].into_iter().collect()
            }
            Import::CommandLine(key) => {
                let key = self.expand(key)?;
                let value =
                    self.host.command_line(&key).ok_or("the kernel's command line has no such key")?;
                self.without_empty([(key, value)].into_iter().collect())
            }
            Import::Parent(pattern) => self.of_parent(pattern)?,
            Import::ParentNamed(pattern) => {
                let pattern = self.expand(pattern)?;
                self.of_parent(&Pattern::single(&pattern, Case::Sensitive))?
            }
        };
        self.take(place, &found);
        Ok(())
    }

    /// The properties of the device above whose names match.
    fn of_parent(&mut self, names: &Pattern) -> Result<Properties, String> {
        let parent = self.facts.device.as_ref().and_then(Device::parent);
        let all = self.host.properties(&parent.ok_or("the device has no parent")?);
        Ok(self.without_empty(all.in_order().filter(|(key, _)| names.matches(key)).collect()))
    }

    /// What is given without a value is taken away; the rest is left.
    fn without_empty(&mut self, found: Properties) -> Properties {
        for (key, _) in
            found.iter().filter(|(key, value)| value.is_empty() && !NOT_IMPORTED.contains(&key.as_bytes()))
        {
            self.out.properties.remove(key);
            self.out.set.remove(key);
        }
        found.in_order().filter(|(_, value)| !value.is_empty()).collect()
    }

    fn take(&mut self, place: &Place, found: &Properties) {
        for (key, value) in found.in_order().filter(|(key, _)| !NOT_IMPORTED.contains(&key.as_bytes())) {
            self.set_property(place, key, value);
        }
    }

    /// What a subject is, on the event's device or one above it. Changes nothing.
    pub(super) fn value_of(&self, subject: &Subject, on: &Spot) -> Value<'_> {
        match subject {
            Subject::Kernel => one(self.sysname(on)),
            Subject::Subsystem => match on {
                Spot::Event => maybe_borrowed(self.facts.subsystem.as_ref()),
                Spot::Above(device) => maybe(device.subsystem()),
            },
            Subject::Driver => maybe(self.driver(on)),
            Subject::Devtype => self.property(on, b"DEVTYPE"),
            Subject::Devpath => match on {
                Spot::Event => Value::One(Cow::Borrowed(self.facts.devpath.as_bytes().as_bstr())),
                Spot::Above(device) => one(device.devpath().as_bytes().into()),
            },
            Subject::Action => Value::One(Cow::Borrowed(BStr::new(self.facts.action.as_str()))),
            Subject::Tag => match on {
                Spot::Event => {
                    let own = self.current_tags().into_iter().map(|tag| BStr::new(tag.as_str()));
                    Value::Many(own.chain(self.others_tags()).map(Cow::Borrowed).collect())
                }
                Spot::Above(device) => Value::Many(
                    self.host.tags(device).iter().map(|tag| Cow::Owned(tag.as_str().into())).collect(),
                ),
            },
            Subject::Name => maybe_borrowed(self.out.name.as_ref().map(|name| &name.value)),
            Subject::Link => Value::Many(
                self.links_so_far()
                    .into_iter()
                    .map(|link| Cow::Borrowed(link.as_bytes().as_bstr()))
                    .collect(),
            ),
            Subject::Attribute(name) => self.attribute(name, on, self.matched.as_ref()),
            Subject::Property(key) => self.property(on, key),
            Subject::Sysctl(name) => {
                let read =
                    |path: &[u8]| maybe(self.host.sysctl(path).map(|value| space::trim(&value).into()));
                match name.ready() {
                    Some(path) => read(&path.0),
                    None => self.with(name, self.matched.as_ref(), |name| read(&sysctl_path(name))),
                }
            }
            Subject::Const(key) => maybe(self.host.constant(*key)),
            Subject::File(path) => self.with(path, self.matched.as_ref(), |text| {
                let mode = match path.ready() {
                    Some(owner) => self.file_mode(on, owner, text),
                    None => self.file_mode(on, &Owner::prepare(text), text),
                };
                mode.map_or(Value::Absent, Value::Mode)
            }),
            Subject::Result => Value::One(Cow::Borrowed(self.result.as_bstr())),
            Subject::Program(_) | Subject::Import(_) => Value::Failed(Cow::Borrowed("it was not run")),
        }
    }

    /// The value by the name that a template gives; `matched` is the parent that the template speaks of.
    pub(super) fn with<'v>(
        &self,
        name: &Template,
        matched: Option<&Spot>,
        value: impl FnOnce(&[u8]) -> Value<'v>,
    ) -> Value<'v> {
        match name.constant() {
            Some(text) if text.len() <= name.limit().most() => value(text),
            _ => match self.expand_about(name, matched) {
                Ok(name) => value(&name),
                Err(error) => Value::Unasked(Cow::Owned(error.to_string())),
            },
        }
    }

    fn property(&self, on: &Spot, key: &[u8]) -> Value<'_> {
        match on {
            Spot::Event => self.property_of_event(key).map_or(Value::Absent, Value::One),
            Spot::Above(device) => {
                let kernel = self.host.uevent(device);
                let value = kernel.get(key).map(BString::from);
                maybe(value.or_else(|| self.host.properties(device).get(key).map(BString::from)))
            }
        }
    }

    /// The tags that a udevd has given the event's device, where this event is one that it has handled: the kernel's have no
    /// such property.
    fn others_tags(&self) -> impl Iterator<Item = &BStr> {
        let tags = self.out.properties.get(b"CURRENT_TAGS");
        tags.into_iter().flat_map(|list| list.split_str(":")).filter(|tag| !tag.is_empty()).map(BStr::new)
    }

    /// The kernel's name of a device.
    pub(super) fn sysname(&self, on: &Spot) -> BString {
        match on {
            Spot::Event => sysname(self.facts.devpath.last()),
            Spot::Above(device) => device.sysname(),
        }
    }

    /// The driver of a device. The event's own property counts where the device has gone.
    pub(super) fn driver(&self, on: &Spot) -> Option<BString> {
        self.device(on).and_then(|device| self.host.driver(device)).or_else(|| match on {
            Spot::Event => self.out.properties.get("DRIVER").map(BString::from),
            Spot::Above(_) => None,
        })
    }

    pub(super) fn device<'a>(&'a self, on: &'a Spot) -> Option<&'a Device> {
        match on {
            Spot::Event => self.facts.device.as_ref(),
            Spot::Above(device) => Some(device),
        }
    }
}

pub(super) fn one<'a>(text: BString) -> Value<'a> {
    Value::One(Cow::Owned(text))
}

pub(super) fn maybe<'a>(text: Option<BString>) -> Value<'a> {
    text.map_or(Value::Absent, one)
}

fn maybe_borrowed(text: Option<&BString>) -> Value<'_> {
    text.map_or(Value::Absent, |text| Value::One(Cow::Borrowed(text.as_bstr())))
}

/// The properties that outlive the event: what programs, listeners and the record get.
pub(super) fn lasting(properties: &Properties) -> Properties {
    let mut out = properties.clone();
    for (key, _) in properties.iter().filter(|(key, _)| key.starts_with(b".")) {
        out.remove(key);
    }
    out
}

/// What a program printed, as C's strings hold it.
fn until_nul(text: &[u8]) -> &[u8] {
    text.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// The text without its last line, if there may have been more of it than is kept.
fn whole_lines(text: &[u8]) -> &[u8] {
    if text.len() < OUTPUT_MAX {
        return text;
    }
    text.get(..text.rfind_byte(b'\n').unwrap_or(0)).unwrap_or_default()
}

/// Whether a condition's value is what its test asks for.
pub(in crate::rules) fn holds(condition: &Condition, value: &Value<'_>) -> bool {
    if matches!(value, Value::Unasked(_)) {
        return false;
    }
    let attribute = matches!(condition.subject, Subject::Attribute(_));
    match &condition.test {
        Test::Is(pattern) => matches_any(pattern, value, &condition.subject).unwrap_or(false),
        Test::IsNot(pattern) => {
            matches_any(pattern, value, &condition.subject).is_some_and(|matched| !matched)
        }
        Test::Exists(wanted) => {
            let there = match value {
                Value::Absent | Value::Blank | Value::Failed(_) | Value::Unasked(_) => false,
                Value::One(text) => attribute || !text.is_empty(),
                Value::Many(texts) => !texts.is_empty(),
                Value::Mode(_) | Value::Worked => true,
            };
            there == *wanted
        }
        Test::Range(bounds) => match value {
            Value::One(text) => number(text).is_some_and(|n| {
                bounds.min.is_none_or(|min| min <= n) && bounds.max.is_none_or(|max| n <= max)
            }),
            _ => false,
        },
        Test::Mode(mask) => matches!(value, Value::Mode(mode) if mode & mask != 0),
        Test::NoMode(mask) => !matches!(value, Value::Mode(mode) if mode & mask != 0),
    }
}

/// What a plain pattern without white space at its end is compared with; `None` if there is nothing to compare.
pub(super) fn compared<'v>(subject: &Subject, value: &'v Value<'_>) -> Option<&'v [u8]> {
    match value {
        Value::One(text) => match subject {
            Subject::Attribute(name) => Some(shortened(text, name)),
            _ => Some(text),
        },
        Value::Blank => Some(b""),
        Value::Absent if !matches!(subject, Subject::Attribute(_)) => Some(b""),
        _ => None,
    }
}

/// Whether the pattern matches; `None` if there is nothing that could match or not match.
fn matches_any(pattern: &Pattern, value: &Value<'_>, subject: &Subject) -> Option<bool> {
    match (value, subject) {
        (Value::Absent, Subject::Attribute(_)) => None,
        (Value::Absent | Value::Blank, _) => Some(pattern.matches(b"")),
        // The newline at the end belongs to the file, never to the value.
        (Value::One(text), Subject::Attribute(_)) if is_exact(pattern.text()) => {
            Some(pattern.matches(text.trim_end_with(|c| c == '\n' || c == '\r')))
        }
        (Value::One(text), Subject::Attribute(name)) => Some(pattern.matches(shortened(text, name))),
        (Value::One(text), _) => Some(pattern.matches(text)),
        (Value::Many(texts), _) => Some(texts.iter().any(|text| pattern.matches(text))),
        (Value::Mode(_) | Value::Worked | Value::Failed(_) | Value::Unasked(_), _) => None,
    }
}

/// An attribute's value as it is compared: without white space at its end, and no more of it than udev's language sees.
fn shortened<'v>(text: &'v [u8], name: &Template) -> &'v [u8] {
    space::trim_end(text.get(..name.limit().most()).unwrap_or(text))
}

/// True for a pattern that sees the white space at a value's end: nothing at all, and one that ends in white space.
fn is_exact(text: &[u8]) -> bool {
    text.last().is_none_or(|last| space::is_c_space(*last))
}

/// A number as sysfs shows it: decimal with an optional sign, or hexadecimal behind `0x`; white space around it.
fn number(text: &[u8]) -> Option<i128> {
    let text = space::trim(text).to_str().ok()?;
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        // `from_str_radix` would take a sign here, which no hexadecimal number has.
        Some(digits) if digits.starts_with(|c: char| c.is_ascii_hexdigit()) => {
            i128::from_str_radix(digits, 16).ok()
        }
        Some(_) => None,
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::template::Template;
    use crate::text::Case;

    fn pattern(text: &str) -> Pattern {
        Pattern::new(text.as_bytes(), Case::Sensitive)
    }

    #[test]
    fn tests_and_values() {
        let attr = || Subject::Attribute(Template::literal(b"x").into());
        let text = |t: &'static str| Value::One(Cow::Borrowed(BStr::new(t)));
        let many = |t: &[&'static str]| Value::Many(t.iter().map(|t| Cow::Borrowed(BStr::new(*t))).collect());
        let is = |t: &str| Test::Is(pattern(t));
        let not = |t: &str| Test::IsNot(pattern(t));
        let range = |min, max| Test::Range(Box::new(crate::rules::ir::Bounds { min, max }));
        let cases = vec![
            (Subject::Kernel, is("sd*"), text("sda"), true),
            (Subject::Kernel, not("sd*"), text("sda"), false),
            (Subject::Subsystem, is(""), Value::Absent, true),
            (Subject::Subsystem, is("?*"), Value::Absent, false),
            (Subject::Subsystem, not("block"), Value::Absent, true),
            // an attribute that is absent meets neither the test nor its contrary
            (attr(), is("*"), Value::Absent, false),
            (attr(), not("x"), Value::Absent, false),
            (attr(), Test::Exists(false), Value::Absent, true),
            (attr(), Test::Exists(true), text(""), true),
            (Subject::Property("A".into()), Test::Exists(true), text(""), false),
            (Subject::Property("A".into()), Test::Exists(false), Value::Absent, true),
            (attr(), is("abc"), text("abc \n"), true),
            (attr(), is("abc "), text("abc "), true),
            (attr(), is("abc "), text("abc \n"), true),
            (attr(), is("abc\n"), text("abc\n"), false),
            (attr(), is("abc "), text("abc"), false),
            (attr(), is(""), text(" \n"), false),
            (attr(), not(""), text(" \n"), true),
            (attr(), is("?*"), text(" \n"), false),
            (attr(), is("x|"), text(" \n"), true),
            (attr(), is(""), text("\n"), true),
            // an attribute that a named device has not
            (attr(), is(""), Value::Blank, true),
            (attr(), not("x"), Value::Blank, true),
            (attr(), is("*"), Value::Blank, true),
            (attr(), Test::Exists(true), Value::Blank, false),
            (attr(), range(None, None), Value::Blank, false),
            (attr(), not("abc"), text("abc\n"), false),
            (Subject::Property("A".into()), is("abc"), text("abc "), false),
            (Subject::Tag, is("b|c"), many(&["a", "b"]), true),
            (Subject::Tag, not("b"), many(&["a", "b"]), false),
            (Subject::Tag, not("b"), many(&[]), true),
            (Subject::Tag, is("a|"), many(&[]), false),
            (attr(), range(Some(10), Some(20)), text("20\n"), true),
            (attr(), range(Some(10), Some(20)), text("21\n"), false),
            (attr(), range(Some(10), None), text("0x0a\n"), true),
            (attr(), range(None, Some(-1)), text("-5"), true),
            (attr(), range(None, None), text("0x-5"), false),
            (attr(), range(None, None), text("x"), false),
            (attr(), range(None, None), Value::Absent, false),
            (Subject::File(Template::literal(b"/x").into()), Test::Mode(0o111), Value::Mode(0o100_755), true),
            (
                Subject::File(Template::literal(b"/x").into()),
                Test::Mode(0o111),
                Value::Mode(0o100_644),
                false,
            ),
            (
                Subject::File(Template::literal(b"/x").into()),
                Test::Exists(true),
                Value::Mode(0o100_644),
                true,
            ),
            (Subject::Result, Test::Exists(true), Value::Worked, true),
            (Subject::Result, Test::Exists(false), Value::Failed("no".into()), true),
        ];
        for (subject, test, value, expected) in cases {
            let condition = Condition { subject, test };
            assert_eq!(holds(&condition, &value), expected, "{condition:?} {value:?}");
        }
    }
}
