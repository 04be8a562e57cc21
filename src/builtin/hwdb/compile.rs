//! Owns the sources of the hardware database: which `hwdb.d/*.hwdb` files count, their language, and building `hwdb.bin` of them.
//!
//! A record is one or more patterns, each on a line of its own from the first column, then properties, each on a line that
//! begins with a space, then an empty line. A mistake costs its line or its record and is told with its place. Source:
//! `hwdb(7)`. Never writes a file.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use bstr::{BString, ByteSlice};

use super::HwdbError;
pub use super::trie::Sources;
use super::trie::{Place, Trie};

/// No pattern may be longer: no reader would look at it.
const PATTERN_MAX: usize = 2047;

/// A mistake in a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1; 0 for the whole file.
    pub line: u32,
    /// What is wrong.
    pub what: Mistake,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file.display(), self.what),
            line => write!(f, "{}:{line}: {}", self.file.display(), self.what),
        }
    }
}

/// What can be wrong, and what it costs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mistake {
    /// The file can't be read.
    #[error("the file is left out: {0}")]
    Unreadable(String),
    /// A property where a record should begin.
    #[error("`{0}` is indented and no pattern is before it: the line is left out")]
    NoPattern(BString),
    /// A record without properties.
    #[error("the record has no properties and is left out")]
    NoProperties,
    /// Something between properties that is none.
    #[error("`{0}` is no property and not indented: the rest of the record is left out")]
    NotIndented(BString),
    /// A property without `=`.
    #[error("`{0}` has no `=`: the line is left out")]
    NoEquals(BString),
    /// A property without a key.
    #[error("`{0}` has no key before `=`: the line is left out")]
    NoKey(BString),
    /// A line that can't be kept.
    #[error("the line has a NUL byte and is left out")]
    Nul,
    /// A pattern that nothing could match.
    #[error("the pattern is longer than {PATTERN_MAX} bytes and is left out")]
    TooLong,
    /// More files than a database can number.
    #[error("the file is left out: there are more than 65,535")]
    TooMany,
    /// More text than a database can hold.
    #[error("the line is left out: the database has four gigabytes of text")]
    Full,
}

/// A database that was built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compiled {
    /// What belongs into `hwdb.bin`.
    pub bytes: Vec<u8>,
    /// What was left out of it.
    pub problems: Vec<Problem>,
}

/// The source files of `dirs` (strongest first) in their order, which is that of their names: of files with one name the
/// strongest counts. A link to `/dev/null` is in the list too: it masks the others and has nothing in it, but a number. A directory that is not there has none.
pub fn sources(dirs: &[PathBuf]) -> Result<Vec<PathBuf>, HwdbError> {
    let mut files: BTreeMap<OsString, PathBuf> = BTreeMap::new();
    for dir in dirs {
        let failed = |source| HwdbError::Read { path: dir.clone(), source };
        let (dir, entries) = match fs::canonicalize(dir).and_then(|dir| Ok((fs::read_dir(&dir)?, dir))) {
            Ok((entries, dir)) => (dir, entries),
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(failed(error)),
        };
        for entry in entries {
            let path = dir.join(entry.map_err(failed)?.file_name());
            let Some(name) = path.file_name().filter(|name| is_source(name.as_bytes())) else { continue };
            files.entry(name.to_owned()).or_insert(path);
        }
    }
    Ok(files.into_values().collect())
}

fn is_source(name: &[u8]) -> bool {
    name.ends_with(b".hwdb") && !name.starts_with(b".")
}

fn is_mask(path: &Path) -> bool {
    fs::read_link(path).is_ok_and(|target| target == Path::new("/dev/null"))
}

/// Builds the database of `files`, in that order. Whatever is wrong with them, there is a database of the rest.
pub fn compile(files: &[PathBuf], sources: Sources) -> Compiled {
    let mut build = Build { trie: Trie::new(sources), problems: Vec::new() };
    for (at, file) in files.iter().enumerate().filter(|(_, file)| !is_mask(file)) {
        let text = match fs::metadata(file).and_then(|meta| match meta.is_file() {
            true => fs::read(file),
            false => Err(io::Error::other("it is no regular file")),
        }) {
            Ok(text) => text,
            Err(error) => {
                build.problem(file, 0, Mistake::Unreadable(error.to_string()));
                continue;
            }
        };
        match u16::try_from(at + 1) {
            Ok(priority) => build.file(file, priority, &text),
            Err(_) => build.problem(file, 0, Mistake::TooMany),
        }
    }
    Compiled { bytes: build.trie.bytes(), problems: build.problems }
}

