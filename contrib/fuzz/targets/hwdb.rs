//! The hardware database: its file, which may be damaged, and its sources.

use std::path::Path;

use nameplate::builtin::hwdb::Hwdb;
use nameplate::builtin::hwdb::compile::{Sources, compile_text};

/// Asks the input as a database, and the database of the input as a source. The first line is what is asked.
pub fn check(data: &[u8]) {
    let (asked, text) = data.iter().position(|&b| b == b'\n').map_or((data, data), |at| data.split_at(at));
    if let Ok(hwdb) = Hwdb::from_bytes(data.to_vec()) {
        let _answer_or_error = hwdb.query(asked);
    }
    for sources in [Sources::Named, Sources::Left] {
        let mut bytes = compile_text(Path::new("fuzz.hwdb"), text, sources).bytes;
        let hwdb = Hwdb::from_bytes(bytes.clone()).expect("what was built can be read");
        hwdb.query(asked).expect("and be asked");
        // the input again, as changes of a sound database: place and byte in turn
        for change in data.chunks_exact(3) {
            let at = usize::from(u16::from_le_bytes([change[0], change[1]]));
            if let Some(place) = bytes.get_mut(80 + at) {
                *place = change[2];
            }
        }
        if let Ok(hwdb) = Hwdb::from_bytes(bytes) {
            let _answer_or_error = hwdb.query(asked);
        }
    }
}
