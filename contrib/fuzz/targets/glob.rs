//! Globs, beside the C library's `fnmatch(3)` in the C locale.

use nameplate::text::{Case, Pattern, check_glob};

use super::parts;

/// Beyond this length the C library's matcher may take very long on many stars; ours does not.
const LONGEST: usize = 48;

/// Pattern and value are the input's two parts: ours and the C library's answers are the same.
pub fn check(data: &[u8]) {
    let [pattern, value] = parts(data, 2)[..] else { return };
    let value = value.split(|&b| b == 0).next().unwrap_or_default();
    if let Err(error) = check_glob(pattern) {
        assert!(!error.to_string().is_empty() && offset(&error) < pattern.len(), "{error:?}");
    }
    if pattern.len() > LONGEST || value.len() > LONGEST {
        // No answer to compare with, but one that comes soon.
        let _either = Pattern::new(pattern, Case::Fold).matches(value);
        return;
    }
    for case in [Case::Sensitive, Case::Fold] {
        let single = Pattern::single(pattern, case);
        compare(single.matches(value), fnmatch(pattern, value, case), pattern, value, case);
        let any_of = Pattern::new(pattern, case);
        compare(any_of.matches(value), any(pattern, value, case), pattern, value, case);
        assert_eq!(any_of.text(), pattern, "the text is not kept");
        if let Some(literals) = any_of.literals() {
            let hit = literals.iter().any(|literal| ***literal == *value);
            assert_eq!(hit, any_of.matches(value), "literals of {pattern:?} on {value:?}");
        }
    }
}

fn offset(error: &nameplate::text::GlobError) -> usize {
    use nameplate::text::GlobError::{Backwards, Set, Trailing, Unclosed};
    let (Unclosed(at) | Backwards(at) | Set(at) | Trailing(at)) = error;
    *at
}

fn compare(ours: bool, libc: Option<bool>, pattern: &[u8], value: &[u8], case: Case) {
    let Some(libc) = libc else { return };
    let (shown, against) = (pattern.escape_ascii(), value.escape_ascii());
    assert_eq!(ours, libc, "ours (left), libc (right): `{shown}` on `{against}`, {case:?}");
}

/// Alternatives as udev has them: any of the parts between `|`; without a wildcard byte for byte.
fn any(pattern: &[u8], value: &[u8], case: Case) -> Option<bool> {
    if pattern.iter().any(|b| b"*?[".contains(b)) {
        let answers = pattern.split(|&b| b == b'|').map(|one| fnmatch(one, value, case));
        return answers.reduce(|a, b| Some(a? || b?)).flatten();
    }
    Some(pattern.split(|&b| b == b'|').any(|one| match case {
        Case::Sensitive => one == value,
        Case::Fold => one.eq_ignore_ascii_case(value),
    }))
}

/// What the C library says; `None` where it has no answer (an error, another C library than glibc).
#[cfg(target_env = "gnu")]
#[allow(unsafe_code, reason = "the C library is what ours is compared with; nothing else offers its fnmatch")]
fn fnmatch(pattern: &[u8], value: &[u8], case: Case) -> Option<bool> {
    let flags = if case == Case::Fold { libc::FNM_CASEFOLD } else { 0 };
    let [pattern, value] = [pattern, value].map(std::ffi::CString::new);
    let (pattern, value) = (pattern.ok()?, value.ok()?);
    // SAFETY: both are C strings that live until the call is over; fnmatch keeps nothing.
    match unsafe { libc::fnmatch(pattern.as_ptr(), value.as_ptr(), flags) } {
        0 => Some(true),
        libc::FNM_NOMATCH => Some(false),
        _ => None,
    }
}

#[cfg(not(target_env = "gnu"))]
fn fnmatch(_pattern: &[u8], _value: &[u8], _case: Case) -> Option<bool> {
    None
}
