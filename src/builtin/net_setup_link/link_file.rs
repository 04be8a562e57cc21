//! Owns one `.link` file with its drop-ins as values: what has to match, and what is asked for.
//!
//! Parses bytes; what is wrong with a line is said with its place and costs that line alone. Reading files is `load.rs`'s.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use bstr::{BString, ByteSlice};

use super::ini::{Item, Nonsense, items};
use super::matching::{self, Match};
use super::values::Wrong;
use super::{keys, properties};
use crate::builtin::interface::{Count, FlowControl, LinkMode, Password, Processors, VirtualFunction};
use crate::diag::{Diagnostic, Place, SourceFile};
use crate::roots::Roots;
use crate::text::nearest;

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

/// One `[SR-IOV]`; its number comes with a key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Function {
    pub(super) number: Option<u32>,
    pub(super) wanted: VirtualFunction,
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
    pub(super) fn read(&mut self, source: &Arc<SourceFile>, text: &[u8], roots: &Roots) -> Vec<Diagnostic> {
        let mut problems = Vec::new();
        let mut section = None;
        // the section of a virtual function, and where it begins
        let mut function: Option<(Function, Range<usize>)> = None;
        for item in items(text) {
            if matches!(item, Item::Section { .. } | Item::Nonsense { why: Nonsense::Unclosed, .. }) {
                problems
                    .extend(function.take().and_then(|(function, span)| self.keep(function, source, span)));
            }
            let problem = match item {
                Item::Section { name, span } => {
                    let (known, problem) = section_of(&name, source, &span);
                    section = Some(known);
                    function = (known == Section::VirtualFunction).then(|| (Function::default(), span));
                    problem
                }
                Item::Assignment { key, value, span } => {
                    let function = function.as_mut().map(|(function, _)| function);
                    self.assign(section, function, &key, &value, roots)
                        .map(|(code, wrong)| wrong.at(code, source.place(span)))
                }
                Item::Nonsense { why, span } => {
                    if why == Nonsense::Unclosed {
                        section = Some(Section::Other);
                    }
                    Some(nonsense(why).at("link-line", source.place(span)))
                }
            };
            problems.extend(problem);
        }
        problems.extend(function.and_then(|(function, span)| self.keep(function, source, span)));
        problems
    }

    /// Takes a section of a virtual function; one with the same number before it is forgotten.
    fn keep(
        &mut self,
        function: Function,
        source: &Arc<SourceFile>,
        span: Range<usize>,
    ) -> Option<Diagnostic> {
        let Some(number) = function.number else {
            let wrong = Wrong::from("[SR-IOV] without VirtualFunction=: passed over")
                .hint("say which one is meant, as VirtualFunction=0");
            return Some(wrong.at("link-section", source.place(span)));
        };
        let before = self.functions.len();
        self.functions.retain(|other| other.number != number);
        let forgotten = self.functions.len() < before;
        self.functions.push(VirtualFunction { number, ..function.wanted });
        let wrong =
            || Wrong::from(format!("the earlier [SR-IOV] for VirtualFunction={number} is passed over"));
        forgotten.then(|| wrong().hint("one section for each number").at("link-section", source.place(span)))
    }

    fn assign(
        &mut self,
        section: Option<Section>,
        function: Option<&mut Function>,
        key: &[u8],
        value: &[u8],
        roots: &Roots,
    ) -> Option<(&'static str, Wrong)> {
        let done = match (section, function) {
            (Some(Section::Match), _) => self.matching.assign(key, value),
            (Some(Section::Link), _) => properties::assign(&mut self.wanted, key, value, roots)
                .or_else(|| keys::assign(&mut self.wanted, key, value)),
            (Some(Section::VirtualFunction), Some(function)) => keys::assign_function(function, key, value),
            (Some(_), _) => Some(Ok(())),
            (None, _) => Some(Err(Wrong::from("it stands before the first section"))),
        };
        match done {
            Some(Ok(())) => None,
            Some(Err(wrong)) => {
                let message = format!("`{}=`: {}; passed over", key.as_bstr(), wrong.message);
                Some(("link-value", Wrong { message, ..wrong }))
            }
            // other programs'
            None if key.starts_with(b"X-") => None,
            None => Some(("link-key", unknown(section, key))),
        }
    }
}

impl Wrong {
    fn at(self, code: &'static str, place: Place) -> Diagnostic {
        Diagnostic { hint: self.hint, ..Diagnostic::warning(code, self.message, place) }
    }
}

/// What to say of a key that the section does not have.
fn unknown(section: Option<Section>, key: &[u8]) -> Wrong {
    let of_link = || keys::of_link().chain(["Property", "ImportProperty", "UnsetProperty"]);
    let sections: [(Section, &str, Vec<&str>); 3] = [
        (Section::Match, "Match", matching::KEYS.to_vec()),
        (Section::Link, "Link", of_link().collect()),
        (Section::VirtualFunction, "SR-IOV", keys::of_functions().collect()),
    ];
    let text = key.to_str_lossy();
    let message = format!("no key `{text}` is known here: passed over");
    let elsewhere = sections.iter().find(|(_, _, keys)| keys.contains(&&*text));
    let here = sections.iter().find(|(one, _, _)| Some(*one) == section);
    let meant = || nearest(&text, here?.2.iter().copied());
    let hint = match elsewhere {
        Some((_, name, _)) => Some(format!("it belongs to [{name}]")),
        None => meant().map(|meant| format!("write `{meant}=`")),
    };
    Wrong { message, hint }
}

