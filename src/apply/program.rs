//! Owns running the programs that rules ask for after a device's links and permissions are in place.
//!
//! A program sees the device's properties as its whole environment. It is never a shell's text: what a rule wrote in
//! TOML are the arguments, one by one. What it leaves running is left alone here; only a deadline kills.

use std::path::Path;
use std::time::Duration;

use bstr::{BStr, BString};

use crate::properties::Properties;
use crate::sys::process::{self, Finished};

/// Runs `argv`, a relative program from `helpers`, with `properties` as environment (those that begin with `.` are not
/// for programs), and waits at most `timeout`.
pub fn run(argv: &[BString], properties: &Properties, helpers: &Path, timeout: Duration) -> Finished {
    let public = properties.iter().filter(|(key, _)| !key.starts_with(b"."));
    process::run(argv, public.map(|(key, value): (&BStr, &BStr)| (&**key, &**value)), helpers, timeout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_are_the_environment() {
        let properties =
            [("DEVNAME", "/dev/x"), (".PRIVATE", "1"), ("ID_MODEL", "a b")].into_iter().collect();
        let argv = ["/bin/sh", "-c", "echo \"$DEVNAME $ID_MODEL\"; env | grep -c PRIVATE"].map(BString::from);
        let done = run(&argv, &properties, Path::new("/"), Duration::from_secs(60));
        assert_eq!(done.stdout, "/dev/x a b\n0\n");
    }
}
