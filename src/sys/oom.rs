//! Owns what programs are worth to the kernel when memory runs out. A daemon that it is told to spare must not have programs
//! that it spares: the culprit may be one of them.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

/// Lets the process `pid`, which this one has started, be no dearer to the kernel than any other; `proc` is the directory of
/// processes. One that has gone meanwhile is none's business any more.
pub(super) fn put_back(proc: &Path, pid: u32) {
    static SPARED: OnceLock<bool> = OnceLock::new();
    if *SPARED.get_or_init(|| is_spared(&fs::read_to_string(score(proc, "self")).unwrap_or_default())) {
        let _gone = set_plain(proc, pid);
    }
}

fn score(proc: &Path, process: &str) -> std::path::PathBuf {
    proc.join(process).join("oom_score_adj")
}

fn is_spared(score: &str) -> bool {
    score.trim().parse::<i32>().is_ok_and(|score| score < 0)
}

fn set_plain(proc: &Path, pid: u32) -> std::io::Result<()> {
    fs::write(score(proc, &pid.to_string()), "0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_spared() {
        for (score, expected) in
            [("-1000\n", true), ("-1\n", true), ("0\n", false), ("200\n", false), ("", false)]
        {
            assert_eq!(is_spared(score), expected, "{score}");
        }
    }

    #[test]
    fn a_program_is_like_any_other() {
        let proc = Path::new("/proc");
        let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
        let file = score(proc, &child.id().to_string());
        fs::write(&file, "500").unwrap();
        set_plain(proc, child.id()).unwrap();
        let now = fs::read_to_string(&file).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(now, "0\n");
    }
}
