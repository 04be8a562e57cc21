//! Owns the repository's own rules about its shape, checked by reading `src/`: which module may use which, where `unsafe`
//! and absolute system paths may stand, that every file says what it is for, how long it may be.
//!
//! Reads text with a small scanner (comments and literals taken apart) and never compiles anything, so that a module
//! behind a feature is checked too.

#![cfg(test)]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// The modules and their levels. A module uses only modules of a lower level, never one beside it; files inside one
/// folder are free among themselves.
const LEVELS: &[(&str, u8)] = &[
    ("main", 9),
    ("cli", 8),
    ("daemon", 7),
    ("apply", 6),
    ("decide", 5),
    ("rules", 4),
    ("builtin", 4),
    ("device", 3),
    ("uevent", 2),
    ("store", 2),
    ("queue", 2),
    ("probe", 2),
    ("config", 2),
    ("log", 1),
    ("recording", 1),
    ("machine", 1),
    ("sys", 0),
    ("ids", 0),
    ("text", 0),
    ("diag", 0),
    ("roots", 0),
    ("properties", 0),
];

/// The directories that only `roots.rs` may spell.
const SYSTEM_DIRS: &[&str] = &["/sys", "/dev", "/run", "/etc", "/usr", "/proc", "/var"];

/// Absolute paths that may stand elsewhere: file or folder below `src/` (`""` is everywhere), the directory or how
/// the literal begins, and why no [`Roots`](nameplate::roots::Roots) can stand for it.
const PATH_EXCEPTIONS: &[(&str, &str, &str)] = &[
    ("ids.rs", "/dev/", "udev's rules write links with this prefix whatever the device directory is"),
    ("", "/dev/null", "the null device is the same in every tree: programs' stdin, masked files"),
    ("sys/", "/proc/self/", "this process's own descriptors, which no other tree has"),
    (
        "cli/device_arg.rs",
        "/sys/",
        "what people type: below --root too they write what they see on the machine meant",
    ),
    ("cli/device_arg.rs", "/dev/", "the same"),
    ("rules/lint/never.rs", "/sys/", "what people write before a devpath, where none belongs"),
    ("rules/toml/test.rs", "/sys", "a prefix of the path of a recorded device, which may be left out"),
];

/// No file may be longer.
const MAX_LINES: usize = 800;

/// One file of `src/`.
struct Source {
    /// Relative to `src/`, with `/`.
    path: String,
    text: String,
    scanned: Scanned,
    /// Compiled for tests only.
    for_tests: bool,
}

/// A file's text taken apart; offsets are those of the text.
struct Scanned {
    /// The text with comments and the insides of literals blanked.
    code: String,
    /// Literals of strings: offset and raw contents.
    strings: Vec<(usize, String)>,
}

impl Source {
    fn new(path: &str, text: &str) -> Self {
        Self { path: path.into(), text: text.into(), scanned: scan(text), for_tests: false }
    }

    /// The module's path: `rules/toml/model.rs` is `rules toml model`, `rules/mod.rs` is `rules`, `lib.rs` is empty.
    fn module(&self) -> Vec<&str> {
        let stem = self.path.trim_end_matches(".rs");
        let mut parts: Vec<&str> = stem.split('/').collect();
        if matches!(parts.last(), Some(&"mod" | &"lib")) {
            parts.pop();
        }
        parts
    }

    fn place(&self, offset: usize) -> String {
        let line = self.text[..offset].matches('\n').count() + 1;
        format!("src/{}:{line}", self.path)
    }

    /// The modules that it declares for tests only, as their files are called: `a/b.rs` and `a/b/mod.rs`.
    fn test_modules(&self) -> Vec<String> {
        let code = &self.scanned.code;
        let folder = self.module().join("/");
        test_spans(code)
            .into_iter()
            .filter_map(|span| code[span].split_once("mod ").map(|(_, rest)| identifier(rest)))
            .flat_map(|name| [format!("{folder}/{name}.rs"), format!("{folder}/{name}/mod.rs")])
            .map(|path| path.trim_start_matches('/').to_owned())
            .collect()
    }
}

#[test]
fn modules_use_only_lower_levels() {
    report(&sources(), uses_of_higher_levels);
}

#[test]
fn every_module_is_in_the_table() {
    report(&sources(), |source| {
        let known = |name: &str| LEVELS.iter().any(|(module, _)| *module == name);
        let module = source.module();
        match module.first() {
            Some(top) if !known(top) => vec![format!("src/{}: `{top}` is not in the table", source.path)],
            _ => vec![],
        }
    });
}

