//! Owns the names of everything that the lint finds: one table for the lint, its tests and the man page.

macro_rules! codes {
    ($($name:ident = $code:literal, $meaning:literal;)*) => {
        $(#[doc = $meaning] pub const $name: &str = $code;)*

        /// Every code with its meaning, in the order in which the man page lists them.
        pub const CODES: &[(&str, &str)] = &[$(($code, $meaning)),*];
    };
}

codes! {
    NEVER_HOLDS = "never-holds", "Conditions of one rule, of `[file]`, or of a jump over the rule, that can't be true together.";
    DEAD_ALTERNATIVE = "dead-alternative", "A pattern, or one between two `|`, that no value can match, or that another one of the same list covers.";
    UNKNOWN_ACTION = "unknown-action", "An action that the kernel does not have: the condition never holds.";
    PARENTS_APART = "parents-apart", "Keys of parents that no single parent has together.";
    DUPLICATE_LINK = "duplicate-link", "A link that the same rule, or a rule with the same conditions, gives already.";
    SHARED_LINK = "shared-link", "Two rules give two devices one link, with one priority.";
    DUPLICATE = "duplicate", "The same expression twice in a line.";
    RESULT_FIRST = "result-first", "`RESULT` before `PROGRAM` in a line: the program runs first all the same.";
    RESULT_WITHOUT_PROGRAM = "result-without-program", "`RESULT` is compared, and no program has run before.";
    STYLE_COMMA = "style-comma", "Tokens of a line are not separated by one comma, or a comma begins or ends it.";
    STYLE_SPACE = "style-space", "White space where none belongs, or none where it belongs: `KEY==\"value\", KEY=\"value\"`.";
    OLD_NAME = "old-name", "A key, substitution or option that udev had once.";
    RUN_MOUNTS = "run-mounts", "A rule mounts: what is mounted here can't be seen outside, and the event waits.";
    RUN_WAITS = "run-waits", "A program sleeps, or waits for something that may wait for this event.";
    RUN_BACKGROUND = "run-background", "A program is left in the background, where it is killed when the event ends.";
    RUN_NETWORK = "run-network", "A program needs the network: udevd's programs have none, and at boot there is none yet.";
    NO_SHELL = "no-shell", "Shell syntax in a command that no shell runs.";
    SHADOWED = "shadowed", "An earlier rule has made this final wherever the conditions hold: it does nothing.";
    ADD_ONLY = "add-only", "A link, property or tag given only on `add`: the next `change` takes it away.";
    UACCESS_LATE = "uaccess-late", "The tag `uaccess` is given after the file that makes use of it.";
    LOGIN_ACCOUNT = "login-account", "A node for an account with an id from 1000 on: systemd 258 and 259 leave out the whole line.";
    UNSET_PROPERTY = "unset-property", "A property is compared that nothing sets.";
    PROPERTY_SET_LATER = "property-set-later", "A property is compared before the first rule that sets it.";
}
