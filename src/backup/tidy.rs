//! What lies where files have come back, and was not there when they were copied.

use crate::model::dataset::MARKER;
use std::collections::BTreeSet;

/// Paths that a dataset or a directory of one holds and a copy does not, deepest first. Neither what the job leaves out of its copies nor what is
/// in such a directory is among them, nor the mark of the dataset, by which its stacks know it. None where a pattern is one that only the program understands: then all of it stays.
pub fn extra(live: &[String], copied: &[String], excludes: &[String]) -> Option<Vec<String>> {
    if excludes.iter().any(|pattern| !is_plain(pattern)) {
        return None;
    }
    let copied: BTreeSet<&str> = copied.iter().map(String::as_str).collect();
    let mut out: Vec<String> = live
        .iter()
        .filter(|path| !copied.contains(path.as_str()) && path.as_str() != MARKER)
        .filter(|path| !excludes.iter().any(|pattern| is_left_out(pattern, path)))
        .cloned()
        .collect();
    // What is in a directory goes before it.
    out.sort_by(|a, b| b.cmp(a));
    Some(out)
}

/// Names, `*` and `?` alone.
fn is_plain(pattern: &str) -> bool {
    !pattern.starts_with(['/', '!'])
        && !pattern.contains(['[', ']', '{', '}', '\\', ':'])
        && !pattern.contains("**")
}

/// Whether a run of a path's components is what a pattern means.
fn is_left_out(pattern: &str, path: &str) -> bool {
    let words: Vec<&str> = pattern.trim_end_matches('/').split('/').collect();
    let parts: Vec<&str> = path.split('/').collect();
    parts.windows(words.len()).any(|run| {
        words
            .iter()
            .zip(run)
            .all(|(word, part)| fits(word.as_bytes(), part.as_bytes()))
    })
}

fn fits(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => {
            fits(rest, text)
                || text
                    .split_first()
                    .is_some_and(|(_, text)| fits(pattern, text))
        }
        (Some((b'?', rest)), Some((_, text))) => fits(rest, text),
        (Some((one, rest)), Some((other, text))) => one == other && fits(rest, text),
        (Some(_), None) | (None, Some(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(paths: &[&str]) -> Vec<String> {
        paths.iter().map(|&path| path.to_owned()).collect()
    }

    #[test]
    fn what_a_copy_leaves_out_is_not_extra() {
        let live = of(&[
            "a",
            "a/b",
            "new",
            "new/x",
            "immich/model-cache",
            "immich/model-cache/m",
            "x.tmp",
            "immich",
            // A copy that was made before there were any does not have it.
            ".infra-dataset",
        ]);
        let copied = of(&["a", "a/b", "immich"]);
        let found = extra(&live, &copied, &of(&["immich/model-cache", "*.tmp"]));
        assert_eq!(found.expect("plain patterns"), ["new/x", "new"]);
        let none = extra(&live, &live, &[]);
        assert!(none.expect("no pattern").is_empty());
    }

    #[test]
    fn patterns_of_the_programs_own_leave_everything() {
        for pattern in ["!keep", "/abs", "re:^x", "a/**/b", "[ab]"] {
            assert_eq!(extra(&of(&["x"]), &[], &of(&[pattern])), None, "{pattern}");
        }
    }
}
