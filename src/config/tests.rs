//! Cases of the configuration: each key, each mistake, each place where a file may be.

use super::*;

fn read(text: &str) -> (Config, Vec<Diagnostic>) {
    let mut config = Config::default();
    let diagnostics = apply(&mut config, &SourceFile::new(Path::new("nameplate.toml"), text.as_bytes()));
    (config, diagnostics)
}

fn with(change: impl FnOnce(&mut Config)) -> Config {
    let mut config = Config::default();
    change(&mut config);
    config
}

#[test]
fn keys_take_their_values() {
    let cases: Vec<(&str, Config)> = vec![
        ("", Config::default()),
        ("mode = 'standalone'", with(|c| c.mode = Mode::Standalone)),
        ("mode = 'companion'", with(|c| c.mode = Mode::Companion)),
        ("workers = 0", Config::default()),
        ("workers = 3", with(|c| c.workers = NonZeroUsize::new(3))),
        ("event_timeout = 5", with(|c| c.event_timeout = Duration::from_secs(5))),
        ("event_timeout = 0.5", with(|c| c.event_timeout = Duration::from_millis(500))),
        ("event_timeout = '90'", with(|c| c.event_timeout = Duration::from_secs(90))),
        ("event_timeout = '3min'", with(|c| c.event_timeout = Duration::from_secs(180))),
        ("event_timeout = '1.5 h'", with(|c| c.event_timeout = Duration::from_secs(5400))),
        ("program_timeout = '250ms'", with(|c| c.program_timeout = Duration::from_millis(250))),
        ("receive_buffer = 4096", with(|c| c.receive_buffer = 4096)),
        ("receive_buffer = 0x1000", with(|c| c.receive_buffer = 4096)),
        ("receive_buffer = '16K'", with(|c| c.receive_buffer = 16_384)),
        ("receive_buffer = '1 GiB'", with(|c| c.receive_buffer = 1_073_741_824)),
        ("queue_limit = 100", with(|c| c.queue_limit = NonZeroUsize::new(100).unwrap())),
        ("log_level = 'debug'", with(|c| c.log_level = tracing::Level::DEBUG)),
        ("link_dir = '/home/x/dev'", with(|c| c.link_dir = Some("/home/x/dev".into()))),
        ("rules = ['/a', '/b']", with(|c| c.rules = vec!["/a".into(), "/b".into()])),
    ];
    for (text, expected) in cases {
        assert_eq!(read(text), (expected, vec![]), "{text}");
    }
}

#[test]
fn mistakes_are_told_and_change_nothing() {
    // text, code, line:column, parts of message and hint
    let cases = [
        ("mode = 'auto", "syntax", "1:13", "string"),
        ("worker = 2", "unknown-key", "1:1", "unknown key `worker` (write `workers`)"),
        ("event-timeout = 2", "unknown-key", "1:1", "(write `event_timeout`)"),
        ("\n  colour = 1", "unknown-key", "2:3", "(the keys are mode, workers,"),
        ("[mode]\nx = 1", "wrong-type", "1:1", "`mode`: table can't stand here (write one of \"auto\""),
        ("mode = 'standalnoe'", "bad-value", "1:8", "is none of its words (write \"standalone\")"),
        ("mode = 'udev'", "bad-value", "1:8", "(write one of \"auto\", \"standalone\", \"companion\")"),
        ("workers = -1", "bad-value", "1:11", "-1 is out of bounds (write a whole number from 0 to 1024)"),
        ("workers = 1025", "bad-value", "1:11", "1025 is out of bounds"),
        ("workers = 99999999999999999999", "bad-value", "1:11", "out of bounds"),
        ("workers = '2'", "wrong-type", "1:11", "string can't stand here"),
        ("event_timeout = 0", "bad-value", "1:17", "0 is out of bounds"),
        ("event_timeout = '2d'", "bad-value", "1:17", "\"2d\" is no duration (write a number of seconds"),
        ("event_timeout = '25h'", "bad-value", "1:17", "out of bounds (more than nothing, and at most a day"),
        ("event_timeout = 99999999999", "bad-value", "1:17", "out of bounds"),
        ("event_timeout = inf", "bad-value", "1:17", "out of bounds"),
        ("event_timeout = nan", "bad-value", "1:17", "out of bounds"),
        ("event_timeout = true", "wrong-type", "1:17", "boolean can't stand here"),
        ("program_timeout = ''", "bad-value", "1:19", "is no duration"),
        ("receive_buffer = 0", "bad-value", "1:18", "0 is out of bounds (write a number of bytes"),
        ("receive_buffer = '2G'", "bad-value", "1:18", "out of bounds (more than 0 and less than 2G)"),
        ("receive_buffer = '99999999999999999G'", "bad-value", "1:18", "is no size"),
        ("receive_buffer = '1T'", "bad-value", "1:18", "\"1T\" is no size"),
        ("receive_buffer = 1.5", "wrong-type", "1:18", "float can't stand here"),
        ("queue_limit = 0", "bad-value", "1:15", "a whole number from 1 to"),
        ("log_level = 'INFO'", "bad-value", "1:13", "(write \"info\")"),
        ("link_dir = 'dev'", "bad-value", "1:12", "\"dev\" is not absolute"),
        ("rules = '/a'", "wrong-type", "1:9", "(write a list of paths"),
        ("rules = ['/a', 'b']", "bad-value", "1:9", "\"b\" is not absolute"),
        ("rules = ['/a', 1]", "wrong-type", "1:9", "integer can't stand here"),
    ];
    for (text, code, at, says) in cases {
        let (config, diagnostics) = read(text);
        assert_eq!(config, Config::default(), "{text}");
        let [diagnostic] = &diagnostics[..] else { panic!("{text}: {diagnostics:?}") };
        assert_eq!(diagnostic.code, code, "{text}");
        let shown = diagnostic.to_string();
        assert!(shown.starts_with(&format!("nameplate.toml:{at}: ")), "{text}: {shown}");
        assert!(shown.contains(says), "{text}: {shown}");
    }
}

