//! What an observer is shown.

use super::*;

#[test]
fn the_trace_names_the_first_condition_that_failed() {
    let machine = Machine::new();
    let mut trace = Trace::default();
    let rules = vec![
        vec![is("kernel", "tty*"), is("attr.size", "17"), is("attr.label", "*"), link("a")],
        vec![is("subsystem", "block"), parent(&[("attr.serial", "A*")]), link("b")],
        vec![parent(&[("subsystem", "usb"), ("attr.idVendor", "1546"), ("attr.serial", "B*")]), link("c")],
        vec![act(Effect::Name(template("lan0")))],
        vec![is("kernel", "tty*"), link("d"), link("../e")],
        vec![is("attr.nothing", "x"), program("/bin/words", true), link("f")],
    ];
    observed(&machine, Action::Add, TTY, rules, &mut trace);
    let shown = |at: usize| trace.rules[at].first_failed().map(ToString::to_string);
    assert_eq!(shown(0).unwrap(), "attr.size is \"17\": found \"0x10\"");
    assert_eq!(shown(1).unwrap(), "subsystem is \"block\": found \"tty\"");
    // of the devices on the way up, the one that came furthest
    assert_eq!(shown(2).unwrap(), format!("attr.serial is \"B*\": found \"A50285BI\" on {USB}"));
    assert_eq!(trace.rules[3].skipped, Some(Skip::NoInterface));
    assert!(trace.rules[4].applied() && !trace.rules[2].applied() && !trace.rules[3].applied());
    assert_eq!(shown(5).unwrap(), "attr.nothing is \"x\": there is none");
    // conditions behind the first that failed are shown too, marked
    let [_, _, StepTrace::Condition(late)] = &trace.rules[0].steps[..] else {
        panic!("{:?}", trace.rules[0])
    };
    assert!(late.late && late.passed);
    let [_, StepTrace::Parent { found: Some(On::Above(found)), .. }] = &trace.rules[1].steps[..] else {
        panic!("{:?}", trace.rules[1])
    };
    assert_eq!(found.as_bytes(), USB.as_bytes());
    // no program runs for the observer's sake
    assert_eq!(trace.rules[5].steps.len(), 1);
    let applied: Vec<_> = trace.rules[4]
        .steps
        .iter()
        .filter_map(|step| match step {
            StepTrace::Effect { what, applied, .. } => Some((what.as_str(), applied.clone())),
            _ => None,
        })
        .collect();
    assert_eq!(applied, [("link += d", Applied::Yes), ("link += ../e", Applied::Refused)]);
}

#[test]
fn a_test_on_the_way_up_reports_its_device() {
    struct Spots(Vec<String>);
    impl Observer for Spots {
        fn condition(&mut self, seen: &Seen<'_>) {
            self.0.push(format!("{:?} {}", On::from(seen.on), seen.passed));
        }
    }
    let machine = Machine::new();
    let mut spots = Spots(Vec::new());
    let found = condition("attr.bInterfaceNumber", Test::Exists(true));
    let place = compile(vec![vec![]]).all().next().unwrap().1.place.clone();
    let rules = vec![vec![StepKind::Parent(vec![(place, found)]), link("x")]];
    observed(&machine, Action::Add, TTY, rules, &mut spots);
    assert_eq!(spots.0.len(), 3);
    assert_eq!(spots.0[0], "Event false");
    assert!(spots.0[2].contains("1-2:1.0") && spots.0[2].ends_with("true"), "{:?}", spots.0);
}
