//! The cases: what is read, and what it has to become.

/// udev's rules and TOML.
pub(crate) const TO_TOML: &[(&str, &str)] = &[
    (
        "SUBSYSTEM==\"tty\", ATTRS{idVendor}==\"1546\", ATTRS{serial}==\"A5*\", SYMLINK+=\"gps\", GROUP=\"dialout\", MODE=\"660\"\n",
        r#"[[rule]]
match  = { subsystem = "tty" }
parent = { attr.idVendor = "1546", attr.serial = "A5*" }
group  = "dialout"
mode   = "0660"
link   = "gps"
"#,
    ),
    // A guard at the top of the file.
    (
        "# about disks\n\nACTION==\"remove\", GOTO=\"end\"\nSUBSYSTEM!=\"block\", GOTO=\"end\"\n\n# all\nKERNEL==\"sd*\", TAG+=\"disk\"\nLABEL=\"end\"\n",
        r#"# about disks

[file]
match = { action = { not = "remove" }, subsystem = "block" }

# all
[[rule]]
match = { kernel = "sd*" }
tag   = "disk"
"#,
    ),
    // A guard further down: the skipped rules get its contrary.
    (
        "TAG+=\"a\"\nSUBSYSTEM!=\"block\", GOTO=\"b\"\nTAG+=\"c\"\nLABEL=\"b\", TAG+=\"d\"\n",
        r#"[[rule]]
tag = "a"

[[rule]]
match = { subsystem = "block" }
tag   = "c"

[[rule]]
tag = "d"
"#,
    ),
    // One that depends on more than one thing leaves a property.
    (
        "SUBSYSTEM==\"block\", KERNEL==\"loop*\", GOTO=\"end\"\nSUBSYSTEM==\"block\", TAG+=\"disk\"\nLABEL=\"end\"\n",
        r#"[[rule]]
match = { kernel = "loop*", subsystem = "block" }
property.".goto_60case_end" = "1"

[[rule]]
match = { property.".goto_60case_end" = "", subsystem = "block" }
tag   = "disk"
"#,
    ),
    // Links: one name, several, and what udev makes of a text that may have spaces or an empty end.
    (
        "KERNEL==\"a\", SYMLINK+=\"a b/%n\"\n",
        "[[rule]]\nmatch = { kernel = \"a\" }\nlink  = { add = \"a b/%n\", words = true }\n",
    ),
    (
        "KERNEL==\"a\", SYMLINK+=\"a b\", SYMLINK+=\"c\"\n",
        "[[rule]]\nmatch = { kernel = \"a\" }\nlink  = [\"a\", \"b\", \"c\"]\n",
    ),
    ("KERNEL==\"a\", SYMLINK=\"a\"\n", "[[rule]]\nmatch = { kernel = \"a\" }\nlink  = { set = \"a\" }\n"),
    ("KERNEL==\"a\", SYMLINK-=\"a\"\n", "[[rule]]\nmatch = { kernel = \"a\" }\nlink  = { remove = \"a\" }\n"),
    (
        "KERNEL==\"a\", SYMLINK:=\"a\"\n",
        "[[rule]]\nmatch = { kernel = \"a\" }\nlink  = { set = \"a\" }\nfinal = [\"link\"]\n",
    ),
    (
        "ENV{ID_PATH}==\"?*\", SYMLINK+=\"by/$env{ID_PATH}\"\n",
        "[[rule]]\nmatch = { property.ID_PATH = \"?*\" }\nlink  = \"by/$env{ID_PATH}\"\n",
    ),
    (
        "ENV{DEVTYPE}==\"disk\", SYMLINK+=\"by/$env{ID_PATH}\"\n",
        "[[rule]]\nmatch = { devtype = \"disk\" }\nlink  = { add = \"by/$env{ID_PATH}\", words = true }\n",
    ),
    (
        "KERNEL==\"a\", OPTIONS+=\"log_level=7\", OPTIONS+=\"dump\", OPTIONS+=\"dump-json\", OPTIONS+=\"log_level=reset\"\n",
        "[[rule]]\nmatch   = { kernel = \"a\" }\noptions = [\"log_level=debug\", \"dump\", \"dump-json\", \"log_level=reset\"]\n",
    ),
    // Programs.
    (
        "KERNEL==\"a\", PROGRAM==\"/bin/x 'a b' $$\", RESULT==\"y*\", SYMLINK+=\"%c\"\n",
        "[[rule]]\nmatch   = { kernel = \"a\" }\nprogram = [\"/bin/x\", \"a b\", \"$$\"]\nresult  = \"y*\"\nlink    = { add = \"%c\", words = true }\n",
    ),
    (
        "KERNEL==\"a\", PROGRAM!=\"x %k\", TAG+=\"t\"\n",
        "[[rule]]\nmatch   = { kernel = \"a\" }\nprogram = { not = { line = \"x %k\" } }\ntag     = \"t\"\n",
    ),
    (
        "KERNEL==\"a\", RUN+=\"/bin/a b\", RUN{builtin}+=\"kmod load $env{MODALIAS}\"\n",
        "[[rule]]\nmatch   = { kernel = \"a\" }\nbuiltin = { line = \"kmod load $env{MODALIAS}\" }\nrun     = [[\"/bin/a\", \"b\"]]\n",
    ),
    (
        "KERNEL==\"a\", RUN=\"/bin/a\"\n",
        "[[rule]]\nmatch = { kernel = \"a\" }\nrun   = { set = [[\"/bin/a\"]] }\n",
    ),
    (
        "KERNEL==\"a\", IMPORT{db}!=\"X\", TAG+=\"t\"\n",
        "[[rule]]\nmatch  = { kernel = \"a\" }\nimport = { not = { db = \"X\" } }\ntag    = \"t\"\n",
    ),
    (
        "KERNEL==\"a\", IMPORT{program}=\"y z\", IMPORT{parent}=\"ID_*\"\n",
        "[[rule]]\nmatch  = { kernel = \"a\" }\nimport = [{ program = [\"y\", \"z\"] }, { parent = \"ID_*\" }]\n",
    ),
    // Conditions.
    (
        "KERNEL==\"a*\", KERNEL!=\"ab\", KERNEL!=\"ac\", TAG+=\"t\"\n",
        "[[rule]]\nmatch = { kernel = { is = \"a*\", not = \"ab|ac\" } }\ntag   = \"t\"\n",
    ),
    (
        "TAG==\"a\", TAG==\"b\", TAG+=\"t\"\n",
        "[[rule]]\nmatch = { tag = { all = [\"a\", \"b\"] } }\ntag   = \"t\"\n",
    ),
    (
        "ATTR{x}==i\"Yes\", NAME==\"?*\", SYMLINK==\"z\", TAG+=\"t\"\n",
        "[[rule]]\nmatch = { link = \"z\", name = \"?*\", attr.x = { is = \"Yes\", ignore_case = true } }\ntag   = \"t\"\n",
    ),
    (
        "TEST==\"a/$id\", TEST!=\"b\", TEST{0111}==\"c\", TEST{4000}!=\"d\", TAG+=\"t\"\n",
        "[[rule]]\nmatch = { test = [\"a/$id\", { not = \"b\" }, { path = \"c\", mode = \"0111\" }, { not = \"d\", mode = \"4000\" }] }\ntag   = \"t\"\n",
    ),
    // Everything else that is set.
    (
        "KERNEL==\"a\", ENV{A}=\"1\", ENV{A}+=\"$attr{x}\", ENV{.b}=\"c\\d\", TAG=\"\", TAG+=\"u\", TAG-=\"v\"\n",
        "[[rule]]\nmatch = { kernel = \"a\" }\nproperty.A = { set = \"1\", append = \"$attr{x}\" }\nproperty.\".b\" = 'c\\d'\ntag   = { set = \"\", add = \"u\", remove = \"v\" }\n",
    ),
    (
        "KERNEL==\"a\", OPTIONS+=\"static_node=net/tun\", OPTIONS+=\"db_persist\", OPTIONS:=\"watch\", OPTIONS+=\"link_priority=-5\", OPTIONS+=\"string_escape=replace\", SECLABEL{smack}+=\"x\"\n",
        "[[rule]]\nmatch    = { kernel = \"a\" }\nseclabel.smack = \"x\"\npriority = -5\nwatch    = true\noptions  = [\"string_escape=replace\", \"db_persist\"]\nstatic_node = \"net/tun\"\nfinal    = [\"watch\"]\n",
    ),
    (
        "KERNEL==\"a\", ATTR{power/control}=\"auto\", SYSCTL{net.x}=\"%k\", NAME=\"lan$number\", OWNER=\"0\", GROUP=\"$env{G}\"\n",
        "[[rule]]\nmatch = { kernel = \"a\" }\nname  = \"lan$number\"\nowner = 0\ngroup = \"$env{G}\"\nwrite.attr.\"power/control\" = \"auto\"\nwrite.sysctl.\"net.x\" = \"%k\"\n",
    ),
    // A dollar that stands for itself.
    (
        "KERNEL==\"a\", ENV{A}=\"50% $x\"\n",
        "[[rule]]\nmatch = { kernel = \"a\" }\nproperty.A = \"50%% $$x\"\n",
    ),
];