#[test]
fn unsafe_is_only_in_sys() {
    report(&sources(), unsafe_outside_sys);
}

#[test]
fn system_paths_are_only_in_roots() {
    report(&sources(), system_paths);
}

#[test]
fn every_file_says_what_it_is_for() {
    report(&sources(), |source| match source.text.starts_with("//!") {
        true => vec![],
        false => vec![format!("src/{}: does not start with `//!`", source.path)],
    });
}

#[test]
fn no_file_is_too_long() {
    report(&sources(), |source| match source.text.lines().count() {
        0..=MAX_LINES => vec![],
        lines => vec![format!("src/{}: {lines} lines, {MAX_LINES} are allowed", source.path)],
    });
}

/// Fails with every finding of every file.
fn report(sources: &[Source], check: impl Fn(&Source) -> Vec<String>) {
    let findings: Vec<String> = sources.iter().flat_map(check).collect();
    let mut shown = String::new();
    for finding in &findings {
        let _infallible = writeln!(shown, "  {finding}");
    }
    assert!(findings.is_empty(), "\n{shown}");
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    rust_files(&root, &mut paths);
    paths.sort();
    assert!(!paths.is_empty(), "no sources below {}", root.display());
    let mut sources: Vec<Source> = paths
        .iter()
        .map(|path| {
            let relative = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
            Source::new(&relative, &fs::read_to_string(path).unwrap())
        })
        .collect();
    mark_tests(&mut sources);
    sources
}

fn mark_tests(sources: &mut [Source]) {
    let for_tests: BTreeSet<String> = sources.iter().flat_map(Source::test_modules).collect();
    for source in sources {
        source.for_tests = for_tests.contains(&source.path);
    }
}

fn rust_files(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, out);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            out.push(path);
        }
    }
}

fn level(module: &str) -> Option<u8> {
    LEVELS.iter().find(|(name, _)| *name == module).map(|(_, level)| *level)
}

fn uses_of_higher_levels(source: &Source) -> Vec<String> {
    let module = source.module();
    let Some(own) = module.first() else { return vec![] };
    let own_level = level(own).unwrap_or(0);
    let mut findings = Vec::new();
    // A unit test may use what it likes to set its scene.
    let tests = test_spans(&source.scanned.code);
    for (offset, used) in used_modules(&source.scanned.code, module.len()) {
        let allowed = used == *own || level(&used).is_none_or(|used| used < own_level);
        if !allowed && !source.for_tests && !tests.iter().any(|span| span.contains(&offset)) {
            let line = source.place(offset);
            findings.push(format!("{line}: `{own}` uses `{used}`, which is not below it"));
        }
    }
    findings
}

/// The top-level modules that a file names: in `crate::x`, `nameplate::x`, `use crate::{x, y::z}`, and in a chain of
/// `super::` that reaches the root of the crate from a module `depth` levels below it.
fn used_modules(code: &str, depth: usize) -> BTreeSet<(usize, String)> {
    let to_root = "super::".repeat(depth.max(1));
    let roots = ["crate::", "nameplate::", &to_root];
    let mut used = BTreeSet::new();
    for root in roots {
        for (at, _) in code.match_indices(root) {
            let before = code[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || (c == ':' && root != "crate::")) {
                continue;
            }
            let rest = &code[at + root.len()..];
            used.extend(heads(rest).into_iter().map(|name| (at, name)));
        }
    }
    used
}

/// The first names of a path's rest: `a::b` gives `a`, `{a, b::{c, d}}` gives `a` and `b`.
fn heads(rest: &str) -> Vec<String> {
    let Some(group) = rest.trim_start().strip_prefix('{') else {
        return vec![identifier(rest)];
    };
    let mut names = vec![identifier(group)];
    let mut depth = 1;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => names.push(identifier(&group[at + 1..])),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    names
}

