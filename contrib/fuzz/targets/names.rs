//! Names and words from outside: devpaths, links, tags, device ids, and udev's replacing and escaping of bytes.

use nameplate::ids::{Action, DevPath, DeviceId, LinkName, Tag, sysname, sysnum};
use nameplate::text::{SafeExtra, collapse_whitespace, encode_node_name, replace_unsafe};

/// The input as each of them: what is taken keeps the type's promise and is taken again as the same.
pub fn check(data: &[u8]) {
    if let Ok(path) = DevPath::new(data) {
        assert_eq!(path.as_bytes(), data);
        assert!(data.starts_with(b"/") && !data.contains(&0) && components_are_names(path.relative()));
        if let Some(parent) = path.parent() {
            assert!(parent.is_ancestor_of(&path) && !path.is_ancestor_of(&parent));
        }
        assert!(!path.last().contains(&b'/') && !path.sysname().contains(&b'!'));
    }
    if let Ok(link) = LinkName::new(data) {
        let name = link.as_bytes();
        assert!(components_are_names(name) && !name.iter().any(u8::is_ascii_control));
        if !name.starts_with(b"/dev/") {
            assert_eq!(LinkName::new(name).as_ref(), Ok(&link));
        }
    }
    if let Ok(tag) = Tag::new(data) {
        assert!(tag.as_str().as_bytes() == data && !data.iter().any(|b| b":/\n".contains(b)));
    }
    if let Ok(action) = Action::parse(data) {
        assert_eq!(action.as_str().as_bytes(), data);
    }
    if let Ok(id) = DeviceId::parse(data) {
        let text = id.to_bytes();
        assert!(!text.iter().any(|b| b"/\0".contains(b)), "{text:?} is no file name");
        assert_eq!(DeviceId::parse(&text), Ok(id));
    }
    assert!(sysname(data).len() == data.len() && data.ends_with(sysnum(data)));
    escapes(data);
}

fn components_are_names(path: &[u8]) -> bool {
    path.split(|&b| b == b'/')
        .all(|part| !part.is_empty() && part != b"." && part != b".." && part.len() <= 255)
}

fn escapes(data: &[u8]) {
    for extra in [SafeExtra::None, SafeExtra::Slash, SafeExtra::SlashSpace, SafeExtra::Value] {
        let once = replace_unsafe(data, extra);
        assert_eq!(replace_unsafe(&once, extra), once, "replacing twice changes more");
        assert!(!once.iter().any(u8::is_ascii_control), "{once:?}");
    }
    assert!(!collapse_whitespace(data).iter().any(u8::is_ascii_whitespace));
    let encoded = encode_node_name(data);
    assert!(!encoded.iter().any(|b| b"/ \n\0\"'".contains(b)), "{encoded:?}");
    assert_eq!(decode(&encoded), data, "{encoded:?}");
}

/// Undoes `\xNN`.
fn decode(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let digits = rest.get(1..3).and_then(|digits| std::str::from_utf8(digits).ok());
        let Some(Ok(byte)) = digits.map(|digits| u8::from_str_radix(digits, 16)) else { panic!("{text:?}") };
        out.push(byte);
        rest = rest.get(3..).unwrap_or_default();
    }
    out
}
