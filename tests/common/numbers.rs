//! Owns numbers and texts that are odd, and the same each time a test runs.

// Every test binary that takes this file in uses another part of it. A test helper that can't go on has to panic: clippy's
// exception for tests does not reach functions beside them.
#![allow(dead_code, clippy::unwrap_used, clippy::indexing_slicing)]

/// Numbers that look random and are the same each time (xorshift).
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(end).unwrap()).unwrap()
    }

    pub(crate) fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    pub(crate) fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).unwrap()
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.byte()).collect()
    }

    /// A text as devices have them, odd ones among them, padded to `len`.
    pub(crate) fn text(&mut self, len: usize) -> Vec<u8> {
        let texts: [&[u8]; 12] = [
            b"",
            b"WDC WD10EZEX-08WN4A0",
            b"  in front",
            b"two  blanks",
            b"a/b\\c",
            b"comma,semi;colon:",
            b"tab\tnl\ncr\r.",
            "Gr\u{f6}\u{df}e \u{2116}7".as_bytes(),
            b"\xff\xfe\x80half\xc3",
            b"\x01\x1b[0m",
            b"nul\0after",
            b"\\x2f $env{X} %n",
        ];
        let mut out = if self.below(5) == 0 { self.bytes(len) } else { self.one(&texts).to_vec() };
        let pad = self.one(b"   \0");
        out.resize(len, pad);
        out
    }

    /// Changes some bytes.
    pub(crate) fn spoil(&mut self, bytes: &mut [u8]) {
        for _ in 0..self.below(4) {
            if !bytes.is_empty() {
                let at = self.below(bytes.len());
                bytes[at] = self.byte();
            }
        }
    }
}
