//! Owns how conditions are printed: `match`, `parent`, `program`, `import` and `result`.

use bstr::ByteSlice;

use super::text::{key, one_or_list, said, string, template, utf8};
use super::{Entries, Said, WIDTH};
use crate::diag::Place;
use crate::rules::ir::{Builtin, Command, Condition, ConstKey, Import, Step, StepKind, Subject, Test};
use crate::text::{Case, Pattern, check_glob};

/// A table of conditions: on one line, or if that is too long, one line for each.
pub(super) fn table(name: &str, conditions: &[(&Place, &Condition)]) -> Said<Entries> {
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

pub(super) fn parents(groups: &[&Vec<(Place, Condition)>]) -> Said<Entries> {
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
            Test::Range(bounds) => {
                more.extend(bounds.min.map(|min| format!("min = {min}")));
                more.extend(bounds.max.map(|max| format!("max = {max}")));
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
pub(super) fn runs(steps: &[Step]) -> Said<Entries> {
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

pub(super) fn command(command: &Command) -> Said {
    match command {
        Command::Argv(words) => {
            Ok(format!("[{}]", words.iter().map(template).collect::<Said<Vec<_>>>()?.join(", ")))
        }
        Command::Line(line) => Ok(format!("{{ line = {} }}", template(line)?)),
    }
}

pub(super) fn builtin(builtin: &Builtin) -> Said {
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
