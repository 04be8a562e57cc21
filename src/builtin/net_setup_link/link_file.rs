//! Owns one `.link` file with its drop-ins as values: what has to match, and what is asked for.
//!
//! Parses bytes; what is wrong with a line is said with its place and costs that line alone. Reading files is `load.rs`'s.

use std::path::PathBuf;
use std::sync::Arc;

use bstr::{BString, ByteSlice};

use super::ini::{Item, items};
use super::keys;
use super::matching::Match;
use crate::builtin::interface::{Count, FlowControl, LinkMode, Password, Processors, VirtualFunction};
use crate::diag::{Diagnostic, SourceFile};

/// What is said of a key that nobody knows.
pub(super) const UNKNOWN: &str = "no such key";

/// Where a name comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Policy {
    Kernel,
    Keep,
    Database,
    Onboard,
    Slot,
    Path,
    Mac,
}

/// How the address is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum AddressPolicy {
    /// The one that is given, or none.
    #[default]
    None,
    Persistent,
    Random,
}

/// Where the password of a secure magic packet is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum WakePassword {
    Plain(Password),
    /// In a file, or what a socket says.
    At(PathBuf),
}

/// `[Link]`. `None`, or an empty list: not asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Wanted {
    pub(super) properties: Vec<(BString, BString)>,
    pub(super) imported: Vec<BString>,
    pub(super) unset: Vec<BString>,
    pub(super) alias: Option<BString>,
    pub(super) address_policy: AddressPolicy,
    pub(super) address: Option<Vec<u8>>,
    pub(super) name_policy: Vec<Policy>,
    pub(super) name: Option<BString>,
    pub(super) alternative_policy: Vec<Policy>,
    pub(super) alternative_names: Vec<BString>,
    pub(super) transmit_queues: Option<u32>,
    pub(super) receive_queues: Option<u32>,
    pub(super) queue_length: Option<u32>,
    pub(super) mtu: Option<u32>,
    pub(super) segmented_max: Option<u32>,
    pub(super) segments_max: Option<u32>,
    pub(super) mode: LinkMode,
    pub(super) wake: Option<u32>,
    pub(super) wake_password: Option<WakePassword>,
    /// Features of the card by their names for ethtool.
    pub(super) offloads: Vec<(&'static str, bool)>,
    pub(super) channels: [Option<Count>; 4],
    pub(super) rings: [Option<Count>; 4],
    pub(super) flow: FlowControl,
    pub(super) coalesce: Vec<(usize, u32)>,
    pub(super) processors: Option<Processors>,
    pub(super) functions: Option<u32>,
}

/// A `.link` file and its drop-ins.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct LinkFile {
    pub(super) file: PathBuf,
    pub(super) drop_ins: Vec<PathBuf>,
    pub(super) matching: Match,
    pub(super) wanted: Wanted,
    pub(super) functions: Vec<VirtualFunction>,
}

/// Where assignments belong.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Section {
    Match,
    Link,
    VirtualFunction,
    /// One that nobody here knows; what stands in it is passed over.
    Other,
}

impl LinkFile {
    /// Takes what one file says over what earlier ones said. Returns what is wrong with it.
    pub(super) fn read(&mut self, source: &Arc<SourceFile>, text: &[u8]) -> Vec<Diagnostic> {
        let mut problems = Vec::new();
        let mut section = None;
        // numbers of virtual functions come with a key of their section
        let mut unnumbered: Option<VirtualFunction> = None;
        for item in items(text) {
            let (span, problem) = match item {
                Item::Section { name, span } => {
                    self.functions.extend(unnumbered.take().filter(|f| f.number != u32::MAX));
                    let (known, problem) = section_of(&name);
                    section = Some(known);
                    if known == Section::VirtualFunction {
                        unnumbered = Some(VirtualFunction { number: u32::MAX, ..VirtualFunction::default() });
                    }
                    (span, problem)
                }
                Item::Assignment { key, value, span } => {
                    // `X-` keys are other programs'
                    let problem = if key.starts_with(b"X-") {
                        None
                    } else {
                        self.assign(section, unnumbered.as_mut(), &key, &value)
                    };
                    (span, problem)
                }
                Item::Nonsense { span } => {
                    (span, Some(("link-line", "neither `[Section]` nor `Key=Value`: passed over".to_owned())))
                }
            };
            problems.extend(problem.map(|(code, text)| Diagnostic::warning(code, text, source.place(span))));
        }
        self.functions.extend(unnumbered.filter(|f| f.number != u32::MAX));
        problems
    }

