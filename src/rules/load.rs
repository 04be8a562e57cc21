//! Owns which files are rules: the directories, their order, masking, and what happens to a file that is broken.
//!
//! Reads files and gives values back. Never says what a rule means (that is the parsers') and never watches.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::ir::RuleFile;
use super::toml::{self, Known, RuleTest, codes};
use super::udev;
use crate::diag::{Diagnostic, Severity, SourceFile};

/// A rule file larger than this was not written by a person, and is refused.
const SIZE_MAX: u64 = 4 << 20;

/// What the rule directories hold.
#[derive(Debug, Clone, Default)]
pub struct Loaded {
    /// The files in order of evaluation; one that can't be read or understood is there without rules.
    pub files: Vec<Arc<RuleFile>>,
    /// The tests of all files.
    pub tests: Vec<RuleTest>,
    /// What is wrong, file by file.
    pub diagnostics: Vec<Diagnostic>,
    /// Empty files and links to the null device: they take weaker files of their name out of force.
    pub masked: Vec<PathBuf>,
}

/// A file whose new text is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The file.
    pub path: PathBuf,
    /// All that is wrong with it, warnings too.
    pub diagnostics: Vec<Diagnostic>,
}

/// New rules after the policy for a running daemon.
#[derive(Debug, Clone, Default)]
pub struct Merged {
    /// What is in force now. Its diagnostics belong to the texts in force.
    pub loaded: Loaded,
    /// The files that are broken; their previous version, if there was one, stays in force.
    pub refused: Vec<Refused>,
}

/// Reads all rule files of `dirs`, strongest directory first. A directory that is not there holds nothing.
pub fn load(dirs: &[PathBuf], known: &Known<'_>) -> Loaded {
    let mut out = Loaded::default();
    let mut seen: BTreeMap<OsString, PathBuf> = BTreeMap::new();
    for dir in dirs {
        match names(dir) {
            Ok(names) => names.into_iter().for_each(|name| {
                let path = dir.join(&name);
                seen.entry(name).or_insert(path);
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => out.diagnostics.push(unreadable(dir, &error)),
        }
    }
    let names = seen.keys().cloned().collect();
    for (name, path) in seen {
        one(&mut out, &name, &path, &names, known);
    }
    out
}

/// Reads the rule files of `paths` themselves, in this order (`check FILE`).
pub fn load_files(paths: &[PathBuf], known: &Known<'_>) -> Loaded {
    let mut out = Loaded::default();
    for path in paths {
        one(&mut out, path.file_name().unwrap_or_default(), path, &BTreeSet::new(), known);
    }
    out
}

/// Names of rule files in a directory; hidden files and what editors leave behind are none.
fn names(dir: &Path) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        let bytes = name.as_bytes();
        if !bytes.starts_with(b".") && (bytes.ends_with(b".toml") || bytes.ends_with(b".rules")) {
            names.push(name);
        }
    }
    Ok(names)
}

/// What is at the path of a rule file.
enum Content {
    Masked,
    Text(Vec<u8>),
}

/// Reads one file; `names` are those of all files, masked ones too.
fn one(out: &mut Loaded, name: &OsStr, path: &Path, names: &BTreeSet<OsString>, known: &Known<'_>) {
    let bytes = match read(path) {
        Ok(Content::Masked) => return out.masked.push(path.into()),
        Ok(Content::Text(bytes)) => bytes,
        Err(error) => {
            let diagnostic = unreadable(path, &error);
            let source = Arc::clone(&diagnostic.place.file);
            out.files.push(Arc::new(RuleFile { source, rules: Vec::new() }));
            return out.diagnostics.push(diagnostic);
        }
    };
    let source = SourceFile::new(path, &bytes);
    if name.as_bytes().ends_with(b".rules") {
        let parsed = udev::parse(&source, &bytes, known);
        out.files.push(Arc::new(RuleFile { source, rules: parsed.rules }));
        return out.diagnostics.extend(parsed.diagnostics);
    }
    let mut parsed = match std::str::from_utf8(&bytes) {
        Ok(_) => toml::parse(&source, known),
        Err(error) => {
            let at = error.valid_up_to();
            let place = source.place(at..at + '\u{fffd}'.len_utf8());
            let diagnostic = Diagnostic::error(codes::SYNTAX, "a byte that is no UTF-8", place);
            toml::Parsed { diagnostics: vec![diagnostic], ..toml::Parsed::default() }
        }
    };
    if parsed.gives_way_to.iter().any(|(_, other)| names.contains(OsStr::new(other))) {
        // Its tests speak of rules that are not in force.
        (parsed.rules, parsed.tests) = (Vec::new(), Vec::new());
    }
    out.files.push(Arc::new(RuleFile { source, rules: parsed.rules }));
    out.tests.extend(parsed.tests);
    out.diagnostics.extend(parsed.diagnostics);
}

