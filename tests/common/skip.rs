//! Says that a test can't run here. The library's own tests have it too.

use std::fs::OpenOptions;
use std::io::Write;

/// Says that the running test can't run on this machine, and why; the caller returns. `contrib/test` names a file in
/// `NAMEPLATE_SKIPPED`, counts its lines and shows them at the end.
pub(crate) fn skip(why: &str) {
    let thread = std::thread::current();
    let program = std::env::current_exe().ok();
    let program =
        program.as_ref().and_then(|path| path.file_stem()).map_or("?".into(), |s| s.to_string_lossy());
    // cargo adds `-` and a hash to the name of a test program
    let program = program.rsplit_once('-').map_or(&*program, |(name, _)| name);
    let line = format!("{program}::{}: {why}\n", thread.name().unwrap_or("main"));
    eprint!("skipped: {line}");
    if let Some(file) = std::env::var_os("NAMEPLATE_SKIPPED") {
        let mut file =
            OpenOptions::new().append(true).create(true).open(file).expect("the list of skipped tests");
        // one write, so that tests that run side by side don't mix their lines
        file.write_all(line.as_bytes()).expect("the list of skipped tests");
    }
}
