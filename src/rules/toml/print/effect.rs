//! Owns how effects are printed: which stand under one key, and as what.

use bstr::ByteSlice;

use super::condition::{builtin, command};
use super::text::{in_list, key, one_or_list, said, string, template, utf8};
use super::{Entries, Said};
use crate::diag::Place;
use crate::rules::ir::{Access, Dump, Effect, LOG_LEVELS, ListOp, Mode, Principal, StringEscape};
use crate::rules::toml::LABEL_KEYS;
use crate::rules::toml::effect::final_key;

pub(super) type Chooser = fn(&Effect) -> bool;
pub(super) type Printer = fn(&[&Effect]) -> Said<Entries>;

/// Which effects stand under one key, and how: in the order in which they are carried out.
pub(super) const EFFECTS: &[(Chooser, Printer)] = &[
    (|effect| matches!(effect, Effect::Index { .. }), |all| last(all, "index", index)),
    (|effect| matches!(effect, Effect::Property { .. }), properties),
    (|effect| matches!(effect, Effect::Name(_)), |all| last(all, "name", name)),
    (|effect| matches!(effect, Effect::Tag { .. }), tags),
    (|effect| matches!(effect, Effect::Owner(_)), |all| last(all, "owner", account)),
    (|effect| matches!(effect, Effect::Group(_)), |all| last(all, "group", account)),
    (|effect| matches!(effect, Effect::Mode(_)), |all| last(all, "mode", mode)),
    (|effect| matches!(effect, Effect::SecurityLabel { .. }), labels),
    (|effect| matches!(effect, Effect::Link { .. }), links),
    (|effect| matches!(effect, Effect::Priority(_)), |all| last(all, "priority", number)),
    (|effect| matches!(effect, Effect::WriteAttribute { .. }), writes),
    (|effect| matches!(effect, Effect::WriteSysctl { .. }), writes),
    (
        |effect| matches!(effect, Effect::Access(Access::ActiveUser)),
        |_| Ok(vec![("access".into(), string("active-user"))]),
    ),
    (|effect| matches!(effect, Effect::Watch(_)), |all| last(all, "watch", watch)),
    (is_option, options),
    (|effect| matches!(effect, Effect::StaticNode { .. }), static_nodes),
    (|effect| matches!(effect, Effect::RunBuiltin { .. }), builtins),
    (|effect| matches!(effect, Effect::Run { .. }), programs),
    (|effect| matches!(effect, Effect::Start(_)), units),
];

/// A key that stands once.
fn last(all: &[&Effect], key: &str, print: fn(&Effect) -> Said) -> Said<Entries> {
    match all {
        [one] => Ok(vec![(key.into(), print(one)?)]),
        _ => Err(format!("`{key}` given twice by one rule")),
    }
}

fn wrong<T>() -> Said<T> {
    Err("an effect of another key".into())
}

fn index(effect: &Effect) -> Said {
    let Effect::Index { pool, by } = effect else { return wrong() };
    Ok(format!("{{ by = {}, pool = {} }}", template(by)?, string(pool)))
}

fn name(effect: &Effect) -> Said {
    if let Effect::Name(name) = effect { template(name) } else { wrong() }
}

fn account(effect: &Effect) -> Said {
    match effect {
        Effect::Owner(Principal::Id(id)) | Effect::Group(Principal::Id(id)) => Ok(id.to_string()),
        Effect::Owner(Principal::Named { name, .. } | Principal::Unknown(name))
        | Effect::Group(Principal::Named { name, .. } | Principal::Unknown(name)) => {
            let name = utf8(name.as_bstr())?;
            if name.is_empty() || name.contains(['$', '%']) || name.bytes().all(|b| b.is_ascii_digit()) {
                return Err(format!("the account `{name}`"));
            }
            Ok(string(name))
        }
        Effect::Owner(Principal::Template(who)) | Effect::Group(Principal::Template(who)) => template(who),
        _ => wrong(),
    }
}

fn mode(effect: &Effect) -> Said {
    match effect {
        Effect::Mode(Mode::Bits(bits)) => Ok(format!("\"{bits:04o}\"")),
        Effect::Mode(Mode::Template(mode)) if mode.constant().is_some() => {
            Err(format!("the mode `{}`", mode.text()))
        }
        Effect::Mode(Mode::Template(mode)) => template(mode),
        _ => wrong(),
    }
}

fn number(effect: &Effect) -> Said {
    if let Effect::Priority(number) = effect { Ok(number.to_string()) } else { wrong() }
}

