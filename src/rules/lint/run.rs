//! Owns commands that can't do inside of an event what they do elsewhere: mounting, waiting, staying in the background,
//! the network; and shell syntax where no shell runs.
//!
//! Looks at the words of a command, never at the program itself.

use bstr::{BStr, BString, ByteSlice};

use super::flow::Reached;
use super::{Finding, codes};
use crate::diag::{Diagnostic, Place};
use crate::rules::ir::{Command, Effect, Import, ListOp, Subject};

/// Programs that mount or unmount.
const MOUNTS: &[&str] =
    &["mount", "umount", "pmount", "pumount", "fusermount", "fusermount3", "ntfs-3g", "sshfs", "mount.ntfs"];
/// Programs that do nothing but wait.
const WAITS: &[&str] = &["sleep", "usleep", "inotifywait"];
/// Programs that put others into the background.
const BACKGROUND: &[&str] = &["nohup", "setsid", "daemonize", "start-stop-daemon", "at", "batch", "disown"];
/// Programs that talk to other machines.
const NETWORK: &[&str] = &[
    "apt",
    "apt-get",
    "curl",
    "dhclient",
    "dhcpcd",
    "dnf",
    "ftp",
    "git",
    "mail",
    "mailx",
    "mosquitto_pub",
    "nc",
    "ncat",
    "netcat",
    "ntpdate",
    "ping",
    "rsync",
    "scp",
    "sendmail",
    "sftp",
    "ssh",
    "telnet",
    "udhcpc",
    "wget",
];
/// Shells.
const SHELLS: &[&str] = &["sh", "bash", "dash", "ash", "zsh", "ksh", "busybox"];
/// Words before a command in a shell script, and programs that run the rest of their line.
const BEFORE_COMMAND: &[&str] = &[
    "!", "then", "do", "else", "if", "while", "exec", "env", "sudo", "nice", "ionice", "time", "command", "{",
];
/// Verbs of systemctl that wait for a job.
const JOB_VERBS: &[&str] =
    &["start", "stop", "restart", "try-restart", "reload", "reload-or-restart", "isolate"];

/// When a command runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    /// While the rules do: its output is waited for.
    Now,
    /// At the end of the event.
    AtTheEnd,
}

/// All of them.
pub(super) fn find(rules: &[Reached<'_>], out: &mut Vec<Finding>) {
    for rule in rules {
        for (place, condition) in rule.own() {
            if let Subject::Program(command) | Subject::Import(Import::Program(command)) = &condition.subject
            {
                look(place, command, When::Now, out);
            }
        }
        for (place, effect, _) in rule.effects() {
            if let Effect::Run { op: ListOp::Set | ListOp::Add, command } = effect {
                look(place, command, When::AtTheEnd, out);
            }
        }
    }
}

fn look(place: &Place, command: &Command, when: When, out: &mut Vec<Finding>) {
    let words = match command {
        Command::Argv(words) => {
            words.iter().map(|word| Word { text: word.text().into(), quoted: false }).collect()
        }
        Command::Line(line) => split(line.text()),
    };
    let mut warn = |code, message: String, hint: &str| {
        out.push(Diagnostic::warning(code, message, place.clone()).hint(hint).into());
    };
    let Some(first) = words.first() else { return };
    let script = script(&words);
    if script.is_none()
        && !SHELLS.contains(&&*base(&first.text))
        && let Some(word) = words.iter().skip(1).find(|word| !word.quoted && is_shell_syntax(&word.text))
    {
        let message = format!("no shell runs here: the program gets `{}` as an argument", word.text);
        warn(codes::NO_SHELL, message, "write /bin/sh -c '…', or put it into a script");
    }
    let commands = match &script {
        Some(script) => commands(script),
        None => vec![(words.iter().map(|word| word.text.clone()).collect(), false)],
    };
    for (words, background) in commands {
        for (code, message, hint) in about(&words, background, when) {
            warn(code, message, hint);
        }
    }
}

/// A word of a command line.
struct Word {
    text: BString,
    quoted: bool,
}

/// Splits at white space, with quotes as udev reads them.
fn split(line: &[u8]) -> Vec<Word> {
    let mut out: Vec<Word> = Vec::new();
    let (mut quote, mut inside) = (None, false);
    for &byte in line {
        match quote {
            Some(end) if byte == end => quote = None,
            None if byte.is_ascii_whitespace() => {
                inside = false;
                continue;
            }
            _ => {
                if !inside {
                    out.push(Word { text: BString::default(), quoted: false });
                    inside = true;
                }
                if quote.is_none() && (byte == b'\'' || byte == b'"') {
                    quote = Some(byte);
                    if let Some(word) = out.last_mut() {
                        word.quoted = true;
                    }
                } else if let Some(word) = out.last_mut() {
                    word.text.push(byte);
                }
            }
        }
    }
    out
}

/// The name of a program without its directory.
fn base(program: &[u8]) -> std::borrow::Cow<'_, str> {
    program.rsplit(|byte| *byte == b'/').next().unwrap_or_default().to_str_lossy()
}

/// What a shell is given to run.
fn script(words: &[Word]) -> Option<BString> {
    let first = words.first()?;
    if !SHELLS.contains(&&*base(&first.text)) {
        return None;
    }
    let option = |word: &Word| {
        word.text.starts_with(b"-") && !word.text.starts_with(b"--") && word.text.ends_with(b"c")
    };
    let at = words.iter().position(option)?;
    words.get(at + 1).map(|word| word.text.clone())
}

