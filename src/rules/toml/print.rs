//! Owns the way back: a rule as the text of a `[[rule]]`. Reading what was printed gives the same rule, if its steps are
//! in the order of this language.
//!
//! What the language can't say is named with its place, never left out. Comments are the caller's.

use std::fmt::Write as _;

use bstr::{BStr, ByteSlice};

use super::effect::final_key;
use crate::diag::Place;
use crate::rules::ir::{
    Access, Builtin, Command, Condition, ConstKey, Effect, Import, ListOp, Mode, Principal, Rule, Step,
    StepKind, StringEscape, Subject, Test,
};
use crate::rules::template::Template;
use crate::rules::udev::Unsayable;
use crate::text::{Case, Pattern, check_glob};

/// A line may be this long before a table is taken apart.
const WIDTH: usize = 110;

type Said<T = String> = Result<T, String>;

/// Keys and values.
type Entries = Vec<(String, String)>;

/// The text of a rule, from `[[rule]]` to the end of its last line.
pub fn print_rule(rule: &Rule) -> Result<String, Vec<Unsayable>> {
    let mut failed = Vec::new();
    let mut out: Entries = rule.about.iter().map(|about| ("about".into(), string(about))).collect();
    if let Some(jump) = &rule.jump {
        failed.push(Unsayable { what: "a jump".into(), place: jump.place.clone() });
    }
    let mut keep = |place: &Place, read: Said<Entries>| match read {
        Ok(entries) => out.extend(entries),
        Err(what) => failed.push(Unsayable { what, place: place.clone() }),
    };
    let plain: Vec<(&Place, &Condition)> = rule.steps.iter().filter_map(plain).collect();
    keep(&rule.place, table("match", &plain));
    let parents: Vec<&Vec<(Place, Condition)>> = rule.steps.iter().filter_map(parent).collect();
    keep(&rule.place, self::parents(&parents));
    keep(&rule.place, self::runs(&rule.steps));
    let effects: Vec<(&Place, &Effect, bool)> = rule.steps.iter().filter_map(effect).collect();
    for (keys, print) in EFFECTS {
        let of_key: Vec<&Effect> =
            effects.iter().filter(|(_, effect, _)| keys(effect)).map(|(_, e, _)| *e).collect();
        if !of_key.is_empty() {
            let place = effects.iter().find(|(_, effect, _)| keys(effect)).map(|(place, ..)| *place);
            keep(place.unwrap_or(&rule.place), print(&of_key));
        }
    }
    keep(&rule.place, finals(&effects));
    for (place, effect, _) in &effects {
        if !EFFECTS.iter().any(|(keys, _)| keys(effect)) {
            let what = format!("this effect, {effect:?}");
            failed.push(Unsayable { what, place: (*place).clone() });
        }
    }
    if failed.is_empty() { Ok(lines("[[rule]]", &out)) } else { Err(failed) }
}

/// The text of `[file]` with conditions that every rule needs.
pub fn print_file(conditions: &[(Place, Condition)]) -> Result<String, Vec<Unsayable>> {
    let all: Vec<_> = conditions.iter().map(|(place, condition)| (place, condition)).collect();
    match (table("match", &all), conditions.first()) {
        (Ok(entries), _) => Ok(lines("[file]", &entries)),
        (Err(what), Some((place, _))) => Err(vec![Unsayable { what, place: place.clone() }]),
        (Err(_), None) => Ok(String::new()),
    }
}

fn lines(header: &str, entries: &Entries) -> String {
    let short = |key: &str| key.len() <= 8 && !key.contains('.');
    let width = entries.iter().filter(|(key, _)| short(key)).map(|(key, _)| key.len()).max().unwrap_or(0);
    let mut out = format!("{header}\n");
    for (key, value) in entries {
        let width = if short(key) { width } else { 0 };
        let _infallible = writeln!(out, "{key:<width$} = {value}");
    }
    out
}

fn plain(step: &Step) -> Option<(&Place, &Condition)> {
    match &step.kind {
        StepKind::When(Condition {
            subject: Subject::Program(_) | Subject::Import(_) | Subject::Result,
            ..
        }) => None,
        StepKind::When(condition) => Some((&step.place, condition)),
        _ => None,
    }
}

