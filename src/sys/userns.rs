//! Owns which users this process' user namespace knows. Others are shown to it under one number (65534), root of the system
//! among them.

use std::fs;

/// True for a user whom the kernel does not tell this process apart from others, as what it shows for users of other
/// namespaces: no number that this namespace has. False if that can't be known.
pub fn is_stranger(user: u32) -> bool {
    fs::read_to_string("/proc/self/uid_map").is_ok_and(|map| !is_mapped(&map, user))
}

/// Lines of `uid_map`: first number inside, first outside, how many (user_namespaces(7)).
fn is_mapped(map: &str, user: u32) -> bool {
    map.lines().any(|line| {
        let mut numbers = line.split_whitespace().filter_map(|number| number.parse::<u32>().ok());
        let (first, count) = (numbers.next(), numbers.nth(1));
        // a line that can't be read may hold anybody
        first.zip(count).is_none_or(|(first, count)| user.checked_sub(first).is_some_and(|at| at < count))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_known() {
        for (map, user, expected) in [
            ("         0          0 4294967295\n", 65534, true),
            ("         0       1000          1\n", 0, true),
            ("         0       1000          1\n", 65534, false),
            ("         0     100000      65536\n", 65534, true),
            ("0 1000 1\n1 100000 100\n", 100, true),
            ("0 1000 1\n1 100000 100\n", 101, false),
            ("nonsense\n", 7, true),
            ("", 7, false),
        ] {
            assert_eq!(is_mapped(map, user), expected, "{user} in {map:?}");
        }
    }
}