fn watch(effect: &Effect) -> Said {
    if let Effect::Watch(yes) = effect { Ok(yes.to_string()) } else { wrong() }
}

fn properties(all: &[&Effect]) -> Said<Entries> {
    let mut out: Vec<(String, Vec<(bool, String)>)> = Vec::new();
    for effect in all {
        let Effect::Property { key: name, value, append } = effect else { return wrong() };
        let name = key(utf8(name.as_bstr())?);
        let value = (*append, template(value)?);
        match out.iter_mut().find(|(seen, _)| *seen == name) {
            Some((_, values)) => values.push(value),
            None => out.push((name, vec![value])),
        }
    }
    let one = |(name, values): (String, Vec<(bool, String)>)| {
        let value = match &values[..] {
            [(false, value)] => value.clone(),
            _ => {
                let (set, appended): (Vec<_>, Vec<_>) = values.iter().partition(|(append, _)| !append);
                let appended: Vec<String> = appended.into_iter().map(|(_, value)| value.clone()).collect();
                match (&set[..], values.first()) {
                    ([], _) => format!("{{ append = {} }}", one_or_list(&appended)),
                    ([(_, value)], Some((false, _))) => {
                        format!("{{ set = {value}, append = {} }}", one_or_list(&appended))
                    }
                    _ => return Err(format!("the property `{name}` set twice by one rule")),
                }
            }
        };
        Ok((format!("property.{name}"), value))
    };
    out.into_iter().map(one).collect()
}

/// A list as it is changed: a plain value where things are only added.
fn list(
    key: &str,
    changes: Vec<(ListOp, String)>,
    plain: fn(&[String]) -> String,
    more: &str,
) -> Said<Entries> {
    let mut groups: Vec<(ListOp, Vec<String>)> = Vec::new();
    for (op, value) in changes {
        match groups.last_mut().filter(|(last, _)| *last == op && op != ListOp::Set) {
            Some((_, values)) => values.push(value),
            None => groups.push((op, vec![value])),
        }
    }
    if let [(ListOp::Add, values)] = &groups[..]
        && more.is_empty()
    {
        return Ok(vec![(key.into(), plain(values))]);
    }
    let word = |op: ListOp| match op {
        ListOp::Set => "set",
        ListOp::Add => "add",
        ListOp::Remove => "remove",
    };
    let mut parts: Vec<String> = Vec::new();
    for (at, (op, values)) in groups.iter().enumerate() {
        if groups.iter().take(at).any(|(seen, _)| seen == op) {
            return Err(format!("the list of `{key}` changed to and fro by one rule"));
        }
        parts.push(format!("{} = {}", word(*op), plain(values)));
    }
    parts.extend((!more.is_empty()).then(|| more.to_owned()));
    Ok(vec![(key.into(), format!("{{ {} }}", parts.join(", ")))])
}

fn tags(all: &[&Effect]) -> Said<Entries> {
    let one = |effect: &&Effect| {
        if let Effect::Tag { op, tag } = effect { Ok((*op, template(tag)?)) } else { wrong() }
    };
    list("tag", all.iter().map(one).collect::<Said<_>>()?, one_or_list, "")
}

fn links(all: &[&Effect]) -> Said<Entries> {
    let mut changes = Vec::new();
    let mut words = None;
    for effect in all {
        let Effect::Link { op, names, split } = effect else { return wrong() };
        if words.replace(*split).is_some_and(|words| words != *split) {
            return Err("some links split at white space and some not".into());
        }
        let names = names.iter().map(template).collect::<Said<Vec<_>>>()?;
        if *op == ListOp::Set {
            // Several names of one step take the place of what was there together.
            changes.push((*op, one_or_list(&names)));
        } else {
            changes.extend(names.into_iter().map(|name| (*op, name)));
        }
    }
    list("link", changes, one_or_list, if words == Some(true) { "words = true" } else { "" })
}

fn writes(all: &[&Effect]) -> Said<Entries> {
    let mut out: Entries = Vec::new();
    for effect in all {
        let (group, name, value) = match effect {
            Effect::WriteAttribute { name, value } => ("attr", &**name, value),
            Effect::WriteSysctl { name, value } => ("sysctl", &**name, value),
            _ => return wrong(),
        };
        let name = format!("write.{group}.{}", key(said(name)?));
        if out.iter().any(|(seen, _)| *seen == name) {
            return Err(format!("`{name}` given twice by one rule"));
        }
        out.push((name, template(value)?));
    }
    Ok(out)
}

