//! Every form of asking, put to systemd's udevadm and to ours over the same devices and the same database.

use std::path::Path;

use super::{in_namespaces, missing, of_tree, tree, version};
use crate::common::skip;

/// A database by hand. `$1/udevadm` is ours.
const DATABASE: &str = r#"
mount -t tmpfs none /run
mount -t sysfs none /sys
mkdir -p /run/udev/data /run/udev/tags/systemd /run/udev/tags/seat
mount -t tmpfs none /dev
mknod /dev/null c 1 3
mknod /dev/zero c 1 5
chmod 666 /dev/null
printf 'S:disk/a\nS:zero/b\nL:-10\nI:123456\nE:ID_PATH=x\nE:ID_SERIAL=abc\nE:ID_MODEL=two  words\nE:A=last\nG:systemd\nG:zz\nQ:systemd\nV:1\n' >/run/udev/data/c1:5
printf 'I:99\nE:ID_NET_NAME=lo\nE:QUOTE=it'"'"'s\nG:systemd\nQ:systemd\nV:1\n' >/run/udev/data/n1
>/run/udev/data/c1:3
printf 'I:77\nG:seat\nV:1\n' >/run/udev/data/+cpu:cpu0
touch /run/udev/tags/systemd/{c1:5,n1} /run/udev/tags/seat/+cpu:cpu0
"#;

/// Puts each line of `$forms` to both. A form's answer: exit code and standard output.
const ASK: &str = r#"
while IFS= read -r form; do
    [ -n "$form" ] || continue
    for program in "$theirs" "$1/udevadm"; do
        code=0
        eval "timeout 60 $program $form" >/run/out 2>/run/err </dev/null || code=$?
        printf '\001%s\002%s\002%s\n' "$form" "$code" "$(cat /run/out)"
    done
done <<<"$forms"
"#;

/// What is asked.
const FORMS: &str = r#"
--version
info
info -q bogus -n zero
info -n zero
info -n /dev/zero
info --name=zero --query=all
info /dev/zero /dev/null /sys/class/net/lo
info -q symlink -n zero
info -q symlink -r -n zero
info -q symlink /dev/null
info -q name -n zero
info -q name -r -n zero
info -q name -p /sys/class/net/lo
info -q path -n zero
info -q path -p /class/net/lo
info -q property -n zero
info -q env -n zero
info -q property -p /sys/class/net/lo
info -x -q property -p /sys/class/net/lo
info -x -P X_ -q property -n zero
info --property=ID_PATH,ID_SERIAL --value -q property -n zero
info --property=ID_PATH --property=A -q property -n zero
info --property=MISSING -q property -n zero
info -x --value -q property -n zero
info -n zero -p /sys/class/net/lo
info -q path /dev/null -n zero
info -n nosuch
info -p /nosuch
info nosuch
info /dev/none
info /sys/class/net
info /sys/bus/cpu
info /sys/bus/cpu/drivers/processor
info dev-zero.device
info pcspkr.device
info -d /nosuch
info -d /dev/zero
info -x -d /dev/zero
info -x -P Z_ -d /dev/zero
info -w1 -n zero
info -w0.1 -p /devices/virtual/mem/full
info -a -n zero -n null
info -t -n zero
info --attribute-walk --name=zero
info --cleanup-nosuch
trigger -n -v -s mem
trigger -n -v --subsystem-match='m?m'
trigger -n -v -s mem -s net -S net
trigger -n -v -s mem -t all
trigger -n -v -s module -y loop -t all
trigger -n -v -s subsystem -t subsystems
trigger -n -v /dev/zero
trigger -n -v /sys/class/net
trigger -n -v -g systemd
trigger -n -v -g systemd -g seat
trigger -n -v -y 'tty1*'
trigger -n -v -a mtu -A address='01:*'
trigger -n -v -p 'ID_PATH=*'
trigger -n -v -p ID_SERIAL=abc -p ID_NET_NAME=lo
trigger -n -v --initialized-match
trigger -n -v -s mem --initialized-nomatch
trigger -n -v -s mem -s tty --prioritized-subsystem=tty,mem
trigger -n -v -b /sys/devices/virtual/mem
trigger -n -v --name-match=zero
trigger -c help
trigger -c bogus
trigger -t bogus
trigger nosuch
trigger -n -v -S '*'
settle
settle -t x
settle -E /dev/null
control
control -R x
control --ping
control -l bogus
control -m x
control -p FOO
wait
wait foo
wait -t x /dev/null
wait -t 0.1 /dev/nosuch
wait -t 0.1 --removed /dev/zero
wait --removed /dev/gone
wait --initialized=false /dev/null
wait --initialized=maybe /dev/null
wait --initialized=true /sys/class/net/lo
lock
lock -p
lock -d /dev/null true
lock -d nosuch true
test
test-builtin
test-builtin path_id
test-builtin nosuch /sys/class/net/lo
nosuch
"#;

