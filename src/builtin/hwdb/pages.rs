//! Owns reading a database at any place: from memory, or from its file through a few cached pages.
//!
//! A file is read and not mapped: one that somebody writes over or cuts off while it is open then gives an error, where a
//! map would end the daemon. Never knows what the bytes mean.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Bytes of one page.
const PAGE: u64 = 4096;
/// Pages that are kept: 512 KiB, of a file of some 13 MB.
const KEPT: u64 = 128;

/// What is behind a database.
#[derive(Debug)]
pub(super) enum Bytes {
    /// All of it.
    Memory(Vec<u8>),
    /// A file of that length, with what was read of it last.
    File { file: File, length: u64, cache: Mutex<Cache> },
}

/// Pages by their number's remainder.
#[derive(Debug, Default)]
pub(super) struct Cache {
    pages: Vec<Option<Page>>,
}

#[derive(Debug, Clone)]
struct Page {
    number: u64,
    bytes: Box<[u8]>,
}

impl Bytes {
    /// A file, which is not read yet.
    pub(super) fn file(file: File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        Ok(Bytes::File { file, length, cache: Mutex::default() })
    }

    /// How many bytes there are.
    pub(super) fn length(&self) -> u64 {
        match self {
            Bytes::Memory(bytes) => u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            Bytes::File { length, .. } => *length,
        }
    }

    /// For one query. Others wait until it is dropped.
    pub(super) fn view(&self) -> View<'_> {
        match self {
            Bytes::Memory(bytes) => View::Memory(bytes),
            Bytes::File { file, cache, length } => {
                View::File(file, *length, cache.lock().unwrap_or_else(PoisonError::into_inner))
            }
        }
    }
}

/// Reads for one query.
#[derive(Debug)]
pub(super) enum View<'b> {
    /// From memory.
    Memory(&'b [u8]),
    /// From a file that had that length when it was opened.
    File(&'b File, u64, MutexGuard<'b, Cache>),
}

impl View<'_> {
    /// What is at `offset`, at least one byte and at most to the end of a page. Error: nothing is there, or the kernel's.
    fn at(&mut self, offset: u64) -> io::Result<&[u8]> {
        let found = match self {
            View::Memory(bytes) => usize::try_from(offset).ok().and_then(|at| bytes.get(at..)),
            View::File(_, length, _) if offset >= *length => None,
            View::File(file, _, cache) => {
                let page = cache.page(file, offset / PAGE)?;
                usize::try_from(offset % PAGE).ok().and_then(|at| page.get(at..))
            }
        };
        found.filter(|bytes| !bytes.is_empty()).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    /// Fills `out` from `offset` on.
    pub(super) fn read(&mut self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let (mut offset, mut rest) = (offset, out);
        while !rest.is_empty() {
            let found = self.at(offset)?;
            let count = found.len().min(rest.len());
            let (now, later) = rest.split_at_mut(count);
            now.copy_from_slice(found.get(..count).unwrap_or_default());
            offset = offset.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
            rest = later;
        }
        Ok(())
    }

    /// Adds the string at `offset` to `out`, without the NUL that ends it. `InvalidData`: it is longer than `most`.
    pub(super) fn string(&mut self, offset: u64, most: usize, out: &mut Vec<u8>) -> io::Result<()> {
        let (mut offset, before) = (offset, out.len());
        loop {
            let found = self.at(offset)?;
            let end = memchr::memchr(0, found);
            let text = found.get(..end.unwrap_or(found.len())).unwrap_or_default();
            if out.len() - before + text.len() > most {
                return Err(io::ErrorKind::InvalidData.into());
            }
            out.extend_from_slice(text);
            if end.is_some() {
                return Ok(());
            }
            offset = offset.saturating_add(u64::try_from(text.len()).unwrap_or(u64::MAX));
        }
    }
}

impl Cache {
    fn page(&mut self, file: &File, number: u64) -> io::Result<&[u8]> {
        let slot = usize::try_from(number % KEPT).unwrap_or(0);
        if self.pages.len() <= slot {
            self.pages.resize(slot + 1, None);
        }
        let Some(place) = self.pages.get_mut(slot) else { return Ok(&[]) };
        if place.as_ref().is_none_or(|page| page.number != number) {
            *place = None;
            let bytes = read_page(file, number)?;
            *place = Some(Page { number, bytes });
        }
        Ok(place.as_ref().map(|page| &*page.bytes).unwrap_or_default())
    }
}

/// What there is of a page: less than a whole one only at the end of the file.
fn read_page(file: &File, number: u64) -> io::Result<Box<[u8]>> {
    let mut bytes = vec![0; usize::try_from(PAGE).unwrap_or(0)];
    let start = number.checked_mul(PAGE).ok_or(io::ErrorKind::UnexpectedEof)?;
    let mut filled: usize = 0;
    while let Some(room) = bytes.get_mut(filled..).filter(|room| !room.is_empty()) {
        let offset = start.saturating_add(u64::try_from(filled).unwrap_or(u64::MAX));
        match file.read_at(room, offset) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_reads_as_memory_does() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("f");
        // three pages and a bit, with strings that cross the pages' ends
        let mut bytes = Vec::new();
        (b'a'..=b'l').for_each(|letter| bytes.extend([&[letter; 999][..], &[0]].concat()));
        bytes.resize(3 * 4096 + 100, b'm');
        std::fs::write(&path, &bytes).unwrap();
        let file = Bytes::file(File::open(&path).unwrap()).unwrap();
        let memory = Bytes::Memory(bytes.clone());
        assert_eq!(file.length(), memory.length());
        for offset in
            [0, 1, 998, 999, 4000, 4095, 4096, 8191, 12287, 12288, 12300, 12387, 12388, 1 << 40, u64::MAX]
        {
            let of = |bytes: &Bytes| {
                let mut fixed = [0; 700];
                let read = bytes.view().read(offset, &mut fixed).map(|()| fixed).map_err(|e| e.kind());
                let mut text = Vec::new();
                let string =
                    bytes.view().string(offset, 2000, &mut text).map(|()| text).map_err(|e| e.kind());
                (read, string)
            };
            assert_eq!(of(&file), of(&memory), "{offset}");
        }
        let mut text = b"kept".to_vec();
        memory.view().string(4000, 999, &mut text).unwrap();
        assert_eq!(text, [&b"kept"[..], &[b'e'; 999]].concat());
        assert_eq!(
            memory.view().string(4000, 998, &mut text).unwrap_err().kind(),
            io::ErrorKind::InvalidData
        );
    }

    #[test]
    fn a_file_that_is_cut_off_is_an_error() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("f");
        std::fs::write(&path, vec![1; 10_000]).unwrap();
        let bytes = Bytes::file(File::open(&path).unwrap()).unwrap();
        std::fs::write(&path, "short").unwrap();
        assert!(bytes.view().read(9000, &mut [0; 8]).is_err());
    }
}
