//! What is run and written, and what programs are given.

use super::*;

#[test]
fn jobs() {
    let machine = Machine::new();
    let builtin = act(Effect::RunBuiltin {
        op: ListOp::Add,
        builtin: Builtin {
            name: "kmod".into(),
            arguments: Command::Argv(vec![template("load"), template("%k")]),
        },
    });
    let jobs = |rules| -> Vec<Job> {
        outcome(&machine, Action::Add, TTY, rules).run.into_iter().map(|given| given.value).collect()
    };
    let words = |words: &[&str]| Job::Program(words.iter().map(|w| (*w).into()).collect());
    let log = || run(ListOp::Add, &["/bin/logger", "it is $devnode; $attr{label}"]);
    assert_eq!(
        jobs(vec![vec![log(), builtin, log()]]),
        [
            words(&["/bin/logger", "it is /dev/ttyUSB0;  two  words"]),
            Job::Builtin { name: "kmod".into(), arguments: vec!["load".into(), "ttyUSB0".into()] },
            words(&["/bin/logger", "it is /dev/ttyUSB0;  two  words"]),
        ]
    );
    assert_eq!(jobs(vec![vec![log()], vec![run(ListOp::Set, &["/bin/b"])]]), [words(&["/bin/b"])]);
    assert_eq!(jobs(vec![vec![log()], vec![run(ListOp::Set, &[])]]), []);
    assert_eq!(jobs(vec![vec![run(ListOp::Add, &["$env{NONE}", "x"])]]), []);
    assert_eq!(jobs(vec![vec![fixed(log())], vec![run(ListOp::Set, &["/bin/b"])]]).len(), 1);
}

#[test]
fn writes() {
    let machine = Machine::new();
    let sysctl = act(Effect::WriteSysctl { name: template("net.ipv4.x").into(), value: template("1") });
    let rules = compile(vec![
        vec![
            write_attr("power/control", "%k"),
            write_attr("[net/eth0]mtu", "9000"),
            write_attr("[net/no]mtu", "1"),
        ],
        vec![sysctl, link("x")],
    ]);
    let facts = machine.facts(Action::Add, TTY);
    let mut host = Scripted::new(&machine);
    let out = evaluate(&rules, &facts, &mut host, &mut Unobserved);
    assert_eq!(host.log, ["ttyUSB0 power/control = ttyUSB0", "eth0 mtu = 9000"]);
    let failures: Vec<_> = out.writes.iter().map(|write| write.failure.as_deref()).collect();
    assert_eq!(failures, [None, None, Some("read-only file system")]);
    assert_eq!(summary(&out), "link x@2; !write-failed@2");
}

#[test]
fn what_programs_are_given() {
    let machine = Machine::new();
    let rules = compile(vec![vec![
        property(".T", "1"),
        property("A", "1"),
        program("/bin/words '$attr{label}' %k", true),
    ]]);
    let mut host = Scripted::new(&machine);
    evaluate(&rules, &machine.facts(Action::Add, TTY), &mut host, &mut Unobserved);
    // ACTION, DEVNAME, MAJOR, MINOR and A; not .T
    assert_eq!(host.log, ["/bin/words  two  words ttyUSB0 with 6"]);
}

#[test]
fn security_labels() {
    let label = |op, module: &str, text: &str| {
        act(Effect::SecurityLabel { op, module: module.into(), label: template(text) })
    };
    let machine = Machine::new();
    let labels = |rules| -> Vec<String> {
        let out = outcome(&machine, Action::Add, TTY, rules);
        out.labels.iter().map(|(module, given)| format!("{module}={}", given.value)).collect()
    };
    let (add, set) = (ListOp::Add, ListOp::Set);
    let both = vec![vec![label(add, "selinux", "a")], vec![label(add, "smack", "b$number")]];
    assert_eq!(labels(both.clone()), ["selinux=a", "smack=b0"]);
    let then = |last| both.iter().cloned().chain([vec![last]]).collect::<Vec<_>>();
    assert_eq!(labels(then(label(set, "smack", "c"))), ["smack=c"]);
}
