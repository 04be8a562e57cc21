//! Owns the names of everything that can be wrong with a TOML rule file: one table for the parser, the loader,
//! the tests and the man page.

macro_rules! codes {
    ($($name:ident = $code:literal, $meaning:literal;)*) => {
        $(#[doc = $meaning] pub const $name: &str = $code;)*

        /// Every code with its meaning, in the order in which the man page lists them.
        pub const CODES: &[(&str, &str)] = &[$(($code, $meaning)),*];
    };
}

codes! {
    SYNTAX = "syntax", "The text is no TOML; the whole file is left out.";
    UNREADABLE = "unreadable", "The file or directory can't be read, or the file is no regular file.";
    UNKNOWN_KEY = "unknown-key", "A key that the language does not have; one that may be a condition costs its rule.";
    WRONG_TYPE = "wrong-type", "A value of another type than the key takes.";
    MISSING_KEY = "missing-key", "A table lacks a key that it needs.";
    EMPTY_LIST = "empty-list", "A list without entries, or an empty name, where one is needed.";
    BAD_GLOB = "bad-glob", "A pattern that is no glob; the rule is left out.";
    BAD_TEMPLATE = "bad-template", "A `$` or `%` that begins no substitution; `$$` and `%%` stand for themselves.";
    BAD_TEST = "bad-test", "A test that the thing looked at does not have; the rule is left out.";
    BAD_RANGE = "bad-range", "`min` is above `max`, or a number is outside of what the key takes.";
    UNKNOWN_CONST = "unknown-const", "A constant other than `arch`, `virt` and `cvm`; the rule is left out.";
    UNKNOWN_ACTION = "unknown-action", "An action that the kernel does not have: the condition never holds.";
    PARENT_KEY = "parent-key", "A condition that only the event's own device has, in `parent`; the rule is left out.";
    EMPTY_PARENT = "empty-parent", "`parent` without conditions; the rule is left out.";
    NO_CONDITIONS = "no-conditions", "The rule applies to every event of every device.";
    NO_EFFECTS = "no-effects", "The rule does nothing.";
    FILE_CONDITIONS = "file-conditions", "`[file]` is wrong, so no rule of the file is in force.";
    BAD_FILE_NAME = "bad-file-name", "`gives_way_to` names no rule file, so no rule of the file is in force.";
    BAD_LINK = "bad-link", "A link name that leaves the device directory or is no file name; the link is left out.";
    LINK_SPACES = "link-spaces", "White space in a link; several links are a list here.";
    BAD_NAME = "bad-name", "A name that no network interface can have; it is left out.";
    BAD_TAG = "bad-tag", "A tag with other bytes than letters, digits, `-` and `_`; it is left out.";
    BAD_MODE = "bad-mode", "Permissions that are no octal string as `\"0660\"`; they are left out.";
    NAMES_OFF = "names-off", "The name of a user or a group where `resolve_names` is \"never\"; it is left out.";
    UNKNOWN_USER = "unknown-user", "A user that this system does not have; the owner is left out.";
    UNKNOWN_GROUP = "unknown-group", "A group that this system does not have; the group is left out.";
    BAD_PROPERTY = "bad-property", "A property name or value that no record can hold; the property is left out.";
    READ_ONLY_PROPERTY = "read-only-property", "A property that only the kernel sets; it is left out.";
    SHELL_STRING = "shell-string", "A command line where a list of arguments is needed: no shell runs here.";
    BAD_IMPORT = "bad-import", "`import` needs exactly one source; the rule is left out.";
    UNKNOWN_BUILTIN = "unknown-builtin", "A builtin that nameplate does not have.";
    INDEX_MISSING = "index-missing", "`$index` in a rule without `index`; the value is left out.";
    INDEX_UNUSED = "index-unused", "`index` in a rule that uses `$index` nowhere; no number is taken.";
    INDEX_MISPLACED = "index-misplaced", "`$index` where there is no number yet: in conditions, `import` and `index` itself.";
    BAD_POOL = "bad-pool", "A pool name that is empty or has control bytes; the index is left out.";
    BAD_FINAL = "bad-final", "`final` names something that later rules can't change anyway.";
    FINAL_UNSET = "final-unset", "`final` names something that the rule does not set.";
    UNKNOWN_WORD = "unknown-word", "A value that has to be one of a few words.";
    BAD_UNIT = "bad-unit", "`start` with something that is no unit name; it is left out.";
    BAD_PATH = "bad-path", "A `[[test]]` whose path is no device path; the test is left out.";
    NO_EXPECTATIONS = "no-expectations", "A `[[test]]` that expects nothing.";
}
