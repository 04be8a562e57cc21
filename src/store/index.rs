//! Owns the numbers that rules' `index` gives: one for each identity in a pool, the same for ever.
//!
//! Numbers count up from 0 in each pool and are never given again, so that a device that comes back after years finds its
//! own. They are kept in one text file, a line `NUMBER POOL IDENTITY` for each, bytes outside udev's safe set as `\xNN`
//! and nothing as `""`; lines that begin with `#` and lines that can't be read are kept as they are. The file is written
//! whole and is on the medium before a number is used. Other processes may give numbers from the same file: each takes
//! the directory's lock and reads the file again if it has changed.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bstr::{BString, ByteSlice};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, Flock, FlockArg};
use nix::sys::stat::{Mode, fstatat};

use crate::sys::fs::{Durability, open_dir, read_file, write_whole};
use crate::text::encode_node_name;

const FILE: &[u8] = b"indexes";
const TEMPORARY: &[u8] = b".indexes.new";
/// No state file is longer: about 200,000 numbers.
const FILE_MAX: usize = 16 << 20;

/// Numbers could not be read from the state directory or written there. They hold for this run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("can't {doing} the numbers in {}: {errno}", .dir.display())]
pub struct IndexError {
    /// `read`, `keep`.
    pub doing: &'static str,
    /// The state directory.
    pub dir: PathBuf,
    /// What the kernel said.
    pub errno: Errno,
}

/// A line of the file that is not understood, from 1. It costs itself alone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: not `NUMBER POOL IDENTITY`: `{text}`")]
pub struct BadLine {
    /// Which line, from 1.
    pub line: usize,
    /// The line.
    pub text: BString,
}

/// A number and whether it will be the same after a restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Number {
    /// The number.
    pub value: u32,
    /// Not kept, and why.
    pub kept: Result<(), IndexError>,
}

/// All numbers given so far. Shared between threads.
#[derive(Debug)]
pub struct Indexes {
    dir: PathBuf,
    given: Mutex<Given>,
}

#[derive(Debug, Default)]
struct Given {
    numbers: HashMap<(BString, BString), u32>,
    /// The next number of each pool; absent is 0.
    next: HashMap<BString, u32>,
    /// The file's text and what it was when it was read.
    text: Vec<u8>,
    seen: Option<Stamp>,
    /// Lines given in this run that are not in the file yet.
    unsaved: Vec<u8>,
}

/// Device, inode, size and change time: a file that was replaced or written has another.
type Stamp = (u64, u64, i64, i64, i64);

