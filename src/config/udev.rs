//! Owns what was said to udevd and holds for who is in its place: `udev.conf` with `udev.conf.d`, and udevd's words on the
//! kernel's command line. Of the two the command line is the stronger.
//!
//! What can't be understood is a warning and changes nothing: these files are not nameplate's.

use std::collections::BTreeMap;
use std::fs;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use bstr::ByteSlice;

use super::{Config, Loaded, ResolveNames, codes, value};
use crate::diag::{Diagnostic, SourceFile};
use crate::machine;
use crate::roots::Roots;

/// One word of udevd's: in its files, on the command line.
struct Word {
    in_file: Option<&'static str>,
    on_command_line: &'static [&'static str],
    /// What it is worth on the command line without a value.
    alone: &'static str,
    set: fn(&mut Config, &str) -> Option<()>,
}

const WORDS: &[Word] = &[
    Word {
        in_file: Some("udev_log"),
        on_command_line: &["udev.log_level", "udev.log_priority"],
        alone: "",
        set: |c, v| log_level(v).map(|level| c.log_level = level),
    },
    Word {
        in_file: Some("children_max"),
        on_command_line: &["udev.children_max"],
        alone: "",
        // more threads than that wait for each other
        set: |c, v| {
            v.parse().ok().map(|n: usize| c.children_max = NonZeroUsize::new(n.min(super::MOST_WORKERS)))
        },
    },
    Word {
        in_file: Some("exec_delay"),
        on_command_line: &["udev.exec_delay"],
        alone: "",
        set: |c, v| value::time_span(v).map(|delay| c.exec_delay = delay),
    },
    Word {
        in_file: Some("event_timeout"),
        on_command_line: &["udev.event_timeout"],
        alone: "",
        set: |c, v| value::time_span(v).filter(|d| !d.is_zero()).map(|timeout| c.event_timeout = timeout),
    },
    Word {
        in_file: Some("timeout_signal"),
        on_command_line: &["udev.timeout_signal"],
        alone: "",
        set: |c, v| value::signal_of(v).map(|signal| c.timeout_signal = signal),
    },
    Word {
        in_file: Some("resolve_names"),
        on_command_line: &[],
        alone: "",
        set: |c, v| {
            let word = ResolveNames::WORDS.iter().find(|(word, _)| *word == v);
            word.map(|(_, when)| c.resolve_names = *when)
        },
    },
    Word {
        in_file: None,
        on_command_line: &["udev.blockdev_read_only"],
        alone: "1",
        set: |c, v| boolean(v).map(|yes| c.read_only_disks = yes),
    },
];

/// What udevd would go by on this system.
pub(super) fn load(roots: &Roots) -> Loaded {
    let mut loaded = Loaded::default();
    for path in files(roots) {
        if let Ok(bytes) = fs::read(&path) {
            read(&mut loaded, &SourceFile::new(&path, &bytes));
            loaded.files.push(path);
        }
    }
    let path = roots.proc.join("cmdline");
    let text = machine::kernel_command_line(roots);
    let problems = kernel(&mut loaded.config, &text, roots);
    let place = || SourceFile::new(&path, &text).place(0..0);
    loaded
        .diagnostics
        .extend(problems.into_iter().map(|p| Diagnostic::warning(codes::BAD_VALUE, p, place())));
    loaded
}

/// What the kernel's command line alone says.
pub(super) fn of_kernel(roots: &Roots) -> Config {
    let mut config = Config::default();
    let _told_by_who_loads = kernel(&mut config, &machine::kernel_command_line(roots), roots);
    config
}

fn kernel(config: &mut Config, text: &[u8], roots: &Roots) -> Vec<String> {
    command_line(config, text, roots.initramfs_mark().exists())
}

/// The strongest `udev.conf`, then `udev.conf.d` of all directories by name.
fn files(roots: &Roots) -> Vec<PathBuf> {
    let dirs = roots.udev_config_dirs();
    let main = dirs.iter().map(|dir| dir.join("udev.conf")).find(|path| path.symlink_metadata().is_ok());
    let mut drop_ins = BTreeMap::new();
    for dir in &dirs {
        for entry in fs::read_dir(dir.join("udev.conf.d")).into_iter().flatten().flatten() {
            if entry.path().extension().is_some_and(|extension| extension == "conf") {
                drop_ins.entry(entry.file_name()).or_insert(entry.path());
            }
        }
    }
    main.into_iter().chain(drop_ins.into_values()).collect()
}

