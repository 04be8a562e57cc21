//! Owns `--daemon`: the program starts itself again in the background, and ends when the daemon answers clients, as scripts
//! of an initramfs expect of udevd. Never becomes the daemon itself.

use std::fs::OpenOptions;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::daemon::control::protocol::Mode;
use crate::daemon::mode;
use crate::sys::process::this_program;

/// So often it is looked whether the daemon answers.
const TICK: Duration = Duration::from_millis(10);

/// Starts the daemon, which will run in that mode, with the arguments of this process.
pub(super) fn start(context: &Context, mode: Mode) -> Result<Exit, Failure> {
    let cannot = |error: std::io::Error| Failure::Failed(format!("can't start in the background: {error}"));
    let messages = OpenOptions::new().write(true).open(context.roots.dev.join("kmsg"));
    let mut arguments = std::env::args_os();
    let mut command = Command::new(this_program());
    if let Some(name) = arguments.next() {
        // by it the daemon is known in lists of processes, and knows what it is called as
        command.arg0(name);
    }
    command.args(arguments);
    let mut child = command
        .arg("--detached")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(messages.map_or_else(|_| Stdio::null(), Stdio::from))
        .spawn()
        .map_err(cannot)?;
    let is_manager = mode == Mode::Standalone && context.own_link_dir.is_none();
    loop {
        if let Some(status) = child.try_wait().map_err(cannot)? {
            let why = format!("the daemon ended with {status}; started without --daemon it says why");
            return Err(Failure::Failed(why));
        }
        if mode::serves(child.id(), &context.control_socket(), &context.roots, is_manager) {
            return Ok(Exit::Ok);
        }
        std::thread::sleep(TICK);
    }
}