impl Indexes {
    /// Numbers kept in `dir` ([`crate::roots::Roots::state`]), read when the first is asked for.
    pub fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), given: Mutex::default() }
    }

    /// Numbers of a machine where none has been given: what a test of rules sees, whatever this machine has.
    pub fn none_given() -> Self {
        // a path that no directory can have
        Self::new(Path::new(""))
    }

    /// The number of `identity` in `pool`; a new identity gets the next one, which is kept.
    pub fn number(&self, pool: &[u8], identity: &[u8]) -> Number {
        let key = (BString::from(pool), BString::from(identity));
        let mut given = self.lock();
        if given.unsaved.is_empty()
            && let Some(&value) = given.numbers.get(&key)
        {
            return Number { value, kept: Ok(()) };
        }
        match self.open_locked() {
            Ok(dir) => {
                let read = given.refresh(&dir);
                let value = given.give(key);
                let kept = read
                    .map_err(|errno| self.error("read", errno))
                    .and_then(|()| given.save(&dir).map_err(|errno| self.error("keep", errno)));
                Number { value, kept }
            }
            Err(errno) => Number { value: given.give(key), kept: Err(self.error("keep", errno)) },
        }
    }

    /// The number that [`Indexes::number`] would give. Gives none and writes nothing; an unreadable file counts as empty.
    pub fn would_be(&self, pool: &[u8], identity: &[u8]) -> u32 {
        let mut given = self.lock();
        if let Ok(dir) = open_dir(&self.dir) {
            let _unreadable_is_empty = given.refresh(&dir);
        }
        let key = (BString::from(pool), BString::from(identity));
        let next = given.next.get(&key.0).copied().unwrap_or(0);
        given.numbers.get(&key).copied().unwrap_or(next)
    }

    /// Lines of the file that are not understood; for messages at start.
    pub fn bad_lines(&self) -> Result<Vec<BadLine>, IndexError> {
        match open_dir(&self.dir).and_then(|dir| read_file(dir, FILE, FILE_MAX)) {
            Ok(text) => Ok(parse(&text).1),
            Err(Errno::ENOENT) => Ok(Vec::new()),
            Err(errno) => Err(self.error("read", errno)),
        }
    }

    /// The state directory, locked against other processes until it is dropped.
    fn open_locked(&self) -> Result<Flock<OwnedFd>, Errno> {
        let create = |error: std::io::Error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO));
        let dir = match open_dir(&self.dir) {
            Err(Errno::ENOENT) => {
                std::fs::create_dir_all(&self.dir).map_err(create)?;
                open_dir(&self.dir)?
            }
            other => other?,
        };
        Flock::lock(dir, FlockArg::LockExclusive).map_err(|(_, errno)| errno)
    }

    fn error(&self, doing: &'static str, errno: Errno) -> IndexError {
        IndexError { doing, dir: self.dir.clone(), errno }
    }

    fn lock(&self) -> MutexGuard<'_, Given> {
        self.given.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Given {
    /// Reads the file if it is another than the one that was read last.
    fn refresh(&mut self, dir: &OwnedFd) -> Result<(), Errno> {
        let stamp = match fstatat(dir, FILE, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(s) => Some((s.st_dev, s.st_ino, s.st_size, s.st_ctime, s.st_ctime_nsec)),
            Err(Errno::ENOENT) => None,
            Err(errno) => return Err(errno),
        };
        if stamp == self.seen {
            return Ok(());
        }
        self.text = if stamp.is_some() { read_file(dir, FILE, FILE_MAX)? } else { Vec::new() };
        self.seen = stamp;
        for (number, pool, identity) in parse(&self.text).0 {
            let next = self.next.entry(pool.clone()).or_insert(0);
            *next = (*next).max(number.saturating_add(1));
            // the first line of an identity counts; in this run it keeps what it was given
            self.numbers.entry((pool, identity)).or_insert(number);
        }
        Ok(())
    }

    fn give(&mut self, key: (BString, BString)) -> u32 {
        if let Some(&number) = self.numbers.get(&key) {
            return number;
        }
        let next = self.next.entry(key.0.clone()).or_insert(0);
        let number = *next;
        *next = next.saturating_add(1);
        let line = bstr::join(" ", [number.to_string().as_bytes(), &word(&key.0), &word(&key.1)]);
        self.unsaved.extend_from_slice(&line);
        self.unsaved.push(b'\n');
        self.numbers.insert(key, number);
        number
    }

    fn save(&mut self, dir: &OwnedFd) -> Result<(), Errno> {
        if self.unsaved.is_empty() {
            return Ok(());
        }
        let mut text = self.text.clone();
        if !text.is_empty() && !text.ends_with(b"\n") {
            text.push(b'\n');
        }
        text.extend_from_slice(&self.unsaved);
        // under the lock nobody else writes: a file of this name is a killed run's
        let _none_left = nix::unistd::unlinkat(dir, TEMPORARY, nix::unistd::UnlinkatFlags::NoRemoveDir);
        let mode = Mode::from_bits_truncate(0o644);
        write_whole(dir, FILE, TEMPORARY, &text, mode, Durability::Disk)?;
        self.unsaved.clear();
        // read again next time: the file is another now
        self.refresh(dir)
    }
}

/// A word of a line.
fn word(bytes: &[u8]) -> BString {
    if bytes.is_empty() { "\"\"".into() } else { encode_node_name(bytes) }
}

/// The bytes of a word; `None` if it is not one that [`word`] writes.
fn unword(word: &[u8]) -> Option<BString> {
    if word == b"\"\"" {
        return Some(BString::default());
    }
    let mut out = BString::default();
    let mut rest = word;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let digits = rest.strip_prefix(b"x")?.get(..2)?.to_str().ok()?;
        out.push(u8::from_str_radix(digits, 16).ok()?);
        rest = rest.get(3..)?;
    }
    (!out.is_empty()).then_some(out)
}

type Line = (u32, BString, BString);

fn parse(text: &[u8]) -> (Vec<Line>, Vec<BadLine>) {
    let (mut lines, mut bad) = (Vec::new(), Vec::new());
    for (at, line) in text.lines().enumerate() {
        if line.trim().is_empty() || line.starts_with(b"#") {
            continue;
        }
        match parse_line(line) {
            Some(good) => lines.push(good),
            None => bad.push(BadLine { line: at + 1, text: line.into() }),
        }
    }
    (lines, bad)
}

