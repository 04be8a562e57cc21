//! Owns what can be worked out of a text when rules are loaded, so that no event does it again: the words of a command
//! line, the path of a sysctl.
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
