//! The stream of the control socket, cut into messages.

use std::io::BufReader;

use nameplate::daemon::control::frame::{FrameError, read_message, write_message};

/// The first byte gives the longest message, the rest is the stream: however it arrives, the messages are the same, and
/// they are the stream's.
pub fn check(data: &[u8]) {
    let Some((&limit, stream)) = data.split_first() else { return };
    let limit = usize::from(limit);
    let whole = read_all(stream, stream.len().max(1), limit);
    for capacity in [1, 2, 7] {
        assert_eq!(read_all(stream, capacity, limit), whole, "with {capacity} bytes at a time");
    }
    let (messages, end) = whole;
    let mut joined = Vec::new();
    for message in &messages {
        assert!(message.len() <= limit && !message.contains(&0), "{message:?}");
        joined.extend_from_slice(message);
        joined.push(0);
    }
    assert!(stream.starts_with(&joined), "the messages are not the stream's");
    let rest = stream.get(joined.len()..).unwrap_or_default();
    let first = rest.split(|&b| b == 0).next().unwrap_or_default();
    match end {
        End::Proper => assert!(rest.is_empty(), "something is left: {rest:?}"),
        End::Cut => assert!(!rest.is_empty() && rest.len() <= limit && !rest.contains(&0), "cut: {rest:?}"),
        End::TooLong => assert!(first.len() > limit, "too long: {rest:?}"),
    }
    let mut out = Vec::new();
    let text = String::from_utf8_lossy(stream);
    assert!(write_message(&mut out, &text).is_ok(), "a string can't be written");
    let (messages, end) = read_all(&out, 64, out.len());
    assert_eq!((messages.len(), end), (1, End::Proper), "one message was written");
}

#[derive(Debug, PartialEq, Eq)]
enum End {
    Proper,
    Cut,
    TooLong,
}

fn read_all(bytes: &[u8], capacity: usize, limit: usize) -> (Vec<Vec<u8>>, End) {
    let mut stream = BufReader::with_capacity(capacity, bytes);
    let mut messages = Vec::new();
    loop {
        match read_message(&mut stream, limit) {
            Ok(Some(message)) => messages.push(message),
            Ok(None) => return (messages, End::Proper),
            Err(FrameError::Cut) => return (messages, End::Cut),
            Err(FrameError::TooLong(_)) => return (messages, End::TooLong),
            Err(FrameError::Io(error)) => panic!("memory can't fail: {error}"),
        }
    }
}
