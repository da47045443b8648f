//! Several files of one system -> one document.
//!
//! A top-level key may stand in several files: maps are joined, lists are appended in the order of the file names, and
//! the same entry in two files is a duplicate.

use super::{
    codes,
    source::Sources,
    tree::{Key, Kind, Node},
};
use crate::diagnostic::Diagnostic;

/// Top-level keys that only hold anchors.
const ANCHOR_PREFIX: &str = "x-";

/// Joins the roots of all files. None when there is no root that is a map.
pub(crate) fn merge(
    roots: Vec<Node>,
    sources: &Sources,
    out: &mut Vec<Diagnostic>,
) -> Option<Node> {
    let mut merged: Option<Node> = None;
    for root in roots {
        let mark = root.mark;
        let Kind::Map(entries) = root.kind else {
            out.push(
                Diagnostic::error(codes::WRONG_KIND, "an inventory file is a map")
                    .at(&sources.place(mark), "not a map")
                    .help("begin with keys such as `guests:` or `flows:`"),
            );
            continue;
        };
        let target = merged.get_or_insert_with(|| Node {
            mark,
            kind: Kind::Map(vec![]),
        });
        let Kind::Map(all) = &mut target.kind else {
            continue;
        };
        for (key, node) in entries {
            if !key.text.starts_with(ANCHOR_PREFIX) {
                join(all, key, node, sources, out);
            }
        }
    }
    merged
}

fn join(
    all: &mut Vec<(Key, Node)>,
    key: Key,
    node: Node,
    sources: &Sources,
    out: &mut Vec<Diagnostic>,
) {
    let Some((first, existing)) = all.iter_mut().find(|(own, _)| own.text == key.text) else {
        all.push((key, node));
        return;
    };
    match (&mut existing.kind, node.kind) {
        (Kind::Map(mine), Kind::Map(theirs)) => {
            for (key, node) in theirs {
                if let Some((first, _)) = mine.iter().find(|(own, _)| own.text == key.text) {
                    out.push(twice(&key, first, sources));
                } else {
                    mine.push((key, node));
                }
            }
        }
        (Kind::List(mine), Kind::List(theirs)) => mine.extend(theirs),
        (Kind::Scalar { .. } | Kind::List(_) | Kind::Map(_), _) => {
            let problem = twice(&key, first, sources);
            out.push(problem);
        }
    }
}

fn twice(key: &Key, first: &Key, sources: &Sources) -> Diagnostic {
    Diagnostic::error(
        codes::DUPLICATE_KEY,
        format!("`{}` is written in two files", key.text),
    )
    .at(&sources.place(key.mark), "again here")
    .at(&sources.place(first.mark), "first here")
    .help("keep one of the two")
}
