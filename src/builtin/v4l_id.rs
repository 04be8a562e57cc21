//! Owns `v4l_id`: what a video device calls itself and what it can do.

use bstr::{BString, ByteSlice};

use super::helper::{Arguments, Said, text};
use super::medium::{Drive, Probed};
use super::{BuiltinError, Context};
use crate::probe::Request;

/// Names of capabilities, as udev has them, and their bits, any of which counts (`linux/videodev2.h`): pictures may be of one
/// plane or of several.
const CAPABILITIES: [(&str, u32); 6] = [
    ("capture", 0x1001),
    ("video_output", 0x2002),
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

/// `V4L2_CAP_DEVICE_CAPS`: what the node itself can do stands apart from what the whole device can.
const OF_NODE: u32 = 0x8000_0000;

/// What `struct v4l2_capability` says.
fn facts(bytes: &[u8]) -> Vec<(String, BString)> {
    let word = |at: usize| {
        bytes
            .get(at..)
            .and_then(|rest| rest.first_chunk())
            .map(|b| u32::from_ne_bytes(*b))
            .unwrap_or_default()
    };
    let bits = match word(84) {
        whole if whole & OF_NODE != 0 => word(88),
        whole => whole,
    };
    let names = CAPABILITIES.iter().filter(|(_, bit)| bits & bit != 0).map(|(name, _)| format!("{name}:"));
    let capabilities = format!(":{}", names.collect::<String>());
    let mut out = vec![("ID_V4L_VERSION".into(), "2".into())];
    out.extend(product(bytes).map(|product| ("ID_V4L_PRODUCT".into(), product)));
    out.push(("ID_V4L_CAPABILITIES".into(), capabilities.into()));
    out
}

/// The card's name, if it ends and is a text.
fn product(bytes: &[u8]) -> Option<BString> {
    let (product, _) = bytes.get(16..48)?.split_once_str(b"\0")?;
    text(product)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capability(card: &[u8], whole: u32, node: u32) -> Vec<u8> {
        let mut bytes = vec![0; 104];
        bytes[16..16 + card.len()].copy_from_slice(card);
        bytes[84..88].copy_from_slice(&whole.to_ne_bytes());
        bytes[88..92].copy_from_slice(&node.to_ne_bytes());
        bytes
    }

    #[test]
    fn cameras_and_others() {
        for (card, whole, node, expected) in [
            // the camera's picture and its metadata
            (&b"HD Webcam"[..], 0x84a0_0001, 0x0420_0001, "2|HD Webcam|:capture:"),
            (b"HD Webcam", 0x84a0_0001, 0x04a0_0000, "2|HD Webcam|:"),
            (b"TV X", 0x0007_0007, 1, "2|TV X|:capture:video_output:video_overlay:audio:tuner:radio:"),
            (b"ISP", 0x8400_3000, 0x0400_3000, "2|ISP|:capture:video_output:"),
            (b"TV\nX", 1, 0, "2|:capture:"),
            (b"\xff", 1, 0, "2|:capture:"),
            (&[b'x'; 32], 0, 0, "2|:"),
        ] {
            let values: Vec<String> =
                facts(&capability(card, whole, node)).iter().map(|(_, value)| value.to_string()).collect();
            assert_eq!(values.join("|"), expected);
        }
        assert_eq!(facts(&[]).len(), 2);
    }
}
