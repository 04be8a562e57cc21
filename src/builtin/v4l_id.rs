//! Owns `v4l_id`: what a video device calls itself and what it can do.

use bstr::{BString, ByteSlice};

use super::helper::{Arguments, Said};
use super::medium::{Drive, Probed};
use super::{BuiltinError, Context};
use crate::probe::Request;

/// Names of capabilities, as udev has them, and their bits (`linux/videodev2.h`).
const CAPABILITIES: [(&str, u32); 6] = [
    ("capture", 0x1),
    ("video_output", 0x2),
    ("video_overlay", 0x4),
    ("audio", 0x2_0000),
    ("tuner", 0x1_0000),
    ("radio", 0x4_0000),
];
/// Says `ID_V4L_*` of the node that is named, or the device's own. A device that speaks no V4L2 has none, which is no failure.
pub(super) fn say(arguments: &[BString], context: &Context<'_>) -> Result<Said, BuiltinError> {
    let arguments = Arguments::parse(arguments, &[])?;
    let medium = context.open_path(arguments.rest.first())?;
    let drive = Probed { context, medium };
    Ok(drive.bytes(Request::VideoCapability).map(|bytes| Said::facts(facts(&bytes))).unwrap_or_default())
}

/// What `struct v4l2_capability` says.
fn facts(bytes: &[u8]) -> Vec<(String, BString)> {
    let text = bytes.get(16..48).unwrap_or_default();
    let product = text.split(|b| *b == 0).next().unwrap_or_default();
    let word = |at: usize| {
        bytes
            .get(at..)
            .and_then(|rest| rest.first_chunk())
            .map(|b| u32::from_ne_bytes(*b))
            .unwrap_or_default()
    };
    let bits = word(84);
    let names = CAPABILITIES.iter().filter(|(_, bit)| bits & bit != 0).map(|(name, _)| format!("{name}:"));
    vec![
        ("ID_V4L_VERSION".into(), "2".into()),
        ("ID_V4L_PRODUCT".into(), product.replace("\n", "_").into()),
        ("ID_V4L_CAPABILITIES".into(), format!(":{}", names.collect::<String>()).into()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capability(card: &[u8], bits: u32) -> Vec<u8> {
        let mut bytes = vec![0; 104];
        bytes[16..16 + card.len()].copy_from_slice(card);
        bytes[84..88].copy_from_slice(&bits.to_ne_bytes());
        bytes
    }

    #[test]
    fn cameras_and_others() {
        for (card, bits, expected) in [
            (&b"HD Webcam"[..], 0x8420_0001, "2|HD Webcam|:capture:"),
            (b"TV\nX", 0x0007_0007, "2|TV_X|:capture:video_output:video_overlay:audio:tuner:radio:"),
            (&[b'x'; 32], 0, "2|xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx|:"),
        ] {
            let values: Vec<String> =
                facts(&capability(card, bits)).iter().map(|(_, value)| value.to_string()).collect();
            assert_eq!(values.join("|"), expected);
        }
        assert_eq!(facts(&[]).len(), 3);
    }
}