fn is_shell_syntax(word: &[u8]) -> bool {
    matches!(word, b"|" | b"||" | b"&" | b"&&" | b";" | b">" | b">>" | b"<" | b"2>" | b"2>&1" | b"&>")
        || [&b">/"[..], b">>/", b"2>/", b"&>/", b"`"].iter().any(|start| word.starts_with(start))
        || (word.len() > 1 && word.ends_with(b";"))
}

/// The simple commands of a script, each with whether it is left in the background.
fn commands(script: &[u8]) -> Vec<(Vec<BString>, bool)> {
    let mut out: Vec<(Vec<BString>, bool)> = Vec::new();
    let mut words: Vec<BString> = Vec::new();
    let mut word = BString::default();
    let mut quote: Option<u8> = None;
    let mut previous = 0;
    let bytes = script.iter().copied().chain([b'\n']);
    let mut bytes = bytes.peekable();
    while let Some(byte) = bytes.next() {
        let separates = quote.is_none() && matches!(byte, b';' | b'|' | b'&' | b'(' | b')' | b'`' | b'\n');
        if quote.is_none() && (separates || byte.is_ascii_whitespace()) {
            if !word.is_empty() {
                words.push(std::mem::take(&mut word));
            }
            // `2>&1` and `&>` redirect; `&&` waits.
            let redirects = byte == b'&' && (previous == b'>' || bytes.peek() == Some(&b'>'));
            if separates && !redirects {
                let doubled = bytes.peek() == Some(&b'&') || previous == b'&';
                let background = byte == b'&' && !doubled;
                if !words.is_empty() {
                    out.push((std::mem::take(&mut words), background));
                } else if background && let Some(last) = out.last_mut() {
                    last.1 = true;
                }
            }
        } else if quote == Some(byte) {
            quote = None;
        } else if quote.is_none() && matches!(byte, b'\'' | b'"') {
            quote = Some(byte);
        } else {
            word.push(byte);
        }
        previous = byte;
    }
    out
}

/// What is wrong with one command.
fn about(words: &[BString], background: bool, when: When) -> Vec<(&'static str, String, &'static str)> {
    let mut out = Vec::new();
    let is_assignment =
        |word: &BString| word.contains(&b'=') && !word.starts_with(b"-") && !word.contains(&b'/');
    let mut rest = words.iter().skip_while(|word| {
        is_assignment(word) || BEFORE_COMMAND.iter().any(|before| before.as_bytes() == word.as_slice())
    });
    let Some(program) = rest.next() else { return out };
    let name = base(program);
    let arguments: Vec<&BStr> = rest.map(|word| word.as_bstr()).collect();
    let has = |argument: &str| arguments.iter().any(|other| *other == argument);
    let known = |list: &[&str]| list.contains(&&*name);
    let unit =
        "let systemd run it: ENV{SYSTEMD_WANTS}+=\"name.service\" with TAG+=\"systemd\", or `start` in TOML";
    if known(MOUNTS) {
        let hint = "use `systemd-mount --no-block`, or a unit: ENV{SYSTEMD_WANTS}+=\"name.mount\"";
        let message = format!(
            "`{name}`: what udevd's programs mount can't be seen outside, and the event waits for it"
        );
        out.push((codes::RUN_MOUNTS, message, hint));
    }
    if known(WAITS) {
        out.push((codes::RUN_WAITS, format!("`{name}` holds up the event, and all that wait for it"), unit));
    }
    if *name == *"udevadm" && (has("settle") || has("wait")) {
        let message = "it waits until all events have ended, this one too".to_owned();
        out.push((
            codes::RUN_WAITS,
            message,
            "leave it out: what runs here runs after the device's links are made",
        ));
    }
    if *name == *"systemctl" && JOB_VERBS.iter().any(|verb| has(verb)) && !has("--no-block") {
        let message = "systemctl waits for its job, which may wait for this event".to_owned();
        out.push((
            codes::RUN_WAITS,
            message,
            "add `--no-block`, or write ENV{SYSTEMD_WANTS}+=\"name.service\"",
        ));
    }
    if when == When::AtTheEnd && (background || known(BACKGROUND)) {
        let what = if background {
            "what `&` leaves behind".to_owned()
        } else {
            format!("what `{name}` leaves behind")
        };
        let message = format!("{what} is killed when the event has ended");
        out.push((codes::RUN_BACKGROUND, message, unit));
    }
    if known(NETWORK) {
        out.push((
            codes::RUN_NETWORK,
            format!("`{name}` needs the network: below udevd there is none, and mostly none yet when a device comes"),
            unit,
        ));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts() {
        let cases = [
            ("a", "a"),
            ("a b; c", "a b|c"),
            ("a && b", "a|b"),
            ("a &", "a&"),
            ("(a; b) &", "a|b&"),
            ("a >/x 2>&1", "a >/x 2> 1"),
            ("a 'b;c' & d", "a b;c&|d"),
            ("if a; then b; fi", "if a|then b|fi"),
        ];
        for (script, expected) in cases {
            let shown: Vec<String> = commands(script.as_bytes())
                .into_iter()
                .map(|(words, background)| {
                    let words: Vec<String> = words.iter().map(ToString::to_string).collect();
                    words.join(" ") + if background { "&" } else { "" }
                })
                .collect();
            assert_eq!(shown.join("|"), expected, "{script}");
        }
    }
}
