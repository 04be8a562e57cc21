//! Recordings of machines.

use nameplate::recording::Recording;

/// What can be read can be written, and read again as the same; the text of it is settled.
pub fn check(data: &[u8]) {
    let recording = match Recording::parse(data) {
        Ok(recording) => recording,
        Err(error) => return assert!(error.to_string().starts_with("line ")),
    };
    let text = recording.to_bytes();
    match Recording::parse(&text) {
        Ok(again) => assert_eq!(again, recording),
        Err(error) => panic!("what was written can't be read: {error}"),
    }
    for device in recording.devices() {
        assert_eq!(recording.device(device.path.as_bytes()), Some(device));
        let uevent = device.uevent();
        let lines = uevent.iter().filter(|&&b| b == b'\n').count();
        assert_eq!(lines, device.kernel.len(), "a line is forged");
        let below = recording.below(device.path.as_bytes());
        assert!(below.into_iter().all(|other| other.path.as_bytes().len() > device.path.as_bytes().len()));
    }
}