fn parent(step: &Step) -> Option<&Vec<(Place, Condition)>> {
    if let StepKind::Parent(group) = &step.kind { Some(group) } else { None }
}

fn effect(step: &Step) -> Option<(&Place, &Effect, bool)> {
    match &step.kind {
        StepKind::Do { effect, fixed } => Some((&step.place, effect, *fixed)),
        _ => None,
    }
}

/// A table of conditions: on one line, or if that is too long, one line for each.
fn table(name: &str, conditions: &[(&Place, &Condition)]) -> Said<Entries> {
    let entries = self::conditions(conditions)?;
    let inline = inline(&entries);
    Ok(match &entries[..] {
        [] => Vec::new(),
        _ if name.len() + inline.len() <= WIDTH => vec![(name.into(), inline)],
        _ => entries.into_iter().map(|(key, value)| (format!("{name}.{key}"), value)).collect(),
    })
}

fn inline(entries: &Entries) -> String {
    let all: Vec<String> = entries.iter().map(|(key, value)| format!("{key} = {value}")).collect();
    format!("{{ {} }}", all.join(", "))
}

fn parents(groups: &[&Vec<(Place, Condition)>]) -> Said<Entries> {
    let pairs = |group: &&Vec<(Place, Condition)>| -> Said<Entries> {
        conditions(&group.iter().map(|(place, condition)| (place, condition)).collect::<Vec<_>>())
    };
    match groups {
        [] => Ok(Vec::new()),
        [one] => {
            table("parent", &one.iter().map(|(place, condition)| (place, condition)).collect::<Vec<_>>())
        }
        _ => {
            let all = groups.iter().map(|group| Ok(inline(&pairs(group)?))).collect::<Said<Vec<_>>>()?;
            Ok(vec![("parent".into(), format!("[{}]", all.join(", ")))])
        }
    }
}

/// Conditions by what they look at, each once.
fn conditions(all: &[(&Place, &Condition)]) -> Said<Entries> {
    let mut subjects: Vec<&Subject> = Vec::new();
    for (_, condition) in all {
        let file = matches!(condition.subject, Subject::File(_));
        let known =
            |seen: &&Subject| **seen == condition.subject || (file && matches!(seen, Subject::File(_)));
        if !subjects.iter().any(known) {
            subjects.push(&condition.subject);
        }
    }
    let mut out = Vec::new();
    for subject in subjects {
        if matches!(subject, Subject::File(_)) {
            let files: Vec<String> =
                all.iter().filter_map(|(_, condition)| file(condition)).collect::<Said<_>>()?;
            out.push(("test".into(), one_or_list(&files)));
            continue;
        }
        let tests: Vec<&Test> =
            all.iter().filter(|(_, c)| c.subject == *subject).map(|(_, c)| &c.test).collect();
        out.push((subject_key(subject)?, self::tests(&tests)?));
    }
    Ok(out)
}

fn file(condition: &Condition) -> Option<Said> {
    let Subject::File(path) = &condition.subject else { return None };
    let said = template(path).and_then(|path| {
        Ok(match condition.test {
            Test::Exists(true) => path,
            Test::Exists(false) => format!("{{ not = {path} }}"),
            Test::Mode(bits) => format!("{{ path = {path}, mode = \"{bits:04o}\" }}"),
            Test::NoMode(bits) => format!("{{ not = {path}, mode = \"{bits:04o}\" }}"),
            _ => return Err("what a file is compared with".into()),
        })
    });
    Some(said)
}

fn subject_key(subject: &Subject) -> Said {
    Ok(match subject {
        Subject::Kernel => "kernel".into(),
        Subject::Subsystem => "subsystem".into(),
        Subject::Driver => "driver".into(),
        Subject::Devtype => "devtype".into(),
        Subject::Devpath => "devpath".into(),
        Subject::Action => "action".into(),
        Subject::Tag => "tag".into(),
        Subject::Name => "name".into(),
        Subject::Link => "link".into(),
        Subject::Attribute(name) => format!("attr.{}", key(said(name)?)),
        Subject::Property(name) => format!("property.{}", key(utf8(name.as_bstr())?)),
        Subject::Sysctl(name) => format!("sysctl.{}", key(said(name)?)),
        Subject::Const(ConstKey::Arch) => "const.arch".into(),
        Subject::Const(ConstKey::Virt) => "const.virt".into(),
        Subject::Const(ConstKey::Cvm) => "const.cvm".into(),
        Subject::Result => "result".into(),
        Subject::File(_) | Subject::Program(_) | Subject::Import(_) => return Err("this condition".into()),
    })
}

