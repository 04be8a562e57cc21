//! Owns running the programs that rules ask for after a device's links and permissions are in place.
//!
//! A program sees the device's properties as its whole environment. It is never a shell's text: what a rule wrote in
//! TOML are the arguments, one by one. What it leaves running is left alone here; only a deadline kills.

use std::path::Path;

use bstr::{BStr, BString, ByteSlice};

use crate::properties::Properties;
use crate::sys::process::{self, Finished, Limit, Places};

/// Runs `argv`, which is where `places` says, with `properties` as environment (those that begin with `.` are not
/// for programs), and waits at most as long as `limit` says. An `udevadm` that is not installed is this program under that name.
pub fn run(argv: &[BString], properties: &Properties, places: Places<'_>, limit: Limit) -> Finished {
    let public = properties.iter().filter(|(key, _)| !key.starts_with(b"."));
    let environment = public.map(|(key, value): (&BStr, &BStr)| (&**key, &**value));
    match argv.split_first() {
        Some((program, arguments)) if is_missing_udevadm(program.as_bstr()) => {
            let name = program.to_os_str_lossy();
            process::run_named(&process::this_program(), &name, arguments, environment, places.proc, limit)
        }
        _ => process::run(argv, environment, places, limit),
    }
}

/// True for the path of an udevadm that is not there.
fn is_missing_udevadm(program: &BStr) -> bool {
    program.starts_with(b"/")
        && program.ends_with(b"/udevadm")
        && !Path::new(&*program.to_os_str_lossy()).exists()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use nix::sys::signal::Signal;

    use super::*;

    fn places(helpers: &str) -> Places<'_> {
        Places { helpers: Path::new(helpers), proc: Path::new("/proc") }
    }

    fn limit() -> Limit {
        Limit { timeout: Duration::from_secs(60), signal: Signal::SIGKILL }
    }

    #[test]
    fn properties_are_the_environment() {
        let properties =
            [("DEVNAME", "/dev/x"), (".PRIVATE", "1"), ("ID_MODEL", "a b")].into_iter().collect();
        let argv = ["/bin/sh", "-c", "echo \"$DEVNAME $ID_MODEL\"; env | grep -c PRIVATE"].map(BString::from);
        let done = run(&argv, &properties, places("/"), limit());
        assert_eq!(done.stdout, "/dev/x a b\n0\n");
    }

    /// This program is the tests: it lists the one that it is asked for. No other missing program is stood in for.
    #[test]
    fn an_udevadm_that_is_not_there_is_this_program() {
        let me = "apply::program::tests::an_udevadm_that_is_not_there_is_this_program";
        for (program, listed) in [("/nowhere/udevadm", true), ("/nowhere/udev", false), ("udevadm", false)] {
            let argv = [program, "--list", me].map(BString::from);
            let done = run(&argv, &Properties::new(), places("/nowhere"), limit());
            assert_eq!(
                (done.success(), done.stdout.contains_str(me)),
                (listed, listed),
                "{program}: {done:?}"
            );
        }
    }
}
