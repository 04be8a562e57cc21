//! Owns the names of everything that can be wrong with a `.rules` file, with what each costs: one table for the parser,
//! the tests and the man page.

macro_rules! codes {
    ($($name:ident = $code:literal, $meaning:literal;)*) => {
        $(#[doc = $meaning] pub const $name: &str = $code;)*

        /// Every code with its meaning, in the order in which the man page lists them.
        pub const CODES: &[(&str, &str)] = &[$(($code, $meaning)),*];
    };
}

codes! {
    SYNTAX = "syntax", "A text that is no `KEY operator \"value\"`; the line is left out.";
    LINE_TOO_LONG = "line-too-long", "16,384 bytes or more in a line, or in a continued one altogether; it is left out.";
    UNFINISHED = "unfinished-line", "The file ends after a backslash; the line is left out.";
    UNKNOWN_KEY = "unknown-key", "A key that the language does not have; the line is left out.";
    BAD_OPERATOR = "bad-operator", "An operator that the key does not take; the line is left out.";
    OTHER_OPERATOR = "other-operator", "An operator that the key does not take, read as the one that was meant.";
    BAD_ATTRIBUTE = "bad-attribute", "`{…}` where the key takes none, none where it needs one, or a word it does not know; the line is left out.";
    BAD_PREFIX = "bad-prefix", "`i\"…\"` where nothing is compared; the line is left out.";
    BAD_MASK = "bad-mask", "`TEST{…}` with something that is no octal mode; the line is left out.";
    NO_EFFECT = "no-effect", "The line sets nothing and jumps nowhere; it is left out.";
    READ_ONLY_PROPERTY = "read-only-property", "A property that only the kernel sets; the line is left out.";
    EMPTY_VALUE = "empty-value", "A key that needs a value has an empty one: a test, program or import fails, a command is none, `TAG=` clears.";
    BAD_PROPERTY = "bad-property", "A property name that no record can hold; it is refused at each event.";
    BAD_NAME = "bad-name", "`NAME` with nothing, or with the name that the interface has already; the line is left out.";
    UNKNOWN_BUILTIN = "unknown-builtin", "A builtin that udev does not have; the line is left out.";
    MISSING_BUILTIN = "missing-builtin", "A builtin of udev's that nameplate does not have; it fails when it is run.";
    BAD_OPTION = "bad-option", "A value that the option does not take; the line is left out.";
    UNKNOWN_OPTION = "unknown-option", "An option that nameplate does not have; the rest of the line stays.";
    UNKNOWN_USER = "unknown-user", "A user that this system does not have: no rule says the owner then; the rest of the line stays.";
    UNKNOWN_GROUP = "unknown-group", "A group that this system does not have: no rule says the group then; the rest of the line stays.";
    NAMES_OFF = "names-off", "A name in `OWNER` or `GROUP` where `resolve_names` is \"never\"; the rest of the line stays.";
    BAD_MODE = "bad-mode", "Permissions that are no octal number up to 7777; the rest of the line stays.";
    BAD_TAG = "bad-tag", "A tag with other bytes than letters, digits, `-` and `_`; it is refused at each event.";
    UNKNOWN_MODULE = "unknown-module", "A security module other than `selinux` and `smack`; the label is never applied.";
    UNKNOWN_LABEL = "unknown-label", "`GOTO` to a label that no later line of the file has; it does not jump.";
    SECOND_GOTO = "second-goto", "A second `GOTO` in a line; the first one counts.";
    SECOND_LABEL = "second-label", "A second `LABEL` in a line; the last one counts.";
    UNUSED_LABEL = "unused-label", "A label that no earlier `GOTO` of the file names.";
    AFTER_FINAL = "after-final", "The same line has made this final with `:=` before; it does nothing.";
    BAD_TEMPLATE = "bad-template", "A `$` or `%` that begins no substitution and stands for itself, or one without its name: the text ends there.";
    PARENT_PATH = "parent-path", "`ATTRS` with a path to another device: parents are looked at anyway.";
    ANY_SUBSYSTEM = "any-subsystem", "`SUBSYSTEM` compared with `subsystem`, `bus` or `class` stands for all three.";
    BAD_GLOB = "bad-glob", "A pattern that is no whole glob and is compared as it stands.";
}
