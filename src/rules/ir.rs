//! Owns the one form that both rule languages become: a rule is a list of steps, run in order; the first condition that
//! fails ends the rule. Nothing here is text that has to be parsed during an event.
//!
//! Never evaluates anything (that is `eval`) and never reads a file (that is `load`).

use std::sync::Arc;

use bstr::BString;

use super::prepared::{Owner, Prepared, SysctlPath, Words};
use super::template::Template;
use crate::diag::{Place, SourceFile};
use crate::ids::Tag;
use crate::text::Pattern;
use crate::text::c_integer;

/// A rule file in force.
#[derive(Debug)]
pub struct RuleFile {
    /// Path and text, as read.
    pub source: Arc<SourceFile>,
    /// The rules that were understood, in the order of the file.
    pub rules: Vec<Rule>,
}

/// One rule: a `[[rule]]` of TOML or a line of `.rules`.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Where it begins.
    pub place: Place,
    /// What its author called it.
    pub about: Option<String>,
    /// What it does, in order of evaluation.
    pub steps: Vec<Step>,
    /// Where the file goes on if all steps were run (`GOTO`).
    pub jump: Option<Jump>,
}

/// A jump over the rules that follow.
#[derive(Debug, Clone, PartialEq)]
pub struct Jump {
    /// The key's place.
    pub place: Place,
    /// The rule that is next: its number in the file, from 0; behind the last one if there is none. Always later than
    /// the rule that jumps.
    pub to: usize,
}

/// One step of a rule, with the place of the key that it came from.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// The key's place.
    pub place: Place,
    /// Condition or effect.
    pub kind: StepKind,
}

/// What a step is.
#[derive(Debug, Clone, PartialEq)]
pub enum StepKind {
    /// Goes on only if the device of the event meets the condition.
    When(Condition),
    /// Goes on only if one device on the way up, the event's own first, meets all conditions; that device is the
    /// matched parent of the following steps.
    Parent(Vec<(Place, Condition)>),
    /// Changes the outcome. `fixed` forbids later rules to change the same thing (`:=` in udev, `final` in TOML).
    Do {
        /// The change.
        effect: Effect,
        /// Later rules can't change it.
        fixed: bool,
    },
}

/// A question with a yes or a no.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Condition {
    /// What is looked at.
    pub subject: Subject,
    /// What it has to be.
    pub test: Test,
}

/// What a condition looks at.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Subject {
    /// The kernel's name (`KERNEL`, `KERNELS`).
    Kernel,
    /// The subsystem.
    Subsystem,
    /// The driver's name.
    Driver,
    /// `DEVTYPE` of the uevent.
    Devtype,
    /// The devpath.
    Devpath,
    /// The action of the event.
    Action,
    /// Any of the current tags.
    Tag,
    /// The name given by an earlier rule to a network interface.
    Name,
    /// Any of the links given so far.
    Link,
    /// A sysfs attribute, `[subsystem/kernel]name` included; absent fails every test but `Exists(false)`.
    Attribute(Prepared<Owner>),
    /// A property, absent is empty.
    Property(BString),
    /// A value below `/proc/sys`.
    Sysctl(Prepared<SysctlPath>),
    /// A constant of the system.
    Const(ConstKey),
    /// A file: tested with [`Test::Exists`] or [`Test::Mode`].
    File(Prepared<Owner>),
    /// A program's success; its output becomes `$result`.
    Program(Command),
    /// The output of the last program.
    Result,
    /// Properties taken from somewhere; true when that worked.
    Import(Import),
}

/// A constant of the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConstKey {
    /// Machine architecture, as `uname(2)` has it in systemd's words (`x86-64`, `arm64`).
    Arch,
    /// Virtualisation, `none` if there is none.
    Virt,
    /// Confidential virtualisation.
    Cvm,
}

/// What a subject has to be.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Test {
    /// Matches the pattern.
    Is(Pattern),
    /// Does not match the pattern.
    IsNot(Pattern),
    /// Is there (and, for programs and imports: succeeds), or is not.
    Exists(bool),
    /// Is a decimal number (or hexadecimal with `0x`) within the bounds, both included.
    Range(Box<Bounds>),
    /// A file that has any of these mode bits.
    Mode(u32),
    /// No file, or one that has none of these mode bits.
    NoMode(u32),
}

/// The bounds of a range; what is not there is not bounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Bounds {
    /// Lowest value.
    pub min: Option<i128>,
    /// Highest value.
    pub max: Option<i128>,
}

/// Where properties are taken from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Import {
    /// `KEY=VALUE` lines of a program's output.
    Program(Command),
    /// A builtin, run in the daemon.
    Builtin(Box<Builtin>),
    /// `KEY=VALUE` lines of a file.
    File(Template),
    /// One property of the device's last record.
    Db(Template),
    /// A key of the kernel's command line.
    CommandLine(Template),
    /// The properties of the parent device whose names match.
    Parent(Pattern),
    /// The same with a pattern that holds substitutions (one glob, without alternatives).
    ParentNamed(Template),
}

/// A builtin with its arguments.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Builtin {
    /// The builtin's name, known at load.
    pub name: String,
    /// Arguments after the name.
    pub arguments: Command,
}