/// Builds the database of one source that is in memory.
pub fn compile_text(name: &Path, text: &[u8], sources: Sources) -> Compiled {
    let mut build = Build { trie: Trie::new(sources), problems: Vec::new() };
    build.file(name, 1, text);
    Compiled { bytes: build.trie.bytes(), problems: build.problems }
}

struct Build {
    trie: Trie,
    problems: Vec<Problem>,
}

/// What the lines before have begun.
enum State<'t> {
    /// Nothing: the next line begins a record.
    Between,
    /// These patterns.
    Patterns(Vec<&'t [u8]>),
    /// A record with these patterns and some property.
    Properties(Vec<&'t [u8]>),
}

impl Build {
    fn problem(&mut self, file: &Path, line: u32, what: Mistake) {
        self.problems.push(Problem { file: file.into(), line, what });
    }

    fn file(&mut self, file: &Path, priority: u16, text: &[u8]) {
        let name = file.as_os_str().as_bytes();
        let mut state = State::Between;
        let mut number = 0;
        for raw in text.lines() {
            number += 1;
            // a comment of its own does not end a record, what is left empty by one does
            if raw.starts_with(b"#") {
                continue;
            }
            let line = raw.split(|&byte| byte == b'#').next().unwrap_or_default();
            let line = line.trim_end_with(|c| matches!(c, ' ' | '\t' | '\r'));
            let place = Place { file: name, priority, line: number };
            if line.contains(&0) {
                self.problem(file, number, Mistake::Nul);
                continue;
            }
            let next = self.line(state, line, place);
            state = next.state;
            next.mistakes.into_iter().for_each(|what| self.problem(file, number, what));
        }
        if matches!(state, State::Patterns(_)) {
            self.problem(file, number, Mistake::NoProperties);
        }
    }

    fn line<'t>(&mut self, state: State<'t>, line: &'t [u8], place: Place<'_>) -> Next<'t> {
        let is_property = line.starts_with(b" ");
        match state {
            State::Between if line.is_empty() => State::Between.into(),
            State::Between if is_property => Next::with(State::Between, Mistake::NoPattern(line.into())),
            State::Between => pattern(Vec::new(), line),
            State::Patterns(_) if line.is_empty() => Next::with(State::Between, Mistake::NoProperties),
            State::Properties(_) if line.is_empty() => State::Between.into(),
            State::Patterns(patterns) if !is_property => pattern(patterns, line),
            State::Properties(_) if !is_property => {
                Next::with(State::Between, Mistake::NotIndented(line.into()))
            }
            State::Patterns(patterns) | State::Properties(patterns) => {
                let mistakes = self.property(&patterns, line, place).err().into_iter().collect();
                Next { state: State::Properties(patterns), mistakes }
            }
        }
    }

    /// Gives all patterns of the record the property of a line.
    fn property(&mut self, patterns: &[&[u8]], line: &[u8], place: Place<'_>) -> Result<(), Mistake> {
        let Some((key, value)) = line.split_once_str(b"=") else {
            return Err(Mistake::NoEquals(line.into()));
        };
        // one space is part of the key as it is kept; of several blanks the last counts
        let blanks = key.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        let key = key.get(blanks.saturating_sub(1)..).unwrap_or_default();
        if key.len() <= 1 {
            return Err(Mistake::NoKey(line.into()));
        }
        for pattern in patterns {
            self.trie.insert(pattern, key, value, place).ok_or(Mistake::Full)?;
        }
        Ok(())
    }
}

/// What a line leads to.
struct Next<'t> {
    state: State<'t>,
    mistakes: Vec<Mistake>,
}

impl<'t> Next<'t> {
    fn with(state: State<'t>, mistake: Mistake) -> Self {
        Self { state, mistakes: vec![mistake] }
    }
}

impl<'t> From<State<'t>> for Next<'t> {
    fn from(state: State<'t>) -> Self {
        Self { state, mistakes: Vec::new() }
    }
}

/// One more pattern; one that is too long costs itself, and not the record.
fn pattern<'t>(mut patterns: Vec<&'t [u8]>, line: &'t [u8]) -> Next<'t> {
    if line.len() > PATTERN_MAX {
        return Next::with(State::Patterns(patterns), Mistake::TooLong);
    }
    patterns.push(line);
    State::Patterns(patterns).into()
}
