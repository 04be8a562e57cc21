//! The uevent socket against the running kernel: real events, a forger, an overrun. Needs root, else says so.
//!
//! Events are asked for on the loopback interface with a UUID of the test's own: other events of the machine come in
//! between and are passed over.

use std::os::fd::AsRawFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use nameplate::ids::{Action, SeqNum};
use nameplate::roots::Roots;
use nameplate::uevent::{Drained, Foreign, KernelSocket, Rejected, Uevent};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, sendto, socket,
};

const LO: &str = "devices/virtual/net/lo";

/// The tests' own events must not fill each other's small buffers.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// The turn of a test, for root with a writable sysfs; says why not.
fn turn() -> Option<MutexGuard<'static, ()>> {
    let why = if !nix::unistd::geteuid().is_root() {
        "not root"
    } else if std::fs::OpenOptions::new().write(true).open(uevent_file()).is_err() {
        "/sys is not writable"
    } else {
        return Some(ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner));
    };
    println!("skipped: {why}");
    None
}

fn uevent_file() -> std::path::PathBuf {
    Roots::system().sys.join(LO).join("uevent")
}

/// Asks the kernel for one `change` of `lo`. It is in the sockets when this returns.
fn change(uuid: &str, number: usize) {
    std::fs::write(uevent_file(), format!("change {uuid} NUMBER={number}")).unwrap();
}

/// Empties the socket: this test's events, and what was refused.
fn receive(socket: &mut KernelSocket, uuid: &str) -> (Vec<Uevent>, Vec<Rejected>, Drained) {
    let (mut mine, mut refused) = (Vec::new(), Vec::new());
    let drained = socket
        .receive(&mut |received| match received {
            Ok(parsed) if parsed.uevent.properties.get("SYNTH_UUID").is_some_and(|u| *u == uuid) => {
                mine.push(parsed.uevent);
            }
            Ok(_) => {}
            Err(why) => refused.push(why),
        })
        .unwrap();
    (mine, refused, drained)
}

fn numbers(events: &[Uevent]) -> Vec<usize> {
    let number = |e: &Uevent| e.properties.get("SYNTH_ARG_NUMBER").unwrap().to_string().parse().unwrap();
    events.iter().map(number).collect()
}

#[test]
fn a_real_event() {
    let Some(_turn) = turn() else { return };
    let uuid = "11111111-0000-4000-8000-000000000001";
    let mut socket = KernelSocket::open(1 << 20).unwrap();
    assert!(socket.receive_buffer().unwrap() >= 1 << 20);
    for number in 0..100 {
        change(uuid, number);
    }
    let (mine, _, drained) = receive(&mut socket, uuid);
    assert_eq!(drained, Drained { emptied: true, lost: false });
    assert_eq!(numbers(&mine), (0..100).collect::<Vec<_>>());
    let event = &mine[0];
    assert_eq!((event.action, event.devpath.to_string()), (Action::Change, format!("/{LO}")));
    assert_eq!(event.subsystem, "net");
    assert_eq!(event.device_id().to_string(), "n1");
    assert!(event.seqnum > SeqNum(0) && event.seqnum < mine[99].seqnum);
    assert!(socket.counts().received >= 100);
    assert_eq!(socket.drops(&Roots::system().proc).unwrap(), 0);
}

#[test]
fn a_forger_is_not_believed() {
    let Some(_turn) = turn() else { return };
    let uuid = "11111111-0000-4000-8000-000000000002";
    let mut listener = KernelSocket::open(8 << 20).unwrap();
    let forger = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkKObjectUEvent,
    )
    .unwrap();
    bind(forger.as_raw_fd(), &NetlinkAddr::new(0, 0)).unwrap();
    let forged = format!(
        "change@/{LO}\0ACTION=change\0DEVPATH=/{LO}\0SUBSYSTEM=net\0IFINDEX=1\0SEQNUM=1\0SYNTH_UUID={uuid}\0"
    );
    // The second is larger than any slot: it must be known for a stranger's all the same.
    let large = [forged.as_bytes(), "X=1\0".repeat(25_000).as_bytes()].concat();
    for message in [forged.as_bytes(), &large] {
        let sent = sendto(forger.as_raw_fd(), message, &NetlinkAddr::new(0, 1), MsgFlags::empty());
        assert_eq!(sent, Ok(message.len()));
    }
    change(uuid, 7);
    let (mine, refused, drained) = receive(&mut listener, uuid);
    assert_eq!(drained, Drained { emptied: true, lost: false });
    assert_eq!(numbers(&mine), [7], "only the kernel's own");
    assert!(refused.len() >= 2, "{refused:?}");
    for why in &refused {
        assert!(matches!(why, Rejected::Foreign(Foreign::Port(port)) if *port != 0), "{why}");
    }
    let counts = listener.counts();
    assert_eq!((counts.foreign, counts.truncated, counts.malformed), (refused.len() as u64, 0, 0));
}

#[test]
fn an_overrun_is_noticed_and_the_survivors_arrive() {
    let Some(_turn) = turn() else { return };
    let uuid = "11111111-0000-4000-8000-000000000003";
    let mut socket = KernelSocket::open(4096).unwrap();
    for number in 0..200 {
        change(uuid, number);
    }
    let (mine, _, drained) = receive(&mut socket, uuid);
    assert_eq!(drained, Drained { emptied: true, lost: true });
    assert!(socket.counts().overruns >= 1);
    // The oldest survived, in order.
    let survivors = numbers(&mine);
    assert!(!survivors.is_empty() && survivors.len() < 200);
    assert_eq!(survivors, (0..survivors.len()).collect::<Vec<_>>());
    let drops = socket.drops(&Roots::system().proc).unwrap();
    assert!(drops >= 200 - survivors.len() as u64, "{drops} dropped, {} survived", survivors.len());
    // The socket goes on.
    change(uuid, 200);
    let (mine, _, drained) = receive(&mut socket, uuid);
    assert_eq!((numbers(&mine), drained), (vec![200], Drained { emptied: true, lost: false }));
}