fn parse_line(line: &[u8]) -> Option<Line> {
    let mut words = line.split(|&b| b == b' ');
    let number = words.next()?.to_str().ok()?.parse().ok()?;
    let (pool, identity) = (unword(words.next()?)?, unword(words.next()?)?);
    words.next().is_none().then_some((number, pool, identity))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn kept(value: u32) -> Number {
        Number { value, kept: Ok(()) }
    }

    #[test]
    fn the_same_after_a_restart() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("lib/nameplate");
        let odd: &[u8] = b"a b\n#\\\xff\0\"";
        for _ in 0..3 {
            let indexes = Indexes::new(&dir);
            let cases: &[(&str, &[u8], u32)] = &[
                ("camera", b"port-1", 0),
                ("camera", b"", 1),
                ("radio", b"port-1", 0),
                ("camera", odd, 2),
                ("", b"x", 0),
            ];
            for (pool, identity, number) in cases {
                assert_eq!(indexes.number(pool.as_bytes(), identity), kept(*number), "{pool}");
            }
            assert_eq!(indexes.would_be(b"camera", odd), 2);
            assert_eq!(indexes.would_be(b"camera", b"new"), 3);
        }
        let text = std::fs::read(dir.join("indexes")).unwrap();
        let expected = "0 camera port-1\n1 camera \"\"\n0 radio port-1\n2 camera a\\x20b\\x0a#\\x5c\\xff\\x00\\x22\n0 \"\" x\n";
        assert_eq!(text.as_bstr(), expected);
    }

    #[test]
    fn bad_lines_cost_themselves_alone_and_stay() {
        let temp = tempfile::tempdir().unwrap();
        let file = temp.path().join("indexes");
        let text = "# mine\n7 camera a\nx camera b\n8 camera\n-1 camera c\n9 camera d e\n1 camera \\xg0\n3 camera a\n2 camera torn";
        std::fs::write(&file, text).unwrap();
        std::fs::write(temp.path().join(".indexes.new"), "half").unwrap();
        let indexes = Indexes::new(temp.path());
        assert_eq!(indexes.number(b"camera", b"a"), kept(7));
        assert_eq!(indexes.number(b"camera", b"b"), kept(8));
        let lines: Vec<usize> = indexes.bad_lines().unwrap().iter().map(|bad| bad.line).collect();
        assert_eq!(lines, [3, 4, 5, 6, 7]);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), format!("{text}\n8 camera b\n"));
        assert!(!temp.path().join(".indexes.new").exists());
    }

    #[test]
    fn two_processes_and_many_threads_give_each_number_once() {
        let temp = tempfile::tempdir().unwrap();
        let both = [Indexes::new(temp.path()), Indexes::new(temp.path())];
        let numbers = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for (at, indexes) in both.iter().cycle().take(4).enumerate() {
                let numbers = &numbers;
                scope.spawn(move || {
                    for n in 0..10 {
                        let own = indexes.number(b"p", format!("{at}-{n}").as_bytes());
                        let shared = indexes.number(b"p", format!("all-{n}").as_bytes());
                        assert_eq!((own.kept, shared.kept), (Ok(()), Ok(())));
                        numbers.lock().unwrap().push(own.value);
                        numbers.lock().unwrap().push(shared.value);
                    }
                });
            }
        });
        let given: BTreeSet<u32> = numbers.into_inner().unwrap().into_iter().collect();
        assert_eq!(given, (0..50).collect());
        assert_eq!(Indexes::new(temp.path()).would_be(b"p", b"new"), 50);
    }

    #[test]
    fn an_unusable_directory_is_told_and_numbers_go_on() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("state");
        std::fs::write(&dir, "a file").unwrap();
        let indexes = Indexes::new(&dir);
        for (identity, value) in [("a", 0), ("b", 1), ("a", 0)] {
            let number = indexes.number(b"p", identity.as_bytes());
            assert_eq!(number.value, value);
            assert_eq!(number.kept.unwrap_err().errno, Errno::ENOTDIR);
        }
        // as soon as it is usable, what was given is kept
        std::fs::remove_file(&dir).unwrap();
        assert_eq!(indexes.number(b"p", b"c"), kept(2));
        assert_eq!(std::fs::read_to_string(dir.join("indexes")).unwrap(), "0 p a\n1 p b\n2 p c\n");
    }

    proptest! {
        #[test]
        fn any_word_is_read_again(bytes in prop::collection::vec(any::<u8>(), 0..20)) {
            let written = word(&bytes);
            prop_assert!(!written.contains(&b' ') && !written.contains(&b'\n'));
            prop_assert_eq!(unword(&written), Some(bytes.into()));
        }
    }
}
