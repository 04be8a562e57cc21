//! Owns effects: how each changes the outcome, what a rule may not set, and what is final.
//!
//! A value that can't be used is refused with a diagnostic at its place; the rule goes on with the next step.

use std::borrow::Cow;

use bstr::{BStr, BString, ByteSlice};

use super::Evaluation;
use super::expand::{ExpandError, WhiteSpace};
use super::outcome::{Account, Given, Job, Target, Write};
use super::refusal::Refusal;
use crate::diag::{Diagnostic, Place};
use crate::ids::{Action, LinkName, Tag};
use crate::properties::PropertyError;
use crate::rules::host::{Host, HostError};
use crate::rules::ir::{Access, Builtin, Command, Effect, ListOp, Mode, Principal, StringEscape};
use crate::rules::prepared::{Owner, Prepare, Prepared, SysctlPath, sysctl_path};
use crate::rules::template::Template;
use crate::rules::trace::Applied;
use crate::text::{SafeExtra, replace_unsafe, space};

/// Longest name of a network interface (the kernel's `IFNAMSIZ` less its NUL).
const IFNAME_MAX: usize = 15;
/// The tag that makes systemd look at a device.
const TAG_SYSTEMD: &[u8] = b"systemd";
/// The tag by which the session's user gets access.
const TAG_UACCESS: &[u8] = b"uaccess";
/// The builtin that gives it.
const BUILTIN_UACCESS: &str = "uaccess";
/// The property in which systemd reads which units to start.
const SYSTEMD_WANTS: &[u8] = b"SYSTEMD_WANTS";

/// What can be made final.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Thing<'e> {
    Links,
    Name,
    Owner,
    Group,
    Mode,
    Priority,
    Property(&'e BStr),
    Tag(Tag),
    Run,
    Watch,
    Labels,
}

impl<'e, H: Host> Evaluation<'e, H> {
    /// Applies an effect to the outcome.
    pub(super) fn apply<'r: 'e>(&mut self, place: &Place, effect: &'r Effect, fixed: bool) -> Applied {
        let thing = self.thing(effect);
        if let Some(thing) = &thing
            && self.is_fixed(thing)
        {
            return Applied::No("an earlier rule made it final");
        }
        let before = self.out.diagnostics.len();
        let done = self.carry_out(place, effect);
        if fixed && let Some(thing) = thing {
            self.fixed.push((thing, self.rule));
        }
        match done {
            // One bad name of a list is refused on the way.
            Ok(()) if self.out.diagnostics.len() > before => Applied::Refused,
            Ok(()) => Applied::Yes,
            Err(Refusal::NotHere(why)) => Applied::No(why),
            Err(refusal) => {
                self.refuse(place, &refusal);
                Applied::Refused
            }
        }
    }

    fn refuse(&mut self, place: &Place, refusal: &Refusal) {
        let diagnostic = Diagnostic::warning(refusal.code(), refusal.to_string(), place.clone());
        self.out.diagnostics.push(diagnostic);
    }

