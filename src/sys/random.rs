//! Owns bytes that nobody can foresee, from the kernel's generator.

use nix::errno::Errno;

/// So many bytes. Waits, early after the machine's start, until the kernel has gathered enough chance.
pub fn bytes(count: usize) -> Result<Vec<u8>, Errno> {
    let mut out = vec![0; count];
    let mut filled = 0;
    while let Some(room) = out.get_mut(filled..).filter(|room| !room.is_empty()) {
        // SAFETY: pointer and length are those of one slice that is borrowed for the call.
        let got = unsafe { libc::getrandom(room.as_mut_ptr().cast(), room.len(), 0) };
        match Errno::result(got) {
            Ok(got) => filled += usize::try_from(got).unwrap_or_default(),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_are_alike() {
        assert_eq!(bytes(0), Ok(vec![]));
        let (one, two) = (bytes(32).unwrap(), bytes(32).unwrap());
        assert_eq!(one.len(), 32);
        assert_ne!(one, two);
    }
}