/// The tests that one value is put to.
fn tests(tests: &[&Test]) -> Said {
    if let [Test::Is(pattern)] = tests
        && pattern.case() == Case::Sensitive
    {
        return self::pattern(pattern);
    }
    let mut case = None;
    let mut patterns = |pattern: &Pattern| {
        if case.replace(pattern.case()).is_some_and(|case| case != pattern.case()) {
            return Err("letters of either case in one test of a value and not in another".to_owned());
        }
        self::pattern(pattern)
    };
    let (mut is, mut not, mut more) = (Vec::new(), Vec::new(), Vec::new());
    for test in tests {
        match test {
            Test::Is(pattern) => is.push(patterns(pattern)?),
            Test::IsNot(pattern) => not.push(patterns(pattern)?),
            Test::Exists(yes) => more.push(format!("exists = {yes}")),
            Test::Range { min, max } => {
                more.extend(min.map(|min| format!("min = {min}")));
                more.extend(max.map(|max| format!("max = {max}")));
            }
            Test::Mode(_) | Test::NoMode(_) => return Err("a mode of something that is no file".into()),
        }
    }
    let mut parts = match &is[..] {
        [] => Vec::new(),
        [one] => vec![format!("is = {one}")],
        _ => vec![format!("all = [{}]", is.join(", "))],
    };
    match &not[..] {
        [] => {}
        [one] => parts.push(format!("not = {one}")),
        _ => return Err("two patterns that a value must not match".into()),
    }
    parts.extend(more);
    parts.extend((case == Some(Case::Fold)).then(|| "ignore_case = true".to_owned()));
    Ok(format!("{{ {} }}", parts.join(", ")))
}

fn pattern(pattern: &Pattern) -> Said {
    let text = utf8(pattern.text())?;
    if Pattern::new(text.as_bytes(), pattern.case()) != *pattern {
        return Err(format!("the pattern `{text}`"));
    }
    match check_glob(text.as_bytes()) {
        Ok(()) => Ok(string(text)),
        Err(error) => Err(format!("the pattern `{text}`: {error}")),
    }
}

/// `program`, `import` and `result`.
fn runs(steps: &[Step]) -> Said<Entries> {
    let (mut programs, mut imports, mut results) = (Vec::new(), Vec::new(), Vec::new());
    for step in steps {
        let StepKind::When(Condition { subject, test }) = &step.kind else { continue };
        let worked = |value: String| match test {
            Test::Exists(true) => Ok(value),
            Test::Exists(false) => Ok(format!("{{ not = {value} }}")),
            _ => Err("what a program or an import is compared with".to_owned()),
        };
        match subject {
            Subject::Program(program) => programs.push(worked(command(program)?)?),
            Subject::Import(source) => imports.push(worked(format!("{{ {} }}", import(source)?))?),
            Subject::Result => results.push(test),
            _ => {}
        }
    }
    let mut out = Vec::new();
    if !programs.is_empty() {
        out.push(("program".into(), one_or_list(&programs)));
    }
    if !imports.is_empty() {
        out.push(("import".into(), one_or_list(&imports)));
    }
    if !results.is_empty() {
        out.push(("result".into(), tests(&results)?));
    }
    Ok(out)
}

fn import(source: &Import) -> Said {
    Ok(match source {
        Import::Program(program) => format!("program = {}", command(program)?),
        Import::Builtin(call) => format!("builtin = {}", builtin(call)?),
        Import::File(path) => format!("file = {}", template(path)?),
        Import::Db(key) => format!("db = {}", template(key)?),
        Import::CommandLine(key) => format!("cmdline = {}", template(key)?),
        Import::ParentNamed(names) => format!("parent = {}", template(names)?),
        Import::Parent(names) => {
            let text = utf8(names.text())?;
            let glob = Pattern::single(text.as_bytes(), Case::Sensitive);
            if glob != *names || check_glob(text.as_bytes()).is_err() || text.contains(['$', '%']) {
                return Err(format!("the pattern `{text}`"));
            }
            format!("parent = {}", string(text))
        }
    })
}