/// TOML and udev's rules.
pub(crate) const TO_UDEV: &[(&str, &str)] = &[
    (
        "[[rule]]\nabout = \"GPS\"\nmatch = { subsystem = \"tty\" }\nparent = { subsystem = \"usb\", attr.serial = \"A\" }\nlink = [\"gps\", \"nav\"]\nmode = \"0660\"\n",
        "# GPS\nSUBSYSTEM==\"tty\", SUBSYSTEMS==\"usb\", ATTRS{serial}==\"A\", MODE=\"0660\", SYMLINK+=\"gps\", SYMLINK+=\"nav\"\n",
    ),
    // No device on the way up has a type in udev's language; of USB's two an attribute tells.
    (
        "[[rule]]\nparent = { subsystem = \"usb\", devtype = \"usb_interface\" }\ntag = \"t\"\n",
        "SUBSYSTEMS==\"usb\", ATTRS{bInterfaceNumber}==\"*\", TAG+=\"t\"\n",
    ),
    // Links in the place of others.
    (
        "[[rule]]\nmatch = { subsystem = \"block\" }\nlink = { set = [\"a\", \"b-$kernel\"], add = \"c\" }\n",
        "SUBSYSTEM==\"block\", SYMLINK=\"a b-$kernel\", SYMLINK+=\"c\"\n",
    ),
    (
        "[[rule]]\nmatch = { subsystem = \"block\" }\nlink = { set = [\"a\", \"b/$env{ID_PATH}\"] }\n",
        "SUBSYSTEM==\"block\", SYMLINK=\"\", SYMLINK+=\"a\", GOTO=\"links_1\"\nGOTO=\"end_1\"\nLABEL=\"links_1\", ENV{ID_PATH}==\"?*\", SYMLINK+=\"b/$env{ID_PATH}\"\nLABEL=\"end_1\"\n",
    ),
    // Two devices on the way up.
    (
        "[[rule]]\nmatch = { subsystem = \"block\" }\nparent = [{ driver = \"nvme\" }, { subsystem = \"pci\" }]\ntag = \"t\"\n",
        "SUBSYSTEM==\"block\", DRIVERS==\"nvme\", GOTO=\"more_1_0\"\nGOTO=\"end_1\"\nLABEL=\"more_1_0\"\nSUBSYSTEMS==\"pci\", TAG+=\"t\"\nLABEL=\"end_1\"\n",
    ),
    // An attribute that is not there.
    (
        "[[rule]]\nmatch = { subsystem = \"usb\", attr.serial = { exists = false } }\ntag = \"t\"\n",
        "ATTR{serial}==\"*\", GOTO=\"end_1\"\nSUBSYSTEM==\"usb\", TAG+=\"t\"\nLABEL=\"end_1\"\n",
    ),
    // A link with an empty part is none; udev would make one of the rest.
    (
        "[[rule]]\nmatch = { subsystem = \"block\" }\nlink = \"by/$env{ID_PATH}\"\n",
        "ENV{ID_PATH}==\"?*\", SUBSYSTEM==\"block\", SYMLINK+=\"by/$env{ID_PATH}\"\n",
    ),
    (
        "[[rule]]\nmatch = { subsystem = \"block\" }\nlink = [\"disk\", \"by/$env{ID_PATH}\", \"at/$attr{size}\"]\ntag = \"t\"\n",
        "SUBSYSTEM==\"block\", TAG+=\"t\", ENV{.link_1_1_0}=\"$attr{size}\", SYMLINK+=\"disk\", GOTO=\"links_1\"\nGOTO=\"end_1\"\nLABEL=\"links_1\", ENV{ID_PATH}==\"?*\", SYMLINK+=\"by/$env{ID_PATH}\"\nENV{.link_1_1_0}==\"?*\", SYMLINK+=\"at/$attr{size}\"\nLABEL=\"end_1\"\n",
    ),
    (
        "[[rule]]\nmatch = { kernel = \"a\" }\nstart = \"a.service\"\naccess = \"active-user\"\nrun = [[\"/bin/x\", \"a b\"]]\nproperty.A = { append = \"x\" }\n",
        "KERNEL==\"a\", TAG+=\"uaccess\", RUN{builtin}+=\"uaccess\", ENV{A}+=\"x\", TAG+=\"systemd\", ENV{SYSTEMD_WANTS}+=\"a.service\", RUN+=\"/bin/x 'a b'\"\n",
    ),
];