/// Lays the lines `KEY=VALUE` of a file over the configuration. Keys that it has not are passed over.
fn read(loaded: &mut Loaded, source: &std::sync::Arc<SourceFile>) {
    let mut start = 0;
    for line in source.text.split_inclusive('\n') {
        let span = start..start + line.trim_end().len();
        start += line.len();
        let text = line.trim();
        if text.is_empty() || text.starts_with(['#', ';']) {
            continue;
        }
        let Some((key, value)) = text.split_once('=') else { continue };
        let Some(word) = WORDS.iter().find(|word| word.in_file == Some(key.trim())) else { continue };
        let value = value.trim();
        let quoted = ['"', '\''].iter().find_map(|q| value.strip_prefix(*q)?.strip_suffix(*q));
        if (word.set)(&mut loaded.config, quoted.unwrap_or(value)).is_none() {
            let message = format!("`{text}` can't be taken");
            loaded.diagnostics.push(Diagnostic::warning(codes::BAD_VALUE, message, source.place(span)));
        }
    }
}

/// Lays udevd's words of a kernel command line over the configuration, the last one last: with `rd.` in front they hold in
/// an initramfs alone. What is wrong with them comes back.
fn command_line(config: &mut Config, text: &[u8], is_initramfs: bool) -> Vec<String> {
    let mut problems = Vec::new();
    for (name, value) in machine::command_line_words(text) {
        let meant = match name.strip_prefix(b"rd.") {
            Some(meant) if is_initramfs => meant,
            Some(_) => continue,
            None => &name,
        };
        let is_meant = |known: &&str| machine::is_same_key(known.as_bytes(), meant);
        let Some(word) = WORDS.iter().find(|word| word.on_command_line.iter().any(is_meant)) else {
            continue;
        };
        let value = value.unwrap_or_else(|| word.alone.into());
        if value.to_str().ok().and_then(|value| (word.set)(config, value)).is_none() {
            problems.push(format!("`{name}={value}` on the kernel's command line can't be taken"));
        }
    }
    problems
}

