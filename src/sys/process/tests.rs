//! Programs that run to their end: how they end, what they get, what is kept of them, and that none stays.

use super::*;
use bstr::ByteSlice;

const LONG: Duration = Duration::from_secs(60);

fn sh_for(script: &str, timeout: Duration) -> Finished {
    let argv = ["/bin/sh", "-c", script].map(BString::from);
    run(&argv, [(&b"PATH"[..], &b"/usr/bin:/bin"[..])], places("/nonexistent"), limit(timeout))
}

fn places(helpers: &str) -> Places<'_> {
    Places { helpers: Path::new(helpers), proc: Path::new("/proc") }
}

fn limit(timeout: Duration) -> Limit {
    Limit { timeout, signal: Signal::SIGKILL }
}

fn sh(script: &str) -> Finished {
    sh_for(script, LONG)
}

#[test]
fn programs_heed_every_signal() {
    // SAFETY: ignoring a signal runs no code, and nobody else here waits for this one
    unsafe { nix::sys::signal::signal(Signal::SIGWINCH, SigHandler::SigIgn) }.unwrap();
    let ignored = || {
        let argv = ["/bin/sh".into(), "-c".into(), "grep SigIgn /proc/self/status".into()];
        let said = run(&argv, [], places("/"), limit(LONG)).stdout;
        let mask = said.to_str().unwrap().trim_start_matches("SigIgn:").trim();
        u64::from_str_radix(mask, 16).unwrap() & 1 << (Signal::SIGWINCH as i32 - 1) != 0
    };
    assert!(ignored());
    heed_inherited_signals();
    assert!(!ignored());
}

#[test]
fn ends() {
    let cases = [
        ("exit 0", End::Exited(0)),
        ("exit 7", End::Exited(7)),
        ("kill -9 $$", End::Signalled(9)),
        ("kill -SEGV $$", End::Signalled(11)),
    ];
    for (script, end) in cases {
        assert_eq!(sh(script).end, end, "{script}");
    }
    let run = |argv: &[&str]| {
        let argv: Vec<BString> = argv.iter().map(|&arg| arg.into()).collect();
        run(&argv, [], places("/bin"), limit(LONG)).end
    };
    assert_eq!(run(&["sh", "-c", "exit 3"]), End::Exited(3));
    assert_eq!(run(&["none"]), End::NotStarted(Errno::ENOENT));
    assert_eq!(run(&["/etc/passwd"]), End::NotStarted(Errno::EACCES));
    assert_eq!(run(&["sh", "a\0b"]), End::NotStarted(Errno::EINVAL));
    assert_eq!(run(&[]), End::NotStarted(Errno::EINVAL));
}

#[test]
fn what_a_program_gets() {
    let argv =
        ["/bin/sh", "-c", "env; printf '%s|' \"$@\"; cat", "x", "a b", "*", "\"$(id)\""].map(BString::from);
    let done = run(&argv, [(&b"DEVNAME"[..], &b"/dev/\xff"[..])], places("/"), limit(LONG));
    // the shell adds PWD and perhaps some of its own
    let out = done.stdout.to_vec();
    let text = String::from_utf8_lossy(&out);
    assert!(out.windows(14).any(|w| w == b"DEVNAME=/dev/\xff"), "{text}");
    assert!(text.ends_with("a b|*|\"$(id)\"|"), "{text}");
    assert!(!text.contains("CARGO") && !text.contains("HOME="), "{text}");
    assert!(done.success());
}

#[test]
fn own_process_group_and_no_other_descriptors() {
    let done = sh("cut -d' ' -f5 /proc/$$/stat; echo $$");
    let words: Vec<&str> = std::str::from_utf8(&done.stdout).unwrap().split_whitespace().collect();
    assert_eq!(words[0], words[1]);
    // what the test runner itself was given
    close_inherited_on_exec().unwrap();
    let argv = ["ls", "/proc/self/fd"].map(BString::from);
    let done = run(&argv, [], places("/bin"), limit(LONG));
    // 3 is the directory that ls reads
    assert_eq!(done.stdout, "0\n1\n2\n3\n");
}

#[test]
fn much_output_on_both_sides_does_not_block() {
    let done =
        sh("head -c 1000000 /dev/zero >&2; head -c 1000000 /dev/zero; echo end; echo last >&2; exit 4");
    assert_eq!((done.end, done.stdout.len(), done.truncated), (End::Exited(4), STDOUT_MAX, true));
    assert_eq!(done.stderr.len(), STDERR_MAX);
    assert!(done.stderr.ends_with(b"last\n"));
    let exact = sh(&format!("head -c {STDOUT_MAX} /dev/zero"));
    assert_eq!((exact.stdout.len(), exact.truncated), (STDOUT_MAX, false));
}

/// True when process `pid` is gone or a zombie of somebody's.
fn is_dead(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_none_or(|(_, rest)| rest.trim_start().starts_with(['Z', 'X']))
}

#[test]
fn the_deadline_kills_the_group_and_reaps() {
    let done = sh_for("trap '' TERM; sleep 600 & echo $! $$; sleep 600", Duration::from_secs(1));
    assert_eq!(done.end, End::TimedOut);
    let pids: Vec<&str> = std::str::from_utf8(&done.stdout).unwrap().split_whitespace().collect();
    assert!(!Path::new("/proc").join(pids[1]).exists());
    // the grandchild dies of the same signal, but is init's to reap
    while !is_dead(pids[0]) {
        std::thread::yield_now();
    }
    assert_eq!(sh_for("kill -STOP $$", Duration::from_millis(100)).end, End::TimedOut);
}

#[test]
fn a_program_may_be_told_that_its_time_is_over() {
    let told = |script: &str| {
        let argv = ["/bin/sh", "-c", script].map(BString::from);
        let limit = Limit { timeout: Duration::from_millis(500), signal: Signal::SIGUSR1 };
        run(&argv, [(&b"PATH"[..], &b"/usr/bin:/bin"[..])], places("/"), limit)
    };
    let says = "trap 'echo told; exit 3' USR1; while :; do sleep 0.01; done";
    let stopped = "trap 'echo told; exit 3' USR1; kill -STOP $$; while :; do sleep 0.01; done";
    for script in [says, stopped] {
        let done = told(script);
        assert_eq!((done.end, done.stdout.as_bstr()), (End::TimedOut, b"told\n".as_bstr()), "{script}");
    }
    let deaf = told("trap '' USR1; echo $$; while :; do sleep 0.01; done");
    assert_eq!(deaf.end, End::TimedOut);
    assert!(!Path::new("/proc").join(deaf.stdout.trim().to_os_str().unwrap()).exists(), "killed");
}

#[test]
fn a_process_left_behind_holds_nobody() {
    let done = sh("sleep 600 & echo $!; exit 5");
    let pid = Pid::from_raw(std::str::from_utf8(&done.stdout).unwrap().trim().parse().unwrap());
    nix::sys::signal::kill(pid, Signal::SIGKILL).unwrap();
    assert_eq!(done.end, End::Exited(5));
    let noisy = sh("(while echo x; do :; done) & exit 6");
    assert_eq!(noisy.end, End::Exited(6));
    let closed = sh_for("exec >&- 2>&-; sleep 600", Duration::from_millis(100));
    assert_eq!(closed.end, End::TimedOut);
}
