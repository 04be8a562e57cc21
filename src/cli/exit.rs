//! Owns how a verb ends: the exit codes, and the failures with what people read about them.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use super::client::ClientError;
use super::device_arg::DeviceArgError;

/// With what the program exits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done, or the answer is yes.
    Ok,
    /// The answer is no: a failed check, a time-out, a device that is not there.
    No,
    /// The command line is wrong.
    Usage,
    /// No daemon answers.
    NoDaemon,
    /// The daemon or the kernel does not allow it to this user.
    Denied,
    /// Something else failed.
    Failed,
}

impl Exit {
    /// All of them, as the help lists them.
    const ALL: [(Exit, &'static str); 6] = [
        (Exit::Ok, "done, or the answer is yes"),
        (Exit::No, "the answer is no: a failed check, a time-out, a device that is not there"),
        (Exit::Usage, "the command line is wrong"),
        (Exit::NoDaemon, "no daemon answers"),
        (Exit::Denied, "not allowed to this user"),
        (Exit::Failed, "something else failed"),
    ];

    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Exit::Ok => 0,
            Exit::No => 1,
            Exit::Usage => 2,
            Exit::NoDaemon => 3,
            Exit::Denied => 4,
            Exit::Failed => 5,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.code())
    }
}

/// The end of every help text.
pub fn footer() -> String {
    let lines = Exit::ALL.map(|(exit, meaning)| format!("  {}  {meaning}", exit.code()));
    format!("Exit codes:\n{}", lines.join("\n"))
}

/// Why a verb did not end as asked. The message says what to do next where that is known.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Writing the output failed; a broken pipe counts as success.
    #[error("the output can't be written: {0}")]
    Output(#[from] io::Error),
    /// The daemon did not do it.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A DEVICE argument that leads to no device.
    #[error(transparent)]
    Device(#[from] DeviceArgError),
    /// A file or directory that can't be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Arguments that are fine one by one and not together.
    #[error("{0}")]
    Usage(String),
    /// Not allowed to this user; the text says what.
    #[error("{0}")]
    Denied(String),
    /// Any other; the text says all.
    #[error("{0}")]
    Failed(String),
    /// A verb whose room is there and empty.
    #[error("`{0}` is not built yet")]
    NotBuilt(&'static str),
}

impl Failure {
    /// With what to exit.
    pub fn exit(&self) -> Exit {
        match self {
            Failure::Client(error) => error.exit(),
            Failure::Device(error) => error.exit(),
            Failure::Usage(_) => Exit::Usage,
            Failure::Denied(_) => Exit::Denied,
            Failure::File { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => Exit::Denied,
            Failure::Output(_) | Failure::File { .. } | Failure::Failed(_) | Failure::NotBuilt(_) => {
                Exit::Failed
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_footer_lists_every_code_in_order() {
        let footer = footer();
        let codes: Vec<_> =
            footer.lines().skip(1).map(|l| l.trim_start().split(' ').next().unwrap()).collect();
        assert_eq!(codes, ["0", "1", "2", "3", "4", "5"]);
    }
}
