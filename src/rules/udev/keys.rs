//! Owns the keys of udev's language: one table of what each takes, for the parser, the tests and the man page.

use super::lex::Operator;

/// A key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Key {
    /// `ACTION`
    Action,
    /// `DEVPATH`
    Devpath,
    /// `KERNEL`
    Kernel,
    /// `SYMLINK`
    Symlink,
    /// `NAME`
    Name,
    /// `ENV{…}`
    Env,
    /// `CONST{…}`
    Const,
    /// `TAG`
    Tag,
    /// `SUBSYSTEM`
    Subsystem,
    /// `DRIVER`
    Driver,
    /// `ATTR{…}`
    Attr,
    /// `SYSCTL{…}`
    Sysctl,
    /// `KERNELS`
    Kernels,
    /// `SUBSYSTEMS`
    Subsystems,
    /// `DRIVERS`
    Drivers,
    /// `ATTRS{…}`
    Attrs,
    /// `TAGS`
    Tags,
    /// `TEST`, `TEST{mode}`
    Test,
    /// `PROGRAM`
    Program,
    /// `IMPORT{…}`
    Import,
    /// `RESULT`
    Result,
    /// `OPTIONS`
    Options,
    /// `OWNER`
    Owner,
    /// `GROUP`
    Group,
    /// `MODE`
    Mode,
    /// `SECLABEL{…}`
    Seclabel,
    /// `RUN`, `RUN{program}`, `RUN{builtin}`
    Run,
    /// `GOTO`
    Goto,
    /// `LABEL`
    Label,
}

/// What stands in the braces behind a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Braces {
    /// No braces.
    None,
    /// A name of the author's choice.
    Name,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// An octal mode, or no braces.
    MaybeMode,
    /// One of these words, or no braces.
    MaybeOneOf(&'static [&'static str]),
}

/// What an operator means to a key that takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// What it says.
    Itself,
    /// The same as another one; nobody minds.
    SameAs(Operator),
    /// A mistake; it is read as another one, with a warning.
    Repaired(Operator),
}

/// What a key takes. An operator that is not listed costs the line.
#[derive(Debug, Clone, Copy)]
pub struct KeyInfo {
    /// The key as it is written.
    pub name: &'static str,
    /// The key.
    pub key: Key,
    /// What may stand in braces.
    pub braces: Braces,
    /// The operators and what they mean.
    pub operators: &'static [(Operator, Meaning)],
    /// `i"…"` may be compared with.
    pub fold: bool,
}

const ASKS: &[(Operator, Meaning)] =
    &[(Operator::Match, Meaning::Itself), (Operator::NoMatch, Meaning::Itself)];

/// The old way to write what acts as a condition.
const RUNS: &[(Operator, Meaning)] = &[
    (Operator::Match, Meaning::Itself),
    (Operator::NoMatch, Meaning::Itself),
    (Operator::Assign, Meaning::SameAs(Operator::Match)),
    (Operator::Add, Meaning::SameAs(Operator::Match)),
    (Operator::Final, Meaning::SameAs(Operator::Match)),
];

const LINKS: &[(Operator, Meaning)] = &[
    (Operator::Match, Meaning::Itself),
    (Operator::NoMatch, Meaning::Itself),
    (Operator::Assign, Meaning::Itself),
    (Operator::Add, Meaning::Itself),
    (Operator::Remove, Meaning::Itself),
    (Operator::Final, Meaning::Itself),
];

const NAMES: &[(Operator, Meaning)] = &[
    (Operator::Match, Meaning::Itself),
    (Operator::NoMatch, Meaning::Itself),
    (Operator::Assign, Meaning::Itself),
    (Operator::Final, Meaning::Itself),
    (Operator::Add, Meaning::Repaired(Operator::Assign)),
];

const PROPERTIES: &[(Operator, Meaning)] = &[
    (Operator::Match, Meaning::Itself),
    (Operator::NoMatch, Meaning::Itself),
    (Operator::Assign, Meaning::Itself),
    (Operator::Add, Meaning::Itself),
    (Operator::Final, Meaning::Repaired(Operator::Assign)),
];

const TAGS: &[(Operator, Meaning)] = &[
    (Operator::Match, Meaning::Itself),
    (Operator::NoMatch, Meaning::Itself),
    (Operator::Assign, Meaning::Itself),
    (Operator::Add, Meaning::Itself),
    (Operator::Remove, Meaning::Itself),
    (Operator::Final, Meaning::Repaired(Operator::Assign)),
];

const WRITES: &[(Operator, Meaning)] = &[
    (Operator::Match, Meaning::Itself),
    (Operator::NoMatch, Meaning::Itself),
    (Operator::Assign, Meaning::Itself),
    (Operator::Add, Meaning::Repaired(Operator::Assign)),
    (Operator::Final, Meaning::Repaired(Operator::Assign)),
];

const PERMISSIONS: &[(Operator, Meaning)] = &[
    (Operator::Assign, Meaning::Itself),
    (Operator::Final, Meaning::Itself),
    (Operator::Add, Meaning::Repaired(Operator::Assign)),
];