fn identifier(text: &str) -> String {
    text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

fn unsafe_outside_sys(source: &Source) -> Vec<String> {
    if source.module().first() == Some(&"sys") {
        return vec![];
    }
    words(&source.scanned.code)
        .filter(|(_, word)| matches!(*word, "unsafe" | "unsafe_code"))
        .map(|(at, word)| format!("{}: `{word}` outside sys/", source.place(at)))
        .collect()
}

fn words(code: &str) -> impl Iterator<Item = (usize, &str)> {
    code.split(|c: char| !(c.is_alphanumeric() || c == '_'))
        .filter(|word| !word.is_empty())
        .map(|word| (word.as_ptr() as usize - code.as_ptr() as usize, word))
}

fn system_paths(source: &Source) -> Vec<String> {
    if source.path == "roots.rs" || source.for_tests {
        return vec![];
    }
    let tests = test_spans(&source.scanned.code);
    source
        .scanned
        .strings
        .iter()
        .filter(|(at, literal)| is_system_path(literal) && !tests.iter().any(|span| span.contains(at)))
        .filter(|(_, literal)| !is_excepted(&source.path, literal))
        .map(|(at, literal)| format!("{}: {literal:?} is spelled outside roots.rs", source.place(*at)))
        .collect()
}

fn is_system_path(literal: &str) -> bool {
    SYSTEM_DIRS.iter().any(|dir| {
        let rest = literal.strip_prefix(dir);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

fn is_excepted(path: &str, literal: &str) -> bool {
    PATH_EXCEPTIONS.iter().any(|(place, prefix, _why)| {
        let here = place.is_empty() || *place == path || (place.ends_with('/') && path.starts_with(place));
        // A directory stands for itself, as the prefix that is cut off; not for what is below it.
        here && if SYSTEM_DIRS.contains(&prefix.trim_end_matches('/')) {
            literal == *prefix
        } else {
            literal.starts_with(prefix)
        }
    })
}

/// The bodies of items under `#[cfg(test)]`.
fn test_spans(code: &str) -> Vec<std::ops::Range<usize>> {
    let mut spans = Vec::new();
    for (at, _) in code.match_indices("#[cfg(test)]") {
        let Some(open) = code[at..].find(['{', ';']).map(|open| at + open) else { continue };
        let mut depth = 0;
        let end = code[open..].char_indices().find_map(|(offset, c)| {
            depth += i32::from(c == '{') - i32::from(c == '}');
            (depth == 0).then_some(open + offset)
        });
        spans.push(at..end.unwrap_or(code.len()));
    }
    spans
}

/// Takes a text apart into code and literals.
fn scan(text: &str) -> Scanned {
    let mut code = String::with_capacity(text.len());
    let mut strings = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        let previous_is_word = code.chars().next_back().is_some_and(|p| p.is_alphanumeric() || p == '_');
        let len = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment(rest)
        } else if let Some((head, body, len)) = string_literal(rest, previous_is_word) {
            strings.push((at + head, rest[head..head + body].to_owned()));
            len
        } else if c == '\'' && char_literal(rest).is_some() {
            char_literal(rest).unwrap_or(1)
        } else {
            code.push(c);
            at += c.len_utf8();
            continue;
        };
        code.extend(rest[..len].bytes().map(|b| if b == b'\n' { '\n' } else { ' ' }));
        at += len;
    }
    Scanned { code, strings }
}

fn block_comment(rest: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    at
}

/// A string literal at the start of `rest`: length of its head, of its contents, and of all of it.
fn string_literal(rest: &str, previous_is_word: bool) -> Option<(usize, usize, usize)> {
    let letters = rest.find(|c: char| !matches!(c, 'b' | 'c' | 'r')).filter(|n| *n <= 2)?;
    if letters > 0 && previous_is_word {
        return None;
    }
    let raw = rest[..letters].contains('r');
    let hashes = if raw { rest[letters..].chars().take_while(|c| *c == '#').count() } else { 0 };
    let head = letters + hashes + 1;
    let body = rest.get(letters + hashes..)?.strip_prefix('"')?;
    if raw {
        let end = body.find(&format!("\"{}", "#".repeat(hashes)))?;
        return Some((head, end, head + end + 1 + hashes));
    }
    let mut escaped = false;
    let end = body.char_indices().find_map(|(at, c)| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends.then_some(at)
    })?;
    Some((head, end, head + end + 1))
}

/// The length of a character literal at the start of `rest`, or `None` for a lifetime.
fn char_literal(rest: &str) -> Option<usize> {
    let mut chars = rest.char_indices().skip(1);
    let (_, first) = chars.next()?;
    if first == '\\' {
        let (after, _) = chars.nth(1)?;
        return rest[after - 1..].find('\'').map(|end| after + end);
    }
    let (end, quote) = chars.next()?;
    (quote == '\'').then_some(end + 1)
}

mod the_checks_themselves {
    use super::*;

    #[test]
    fn uses_are_found() {
        let cases: &[(&str, &str, &[&str])] = &[
            ("queue.rs", "use crate::ids::SeqNum;", &[]),
            ("queue.rs", "use crate::store::claims;", &["store"]),
            ("queue.rs", "use crate::{ids::{DevPath, Action}, daemon::State, text};", &["daemon"]),
            ("queue.rs", "fn f() -> crate::cli::X {}", &["cli"]),
            ("queue.rs", "use super::decide;", &["decide"]),
            ("rules/toml/model.rs", "use super::super::super::builtin::X;", &["builtin"]),
            ("rules/toml/model.rs", "use super::super::ir; use crate::rules::ir;", &[]),
            ("rules/toml/mod.rs", "use super::super::apply::X;", &["apply"]),
            ("diag.rs", "use crate::roots;", &["roots"]),
            ("sys/fs.rs", "#[cfg(test)]\nmod tests { use crate::roots::Roots; }", &[]),
            ("sys/fs.rs", "#[cfg(test)]\nmod tests {}\nuse crate::roots::Roots;", &["roots"]),
            ("ids.rs", "// crate::daemon\n/* crate::daemon /* */ */ const A: &str = \"crate::cli\";", &[]),
            ("main.rs", "nameplate::cli::main()", &[]),
            ("daemon/mod.rs", "use crate::{\n    apply::X,\n    decide,\n    cli::{self, A},\n};", &["cli"]),
        ];
        for (path, text, expected) in cases {
            let findings = uses_of_higher_levels(&Source::new(path, text));
            assert_eq!(findings.len(), expected.len(), "{path}: {text}\n{findings:?}");
            for (finding, module) in findings.iter().zip(*expected) {
                assert!(finding.contains(&format!("uses `{module}`")), "{finding}");
            }
        }
    }

    #[test]
    fn unsafe_is_found() {
        let bad = Source::new("apply/mod.rs", "fn f() { unsafe { g() } }\n#![allow(unsafe_code)]");
        assert_eq!(unsafe_outside_sys(&bad).len(), 2);
        let good = Source::new("apply/mod.rs", "// unsafe\nfn f() { let unsafely = \"unsafe\"; }");
        assert_eq!(unsafe_outside_sys(&good), [] as [&str; 0]);
        assert!(unsafe_outside_sys(&Source::new("sys/net.rs", "unsafe {}")).is_empty());
    }

    #[test]
    fn system_paths_are_found() {
        let bad = [
            r#"let p = "/sys";"#,
            r#"let p = b"/run/udev";"#,
            r##"let p = r#"/etc/x"#;"##,
            r#"let c = '"'; let p = "/proc/1";"#,
            r#"let c = '\''; let p = "/var/lib/x";"#,
            r#"fn f<'a>(x: &'a str) { g("/usr/lib") }"#,
            r#"#[cfg(test)] mod t { fn f() { "/dev/x"; } } fn g() { "/dev/y"; }"#,
        ];
        for text in bad {
            assert_eq!(system_paths(&Source::new("apply/x.rs", text)).len(), 1, "{text}");
        }
        let good = [
            r#"// "/sys""#,
            r#"let p = "relative to /dev: leave out";"#,
            r#"let p = "/devices/x"; let q = "/system"; let r = "\"/sys\"";"#,
            r#"#[cfg(test)] mod tests { const X: &str = "/sys"; }"#,
            r#"open("/dev/null")"#,
        ];
        for text in good {
            assert_eq!(system_paths(&Source::new("apply/x.rs", text)), [] as [&str; 0], "{text}");
        }
        assert_eq!(system_paths(&Source::new("ids.rs", r#"(b"/dev/", b"/dev/sda")"#)).len(), 1);
        assert_eq!(system_paths(&Source::new("sys/fd.rs", r#""/proc/self/fd/3""#)).len(), 0);
    }

    #[test]
    fn files_for_tests_are_free() {
        let mut sources = [
            ("rules/eval/mod.rs", "mod a;\n#[cfg(test)]\npub(crate) mod testing;\n#[cfg(test)]\nmod tests;"),
            ("rules/eval/testing.rs", "open(\"/proc/1\"); use crate::cli;"),
            ("rules/eval/tests/mod.rs", "open(\"/proc/1\")"),
            ("rules/eval/a.rs", "open(\"/proc/1\")"),
            ("rules/testing.rs", "use crate::cli;"),
        ]
        .map(|(path, text)| Source::new(path, text));
        mark_tests(&mut sources);
        let found =
            |check: fn(&Source) -> Vec<String>| sources.iter().map(|s| check(s).len()).collect::<Vec<_>>();
        assert_eq!(found(system_paths), [0, 0, 0, 1, 0]);
        assert_eq!(found(uses_of_higher_levels), [0, 0, 0, 0, 1]);
    }
}
