//! Owns what rules say of nodes that are there before their devices (`OPTIONS+="static_node=…"`, TOML's `static_node`).
//!
//! Only what is known when the rules are read counts: a static node has no event that could be asked. Never touches a node.

use bstr::BString;

use super::ir::{Effect, Mode, Principal, RuleFile, Step, StepKind};
use crate::diag::Place;
use crate::ids::Tag;

/// What one rule gives a static node. What is `None` stays as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaticNode {
    /// The node, relative to the device directory, as written.
    pub name: BString,
    /// User id.
    pub owner: Option<u32>,
    /// Group id.
    pub group: Option<u32>,
    /// Permissions; with a group and no word on them, what udev gives: read and write for both.
    pub mode: Option<u32>,
    /// Tags under which `/run/udev/static_node-tags` names the node.
    pub tags: Vec<Tag>,
    /// The rule.
    pub from: Place,
}

/// The static nodes of rule files, in order.
pub fn static_nodes<'a>(files: impl IntoIterator<Item = &'a RuleFile>) -> Vec<StaticNode> {
    files.into_iter().flat_map(|file| &file.rules).flat_map(|rule| of_rule(&rule.steps)).collect()
}

fn of_rule(steps: &[Step]) -> Vec<StaticNode> {
    let effects = || {
        steps.iter().filter_map(|step| match &step.kind {
            StepKind::Do { effect, .. } => Some((effect, &step.place)),
            _ => None,
        })
    };
    let nodes = effects().filter_map(|(effect, place)| match effect {
        Effect::StaticNode { node, tags } => Some((node, tags, place)),
        _ => None,
    });
    let (mut owner, mut group, mut mode) = (None, None, None);
    for (effect, _) in effects() {
        match effect {
            Effect::Owner(principal) => owner = id(principal).or(owner),
            Effect::Group(principal) => group = id(principal).or(group),
            Effect::Mode(Mode::Bits(bits)) => mode = Some(*bits),
            _ => {}
        }
    }
    let mode = mode.or(group.filter(|&group| group != 0).map(|_| 0o660));
    nodes
        .map(|(name, tags, from)| StaticNode {
            name: name.clone(),
            owner,
            group,
            mode,
            tags: tags.clone(),
            from: from.clone(),
        })
        .collect()
}

fn id(principal: &Principal) -> Option<u32> {
    match principal {
        Principal::Id(id) | Principal::Named { id, .. } => Some(*id),
        Principal::Template(_) | Principal::Unknown(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::diag::SourceFile;
    use crate::rules::toml::{AccountFiles, Known};
    use crate::rules::udev;

    #[test]
    fn what_is_known_at_load_counts() {
        let accounts = AccountFiles::parse("root:x:0:0::\ntom:x:7:7::\n", "kvm:x:99:\nroot:x:0:\n");
        let cases: &[(&str, &str)] = &[
            (r#"KERNEL=="kvm", GROUP="kvm", MODE="0666", OPTIONS+="static_node=kvm""#, "kvm - 99 666 "),
            (r#"KERNEL=="x", GROUP="kvm", OPTIONS+="static_node=net/tun""#, "net/tun - 99 660 "),
            (r#"KERNEL=="x", OWNER="tom", OPTIONS+="static_node=fuse""#, "fuse 7 - - "),
            (r#"KERNEL=="x", GROUP="root", OPTIONS+="static_node=fuse""#, "fuse - 0 - "),
            (r#"KERNEL=="x", TAG+="uaccess", OPTIONS+="static_node=snd/seq""#, "snd/seq - - - uaccess"),
            (r#"KERNEL=="x", GROUP="$env{G}", OPTIONS+="static_node=fuse""#, "fuse - - - "),
            (r#"KERNEL=="x", MODE="0666""#, ""),
        ];
        for (line, expected) in cases {
            let source = SourceFile::new(Path::new("x.rules"), line.as_bytes());
            let parsed = udev::parse(&source, line.as_bytes(), &Known { accounts: &accounts, builtins: &[] });
            let file = RuleFile { source, rules: parsed.rules };
            let show = |n: &StaticNode| {
                let number = |n: Option<u32>| n.map_or("-".into(), |n| n.to_string());
                let mode = n.mode.map_or("-".into(), |mode| format!("{mode:o}"));
                let tags: Vec<&str> = n.tags.iter().map(Tag::as_str).collect();
                format!("{} {} {} {mode} {}", n.name, number(n.owner), number(n.group), tags.join(","))
            };
            let found: Vec<String> = static_nodes([&file]).iter().map(show).collect();
            assert_eq!(found.join("; "), *expected, "{line}");
        }
    }
}