fn read(path: &Path) -> io::Result<Content> {
    // A FIFO or a device under the name of a rule file must not hold up the daemon.
    let file = File::options().read(true).custom_flags(nix::libc::O_NONBLOCK).open(path)?;
    let metadata = file.metadata()?;
    if masks(&metadata) {
        return Ok(Content::Masked);
    }
    if !metadata.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(SIZE_MAX + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > SIZE_MAX {
        return Err(io::Error::other("larger than 4 MiB"));
    }
    Ok(Content::Text(bytes))
}

/// An empty file, or the null device (1:3).
fn masks(metadata: &Metadata) -> bool {
    let null = nix::libc::makedev(1, 3);
    (metadata.is_file() && metadata.len() == 0)
        || (metadata.file_type().is_char_device() && metadata.rdev() == null)
}

fn unreadable(path: &Path, error: &io::Error) -> Diagnostic {
    let place = SourceFile::new(path, b"").place(0..0);
    Diagnostic::error(codes::UNREADABLE, format!("can't be read: {error}"), place)
}

/// Puts `new` in the place of `old`, file by file: one that has errors is refused, and what was in force under its
/// name stays. A file whose text and rules are the same stays the same object. Files that are gone are gone.
///
/// At the start of a daemon nothing is in force yet: take what [`load`] gives, in which a mistake costs itself alone.
pub fn merge(old: &Loaded, new: Loaded) -> Merged {
    let mut out = Merged::default();
    let previous: BTreeMap<&OsStr, &Arc<RuleFile>> =
        old.files.iter().map(|file| (name_of(file), file)).collect();
    let broken = new.broken();
    for file in &new.files {
        let before = previous.get(name_of(file)).copied();
        let same = before.is_some_and(|before| before.source == file.source);
        let path = &file.source.path;
        if broken.contains(path.as_path()) && !same {
            out.refused.push(Refused { path: path.clone(), diagnostics: new.about(path) });
            if let Some(before) = before {
                out.loaded.take(old, before);
            }
        } else if let Some(before) = before.filter(|before| same && before.rules == file.rules) {
            out.loaded.take(old, before);
        } else {
            out.loaded.take(&new, file);
        }
    }
    keep_unread(&mut out.loaded, old, &new);
    let files: BTreeSet<&Path> = new.files.iter().map(|file| file.source.path.as_path()).collect();
    let others = new.diagnostics.iter().filter(|one| !files.contains(one.place.file.path.as_path()));
    out.loaded.diagnostics.extend(others.cloned());
    out.loaded.masked = new.masked;
    out
}

/// A directory that can't be read now says nothing of its files: what was in force from it stays.
fn keep_unread(in_force: &mut Loaded, old: &Loaded, new: &Loaded) {
    let broken = new.broken();
    let masked = new.masked.iter().filter_map(|path| path.file_name());
    let names: BTreeSet<&OsStr> = new.files.iter().map(name_of).chain(masked).collect();
    for file in &old.files {
        let dir = file.source.path.parent().unwrap_or(Path::new(""));
        if broken.contains(dir) && !names.contains(name_of(file)) {
            in_force.take(old, file);
        }
    }
    in_force.files.sort_by(|a, b| name_of(a).cmp(name_of(b)));
}

fn name_of(file: &Arc<RuleFile>) -> &OsStr {
    file.source.path.file_name().unwrap_or_default()
}

impl Loaded {
    /// True if something is an error.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
    }

    /// Paths with an error.
    fn broken(&self) -> BTreeSet<&Path> {
        let errors = self.diagnostics.iter().filter(|one| one.severity == Severity::Error);
        errors.map(|one| one.place.file.path.as_path()).collect()
    }

    /// What is wrong with one file.
    fn about(&self, path: &Path) -> Vec<Diagnostic> {
        self.diagnostics.iter().filter(|one| one.place.file.path == path).cloned().collect()
    }

    /// Adds a file with its tests and diagnostics.
    fn take(&mut self, from: &Loaded, file: &Arc<RuleFile>) {
        let path = &file.source.path;
        self.files.push(Arc::clone(file));
        self.tests.extend(from.tests.iter().filter(|test| test.place.file.path == *path).cloned());
        self.diagnostics.extend(from.about(path));
    }
}