fn command(command: &Command) -> Said {
    match command {
        Command::Argv(words) => {
            Ok(format!("[{}]", words.iter().map(template).collect::<Said<Vec<_>>>()?.join(", ")))
        }
        Command::Line(line) => Ok(format!("{{ line = {} }}", template(line)?)),
    }
}

fn builtin(builtin: &Builtin) -> Said {
    let name = &builtin.name;
    match &builtin.arguments {
        Command::Argv(words) => {
            let mut text = name.clone();
            for word in words {
                let word = said(word)?;
                if word.is_empty() || word.contains(char::is_whitespace) {
                    return Err(format!("white space in an argument of a builtin, `{word}`"));
                }
                text.push(' ');
                text.push_str(word);
            }
            Ok(string(&text))
        }
        Command::Line(line) => Ok(format!("{{ line = {} }}", string(&format!("{name} {}", said(line)?)))),
    }
}

type Chooser = fn(&Effect) -> bool;
type Printer = fn(&[&Effect]) -> Said<Entries>;

/// Which effects stand under one key, and how: in the order in which they are carried out.
const EFFECTS: &[(Chooser, Printer)] = &[
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
    (|effect| matches!(effect, Effect::StringEscape(_) | Effect::DbPersist), options),
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
        Effect::Owner(Principal::Named { name, .. }) | Effect::Group(Principal::Named { name, .. }) => {
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
            Effect::WriteAttribute { name, value } => ("attr", name, value),
            Effect::WriteSysctl { name, value } => ("sysctl", name, value),
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

fn options(all: &[&Effect]) -> Said<Entries> {
    let one = |effect: &&Effect| match effect {
        Effect::StringEscape(StringEscape::None) => Ok(string("string_escape=none")),
        Effect::StringEscape(StringEscape::Replace) => Ok(string("string_escape=replace")),
        Effect::DbPersist => Ok(string("db_persist")),
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
        if !super::LABEL_KEYS.contains(&module.as_str()) {
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
fn finals(effects: &[(&Place, &Effect, bool)]) -> Said<Entries> {
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

fn one_or_list(values: &[String]) -> String {
    match values {
        [one] => one.clone(),
        _ => in_list(values),
    }
}

fn in_list(values: &[String]) -> String {
    format!("[{}]", values.join(", "))
}

fn utf8(text: &BStr) -> Said<&str> {
    text.to_str().map_err(|_| format!("bytes that are no UTF-8, `{text}`"))
}

/// The text of a template, if it is read as the same here.
fn said(template: &Template) -> Said<&str> {
    let text = utf8(template.text())?;
    match Template::parse(text.as_bytes()) {
        (read, errors) if errors.is_empty() && read == *template => Ok(text),
        _ => Err(format!("the text `{text}`")),
    }
}

fn template(template: &Template) -> Said {
    said(template).map(string)
}

/// A key: bare where that is possible.
fn key(name: &str) -> String {
    let bare = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    if !name.is_empty() && name.bytes().all(bare) { name.into() } else { string(name) }
}

/// A string between the quotes that need the fewest escapes.
fn string(text: &str) -> String {
    let verbatim = |c: char| !c.is_control() && c != '\'';
    if text.contains(['\\', '"']) && text.chars().all(verbatim) {
        return format!("'{text}'");
    }
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => {
                let _infallible = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_and_keys() {
        for (text, expected) in [
            ("a", "\"a\""),
            ("", "\"\""),
            ("a\"b", "'a\"b'"),
            ("a\\d", "'a\\d'"),
            ("it's", "\"it's\""),
            ("it's \"x\"", "\"it's \\\"x\\\"\""),
            ("a\nb\u{1b}", "\"a\\nb\\u001B\""),
        ] {
            assert_eq!(string(text), expected);
        }
        for (name, expected) in
            [("ID_PATH", "ID_PATH"), ("queue/rotational", "\"queue/rotational\""), (".x", "\".x\"")]
        {
            assert_eq!(key(name), expected);
        }
    }
}
