//! `nameplate` called as `udevadm`, beside systemd's own; and systemd's own speaking to our daemon. Needs root, for
//! namespaces with a `/run` and a `/dev` of their own; says `skipped` otherwise.

#![cfg(test)]

#[path = "udevadm/behaviour.rs"]
mod behaviour;
mod common;
#[path = "common/daemon.rs"]
#[allow(dead_code)] // shared with other tests
mod daemon;
#[path = "udevadm/forms.rs"]
mod forms;
#[path = "udevadm/manager.rs"]
mod manager;
#[path = "udevadm/varlink.rs"]
mod varlink;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Why systemd's udevadm can't be asked here.
fn missing() -> Option<&'static str> {
    if !nix::unistd::geteuid().is_root() {
        return Some("needs root");
    }
    let needs = [("udevadm", "--version"), ("unshare", "--version")];
    let there = |(program, argument): &(&str, &str)| {
        let mut command = Command::new(program);
        command.arg(argument).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|s| s.success())
    };
    (!needs.iter().all(there)).then_some("needs udevadm and unshare")
}

/// The version of systemd's udevadm.
fn version() -> u32 {
    let output = Command::new("udevadm").arg("--version").output().unwrap();
    String::from_utf8_lossy(&output.stdout).split_whitespace().next().unwrap().parse().unwrap()
}

/// The tree of a Debian with a later systemd, where one is named.
fn tree() -> Option<PathBuf> {
    std::env::var_os("NAMEPLATE_VERIFY_TREE").map(PathBuf::from)
}

/// Lines of a script that set `$theirs` to the udevadm of a tree, which then runs on this machine's own files.
fn of_tree(tree: &Path) -> String {
    let (tree, arch) = (tree.display(), std::env::consts::ARCH);
    let lib = format!("{tree}/usr/lib/{arch}-linux-gnu");
    format!(
        r#"theirs=$1/later
cat >"$theirs" <<'END'
#!/bin/sh
exec {lib}/ld-linux-*.so.* --argv0 udevadm --library-path {lib}:{lib}/systemd {tree}/usr/bin/udevadm "$@"
END
chmod +x "$theirs"
"#
    )
}

/// Runs a script in namespaces of its own; `$1` is a directory with our `udevadm`, `$2` the program. Its standard output.
fn in_namespaces(script: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let program = env!("CARGO_BIN_EXE_nameplate");
    std::os::unix::fs::symlink(program, dir.path().join("udevadm")).unwrap();
    let output = Command::new("unshare")
        .args(["--mount", "--net", "--propagation", "private", "bash", "-euc", script, "x"])
        .args([dir.path(), Path::new(program)])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{err}\n{out}", output.status);
    out.into_owned()
}
