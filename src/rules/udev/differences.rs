//! Owns the list of what is read otherwise than systemd 257 reads it, for the man page.

/// What it is about, and what happens here.
pub const DIFFERENCES: &[(&str, &str)] = &[
    ("a line of 16,384 bytes or more", "costs itself; systemd reads nothing of the file from there on"),
    ("CONST{cvm}", "is known, as the manual says; systemd's parser refuses it"),
    (
        "the name of a builtin",
        "has to be whole; systemd takes the first builtin whose name begins with the word",
    ),
    (
        "a failure while a line is carried out",
        "costs the one assignment; systemd gives up the whole event for some of them",
    ),
    (
        "a property that only the kernel sets, or that udev makes: DEVLINKS, TAGS, CURRENT_TAGS, USEC_INITIALIZED",
        "is not taken from IMPORT either",
    ),
    (
        "a NUL or a newline in a property, and a property name with white space or `=`",
        "is refused: it would forge lines of the record",
    ),
    (
        "TEST, PROGRAM and IMPORT with \"?*\"",
        "mean what they say, IMPORT{parent}==\"?*\" all properties of a parent; systemd takes the contrary",
    ),
    (
        "IMPORT{db}, IMPORT{cmdline}",
        "may hold substitutions, as the other imports; systemd takes them as they stand",
    ),
    ("RUN=\"\"", "empties the list; systemd puts a command without words into it, which fails"),
    ("timeout_signal", "is not used: a program that runs too long is killed, with its process group"),
    (
        "NAME",
        "with a value that no interface can be called counts for nothing; systemd tries to give it, and fails",
    ),
    (
        "SYMLINK",
        "with the node's own name counts for nothing; systemd keeps it in the record, and makes no link",
    ),
    (
        "TAG",
        "asks for the tags of this event; systemd for those of earlier ones too, where a new worker handles it and in udevadm test",
    ),
    (
        "a property that begins with a dot",
        "is kept from programs, as the manual says; systemd gives it to PROGRAM",
    ),
    (
        "an attribute that is read and written in one event",
        "has the new value for the lines behind, as from systemd 258 on; before, the old one",
    ),
    ("log_level", "counts when all rules of the event are through; `dump` shows what all of them came to"),
    (
        "a line of IMPORT{program} that does not fit into 16,383 bytes",
        "is left out; systemd takes what there is of it",
    ),
];