fn nonsense(why: Nonsense) -> Wrong {
    match why {
        Nonsense::Unclosed => {
            Wrong::from("a section without its `]`: what stands in it is passed over").hint("write `[Link]`")
        }
        Nonsense::NoAssignment => Wrong::from("neither `[Section]` nor `Key=Value`: passed over"),
        Nonsense::NoKey => Wrong::from("no key in front of the `=`: passed over"),
        Nonsense::NotUtf8 => Wrong::from("the line is not UTF-8: passed over"),
    }
}

fn section_of(name: &[u8], source: &Arc<SourceFile>, span: &Range<usize>) -> (Section, Option<Diagnostic>) {
    match name {
        b"Match" => (Section::Match, None),
        b"Link" => (Section::Link, None),
        b"SR-IOV" => (Section::VirtualFunction, None),
        _ if name.starts_with(b"X-") => (Section::Other, None),
        _ => {
            let text = name.to_str_lossy();
            let message = format!("no section `[{text}]` is known: what stands in it is passed over");
            let hint = nearest(text.trim(), ["Match", "Link", "SR-IOV"].into_iter());
            let wrong = Wrong { message, hint: hint.map(|meant| format!("write `[{meant}]`")) };
            (Section::Other, Some(wrong.at("link-section", source.place(span.clone()))))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn nowhere() -> Roots {
        Roots::below(Path::new("/nowhere"))
    }

    fn read(text: &str) -> (LinkFile, Vec<String>) {
        let mut file = LinkFile::default();
        let source = SourceFile::new(Path::new("10-x.link"), text.as_bytes());
        let problems = file.read(&source, text.as_bytes(), &nowhere());
        let shown = |p: &Diagnostic| {
            let hint = p.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
            format!("{} {}: {}{hint}", p.place.line, p.code, p.message)
        };
        (file, problems.iter().map(shown).collect())
    }

    #[test]
    fn problems_have_a_place_and_cost_a_line() {
        let (file, problems) = read(
            "Early=1\n[Match]\nOriginalName=*\nColour=red\n[Link]\nMTUBytes=x\nMTUBytes=1400\nnonsense\nX-Mine=1\n\
             [Other]\nA=b\n[X-Mine]\nA=b\n[Lnk]\nMTUBytes=1\n[Link]\nMtuByte=1\nDriver=x\n=1\n[Link\nMTUBytes=1\n\
             [Link]\nProperty=A=%Z B=1\n",
        );
        assert_eq!(file.wanted.mtu, Some(1400));
        assert_eq!(file.wanted.properties, [("B".into(), "1".into())]);
        assert_eq!(
            problems,
            [
                "1 link-value: `Early=`: it stands before the first section; passed over",
                "4 link-key: no key `Colour` is known here: passed over",
                "6 link-value: `MTUBytes=`: `x` is no number of bytes; passed over (write it as `1400` or `9K` (K, M, G: \
                 times 1024))",
                "8 link-line: neither `[Section]` nor `Key=Value`: passed over",
                "10 link-section: no section `[Other]` is known: what stands in it is passed over",
                "14 link-section: no section `[Lnk]` is known: what stands in it is passed over (write `[Link]`)",
                "17 link-key: no key `MtuByte` is known here: passed over (write `MTUBytes=`)",
                "18 link-key: no key `Driver` is known here: passed over (it belongs to [Match])",
                "19 link-line: no key in front of the `=`: passed over",
                "20 link-line: a section without its `]`: what stands in it is passed over (write `[Link]`)",
                "23 link-value: `Property=`: `%Z` is unknown here; passed over (write a percent sign as `%%`)",
            ]
        );
    }

    #[test]
    fn later_files_come_over_earlier() {
        let (mut file, _) = read("[Link]\nMTUBytes=1400\nAlternativeName=a b\nName=x0\n");
        let text = b"[Link]\nMTUBytes=\nAlternativeName=c\n";
        assert!(file.read(&SourceFile::new(Path::new("d.conf"), text), text, &nowhere()).is_empty());
        assert_eq!((file.wanted.mtu, file.wanted.name), (None, Some("x0".into())));
        assert_eq!(file.wanted.alternative_names, ["a", "b", "c"]);
    }

    #[test]
    fn virtual_functions() {
        let (file, problems) = read(
            "[SR-IOV]\nVirtualFunction=1\nVLANId=7\nTrust=yes\n[SR-IOV]\nTrust=no\n[SR-IOV]\nVirtualFunction=0\n\
             LinkState=auto\n[SR-IOV]\nVirtualFunction=1\nVLANId=8\n",
        );
        assert_eq!(
            problems,
            [
                "5 link-section: [SR-IOV] without VirtualFunction=: passed over (say which one is meant, as VirtualFunction=0)",
                "10 link-section: the earlier [SR-IOV] for VirtualFunction=1 is passed over (one section for each number)",
            ]
        );
        let shown: Vec<_> =
            file.functions.iter().map(|f| (f.number, f.vlan, f.trust, f.link_state)).collect();
        assert_eq!(shown, [(0, None, None, Some(0)), (1, Some(8), None, None)]);
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
            for problem in file.read(&source, text.as_bytes(), &nowhere()) {
                proptest::prop_assert!(problem.place.span.end <= text.len());
            }
            proptest::prop_assert_eq!(file.wanted.mtu, Some(1400));
        }
    }
}
