//! What becomes longer than udev's buffers: by hand, and systemd 252 says the same.

use super::effects::Device::{self, Partition};

/// A device, lines, and what they leave. As in `effects`, `@` is the case's name.
pub(crate) fn limits() -> Vec<(Device, String, String)> {
    let x = |count: usize| "x".repeat(count);
    let cases = [
        (format!("ENV{{@}}=\"{}\"", x(511)), x(511)),
        (format!("ENV{{@}}=\"{}\"", x(512)), String::new()),
        (format!("ENV{{@}}=\"1\"\nENV{{@}}=\"{}\"", x(512)), "1".into()),
        (format!("ENV{{a@}}=\"{}\"\nENV{{@}}=\"$env{{a@}}$env{{a@}}\"", x(256)), String::new()),
        (format!("ENV{{a@}}=\"{}\"\nENV{{@}}=\"$env{{a@}}$env{{a@}}\"", x(255)), x(510)),
        (format!("ENV{{@}}=\"{0}\"\nENV{{@}}+=\"{0}\"", x(256)), x(256)),
        (format!("ENV{{@}}=\"{0}\"\nENV{{@}}+=\"{0}\"", x(255)), format!("{0} {0}", x(255))),
        // the rest of the line counts
        (format!("ENV{{a@}}=\"{}\", ENV{{@}}=\"1\"", x(512)), "1".into()),
        // a list of links is one value
        (format!("SYMLINK+=\"@a {0} {0} {0} {0} {0}\"", x(204)), String::new()),
        (format!("SYMLINK+=\"@a {0} {0} {0} {0}\"", x(204)), "link @a".into()),
        (format!("TAG+=\"@{}\"", x(1024)), String::new()),
        // what is asked about has no name: neither operator holds
        (
            format!("ENV{{a@}}=\"{}\"\nTEST!=\"/$env{{a@}}$env{{a@}}$env{{a@}}\", ENV{{@}}=\"1\"", x(400)),
            String::new(),
        ),
        (
            format!("ENV{{a@}}=\"{}\"\nTEST==\"/$env{{a@}}$env{{a@}}$env{{a@}}\", ENV{{@}}=\"1\"", x(400)),
            String::new(),
        ),
        (format!("ENV{{a@}}=\"{}\"\nTEST!=\"/$env{{a@}}$env{{a@}}\", ENV{{@}}=\"1\"", x(400)), "1".into()),
        (
            format!(
                "ENV{{a@}}=\"{}\"\nIMPORT{{file}}!=\"/$env{{a@}}$env{{a@}}$env{{a@}}\", ENV{{@}}=\"1\"",
                x(400)
            ),
            String::new(),
        ),
    ];
    // A line that goes on: its backslash counts, and nothing but the line is lost.
    let on = |commas: usize, behind: &str| {
        format!("ENV{{@}}=\"1\"{}\\\n{}{behind}\nENV{{@}}+=\"2\"", ",".repeat(15_987), ",".repeat(commas))
    };
    let whole = format!("ENV{{@}}=\"1\"{}\nENV{{@}}+=\"2\"", ",".repeat(16_370));
    let lines = [
        (on(383, ""), "1 2".into()),
        (on(384, ""), "2".into()),
        (on(382, "\\\n"), "1 2".into()),
        (on(383, "\\\n"), "2".into()),
        (whole, "1 2".into()),
    ];
    cases.into_iter().chain(lines).map(|(text, expected)| (Partition, text, expected)).collect()
}
