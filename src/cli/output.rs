//! Owns how facts are shown: colours only where they are wanted, bytes that can't harm a terminal, JSON.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

use serde::Serialize;

/// How text looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Escape sequences for colours may be used.
    pub colour: bool,
}

/// What a piece of text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ink {
    /// A name.
    Bold,
    /// What is there, or comes.
    Green,
    /// What is wrong, or goes.
    Red,
    /// What is odd.
    Yellow,
    /// What is beside the point.
    Dim,
}

impl Style {
    /// Colours on a terminal, unless `NO_COLOR` has a value or the terminal is `dumb`.
    pub fn of_stdout() -> Self {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self { colour: !unwanted && io::stdout().is_terminal() }
    }

    /// The text in a colour, or as it is.
    pub fn paint(self, ink: Ink, text: impl Display) -> String {
        let code = match ink {
            Ink::Bold => "1",
            Ink::Green => "32",
            Ink::Red => "31",
            Ink::Yellow => "33",
            Ink::Dim => "2",
        };
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_string() }
    }
}

/// Text of a device's with its control characters escaped (`\x1b`): a device must not be able to write to the terminal.
pub fn shown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            out.push_str(&format!("\\x{:02x}", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    out
}

/// One JSON value, for people and programs: indented.
pub fn json(out: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    writeln!(out)
}

/// One JSON value on one line, written out at once.
pub fn json_line(out: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    writeln!(out)?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_can_not_write_to_the_terminal() {
        assert_eq!(shown("a\x1b[2Jb\u{9b}m\u{fc}\n"), "a\\x1b[2Jb\\x9bm\u{fc}\\x0a");
    }

    #[test]
    fn paint() {
        assert_eq!(Style { colour: false }.paint(Ink::Red, 7), "7");
        assert_eq!(Style { colour: true }.paint(Ink::Red, 7), "\x1b[31m7\x1b[0m");
    }
}
