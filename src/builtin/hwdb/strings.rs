//! Owns the strings of a database that is being built: each is kept once, and one that another ends with lies inside it.
//!
//! A string that comes later and is longer than what it ends with is kept anew, so the order of adding decides what the
//! buffer looks like: it is that of systemd's tool, whose files come out byte for byte the same.

/// The buffer, and a trie over the kept strings read from their ends.
#[derive(Debug)]
pub(super) struct Strings {
    bytes: Vec<u8>,
    nodes: Vec<Node>,
}

/// A kept string, reached by the last bytes that tell it from others.
#[derive(Debug, Default)]
struct Node {
    offset: u32,
    length: u32,
    /// By the next byte towards the front, ordered.
    children: Vec<(u8, u32)>,
}

impl Strings {
    /// The empty string alone, at offset 0.
    pub(super) fn new() -> Self {
        Self { bytes: vec![0], nodes: vec![Node::default()] }
    }

    /// All strings, each ended by a NUL.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The string at `offset`.
    pub(super) fn get(&self, offset: u32) -> &[u8] {
        let rest = self.bytes.get(as_index(offset)..).unwrap_or_default();
        let end = memchr::memchr(0, rest).unwrap_or(rest.len());
        rest.get(..end).unwrap_or_default()
    }

    /// Where `text`, which has no NUL, is from now on. `None`: four gigabytes are full.
    pub(super) fn add(&mut self, text: &[u8]) -> Option<u32> {
        if text.is_empty() {
            return Some(0);
        }
        let mut at = 0;
        for depth in 0..=text.len() {
            let node = self.nodes.get(as_index(at))?;
            let length = as_index(node.length);
            let kept = self.bytes.get(as_index(node.offset)..as_index(node.offset) + length)?;
            if depth == text.len() || kept.ends_with(text) {
                return u32::try_from((as_index(node.offset) + length).checked_sub(text.len())?).ok();
            }
            let byte = *text.get(text.len() - 1 - depth)?;
            match node.children.binary_search_by_key(&byte, |(byte, _)| *byte) {
                Ok(child) => at = node.children.get(child)?.1,
                Err(place) => return self.put(at, place, byte, text),
            }
        }
        None
    }

    /// Keeps a new string, as child `byte` of node `at`.
    fn put(&mut self, at: u32, place: usize, byte: u8, text: &[u8]) -> Option<u32> {
        let offset = u32::try_from(self.bytes.len()).ok()?;
        let length = u32::try_from(text.len()).ok()?;
        let new = u32::try_from(self.nodes.len()).ok()?;
        self.nodes.get_mut(as_index(at))?.children.insert(place, (byte, new));
        self.nodes.push(Node { offset, length, children: Vec::new() });
        self.bytes.extend_from_slice(text);
        self.bytes.push(0);
        Some(offset)
    }
}

/// Lossless: what nameplate runs on has addresses of 32 bits at least.
pub(super) fn as_index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_ends_with_lies_in_it() {
        let mut strings = Strings::new();
        for (text, offset) in [
            ("", 0),
            ("abc", 1),
            ("bc", 2),
            ("c", 3),
            ("xbc", 5),
            ("abc", 1),
            ("bc", 2),
            ("d", 9),
            ("ad", 11),
        ] {
            assert_eq!(strings.add(text.as_bytes()), Some(offset), "{text}");
            assert_eq!(strings.get(offset), text.as_bytes());
        }
        assert_eq!(strings.bytes(), b"\0abc\0xbc\0d\0ad\0");
    }

    proptest::proptest! {
        #[test]
        fn every_string_stays_where_it_was_put(texts in proptest::collection::vec("[ab]{0,6}", 0..60)) {
            let mut strings = Strings::new();
            let places: Vec<u32> = texts.iter().map(|text| strings.add(text.as_bytes()).unwrap()).collect();
            for (text, place) in texts.iter().zip(&places) {
                proptest::prop_assert_eq!(strings.get(*place), text.as_bytes());
                proptest::prop_assert_eq!(strings.add(text.as_bytes()), Some(*place));
            }
        }
    }
}