/// A level in syslog's words or numbers.
fn log_level(text: &str) -> Option<tracing::Level> {
    Some(match text {
        "emerg" | "alert" | "crit" | "err" | "0" | "1" | "2" | "3" => tracing::Level::ERROR,
        "warning" | "4" => tracing::Level::WARN,
        "notice" | "info" | "5" | "6" => tracing::Level::INFO,
        "debug" | "7" => tracing::Level::DEBUG,
        _ => return None,
    })
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "yes" | "y" | "true" | "t" | "on" => Some(true),
        "0" | "no" | "n" | "false" | "f" | "off" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use nix::sys::signal::Signal;

    use super::*;

    fn with(change: impl FnOnce(&mut Config)) -> Config {
        let mut config = Config::default();
        change(&mut config);
        config
    }

    #[test]
    fn words_of_udevds() {
        // (text of a file, expected, lines that can't be taken)
        let cases: Vec<(&str, Config, &[u32])> = vec![
            ("", Config::default(), &[]),
            (
                "#udev_log=debug\n; udev_log=debug\n\nfoo\ntimeout_signal=SIGKILL\nno_such=1\n",
                Config::default(),
                &[],
            ),
            ("udev_log=debug", with(|c| c.log_level = tracing::Level::DEBUG), &[]),
            (" udev_log = \"err\" ", with(|c| c.log_level = tracing::Level::ERROR), &[]),
            ("udev_log=4", with(|c| c.log_level = tracing::Level::WARN), &[]),
            ("children_max=3", with(|c| c.children_max = NonZeroUsize::new(3)), &[]),
            ("children_max=5000", with(|c| c.children_max = NonZeroUsize::new(1024)), &[]),
            ("children_max=0", Config::default(), &[]),
            ("exec_delay=2", with(|c| c.exec_delay = Duration::from_secs(2)), &[]),
            ("exec_delay=0", Config::default(), &[]),
            ("event_timeout=1min 30s", with(|c| c.event_timeout = Duration::from_secs(90)), &[]),
            ("event_timeout='500ms'", with(|c| c.event_timeout = Duration::from_millis(500)), &[]),
            ("timeout_signal=SIGABRT", with(|c| c.timeout_signal = Signal::SIGABRT), &[]),
            ("timeout_signal=TERM", with(|c| c.timeout_signal = Signal::SIGTERM), &[]),
            ("timeout_signal=15", with(|c| c.timeout_signal = Signal::SIGTERM), &[]),
            ("timeout_signal=SIGNO", Config::default(), &[1]),
            ("resolve_names=late", with(|c| c.resolve_names = ResolveNames::Late), &[]),
            ("udev.blockdev_read_only=1", Config::default(), &[]),
            (
                "\nudev_log=loud\nchildren_max=-1\nexec_delay=soon\nevent_timeout=0\nexec_delay=\n",
                Config::default(),
                &[2, 3, 4, 5, 6],
            ),
        ];
        for (text, expected, lines) in cases {
            let mut loaded = Loaded::default();
            read(&mut loaded, &SourceFile::new(Path::new("udev.conf"), text.as_bytes()));
            assert_eq!(loaded.config, expected, "{text}");
            let told: Vec<u32> = loaded.diagnostics.iter().map(|d| d.place.line).collect();
            assert_eq!(told, lines, "{text}");
        }
    }

    #[test]
    fn words_on_the_command_line() {
        let delay = |seconds| with(|c| c.exec_delay = Duration::from_secs(seconds));
        // (command line, in an initramfs, expected, how many can't be taken)
        let cases: Vec<(&str, bool, Config, usize)> = vec![
            ("ro quiet", false, Config::default(), 0),
            ("udev.log_priority=debug", false, with(|c| c.log_level = tracing::Level::DEBUG), 0),
            (
                "udev.log_level=err udev.children_max=2",
                false,
                with(|c| {
                    c.log_level = tracing::Level::ERROR;
                    c.children_max = NonZeroUsize::new(2);
                }),
                0,
            ),
            ("udev.exec_delay=3 rd.udev.exec_delay=5", false, delay(3), 0),
            ("udev.exec_delay=3 rd.udev.exec_delay=5", true, delay(5), 0),
            ("rd.udev.exec_delay=5 udev.exec_delay=3", true, delay(3), 0),
            ("udev.exec-delay=3", false, delay(3), 0),
            ("udev.exec_delay=3 udev.exec_delay=x", false, delay(3), 1),
            ("rd.udev.log_level=debug", true, with(|c| c.log_level = tracing::Level::DEBUG), 0),
            ("rd.udev.children_max=2", true, with(|c| c.children_max = NonZeroUsize::new(2)), 0),
            ("rd.udev.event_timeout=20", true, with(|c| c.event_timeout = Duration::from_secs(20)), 0),
            ("rd.udev.timeout_signal=TERM", true, with(|c| c.timeout_signal = Signal::SIGTERM), 0),
            ("rd.udev.blockdev_read_only", true, with(|c| c.read_only_disks = true), 0),
            ("udev.timeout_signal=SIGABRT", false, with(|c| c.timeout_signal = Signal::SIGABRT), 0),
            ("rd.udev.exec_delay=5", false, Config::default(), 0),
            ("udev.event_timeout=20", false, with(|c| c.event_timeout = Duration::from_secs(20)), 0),
            ("udev.blockdev_read_only", false, with(|c| c.read_only_disks = true), 0),
            ("udev.blockdev_read_only=no", false, Config::default(), 0),
            ("udev.blockdev_read_only=maybe udev.exec_delay=x", false, Config::default(), 2),
            ("udev.children_max udev.exec_delay=3", false, delay(3), 1),
            ("udev.blockdev_read_only_not", false, Config::default(), 0),
        ];
        for (text, is_initramfs, expected, problems) in cases {
            let mut config = Config::default();
            let told = command_line(&mut config, text.as_bytes(), is_initramfs);
            assert_eq!((config, told.len()), (expected, problems), "{text}");
        }
    }

    #[test]
    fn nameplates_own_files_are_stronger() {
        let temp = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = temp.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("etc/udev/udev.conf", "udev_log=debug\nchildren_max=2\nexec_delay=1\nevent_timeout=7\n");
        write("usr/lib/udev/udev.conf", "udev_log=err\n");
        write("run/udev/udev.conf.d/10-x.conf", "children_max=3\n");
        write("proc/cmdline", "ro udev.exec_delay=4\n");
        write("etc/nameplate/nameplate.toml", "event_timeout = 9\n");
        let source = super::super::Source::Standard(Roots::below(temp.path()));
        assert_eq!(source.read().config, with(|c| c.event_timeout = Duration::from_secs(9)));
        let loaded = source.read_as_manager();
        let expected = with(|c| {
            c.log_level = tracing::Level::DEBUG;
            c.children_max = NonZeroUsize::new(3);
            c.exec_delay = Duration::from_secs(4);
            c.event_timeout = Duration::from_secs(9);
        });
        // what is typed is stronger than files, and weaker than what the kernel was told
        let typed = super::super::Typed {
            exec_delay: Some(Duration::from_secs(1)),
            event_timeout: Some(Duration::from_secs(2)),
            timeout_signal: Some(Signal::SIGABRT),
            ..Default::default()
        };
        let mut config = loaded.config.clone();
        typed.apply(&mut config, &source.of_kernel());
        let said = |c: &Config| {
            (c.exec_delay.as_secs(), c.event_timeout.as_secs(), c.timeout_signal, c.children_max)
        };
        assert_eq!(said(&config), (4, 2, Signal::SIGABRT, NonZeroUsize::new(3)));
        assert_eq!((loaded.config, loaded.diagnostics), (expected, vec![]));
        assert_eq!(loaded.files.len(), 3);
    }
}
