//! The cells of the matrix as they were seen.

use crate::verify::cells::{CellResult, Ruling};
use crate::view::palette;
use std::{collections::BTreeMap, fmt::Write as _};

/// One cell on one line.
pub(crate) fn cell(cell: &CellResult) -> String {
    let expected = match &cell.row {
        Some(row) => format!("open by `{row}`"),
        None => "closed".to_owned(),
    };
    let seen = match (&cell.ruling, cell.seen_open) {
        (Ruling::NotJudged(why), _) => format!("not judged: {why}"),
        (_, Some(true)) => "open".to_owned(),
        (_, Some(false) | None) => "closed".to_owned(),
    };
    let address = cell.address.as_deref().unwrap_or("?");
    format!(
        "{} -> {} ({address}) {}: expected {expected}, seen {seen}",
        cell.from, cell.to, cell.port
    )
}

/// All cells: a line for each pair, and one for each cell that is not as it should be.
pub(crate) fn cells(cells: &[CellResult], all: bool) -> String {
    let mut out = String::new();
    let mut pairs: BTreeMap<(&str, &str), Vec<&CellResult>> = BTreeMap::new();
    for cell in cells {
        pairs.entry((&cell.from, &cell.to)).or_default().push(cell);
    }
    for ((from, to), members) in &pairs {
        let holds = |open: bool| {
            let list: Vec<&str> = members
                .iter()
                .filter(|cell| cell.ruling == Ruling::Holds && cell.row.is_some() == open)
                .map(|cell| cell.port.as_str())
                .collect();
            list
        };
        let (open, closed) = (holds(true), holds(false));
        let differs = members
            .iter()
            .filter(|c| c.ruling == Ruling::Differs)
            .count();
        let unjudged = members.len() - open.len() - closed.len() - differs;
        let mark = if differs > 0 {
            palette::bad("FAIL")
        } else {
            palette::good("ok  ")
        };
        let open = if open.is_empty() {
            "nothing open".to_owned()
        } else {
            format!("open {}", open.join(" "))
        };
        let mut line = format!("  {mark} {from} -> {to}: {open}; {} closed", closed.len());
        if unjudged > 0 {
            let _ = write!(line, "; {unjudged} not judged");
        }
        let _ = writeln!(out, "{line}");
        for one in members {
            let worth = one.ruling == Ruling::Differs
                || (all && matches!(one.ruling, Ruling::NotJudged(_)));
            if worth {
                let _ = writeln!(out, "         {}", cell(one));
            }
        }
    }
    let count = |wanted: fn(&Ruling) -> bool| cells.iter().filter(|c| wanted(&c.ruling)).count();
    let _ = writeln!(
        out,
        "\n  {} of {} cells are as the matrix says; {} differ, {} could not be judged.",
        count(|r| *r == Ruling::Holds),
        cells.len(),
        count(|r| *r == Ruling::Differs),
        count(|r| matches!(r, Ruling::NotJudged(_))),
    );
    out
}
