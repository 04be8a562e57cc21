//! Owns the way back: rules as the text of a `.rules` file. Reading what was printed gives the same rules.
//!
//! What the language can't say is named with its place, never left out.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use bstr::{BStr, BString, ByteSlice};

use super::action::final_key;
use super::lines::LINE_MAX;
use super::order::{parent_turn, turn};
use crate::diag::Place;
use crate::rules::ir::{
    Access, Builtin, Command, Condition, ConstKey, Dump, Effect, Import, ListOp, Mode, Principal, Rule, Step,
    StepKind, StringEscape, Subject, Test,
};
use crate::rules::template::{Part, Template, Var};
use crate::text::{Case, Pattern, space};

/// What udev's language can't say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsayable {
    /// What it is, in a few words.
    pub what: String,
    /// Where it stands.
    pub place: Place,
}

/// The text of a file with these rules, jumps included; labels get new names.
pub fn print(rules: &[Rule]) -> Result<BString, Vec<Unsayable>> {
    let mut out = BString::default();
    let mut failed = Vec::new();
    let targets: BTreeSet<usize> = rules.iter().filter_map(|rule| Some(rule.jump.as_ref()?.to)).collect();
    let is_target = |at: usize| targets.contains(&at);
    for (at, rule) in rules.iter().enumerate() {
        let mut tokens = match tokens(rule) {
            Ok(tokens) => tokens,
            Err(unsayable) => {
                failed.extend(unsayable);
                continue;
            }
        };
        if let Some(jump) = &rule.jump {
            tokens.push(format!("GOTO=\"{}\"", label(jump.to)).into());
        }
        if is_target(at) {
            out.extend_from_slice(format!("LABEL=\"{}\"\n", label(at)).as_bytes());
        }
        let line = bstr::join(", ", &tokens);
        if line.len() >= LINE_MAX {
            failed.push(Unsayable { what: "a line that is too long".into(), place: rule.place.clone() });
        }
        out.extend_from_slice(&line);
        out.push(b'\n');
    }
    if is_target(rules.len()) {
        out.extend_from_slice(format!("LABEL=\"{}\"\n", label(rules.len())).as_bytes());
    }
    if failed.is_empty() { Ok(out) } else { Err(failed) }
}

/// The line of one rule, without its jump.
pub fn print_rule(rule: &Rule) -> Result<BString, Vec<Unsayable>> {
    Ok(bstr::join(", ", tokens(rule)?).into())
}

fn label(at: usize) -> String {
    format!("rule_{at}")
}

type Said<T = BString> = Result<T, String>;

fn tokens(rule: &Rule) -> Result<Vec<BString>, Vec<Unsayable>> {
    let mut out = Vec::new();
    let mut failed = Vec::new();
    let mut fail = |what: String, place: &Place| failed.push(Unsayable { what, place: place.clone() });
    let mut last = None;
    for step in &rule.steps {
        let now = turn(&step.kind);
        if last.is_some_and(|last| now < last) {
            fail("another order than udev's".into(), &step.place);
        }
        if matches!(step.kind, StepKind::Parent(_)) && last == Some(now) {
            fail("a second device on the way up".into(), &step.place);
        }
        last = Some(now);
        match self::step(step) {
            Ok(tokens) => out.extend(tokens),
            Err(what) => fail(what, &step.place),
        }
    }
    if failed.is_empty() { Ok(out) } else { Err(failed) }
}

fn step(step: &Step) -> Said<Vec<BString>> {
    match &step.kind {
        StepKind::When(condition) => Ok(vec![condition_token(condition, false)?]),
        StepKind::Parent(group) => {
            if !group.is_sorted_by_key(|(_, condition)| parent_turn(&condition.subject)) {
                return Err("another order than udev's".into());
            }
            group.iter().map(|(_, condition)| condition_token(condition, true)).collect()
        }
        StepKind::Do { effect, fixed } => effect_tokens(effect, *fixed),
    }
}

fn token(key: &str, attribute: Option<&[u8]>, operator: &str, value: &[u8], case: Case) -> Said {
    let mut out = BString::from(key);
    if let Some(attribute) = attribute {
        if attribute.is_empty() || attribute.iter().any(|b| matches!(b, b'}' | b'\n' | b'\r' | 0)) {
            return Err(format!("the name `{}`", attribute.as_bstr()));
        }
        out.push(b'{');
        out.extend_from_slice(attribute);
        out.push(b'}');
    }
    out.extend_from_slice(operator.as_bytes());
    if case == Case::Fold {
        out.push(b'i');
    }
    out.extend_from_slice(&quoted(value)?);
    Ok(out)
}

fn plain(key: &str, operator: &str, value: &[u8]) -> Said {
    token(key, None, operator, value, Case::Sensitive)
}

