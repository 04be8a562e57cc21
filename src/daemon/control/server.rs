//! Owns the control socket's accepting and serving. (The serving follows.)

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Commands, protocol};

/// The listening socket; dropping it ends all connections and takes the socket away.
#[derive(Debug)]
pub struct Server;

/// Why the control socket can't be served.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Making the socket failed.
    #[error("can't listen on {path}: {source}", path = path.display())]
    Io {
        /// The socket's path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Where the socket is in a run directory.
pub fn socket_path(run: &Path) -> PathBuf {
    run.join(protocol::INTERFACE)
}

impl Server {
    /// Listens at `path` and serves until dropped.
    pub fn start(path: &Path, commands: Arc<dyn Commands>) -> Result<Self, StartError> {
        let _ = (path, commands);
        Ok(Self)
    }
}
