//! Owns the tokens that ask: what each key's `==` and `!=` mean, programs and imports included.

use bstr::{BStr, ByteSlice};

use super::codes;
use super::keys::{self, Key};
use super::lex::{Operator, Token};
use super::line::{Cx, Lost, Parts};
use crate::rules::ir::{Builtin, Command, Condition, ConstKey, Import, Subject, Test};
use crate::rules::template::{Limit, Template};
use crate::text::{Case, Pattern, check_glob, space};

/// True for a condition that changes something: its line is worth running.
pub(super) fn acts(subject: &Subject) -> bool {
    matches!(subject, Subject::Program(_) | Subject::Import(_))
}

/// Reads a token that asks.
pub(super) fn token(
    cx: &mut Cx<'_>,
    token: &Token<'_>,
    key: Key,
    operator: Operator,
    parts: &mut Parts,
) -> Result<(), Lost> {
    let place = cx.place(&token.span);
    let on_parent = matches!(key, Key::Kernels | Key::Subsystems | Key::Drivers | Key::Attrs | Key::Tags);
    let subject = subject(cx, token, key)?;
    let test = match &subject {
        Subject::File(_) => mask(cx, token, operator)?,
        Subject::Program(_) | Subject::Import(_) => Test::Exists(operator == Operator::Match),
        _ => compared(cx, token, key, operator),
    };
    let condition = Condition { subject, test };
    if on_parent {
        parts.parent(place, condition);
    } else {
        parts.when(place, condition);
    }
    Ok(())
}

fn name<'t>(token: &'t Token<'_>) -> &'t BStr {
    token.attribute.as_ref().map(|(name, _)| *name).unwrap_or_default()
}

fn subject(cx: &mut Cx<'_>, token: &Token<'_>, key: Key) -> Result<Subject, Lost> {
    let path = |cx: &mut Cx<'_>, limit| {
        let span = token.attribute.as_ref().map(|(_, span)| span.clone()).unwrap_or_default();
        cx.name_template(name(token), &span, limit)
    };
    let attribute = |cx: &mut Cx<'_>| {
        let template = path(cx, Limit::Value);
        // In a name of another device's nothing is substituted.
        match name(token).starts_with(b"[") {
            true => Template::literal(name(token)).within(Limit::Value).into(),
            false => template.into(),
        }
    };
    Ok(match key {
        Key::Action => Subject::Action,
        Key::Devpath => Subject::Devpath,
        Key::Kernel | Key::Kernels => Subject::Kernel,
        Key::Symlink => Subject::Link,
        Key::Name => Subject::Name,
        Key::Env => Subject::Property(name(token).into()),
        Key::Const => Subject::Const(match name(token).as_bytes() {
            b"arch" => ConstKey::Arch,
            b"virt" => ConstKey::Virt,
            _ => ConstKey::Cvm,
        }),
        Key::Tag | Key::Tags => Subject::Tag,
        Key::Subsystem | Key::Subsystems => Subject::Subsystem,
        Key::Driver | Key::Drivers => Subject::Driver,
        Key::Attr => Subject::Attribute(attribute(cx)),
        Key::Attrs => {
            parent_path(cx, token);
            Subject::Attribute(attribute(cx))
        }
        Key::Sysctl => Subject::Sysctl(path(cx, Limit::Path).into()),
        Key::Test => Subject::File(cx.template(token, Limit::Path).into()),
        Key::Program => Subject::Program(Command::Line(cx.template(token, Limit::Line).into())),
        Key::Import => Subject::Import(import(cx, token)?),
        Key::Result => Subject::Result,
        // The table gives the others no operator that asks.
        _ => return Err(cx.lost(codes::BAD_OPERATOR, "this key asks nothing", &token.span, "")),
    })
}

fn parent_path(cx: &mut Cx<'_>, token: &Token<'_>) {
    let Some((name, at)) = &token.attribute else { return };
    if !name.contains(&b'/') {
        return;
    }
    let message = if name.starts_with(b"device/") {
        "`device/` leads to another device, and to another one in newer kernels"
    } else if name.contains_str("../") {
        "`../` leads to another device"
    } else {
        return;
    };
    cx.warn(codes::PARENT_PATH, message, at, "leave the path out: ATTRS looks at every device on the way up");
}

