//! The configuration file.

use std::path::Path;

use nameplate::config::{Config, apply};
use nameplate::diag::SourceFile;

use super::rules;

/// Reads the text as a configuration: what is wrong has a place inside, the values keep their bounds, and reading the
/// same text again changes nothing.
pub fn check(data: &[u8]) {
    let source = SourceFile::new(Path::new("nameplate.toml"), data);
    let mut config = Config::default();
    let diagnostics = apply(&mut config, &source);
    rules::diagnostics(&diagnostics, &source);
    assert!((1..=0x7fff_ffff).contains(&config.receive_buffer), "{config:?}");
    assert!(config.queue_limit.get() <= 10_000_000, "{config:?}");
    assert!(config.workers.is_none_or(|workers| workers.get() <= 1024), "{config:?}");
    assert!(config.link_dir.iter().chain(&config.rules).all(|path| path.is_absolute()), "{config:?}");
    assert!(!config.event_timeout.is_zero() && !config.program_timeout.is_zero(), "{config:?}");
    let once = config.clone();
    let again = apply(&mut config, &source);
    assert_eq!(once, config, "the second time changes something");
    assert_eq!(diagnostics, again, "the second time says something else");
}
