//! Probes themselves: what they have given up, and that one that dies, hangs or lies costs one request.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nameplate::probe::{Answer, ProbeError, Probes, Refusal, Request, Trespass};
use nix::errno::Errno;

fn probes() -> Probes {
    Probes::new(env!("CARGO_BIN_EXE_nameplate").into())
}

fn later() -> Instant {
    Instant::now() + Duration::from_secs(600)
}

fn ask(probes: &Probes, request: &Request) -> Result<Answer, ProbeError> {
    probes.ask(request, File::open("/dev/zero").unwrap().as_fd(), later())
}

fn trespass(probes: &Probes, what: Trespass) -> Result<Answer, ProbeError> {
    ask(probes, &Request::Trespass(what))
}

const READ: Request = Request::Read { offset: 0, room: 4 };

fn contents(whole: bool) -> Request {
    Request::Contents { whole, offset: 0, hint: None, no_raid: false }
}

/// Asks a simple question that a probe in good health answers.
fn is_well(probes: &Probes) {
    assert_eq!(ask(probes, &READ).unwrap(), Answer::Bytes(vec![0; 4]));
}

#[test]
fn a_probe_has_nothing() {
    let probes = probes();
    is_well(&probes);
    // a file, so that libblkid has something to look at
    let file = tempfile::tempfile().unwrap();
    file.set_len(1 << 20).unwrap();
    for whole in [true, false] {
        let answer = probes.ask(&contents(whole), file.as_fd(), later()).unwrap();
        assert!(matches!(answer, Answer::Facts(_) | Answer::Refused(Refusal::NoLibrary)), "{answer:?}");
    }
    let pids = probes.at_rest();
    assert_eq!(pids.len(), 3, "one for each role");
    for pid in pids {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let field: BTreeMap<&str, &str> =
            status.lines().filter_map(|line| line.split_once(':')).map(|(k, v)| (k, v.trim())).collect();
        for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
            assert_eq!(field[set], "0000000000000000", "{set}");
        }
        assert_eq!(field["NoNewPrivs"], "1");
        assert_eq!(field["Seccomp"], "2", "a filter is in force");
        assert_eq!(field["Threads"], "1");
        if nix::unistd::geteuid().is_root() {
            assert_eq!(field["CapBnd"], "0000000000000000");
            assert_eq!(field["Uid"], "65534\t65534\t65534\t65534");
            assert_eq!(field["Groups"], "");
            let own = fs::read_link(format!("/proc/{pid}/ns/net")).unwrap();
            assert_ne!(own, fs::read_link("/proc/self/ns/net").unwrap());
            let open: Vec<_> = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().collect();
            assert_eq!(open.len(), 3, "null, socket, log: no medium is kept");
            let root = fs::read_dir(format!("/proc/{pid}/root")).unwrap();
            assert_eq!(root.count(), 0, "an empty root");
        }
    }
}

#[test]
fn forbidden_calls_end_the_probe_and_nothing_else() {
    let probes = probes();
    for what in [Trespass::Open, Trespass::Socket, Trespass::Fork] {
        is_well(&probes);
        let error = trespass(&probes, what).unwrap_err();
        assert!(matches!(&error, ProbeError::Died(how) if how.contains("SIGSYS")), "{what:?}: {error}");
        assert_eq!(probes.at_rest(), [] as [u32; 0]);
    }
    let refused = trespass(&probes, Trespass::Memory).unwrap();
    assert_eq!(refused, Answer::Refused(Refusal::Errno(Errno::ENOMEM)));
    is_well(&probes);
}

#[test]
fn a_probe_that_is_killed_at_rest_costs_nothing() {
    let probes = probes();
    is_well(&probes);
    let pid = probes.at_rest()[0];
    kill(pid);
    is_well(&probes);
    assert_ne!(probes.at_rest(), [pid]);
}

fn hangs_and_lies() {
    let probes = probes();
    is_well(&probes);
    let pid = probes.at_rest()[0];
    let zero = File::open("/dev/zero").unwrap();
    let soon = Instant::now() + Duration::from_millis(50);
    let error = probes.ask(&Request::Trespass(Trespass::Hang), zero.as_fd(), soon).unwrap_err();
    assert!(matches!(error, ProbeError::TimedOut), "{error}");
    is_well(&probes);
    assert_ne!(probes.at_rest(), [pid]);
    let error = trespass(&probes, Trespass::Nonsense).unwrap_err();
    assert!(matches!(error, ProbeError::Nonsense(_)), "{error}");
    is_well(&probes);
}

/// One after the other: the second would take the first one's probe for its own.
#[test]
fn a_hang_a_lie_and_a_kill_cost_one_request() {
    hangs_and_lies();
    killed_at_work();
}

fn killed_at_work() {
    let probes = probes();
    is_well(&probes);
    // the request of a probe that dies goes to a new one, in case the death was none of its doing; that one is killed too
    let zero = File::open("/dev/zero").unwrap();
    let hang = &Request::Trespass(Trespass::Hang);
    let error = std::thread::scope(|scope| {
        let asked = scope.spawn(|| probes.ask(hang, zero.as_fd(), later()));
        let mut killed = Vec::new();
        while !asked.is_finished() {
            for pid in children() {
                if !killed.contains(&pid)
                    && fs::read_to_string(format!("/proc/{pid}/cmdline"))
                        .is_ok_and(|c| c.ends_with("probe\0commands\0"))
                    && is_hanging(pid)
                {
                    kill(pid);
                    killed.push(pid);
                }
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        asked.join().unwrap().unwrap_err()
    });
    assert!(error.to_string().contains("SIGKILL"), "{error}");
    is_well(&probes);
}

fn kill(pid: u32) {
    let pid = nix::unistd::Pid::from_raw(i32::try_from(pid).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
}

/// Processes that the thread of this process that runs `ask` has started.
fn children() -> Vec<u32> {
    let mut out = Vec::new();
    for task in fs::read_dir("/proc/self/task").unwrap().flatten() {
        let text = fs::read_to_string(task.path().join("children")).unwrap_or_default();
        out.extend(text.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
    }
    out
}

/// True for a probe that turns round and round: no other does for so long.
fn is_hanging(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let field = |at: usize| {
        stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(at)?.parse::<u64>().ok())
    };
    // user and system time, in hundredths of a second
    field(11).unwrap_or(0) + field(12).unwrap_or(0) >= 30
}

#[test]
fn what_can_not_be_a_probe() {
    let error = ask(&Probes::new("/nonexistent".into()), &READ).unwrap_err();
    assert!(matches!(error, ProbeError::Start(_)), "{error}");
    for program in ["/bin/true", "/bin/false"] {
        let error = ask(&Probes::new(program.into()), &READ).unwrap_err();
        assert!(matches!(error, ProbeError::Died(_)), "{program}: {error}");
    }
}

#[test]
fn one_probe_serves_many_and_many_are_served_at_once() {
    let probes = probes();
    for _ in 0..100 {
        is_well(&probes);
    }
    assert_eq!(probes.at_rest().len(), 1);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..20).for_each(|_| is_well(&probes)));
        }
    });
    assert!((1..=4).contains(&probes.at_rest().len()), "{:?}", probes.at_rest());
}