/// What a value is compared with.
fn compared(cx: &mut Cx<'_>, token: &Token<'_>, key: Key, operator: Operator) -> Test {
    let case = if token.fold { Case::Fold } else { Case::Sensitive };
    let any = key == Key::Subsystem && matches!(token.value.as_slice(), b"subsystem" | b"bus" | b"class");
    let pattern = if any {
        let hint = "it stands for all three; write the subsystem's name";
        cx.warn(codes::ANY_SUBSYSTEM, format!("`{}` is no subsystem", token.value), &token.value_span, hint);
        Pattern::new(b"subsystem|class|bus", case)
    } else {
        glob(cx, token);
        Pattern::new(&token.value, case)
    };
    // To udev "anything" is "not empty": where there may be none at all, that holds for none, too.
    let of_a_set = matches!(key, Key::Tag | Key::Tags | Key::Symlink);
    match (token.value == "?*" && of_a_set, operator) {
        (false, Operator::Match) => Test::Is(pattern),
        (false, _) => Test::IsNot(pattern),
        (true, Operator::Match) => Test::IsNot(Pattern::new(b"", case)),
        (true, _) => Test::Is(Pattern::new(b"", case)),
    }
}

fn glob(cx: &mut Cx<'_>, token: &Token<'_>) {
    if !token.value.contains(&b'[') {
        return;
    }
    if let Err(error) = check_glob(&token.value) {
        let hint = "the pattern is compared as it stands; write `[[]` for the byte `[` itself";
        cx.warn(codes::BAD_GLOB, error.to_string(), &token.value_span, hint);
    }
}

fn mask(cx: &mut Cx<'_>, token: &Token<'_>, operator: Operator) -> Result<Test, Lost> {
    let Some((text, at)) = token.attribute.as_ref().filter(|(text, _)| !text.is_empty()) else {
        return Ok(Test::Exists(operator == Operator::Match));
    };
    match super::action::octal(text) {
        Some(bits) if operator == Operator::Match => Ok(Test::Mode(bits)),
        Some(bits) => Ok(Test::NoMode(bits)),
        None => {
            let message = format!("`{text}` is no octal mode");
            Err(cx.lost(codes::BAD_MASK, message, at, "write octal digits up to 7777, as TEST{0111}"))
        }
    }
}

fn import(cx: &mut Cx<'_>, token: &Token<'_>) -> Result<Import, Lost> {
    let first = space::words(&token.value).next().unwrap_or_default();
    Ok(match name(token).as_bytes() {
        b"program" if keys::BUILTINS.iter().any(|known| known.as_bytes() == first) => {
            Import::Builtin(Box::new(builtin(cx, token)?))
        }
        b"program" => Import::Program(Command::Line(cx.template(token, Limit::Line).into())),
        b"builtin" => Import::Builtin(Box::new(builtin(cx, token)?)),
        b"file" => Import::File(cx.template(token, Limit::Path)),
        b"db" => Import::Db(key_as_it_stands(cx, token)),
        b"cmdline" => Import::CommandLine(key_as_it_stands(cx, token)),
        _ => {
            let template = cx.template(token, Limit::Path);
            match template.constant() {
                Some(text) if text.len() <= Limit::Path.most() => {
                    Import::Parent(Pattern::single(text, Case::Sensitive))
                }
                _ => Import::ParentNamed(template),
            }
        }
    })
}

/// The key of an import in which udev substitutes nothing.
fn key_as_it_stands(cx: &mut Cx<'_>, token: &Token<'_>) -> Template {
    // what looks like a broken substitution is odd anyway
    if cx.template(token, Limit::None).constant().is_none() {
        let message = format!("nothing is substituted in `{}`: it is the key itself", token.value);
        let hint = "write the key as it is called";
        cx.warn(codes::BAD_TEMPLATE, message, &token.value_span, hint);
    }
    Template::literal(&token.value)
}

/// A builtin and its arguments.
pub(super) fn builtin(cx: &mut Cx<'_>, token: &Token<'_>) -> Result<Builtin, Lost> {
    let text = space::trim_start(&token.value);
    let name = space::words(text).next().unwrap_or_default();
    let of_udev = keys::BUILTINS.iter().any(|known| known.as_bytes() == name);
    let known = cx.known.builtins.iter().any(|known| known.as_bytes() == name);
    if !known && !of_udev {
        let hint = format!("the builtins are: {}", keys::BUILTINS.join(", "));
        let message = format!("there is no builtin `{}`", name.as_bstr());
        return Err(cx.lost(codes::UNKNOWN_BUILTIN, message, &token.value_span, &hint));
    }
    if !known {
        let message = format!("nameplate does not have udev's builtin `{}` yet", name.as_bstr());
        cx.warn(codes::MISSING_BUILTIN, message, &token.value_span, "it fails when it is run");
    }
    let rest = space::trim_start(text.get(name.len()..).unwrap_or_default());
    let exact = cx.is_verbatim(token);
    let start = token.inner.end.saturating_sub(rest.len());
    let span = if exact { start..token.inner.end } else { token.inner.clone() };
    let arguments = Command::Line(cx.template_at(rest, &span, exact).within(Limit::Line).into());
    Ok(Builtin { name: name.to_str_lossy().into_owned(), arguments })
}
