//! Owns what can be worked out of a text when rules are loaded, so that no event does it again: the words of a command
//! line, the path of a sysctl, whose attribute a name means.
//!
//! A text with substitutions is worked out in the event, when its value is known.

use std::ops::Deref;

use bstr::{BString, ByteSlice};

use super::template::Template;
use crate::text::split_command;

/// Text with substitutions, and what is made of it if it has none.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Prepared<T> {
    template: Template,
    ready: Option<T>,
}

/// What can be made of a text without knowing an event.
pub trait Prepare: Sized {
    /// Works it out.
    fn prepare(text: &[u8]) -> Self;
}

impl<T: Prepare> From<Template> for Prepared<T> {
    fn from(template: Template) -> Self {
        let text = template.constant().filter(|text| text.len() <= template.limit().most());
        let ready = text.map(|text| T::prepare(text));
        Self { template, ready }
    }
}

impl<T> Deref for Prepared<T> {
    type Target = Template;

    fn deref(&self) -> &Template {
        &self.template
    }
}

impl<T: Prepare> Prepared<T> {
    /// What was made of it; `None` if that takes an event.
    pub fn ready(&self) -> Option<&T> {
        self.ready.as_ref()
    }

    /// Changes the text.
    pub fn change<E>(&mut self, change: impl FnOnce(&mut Template) -> Result<(), E>) -> Result<(), E> {
        let mut template = self.template.clone();
        change(&mut template)?;
        *self = template.into();
        Ok(())
    }
}

/// The words of a command line.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Words(pub Box<[BString]>);

impl Prepare for Words {
    fn prepare(text: &[u8]) -> Self {
        Self(split_command(text).into())
    }
}

/// A path below `/proc/sys`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SysctlPath(pub BString);

impl Prepare for SysctlPath {
    fn prepare(text: &[u8]) -> Self {
        Self(sysctl_path(text))
    }
}

/// Whose attribute or file a name means.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Owner {
    /// The device's own: the name is a path from its directory, or from the root.
    Itself,
    /// That of another device: `[subsystem/kernel]name`.
    Other(Box<OfOther>),
}

/// An attribute or a file of another device.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OfOther {
    /// The other device's subsystem.
    pub subsystem: BString,
    /// Its kernel name.
    pub kernel: BString,
    /// The path from its directory; empty for the directory itself.
    pub name: BString,
}

impl Prepare for Owner {
    fn prepare(text: &[u8]) -> Self {
        let parts = text.strip_prefix(b"[").and_then(|rest| {
            let (subsystem, rest) = rest.split_once_str(b"/")?;
            let (kernel, name) = rest.split_once_str(b"]")?;
            Some((subsystem, kernel, name.strip_prefix(b"/").unwrap_or(name)))
        });
        match parts {
            None => Self::Itself,
            Some((subsystem, kernel, name)) => Self::Other(Box::new(OfOther {
                subsystem: subsystem.into(),
                kernel: kernel.into(),
                name: name.into(),
            })),
        }
    }
}

/// `net.ipv4.ip_forward` as the path below `/proc/sys`. As in sysctl(8), what comes first is the separator: if that is
/// `.`, then `/` stands for a dot in a name.
pub fn sysctl_path(name: &[u8]) -> BString {
    match name.find_byteset(b"./").and_then(|at| name.get(at)) {
        Some(b'.') => name
            .iter()
            .map(|byte| match byte {
                b'.' => b'/',
                b'/' => b'.',
                other => *other,
            })
            .collect::<Vec<u8>>()
            .into(),
        _ => name.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::template::Limit;

    #[test]
    fn sysctls() {
        for (given, expected) in [
            ("kernel.hostname", "kernel/hostname"),
            ("kernel/hostname", "kernel/hostname"),
            ("net.ipv4.conf.eth0/1.forwarding", "net/ipv4/conf/eth0.1/forwarding"),
            ("net/ipv4/conf/eth0.1/forwarding", "net/ipv4/conf/eth0.1/forwarding"),
        ] {
            assert_eq!(sysctl_path(given.as_bytes()), expected, "{given}");
        }
    }

    #[test]
    fn names_of_other_devices() {
        let other = |text: &str| match Owner::prepare(text.as_bytes()) {
            Owner::Itself => String::new(),
            Owner::Other(of) => format!("{} {} {}", of.subsystem, of.kernel, of.name),
        };
        for (text, expected) in [
            ("[net/lo]mtu", "net lo mtu"),
            ("[dmi/id]/sys_vendor", "dmi id sys_vendor"),
            ("[drivers/pci:a/b]x", "drivers pci:a/b x"),
            ("[net/lo]", "net lo "),
            ("mtu", ""),
            ("[net]x", ""),
            ("[net/lo", ""),
            ("a[b/c]d", ""),
        ] {
            assert_eq!(other(text), expected, "{text}");
        }
    }

    #[test]
    fn ready_without_an_event() {
        let line =
            |text: &str, limit| Prepared::<Words>::from(Template::parse(text.as_bytes()).0.within(limit));
        let words = line("/bin/a 'b c' 100%%", Limit::Line);
        assert_eq!(words.ready().unwrap().0[..], ["/bin/a", "b c", "100%"].map(BString::from));
        assert_eq!(words.text(), "/bin/a 'b c' 100%%");
        assert_eq!(line("/bin/a $kernel", Limit::Line).ready(), None);
        assert_eq!(line(&"x".repeat(512), Limit::Value).ready(), None);
        let name = Prepared::<SysctlPath>::from(Template::literal(b"kernel.hostname"));
        assert_eq!(name.ready().unwrap().0, "kernel/hostname");
    }
}