/// A value between quotes; with escapes only where it can't be written without.
fn quoted(value: &[u8]) -> Said {
    if value.contains(&0) {
        return Err("a NUL".into());
    }
    let mut out = BString::default();
    if value.ends_with(b"\\") || value.iter().any(|b| matches!(b, b'\n' | b'\r')) {
        out.extend_from_slice(b"e\"");
        for byte in value {
            match byte {
                b'\\' | b'"' => out.extend_from_slice(&[b'\\', *byte]),
                b'\n' => out.extend_from_slice(b"\\n"),
                b'\r' => out.extend_from_slice(b"\\r"),
                other => out.push(*other),
            }
        }
    } else {
        out.push(b'"');
        out.extend_from_slice(&value.replace(b"\"", b"\\\""));
    }
    out.push(b'"');
    Ok(out)
}

/// The text of a template, if udev reads it as the same.
fn said(template: &Template) -> Said<&BStr> {
    if Template::parse_udev(template.text()).0.parts() == template.parts() {
        Ok(template.text())
    } else {
        Err(format!("`{}`", template.text()))
    }
}

/// The name of an attribute that is compared; of another device's it is read as it stands.
fn attribute(name: &Template) -> Said<&BStr> {
    match (name.constant(), name.text().starts_with(b"[")) {
        (Some(constant), _) if constant.starts_with(b"[") => Ok(constant),
        (None, true) => Err(format!("a substitution in the name `{}`", name.text())),
        _ => said(name),
    }
}

/// The text of a name in which udev substitutes nothing.
fn verbatim(name: &Template) -> Said<&BStr> {
    name.constant().ok_or_else(|| format!("a substitution in the name `{}`", name.text()))
}

fn condition_token(condition: &Condition, above: bool) -> Said {
    let Condition { subject, test } = condition;
    match subject {
        Subject::File(path) if !above => file(path, test),
        Subject::Program(command) if !above => plain("PROGRAM", sign(worked(test)?), &line(command)?),
        Subject::Import(source) if !above => import(source, sign(worked(test)?)),
        _ => compared(subject, test, above),
    }
}

fn sign(yes: bool) -> &'static str {
    if yes { "==" } else { "!=" }
}

fn worked(test: &Test) -> Said<bool> {
    match test {
        Test::Exists(yes) => Ok(*yes),
        _ => Err("what a program or an import is compared with".into()),
    }
}

fn file(path: &Template, test: &Test) -> Said {
    let (mask, yes) = match test {
        Test::Exists(yes) => (None, *yes),
        Test::Mode(bits) => (Some(*bits), true),
        Test::NoMode(bits) => (Some(*bits), false),
        _ => return Err("what a file is compared with".into()),
    };
    let mask = mask.map(|bits| format!("{bits:04o}"));
    token("TEST", mask.as_ref().map(|mask| mask.as_bytes()), sign(yes), said(path)?, Case::Sensitive)
}

fn import(source: &Import, sign: &str) -> Said {
    let (kind, value): (&str, BString) = match source {
        Import::Program(command) => {
            let line = line(command)?;
            let first = space::words(&line).next().unwrap_or_default();
            if super::keys::BUILTINS.iter().any(|builtin| builtin.as_bytes() == first) {
                return Err(format!("a program of the name of a builtin, `{line}`"));
            }
            ("program", line)
        }
        Import::Builtin(builtin) => ("builtin", builtin_line(builtin)?),
        Import::File(path) => ("file", said(path)?.into()),
        Import::Db(key) => ("db", verbatim(key)?.into()),
        Import::CommandLine(key) => ("cmdline", verbatim(key)?.into()),
        Import::ParentNamed(pattern) => ("parent", said(pattern)?.into()),
        Import::Parent(pattern) => {
            if Pattern::single(pattern.text(), Case::Sensitive) != *pattern {
                return Err("alternatives of names to import".into());
            }
            // it is read as a template: what would begin a substitution is written twice
            ("parent", pattern.text().replace("$", "$$").replace("%", "%%").into())
        }
    };
    token("IMPORT", Some(kind.as_bytes()), sign, &value, Case::Sensitive)
}

