//! The kernel's uevents.

use nameplate::ids::DeviceId;
use nameplate::uevent::Uevent;

use super::parts;

/// The input is one datagram, and two: what can be read is written and read again as the same, and two events of one
/// device become one that has the facts of both.
pub fn check(data: &[u8]) {
    if let Ok(parsed) = Uevent::parse(data) {
        facts(&parsed.uevent);
        let datagram = parsed.uevent.to_datagram();
        let again = Uevent::parse(&datagram).map(|again| (again.uevent, again.dropped));
        assert_eq!(again, Ok((parsed.uevent.clone(), Vec::new())));
        absorbed(parsed.uevent, data);
    }
}

/// What an event says of itself.
pub(super) fn facts(uevent: &Uevent) {
    assert!(!uevent.subsystem.is_empty() && !uevent.subsystem.contains(&b'/'));
    let id = uevent.device_id().to_bytes();
    assert!(!id.iter().any(|b| b"/\0".contains(b)), "{id:?} is no file name");
    assert_eq!(DeviceId::parse(&id).map(|again| again.to_bytes()), Ok(id));
    assert!(uevent.devnum().is_none_or(|number| number.major != 0));
    assert!(uevent.waited_for().len() <= 2);
    assert!(uevent.devname().is_none_or(|name| !name.is_empty()));
    let _either = (uevent.devpath_old(), uevent.devtype(), uevent.ifindex(), uevent.is_synthetic());
}

/// The event with properties of its own in the place of what is behind its first four.
fn absorbed(older: Uevent, data: &[u8]) {
    let mut newer = older.clone();
    let odd = parts(data, 8).pop().unwrap_or_default();
    let _refused = newer.properties.set("FUZZ", odd);
    let mut both = older.clone();
    both.absorb(newer.clone());
    assert!(newer.properties.iter().all(|(key, value)| both.properties.get(key) == Some(value)));
    assert!(older.properties.iter().all(|(key, _)| both.properties.get(key).is_some()));
}
