//! Owns how udevadm's output looks on a terminal: colours where they are wanted, lines of trees as the locale has them.

use std::io::{self, IsTerminal};

use super::truth;

/// What is used of what terminals can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Look {
    /// Escape sequences for colours.
    pub(super) colour: bool,
    /// Characters beyond ASCII.
    pub(super) utf8: bool,
}

impl Look {
    /// That of standard output. `SYSTEMD_COLORS` and `SYSTEMD_UTF8` decide where they are set; `NO_COLOR`, `TERM` and the
    /// locale otherwise.
    pub(super) fn of_stdout() -> Self {
        // with errors in a file nobody looks either
        let seen = io::stdout().is_terminal() && io::stderr().is_terminal();
        Self::of(|name| std::env::var(name).ok(), seen)
    }

    fn of(variable: impl Fn(&str) -> Option<String>, seen: bool) -> Self {
        let wished = |name| variable(name).map(|text| (truth(&text), text));
        let dumb = variable("TERM").is_some_and(|term| term == "dumb");
        let usual = seen && !dumb && variable("NO_COLOR").is_none();
        let colour = match wished("SYSTEMD_COLORS") {
            Some((Some(yes), _)) => yes,
            Some((None, kind)) if ["16", "256", "24bit"].contains(&kind.as_str()) => true,
            _ => usual,
        };
        let set = |name: &&str| variable(name).filter(|text| !text.is_empty());
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(set);
        let utf8 = wished("SYSTEMD_UTF8").and_then(|(yes, _)| yes).unwrap_or_else(|| {
            // who says nothing has nothing against it
            locale.is_none_or(|name| {
                let name = name.to_ascii_lowercase();
                name.contains("utf-8") || name.contains("utf8")
            })
        });
        Self { colour, utf8 }
    }

    /// The text of a line of `info`, in the colour of its letter.
    pub(super) fn paint(self, letter: char, text: &[u8]) -> Vec<u8> {
        let code = match letter {
            _ if !self.colour => return text.to_owned(),
            'P' | 'M' | 'R' | 'J' => "1;39",
            'U' | 'B' | 'T' => "1;32",
            'D' | 'I' | 'N' | 'L' | 'S' => "1;36",
            'Q' => "1;35",
            'V' => "1;38:5:100",
            _ => return text.to_owned(),
        };
        [format!("\x1b[0;{code}m").as_bytes(), text, b"\x1b[0m"].concat()
    }

    /// The lines before a branch, before the last one, beside what is below either, and beside a device's own lines.
    pub(super) fn branches(self) -> [&'static str; 5] {
        if self.utf8 { ["├─", "└─", "│ ", "  ", "┆ "] } else { ["|-", "`-", "| ", "  ", ": "] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What systemd 257's udevadm does with these variables.
    #[test]
    fn of_the_environment() {
        for (variables, seen, colour, utf8) in [
            (&[][..], true, true, true),
            (&[], false, false, true),
            (&[("SYSTEMD_COLORS", "1")], false, true, true),
            (&[("SYSTEMD_COLORS", "256")], false, true, true),
            (&[("SYSTEMD_COLORS", "0")], true, false, true),
            (&[("NO_COLOR", "")], true, false, true),
            (&[("TERM", "dumb")], true, false, true),
            (&[("LC_ALL", "C")], true, true, false),
            (&[("LC_ALL", "C.UTF-8"), ("LANG", "C")], true, true, true),
            (&[("LANG", "de_DE.utf8")], true, true, true),
            (&[("LANG", "C"), ("SYSTEMD_UTF8", "1")], true, true, true),
        ] {
            let variable = |name: &str| {
                variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
            };
            assert_eq!(Look::of(variable, seen), Look { colour, utf8 }, "{variables:?} {seen}");
        }
    }
}