fn compared(subject: &Subject, test: &Test, above: bool) -> Said {
    let (key, attribute): (&str, Option<&BStr>) = match (subject, above) {
        (Subject::Kernel, false) => ("KERNEL", None),
        (Subject::Kernel, true) => ("KERNELS", None),
        (Subject::Subsystem, false) => ("SUBSYSTEM", None),
        (Subject::Subsystem, true) => ("SUBSYSTEMS", None),
        (Subject::Driver, false) => ("DRIVER", None),
        (Subject::Driver, true) => ("DRIVERS", None),
        (Subject::Attribute(name), false) => ("ATTR", Some(attribute(name)?)),
        (Subject::Attribute(name), true) => ("ATTRS", Some(attribute(name)?)),
        (Subject::Tag, false) => ("TAG", None),
        (Subject::Tag, true) => ("TAGS", None),
        (Subject::Action, false) => ("ACTION", None),
        (Subject::Devpath, false) => ("DEVPATH", None),
        (Subject::Link, false) => ("SYMLINK", None),
        (Subject::Name, false) => ("NAME", None),
        (Subject::Devtype, false) => ("ENV", Some(BStr::new("DEVTYPE"))),
        (Subject::Property(key), false) => ("ENV", Some(key.as_bstr())),
        (Subject::Const(ConstKey::Arch), false) => ("CONST", Some(BStr::new("arch"))),
        (Subject::Const(ConstKey::Virt), false) => ("CONST", Some(BStr::new("virt"))),
        (Subject::Const(ConstKey::Cvm), false) => ("CONST", Some(BStr::new("cvm"))),
        (Subject::Sysctl(name), false) => ("SYSCTL", Some(said(name)?)),
        (Subject::Result, false) => ("RESULT", None),
        _ => return Err("this of a device on the way up".into()),
    };
    let attribute = attribute.map(|name| name.as_bytes());
    let (operator, pattern) = match test {
        Test::Is(pattern) => ("==", pattern),
        Test::IsNot(pattern) => ("!=", pattern),
        // An attribute may be there and empty.
        Test::Exists(true) if matches!(subject, Subject::Attribute(_) | Subject::Tag | Subject::Link) => {
            return token(key, attribute, "==", b"*", Case::Sensitive);
        }
        Test::Exists(true) => return token(key, attribute, "==", b"?*", Case::Sensitive),
        Test::Exists(false) if !matches!(subject, Subject::Attribute(_) | Subject::Tag | Subject::Link) => {
            return token(key, attribute, "==", b"", Case::Sensitive);
        }
        Test::Exists(false) => return Err("that there is none".into()),
        Test::Range(_) => return Err("a range of numbers".into()),
        Test::Mode(_) | Test::NoMode(_) => return Err("a mode of something that is no file".into()),
    };
    let three = key == "SUBSYSTEM" && matches!(pattern.text().as_bytes(), b"subsystem" | b"bus" | b"class");
    if three || Pattern::new(pattern.text(), pattern.case()) != *pattern {
        return Err(format!("the pattern `{}`", pattern.text()));
    }
    // Of what there may be none "?*" means another thing, and no tag and no link is empty.
    let any = pattern.text() == "?*" && matches!(subject, Subject::Tag | Subject::Link);
    token(key, attribute, operator, if any { b"*" } else { pattern.text() }, pattern.case())
}

/// The words of a command in one line.
fn line(command: &Command) -> Said {
    match command {
        Command::Line(line) => said(line).map(BString::from),
        Command::Argv(words) => {
            let words: Vec<BString> =
                words.iter().map(|word| said(word).and_then(word_of)).collect::<Said<_>>()?;
            Ok(bstr::join(" ", words).into())
        }
    }
}

/// One word, held together by quotes where it has to be.
fn word_of(text: &BStr) -> Said {
    let simple = |b: &u8| !b.is_ascii_whitespace() && !matches!(b, b'\'' | b'"' | b'$' | b'%');
    Ok(match (text.contains(&b'\''), text.contains(&b'"')) {
        _ if !text.is_empty() && text.iter().all(simple) => text.into(),
        (false, _) => bstr::concat([b"'", text.as_bytes(), b"'"]).into(),
        (true, false) => bstr::concat([b"\"", text.as_bytes(), b"\""]).into(),
        (true, true) => return Err(format!("both kinds of quotes in one word, `{text}`")),
    })
}

fn builtin_line(builtin: &Builtin) -> Said {
    let arguments = line(&builtin.arguments)?;
    let mut out = BString::from(builtin.name.as_str());
    if !arguments.is_empty() {
        out.push(b' ');
        out.extend_from_slice(&arguments);
    }
    Ok(out)
}

/// The operator of a list; a final one is always set anew.
fn list_sign(op: ListOp, fixed: bool) -> Said<&'static str> {
    match (op, fixed) {
        (ListOp::Set, true) => Ok(":="),
        (ListOp::Set, false) => Ok("="),
        (ListOp::Add, false) => Ok("+="),
        (ListOp::Remove, false) => Ok("-="),
        (_, true) => Err("something added and final at once".into()),
    }
}

