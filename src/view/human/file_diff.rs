//! Files of stacks as they are and as they will be, line by line.

use crate::view::palette;
use serde::Serialize;
use similar::{ChangeTag, TextDiff};
use std::fmt::Write as _;

/// Lines shown around a difference.
const CONTEXT: usize = 2;
/// More differing lines of one file than this are counted, unless `-v`.
const SHOWN: usize = 40;

/// One file of a stack that will say something else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileDiff {
    /// Stack.
    pub stack: String,
    /// Path inside the release.
    pub path: String,
    /// What it says now; none when it is not there.
    pub before: Option<String>,
    /// What it will say.
    pub after: String,
}

/// All of them, each under its name.
pub fn file_diffs(diffs: &[FileDiff], verbose: bool) -> String {
    let mut out = String::new();
    for diff in diffs {
        let head = format!("{}: {}", diff.stack, diff.path);
        let Some(before) = &diff.before else {
            let _ = writeln!(out, "  {} {}", palette::name(&head), palette::faint("new"));
            continue;
        };
        let _ = writeln!(out, "  {}", palette::name(&head));
        let lines = lines(before, &diff.after);
        let shown = if verbose { lines.len() } else { SHOWN };
        for line in lines.iter().take(shown) {
            let _ = writeln!(out, "    {line}");
        }
        if lines.len() > shown {
            let more = format!("{} more lines (-v shows all)", lines.len() - shown);
            let _ = writeln!(out, "    {}", palette::faint(&more));
        }
    }
    if !out.is_empty() {
        out.push('\n');
    }
    out
}

fn lines(before: &str, after: &str) -> Vec<String> {
    let diff = TextDiff::from_lines(before, after);
    let mut out = Vec::new();
    for (number, group) in diff.grouped_ops(CONTEXT).iter().enumerate() {
        if number > 0 {
            out.push(palette::faint("..."));
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let text = change.value().trim_end_matches('\n');
            out.push(match change.tag() {
                ChangeTag::Delete => palette::bad(&format!("- {text}")),
                ChangeTag::Insert => palette::good(&format!("+ {text}")),
                ChangeTag::Equal => format!("  {text}"),
            });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_shown_with_its_neighbours() {
        let text = |last: &str| format!("a\nb\nc\nd\ne\nf\n{last}\n");
        let diff = FileDiff {
            stack: "web".to_owned(),
            path: "site.conf".to_owned(),
            before: Some(text("old")),
            after: text("new"),
        };
        let new = FileDiff {
            path: "more.conf".to_owned(),
            before: None,
            ..diff.clone()
        };
        let shown = anstream::adapter::strip_str(&file_diffs(&[diff, new], false)).to_string();
        assert_eq!(
            shown,
            "  web: site.conf\n      e\n      f\n    - old\n    + new\n  web: more.conf new\n\n"
        );
    }
}