const LABELS: &[(Operator, Meaning)] = &[
    (Operator::Assign, Meaning::Itself),
    (Operator::Add, Meaning::Itself),
    (Operator::Final, Meaning::Repaired(Operator::Assign)),
];

const COMMANDS: &[(Operator, Meaning)] = &[
    (Operator::Assign, Meaning::Itself),
    (Operator::Add, Meaning::Itself),
    (Operator::Final, Meaning::Itself),
];

const JUMPS: &[(Operator, Meaning)] = &[(Operator::Assign, Meaning::Itself)];

/// The constants.
pub const CONSTANTS: &[&str] = &["arch", "virt", "cvm"];
/// What `IMPORT` takes from.
pub const IMPORTS: &[&str] = &["file", "program", "builtin", "db", "cmdline", "parent"];
/// What `RUN` runs.
pub const RUN_KINDS: &[&str] = &["program", "builtin"];

const fn info(
    name: &'static str,
    key: Key,
    braces: Braces,
    operators: &'static [(Operator, Meaning)],
    fold: bool,
) -> KeyInfo {
    KeyInfo { name, key, braces, operators, fold }
}

/// Every key.
pub const KEYS: &[KeyInfo] = &[
    info("ACTION", Key::Action, Braces::None, ASKS, true),
    info("DEVPATH", Key::Devpath, Braces::None, ASKS, true),
    info("KERNEL", Key::Kernel, Braces::None, ASKS, true),
    info("SYMLINK", Key::Symlink, Braces::None, LINKS, true),
    info("NAME", Key::Name, Braces::None, NAMES, true),
    info("ENV", Key::Env, Braces::Name, PROPERTIES, true),
    info("CONST", Key::Const, Braces::OneOf(CONSTANTS), ASKS, true),
    info("TAG", Key::Tag, Braces::None, TAGS, true),
    info("SUBSYSTEM", Key::Subsystem, Braces::None, ASKS, true),
    info("DRIVER", Key::Driver, Braces::None, ASKS, true),
    info("ATTR", Key::Attr, Braces::Name, WRITES, true),
    info("SYSCTL", Key::Sysctl, Braces::Name, WRITES, true),
    info("KERNELS", Key::Kernels, Braces::None, ASKS, true),
    info("SUBSYSTEMS", Key::Subsystems, Braces::None, ASKS, true),
    info("DRIVERS", Key::Drivers, Braces::None, ASKS, true),
    info("ATTRS", Key::Attrs, Braces::Name, ASKS, true),
    info("TAGS", Key::Tags, Braces::None, ASKS, true),
    info("TEST", Key::Test, Braces::MaybeMode, ASKS, false),
    info("PROGRAM", Key::Program, Braces::None, RUNS, false),
    info("IMPORT", Key::Import, Braces::OneOf(IMPORTS), RUNS, false),
    info("RESULT", Key::Result, Braces::None, ASKS, true),
    info("OPTIONS", Key::Options, Braces::None, COMMANDS, false),
    info("OWNER", Key::Owner, Braces::None, PERMISSIONS, false),
    info("GROUP", Key::Group, Braces::None, PERMISSIONS, false),
    info("MODE", Key::Mode, Braces::None, PERMISSIONS, false),
    info("SECLABEL", Key::Seclabel, Braces::Name, LABELS, false),
    info("RUN", Key::Run, Braces::MaybeOneOf(RUN_KINDS), COMMANDS, false),
    info("GOTO", Key::Goto, Braces::None, JUMPS, false),
    info("LABEL", Key::Label, Braces::None, JUMPS, false),
];

/// The key of that name; letters count as they are.
pub fn find(name: &[u8]) -> Option<&'static KeyInfo> {
    KEYS.iter().find(|info| info.name.as_bytes() == name)
}

/// udev's builtins (up to systemd 258), whether or not nameplate has them: a rule that names one is never refused.
pub const BUILTINS: &[&str] = &[
    "blkid",
    "btrfs",
    "dissect_image",
    "factory_reset",
    "hwdb",
    "input_id",
    "keyboard",
    "kmod",
    "net_driver",
    "net_id",
    "net_setup_link",
    "path_id",
    "uaccess",
    "usb_id",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_consistent() {
        for (at, info) in KEYS.iter().enumerate() {
            assert_eq!(KEYS.iter().position(|other| other.key == info.key), Some(at), "{}", info.name);
            assert_eq!(find(info.name.as_bytes()).map(|found| found.key), Some(info.key));
            let asks = info.operators.iter().any(|(op, _)| op.is_match());
            assert!(asks || !info.fold, "{}: nothing to compare", info.name);
            for (_, meaning) in info.operators {
                if let Meaning::SameAs(meant) | Meaning::Repaired(meant) = meaning {
                    assert!(info.operators.contains(&(*meant, Meaning::Itself)), "{}", info.name);
                }
            }
        }
        assert!(find(b"kernel").is_none());
        assert!(BUILTINS.is_sorted());
    }
}
