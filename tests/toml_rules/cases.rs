//! The cases. A case is a text, its diagnostics in the order of the file, and what the text becomes.

type Case = (&'static str, &'static str, &'static [&'static str]);

/// `[[rule]]` with one condition, so that the cases below are about their own key.
macro_rules! rule {
    ($rest:literal) => {
        concat!("[[rule]]\nmatch.kernel = 'k'\n", $rest, "\n")
    };
}

/// `[[rule]]` with one effect.
macro_rules! when {
    ($rest:literal) => {
        concat!("[[rule]]\nlink = 'l'\n", $rest, "\n")
    };
}

pub(crate) const CASES: &[Case] = &[
    // The file.
    ("", "", &[]),
    ("# nothing\n", "", &[]),
    ("[[rule]\n", "syntax@1:8", &[]),
    ("[[rule]]\nlink = 'a'\nlink = 'b'\n", "syntax@3:1", &[]),
    ("[[rule]]\nlink = \"\\q\"\n", "syntax@2:10", &[]),
    ("[[rules]]\nlink = 'a'\n", "unknown-key@1:3", &[]),
    ("[rule]\nlink = 'a'\n", "wrong-type@1:1", &[]),
    ("rule = 1\n", "wrong-type@1:8", &[]),
    ("rule = [1]\n", "wrong-type@1:9", &[]),
    ("[file]\nmatch = { subsystem = 'tty' }\n[[rule]]\nlink = 'a'\n", "", &["subsystem is tty; link a"]),
    (
        "[[rule]]\nmatch.kernel = 'k'\nparent.tag = 't'\nlink = 'a'\n[file]\nmatch.subsystem = 'tty'\nparent.driver = 'd'\n",
        "",
        &["subsystem is tty; kernel is k; parent[driver is d]; parent[tag is t]; link a"],
    ),
    (
        "[file]\ngives_way_to = ['60-a.rules', '60-b.toml']\n[[rule]]\nmatch.kernel = 'k'\nlink = 'a'\n",
        "",
        &["kernel is k; link a"],
    ),
    (
        "[file]\ngives_way_to = ['60-a.rules', '60-b']\n[[rule]]\nlink = 'a'\n",
        "file-conditions@1:2 bad-file-name@2:31",
        &[],
    ),
    (
        "[file]\ngives_way_to = 'x/a.rules'\n[[rule]]\nlink = 'a'\n",
        "file-conditions@1:2 bad-file-name@2:16",
        &[],
    ),
    ("[file]\ngives_way_to = 1\n[[rule]]\nlink = 'a'\n", "file-conditions@1:2 wrong-type@2:16", &[]),
    ("[file]\nmatch.subsytem = 'tty'\n[[rule]]\nlink = 'a'\n", "file-conditions@1:2 unknown-key@2:7", &[]),
    ("[file]\nmtch.subsystem = 'tty'\n[[rule]]\nlink = 'a'\n", "file-conditions@1:2 unknown-key@2:1", &[]),
    (
        "[fil]\nmatch.subsystem = 'tty'\n[[rule]]\nlink = '../a'\n",
        "unknown-key@1:2 file-conditions@1:2 bad-link@4:8",
        &[],
    ),
    // One bad rule costs itself.
    (
        "[[rule]]\nmatch.kernel = '['\nlink = 'a'\n[[rule]]\nmatch.kernel = 'x'\nlink = 'b'\n",
        "bad-glob@2:17",
        &["kernel is x; link b"],
    ),
    // Conditions.
    (when!("about = 'what'\nmatch = { kernel = 'sd*|sr?' }"), "", &["(what); kernel is sd*|sr?; link l"]),
    (when!("about = 1\nmatch.kernel = 'k'"), "wrong-type@3:9", &["kernel is k; link l"]),
    (
        when!("match = { subsystem = 'a', driver = 'b', devtype = 'c' }"),
        "",
        &["subsystem is a; driver is b; devtype is c; link l"],
    ),
    (
        when!("match = { devpath = '*/usb1/*', action = 'add|change', tag = 't' }"),
        "",
        &["devpath is */usb1/*; action is add|change; tag is t; link l"],
    ),
    (
        when!("match.attr = { size = '0', 'queue/rotational' = '1' }"),
        "",
        &["attr size is 0; attr queue/rotational is 1; link l"],
    ),
    (when!("match.attr.'[net/lo]mtu' = '1500'"), "", &["attr [net/lo]mtu is 1500; link l"]),
    (when!("match.property.ID_BUS = 'usb'"), "", &["property ID_BUS is usb; link l"]),
    (when!("match.sysctl.'kernel.hostname' = 'h'"), "", &["sysctl kernel.hostname is h; link l"]),
    (
        when!("match.const = { arch = 'arm64', virt = 'none', cvm = 'sev' }"),
        "",
        &["const arch is arm64; const virt is none; const cvm is sev; link l"],
    ),
    (when!("match.test = '/etc/$kernel'"), "", &["file /etc/$kernel exists; link l"]),
    (when!("match.test = { not = '/etc/x' }"), "", &["file /etc/x is absent; link l"]),
    (when!("match.test = { path = 'power', mode = '0111' }"), "", &["file power mode 111; link l"]),
    (when!("match.kernel = ''"), "", &["kernel is ; link l"]),
    (when!("match.kernel = ['a*', 'b']"), "", &["kernel is a*|b; link l"]),
    (when!("match.kernel = { not = 'a' }"), "", &["kernel is not a; link l"]),
    (when!("match.kernel = { not = ['a', 'b'] }"), "", &["kernel is not a|b; link l"]),
    (when!("match.property.A = { exists = true }"), "", &["property A exists; link l"]),
    (when!("match.property.A = { exists = false }"), "", &["property A is absent; link l"]),
    (when!("match.attr.size = { min = 10 }"), "", &["attr size in 10..; link l"]),
    (when!("match.attr.size = { max = -1 }"), "", &["attr size in ..-1; link l"]),
    (when!("match.attr.size = { min = 0x10, max = 16 }"), "", &["attr size in 16..16; link l"]),
    (
        when!("match.attr.x = { not = 'usb', exists = true }"),
        "",
        &["attr x is not usb; attr x exists; link l"],
    ),
    // Wrong conditions cost the rule.
    (when!("match = 'sda'"), "wrong-type@3:9", &[]),
    (when!("match.kernl = 'sda'"), "unknown-key@3:7", &[]),
    (when!("match.KERNEL = 'sda'"), "unknown-key@3:7", &[]),
    (when!("match.kernel = 1"), "wrong-type@3:16", &[]),
    (when!("match.kernel = true"), "wrong-type@3:16", &[]),
    (when!("match.kernel = 1979-05-27"), "wrong-type@3:16", &[]),
    (when!("match.kernel = []"), "empty-list@3:16", &[]),
    (when!("match.kernel = ['a', 1]"), "wrong-type@3:22", &[]),
    (when!("match.kernel = {}"), "empty-list@3:16", &[]),
    (when!("match.kernel = 'ab[c'"), "bad-glob@3:19", &[]),
    (when!("match.kernel = \"a\\u0062[c\""), "bad-glob@3:16", &[]),
    (when!("match.kernel = ['a', '[z-a]']"), "bad-glob@3:23", &[]),
    (when!("match.kernel = { not = 'x\\' }"), "bad-glob@3:26", &[]),
    (when!("match.kernel = { note = 'x' }"), "unknown-key@3:18", &[]),
    (when!("match.attr = 'x'"), "wrong-type@3:14", &[]),
    (when!("match.attr.power.control = 'on'"), "unknown-key@3:18", &[]),
    (when!("match.attr.'' = 'on'"), "empty-list@3:12", &[]),
    (when!("match.attr.'a$x' = 'on'"), "bad-template@3:12", &[]),
    (when!("match.attr.'a$index' = 'on'"), "index-misplaced@3:12", &[]),
    (when!("match.attr.size = { min = 2, max = 1 }"), "bad-range@3:19", &[]),
    (when!("match.attr.size = { min = '2' }"), "wrong-type@3:27", &[]),
    (when!("match.attr.size = { min = 1.5 }"), "wrong-type@3:27", &[]),
    (when!("match.attr.size = { min = 999999999999999999999999999999999999999999 }"), "bad-range@3:27", &[]),
    (when!("match.kernel = { min = 1 }"), "bad-test@3:18", &[]),
    (when!("match.kernel = { exists = true }"), "bad-test@3:18", &[]),
    (when!("match.driver = { exists = 'yes' }"), "wrong-type@3:27", &[]),
    (when!("match.attr.x = { exists = false, not = 'a' }"), "bad-test@3:16", &[]),
    (when!("match.const.os = 'x'"), "unknown-const@3:13", &[]),
    (when!("match.test = ['a', { not = 'b' }]"), "", &["file a exists; file b is absent; link l"]),
    (when!("match.test = ['a', 1]"), "wrong-type@3:20", &[]),
    (when!("match.test = []"), "empty-list@3:14", &[]),
    (when!("match.test = { mode = '4000', not = 'a' }"), "", &["file a no mode 4000; link l"]),
    // A file's path may speak of the matched parent.
    (when!("match.test = '$id'\nparent.driver = 'd'"), "", &["parent[driver is d]; file $id exists; link l"]),
    (when!("match = { link = 'x', name = '?*' }"), "", &["link is x; name is ?*; link l"]),
    (when!("match.kernel = { is = 'a*', not = 'ab' }"), "", &["kernel is a*; kernel is not ab; link l"]),
    (when!("match.tag = { all = ['a', 'b*'] }"), "", &["tag is a; tag is b*; link l"]),
    (when!("match.attr.x = { is = 'Yes', ignore_case = true }"), "", &["attr x is Yes in any case; link l"]),
    (when!("match.attr.x = { is = 'Yes', ignore_case = false }"), "", &["attr x is Yes; link l"]),
    (when!("match.attr.x = { exists = true, ignore_case = true }"), "bad-test@3:33", &[]),
    (when!("match.attr.x = { is = 'a', ignore_case = 1 }"), "wrong-type@3:42", &[]),
    // Programs and their output.
    (
        rule!("program = ['/bin/p', '$kernel']\nresult = 'y*'\nlink = '$result'\nimport.db = 'A'"),
        "",
        &["kernel is k; program /bin/p|$kernel exists; import db A; result is y*; link $result"],
    ),
    (
        rule!("program = [['/bin/p'], { not = ['q', 'r'] }, { line = 's $kernel' }]"),
        "",
        &["kernel is k; program /bin/p exists; program q|r is absent; program LINE s $kernel exists"],
    ),
    (rule!("link = 'l'\nprogram = 'p q'"), "shell-string@4:11", &[]),
    (rule!("link = 'l'\nprogram = { lin = 'p q' }"), "unknown-key@4:13", &[]),
    (rule!("link = 'l'\nprogram = { line = ' ' }"), "empty-list@4:11", &[]),
    (rule!("link = 'l'\nresult = 1"), "wrong-type@4:10", &[]),
    (rule!("result = 'x'"), "no-effects@1:1", &[]),
    ("[[rule]]\nresult = 'x'\nlink = 'l'\n", "", &["result is x; link l"]),
    (
        rule!("import = { not = { db = 'A' } }\nlink = 'l'"),
        "",
        &["kernel is k; import db A is absent; link l"],
    ),
    (rule!("link = 'l'\nimport = { not = {} }"), "bad-import@4:18", &[]),
    (
        rule!("import = { builtin = { line = 'kmod load $env{A}' } }"),
        "",
        &["kernel is k; import builtin kmod LINE load $env{A}"],
    ),
    // Lists that are set or shortened, and what is joined.
    (
        rule!("link = { set = 'a', add = ['b', 'c'], remove = 'd' }"),
        "",
        &["kernel is k; set link a; link b|c; remove link d"],
    ),
    (rule!("link = { add = '$result x', words = true }"), "", &["kernel is k; link words $result x"]),
    (rule!("link = { add = 'a', words = 1 }"), "wrong-type@3:29", &[]),
    (rule!("link = { ad = 'a' }"), "unknown-key@3:10", &[]),
    (rule!("link = {}"), "empty-list@3:8", &[]),
    (rule!("tag = { set = ['a', 'b'], remove = 'c' }"), "", &["kernel is k; set tag a; tag b; remove tag c"]),
    (rule!("tag = { set = '' }"), "", &["kernel is k; set tag "]),
    (rule!("tag = { add = '' }"), "bad-tag@3:15", &[]),
    (rule!("run = { set = [['a'], ['b']] }"), "", &["kernel is k; set run a; run b"]),
    (rule!("run = [{ line = 'a $env{B}' }]"), "", &["kernel is k; run LINE a $env{B}"]),
    (rule!("builtin = { line = 'kmod load $env{B}' }"), "", &["kernel is k; builtin kmod LINE load $env{B}"]),
    (rule!("builtin = { remove = 'kmod load' }"), "", &["kernel is k; remove builtin kmod load"]),
    (rule!("builtin = { line = 'bogus' }"), "unknown-builtin@3:11", &[]),
    (rule!("property.A = { set = '1', append = ['2', '3'] }"), "", &["kernel is k; A=1; A+=2; A+=3"]),
    (rule!("property.A = { apend = '2' }"), "unknown-key@3:16", &[]),
    (
        rule!("seclabel.smack = 'x'\nseclabel.selinux = { set = 'y' }"),
        "",
        &["kernel is k; label smack x; set label selinux y"],
    ),
    (rule!("seclabel.apparmor = 'x'"), "unknown-key@3:10", &[]),
    (
        rule!("tag = 't'\nstatic_node = ['net/tun', 'a']"),
        "",
        &["kernel is k; tag t; node net/tun [t]; node a [t]"],
    ),
    (rule!("static_node = '../a'"), "bad-link@3:15", &[]),
    (when!("match.test = { mode = '0111' }"), "missing-key@3:14", &[]),
    (when!("match.test = { pth = 'a' }"), "unknown-key@3:16", &[]),
    (when!("match.test = '/x/$index'"), "index-misplaced@3:18", &[]),
    (when!("match.action = 'added'"), "unknown-action@3:16", &["action is added; link l"]),
    // Both mistakes of a table are reported.
    (when!("match = { kernl = 'a', attr.x = 1 }"), "unknown-key@3:11 wrong-type@3:33", &[]),
    // A condition at the wrong place, or a key that may have been one.
    (when!("kernel = 'sda'"), "unknown-key@3:1", &[]),
    (when!("mtch.kernel = 'sda'"), "unknown-key@3:1", &[]),
    (when!("only.for = 'sda'"), "unknown-key@3:1", &[]),
    (when!("attrs.idVendor = '1546'"), "unknown-key@3:1", &[]),
    // Parents.
    (
        when!(
            "parent = { kernel = '1-1', subsystem = 'usb', driver = 'd', devtype = 't', devpath = 'p', tag = 'g', attr.a = '1', property.P = '2' }"
        ),
        "",
        &[
            "parent[kernel is 1-1, subsystem is usb, driver is d, devtype is t, devpath is p, tag is g, attr a is 1, property P is 2]; link l",
        ],
    ),
    (
        when!("parent = [{ driver = 'nvme' }, { subsystem = 'pci' }]"),
        "",
        &["parent[driver is nvme]; parent[subsystem is pci]; link l"],
    ),
    (when!("parent = []"), "empty-parent@3:10", &[]),
    (when!("parent = {}"), "empty-parent@3:10", &[]),
    (when!("parent = [{ driver = 'nvme' }, {}]"), "empty-parent@3:32", &[]),
    (when!("parent = 'usb'"), "wrong-type@3:10", &[]),
    (when!("parent = ['usb']"), "wrong-type@3:11", &[]),
    (when!("parent.action = 'add'"), "parent-key@3:8", &[]),
    (when!("parent.attr.idVendor = 1546"), "wrong-type@3:24", &[]),
    // A rule as a whole.
    ("[[rule]]\nlink = 'a'\n", "no-conditions@1:1", &["link a"]),
    ("[[rule]]\nmatch = {}\nlink = 'a'\n", "no-conditions@1:1", &["link a"]),
    ("[[rule]]\nmatch.kernel = 'a'\n", "no-effects@1:1", &[]),
    ("[[rule]]\n", "no-effects@1:1", &[]),
    (rule!("lnk = 'a'\nmode = '0660'"), "unknown-key@3:1", &["kernel is k; mode 660"]),
    (rule!("colour = 'a'\nmode = '0660'"), "unknown-key@3:1", &["kernel is k; mode 660"]),
    // Order: of evaluation, then of the file.
    (
        rule!(
            "start = 'a.service'\nrun = [['/r']]\nwatch = true\nwrite.attr.w = '1'\npriority = 1\nlink = 'l'\nmode = '0600'\ntag = 't'\nname = 'n'\nproperty.B = '1'\nproperty.A = '2'\nimport.db = 'D'\nparent.tag = 'p'"
        ),
        "",
        &[
            "kernel is k; parent[tag is p]; import db D; B=1; A=2; name n; tag t; mode 600; link l; priority 1; write attr w 1; Watch(true); run /r; start a.service",
        ],
    ),
    // Links.
    (rule!("link = 'lab/gps%n'"), "", &["kernel is k; link lab/gps%n"]),
    (rule!("link = ['a', '/dev/b']"), "", &["kernel is k; link a|/dev/b"]),
    (rule!("link = 'é'"), "", &["kernel is k; link é"]),
    (rule!("link = '/etc/passwd'"), "bad-link@3:8", &[]),
    (rule!("link = ['a', '../b', 'c']"), "bad-link@3:14", &["kernel is k; link a|c"]),
    (rule!("link = '../$kernel'"), "bad-link@3:8", &[]),
    (rule!("link = ''"), "bad-link@3:8", &[]),
    (rule!("link = \"a\\u0007\""), "bad-link@3:8", &[]),
    (rule!("link = []\nmode = '0660'"), "empty-list@3:8", &["kernel is k; mode 660"]),
    (rule!("link = ['a', 1]"), "wrong-type@3:14", &["kernel is k; link a"]),
    (rule!("link = 'a b'"), "link-spaces@3:10", &["kernel is k; link a b"]),
    (rule!("link = 'a$attr{x y}'"), "", &["kernel is k; link a$attr{x y}"]),
    (rule!("link = 'a$foo'"), "bad-template@3:10", &[]),
    (rule!("link = '100%'"), "bad-template@3:12", &[]),
    (rule!("link = 'a$attr'"), "bad-template@3:10", &[]),
    (rule!("link = 'a$env{}'"), "bad-template@3:10", &[]),
    (rule!("link = 'a$$b'"), "", &["kernel is k; link a$$b"]),
    // Names, owners, permissions.
    (rule!("name = 'lan$number'"), "", &["kernel is k; name lan$number"]),
    (rule!("name = ''"), "bad-name@3:8", &[]),
    (rule!("name = 'a/b'"), "bad-name@3:8", &[]),
    (rule!("name = '..'"), "bad-name@3:8", &[]),
    (rule!("name = '$kernel'"), "bad-name@3:8", &[]),
    (rule!("name = 'abcdefghijklmnop'"), "bad-name@3:8", &[]),
    (rule!("name = 'abcdefghijklmno'"), "", &["kernel is k; name abcdefghijklmno"]),
    (rule!("owner = 'ann'\ngroup = 'dialout'"), "", &["kernel is k; owner ann=1000; group dialout=20"]),
    (rule!("owner = 7\ngroup = '8'"), "", &["kernel is k; owner 7; group 8"]),
    (
        rule!("owner = '$env{WHO}'\ngroup = '%n'"),
        "",
        &["kernel is k; owner template $env{WHO}; group template %n"],
    ),
    (rule!("owner = 'bob'\nmode = '0660'"), "unknown-user@3:9", &["kernel is k; mode 660"]),
    (rule!("group = 'ann'\nmode = '0660'"), "unknown-group@3:9", &["kernel is k; mode 660"]),
    (rule!("owner = ''"), "unknown-user@3:9", &[]),
    (rule!("owner = -1"), "bad-range@3:9", &[]),
    (rule!("owner = '99999999999'"), "unknown-user@3:9", &[]),
    (rule!("owner = ['ann']"), "wrong-type@3:9", &[]),
    (rule!("mode = '660'"), "", &["kernel is k; mode 660"]),
    (rule!("mode = '4755'"), "", &["kernel is k; mode 4755"]),
    (rule!("mode = '$env{M}'"), "", &["kernel is k; mode template $env{M}"]),
    (rule!("mode = 0o660"), "bad-mode@3:8", &[]),
    (rule!("mode = '0680'"), "bad-mode@3:8", &[]),
    (rule!("mode = '+600'"), "bad-mode@3:8", &[]),
    (rule!("mode = '06600'"), "bad-mode@3:8", &[]),
    (rule!("mode = 'rw-'"), "bad-mode@3:8", &[]),
    (rule!("priority = -10"), "", &["kernel is k; priority -10"]),
    (rule!("priority = '10'"), "wrong-type@3:12", &[]),
    (rule!("priority = 2147483648"), "bad-range@3:12", &[]),
    // Properties, tags.
    (rule!("property = { A = 'x$env{B}', '.B' = '' }"), "", &["kernel is k; A=x$env{B}; .B="]),
    (rule!("property.'A B' = 'x'"), "bad-property@3:10", &[]),
    (rule!("property.A = \"x\\ny\""), "bad-property@3:14", &[]),
    (rule!("property.DEVNAME = 'x'\nproperty.B = '1'"), "read-only-property@3:10", &["kernel is k; B=1"]),
    (rule!("property.A = 1"), "wrong-type@3:14", &[]),
    (rule!("property = 'A=1'"), "wrong-type@3:12", &[]),
    (rule!("tag = ['systemd', 'seat$number']"), "", &["kernel is k; tag systemd; tag seat$number"]),
    (rule!("tag = ['a b', 'c']"), "bad-tag@3:8", &["kernel is k; tag c"]),
    (rule!("tag = ''"), "bad-tag@3:7", &[]),
    // Writes.
    (
        rule!("write.attr = { 'power/control' = 'auto' }\nwrite.sysctl.'net.ipv4.ip_forward' = '1'"),
        "",
        &["kernel is k; write attr power/control auto; write sysctl net.ipv4.ip_forward 1"],
    ),
    (rule!("write.attr.power.control = 'auto'"), "wrong-type@3:12", &[]),
    (rule!("write.attr.x = 1"), "wrong-type@3:16", &[]),
    (rule!("write.attr.'' = '1'"), "empty-list@3:12", &[]),
    (rule!("write.sysfs.x = '1'"), "unknown-key@3:7", &[]),
    (rule!("write = 'x'"), "wrong-type@3:9", &[]),
    // Imports.
    (
        rule!("import = { program = ['/bin/p', '$devnode'] }"),
        "",
        &["kernel is k; import program /bin/p|$devnode"],
    ),
    (
        rule!("import = [{ file = '/etc/f' }, { cmdline = 'root' }, { parent = 'ID_*' }]"),
        "",
        &["kernel is k; import file /etc/f; import cmdline root; import parent ID_*"],
    ),
    (rule!("import.builtin = 'usb_id'"), "", &["kernel is k; import builtin usb_id"]),
    (
        rule!("import.builtin = 'path_id --x $kernel'"),
        "",
        &["kernel is k; import builtin path_id --x|$kernel"],
    ),
    (rule!("link = 'l'\nimport = 'usb_id'"), "wrong-type@4:10", &[]),
    (rule!("link = 'l'\nimport = { db = 'A', file = 'x' }"), "bad-import@4:10", &[]),
    (rule!("link = 'l'\nimport = {}"), "bad-import@4:10", &[]),
    (rule!("link = 'l'\nimport = []"), "empty-list@4:10", &[]),
    (rule!("link = 'l'\nimport.database = 'A'"), "unknown-key@4:8", &[]),
    (rule!("link = 'l'\nimport.program = '/bin/p -x'"), "shell-string@4:18", &[]),
    (rule!("link = 'l'\nimport.program = []"), "empty-list@4:18", &[]),
    (rule!("link = 'l'\nimport.parent = 'ID_['"), "bad-glob@4:21", &[]),
    (rule!("link = 'l'\nimport.builtin = 'usbid'"), "unknown-builtin@4:19", &[]),
    (rule!("link = 'l'\nimport.builtin = ' '"), "empty-list@4:18", &[]),
    (rule!("link = 'l'\nimport.file = ''"), "empty-list@4:15", &[]),
    (rule!("link = 'l'\nimport.db = '$index'"), "index-misplaced@4:14", &[]),
    // Programs and builtins for the time after the event.
    (
        rule!("run = [['/bin/a', 'b c', '$devnode'], ['/bin/d']]"),
        "",
        &["kernel is k; run /bin/a|b c|$devnode; run /bin/d"],
    ),
    (rule!("run = '/bin/a b'"), "shell-string@3:7", &[]),
    (rule!("run = ['/bin/a', 'b']"), "shell-string@3:7", &[]),
    (rule!("run = [['/bin/a'], '/bin/b c']"), "shell-string@3:20", &["kernel is k; run /bin/a"]),
    (rule!("run = []"), "empty-list@3:7", &[]),
    (rule!("run = [[]]"), "empty-list@3:8", &[]),
    (rule!("run = [['']]"), "empty-list@3:8", &[]),
    (rule!("run = [['/bin/a', 1]]"), "wrong-type@3:19", &[]),
    (rule!("run = 1"), "wrong-type@3:7", &[]),
    (rule!("builtin = 'kmod load'"), "", &["kernel is k; builtin kmod load"]),
    (
        rule!("builtin = ['kmod load $env{MODALIAS}', 'kmood']"),
        "unknown-builtin@3:41",
        &["kernel is k; builtin kmod load|$env{MODALIAS}"],
    ),
    // Numbers.
    (
        rule!("link = ['cam', 'camera/$index']\nindex = { by = '$env{ID_PATH}' }"),
        "",
        &["kernel is k; index $env{ID_PATH} in camera/$index; link cam|camera/$index"],
    ),
    (
        rule!("link = 'camera/$index'\nindex = { by = '%k', pool = 'cams' }"),
        "",
        &["kernel is k; index %k in cams; link camera/$index"],
    ),
    (rule!("property.N = 'n$index'\nindex.by = '%k'"), "", &["kernel is k; index %k in n$index; N=n$index"]),
    (
        rule!("link = 'l$index'\nproperty.N = 'n$index'\nindex.by = '%k'"),
        "",
        &["kernel is k; index %k in l$index; N=n$index; link l$index"],
    ),
    (
        rule!("run = [['/bin/a', '$index']]\nindex.by = '%k'"),
        "",
        &["kernel is k; index %k in run; run /bin/a|$index"],
    ),
    (rule!("link = ['a', 'camera/$index']"), "index-missing@3:22", &["kernel is k; link a"]),
    (rule!("link = 'camera'\nindex.by = '%k'"), "index-unused@4:1", &["kernel is k; link camera"]),
    (
        rule!("link = ['a', 'c/$index']\nindex.by = '$index'"),
        "index-misplaced@4:13",
        &["kernel is k; link a"],
    ),
    (rule!("link = ['a', 'c/$index']\nindex = '%k'"), "wrong-type@4:9", &["kernel is k; link a"]),
    (rule!("link = ['a', 'c/$index']\nindex = {}"), "missing-key@4:9", &["kernel is k; link a"]),
    (rule!("link = ['a', 'c/$index']\nindex = { by = '' }"), "missing-key@4:9", &["kernel is k; link a"]),
    (
        rule!("link = ['a', 'c/$index']\nindex = { by = '%k', pol = 'x' }"),
        "unknown-key@4:22",
        &["kernel is k; link a"],
    ),
    (
        rule!("link = ['a', 'c/$index']\nindex = { by = '%k', pool = '' }"),
        "bad-pool@4:29",
        &["kernel is k; link a"],
    ),
    // Options.
    (rule!("access = 'active-user'\nwatch = false"), "", &["kernel is k; Access(ActiveUser); Watch(false)"]),
    (rule!("access = 'active_user'"), "unknown-word@3:10", &[]),
    (rule!("access = true"), "wrong-type@3:10", &[]),
    (rule!("watch = 'yes'"), "wrong-type@3:9", &[]),
    (
        rule!("link = 'l'\noptions = ['db_persist', 'string_escape=none']"),
        "",
        &["kernel is k; StringEscape(None); link l; DbPersist"],
    ),
    (
        rule!("link = 'l'\noptions = 'string_escape=replace'"),
        "",
        &["kernel is k; StringEscape(Replace); link l"],
    ),
    (
        rule!("options = ['dump', 'dump-json', 'log_level=debug', 'log_level=3', 'log_level=reset']"),
        "",
        &["kernel is k; Dump(Text); Dump(Json); LogLevel(Some(7)); LogLevel(Some(3)); LogLevel(None)"],
    ),
    (
        rule!("options = ['log_level=loud', 'log_level=', 'log_level=8', 'dump']"),
        "unknown-word@3:12 unknown-word@3:30 unknown-word@3:44",
        &["kernel is k; Dump(Text)"],
    ),
    (rule!("options = ['db_persist', 'persist']"), "unknown-word@3:26", &["kernel is k; DbPersist"]),
    (rule!("options = 'link_priority=10'"), "unknown-word@3:11", &[]),
    (
        rule!("start = ['gpsd@$kernel.service', 'a.mount']"),
        "",
        &["kernel is k; start gpsd@$kernel.service; start a.mount"],
    ),
    (rule!("start = 'gpsd'"), "bad-unit@3:9", &[]),
    (rule!("start = '.service'"), "bad-unit@3:9", &[]),
    (rule!("start = 'a b.service'"), "bad-unit@3:9", &[]),
    // Final.
    (
        rule!(
            "link = 'l'\nname = 'n'\nowner = 1\ngroup = 2\nmode = '0600'\npriority = 1\nproperty.P = '1'\ntag = 't'\nrun = [['/r']]\nbuiltin = 'kmod load'\nwatch = true\nfinal = true"
        ),
        "",
        &[
            "kernel is k; P=1 final; name n final; tag t final; owner 1 final; group 2 final; mode 600 final; link l final; priority 1 final; Watch(true) final; run /r final; builtin kmod load final",
        ],
    ),
    (rule!("link = 'l'\nmode = '0600'\nfinal = ['mode']"), "", &["kernel is k; mode 600 final; link l"]),
    (
        rule!(
            "link = 'l'\nname = 'n'\nowner = 1\ngroup = 1\npriority = 1\nproperty.P = '1'\ntag = 't'\nrun = [['/r']]\nbuiltin = 'kmod'\nwatch = true\nfinal = ['link', 'name', 'owner', 'group', 'priority', 'property', 'tag', 'run', 'builtin', 'watch']"
        ),
        "",
        &[
            "kernel is k; P=1 final; name n final; tag t final; owner 1 final; group 1 final; link l final; priority 1 final; Watch(true) final; run /r final; builtin kmod final",
        ],
    ),
    (rule!("link = 'l'\nfinal = false"), "", &["kernel is k; link l"]),
    (rule!("link = 'l'\nfinal = ['mode']"), "final-unset@4:10", &["kernel is k; link l"]),
    (rule!("write.attr.x = '1'\nfinal = true"), "final-unset@4:9", &["kernel is k; write attr x 1"]),
    (rule!("link = 'l'\nfinal = ['links', 'link']"), "bad-final@4:10", &["kernel is k; link l final"]),
    (rule!("link = 'l'\nfinal = 'link'"), "wrong-type@4:9", &["kernel is k; link l"]),
];

