//! Tests of the shared queue: who waits, who is let in, who is given up.

use std::sync::mpsc::{RecvTimeoutError, channel};

use super::*;

/// Longer than a thread that may go on takes to do so; only a failing test waits that long.
const LONG: Duration = Duration::from_secs(60);

fn uevent(action: &str, devpath: &str, seqnum: u64) -> Uevent {
    let text =
        format!("{action}@{devpath}\0ACTION={action}\0DEVPATH={devpath}\0SUBSYSTEM=x\0SEQNUM={seqnum}\0");
    Uevent::parse(text.as_bytes()).unwrap().uevent
}

fn push(work: &Work, action: &str, devpath: &str, seqnum: u64) -> Pushed {
    work.push(Job::of_kernel(uevent(action, devpath, seqnum)), |_| false)
}

fn own(devpath: &str) -> Job {
    Job::of_batch(uevent("add", devpath, 1), Cause::Resync, &Token::default())
}

/// A queue with `workers` of whom nobody has begun.
fn work(limit: usize, workers: usize) -> Arc<Work> {
    let work = Arc::new(Work::new(limit, None));
    assert_eq!(work.staff(workers, LONG, 0), workers);
    work
}

#[test]
fn what_the_kernel_said_meanwhile_counts() {
    let work = work(10, 1);
    assert_eq!(push(&work, "add", "/devices/before", 2), Pushed::Queued);
    let news = work.listen();
    assert_eq!(push(&work, "remove", "/devices/gone", 3), Pushed::Queued);
    assert!(!work.push_own(own("/devices/gone"), 10, Some(&news)));
    assert!(!work.push_own(own("/devices/gone/below"), 10, Some(&news)));
    assert!(work.push_own(own("/devices/before"), 10, Some(&news)));
    assert!(work.push_own(own("/devices/gone"), 10, None));
}

#[test]
fn a_full_queue_makes_its_own_jobs_wait_and_refuses_the_kernels() {
    let work = work(2, 1);
    assert_eq!(push(&work, "add", "/devices/a", 1), Pushed::Queued);
    assert_eq!(push(&work, "add", "/devices/b", 2), Pushed::Queued);
    assert_eq!(push(&work, "add", "/devices/c", 3), Pushed::Overflow);
    let (told, tell) = channel();
    let waiting = Arc::clone(&work);
    let thread = std::thread::spawn(move || told.send(waiting.push_own(own("/devices/d"), 100, None)));
    assert_eq!(tell.recv_timeout(Duration::from_millis(50)), Err(RecvTimeoutError::Timeout));
    let (run, _) = work.take().unwrap();
    assert!(work.finish(run));
    assert_eq!(tell.recv_timeout(LONG), Ok(true));
    thread.join().unwrap().unwrap();
    assert_eq!(work.counts().0, 2);
}

#[test]
fn news_of_a_device_ends_the_wait_for_its_next_attempt() {
    let work = work(10, 2);
    assert_eq!(push(&work, "add", "/devices/a/b", 1), Pushed::Queued);
    assert_eq!(push(&work, "change", "/devices/a", 2), Pushed::Queued);
    let (hung, _) = work.take().unwrap();
    work.give_up(hung, Some(Instant::now() + LONG));
    let (told, tell) = channel();
    let waiting = Arc::clone(&work);
    std::thread::spawn(move || told.send(waiting.take().map(|(_, job)| job.uevent.devpath.to_string())));
    assert_eq!(tell.recv_timeout(Duration::from_millis(50)), Err(RecvTimeoutError::Timeout));
    assert_eq!(push(&work, "change", "/devices/a/b", 3), Pushed::Queued);
    assert_eq!(tell.recv_timeout(LONG), Ok(Some("/devices/a/b".into())));
}

#[test]
fn a_run_that_was_given_up_counts_for_nothing_and_has_another_worker() {
    let work = work(10, 1);
    let _queued = push(&work, "add", "/devices/a", 1);
    let (first, _) = work.take().unwrap();
    assert!(work.is_current(first));
    work.give_up(first, Some(Instant::now()));
    assert!(!work.is_current(first));
    assert_eq!(work.staff(1, LONG, 0), 1, "in the place of the one that hangs");
    let (second, job) = work.take().unwrap();
    assert_eq!(job.uevent.devpath.to_string(), "/devices/a");
    assert!(!work.finish(first), "too late");
    work.give_up(second, None);
    assert!(!work.finish(second));
    assert_eq!(work.counts(), (0, 0, 1));
    assert_eq!(work.staff(1, LONG, 0), 1);
}

#[test]
fn slow_workers_have_others_beside_them_for_a_while() {
    let work = work(10, 1);
    let _queued = push(&work, "add", "/devices/a", 1);
    let (run, _) = work.take().unwrap();
    assert_eq!(work.staff(1, Duration::ZERO, 64), 2);
    assert_eq!(work.staff(1, Duration::ZERO, 64), 0, "they are there already");
    assert_eq!(work.staff(1, Duration::ZERO, 1), 0);
    assert!(work.finish(run));
    assert_eq!(work.staff(1, Duration::ZERO, 64), 0);
    assert!(work.take().is_none() && work.take().is_none(), "two workers too many end");
    let _queued = push(&work, "add", "/devices/b", 2);
    assert!(work.take().is_some(), "the third stays");
}

#[test]
fn the_end_waits_for_what_is_under_way() {
    let work = work(10, 1);
    let _queued = push(&work, "add", "/devices/a", 1);
    let (run, _) = work.take().unwrap();
    work.stop();
    assert_eq!(work.wait_for_workers(Duration::from_millis(20)), 1);
    let ending = Arc::clone(&work);
    let thread = std::thread::spawn(move || ending.wait_for_workers(LONG));
    assert!(work.finish(run));
    assert_eq!(thread.join().unwrap(), 0);
    assert!(!work.push_own(own("/devices/b"), 10, None), "nothing is taken any more");
}
