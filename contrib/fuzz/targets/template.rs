//! Templates.

use bstr::ByteSlice;
use nameplate::rules::template::{Part, Template, TemplateError, Var, Words};

/// Parses the input as both languages do; then, with its `$` and `%` doubled, as text that stands for itself.
pub fn check(data: &[u8]) {
    parsed(data, Template::parse(data), Template::parse);
    parsed(data, Template::parse_udev(data), Template::parse_udev);
    let quoted = data.replace(b"$", b"$$").replace(b"%", b"%%");
    for (template, errors) in [Template::parse(&quoted), Template::parse_udev(&quoted)] {
        assert!(errors.is_empty(), "{errors:?}");
        assert_eq!(template.constant().map(|text| text.to_vec()).as_deref(), Some(data));
    }
    let literal = Template::literal(data);
    assert_eq!(literal.constant().map(|text| text.to_vec()).as_deref(), Some(data));
}

type Parse = fn(&[u8]) -> (Template, Vec<TemplateError>);

fn parsed(data: &[u8], (template, errors): (Template, Vec<TemplateError>), parse: Parse) {
    assert_eq!(template.text(), data, "the text is not kept");
    let mut before = None;
    for error in &errors {
        let at = error.offset();
        assert!(matches!(data.get(at), Some(b'$' | b'%')), "{error:?} is not at a substitution");
        assert!(before < Some(at), "{errors:?} are not in order");
        before = Some(at);
    }
    if !data.iter().any(|b| b"$%".contains(b)) {
        assert_eq!(template.constant().map(|text| text.to_vec()).as_deref(), Some(data));
    }
    let texts = template.parts().windows(2).any(|pair| matches!(pair, [Part::Text(_), Part::Text(_)]));
    assert!(!texts, "two texts side by side: {:?}", template.parts());
    let written: Vec<u8> = template.parts().iter().flat_map(written).collect();
    let (again, errors) = parse(&written);
    assert_eq!(again.parts(), template.parts(), "written as {:?}", written.as_bstr());
    assert!(errors.is_empty(), "{errors:?} in {:?}", written.as_bstr());
}

/// A part as it can be written. Braces that a substitution does not need keep the text behind it apart.
fn written(part: &Part) -> Vec<u8> {
    let named = |word: &str, name: &[u8]| [word.as_bytes(), b"{", name, b"}"].concat();
    let var = match part {
        Part::Text(text) => return text.replace(b"$", b"$$").replace(b"%", b"%%"),
        Part::Var(var) => var,
    };
    match var {
        Var::Attr(name) => named("$attr", name),
        Var::Env(name) => named("$env", name),
        Var::Result(Words::All) => named("$result", b"0"),
        Var::Result(Words::One(number)) => named("$result", number.to_string().as_bytes()),
        Var::Result(Words::From(number)) => named("$result", format!("{number}+").as_bytes()),
        Var::Devnode => named("$devnode", b"-"),
        Var::Kernel => named("$kernel", b"-"),
        Var::Number => named("$number", b"-"),
        Var::Driver => named("$driver", b"-"),
        Var::Devpath => named("$devpath", b"-"),
        Var::Id => named("$id", b"-"),
        Var::Major => named("$major", b"-"),
        Var::Minor => named("$minor", b"-"),
        Var::Parent => named("$parent", b"-"),
        Var::Name => named("$name", b"-"),
        Var::Links => named("$links", b"-"),
        Var::Root => named("$root", b"-"),
        Var::Sys => named("$sys", b"-"),
        Var::Index => named("$index", b"-"),
    }
}
