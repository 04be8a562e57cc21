//! The database against tables by hand; systemd's own tools are asked in `tests/hwdb.rs`.

use std::path::Path;

use super::compile::{Mistake, Sources, compile_text};
use super::{Hwdb, HwdbError};

const SOURCE: &str = "\
# a comment
a:b*
  EMPTY=
 A=1 # tail
   B=two words  \t

a:b*
a:[bc]*
 A=2
# in between

x:?y
x:?z
 K=v=w
 K=later

x:*
 K=last

";

fn database(text: &str, sources: Sources) -> Hwdb {
    let compiled = compile_text(Path::new("/t.hwdb"), text.as_bytes(), sources);
    assert_eq!(compiled.problems, []);
    Hwdb::from_bytes(compiled.bytes).unwrap()
}

fn answer(hwdb: &Hwdb, modalias: &str) -> String {
    let found = hwdb.query(modalias.as_bytes()).unwrap();
    found.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ")
}

#[test]
fn questions() {
    for sources in [Sources::Named, Sources::Left] {
        let hwdb = database(SOURCE, sources);
        for (modalias, expected) in [
            ("a:b", "A=2 B=two words EMPTY="),
            ("a:bc", "A=2 B=two words EMPTY="),
            ("a:c", "A=2"),
            ("a:d", ""),
            ("a:", ""),
            ("", ""),
            ("x:1z", "K=last"),
            ("x:", "K=last"),
            ("x:1y", "K=last"),
            ("y", ""),
        ] {
            if sources == Sources::Named || !modalias.starts_with("x:1") {
                assert_eq!(answer(&hwdb, modalias), expected, "{modalias} {sources:?}");
            }
        }
        // without the lines the one that is found last wins: globs that begin with `?` after those with `*`
        let expected = if sources == Sources::Named { "K=last" } else { "K=later" };
        assert_eq!(answer(&hwdb, "x:1y"), expected);
    }
}

#[test]
fn mistakes_have_their_place_and_cost_no_more() {
    let text = "a\n =x\n NOEQ\n OK=1\nbad\n STRAY=1\n\n indented\nlonely\n\nb\n OK=2\n\nc\0\nend";
    let compiled = compile_text(Path::new("/t.hwdb"), text.as_bytes(), Sources::Named);
    let problems: Vec<(u32, Mistake)> = compiled.problems.into_iter().map(|p| (p.line, p.what)).collect();
    let expected = [
        (2, Mistake::NoKey(" =x".into())),
        (3, Mistake::NoEquals(" NOEQ".into())),
        (5, Mistake::NotIndented("bad".into())),
        (6, Mistake::NoPattern(" STRAY=1".into())),
        (8, Mistake::NoPattern(" indented".into())),
        (10, Mistake::NoProperties),
        (14, Mistake::Nul),
        (15, Mistake::NoProperties),
    ];
    assert_eq!(problems, expected);
    let hwdb = Hwdb::from_bytes(compiled.bytes).unwrap();
    assert_eq!((answer(&hwdb, "a"), answer(&hwdb, "b")), ("OK=1".into(), "OK=2".into()));
}

#[test]
fn a_damaged_file_is_an_error() {
    let good = compile_text(Path::new("/t.hwdb"), SOURCE.as_bytes(), Sources::Named).bytes;
    let changed = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    for (bytes, expected) in [
        (Vec::new(), "it is too short to be a hardware database"),
        (good[..79].to_vec(), "it is too short to be a hardware database"),
        (changed(0, b'k'), "it is no hardware database"),
        (good[..good.len() - 1].to_vec(), "its length is not what it says: it was cut off or written over"),
        (changed(32, 8), "its entries are too small"),
        (changed(67, 1), "its parts are longer than the file"),
    ] {
        match Hwdb::from_bytes(bytes) {
            Err(HwdbError::Damaged { what, .. }) => assert_eq!(what, expected),
            other => panic!("{expected}: {other:?}"),
        }
    }
    let root = changed(59, 1);
    assert!(matches!(Hwdb::from_bytes(root).unwrap().query(b"a"), Err(HwdbError::Damaged { .. })));
}

#[test]
fn nodes_that_lead_in_circles_end() {
    // one node whose only child, for `*`, is itself
    let mut bytes = b"KSLPHHRH".to_vec();
    let nodes = [0_u64, 1, 0, u64::from(b'*'), 80];
    let length = 80 + 8 * nodes.len() as u64 + 1;
    for number in [257, length, 80, 24, 16, 16, 80, 40, 1].into_iter().chain(nodes) {
        bytes.extend_from_slice(&u64::to_le_bytes(number));
    }
    bytes.push(0);
    let hwdb = Hwdb::from_bytes(bytes).unwrap();
    assert!(matches!(hwdb.query(b"x"), Err(HwdbError::Damaged { what: "its nodes lead in circles", .. })));
}

/// Patterns that share beginnings, with and without globs.
fn pattern() -> impl proptest::strategy::Strategy<Value = String> {
    proptest::string::string_regex("[ab:]{1,4}(\\*|\\?|\\[ab\\]|c){0,2}[ab]{0,3}").unwrap()
}

proptest::proptest! {
    #[test]
    fn every_pattern_is_found_as_if_all_were_tried(
        patterns in proptest::collection::vec(pattern(), 1..24),
        value in "[abc:]{0,8}",
    ) {
        use crate::text::{Case, Pattern};
        let lines = patterns.iter().enumerate();
        let source: String = lines.map(|(at, pattern)| format!("{pattern}\n K{at}=1\n LAST={at}\n\n")).collect();
        let hwdb = database(&source, Sources::Named);
        let matching: Vec<usize> = (0..patterns.len())
            .filter(|at| Pattern::single(patterns[*at].as_bytes(), Case::Sensitive).matches(value.as_bytes()))
            .collect();
        let found = hwdb.query(value.as_bytes()).unwrap();
        let mut keys: Vec<usize> =
            found.iter().filter_map(|(key, _)| key.strip_prefix(b"K")).map(|at| std::str::from_utf8(at).unwrap().parse().unwrap()).collect();
        keys.sort();
        proptest::prop_assert_eq!(&keys, &matching);
        let last = found.iter().find(|(key, _)| key == "LAST").map(|(_, at)| at.to_string());
        proptest::prop_assert_eq!(last, matching.last().map(usize::to_string));
    }

    #[test]
    fn no_damage_is_more_than_an_error(changes in proptest::collection::vec((80usize..700, 0u8..), 1..6), value in "[abx:]{0,5}") {
        let mut bytes = compile_text(Path::new("/t.hwdb"), SOURCE.as_bytes(), Sources::Named).bytes;
        for (at, byte) in changes {
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
        }
        let hwdb = Hwdb::from_bytes(bytes).unwrap();
        let _answer_or_error = hwdb.query(value.as_bytes());
    }

    #[test]
    fn any_source_gives_a_database(text in "([ab:*# ]{0,5}(=|\n|\n\n)?){0,40}") {
        let compiled = compile_text(Path::new("/t.hwdb"), text.as_bytes(), Sources::Left);
        Hwdb::from_bytes(compiled.bytes).unwrap().query(b"a:b").unwrap();
    }
}