/// True for udev's rules; the text, and what is not carried.
pub(crate) const LOST: &[(bool, &str, &[&str])] = &[
    (true, "KERNEL==\"[\", TAG+=\"t\"\n", &["1: the pattern `[`: `[` without `]`"]),
    (true, "KERNEL==\"a\", BOGUS=\"x\"\n", &["1: there is no key `BOGUS`"]),
    (
        true,
        "KERNEL==\"a\", GOTO=\"b\"\nKERNEL==\"[\", GOTO=\"c\"\nLABEL=\"b\"\nTAG+=\"t\"\nLABEL=\"c\"\n",
        &["2: the pattern `[`: `[` without `]`", "4: a rule that line 2 may skip"],
    ),
    (true, "KERNEL==\"a\", TAG+=\"$env{X}\", ENV{X}=\"1\"\n", &["1: this behind what line 1 does"]),
    (
        false,
        "[[rule]]\nmatch = { kernel = \"a\" }\nlink = \"x-$attr{y}\"\noptions = \"string_escape=none\"\n",
        &["3: white space that a substitution brings into one link"],
    ),
    (false, "[[rule]]\nmatch = { attr.size = { min = 1 } }\nlink = \"a\"\n", &["2: a range of numbers"]),
    (
        false,
        "[[rule]]\nmatch = { kernel = \"a\" }\nlink = \"a/$index\"\nindex = { by = \"$kernel\" }\n",
        &["4: a number for each identity (`index`)", "3: `a/$index`"],
    ),
    (
        false,
        "[[rule]]\nmatch = { kernel = \"a\" }\nproperty.A = \"$env{B}\"\ntag = \"$env{A}\"\n",
        &["4: this behind what line 3 does"],
    ),
    (
        false,
        "[[test]]\ndevice = \"a\"\npath = \"/devices/a\"\nlinks = []\n",
        &["1: 1 test of the rules: udev has none ([[test]])"],
    ),
];