/// `[[test]]` with a device.
macro_rules! test {
    ($rest:literal) => {
        concat!("[[test]]\ndevice = 'r.umockdev'\npath = '/devices/x'\n", $rest, "\n")
    };
}

pub(crate) const TESTS: &[Case] = &[
    (
        test!(
            "about = 'a'\naction = 'change'\nlinks = ['a', 'b']\nmode = '0660'\nowner = 'ann'\ngroup = 20\nname = 'n'\ntags = ['t']\nproperties = { A = '1', B = '' }\nrun = [['/bin/a', 'b']]"
        ),
        "",
        &[
            "r.umockdev /devices/x change; (a); links a|b; mode 660; owner ann=1000; group 20; name n; tags t; A=1; B=; run /bin/a|b",
        ],
    ),
    (test!("links = []"), "", &["r.umockdev /devices/x add; links "]),
    (test!("links = 'a'"), "", &["r.umockdev /devices/x add; links a"]),
    ("[[test]]\ndevice = 'r'\npath = '/sys/devices/x'\nlinks = []\n", "", &["r /devices/x add; links "]),
    (test!(""), "no-expectations@1:1", &["r.umockdev /devices/x add"]),
    ("[[test]]\npath = '/devices/x'\nlinks = []\n", "missing-key@1:1", &[]),
    ("[[test]]\ndevice = 'r'\nlinks = []\n", "missing-key@1:1", &[]),
    ("[[test]]\ndevice = 'r'\npath = 'ttyUSB0'\nlinks = []\n", "bad-path@3:8", &[]),
    ("[[test]]\ndevice = ''\npath = '/devices/x'\nlinks = []\n", "bad-path@2:10", &[]),
    ("[[test]]\ndevice = 1\npath = '/devices/x'\nlinks = []\n", "wrong-type@2:10", &[]),
    (test!("link = ['a']"), "unknown-key@4:1", &[]),
    (test!("mode = 660"), "bad-mode@4:8", &[]),
    // that fails where it is run, and only there
    (test!("owner = 'bob'"), "", &["r.umockdev /devices/x add; owner unknown bob"]),
    (test!("action = 'plug'\nlinks = []"), "unknown-word@4:10", &[]),
    (test!("run = ['a']"), "wrong-type@4:8", &[]),
    (test!("properties.A = 1"), "wrong-type@4:16", &[]),
    // A broken test does not cost a rule, nor the next test.
    (
        "[[test]]\ndevice = 'r'\n[[test]]\ndevice = 'r'\npath = '/devices/y'\nname = 'n'\n",
        "missing-key@1:1",
        &["r /devices/y add; name n"],
    ),
];