#[test]
fn a_mistake_costs_itself_alone() {
    let (config, diagnostics) = read("workers = 4\nmod = 'auto'\nqueue_limit = 'x'\nlog_level = 'warn'\n");
    assert_eq!(config.workers, NonZeroUsize::new(4));
    assert_eq!(config.log_level, tracing::Level::WARN);
    let lines: Vec<_> = diagnostics.iter().map(|d| (d.place.line, d.code)).collect();
    assert_eq!(lines, [(2, "unknown-key"), (3, "wrong-type")]);
}

#[test]
fn the_table_gives_the_defaults() {
    let text: String =
        KEYS.iter().filter_map(|key| key.default.map(|d| format!("{} = {d}\n", key.name))).collect();
    let mut config = Config { mode: Mode::Companion, workers: NonZeroUsize::new(9), ..Config::default() };
    config.event_timeout = Duration::from_secs(1);
    config.program_timeout = Duration::from_secs(1);
    config.receive_buffer = 1;
    config.queue_limit = NonZeroUsize::MIN;
    config.log_level = tracing::Level::TRACE;
    config.rules = vec!["/x".into()];
    assert_eq!(apply(&mut config, &SourceFile::new(Path::new("x"), text.as_bytes())), []);
    assert_eq!(config, Config::default());
}

#[test]
fn the_table_is_fit_for_a_man_page() {
    for (i, key) in KEYS.iter().enumerate() {
        assert!(key.doc.ends_with('.') && !key.kind.is_empty(), "{}", key.name);
        assert!(KEYS.iter().skip(i + 1).all(|other| other.name != key.name), "{} twice", key.name);
    }
}

/// A tree with these files; dropped with the handle.
fn tree(files: &[(&str, &str)]) -> (tempfile::TempDir, Roots) {
    let dir = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let roots = Roots::below(dir.path());
    (dir, roots)
}

#[test]
fn the_strongest_file_then_drop_ins_by_name() {
    let (dir, roots) = tree(&[
        ("usr/lib/nameplate/nameplate.toml", "workers = 1\nqueue_limit = 7\n"),
        ("etc/nameplate/nameplate.toml", "workers = 2\nlog_level = 'warn'\n"),
        ("etc/nameplate/conf.d/20-b.toml", "workers = 20\n"),
        ("usr/lib/nameplate/conf.d/10-a.toml", "workers = 10\nmode = 'companion'\n"),
        ("usr/lib/nameplate/conf.d/20-b.toml", "queue_limit = 9\n"),
        ("run/nameplate/conf.d/30-masked.toml", ""),
        ("usr/lib/nameplate/conf.d/30-masked.toml", "workers = 30\n"),
        ("etc/nameplate/conf.d/40-note.txt", "workers = 40\n"),
        ("etc/nameplate/conf.d/50-odd.toml", "wokers = 50\n"),
    ]);
    let loaded = load(&roots, Loaded::default());
    let expected = with(|c| {
        c.workers = NonZeroUsize::new(20);
        c.mode = Mode::Companion;
        c.log_level = tracing::Level::WARN;
    });
    assert_eq!(loaded.config, expected);
    let files: Vec<_> = loaded.files.iter().map(|f| f.strip_prefix(dir.path()).unwrap()).collect();
    let expected = [
        "etc/nameplate/nameplate.toml",
        "usr/lib/nameplate/conf.d/10-a.toml",
        "etc/nameplate/conf.d/20-b.toml",
        "run/nameplate/conf.d/30-masked.toml",
        "etc/nameplate/conf.d/50-odd.toml",
    ];
    assert_eq!(files, expected.map(Path::new));
    assert_eq!(loaded.diagnostics.len(), 1);
    assert_eq!(loaded.diagnostics[0].hint.as_deref(), Some("write `workers`"));
}

#[test]
fn no_file_is_the_defaults() {
    let (_dir, roots) = tree(&[]);
    let loaded = load(&roots, Loaded::default());
    assert_eq!(loaded.config, Config::default());
    assert!(loaded.files.is_empty() && loaded.diagnostics.is_empty());
}

#[test]
fn exactly_the_file_that_is_named() {
    let (dir, _roots) = tree(&[("x/my.toml", "workers = 5\n"), ("x/conf.d/10-a.toml", "workers = 6\n")]);
    let loaded = load_file(&dir.path().join("x/my.toml"));
    assert_eq!(loaded.config.workers, NonZeroUsize::new(5));
    assert!(loaded.diagnostics.is_empty());
}

#[test]
fn files_that_cannot_be_read_are_told() {
    let (dir, roots) =
        tree(&[("etc/nameplate/nameplate.toml/x", ""), ("etc/nameplate/conf.d/1.toml", "workers = 3")]);
    let loaded = load(&roots, Loaded::default());
    assert_eq!(loaded.config.workers, NonZeroUsize::new(3));
    assert_eq!(loaded.diagnostics.iter().map(|d| d.code).collect::<Vec<_>>(), ["unreadable"]);
    let missing = load_file(&dir.path().join("none.toml"));
    assert_eq!(missing.diagnostics.iter().map(|d| d.code).collect::<Vec<_>>(), ["unreadable"]);
    assert_eq!(missing.config, Config::default());
}