fn effect_tokens(effect: &Effect, fixed: bool) -> Said<Vec<BString>> {
    if fixed && final_key(effect).is_none() {
        return Err("something final that can't be".into());
    }
    let set = if fixed { ":=" } else { "=" };
    let one = match effect {
        Effect::Link { op, names, split } => return links(*op, fixed, names, *split),
        Effect::Start(unit) => {
            let wants = token("ENV", Some(b"SYSTEMD_WANTS"), "+=", said(unit)?, Case::Sensitive)?;
            return Ok(vec![plain("TAG", "+=", b"systemd")?, wants]);
        }
        Effect::Name(name) => plain("NAME", set, said(name)?),
        Effect::Owner(who) => plain("OWNER", set, &principal(who)?),
        Effect::Group(who) => plain("GROUP", set, &principal(who)?),
        Effect::Mode(Mode::Bits(bits)) => plain("MODE", set, format!("{bits:04o}").as_bytes()),
        Effect::Mode(Mode::Template(mode)) => plain("MODE", set, said(mode)?),
        Effect::Priority(number) => option(&format!("link_priority={number}")),
        Effect::Property { key, value, append } => {
            let sign = if *append { "+=" } else { "=" };
            token("ENV", Some(key), sign, said(value)?, Case::Sensitive)
        }
        Effect::Tag { op, tag } => plain("TAG", list_sign(*op, false)?, said(tag)?),
        Effect::WriteAttribute { name, value } => {
            token("ATTR", Some(verbatim(name)?), "=", said(value)?, Case::Sensitive)
        }
        Effect::WriteSysctl { name, value } => {
            token("SYSCTL", Some(said(name)?), "=", said(value)?, Case::Sensitive)
        }
        Effect::Run { op, command } => plain("RUN", list_sign(*op, fixed)?, &line(command)?),
        Effect::RunBuiltin { op, builtin } => {
            token("RUN", Some(b"builtin"), list_sign(*op, fixed)?, &builtin_line(builtin)?, Case::Sensitive)
        }
        Effect::Index { .. } => Err("a number for each identity (`index`)".into()),
        Effect::Access(Access::ActiveUser) => {
            let run = token("RUN", Some(b"builtin"), "+=", b"uaccess", Case::Sensitive)?;
            return Ok(vec![plain("TAG", "+=", b"uaccess")?, run]);
        }
        Effect::Watch(yes) => {
            let sign = if fixed { ":=" } else { "+=" };
            plain("OPTIONS", sign, if *yes { b"watch" } else { b"nowatch" })
        }
        Effect::DbPersist => option("db_persist"),
        Effect::LogLevel(Some(level)) => option(&format!("log_level={level}")),
        Effect::Dump(Dump::Text) => option("dump"),
        Effect::Dump(Dump::Json) => option("dump-json"),
        Effect::LogLevel(None) => option("log_level=reset"),
        Effect::StringEscape(StringEscape::None) => option("string_escape=none"),
        Effect::StringEscape(StringEscape::Replace) => option("string_escape=replace"),
        Effect::SecurityLabel { op, module, label } => {
            token("SECLABEL", Some(module.as_bytes()), list_sign(*op, false)?, said(label)?, Case::Sensitive)
        }
        Effect::StaticNode { node, .. } => {
            plain("OPTIONS", "+=", &bstr::concat([b"static_node=", node.as_bytes()]))
        }
    };
    Ok(vec![one?])
}

fn option(text: &str) -> Said {
    plain("OPTIONS", "+=", text.as_bytes())
}

fn principal(who: &Principal) -> Said {
    Ok(match who {
        Principal::Id(id) => {
            let mut text = String::new();
            let _infallible = write!(text, "{id}");
            text.into()
        }
        // The text of a template: a `$` in a name is doubled.
        Principal::Named { name, .. } | Principal::Unknown(name) => {
            name.replace(b"$", b"$$").replace(b"%", b"%%").into()
        }
        Principal::Template(template) => said(template)?.into(),
    })
}

fn links(op: ListOp, fixed: bool, names: &[Template], split: bool) -> Said<Vec<BString>> {
    let sign = list_sign(op, fixed)?;
    let one = |name: &Template| {
        let text = said(name)?;
        let words = name.parts().iter().any(|part| match part {
            Part::Text(text) => text.iter().any(u8::is_ascii_whitespace),
            Part::Var(Var::Result(_)) => true,
            Part::Var(_) => false,
        });
        if words && !split {
            return Err(format!("white space in one link, `{text}`"));
        }
        plain("SYMLINK", sign, text)
    };
    names.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoting() {
        for (value, expected) in [
            ("a", "\"a\""),
            ("", "\"\""),
            ("a\"b", "\"a\\\"b\""),
            ("a\\x20b", "\"a\\x20b\""),
            ("a\\\"b", "\"a\\\\\"b\""),
            ("a\\", "e\"a\\\\\""),
            ("a\nb\"\\", "e\"a\\nb\\\"\\\\\""),
        ] {
            assert_eq!(quoted(value.as_bytes()).unwrap(), expected);
        }
        assert!(quoted(b"\0").is_err());
    }
}
