//! Owns the cutting of a stream into Varlink's messages: JSON objects, each ended by a NUL. Bounded in memory.
//!
//! Never looks into a message.

use std::io::{self, BufRead, Write};

use serde::Serialize;

/// Longest request that a client may send, in bytes. The longest honest one has some 200.
pub const REQUEST_LIMIT: usize = 64 * 1024;
/// Longest reply that a tool takes, in bytes: a list of some 200,000 links.
pub const REPLY_LIMIT: usize = 64 * 1024 * 1024;

/// Why there is no message.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The other side closed the connection inside a message.
    #[error("the connection ended inside a message")]
    Cut,
    /// Longer than the limit, which is given.
    #[error("message longer than {0} bytes")]
    TooLong(usize),
    /// Reading failed.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// The next message without its NUL; `None` when the other side has ended properly.
pub fn read_message(stream: &mut impl BufRead, limit: usize) -> Result<Option<Vec<u8>>, FrameError> {
    let mut message = Vec::new();
    loop {
        let part = match stream.fill_buf() {
            Ok(part) => part,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        };
        if part.is_empty() {
            return if message.is_empty() { Ok(None) } else { Err(FrameError::Cut) };
        }
        let end = memchr::memchr(0, part);
        let taken = part.get(..end.unwrap_or(part.len())).unwrap_or_default();
        if message.len() + taken.len() > limit {
            return Err(FrameError::TooLong(limit));
        }
        message.extend_from_slice(taken);
        let used = taken.len() + usize::from(end.is_some());
        stream.consume(used);
        if end.is_some() {
            return Ok(Some(message));
        }
    }
}

/// Writes one message with its NUL, in one call where the socket takes it.
pub fn write_message(stream: &mut impl Write, message: &impl Serialize) -> io::Result<()> {
    let mut bytes = serde_json::to_vec(message)?;
    bytes.push(0);
    stream.write_all(&bytes)?;
    stream.flush()
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    fn read_all(bytes: &[u8], capacity: usize, limit: usize) -> (Vec<Vec<u8>>, String) {
        let mut stream = BufReader::with_capacity(capacity, bytes);
        let mut messages = Vec::new();
        loop {
            match read_message(&mut stream, limit) {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => return (messages, "end".into()),
                Err(error) => return (messages, error.to_string()),
            }
        }
    }

    #[test]
    fn messages_of_any_cut() {
        for capacity in [1, 2, 3, 100] {
            let (messages, end) = read_all(b"{}\0abc\0\0", capacity, 3);
            assert_eq!(messages, [&b"{}"[..], b"abc", b""]);
            assert_eq!(end, "end");
            assert_eq!(read_all(b"{}\0ab", capacity, 3).1, "the connection ended inside a message");
            assert_eq!(read_all(b"abcd\0", capacity, 3).1, "message longer than 3 bytes");
        }
    }
}