/// What is no difference: the order of links and tags, which is any, and lines that later versions have and this does not.
fn plain(text: &str, systemd: u32) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        let bare = line.trim_start_matches([' ', '\t', '│', '┆']);
        // a counter
        let counts = bare.starts_with("ATTR")
            && ["{power/runtime_active_time}", "{inflight}", "{stat}"].iter().any(|name| bare.contains(name));
        if counts || bare.contains("==\"(not readable)\"") || (systemd < 255 && bare.starts_with("J: ")) {
            continue;
        }
        if systemd < 257 && bare.starts_with("B: ") {
            continue;
        }
        let sorted = |separator: char, text: &str| {
            let mut words: Vec<&str> = text.trim_matches('\'').split(separator).collect();
            words.sort_unstable();
            words.join(&separator.to_string())
        };
        // the same in JSON
        let line = &match line.split_once('"').filter(|_| bare.starts_with(['{', '"', '\u{1e}'])) {
            Some(_) => json_sorted(line),
            None => line.to_owned(),
        };
        lines.push(match line.split_once('=') {
            Some((key, value)) if key.ends_with("DEVLINKS") => format!("{key}={}", sorted(' ', value)),
            Some((key, value)) if key.ends_with("TAGS") => format!("{key}={}", sorted(':', value)),
            _ if line.starts_with("disk/") || line.starts_with("zero/") || line.starts_with("/dev/") => {
                sorted(' ', line)
            }
            // tags without their name
            _ if line.starts_with(':') => sorted(':', line),
            _ => line.to_owned(),
        });
    }
    let is_link = |line: &String| line.trim_start_matches([' ', '│', '┆']).starts_with("S: ");
    lines.chunk_by_mut(|a, b| is_link(a) && is_link(b)).for_each(|chunk| {
        if is_link(&chunk[0]) {
            chunk.sort();
        }
    });
    lines.join("\n")
}

/// Links and tags in order, and no counter, in a line of JSON.
fn json_sorted(line: &str) -> String {
    let mut words: Vec<String> = line.split('"').map(str::to_owned).collect();
    for at in 2..words.len() {
        let separator = match words[at - 2].as_str() {
            "DEVLINKS" => " ",
            "TAGS" | "CURRENT_TAGS" => ":",
            "power/runtime_active_time" | "inflight" | "stat" => {
                words[at].clear();
                continue;
            }
            _ => continue,
        };
        let mut parts: Vec<&str> = words[at].split(separator).collect();
        parts.sort_unstable();
        words[at] = parts.join(separator);
    }
    words.join("\"")
}

/// What is asked for a person's eyes only, in words of our own.
fn head_left_out(form: &str, text: &str) -> String {
    if form.contains("-a ") || form.contains("--attribute-walk") {
        let at = text.find("  looking at").unwrap_or(0);
        // another empty line, or none, ends it
        return text[at..].trim_end().to_owned();
    }
    text.to_owned()
}

/// Asks both until they agree, or differ for the third time: other tests' devices come and go between the two.
fn lasting_differences(forms: &str, tree: &Path) -> (usize, Vec<String>) {
    let (asked, mut found) = differences(forms, "", Some(tree));
    for _again in 0..2 {
        let form = |text: &String| text.lines().next().unwrap().trim_start_matches("udevadm ").to_owned();
        let left: Vec<String> = found.iter().map(form).collect();
        if left.is_empty() {
            break;
        }
        found = differences(&left.join("\n"), "", Some(tree)).1;
    }
    (asked, found)
}