/// Whole files that do the same in both languages, to at least one device.
pub(crate) const SAME: &[(&str, &str)] = &[
    (
        "disks.rules",
        r#"
ACTION=="remove", GOTO="end"
SUBSYSTEM!="block", GOTO="net"
KERNEL=="loop*|ram*", GOTO="end"
IMPORT{builtin}="path_id"
ENV{DEVTYPE}=="disk", SUBSYSTEMS=="usb|nvme|scsi", IMPORT{parent}="ID_*"
ENV{ID_PATH}=="?*", ENV{DEVTYPE}=="disk", SYMLINK+="t/by-path/$env{ID_PATH}"
ENV{ID_PATH}=="?*", ENV{DEVTYPE}=="partition", SYMLINK+="t/by-path/$env{ID_PATH}-part%n"
SYMLINK+="t/by-serial/$env{ID_SERIAL}"
ATTR{size}!="0", ATTR{removable}=="0", TAG+="fixed", ENV{SIZE}="$attr{size}"
PROGRAM=="probe %k", RESULT=="SAID=*", SYMLINK+="t/%c{1} t/said-%c{3}"
PROGRAM!="probe %M", GOTO="end"
IMPORT{program}=="tell $devnode", ENV{TOLD}="$env{SAID}"
GROUP="disk", MODE="0640", OPTIONS+="link_priority=7", OPTIONS+="watch"
LABEL="net"
SUBSYSTEM=="net", NAME="lan%n", ENV{RENAMED}="$name"
SUBSYSTEM=="usb", ENV{DEVTYPE}=="usb_device", RUN+="/bin/log '%k' $attr{idVendor}", RUN{builtin}+="kmod load '$env{MODALIAS}'"
SUBSYSTEM=="usb", TAG+="usb", ENV{LIST}+="one", ENV{LIST}+="two"
TAG=="usb", TAG=="u*", ATTRS{idVendor}=="?*", ATTRS{idProduct}!=i"ABCD", ENV{SEEN}="$id $driver"
ENV{SEEN}=="?*", TAG-="usb", RUN="/bin/only"
LABEL="end"
KERNEL=="sd?|tty*", OWNER="0", MODE:="0600"
KERNEL=="sd?", MODE="0666", SYMLINK-="t/by-serial"
"#,
    ),
    (
        "ports.toml",
        r#"
[file]
match = { action = { not = "remove" } }

[[rule]]
match  = { subsystem = "tty|block|video4linux" }
import = { builtin = "path_id" }
link   = "t/by-port/$env{ID_PATH}"

[[rule]]
match  = { subsystem = "block" }
parent = [{ subsystem = "scsi|nvme" }, { subsystem = "pci", attr.vendor = "?*" }]
link   = ["t/on-pci/$id/$kernel", "t/model/$attr{model}"]
tag    = { add = ["a", "b"] }

[[rule]]
match = { tag = { all = ["a", "b"] }, attr.partition = { exists = false }, kernel = { is = "*", not = "loop*" } }
property.WHOLE = "$kernel"
property.LIST = { append = ["x", "y"] }
start = "disk@$kernel.service"

[[rule]]
match   = { subsystem = "tty" }
program = ["probe", "$kernel"]
result  = "SAID*"
link    = "t/tty-$kernel"
final   = ["mode"]
mode    = "0600"

[[rule]]
match  = { subsystem = "tty" }
parent = { subsystem = "usb", devtype = "usb_device" }
mode   = "0666"
group  = "dialout"
access = "active-user"
"#,
    ),
];