/// Words to run something with; never through a shell.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Command {
    /// An argument vector, each argument expanded by itself (TOML).
    Argv(Vec<Template>),
    /// One line, expanded and then split at white space with quotes (udev).
    Line(Prepared<Words>),
}

/// How a list is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListOp {
    /// What was there goes.
    Set,
    /// Added to what is there.
    Add,
    /// Taken out.
    Remove,
}

/// A user or a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// A number, as written.
    Id(u32),
    /// A name that was resolved at load.
    Named {
        /// The name, as written.
        name: BString,
        /// What it stands for.
        id: u32,
    },
    /// A name that this system has not: it takes back what earlier rules said (udev).
    Unknown(BString),
    /// Resolved at the event: it holds substitutions.
    Template(Template),
}

/// Permission bits.
#[derive(Debug, Clone, PartialEq)]
pub enum Mode {
    /// Known at load, 0 to 0o7777.
    Bits(u32),
    /// Read as octal at the event: it holds substitutions.
    Template(Template),
}

/// What a rule changes in the outcome of an event.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Links below the device directory.
    Link {
        /// How the list is changed.
        op: ListOp,
        /// One link each; in a rule of udev's one template may give several, split at white space.
        names: Vec<Template>,
        /// True for udev's splitting at white space.
        split: bool,
    },
    /// The name of a network interface.
    Name(Template),
    /// The node's owner.
    Owner(Principal),
    /// The node's group.
    Group(Principal),
    /// The node's permissions.
    Mode(Mode),
    /// The priority of the device's links: the highest wins a name.
    Priority(i32),
    /// A property; an empty value takes it away.
    Property {
        /// Its name; `.NAME` is not kept after the event.
        key: BString,
        /// Its value.
        value: Template,
        /// Joined to the old value with a space, instead of in its place.
        append: bool,
    },
    /// A tag.
    Tag {
        /// How the set is changed.
        op: ListOp,
        /// The tag; checked after expansion.
        tag: Template,
    },
    /// A value written to a sysfs attribute of the device (or `[subsystem/kernel]name`).
    WriteAttribute {
        /// The attribute.
        name: Prepared<Owner>,
        /// What is written, without a newline.
        value: Template,
    },
    /// A value written below `/proc/sys`.
    WriteSysctl {
        /// The name, with `.` or `/`.
        name: Prepared<SysctlPath>,
        /// What is written.
        value: Template,
    },
    /// A program for the time after links and record exist.
    Run {
        /// How the list is changed.
        op: ListOp,
        /// The program.
        command: Command,
    },
    /// A builtin for the same time.
    RunBuiltin {
        /// How the list is changed.
        op: ListOp,
        /// The builtin.
        builtin: Builtin,
    },
    /// A number for `$index`: the same for the same identity, for ever.
    Index {
        /// The pool that numbers are taken from.
        pool: String,
        /// Who the device is.
        by: Template,
    },
    /// Who may open the node.
    Access(Access),
    /// A `change` event after each writer has closed the node (or not).
    Watch(bool),
    /// The record outlives the clean-up between initramfs and root file system.
    DbPersist,
    /// How much is logged for the rest of the event, as syslog counts (0 to 7); `None` is as configured.
    LogLevel(Option<u8>),
    /// What the event comes to is logged.
    Dump(Dump),
    /// How white space and odd bytes in links are treated by the rest of this rule (udev).
    StringEscape(StringEscape),
    /// A unit that systemd starts when the device is there.
    Start(Template),
    /// A security label: module and label.
    SecurityLabel {
        /// How the list is changed.
        op: ListOp,
        /// `selinux` or `smack`.
        module: String,
        /// The label.
        label: Template,
    },
    /// Permissions for a node that exists before its device: applied once at start.
    StaticNode {
        /// The node, relative to the device directory.
        node: BString,
        /// Tags of the same rule.
        tags: Vec<Tag>,
    },
}

/// Who may open a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// The user of the seat's active session (udev's tag `uaccess`).
    ActiveUser,
}

/// A form in which an event is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dump {
    /// For people.
    Text,
    /// One line of JSON.
    Json,
}

/// udev's `OPTIONS="string_escape="`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StringEscape {
    /// Nothing is replaced.
    None,
    /// Spaces and slashes too.
    Replace,
}

/// The words of `log_level`, and the numbers that they stand for.
pub const LOG_LEVELS: [(&str, u8); 8] = [
    ("emerg", 0),
    ("alert", 1),
    ("crit", 2),
    ("err", 3),
    ("warning", 4),
    ("notice", 5),
    ("info", 6),
    ("debug", 7),
];

/// Reads the value of `log_level`: a word or a number of [`LOG_LEVELS`], or `reset`, which is `None`.
pub fn log_level(text: &[u8]) -> Option<Option<u8>> {
    if text == b"reset" {
        return Some(None);
    }
    let named = LOG_LEVELS.iter().find(|(word, _)| word.as_bytes() == text).map(|(_, level)| *level);
    let number = || c_integer(text).and_then(|level| u8::try_from(level).ok()).filter(|level| *level <= 7);
    named.or_else(number).map(Some)
}
