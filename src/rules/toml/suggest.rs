//! Owns the guess at what was meant by a word that is not known.

/// Words of udev's language, and others that people try first, with what they are called here.
const ALIASES: &[(&str, &str)] = &[
    ("symlink", "link"),
    ("symlinks", "link"),
    ("links", "link"),
    ("env", "property"),
    ("properties", "property"),
    ("user", "owner"),
    ("attrs", "attr"),
    ("kernels", "kernel"),
    ("subsystems", "subsystem"),
    ("drivers", "driver"),
    ("tags", "tag"),
    ("program", "import"),
    ("label", "about"),
    ("name", "kernel"),
    ("option", "options"),
    ("link_priority", "priority"),
    ("parents", "parent"),
    ("when", "match"),
    ("rules", "rule"),
    ("tests", "test"),
];

/// The one of `known` that `word` was probably meant to be.
pub(super) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str> + Clone) -> Option<&'k str> {
    let word = word.to_lowercase();
    let alias = ALIASES.iter().filter(|(from, _)| *from == word).map(|(_, to)| *to);
    for meant in alias {
        if let Some(found) = known.clone().into_iter().find(|k| *k == meant) {
            return Some(found);
        }
    }
    // One slip in a short word, two in a long one: more would guess at random.
    let allowed = if word.chars().count() > 5 { 2 } else { 1 };
    known
        .into_iter()
        .map(|k| (distance(&word, &k.to_lowercase()), k))
        .filter(|(slips, _)| *slips <= allowed)
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, k)| k)
}

/// Slips between two words: letters put in, left out, changed, or swapped with their neighbour.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, cb) in b.iter().enumerate() {
            let at = |row: &[usize], k: usize| row.get(k).copied().unwrap_or(usize::MAX / 2);
            let mut best =
                (at(&above, j) + usize::from(ca != cb)).min(at(&above, j + 1) + 1).min(at(&row, j) + 1);
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(cb) && b.get(j - 1) == Some(ca);
            if swapped {
                best = best.min(at(&before, j - 1) + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut above, row);
    }
    above.last().copied().unwrap_or(a.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        let cases =
            [("", "", 0), ("link", "link", 0), ("lnk", "link", 1), ("onwer", "owner", 1), ("abc", "", 3)];
        for (a, b, expected) in cases {
            assert_eq!(distance(a, b), expected, "{a} {b}");
            assert_eq!(distance(b, a), expected, "{b} {a}");
        }
    }

    #[test]
    fn nearest_words() {
        let known = ["link", "owner", "group", "match", "subsystem", "property"];
        let cases = [
            ("lnk", Some("link")),
            ("SYMLINK", Some("link")),
            ("env", Some("property")),
            ("onwer", Some("owner")),
            ("subsytem", Some("subsystem")),
            ("xyz", None),
            ("", None),
        ];
        for (word, meant) in cases {
            assert_eq!(nearest(word, known), meant, "{word}");
        }
    }
}
