//! The cells of the matrix as they were seen, whoever asked them: machines of the live system, or namespaces.

use crate::firewall::analysis::Probe;
use crate::verify::cells::{CellResult, Ruling};
use crate::view::palette;
use std::{collections::BTreeMap, fmt::Write as _};

/// One cell as it is printed.
struct Asked<'a> {
    pair: (&'a str, &'a str),
    port: String,
    /// What the matrix says.
    is_open: bool,
    verdict: Verdict,
    /// The cell on one line.
    told: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Holds,
    Differs,
    NotJudged,
}

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

/// The cells of the live system; `all` also tells each that could not be judged.
pub(crate) fn cells(cells: &[CellResult], all: bool) -> String {
    let asked = cells.iter().map(|one| Asked {
        pair: (&one.from, &one.to),
        port: one.port.clone(),
        is_open: one.row.is_some(),
        verdict: match one.ruling {
            Ruling::Holds => Verdict::Holds,
            Ruling::Differs => Verdict::Differs,
            Ruling::NotJudged(_) => Verdict::NotJudged,
        },
        told: cell(one),
    });
    by_pair(&asked.collect::<Vec<_>>(), all)
}

/// The packets that were sent through namespaces.
pub fn probes(found: &[Probe]) -> String {
    let word = |is_open: bool| if is_open { "open" } else { "closed" };
    let asked = found.iter().map(|probe| {
        let packet = &probe.packet;
        let seen = probe.seen.map_or("could not be asked", word);
        Asked {
            pair: (&probe.names.0, &probe.names.1),
            port: packet.port.to_string(),
            is_open: probe.expected,
            // What could not be asked proves nothing, and here everything can be asked.
            verdict: if probe.holds() {
                Verdict::Holds
            } else {
                Verdict::Differs
            },
            told: format!(
                "{} -> {} {}: expected {}, seen {seen}",
                packet.from,
                packet.to,
                packet.port,
                word(probe.expected)
            ),
        }
    });
    by_pair(&asked.collect::<Vec<_>>(), true)
}

/// A line for each pair, and one for each cell that is not as it should be.
fn by_pair(asked: &[Asked<'_>], all: bool) -> String {
    let mut out = String::new();
    let mut pairs: BTreeMap<(&str, &str), Vec<&Asked<'_>>> = BTreeMap::new();
    for one in asked {
        pairs.entry(one.pair).or_default().push(one);
    }
    for ((from, to), members) in &pairs {
        let with = |verdict: Verdict| members.iter().filter(move |one| one.verdict == verdict);
        let open = with(Verdict::Holds).filter(|one| one.is_open);
        let mut open: Vec<&str> = open.map(|one| one.port.as_str()).collect();
        open.sort_unstable();
        open.dedup();
        let closed = with(Verdict::Holds).filter(|one| !one.is_open).count();
        let unjudged = with(Verdict::NotJudged).count();
        let mark = if with(Verdict::Differs).next().is_some() {
            palette::bad("FAIL")
        } else {
            palette::good("ok  ")
        };
        let open = if open.is_empty() {
            "nothing open".to_owned()
        } else {
            format!("open {}", shortened(&open))
        };
        let mut line = format!("  {mark} {from} -> {to}: {open}; {closed} closed");
        if unjudged > 0 {
            let _ = write!(line, "; {unjudged} not judged");
        }
        let _ = writeln!(out, "{line}");
        let worth = members.iter().filter(|one| {
            one.verdict == Verdict::Differs || all && one.verdict == Verdict::NotJudged
        });
        for one in worth {
            let _ = writeln!(out, "         {}", one.told);
        }
    }
    let count = |wanted: Verdict| asked.iter().filter(|one| one.verdict == wanted).count();
    let _ = writeln!(
        out,
        "\n  {} of {} cells between {} pairs are as the matrix says; {} differ, {} could not be judged.",
        count(Verdict::Holds),
        asked.len(),
        pairs.len(),
        count(Verdict::Differs),
        count(Verdict::NotJudged),
    );
    out
}

/// Enough of a list to know which one it is.
fn shortened(ports: &[&str]) -> String {
    const SHOWN: usize = 12;
    if ports.len() <= SHOWN {
        return ports.join(" ");
    }
    format!(
        "{} and {} more",
        ports[..SHOWN].join(" "),
        ports.len() - SHOWN
    )
}
