//! Which files are rules, in which order, what masks them, and what a broken one leaves in force.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nameplate::rules::load::{Loaded, load, load_files, merge};

use super::show::{diagnostics, known, rule};

/// The codes that these cases show.
pub(crate) const CODES: &[&str] = &["unreadable", "syntax"];

struct Dirs {
    root: tempfile::TempDir,
}

impl Dirs {
    fn new() -> Self {
        let dirs = Self { root: tempfile::tempdir().unwrap() };
        for dir in dirs.all() {
            fs::create_dir(dir).unwrap();
        }
        dirs
    }

    /// Strongest first.
    fn all(&self) -> Vec<PathBuf> {
        ["etc", "run", "lib"].map(|name| self.root.path().join(name)).into()
    }

    fn put(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.root.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    fn load(&self) -> Loaded {
        load(&self.all(), &known())
    }
}

fn link(name: &str) -> String {
    format!("[[rule]]\nmatch.kernel = 'k'\nlink = '{name}'\n")
}

/// `file: rules` for each file.
fn shown(loaded: &Loaded) -> Vec<String> {
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    loaded
        .files
        .iter()
        .map(|file| {
            let rules: Vec<String> =
                file.rules.iter().map(|r| rule(r).replace("kernel is k; link ", "")).collect();
            format!("{}: {}", name(&file.source.path), rules.join(","))
        })
        .collect()
}

#[test]
fn files_are_ordered_by_name_over_all_directories_and_the_stronger_replaces() {
    let dirs = Dirs::new();
    dirs.put("lib/10-a.toml", link("weak"));
    dirs.put("run/10-a.toml", link("strong"));
    dirs.put("etc/30-c.toml", link("c"));
    dirs.put("lib/20-b.toml", link("b"));
    dirs.put("lib/.hidden.toml", link("h"));
    dirs.put("lib/20-b.toml~", link("backup"));
    dirs.put("lib/README", "not rules");
    let loaded = dirs.load();
    assert_eq!(shown(&loaded), ["10-a.toml: strong", "20-b.toml: b", "30-c.toml: c"]);
    assert_eq!(diagnostics(&loaded.diagnostics), "");
}

#[test]
fn an_empty_file_and_a_link_to_null_mask() {
    let dirs = Dirs::new();
    dirs.put("lib/10-a.toml", link("a"));
    dirs.put("lib/20-b.toml", link("b"));
    dirs.put("lib/30-c.toml", link("c"));
    let empty = dirs.put("etc/10-a.toml", "");
    let null = dirs.root.path().join("run/20-b.toml");
    symlink("/dev/null", &null).unwrap();
    let loaded = dirs.load();
    assert_eq!(shown(&loaded), ["30-c.toml: c"]);
    assert_eq!(loaded.masked, [empty, null]);
}

#[test]
fn what_is_no_rule_file_of_ours_is_reported_and_costs_itself() {
    let dirs = Dirs::new();
    fs::create_dir(dirs.root.path().join("etc/20-dir.toml")).unwrap();
    nix::unistd::mkfifo(&dirs.root.path().join("etc/30-fifo.toml"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    symlink("nowhere", dirs.root.path().join("etc/40-dangling.toml")).unwrap();
    dirs.put("etc/50-bytes.toml", b"# caf\xe9\n[[rule]]\n");
    dirs.put("etc/60-good.toml", link("good"));
    let loaded = dirs.load();
    assert_eq!(diagnostics(&loaded.diagnostics), "unreadable@1:1 unreadable@1:1 unreadable@1:1 syntax@1:6");
    assert_eq!(shown(&loaded).last().unwrap(), "60-good.toml: good");
    assert!(loaded.has_errors());
}

#[test]
fn both_languages_are_ordered_together() {
    let dirs = Dirs::new();
    let udev = |name: &str| format!("KERNEL==\"sda\", SYMLINK+=\"{name}\"\n");
    dirs.put("lib/20-b.rules", udev("weak"));
    dirs.put("run/20-b.rules", udev("b"));
    dirs.put("etc/10-a.toml", link("a"));
    dirs.put("lib/20-b.toml", link("b"));
    dirs.put("lib/15-x.rules", udev("x"));
    dirs.put("etc/15-x.rules", "");
    dirs.put("etc/30-c.rules", udev("c") + "BOGUS=\"1\"\n");
    let loaded = dirs.load();
    let names: Vec<_> = loaded.files.iter().map(|file| file.source.path.file_name().unwrap()).collect();
    assert_eq!(names, ["10-a.toml", "20-b.rules", "20-b.toml", "30-c.rules"]);
    assert!(loaded.files[1].source.path.starts_with(dirs.root.path().join("run")));
    assert_eq!(loaded.files.iter().map(|file| file.rules.len()).collect::<Vec<_>>(), [1, 1, 1, 1]);
    assert_eq!(diagnostics(&loaded.diagnostics), "unknown-key@2:1");
    assert_eq!(loaded.masked, [dirs.root.path().join("etc/15-x.rules")]);
}

#[test]
fn no_directory_holds_nothing() {
    let dirs = Dirs::new();
    let loaded = load(&[dirs.root.path().join("absent")], &known());
    assert!(loaded.files.is_empty() && loaded.diagnostics.is_empty());
    let file = dirs.put("etc/x.toml", link("x"));
    assert_eq!(shown(&load_files(&[file], &known())), ["x.toml: x"]);
}

#[test]
fn a_broken_file_leaves_its_old_version_in_force() {
    let dirs = Dirs::new();
    let broken = dirs.put("etc/10-a.toml", link("old"));
    dirs.put("etc/20-b.toml", link("b"));
    dirs.put("etc/30-gone.toml", link("gone"));
    let first = merge(&Loaded::default(), dirs.load());
    assert_eq!(shown(&first.loaded), ["10-a.toml: old", "20-b.toml: b", "30-gone.toml: gone"]);

    dirs.put("etc/10-a.toml", link("new") + "[[rule]]\nlnk = 'x'\n");
    dirs.put("etc/20-b.toml", link("b2"));
    dirs.put("etc/40-new-and-broken.toml", link("../x"));
    fs::remove_file(dirs.root.path().join("etc/30-gone.toml")).unwrap();
    let second = merge(&first.loaded, dirs.load());
    assert_eq!(shown(&second.loaded), ["10-a.toml: old", "20-b.toml: b2"]);
    let refused: Vec<_> = second.refused.iter().map(|r| diagnostics(&r.diagnostics)).collect();
    assert_eq!(refused, ["unknown-key@5:1", "bad-link@3:8"]);
    assert_eq!(second.refused[0].path, broken);

    // Repaired: only a warning.
    dirs.put("etc/10-a.toml", link("a b"));
    fs::remove_file(dirs.root.path().join("etc/40-new-and-broken.toml")).unwrap();
    let third = merge(&second.loaded, dirs.load());
    assert_eq!(shown(&third.loaded), ["10-a.toml: a b", "20-b.toml: b2"]);
    assert_eq!(diagnostics(&third.loaded.diagnostics), "link-spaces@3:10");
    assert!(third.refused.is_empty());
    let same = |at: usize| Arc::ptr_eq(&second.loaded.files[at], &third.loaded.files[at]);
    assert!(!same(0) && same(1), "a file that did not change stays the same object");
}

#[test]
fn a_broken_stronger_file_leaves_the_weaker_one_of_its_name_in_force() {
    let dirs = Dirs::new();
    dirs.put("lib/10-a.toml", link("weak"));
    let first = merge(&Loaded::default(), dirs.load());
    dirs.put("etc/10-a.toml", "[[rule\n");
    let second = merge(&first.loaded, dirs.load());
    assert_eq!(shown(&second.loaded), ["10-a.toml: weak"]);
    assert_eq!(second.refused.len(), 1);
    // The same text again is in force as before, and refused as before.
    let third = merge(&second.loaded, dirs.load());
    assert_eq!(shown(&third.loaded), ["10-a.toml: weak"]);
    assert_eq!(third.refused.len(), 1);
}

#[test]
fn a_directory_that_cannot_be_read_leaves_its_files_in_force() {
    let dirs = Dirs::new();
    dirs.put("lib/10-a.toml", link("a"));
    dirs.put("etc/20-b.toml", link("b"));
    let first = merge(&Loaded::default(), dirs.load());
    // Root reads everything: a file in the directory's place stands in for a failure.
    fs::remove_dir_all(dirs.root.path().join("lib")).unwrap();
    dirs.put("lib", "no directory");
    let second = merge(&first.loaded, dirs.load());
    assert_eq!(shown(&second.loaded), ["10-a.toml: a", "20-b.toml: b"]);
    assert_eq!(diagnostics(&second.loaded.diagnostics), "unreadable@1:1");
}

#[test]
fn a_file_gives_way_to_another_that_is_there_or_masked() {
    let dirs = Dirs::new();
    let text = "[file]\ngives_way_to = ['60-a.rules', '60-b.rules']\n".to_owned() + &link("own");
    dirs.put("etc/60-own.toml", text.clone() + "[[test]]\ndevice = 'x'\npath = '/devices/x'\nlinks = []\n");
    assert_eq!(shown(&dirs.load()), ["60-own.toml: own"]);
    for other in ["KERNEL==\"k\", SYMLINK+=\"other\"\n", ""] {
        let path = dirs.put("lib/60-b.rules", other);
        let loaded = dirs.load();
        let own = loaded.files.iter().find(|file| file.source.path.ends_with("60-own.toml")).unwrap();
        assert_eq!(own.rules, [], "{other:?}");
        assert!(loaded.tests.is_empty());
        fs::remove_file(path).unwrap();
        let again = merge(&loaded, dirs.load());
        assert_eq!(shown(&again.loaded), ["60-own.toml: own"], "{other:?}: in force when the other is gone");
    }
}