fn is_option(effect: &Effect) -> bool {
    matches!(effect, Effect::StringEscape(_) | Effect::DbPersist | Effect::LogLevel(_) | Effect::Dump(_))
}

fn options(all: &[&Effect]) -> Said<Entries> {
    let one = |effect: &&Effect| match effect {
        Effect::StringEscape(StringEscape::None) => Ok(string("string_escape=none")),
        Effect::StringEscape(StringEscape::Replace) => Ok(string("string_escape=replace")),
        Effect::DbPersist => Ok(string("db_persist")),
        Effect::Dump(Dump::Text) => Ok(string("dump")),
        Effect::Dump(Dump::Json) => Ok(string("dump-json")),
        Effect::LogLevel(None) => Ok(string("log_level=reset")),
        Effect::LogLevel(Some(level)) => {
            let word = LOG_LEVELS.iter().find(|(_, number)| number == level).map(|(word, _)| *word);
            word.map_or_else(wrong, |word| Ok(string(&format!("log_level={word}"))))
        }
        _ => wrong(),
    };
    Ok(vec![("options".into(), one_or_list(&all.iter().map(one).collect::<Said<Vec<_>>>()?))])
}

fn static_nodes(all: &[&Effect]) -> Said<Entries> {
    let one = |effect: &&Effect| match effect {
        Effect::StaticNode { node, .. } => Ok(string(utf8(node.as_bstr())?)),
        _ => wrong(),
    };
    Ok(vec![("static_node".into(), one_or_list(&all.iter().map(one).collect::<Said<Vec<_>>>()?))])
}

fn labels(all: &[&Effect]) -> Said<Entries> {
    let mut modules: Vec<&str> = Vec::new();
    for effect in all {
        let Effect::SecurityLabel { module, .. } = effect else { return wrong() };
        if !LABEL_KEYS.contains(&module.as_str()) {
            return Err(format!("the security module `{module}`"));
        }
        if !modules.contains(&module.as_str()) {
            modules.push(module);
        }
    }
    let mut out = Vec::new();
    for wanted in modules {
        let of_module = all.iter().filter_map(|effect| match effect {
            Effect::SecurityLabel { op, module, label } if module == wanted => {
                Some(template(label).map(|label| (*op, label)))
            }
            _ => None,
        });
        let key = format!("seclabel.{wanted}");
        let changes: Vec<(ListOp, String)> = of_module.collect::<Said<_>>()?;
        if changes.iter().filter(|(op, _)| *op == ListOp::Add).count() > 1 {
            return Err(format!("`{key}` given twice by one rule"));
        }
        out.extend(list(&key, changes, one_or_list, "")?);
    }
    Ok(out)
}

fn builtins(all: &[&Effect]) -> Said<Entries> {
    let one = |effect: &&Effect| match effect {
        Effect::RunBuiltin { op, builtin: call } => Ok((*op, builtin(call)?)),
        _ => wrong(),
    };
    list("builtin", all.iter().map(one).collect::<Said<_>>()?, one_or_list, "")
}

fn programs(all: &[&Effect]) -> Said<Entries> {
    let one = |effect: &&Effect| match effect {
        Effect::Run { op, command: program } => Ok((*op, command(program)?)),
        _ => wrong(),
    };
    list("run", all.iter().map(one).collect::<Said<_>>()?, in_list, "")
}

fn units(all: &[&Effect]) -> Said<Entries> {
    let one = |effect: &&Effect| if let Effect::Start(unit) = effect { template(unit) } else { wrong() };
    Ok(vec![("start".into(), one_or_list(&all.iter().map(one).collect::<Said<Vec<_>>>()?))])
}

/// `final`, with the keys of all effects that are.
pub(super) fn finals(effects: &[(&Place, &Effect, bool)]) -> Said<Entries> {
    let mut keys: Vec<&str> = Vec::new();
    for (_, effect, _) in effects.iter().filter(|(_, _, fixed)| *fixed) {
        let key = final_key(effect).ok_or("something final that can't be")?;
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    let open = effects
        .iter()
        .find(|(_, effect, fixed)| !fixed && final_key(effect).is_some_and(|key| keys.contains(&key)));
    if let Some((_, effect, _)) = open {
        return Err(format!("`{}` final in part", final_key(effect).unwrap_or_default()));
    }
    let keys: Vec<String> = keys.into_iter().map(string).collect();
    Ok(if keys.is_empty() { Vec::new() } else { vec![("final".into(), in_list(&keys))] })
}