    fn assign(
        &mut self,
        section: Option<Section>,
        function: Option<&mut VirtualFunction>,
        key: &[u8],
        value: &[u8],
    ) -> Option<(&'static str, String)> {
        let done = match (section, function) {
            (Some(Section::Match), _) => self.matching.assign(key, value),
            (Some(Section::Link), _) => keys::assign(&mut self.wanted, key, value),
            (Some(Section::VirtualFunction), Some(function)) => keys::assign_function(function, key, value),
            (Some(_), _) => Ok(()),
            (None, _) => Err("it stands before the first section".into()),
        };
        let key = key.as_bstr();
        match done {
            Ok(()) => None,
            Err(problem) if problem == UNKNOWN => {
                Some(("link-key", format!("no key `{key}` is known here: passed over")))
            }
            Err(problem) => Some(("link-value", format!("`{key}=` is passed over: {problem}"))),
        }
    }
}

fn section_of(name: &[u8]) -> (Section, Option<(&'static str, String)>) {
    match name {
        b"Match" => (Section::Match, None),
        b"Link" => (Section::Link, None),
        b"SR-IOV" => (Section::VirtualFunction, None),
        _ if name.starts_with(b"X-") => (Section::Other, None),
        _ => {
            let text =
                format!("no section `[{}]` is known: what stands in it is passed over", name.as_bstr());
            (Section::Other, Some(("link-section", text)))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn read(text: &str) -> (LinkFile, Vec<String>) {
        let mut file = LinkFile::default();
        let source = SourceFile::new(Path::new("10-x.link"), text.as_bytes());
        let problems = file.read(&source, text.as_bytes());
        (file, problems.iter().map(|p| format!("{} {}: {}", p.place.line, p.code, p.message)).collect())
    }

    #[test]
    fn problems_have_a_place_and_cost_a_line() {
        let (file, problems) = read(
            "Early=1\n[Match]\nOriginalName=*\nColour=red\n[Link]\nMTUBytes=x\nMTUBytes=1400\nnonsense\nX-Mine=1\n\
             [Other]\nA=b\n[X-Mine]\nA=b\n",
        );
        assert_eq!(file.wanted.mtu, Some(1400));
        assert_eq!(
            problems,
            [
                "1 link-value: `Early=` is passed over: it stands before the first section",
                "4 link-key: no key `Colour` is known here: passed over",
                "6 link-value: `MTUBytes=` is passed over: `x` is no size in bytes (as 1400 or 9K)",
                "8 link-line: neither `[Section]` nor `Key=Value`: passed over",
                "10 link-section: no section `[Other]` is known: what stands in it is passed over",
            ]
        );
    }

    #[test]
    fn later_files_come_over_earlier() {
        let (mut file, _) = read("[Link]\nMTUBytes=1400\nAlternativeName=a b\nName=x0\n");
        let text = b"[Link]\nMTUBytes=\nAlternativeName=c\n";
        assert!(file.read(&SourceFile::new(Path::new("d.conf"), text), text).is_empty());
        assert_eq!((file.wanted.mtu, file.wanted.name), (None, Some("x0".into())));
        assert_eq!(file.wanted.alternative_names, ["a", "b", "c"]);
    }

    #[test]
    fn virtual_functions() {
        let (file, problems) = read(
            "[SR-IOV]\nVirtualFunction=1\nVLANId=7\nTrust=yes\n[SR-IOV]\nTrust=no\n[SR-IOV]\nVirtualFunction=0\n\
             LinkState=auto\n",
        );
        assert_eq!(problems, [""; 0]);
        let shown: Vec<_> =
            file.functions.iter().map(|f| (f.number, f.vlan, f.trust, f.link_state)).collect();
        assert_eq!(shown, [(1, Some(7), Some(true), None), (0, None, None, Some(0))]);
    }

    proptest::proptest! {
        /// Whatever a file holds, its good lines count and the others are said, each at a place of the file.
        #[test]
        fn any_lines_are_read(
            keys in proptest::collection::vec("\\[(Match|Link|SR-IOV)\\]|(MTUBytes|NamePolicy|MACAddress|Property|VLANId|.{0,4})=.{0,12}", 0..20)
        ) {
            let text = format!("{}\n[Link]\nMTUBytes=1400\n", keys.join("\n").replace('\\', "/"));
            let mut file = LinkFile::default();
            let source = SourceFile::new(Path::new("x.link"), text.as_bytes());
            for problem in file.read(&source, text.as_bytes()) {
                proptest::prop_assert!(problem.place.span.end <= text.len());
            }
            proptest::prop_assert_eq!(file.wanted.mtu, Some(1400));
        }
    }
}