    fn thing<'r: 'e>(&self, effect: &'r Effect) -> Option<Thing<'e>> {
        Some(match effect {
            Effect::Link { .. } => Thing::Links,
            Effect::Name(_) => Thing::Name,
            Effect::Owner(_) => Thing::Owner,
            Effect::Group(_) => Thing::Group,
            Effect::Mode(_) => Thing::Mode,
            Effect::Priority(_) => Thing::Priority,
            Effect::Property { key, .. } => Thing::Property(key.as_bstr()),
            Effect::Tag { op: ListOp::Add | ListOp::Remove, tag } => {
                Thing::Tag(Tag::new(&self.expand(tag).ok()?).ok()?)
            }
            Effect::Run { .. } | Effect::RunBuiltin { .. } => Thing::Run,
            Effect::Watch(_) => Thing::Watch,
            Effect::SecurityLabel { .. } => Thing::Labels,
            _ => return None,
        })
    }

    /// True when a rule before this one made the thing final; a rule never locks itself out.
    fn is_fixed(&self, thing: &Thing<'e>) -> bool {
        self.fixed.iter().any(|(fixed, by)| fixed == thing && *by != self.rule)
    }

    fn carry_out(&mut self, place: &Place, effect: &Effect) -> Result<(), Refusal> {
        let from = || place.clone();
        match effect {
            Effect::Link { op, names, split } => self.links(place, *op, names, *split),
            Effect::Name(name) => self.interface_name(place, name),
            Effect::Owner(Principal::Unknown(_)) => {
                self.out.owner = None;
                Err(Refusal::NotHere("this system has no such user: no rule says the owner now"))
            }
            Effect::Group(Principal::Unknown(_)) => {
                self.out.group = None;
                Err(Refusal::NotHere("this system has no such group: no rule says the group now"))
            }
            Effect::Owner(who) => {
                let value = self.account(who, H::user, Refusal::User)?;
                self.out.owner = Some(Given { value, from: from() });
                Ok(())
            }
            Effect::Group(who) => {
                let value = self.account(who, H::group, Refusal::Group)?;
                self.out.group = Some(Given { value, from: from() });
                Ok(())
            }
            Effect::Mode(mode) => {
                let value = self.mode(mode)?;
                self.out.mode = Some(Given { value, from: from() });
                Ok(())
            }
            Effect::Priority(_) if self.facts.devnum.is_none() => {
                Err(Refusal::NotHere("the device has no node to link to"))
            }
            Effect::Priority(value) => {
                self.out.priority = Some(Given { value: *value, from: from() });
                Ok(())
            }
            Effect::Property { key, value, append } => self.assign(place, key, value, *append),
            Effect::Tag { op, tag } => {
                let tag = self.expand(tag)?;
                self.tag(place, *op, tag)
            }
            Effect::WriteAttribute { name, value } => self.write_attribute(place, name, value),
            Effect::WriteSysctl { name, value } => self.write_sysctl(place, name, value),
            Effect::Run { op, command } => self.run_program(place, *op, command),
            Effect::RunBuiltin { op, builtin } => self.run_builtin(place, *op, builtin),
            Effect::Index { pool, by } => self.take_index(pool, by),
            Effect::Access(Access::ActiveUser) => self.give_access(place),
            Effect::Watch(value) => {
                self.out.watch = Some(Given { value: *value, from: from() });
                Ok(())
            }
            Effect::DbPersist => {
                self.out.persist = Some(from());
                Ok(())
            }
            Effect::LogLevel(level) => {
                self.out.log_level = *level;
                Ok(())
            }
            Effect::Dump(form) => {
                if !self.out.dump.contains(form) {
                    self.out.dump.push(*form);
                }
                Ok(())
            }
            Effect::StringEscape(escape) => {
                self.escape = Some(*escape);
                Ok(())
            }
            Effect::Start(unit) => self.start(place, unit),
            Effect::SecurityLabel { op, module, label } => self.label(place, *op, module, label),
            // Applied once at start, never by an event.
            Effect::StaticNode { .. } => Err(Refusal::NotHere("it is applied when the daemon starts")),
        }
    }

    fn links(&mut self, place: &Place, op: ListOp, names: &[Template], split: bool) -> Result<(), Refusal> {
        if self.facts.devnum.is_none() {
            return Err(Refusal::NotHere("the device has no node to link to"));
        }
        if op == ListOp::Set {
            self.out.links.clear();
            self.old_links.clear();
        }
        for template in names {
            // One name that can't be used leaves the others alone.
            match self.link_texts(template, split) {
                Ok(texts) => texts.iter().for_each(|text| self.link(place, op, text)),
                Err(refusal) => self.refuse(place, &refusal),
            }
        }
        Ok(())
    }

    /// The names that a template gives: in udev's manner several, between white space that the rule or a program wrote.
    fn link_texts(&self, template: &Template, split: bool) -> Result<Vec<BString>, Refusal> {
        let space = match (split, self.escape) {
            (_, Some(StringEscape::None)) => WhiteSpace::Keep,
            (true, _) => WhiteSpace::Collapse,
            (false, _) => WhiteSpace::CollapseAll,
        };
        let text = self.expand_with(template, space)?;
        let text = match self.escape {
            Some(StringEscape::None) => text,
            Some(StringEscape::Replace) => replace_unsafe(&text, SafeExtra::Slash),
            None if split => replace_unsafe(&text, SafeExtra::SlashSpace),
            None => replace_unsafe(&text, SafeExtra::Slash),
        };
        if split {
            return Ok(space::words(&text).map(without_dots).collect());
        }
        // An absent property in `by-path/$env{ID_PATH}` would leave the name of the directory.
        let name = text.strip_prefix(b"/").unwrap_or(&text);
        if name.split(|&b| b == b'/').any(<[u8]>::is_empty) {
            return Err(Refusal::EmptyPart(text));
        }
        Ok(vec![text])
    }

    fn link(&mut self, place: &Place, op: ListOp, text: &BString) {
        match LinkName::new(text) {
            Ok(name) if op == ListOp::Remove => {
                self.out.links.remove(&name);
                self.old_links.remove(&name);
            }
            Ok(name) if Some(name.as_bytes()) == self.facts.node.as_ref().map(|n| n.as_slice()) => {}
            // The first rule that asks for a link is the one to show.
            Ok(name) => drop(self.out.links.entry(name).or_insert_with(|| place.clone())),
            Err(error) => self.refuse(place, &Refusal::Link(text.clone(), error)),
        }
    }

    fn interface_name(&mut self, place: &Place, name: &Template) -> Result<(), Refusal> {
        if self.facts.ifindex.is_none() {
            return Err(Refusal::NotHere("the device is no network interface"));
        }
        let name = self.expand(name)?;
        let unsafe_byte = |b: &u8| !b.is_ascii_graphic() || matches!(b, b':' | b'/' | b'%');
        let value: BString = match self.escape {
            Some(StringEscape::None) => name,
            _ => name.iter().map(|b| if unsafe_byte(b) { b'_' } else { *b }).collect::<Vec<u8>>().into(),
        };
        let bad = value.is_empty() || value.len() > IFNAME_MAX || value == "." || value == "..";
        if bad || value.iter().any(unsafe_byte) {
            return Err(Refusal::Ifname(value));
        }
        self.out.name = Some(Given { value, from: place.clone() });
        Ok(())
    }

    fn account(
        &self,
        who: &Principal,
        look_up: fn(&H, &[u8]) -> Option<u32>,
        unknown: fn(BString) -> Refusal,
    ) -> Result<Account, Refusal> {
        match who {
            Principal::Id(id) => Ok(Account { id: *id, name: id.to_string().into() }),
            Principal::Named { name, id } => Ok(Account { id: *id, name: name.clone() }),
            Principal::Unknown(name) => Err(unknown(name.clone())),
            Principal::Template(template) => {
                let name = self.expand(template)?;
                match look_up(self.host, &name) {
                    Some(id) => Ok(Account { id, name }),
                    None => Err(unknown(name)),
                }
            }
        }
    }

    fn mode(&self, mode: &Mode) -> Result<u32, Refusal> {
        match mode {
            Mode::Bits(bits) => Ok(*bits),
            Mode::Template(template) => {
                let whole = self.expand(template)?;
                let text = space::trim_start(&whole);
                let octal = text.iter().all(|b| matches!(b, b'0'..=b'7'));
                let bits = text.to_str().ok().filter(|_| octal).and_then(|t| u32::from_str_radix(t, 8).ok());
                bits.filter(|bits| *bits <= 0o7777).ok_or(Refusal::Mode(whole))
            }
        }
    }

    fn assign(
        &mut self,
        place: &Place,
        key: &BString,
        value: &Template,
        append: bool,
    ) -> Result<(), Refusal> {
        // Nothing is joined where nothing is written; what is written and comes to nothing is joined, as udev does it.
        if append && value.text().is_empty() {
            return Ok(());
        }
        let limit = value.limit();
        let mut value = self.expand(value)?;
        if self.escape == Some(StringEscape::Replace) {
            value = replace_unsafe(&value, SafeExtra::None);
        }
        if append {
            let old = self.property_of_event(key).filter(|old| !old.is_empty());
            if let Some(old) = old {
                value = bstr::concat([old.as_bytes(), b" ", &value]).into();
            }
            if value.len() > limit.most() {
                return Err(ExpandError::TooLong(key.clone(), limit).into());
            }
        }
        if value.is_empty() {
            self.out.properties.remove(key);
            self.out.set.remove(key);
            return Ok(());
        }
        self.put(place, key, &value)?;
        Ok(())
    }

    /// What rules set first stands behind what the event came with.
    fn put(&mut self, place: &Place, key: &[u8], value: &[u8]) -> Result<(), PropertyError> {
        if self.out.set.contains_key(key.as_bstr()) {
            self.out.properties.set(key, value)?;
        } else {
            self.out.properties.set_last(key, value)?;
        }
        self.out.set.insert(key.into(), place.clone());
        Ok(())
    }

    /// Sets a property whose value comes from outside of the rules.
    pub(super) fn set_property(&mut self, place: &Place, key: &[u8], value: &[u8]) {
        if let Err(error) = self.put(place, key, value) {
            self.refuse(place, &error.into());
        }
    }

    fn tag(&mut self, place: &Place, op: ListOp, text: BString) -> Result<(), Refusal> {
        if op == ListOp::Set {
            self.old_tags.clear();
            let all = std::mem::take(&mut self.out.tags);
            self.out.tags =
                all.into_iter().filter(|(tag, _)| self.is_fixed(&Thing::Tag(tag.clone()))).collect();
            self.out.dropped_tags.clear();
            self.out.forgets_tags = true;
            if text.is_empty() {
                return Ok(());
            }
        }
        let tag = Tag::new(&text).map_err(|error| Refusal::Tag(text, error))?;
        if op == ListOp::Remove {
            self.old_tags.remove(&tag);
            if self.out.tags.remove(&tag).is_some() {
                self.out.dropped_tags.insert(tag);
            }
        } else {
            self.out.dropped_tags.remove(&tag);
            self.out.tags.entry(tag).or_insert_with(|| place.clone());
        }
        Ok(())
    }

    fn start(&mut self, place: &Place, unit: &Template) -> Result<(), Refusal> {
        let unit = self.expand(unit)?;
        if unit.is_empty() || unit.iter().any(|b| b.is_ascii_whitespace() || b.is_ascii_control()) {
            return Err(Refusal::Unit(unit));
        }
        let wants = match self.out.properties.get(SYSTEMD_WANTS) {
            Some(old) if old.split(|b| *b == b' ').any(|word| word == unit) => old.into(),
            Some(old) if !old.is_empty() => bstr::concat([old.as_bytes(), b" ", &unit]).into(),
            _ => unit,
        };
        self.set_property(place, SYSTEMD_WANTS, &wants);
        self.tag(place, ListOp::Add, TAG_SYSTEMD.into())
    }

    fn write_attribute(
        &mut self,
        place: &Place,
        name: &Prepared<Owner>,
        value: &Template,
    ) -> Result<(), Refusal> {
        let (text, value) = (self.expand(name)?, self.expand(value)?);
        let owner = name.ready().map_or_else(|| Cow::Owned(Owner::prepare(&text)), Cow::Borrowed);
        let (device, name) = match &*owner {
            Owner::Other(of) => (self.host.find(&of.subsystem, &of.kernel), of.name.clone()),
            Owner::Itself if self.facts.action == Action::Remove => {
                return Err(Refusal::NotHere("a device that goes has no attributes to write to"));
            }
            Owner::Itself => (self.facts.device.clone(), text),
        };
        let device = device.ok_or(Refusal::NotHere("the device to write to is not there"))?;
        let done = self.host.write_attribute(&device, &name, &value);
        let target = Target::Attribute { devpath: device.devpath(), name: name.clone() };
        self.written(place, target, value, name, done)
    }

    fn write_sysctl(
        &mut self,
        place: &Place,
        name: &Prepared<SysctlPath>,
        value: &Template,
    ) -> Result<(), Refusal> {
        let name = match name.ready() {
            Some(path) => path.0.clone(),
            None => sysctl_path(&self.expand(name)?),
        };
        let value = self.expand(value)?;
        let done = self.host.write_sysctl(&name, &value);
        self.written(place, Target::Sysctl(name.clone()), value, name, done)
    }

    fn written(
        &mut self,
        place: &Place,
        target: Target,
        value: BString,
        name: BString,
        done: Result<(), HostError>,
    ) -> Result<(), Refusal> {
        let failure = done.as_ref().err().map(ToString::to_string);
        self.out.writes.push(Write { target, value, failure, from: place.clone() });
        done.map_err(|error| Refusal::Write(name, error))
    }

    fn run_program(&mut self, place: &Place, op: ListOp, command: &Command) -> Result<(), Refusal> {
        let argv = self.argv(command)?;
        let named = argv.first().is_some_and(|program| !program.is_empty());
        // In udev's rules `RUN=""` is how the list is cleared.
        if !named && op != ListOp::Set {
            return Err(Refusal::EmptyCommand);
        }
        self.run(place, op, named.then_some(Job::Program(argv)));
        Ok(())
    }

    fn run_builtin(&mut self, place: &Place, op: ListOp, builtin: &Builtin) -> Result<(), Refusal> {
        let arguments = self.argv(&builtin.arguments)?;
        self.run(place, op, Some(Job::Builtin { name: builtin.name.clone(), arguments }));
        Ok(())
    }

    /// The tag is for logind, which gives the device to another user when another session comes to the front; the builtin
    /// is for now, and needs no rule of udev's that looks at the tag.
    fn give_access(&mut self, place: &Place) -> Result<(), Refusal> {
        self.tag(place, ListOp::Add, TAG_UACCESS.into())?;
        let job = Job::Builtin { name: BUILTIN_UACCESS.into(), arguments: Vec::new() };
        self.run(place, ListOp::Add, Some(job));
        Ok(())
    }

    fn run(&mut self, place: &Place, op: ListOp, job: Option<Job>) {
        if op == ListOp::Set {
            self.out.run.clear();
        }
        let Some(job) = job else { return };
        if op == ListOp::Remove {
            self.out.run.retain(|given| given.value != job);
        } else {
            self.out.run.push(Given { value: job, from: place.clone() });
        }
    }

    fn take_index(&mut self, pool: &str, by: &Template) -> Result<(), Refusal> {
        let identity = self.expand(by)?;
        if identity.is_empty() {
            return Err(Refusal::NoIdentity(pool.into()));
        }
        let number = self.host.index(pool, &identity);
        self.index = Some(number.value);
        match number.lost {
            None => Ok(()),
            Some(error) => Err(Refusal::IndexLost(number.value, pool.into(), error)),
        }
    }

    fn label(&mut self, place: &Place, op: ListOp, module: &str, label: &Template) -> Result<(), Refusal> {
        let value = self.expand(label)?;
        match op {
            ListOp::Set => self.out.labels.clear(),
            ListOp::Remove => self.out.labels.retain(|(m, given)| m != module || given.value != value),
            ListOp::Add => {}
        }
        if op != ListOp::Remove && !value.is_empty() {
            self.out.labels.push((module.into(), Given { value, from: place.clone() }));
        }
        Ok(())
    }
}

/// A path without its `.` components, as udev takes links; one of nothing else stays.
fn without_dots(path: &[u8]) -> BString {
    let parts: Vec<&[u8]> = path.split(|b| *b == b'/').filter(|part| *part != b".").collect();
    if parts.iter().all(|part| part.is_empty()) { path.into() } else { bstr::join("/", parts).into() }
}