/// Asks both; the forms that are answered differently. `tree`: a Debian whose udevadm is asked, in place of this machine's.
fn differences(forms: &str, script: &str, tree: Option<&Path>) -> (usize, Vec<String>) {
    let theirs = tree.map_or_else(|| "theirs=udevadm".to_owned(), of_tree);
    let out = in_namespaces(&format!(
        "{DATABASE}\n{script}\n{theirs}\nforms=$(cat <<'END'\n{forms}\nEND\n)\n{ASK}"
    ));
    let answers: Vec<Vec<&str>> =
        out.split('\u{1}').skip(1).map(|answer| answer.splitn(3, '\u{2}').collect()).collect();
    let systemd = if tree.is_some() { u32::MAX } else { version() };
    let mut found = Vec::new();
    for pair in answers.chunks(2) {
        let [real, ours] = pair else { panic!("half an answer: {pair:?}") };
        let form = real[0];
        let text = |answer: &[&str]| plain(&head_left_out(form, answer[2]), systemd);
        if (real[1], text(real)) != (ours[1], text(ours)) {
            found.push(format!(
                "udevadm {form}\n--- systemd's: {}\n{}\n--- ours: {}\n{}",
                real[1],
                text(real),
                ours[1],
                text(ours)
            ));
        }
    }
    (answers.len() / 2, found)
}

#[test]
fn answers_as_systemds_does() {
    if let Some(why) = missing() {
        return skip(why);
    }
    // what 252 says of itself is another number
    let forms: String = FORMS.lines().filter(|form| *form != "--version").collect::<Vec<_>>().join("\n");
    let (asked, found) = differences(&forms, "", None);
    assert!(asked > 80, "{asked}");
    assert!(found.is_empty(), "{} of {asked} differ:\n{}", found.len(), found.join("\n\n"));
}

/// Systemd 257, which is the one that ours follows, where a tree of a Debian that has it is named: `contrib/verify` makes one.
#[test]
fn answers_as_systemd_257_does() {
    let Some(tree) = tree() else { return };
    let forms = include_str!("forms-257.txt");
    let (asked, found) = lasting_differences(forms, &tree);
    assert!(asked > 600, "{asked}");
    eprintln!("{asked} forms asked of systemd's and of ours");
    assert!(found.is_empty(), "{} of {asked} differ:\n{}", found.len(), found.join("\n\n"));
}

/// Every device that other tests do not make and change meanwhile, in each form.
#[test]
fn all_devices_in_all_forms() {
    if let Some(why) = missing() {
        return skip(why);
    }
    let mut forms = String::new();
    let mut of = |dir: &str| {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            let Ok(path) = entry.path().canonicalize() else { continue };
            let path = path.to_string_lossy().into_owned();
            // counters change between two looks
            for form in ["info -q property -p", "info -p", "info -q path -p", "info -x -q property -p"] {
                forms.push_str(&format!("{form} '{path}'\n"));
            }
        }
    };
    for class in ["input", "mem", "misc", "rtc", "dmi", "power_supply"] {
        of(&format!("/sys/class/{class}"));
    }
    for bus in ["cpu", "pci", "platform", "acpi", "usb", "virtio", "serio"] {
        of(&format!("/sys/bus/{bus}/devices"));
    }
    let (asked, found) = differences(&forms, "", None);
    assert!(asked > 20, "{asked}");
    assert!(found.is_empty(), "{} of {asked} differ:\n{}", found.len(), found.join("\n\n"));
}

/// `info --cleanup-db` keeps what is marked to be kept, and what leads to it.
#[test]
fn the_database_is_cleaned_up_alike() {
    if let Some(why) = missing() {
        return skip(why);
    }
    let script = format!(
        "{DATABASE}\n{}",
        r#"
        chmod 1644 /run/udev/data/n1
        mkdir -p /run/udev/static_node-tags/uaccess /run/udev/watch
        ln -s /dev/x /run/udev/static_node-tags/uaccess/x
        ln -s n1 /run/udev/watch/4
        cp -a /run/udev /run/before
        udevadm info --cleanup-db
        (cd /run/udev; find . | sort) >/run/theirs
        rm -r /run/udev; cp -a /run/before /run/udev
        "$1/udevadm" info --cleanup-db
        (cd /run/udev; find . | sort) >/run/ours
        diff /run/theirs /run/ours
        cat /run/ours
        "#
    );
    let left = in_namespaces(&script);
    assert!(left.contains("./data/n1") && !left.contains("./data/c1:5"), "{left}");
}
